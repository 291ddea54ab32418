/* What the scope says: the target taken apart, the request's id, the extensions offered. */
#include "exchange/private.h"

#include "base/httpchars.h"
#include "base/percent.h"
#include "base/utf8.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_ID_MAX = 128, ID_RANDOM = 12, ID_LEN = 22 };

_Static_assert(ID_LEN < sizeof(((struct exchange_private *)0)->request_id), "an id of ours and its NUL");

bool scope_is_http_1_0(const casgi_scope_t *scope)
{
    return casgi_str_equal(scope->http_version, (casgi_str_t)CASGI_STR("1.0"));
}

/* ---- extensions ---- */

static bool offers_trailers(const struct exchange *ex)
{
    return ex->driver->trailers;
}

static bool offers_file(const struct exchange *ex)
{
    return ex->driver->file;
}

static bool offers_hints(const struct exchange *ex)
{
    return ex->driver->inform && !scope_is_http_1_0(&ex->scope);
}

static const void *get_extension(void *get_ctx, const char *name)
{
    static const struct {
        const char *name;
        bool (*offered)(const struct exchange *ex);
    } extensions[] = {
        { "http.response.trailers", offers_trailers },
        { "http.response.zerocopysend", offers_file },
        { "http.response.pathsend", offers_file },
        { "http.response.early_hint", offers_hints },
    };
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (!strcmp(name, extensions[i].name)) {
            return extensions[i].offered(get_ctx) ? extensions[i].name : NULL;
        }
    }
    return NULL;
}

void scope_init(struct exchange *ex)
{
    ex->scope = (casgi_scope_t){
        .asgi_version = CASGI_STR("3.0"),
        .asgi_spec_version = CASGI_STR("2.5"),
        .get = get_extension,
        .get_ctx = ex,
    };
}

/* By hand, as copying a template of 416 bytes is the dearest part of a new exchange. */
void scope_clear(casgi_scope_t *scope)
{
    static const casgi_address_t unknown = { .port = -1 };
    static const casgi_str_t none = { NULL, 0 }, empty = CASGI_STR("");
    scope->type = CASGI_SCOPE_HTTP;
    scope->type_name = (casgi_str_t)CASGI_STR("http");
    scope->http_version = (casgi_str_t)CASGI_STR("1.1");
    scope->method = none;
    scope->scheme = (casgi_str_t)CASGI_STR("http");
    scope->path = none;
    scope->raw_path = none;
    scope->query_string = empty;
    scope->root_path = empty;
    scope->headers = NULL;
    scope->header_count = 0;
    scope->client = unknown;
    scope->server = unknown;
    scope->subprotocols = NULL;
    scope->subprotocol_count = 0;
    scope->state = NULL;
    scope->request_id = none;
}

/* ---- the target ---- */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* HIGHS of zero bytes, and perhaps of bytes above one. */
static inline uint64_t zeros(uint64_t word)
{
    return (word - ONES) & ~word & HIGHS;
}

static bool is_plain(char c)
{
    return (signed char)c > 0 && c != '?' && c != '%'; /* a plain char has no sign on arm64 */
}

/* How many bytes at the start are ASCII and neither NUL nor "?" nor "%": nearly always all of the path. */
static size_t plain_run(casgi_str_t text)
{
    size_t at = 0;
    for (uint64_t word; text.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, text.ptr + at, sizeof(word));
        if ((word & HIGHS) | zeros(word) | zeros(word ^ ONES * '?') | zeros(word ^ ONES * '%')) {
            break;
        }
    }
    while (at < text.len && is_plain(text.ptr[at])) {
        at++;
    }
    return at;
}

/* root_path and `text` in one. ptr NULL: out of memory. */
static casgi_str_t prefixed(struct exchange *ex, casgi_str_t text)
{
    casgi_str_t root = ex->scope.root_path;
    char *joined = arena_alloc(&ex->arena, root.len + text.len + 1);
    if (!joined) {
        return (casgi_str_t){ NULL, 0 };
    }
    memcpy(joined, root.ptr, root.len);
    memcpy(joined + root.len, text.ptr, text.len);
    joined[root.len + text.len] = '\0';
    return (casgi_str_t){ joined, root.len + text.len };
}

/* The path behind the root_path, decoded and checked. */
static int decode_path(struct exchange *ex, casgi_str_t raw, casgi_str_t *out_path)
{
    char *decoded = arena_alloc(&ex->arena, raw.len + 1);
    if (!decoded) {
        return CASGI_ENOMEM;
    }
    size_t size = 0;
    int rc = percent_decode(decoded, raw, &size);
    if (rc) {
        return rc;
    }
    *out_path = (casgi_str_t){ decoded, size };
    return utf8_valid(*out_path) && !memchr(decoded, '\0', size) ? 0 : CASGI_EINVAL;
}

/* Cuts the target at its "?". */
static void split_query(struct exchange *ex, casgi_str_t target, size_t plain, casgi_str_t *out_raw)
{
    const char *mark = target.len == plain ? NULL : memchr(target.ptr + plain, '?', target.len - plain);
    *out_raw = target;
    if (mark) {
        out_raw->len = (size_t)(mark - target.ptr);
        ex->scope.query_string = (casgi_str_t){ mark + 1, target.len - out_raw->len - 1 };
        *(char *)(uintptr_t)mark = '\0';
    }
    if (!out_raw->len) {
        *out_raw = (casgi_str_t)CASGI_STR("/");
    }
}

static bool is_asterisk(casgi_str_t raw)
{
    return raw.len == 1 && raw.ptr[0] == '*';
}

int exchange_set_target(struct exchange *ex, casgi_str_t target)
{
    casgi_str_t raw = target, path;
    size_t plain = plain_run(target);
    if (plain < target.len || !plain) {
        split_query(ex, target, plain, &raw);
    }
    path = raw;
    int rc = plain < raw.len ? decode_path(ex, raw, &path) : 0;
    if (!rc && ex->scope.root_path.len && !is_asterisk(raw)) {
        bool same = path.ptr == raw.ptr;
        raw = prefixed(ex, raw);
        path = same ? raw : prefixed(ex, path);
        rc = raw.ptr && path.ptr ? 0 : CASGI_ENOMEM;
    }
    if (rc) {
        return rc;
    }
    ex->scope.path = path;
    ex->scope.raw_path = raw;
    return 0;
}

/* ---- the request's id ---- */

/* The next id of this loop's thread: random digits, then a counter. */
static _Thread_local char next_id[ID_LEN];

static void put_hex(char *out, size_t digits, uint64_t value)
{
    for (size_t i = 0; i < digits; i++) {
        out[digits - 1 - i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

static void seed_ids(void)
{
    uint64_t random;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        random = (uint64_t)now.tv_nsec << 24 ^ (uint64_t)now.tv_sec << 14 ^ (uint64_t)getpid();
    }
    put_hex(next_id, ID_RANDOM, random);
    memset(next_id + ID_RANDOM, '0', ID_LEN - ID_RANDOM);
}

/* Counts on the text itself. Past the last number come other random digits. */
static void advance_id(void)
{
    for (size_t i = ID_LEN; i-- > ID_RANDOM;) {
        if (next_id[i] == '9') {
            next_id[i] = 'a';
            return;
        }
        if (next_id[i] != 'f') {
            next_id[i]++;
            return;
        }
        next_id[i] = '0';
    }
    seed_ids();
}

/* The client's X-Request-ID, if it is one that may stand in a log. ptr NULL: none. */
static casgi_str_t id_from_client(const casgi_scope_t *scope)
{
    static const casgi_str_t name = CASGI_STR("x-request-id");
    for (size_t i = 0; i < scope->header_count; i++) {
        const casgi_header_t *header = &scope->headers[i];
        if (header->name.len == name.len && !memcmp(header->name.ptr, name.ptr, name.len)) {
            casgi_str_t value = header->value;
            bool sane = value.len && value.len <= REQUEST_ID_MAX && http_chars_all(value, HTTP_ID);
            return sane ? value : (casgi_str_t){ NULL, 0 };
        }
    }
    return (casgi_str_t){ NULL, 0 };
}

int exchange_set_request_id(struct exchange *ex)
{
    casgi_str_t id = id_from_client(&ex->scope);
    if (!id.ptr) {
        if (!next_id[0]) {
            seed_ids();
        }
        char *own = ex->priv->request_id;
        memcpy(own, next_id, ID_LEN);
        own[ID_LEN] = '\0';
        id = (casgi_str_t){ own, ID_LEN };
        advance_id();
    }
    ex->scope.request_id = id;
    return 0;
}

/* ---- for logs and crash reports ---- */

casgi_str_t scope_request_id(void *owner)
{
    return ((struct exchange *)owner)->scope.request_id;
}

static size_t put_text(char *out, size_t room, casgi_str_t text)
{
    size_t size = text.len < room ? text.len : room;
    if (size) {
        memcpy(out, text.ptr, size);
    }
    return size;
}

/* Called from the crash handler too: only copies. */
casgi_str_t scope_describe(void *owner)
{
    struct exchange *ex = owner;
    enum { METHOD_MOST = 20, ID_MOST = 40, MOST = sizeof(ex->priv->description) - 1 };
    char *out = ex->priv->description;
    size_t size = put_text(out, METHOD_MOST, ex->scope.method);
    out[size++] = ' ';
    size += put_text(out + size, MOST - ID_MOST - 1 - size, ex->scope.raw_path);
    out[size++] = ' ';
    size += put_text(out + size, MOST - size, ex->scope.request_id);
    out[size] = '\0';
    return (casgi_str_t){ out, size };
}
