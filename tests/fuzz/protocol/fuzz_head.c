/* Any bytes as a request head: what the parser lets pass must be what the scope promises. */
#include "base/httpchars.h"
#include "base/utf8.h"
#include "protocol/http1_head.h"
#include "protocol/http1_scan.h"
#include "protocol/http1_section.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct exchange_host exchanges;
static const struct exchange_driver driver;
static struct http1_sections sections;

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

struct parsed {
    struct exchange *ex;
    int rc;
    struct http1_facts facts;
    struct http1_fault fault;
};

static struct parsed parse(const char *data, const struct http1_scan *scan, const struct http1_section *known)
{
    struct parsed parsed = { .ex = exchange_new(&exchanges, &driver, NULL) };
    check(parsed.ex != NULL, "memory");
    parsed.ex->scope.root_path = (casgi_str_t)CASGI_STR("");
    parsed.rc =
        http1_head_parse(parsed.ex, data, scan->searched, scan->lines, &sections, known, &parsed.facts, &parsed.fault);
    return parsed;
}

static void check_parsed(const struct parsed *parsed, size_t size)
{
    const casgi_scope_t *scope = &parsed->ex->scope;
    if (parsed->rc == 0) {
        check(http_is_token(scope->method), "the method is a token");
        check_text(scope->method, "method");
        check_path(scope);
        check_fields(scope, &parsed->facts);
    } else {
        const struct http1_fault *fault = &parsed->fault;
        check(fault->status == 400 && fault->offset <= size && fault->reason, "a fault has a place and a reason");
    }
}

static void check_same_facts(const struct http1_facts *a, const struct http1_facts *b)
{
    check(a->content_length == b->content_length && a->chunked == b->chunked && a->http10 == b->http10, "same framing");
    check(a->keep_alive == b->keep_alive && a->close == b->close, "same wishes");
    check(a->expect_continue == b->expect_continue && a->expect_other == b->expect_other, "same expectations");
    check(a->section == b->section, "same tag");
}

/* A section that came before says the same as when it was parsed. */
static void check_same(const struct parsed *a, const struct parsed *b)
{
    const casgi_scope_t *one = &a->ex->scope, *two = &b->ex->scope;
    check(a->rc == b->rc, "same result");
    if (a->rc) {
        check(a->fault.offset == b->fault.offset && a->fault.reason == b->fault.reason, "same fault");
        return;
    }
    check_same_facts(&a->facts, &b->facts);
    check(casgi_str_equal(one->method, two->method) && casgi_str_equal(one->path, two->path), "same target");
    check(one->header_count == two->header_count, "as many fields");
    for (size_t i = 0; i < one->header_count; i++) {
        check(casgi_str_equal(one->headers[i].name, two->headers[i].name), "same name");
        check(casgi_str_equal(one->headers[i].value, two->headers[i].value), "same value");
    }
}

static void parse_again_and_again(const char *data, size_t size, const struct http1_scan *scan)
{
    struct parsed first = parse(data, scan, NULL);
    check_parsed(&first, scan->searched);
    for (int i = 0; i < 4; i++) {
        size_t head = scan->searched;
        const struct http1_section *known =
            i < 2 || first.rc ? NULL : http1_section_again(&sections, first.facts.section, data, size, &head);
        check(head == scan->searched, "the head ends where it was found to end");
        check(!known || known->field_count + 1 == scan->lines, "as many lines");
        struct parsed next = parse(data, scan, known);
        check_parsed(&next, scan->searched);
        check_same(&first, &next);
        exchange_discard(next.ex);
    }
    exchange_discard(first.ex);
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
        http1_sections_init(&sections);
    }
    if (!size || (size >= 2 && data[0] == '\r' && data[1] == '\n')) {
        return 0; /* the connection keeps those from the scan */
    }
    int rc = http1_scan(&scan, (const char *)data, size, 4096, 20, &fault);
    if (rc > 0) {
        parse_again_and_again((const char *)data, size, &scan);
    } else if (rc < 0) {
        check(fault.status >= 400 && fault.offset <= size && fault.reason, "a fault has a place and a reason");
    }
    return 0;
}
