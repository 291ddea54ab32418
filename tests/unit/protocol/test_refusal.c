/* Everything that is not quite HTTP: refused with a 4xx that the client can read, with the place and the reason told
 * once, and the application never called. Each input whole, split in two at every place, and byte by byte. */
#include "wire.h"

#include <stdio.h>
#include <string.h>

#include "base/httpchars.h"

#define GET_LINE "GET / HTTP/1.1\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

struct refusal {
    const char *bytes;
    size_t size; /* 0: strlen */
    int status;
    int offset; /* -1: not compared */
    const char *reason;
};

static void send_in_pieces(struct wire *w, const char *bytes, size_t size, size_t split)
{
    size_t step = split > size ? 1 : split;
    for (size_t at = 0; at < size;) {
        size_t piece = step && step < size - at ? step : size - at;
        wire_send(w, bytes + at, piece);
        wire_settle(w);
        at += piece;
        step = split > size ? 1 : 0;
    }
}

static bool is_as_wanted(const struct wire *w, const struct refusal *r)
{
    return w->refusals == 1 && w->status == r->status && (r->offset < 0 || w->offset == (size_t)r->offset) &&
           strstr(w->reason, r->reason) && w->ended;
}

static void check_split(struct wire *w, const struct refusal *r, size_t size, size_t split)
{
    char begin[32];
    snprintf(begin, sizeof begin, "HTTP/1.1 %d ", r->status);
    wire_connect(w, app_probe);
    send_in_pieces(w, r->bytes, size, split);
    if (!is_as_wanted(w, r)) {
        print_error("split %zu of \"%s\": %d refusals, %d at %zu: %s\n", split, r->bytes, w->refusals, w->status,
                    w->offset, w->reason);
    }
    assert_int_equal(w->refusals, 1);
    assert_int_equal(w->status, r->status);
    if (r->offset >= 0) {
        assert_int_equal(w->offset, r->offset);
    }
    assert_non_null(strstr(w->reason, r->reason));
    assert_int_equal(strncmp(w->out, begin, strlen(begin)), 0);
    assert_non_null(strstr(w->out, "connection: close\r\n"));
    assert_int_equal(wire_count(w, "HTTP/1.1 "), 1);
    assert_true(w->ended);
    assert_int_equal(w->failed, 0);
}

static void check(struct wire *w, const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct refusal *r = &refusals[i];
        size_t size = r->size ? r->size : strlen(r->bytes);
        for (size_t split = 0; split <= size + 1; split++) {
            check_split(w, r, size, split);
        }
    }
}

#define CHECK(state, table) check(*(state), table, sizeof(table) / sizeof(table)[0])

static void test_refusal__of_request_lines(void **state)
{
    static const struct refusal lines[] = {
        { "GET  / HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "target" },
        { "GET /  HTTP/1.1\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "GET /a b HTTP/1.1\r\n" HOST "\r\n", 0, 400, 7, "version" },
        { "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 0, 400, 3, "method" },
        { "GET /\tHTTP/1.1\r\n" HOST "\r\n", 0, 400, 5, "target" },
        { "GET?x / HTTP/1.1\r\n" HOST "\r\n", 0, 400, 3, "method" },
        { "GET / HTTP/2.0\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "GET / HTTP/1.2\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "GET / HTTP/0.9\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "GET / HTTP/1.10\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "GET / HTTP1.1\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "GET / http/1.1\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "GET / HTTP/1.1 \r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "GET /\r\n" HOST "\r\n", 0, 400, 5, "target" },
        { "GET\r\n" HOST "\r\n", 0, 400, 3, "method" },
        { "PRI * HTTP/2.0\r\n\r\n", 0, 400, 6, "version" },
        { " GET / HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, "method" },
        { ":/ HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, "method" },
        { "\x16\x03\x01", 0, 400, 0, "method" },
        { "GET /\x80 HTTP/1.1\r\n" HOST "\r\n", 0, 400, 5, "target" },
        { "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 0, 400, 6, "target" },
        { "GET /a\rb HTTP/1.1\r\n" HOST "\r\n", 0, 400, 6, "target" },
        { "GET / HTTP/1.1\n" HOST "\r\n", 0, 400, 14, "bare LF" },
        { "\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, "bare LF" },
        { "GET / HTTP/1.1\r\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "\r\n\r\nGET / HTTP/1.2\r\n" HOST "\r\n", 0, 400, 6, "version" },
        { "\r\n\r\n" GET_LINE "X\r\n\r\n", 0, 400, 17, "" },
        { "\r\n\r\n\r\n\n", 0, 400, 0, "bare LF" },
        { "\r\n" CHUNKED "x\r\n", 0, 400, sizeof CHUNKED - 1, "hexadecimal" },
    };
    CHECK(state, lines);
}

static void test_refusal__of_targets(void **state)
{
    static const struct refusal targets[] = {
        { "GET a HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "neither" },
        { "GET * HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "neither" },
        { "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "neither" },
        { "GET http:///x HTTP/1.1\r\n" HOST "\r\n", 0, 400, 11, "authority" },
        { "GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n", 0, 400, 11, "authority" },
        { "GET http:// HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "neither" },
        { "GET http://a:65536/ HTTP/1.1\r\n" HOST "\r\n", 0, 400, 11, "authority" },
        { "GET http://a:18446744073709551696/ HTTP/1.1\r\n" HOST "\r\n", 0, 400, 11, "authority" },
        { "GET http://[zz]/ HTTP/1.1\r\n" HOST "\r\n", 0, 400, 11, "authority" },
        { "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, "CONNECT" },
        { "CONNECT / HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, "CONNECT" },
        { "CONNECT http://a/ HTTP/1.1\r\n" HOST "\r\n", 0, 400, 0, "CONNECT" },
        { "GET /%zz HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "escape" },
        { "GET /%00 HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "escape" },
        { "GET /%ff HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "escape" },
        { "GET /%2 HTTP/1.1\r\n" HOST "\r\n", 0, 400, 4, "escape" },
    };
    CHECK(state, targets);
}

static void test_refusal__of_field_lines(void **state)
{
    static const struct refusal fields[] = {
        { GET_LINE HOST "A : b\r\n\r\n", 0, 400, 26, "" },
        { GET_LINE HOST "A\t: b\r\n\r\n", 0, 400, 26, "" },
        { GET_LINE HOST " A: b\r\n\r\n", 0, 400, 25, "folded" },
        { GET_LINE HOST "A: b\r\n c\r\n\r\n", 0, 400, 31, "folded" },
        { GET_LINE HOST "A: b\r\n\tc\r\n\r\n", 0, 400, 31, "folded" },
        { GET_LINE HOST ": b\r\n\r\n", 0, 400, 25, "name" },
        { GET_LINE HOST "A\r\n\r\n", 0, 400, 26, "" },
        { GET_LINE HOST "A(: b\r\n\r\n", 0, 400, 26, "" },
        { GET_LINE HOST "A\x80: b\r\n\r\n", 0, 400, 26, "" },
        { GET_LINE HOST "A:\rb\r\n\r\n", 0, 400, 28, "" },
        { GET_LINE HOST "A:\r\r\n\r\n", 0, 400, 28, "" },
        { GET_LINE HOST "A: b\rc\r\n\r\n", 0, 400, 30, "" },
        { GET_LINE HOST "A: b\r\r\n\r\n", 0, 400, 30, "" },
        { GET_LINE HOST "A: b\nC: d\r\n\r\n", 0, 400, 29, "bare LF" },
        { GET_LINE HOST "A: b\r\n\n", 0, 400, 31, "bare LF" },
        { GET_LINE HOST "\n", 0, 400, 25, "bare LF" },
        { GET_LINE HOST "A: \x01\r\n\r\n", 0, 400, 28, "" },
        { GET_LINE HOST "A: b\x7f\r\n\r\n", 0, 400, 29, "" },
        { GET_LINE HOST "\rA: b\r\n\r\n", 0, 400, 26, "" },
    };
    CHECK(state, fields);
}

static void test_refusal__of_hosts(void **state)
{
    static const struct refusal hosts[] = {
        { GET_LINE "A: b\r\n\r\n", 0, 400, 22, "no host" },
        { GET_LINE HOST HOST "\r\n", 0, 400, 31, "more than one host" },
        { "GET / HTTP/1.0\r\n" HOST HOST "\r\n", 0, 400, 31, "more than one host" },
        { GET_LINE "Host: a b\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: a/b\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: u@a\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: a:b\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: a:1:2\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: :80\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [::1\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [::1]x\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: []\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: a%zz\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: a,b:c\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: a:65536\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [::1]:99999\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: a:18446744073709551696\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [zz]\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [1.2.3.4]\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [1:2:3:4:5:6:7:8:9]\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [0000000000000000000000000000000000000000000000::1]\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [v1.]\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [v.a]\r\n\r\n", 0, 400, 22, "bad host" },
        { GET_LINE "Host: [vg.a]\r\n\r\n", 0, 400, 22, "bad host" },
        { "GET http://a/ HTTP/1.1\r\n\r\n", 0, 400, 24, "no host" },
    };
    CHECK(state, hosts);
}

static void test_refusal__of_lengths(void **state)
{
    static const struct refusal lengths[] = {
        { POST "Content-Length: 1, 1\r\n\r\nx", 0, 400, -1, "" },
        { POST "Content-Length: +1\r\n\r\nx", 0, 400, -1, "" },
        { POST "Content-Length: -1\r\n\r\nx", 0, 400, -1, "" },
        { POST "Content-Length: 0x1\r\n\r\nx", 0, 400, -1, "" },
        { POST "Content-Length: 1 1\r\n\r\nx", 0, 400, -1, "" },
        { POST "Content-Length:\r\n\r\nx", 0, 400, -1, "content-length" },
        { POST "Content-Length: 9223372036854775808\r\n\r\nx", 0, 400, -1, "content-length" },
        { POST "Content-Length: 99999999999999999999999\r\n\r\nx", 0, 400, -1, "" },
        { POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 0, 400, -1, "" },
        { POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 0, 400, -1, "" },
        { POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\nx\r\n0\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding: identity\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding: chunked;x\r\n\r\n0\r\n\r\n", 0, 400, -1, "" },
        { POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 0, 400, -1, "transfer-encoding" },
        { POST "Transfer-Encoding: \x0b chunked\r\n\r\n0\r\n\r\n", 0, 400, -1, "" },
        { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 400, 36, "HTTP/1.0" },
    };
    CHECK(state, lengths);
}

static void test_refusal__of_chunks(void **state)
{
    enum { AT = sizeof CHUNKED - 1 };
    static const struct refusal chunks[] = {
        { CHUNKED "x\r\n", 0, 400, AT, "hexadecimal" },
        { CHUNKED "\r\n", 0, 400, AT, "hexadecimal" },
        { CHUNKED " 1\r\nx\r\n", 0, 400, AT, "hexadecimal" },
        { CHUNKED "-1\r\n", 0, 400, AT, "hexadecimal" },
        { CHUNKED "0x1\r\n", 0, 400, AT + 1, "hexadecimal" },
        { CHUNKED "1 \r\nx\r\n", 0, 400, AT + 2, "space" },
        { CHUNKED "1\nx\r\n", 0, 400, AT + 1, "hexadecimal" },
        { CHUNKED "1\rx\r\n", 0, 400, AT + 2, "bare CR" },
        { CHUNKED "00000000000000001\r\n", 0, 400, AT + 16, "too large" },
        { CHUNKED "8000000000000000\r\n", 0, 400, AT + 15, "too large" },
        { CHUNKED "1;\r\nx\r\n", 0, 400, AT + 2, "extension" },
        { CHUNKED "1;a=\r\nx\r\n", 0, 400, AT + 4, "extension" },
        { CHUNKED "1;a\nb\r\nx\r\n", 0, 400, AT + 3, "extension" },
        { CHUNKED "1;a=\"\n\"\r\nx\r\n", 0, 400, AT + 5, "extension" },
        { CHUNKED "1;a=\"b\r\nx\r\n", 0, 400, AT + 6, "extension" },
        { CHUNKED "1;a b\r\nx\r\n", 0, 400, AT + 4, "extension" },
        { CHUNKED "1;a\rb\r\nx\r\n", 0, 400, AT + 4, "bare CR" },
        { CHUNKED "1\r\nxy\r\n", 0, 400, AT + 4, "longer" },
        { CHUNKED "1\r\nx\n", 0, 400, AT + 4, "longer" },
        { CHUNKED "1\r\nx\r1\r\n", 0, 400, AT + 5, "bare CR" },
        { CHUNKED "0\r\nA : b\r\n\r\n", 0, 400, AT + 4, "trailer" },
        { CHUNKED "0\r\n A: b\r\n\r\n", 0, 400, AT + 3, "trailer" },
        { CHUNKED "0\r\nA: b\r\n c\r\n\r\n", 0, 400, AT + 9, "trailer" },
        { CHUNKED "0\r\n: b\r\n\r\n", 0, 400, AT + 3, "trailer" },
        { CHUNKED "0\r\nA\r\n\r\n", 0, 400, AT + 4, "trailer" },
        { CHUNKED "0\r\nA: b\nC: d\r\n\r\n", 0, 400, AT + 7, "trailer" },
        { CHUNKED "0\r\nA: \x01\r\n\r\n", 0, 400, AT + 6, "trailer" },
        { CHUNKED "0\r\nA: b\rc\r\n\r\n", 0, 400, AT + 8, "bare CR" },
        { CHUNKED "0\r\n\n", 0, 400, AT + 3, "trailer" },
        { CHUNKED "0\r\n\rx", 0, 400, AT + 4, "bare CR" },
    };
    CHECK(state, chunks);
}

static void test_refusal__of_the_second_request_of_a_connection(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_probe);
    wire_say(w, GET_LINE HOST "\r\nGET / HTTP/1.2\r\n\r\n");
    assert_got(w, OK_KEPT BAD_REQUEST);
    assert_int_equal(w->offset, 6);
    assert_true(w->ended);
}

static void test_refusal__answers_as_everyone_knows_it(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_probe);
    wire_say(w, "junk\r\n\r\n");
    assert_got(w, BAD_REQUEST);
    assert_saw(w, "");
}

static void test_refusal__of_a_head_request_has_no_body(void **state)
{
    static const char request[] = "HEAD / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx";
    struct wire *w = *state;
    for (size_t split = 0; split <= sizeof request; split++) {
        wire_connect(w, app_probe);
        send_in_pieces(w, request, sizeof request - 1, split);
        assert_int_equal(wire_count(w, "HTTP/1.1 400 Bad Request\r\n"), 1);
        assert_string_equal(w->out + w->out_size - 4, "\r\n\r\n");
        assert_int_equal(w->refusals, 1);
    }
}

/* Every byte at a place of each kind: what passes is what the grammar lets pass. */
static void check_byte(struct wire *w, const char *before, char c, const char *behind, bool passes)
{
    wire_connect(w, app_probe);
    wire_send(w, before, strlen(before));
    wire_send(w, &c, 1);
    wire_send(w, behind, strlen(behind));
    wire_settle(w);
    if (passes != (w->refusals == 0)) {
        print_error("byte %02x behind \"%s\": %s\n", (unsigned char)c, before, w->reason);
    }
    assert_int_equal(w->refusals, passes ? 0 : 1);
    assert_int_equal(wire_count(w, passes ? "HTTP/1.1 200 " : "HTTP/1.1 400 "), 1);
}

static void test_refusal__of_every_byte_that_is_not_allowed(void **state)
{
    struct wire *w = *state;
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool token = http_char_is(c, HTTP_TCHAR), field = http_char_is(c, HTTP_FIELD);
        check_byte(w, "G", c, "T / HTTP/1.1\r\n" HOST "\r\n", token);
        check_byte(w, "GET /?", c, " HTTP/1.1\r\n" HOST "\r\n", http_char_is(c, HTTP_VISIBLE) && c != '#');
        check_byte(w, GET_LINE HOST "X", c, "Y: b\r\n\r\n", token || c == ':');
        check_byte(w, GET_LINE HOST "Connectio", c, "n: b\r\n\r\n", token || c == ':');
        check_byte(w, GET_LINE HOST "Conten", c, "t-length: 5\r\n\r\n", token || c == ':');
        check_byte(w, GET_LINE HOST "X:", c, "b\r\n\r\n", field);
        check_byte(w, GET_LINE HOST "X: a", c, "b\r\n\r\n", field);
        check_byte(w, GET_LINE HOST "X: a", c, "\r\n\r\n", field);
        check_byte(w, GET_LINE HOST "Connection:", c, "close\r\n\r\n", field);
        check_byte(w, GET_LINE HOST "Connection: clo", c, "se\r\n\r\n", field);
        check_byte(w, GET_LINE HOST "Connection: close", c, "\r\n\r\n", field);
        check_byte(w, GET_LINE HOST "Upgrade: a", c, "b\r\n\r\n", field);
        if (c < '1' || c > '9') { /* else a body is awaited */
            bool blank = c == ' ' || c == '0';
            check_byte(w, GET_LINE HOST "Content-Length:", c, "0\r\n\r\n", blank || c == '\t');
            check_byte(w, GET_LINE HOST "Content-Length: 0", c, "\r\n\r\n", blank || c == '\t');
        }
        check_byte(w, POST "Transfer-Encoding:", c, "chunked\r\n\r\n0\r\n\r\n", c == ' ' || c == '\t');
        check_byte(w, POST "Transfer-Encoding: chunked", c, "\r\n\r\n0\r\n\r\n", c == ' ' || c == '\t');
    }
}

/* ---- limits ---- */

static void test_refusal__of_too_large_a_head(void **state)
{
    struct wire *w = *state;
    static char bytes[70000];
    memset(bytes, 'x', sizeof bytes);
    wire_connect(w, app_probe);
    wire_send(w, GET_LINE "X: ", 19);
    wire_send(w, bytes, sizeof bytes);
    wire_settle(w);
    assert_int_equal(w->status, 431);
    assert_int_equal(w->offset, 65536);
    assert_string_equal(w->reason, "the head is too large");
    assert_int_equal(strncmp(w->out, "HTTP/1.1 431 Request Header Fields Too Large\r\n", 46), 0);
    assert_true(w->ended);
}

static void test_refusal__of_too_long_a_request_line(void **state)
{
    struct wire *w = *state;
    static char bytes[100000];
    memset(bytes, 'x', sizeof bytes);
    wire_connect(w, app_probe);
    wire_send(w, bytes, sizeof bytes);
    wire_settle(w);
    assert_int_equal(w->status, 414);
    assert_int_equal(w->refusals, 1);
    assert_true(w->ended);
}

static void check_limit(struct wire *w, const char *bytes, size_t limit, bool passes)
{
    w->host.head_limit = limit;
    for (size_t split = 0; split <= strlen(bytes) + 1; split++) {
        wire_connect(w, app_path);
        send_in_pieces(w, bytes, strlen(bytes), split);
        assert_int_equal(w->refusals, passes ? 0 : 1);
        assert_int_equal(wire_count(w, passes ? "HTTP/1.1 200 " : "HTTP/1.1 431 "), 1);
    }
}

static void test_refusal__begins_one_byte_above_the_limit(void **state)
{
    static const char bytes[] = GET_LINE HOST "X: y\r\n\r\n";
    check_limit(*state, bytes, sizeof bytes - 1, true);
    check_limit(*state, bytes, sizeof bytes - 2, false);
}

static void test_refusal__a_large_head_below_the_limit_passes(void **state)
{
    struct wire *w = *state;
    static char bytes[60000];
    memset(bytes, 'x', sizeof bytes);
    wire_connect(w, app_path);
    wire_send(w, GET_LINE HOST "X: ", 28);
    for (size_t at = 0; at < sizeof bytes; at += 1000) {
        wire_send(w, bytes + at, 1000);
        wire_settle(w);
    }
    wire_say(w, "\r\n\r\n");
    assert_int_equal(wire_count(w, "HTTP/1.1 200 "), 1);
}

static void test_refusal__of_too_many_fields(void **state)
{
    struct wire *w = *state;
    w->host.header_count_limit = 3;
    wire_connect(w, app_path);
    wire_say(w, GET_LINE HOST "A: 1\r\nB: 2\r\n\r\n");
    assert_int_equal(w->refusals, 0);
    wire_connect(w, app_path);
    wire_say(w, GET_LINE HOST "A: 1\r\nB: 2\r\nC: 3\r\n\r\n");
    assert_int_equal(w->status, 431);
    assert_int_equal(w->offset, 37);
    assert_string_equal(w->reason, "too many header fields");
}

static void test_refusal__of_too_much_chunk_overhead(void **state)
{
    struct wire *w = *state;
    static char bytes[20000];
    memset(bytes, 'x', sizeof bytes);
    wire_connect(w, app_probe);
    wire_say(w, CHUNKED "1;");
    wire_send(w, bytes, sizeof bytes);
    wire_settle(w);
    assert_int_equal(w->status, 400);
    assert_string_equal(w->reason, "too many bytes of chunk extensions and trailers");
    assert_int_equal(wire_count(w, "HTTP/1.1 400 "), 1);
}

static void test_refusal__of_a_body_said_to_be_above_the_limit(void **state)
{
    static const struct refusal too_large = { POST "Content-Length: 11\r\n\r\n01234567890", 0, 413, -1, "larger" };
    struct wire *w = *state;
    w->exchanges.body_limit = 10;
    check(w, &too_large, 1);
    assert_saw(w, "");
}

static void test_refusal__of_chunks_above_the_limit(void **state)
{
    static const struct refusal too_large = { CHUNKED "6\r\n123456\r\n5\r\n12345\r\n0\r\n\r\n", 0, 413, -1, "larger" };
    struct wire *w = *state;
    w->exchanges.body_limit = 10;
    check(w, &too_large, 1);
}

static void test_refusal__of_unknown_expectations(void **state)
{
    static const struct refusal expectations[] = {
        { POST "Expect: magic\r\nContent-Length: 1\r\n\r\nx", 0, 417, -1, "expectation" },
        { POST "Expect: 100-continue, magic\r\nContent-Length: 1\r\n\r\nx", 0, 417, -1, "expectation" },
        { POST "Expect: 100-continue\r\nExpect: magic\r\nContent-Length: 1\r\n\r\nx", 0, 417, -1, "expectation" },
        { POST "Expect: 100-continue=1\r\nContent-Length: 1\r\n\r\nx", 0, 417, -1, "expectation" },
    };
    CHECK(state, expectations);
}

static void test_refusal__by_the_worker(void **state)
{
    struct wire *w = *state;
    w->admission = 503;
    wire_connect(w, app_probe);
    wire_say(w, GET_LINE HOST "\r\n" GET_LINE HOST "\r\n");
    assert_int_equal(wire_count(w, "HTTP/1.1 503 Service Unavailable\r\n"), 1);
    assert_non_null(strstr(w->out, "content-length: 19\r\n"));
    assert_non_null(strstr(w->out, "connection: close\r\n"));
    assert_int_equal(w->refusals, 0);
    assert_saw(w, "");
    assert_true(w->ended);
}

static void test_refusal__carries_the_configured_fields(void **state)
{
    static const casgi_header_t server = CASGI_HEADER("server", "casgi");
    struct wire *w = *state;
    w->exchanges.default_headers = &server;
    w->exchanges.default_header_count = 1;
    w->exchanges.date_header = true;
    wire_connect(w, app_probe);
    wire_say(w, "junk\r\n\r\n");
    assert_int_equal(wire_count(w, "server: casgi\r\n"), 1);
    assert_int_equal(wire_count(w, "date: "), 1);
}

/* The client may still be sending: it must be able to read the answer (no reset), but not go on for ever. */
static void test_refusal__lets_the_client_finish_within_bounds(void **state)
{
    struct wire *w = *state;
    static char bytes[100000];
    memset(bytes, 'x', sizeof bytes);
    wire_connect(w, app_probe);
    wire_say(w, "junk\r\n\r\n");
    wire_send(w, bytes, sizeof bytes);
    wire_settle(w);
    assert_non_null(w->c);
    for (int i = 0; i < 11 && w->c; i++) {
        wire_send(w, bytes, sizeof bytes);
        wire_settle(w);
    }
    assert_null(w->c);
    assert_got(w, BAD_REQUEST);
}

static void test_refusal__waits_two_seconds_for_the_client_to_go(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_probe);
    wire_say(w, "junk\r\n\r\n");
    wire_wait(w, SECONDS(1));
    assert_non_null(w->c);
    wire_wait(w, SECONDS(2));
    assert_null(w->c);
    assert_int_equal(w->failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_refusal__of_request_lines),
        WIRE_TEST(test_refusal__of_targets),
        WIRE_TEST(test_refusal__of_field_lines),
        WIRE_TEST(test_refusal__of_hosts),
        WIRE_TEST(test_refusal__of_lengths),
        WIRE_TEST(test_refusal__of_chunks),
        WIRE_TEST(test_refusal__of_the_second_request_of_a_connection),
        WIRE_TEST(test_refusal__answers_as_everyone_knows_it),
        WIRE_TEST(test_refusal__of_a_head_request_has_no_body),
        WIRE_TEST(test_refusal__of_every_byte_that_is_not_allowed),
        WIRE_TEST(test_refusal__of_too_large_a_head),
        WIRE_TEST(test_refusal__of_too_long_a_request_line),
        WIRE_TEST(test_refusal__begins_one_byte_above_the_limit),
        WIRE_TEST(test_refusal__a_large_head_below_the_limit_passes),
        WIRE_TEST(test_refusal__of_too_many_fields),
        WIRE_TEST(test_refusal__of_too_much_chunk_overhead),
        WIRE_TEST(test_refusal__of_a_body_said_to_be_above_the_limit),
        WIRE_TEST(test_refusal__of_chunks_above_the_limit),
        WIRE_TEST(test_refusal__of_unknown_expectations),
        WIRE_TEST(test_refusal__by_the_worker),
        WIRE_TEST(test_refusal__carries_the_configured_fields),
        WIRE_TEST(test_refusal__lets_the_client_finish_within_bounds),
        WIRE_TEST(test_refusal__waits_two_seconds_for_the_client_to_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
