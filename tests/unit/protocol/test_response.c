/* Responses on the wire: framing by length, by chunks, by the connection's end; what keeps a connection and what ends
 * it. */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "HEAD / HTTP/1.1\r\n" HOST "\r\n"
#define GET10 "GET / HTTP/1.0\r\n\r\n"

static void ask(struct wire *w, int (*app)(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *),
                const char *bytes)
{
    wire_connect(w, app);
    wire_say(w, bytes);
}

/* ---- framing ---- */

static int app_known(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    static const casgi_header_t length = CASGI_HEADER("content-length", "6");
    (void)app;
    (void)scope;
    (void)receive;
    int rc = casgi_send_start(send, 200, &length, 1);
    rc = rc ? rc : casgi_send_body(send, "abc", 3, true);
    return rc ? rc : casgi_send_body(send, "def", 3, false);
}

static int app_unknown(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)app;
    (void)scope;
    (void)receive;
    int rc = casgi_send_start(send, 200, NULL, 0);
    rc = rc ? rc : casgi_send_body(send, NULL, 0, true);
    rc = rc ? rc : casgi_send_body(send, "abc", 3, true);
    rc = rc ? rc : casgi_send_body(send, "0123456789abcdefg", 17, true);
    return rc ? rc : casgi_send_body(send, NULL, 0, false);
}

#define KNOWN "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n"

static void test_response__a_known_length_is_told(void **state)
{
    ask(*state, app_known, GET GET);
    assert_got((struct wire *)*state, KNOWN "\r\nabcdef" KNOWN "\r\nabcdef");
}

static void test_response__an_unknown_length_is_chunked_with_one_end(void **state)
{
    ask(*state, app_unknown, GET);
    assert_got((struct wire *)*state, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                                      "3\r\nabc\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n");
}

static int app_last_chunk_with_bytes(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive,
                                     casgi_send_t *send)
{
    (void)app;
    (void)scope;
    (void)receive;
    int rc = casgi_send_start(send, 200, NULL, 0);
    rc = rc ? rc : casgi_send_body(send, "abc", 3, true);
    return rc ? rc : casgi_send_body(send, "de", 2, false);
}

static void test_response__the_last_chunk_may_have_bytes(void **state)
{
    ask(*state, app_last_chunk_with_bytes, GET);
    assert_got((struct wire *)*state,
               "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
}

static void test_response__one_body_event_has_a_length(void **state)
{
    ask(*state, app_probe, GET GET);
    assert_got((struct wire *)*state, OK_KEPT OK_KEPT);
}

static int app_status(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)app;
    (void)receive;
    int rc = casgi_send_start(send, (int)strtol(scope->path.ptr + 1, NULL, 10), NULL, 0);
    return rc ? rc : casgi_send_body(send, NULL, 0, false);
}

static void test_response__204_and_304_have_no_body_and_no_coding(void **state)
{
    ask(*state, app_status, "GET /204 HTTP/1.1\r\n" HOST "\r\nGET /304 HTTP/1.1\r\n" HOST "\r\n");
    assert_got((struct wire *)*state, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n");
}

static void test_response__unknown_status_has_an_empty_reason(void **state)
{
    ask(*state, app_status, "GET /599 HTTP/1.1\r\n" HOST "\r\n");
    assert_got((struct wire *)*state, "HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n");
}

static void test_response__to_head_is_that_to_get_without_its_body(void **state)
{
    struct wire *w = *state;
    ask(w, app_known, HEAD GET);
    assert_got(w, KNOWN "\r\n" KNOWN "\r\nabcdef");
    ask(w, app_unknown, HEAD HEAD);
    assert_got(w, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    ask(w, app_path, HEAD);
    assert_got(w, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n\r\n");
}

static int app_own_framing(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    static const casgi_header_t headers[] = { CASGI_HEADER("transfer-encoding", "chunked"),
                                              CASGI_HEADER("set-cookie", "a=1"), CASGI_HEADER("set-cookie", "b=2"),
                                              CASGI_HEADER("x", "\t\xff") };
    (void)app;
    (void)scope;
    (void)receive;
    int rc = casgi_send_start(send, 200, headers, 4);
    rc = rc ? rc : casgi_send_body(send, "a", 1, true);
    return rc ? rc : casgi_send_body(send, NULL, 0, false);
}

static void test_response__the_application_does_not_frame(void **state)
{
    ask(*state, app_own_framing, GET);
    assert_got((struct wire *)*state, "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx: \t\xff\r\n"
                                      "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
}

/* ---- who keeps the connection ---- */

static void test_response__close_is_the_clients_to_ask_for(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, "GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n" GET);
    assert_got(w, OK_CLOSED);
    assert_true(w->ended);
    assert_int_equal(w->failed, 0);
    assert_int_equal(wire_count(w, "HTTP/1.1"), 1);
}

static int app_close(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    static const casgi_header_t close = CASGI_HEADER("connection", "close");
    (void)app;
    (void)scope;
    (void)receive;
    int rc = casgi_send_start(send, 200, &close, 1);
    return rc ? rc : casgi_send_body(send, "x", 1, false);
}

static void test_response__close_is_the_applications_to_ask_for(void **state)
{
    struct wire *w = *state;
    ask(w, app_close, GET GET);
    assert_got(w, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx");
    assert_true(w->ended);
}

static void test_response__http_1_0_closes_unless_asked(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, GET10 GET10);
    assert_got(w, OK_CLOSED);
    assert_true(w->ended);
}

static void test_response__http_1_0_is_kept_if_asked(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" GET10);
    assert_got(w, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\nconnection: keep-alive\r\n"
                  "\r\nok\n" OK_CLOSED);
}

static void test_response__close_wins_over_keep_alive(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, "GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n");
    assert_got(w, OK_CLOSED);
}

static void test_response__http_1_0_gets_no_chunks(void **state)
{
    struct wire *w = *state;
    ask(w, app_unknown, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_got(w, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc0123456789abcdefg");
    assert_true(w->ended);
    assert_int_equal(w->failed, 0);
}

/* ---- failures of the application ---- */

static int app_nothing(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)app;
    (void)scope;
    (void)receive;
    (void)send;
    return CASGI_EFAILED;
}

static void test_response__a_failure_is_a_500_and_the_end(void **state)
{
    struct wire *w = *state;
    ask(w, app_nothing, GET GET);
    assert_int_equal(wire_count(w, "HTTP/1.1 500 Internal Server Error\r\n"), 1);
    assert_int_equal(wire_count(w, "connection: close\r\n"), 1);
    assert_true(w->ended);
}

static int app_half(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)app;
    (void)scope;
    (void)receive;
    int rc = casgi_send_start(send, 200, NULL, 0);
    rc = rc ? rc : casgi_send_body(send, "abc", 3, true);
    return rc ? rc : CASGI_EFAILED;
}

static void test_response__a_cut_one_has_no_last_chunk(void **state)
{
    struct wire *w = *state;
    ask(w, app_half, GET GET);
    assert_got(w, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert_true(w->ended);
    assert_int_equal(w->failed, 0);
}

static void test_response__a_cut_one_without_framing_is_reset(void **state)
{
    struct wire *w = *state;
    ask(w, app_half, GET10);
    assert_true(w->ended);
    assert_int_equal(w->failed, CASGI_EDISCONNECTED);
}

/* ---- interim responses ---- */

#define EXPECT "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void test_response__100_comes_when_the_application_receives(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, EXPECT);
    assert_got(w, CONTINUE);
    wire_say(w, "abc" GET);
    assert_got(w, CONTINUE OK_KEPT OK_KEPT);
}

/* An expectation is a member of a list, of which some may be empty (RFC 9110, section 5.6.1). */
static void test_response__100_comes_once_however_it_is_asked_for(void **state)
{
    struct wire *w = *state;
    static const char *const fields[] = { "100-Continue", "100-continue,", ", 100-continue\t, 100-continue",
                                          "100-continue\r\nExpect: 100-continue" };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: %s\r\n\r\n",
                 fields[i]);
        ask(w, app_probe, request);
        assert_got(w, CONTINUE);
        wire_say(w, "abc");
        assert_got(w, CONTINUE OK_KEPT);
    }
}

static void test_response__an_empty_expectation_is_none(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: ,\r\n\r\n");
    assert_got(w, "");
    wire_say(w, "abc");
    assert_got(w, OK_KEPT);
}

static void test_response__100_comes_also_when_the_start_was_only_said(void **state)
{
    struct wire *w = *state;
    ask(w, app_echo, EXPECT);
    assert_got(w, CONTINUE);
    wire_say(w, "abc" GET);
    assert_got(w, CONTINUE "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"
                           "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

static void test_response__no_100_if_the_body_is_there(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, EXPECT "abc");
    assert_got(w, OK_KEPT);
}

static void test_response__no_100_if_part_of_the_body_is_there(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, EXPECT "a");
    assert_got(w, "");
    wire_say(w, "bc");
    assert_got(w, OK_KEPT);
}

static void test_response__no_100_without_a_body(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, "GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n");
    assert_got(w, OK_KEPT);
}

static void test_response__no_100_to_http_1_0(void **state)
{
    struct wire *w = *state;
    ask(w, app_probe, "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_got(w, "");
    wire_say(w, "abc");
    assert_got(w, OK_CLOSED);
}

static void test_response__no_100_and_the_end_if_nobody_receives(void **state)
{
    struct wire *w = *state;
    ask(w, app_path, EXPECT);
    assert_got(w, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1\r\nconnection: close\r\n\r\n/");
    assert_true(w->ended);
}

static int app_hint(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    static const casgi_str_t link = CASGI_STR("</a.css>; rel=preload");
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_EARLY_HINT);
    event.http_response_early_hint = (casgi_http_response_early_hint_t){ &link, 1 };
    int rc = casgi_send(send, &event);
    return rc ? rc : app_path(app, scope, receive, send);
}

static void test_response__hints_go_before_it(void **state)
{
    struct wire *w = *state;
    ask(w, app_hint, GET);
    assert_got(w, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n"
                  "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n\r\n/");
    ask(w, app_hint, GET10);
    assert_int_equal(wire_count(w, "HTTP/1.1 103"), 0);
}

/* ---- trailers ---- */

static int app_trailers(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    static const casgi_header_t sum = CASGI_HEADER("x-sum", "1");
    casgi_event_t start = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_START);
    casgi_event_t trailers = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_TRAILERS);
    (void)app;
    (void)scope;
    (void)receive;
    start.http_response_start.status = 200;
    start.http_response_start.trailers = true;
    trailers.http_response_trailers.headers = &sum;
    trailers.http_response_trailers.header_count = 1;
    int rc = casgi_send(send, &start);
    rc = rc ? rc : casgi_send_body(send, "abc", 3, false);
    return rc ? rc : casgi_send(send, &trailers);
}

static void test_response__trailers_follow_the_last_chunk_if_asked_for(void **state)
{
    struct wire *w = *state;
    ask(w, app_trailers, "GET / HTTP/1.1\r\n" HOST "TE: trailers\r\n\r\n" GET);
    assert_got(w, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"
                  "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
}

/* ---- files ---- */

static int app_file(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t file = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_ZEROCOPYSEND);
    (void)app;
    (void)scope;
    (void)receive;
    FILE *temporary = tmpfile();
    assert_non_null(temporary);
    for (int i = 0; i < 20000; i++) {
        fprintf(temporary, "%05d", i);
    }
    fflush(temporary);
    file.http_response_zerocopysend.file = fileno(temporary);
    file.http_response_zerocopysend.has_offset = true;
    int rc = casgi_send_start(send, 200, NULL, 0);
    rc = rc ? rc : casgi_send(send, &file);
    fclose(temporary);
    return rc;
}

static void test_response__a_file_arrives_whole(void **state)
{
    struct wire *w = *state;
    ask(w, app_file, GET10);
    const char *body = strstr(w->out, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strlen(body + 4), 100000);
    assert_int_equal(strncmp(body + 4, "0000000001", 10), 0);
    assert_string_equal(body + 4 + 99990, "1999819999");
    ask(w, app_file, HEAD GET);
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 2);
    assert_int_equal(wire_count(w, "1999819999"), 1);
}

/* ---- a slow reader ---- */

enum { LARGE = 3 << 20 };

static int app_large(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct wire *w = wire_of(app);
    (void)scope;
    (void)receive;
    char *bytes = malloc(LARGE);
    assert_non_null(bytes);
    for (size_t i = 0; i < LARGE; i++) {
        bytes[i] = (char)('a' + i % 26);
    }
    int rc = casgi_send_start(send, 200, NULL, 0);
    rc = rc ? rc : casgi_send_body(send, bytes, LARGE / 2, true);
    wire_note(w, "half ");
    rc = rc ? rc : casgi_send_body(send, bytes + LARGE / 2, LARGE - LARGE / 2, false);
    wire_note(w, "whole");
    free(bytes);
    return rc;
}

/* The chunked body, joined; its end must be where the bytes end. */
static size_t joined(char *out)
{
    char *from = strstr(out, "\r\n\r\n") + 4, *to = out;
    for (;;) {
        char *end;
        size_t size = strtoul(from, &end, 16);
        assert_int_equal(memcmp(end, "\r\n", 2), 0);
        memmove(to, end + 2, size);
        from = end + 2 + size;
        assert_int_equal(memcmp(from, "\r\n", 2), 0);
        from += 2;
        to += size;
        if (size == 0) {
            assert_int_equal(*from, 0);
            return (size_t)(to - out);
        }
    }
}

static void check_large(struct wire *w, size_t capacity)
{
    w->capacity = capacity;
    wire_connect(w, app_large);
    wire_read(w, false);
    wire_say(w, GET);
    assert_saw(w, "");
    wire_read(w, true);
    wire_settle(w);
    assert_saw(w, "half whole");
    assert_int_equal(joined(w->out), LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        if (w->out[i] != (char)('a' + i % 26)) {
            fail();
        }
    }
    assert_non_null(w->c);
}

static void test_response__a_slow_reader_suspends_send(void **state)
{
    check_large(*state, 65536);
}

/* So small that heads and chunk lines are cut in every way. */
static void test_response__every_cut_of_a_write_is_continued(void **state)
{
    struct wire *w = *state;
    for (size_t capacity = 1; capacity < 120; capacity++) {
        w->capacity = capacity;
        wire_connect(w, app_unknown);
        wire_read(w, false);
        wire_say(w, GET);
        wire_read(w, true);
        wire_settle(w);
        assert_got(w, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                      "3\r\nabc\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_response__a_known_length_is_told),
        WIRE_TEST(test_response__an_unknown_length_is_chunked_with_one_end),
        WIRE_TEST(test_response__the_last_chunk_may_have_bytes),
        WIRE_TEST(test_response__one_body_event_has_a_length),
        WIRE_TEST(test_response__204_and_304_have_no_body_and_no_coding),
        WIRE_TEST(test_response__unknown_status_has_an_empty_reason),
        WIRE_TEST(test_response__to_head_is_that_to_get_without_its_body),
        WIRE_TEST(test_response__the_application_does_not_frame),
        WIRE_TEST(test_response__close_is_the_clients_to_ask_for),
        WIRE_TEST(test_response__close_is_the_applications_to_ask_for),
        WIRE_TEST(test_response__http_1_0_closes_unless_asked),
        WIRE_TEST(test_response__http_1_0_is_kept_if_asked),
        WIRE_TEST(test_response__close_wins_over_keep_alive),
        WIRE_TEST(test_response__http_1_0_gets_no_chunks),
        WIRE_TEST(test_response__a_failure_is_a_500_and_the_end),
        WIRE_TEST(test_response__a_cut_one_has_no_last_chunk),
        WIRE_TEST(test_response__a_cut_one_without_framing_is_reset),
        WIRE_TEST(test_response__100_comes_when_the_application_receives),
        WIRE_TEST(test_response__100_comes_once_however_it_is_asked_for),
        WIRE_TEST(test_response__an_empty_expectation_is_none),
        WIRE_TEST(test_response__100_comes_also_when_the_start_was_only_said),
        WIRE_TEST(test_response__no_100_if_the_body_is_there),
        WIRE_TEST(test_response__no_100_if_part_of_the_body_is_there),
        WIRE_TEST(test_response__no_100_without_a_body),
        WIRE_TEST(test_response__no_100_to_http_1_0),
        WIRE_TEST(test_response__no_100_and_the_end_if_nobody_receives),
        WIRE_TEST(test_response__hints_go_before_it),
        WIRE_TEST(test_response__trailers_follow_the_last_chunk_if_asked_for),
        WIRE_TEST(test_response__a_file_arrives_whole),
        WIRE_TEST(test_response__a_slow_reader_suspends_send),
        WIRE_TEST(test_response__every_cut_of_a_write_is_continued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
