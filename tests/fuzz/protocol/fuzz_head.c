/* Any bytes as a request head: what the parser lets pass must be what the scope promises. */
#include "base/httpchars.h"
#include "base/utf8.h"
#include "protocol/http1_head.h"
#include "protocol/http1_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct exchange_host exchanges;
static const struct exchange_driver driver;

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void check_text(casgi_str_t text, const char *what)
{
    check(text.ptr && strlen(text.ptr) == text.len, what);
}

static void check_path(const casgi_scope_t *scope)
{
    check_text(scope->path, "path");
    check(utf8_valid(scope->path), "the path is UTF-8");
    check_text(scope->raw_path, "raw_path");
    check_text(scope->query_string, "query_string");
    check(http_chars_all(scope->raw_path, HTTP_VISIBLE), "raw_path is visible");
    check(http_chars_all(scope->query_string, HTTP_VISIBLE), "query_string is visible");
    check(scope->path.ptr[0] == '/' || strcmp(scope->path.ptr, "*") == 0, "the path begins with a slash");
}

static void check_fields(const casgi_scope_t *scope, const struct http1_facts *facts)
{
    int hosts = 0, lengths = 0, codings = 0;
    for (size_t i = 0; i < scope->header_count; i++) {
        const casgi_header_t *field = &scope->headers[i];
        check_text(field->name, "name");
        check_text(field->value, "value");
        check(http_is_token(field->name), "a name is a token");
        check(http_is_field_value(field->value), "a value is one");
        for (const char *c = field->name.ptr; *c; c++) {
            check(*c < 'A' || *c > 'Z', "a name is in lower case");
        }
        hosts += strcmp(field->name.ptr, "host") == 0;
        lengths += strcmp(field->name.ptr, "content-length") == 0;
        codings += strcmp(field->name.ptr, "transfer-encoding") == 0;
    }
    check(hosts == 1 || (facts->http10 && hosts == 0), "one host");
    check(lengths + codings <= 1, "one framing");
    check((lengths == 1) == (facts->content_length >= 0), "the length is known");
    check((codings == 1) == facts->chunked, "the coding is known");
}

static void parse(const char *data, const struct http1_scan *scan)
{
    struct http1_facts facts;
    struct http1_fault fault = { 0, 0, NULL };
    size_t size = scan->searched;
    struct exchange *ex = exchange_new(&exchanges, &driver, NULL);
    check(ex != NULL, "memory");
    ex->scope.root_path = (casgi_str_t)CASGI_STR("");
    if (http1_head_parse(ex, data, size, scan->lines, &facts, &fault) == 0) {
        check(http_is_token(ex->scope.method), "the method is a token");
        check_text(ex->scope.method, "method");
        check_path(&ex->scope);
        check_fields(&ex->scope, &facts);
    } else {
        check(fault.status == 400 && fault.offset <= size && fault.reason, "a fault has a place and a reason");
    }
    exchange_discard(ex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct loop_options options = { .fake_clock = true };
    struct http1_scan scan = { 0 };
    struct http1_fault fault = { 0, 0, NULL };
    if (!loop) {
        check(loop_new(&options, &loop) == 0, "no loop");
        exchanges.loop = loop;
        exchange_host_init(&exchanges);
        http1_head_setup();
    }
    if (!size || (size >= 2 && data[0] == '\r' && data[1] == '\n')) {
        return 0; /* the connection keeps those from the scan */
    }
    int rc = http1_scan(&scan, (const char *)data, size, 4096, 20, &fault);
    if (rc > 0) {
        parse((const char *)data, &scan);
    } else if (rc < 0) {
        check(fault.status >= 400 && fault.offset <= size && fault.reason, "a fault has a place and a reason");
    }
    return 0;
}
