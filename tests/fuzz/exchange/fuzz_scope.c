/* The scope builder: any bytes as root_path, request target and X-Request-ID. First byte: how long the root_path is;
 * then root_path, target, and behind a line feed the id. What is accepted must keep what the header promises. */
#include "base/utf8.h"
#include "exchange/exchange.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct exchange_host host;
static const struct exchange_driver driver;

static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static bool ends_in_nul(casgi_str_t text)
{
    return text.ptr && text.ptr[text.len] == '\0';
}

static void check(const struct exchange *ex, casgi_str_t root)
{
    const casgi_scope_t *scope = &ex->scope;
    must(ends_in_nul(scope->path) && ends_in_nul(scope->raw_path) && ends_in_nul(scope->query_string));
    must(!memchr(scope->path.ptr, '\0', scope->path.len));
    must(!memchr(scope->raw_path.ptr, '?', scope->raw_path.len) || memchr(root.ptr, '?', root.len));
    casgi_str_t behind_root = { scope->path.ptr, scope->path.len };
    if (scope->path.len >= root.len && root.len && !memcmp(scope->path.ptr, root.ptr, root.len)) {
        behind_root = (casgi_str_t){ scope->path.ptr + root.len, scope->path.len - root.len };
    }
    must(utf8_valid(behind_root));
    must(scope->path.len <= scope->raw_path.len);
}

static void build(struct exchange *ex, casgi_str_t root, casgi_str_t target, casgi_str_t id)
{
    casgi_header_t header = { CASGI_STR("x-request-id"), id, { 0, 0 } };
    ex->scope.root_path = arena_copy(&ex->arena, root);
    ex->scope.headers = &header;
    ex->scope.header_count = 1;
    if (!exchange_set_target(ex, arena_copy(&ex->arena, target))) {
        check(ex, ex->scope.root_path);
    }
    must(!exchange_set_request_id(ex));
    must(ex->scope.request_id.len > 0 && ex->scope.request_id.len <= 128);
    for (size_t i = 0; i < ex->scope.request_id.len; i++) {
        must(ex->scope.request_id.ptr[i] > ' ' && ex->scope.request_id.ptr[i] < 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!host.loop) {
        struct loop_options options = { .fake_clock = true };
        must(!loop_new(&options, &host.loop));
        exchange_host_init(&host);
    }
    if (!size) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    size_t left = size - 1, root_size = data[0] < left ? data[0] : left;
    casgi_str_t root = { text, strnlen(text, root_size) }; /* the configuration's: it has no NUL */
    casgi_str_t target = { text + root_size, left - root_size }, id = CASGI_STR("");
    const char *line = target.len ? memchr(target.ptr, '\n', target.len) : NULL;
    if (line) {
        id = (casgi_str_t){ line + 1, target.len - (size_t)(line + 1 - target.ptr) };
        target.len = (size_t)(line - target.ptr);
    }
    struct exchange *ex = exchange_new(&host, &driver, NULL);
    must(ex != NULL);
    build(ex, root, target, id);
    exchange_discard(ex);
    return 0;
}
