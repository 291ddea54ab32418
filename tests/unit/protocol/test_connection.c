/* The life of a connection: order under pipelining, early answers, deadlines, draining, and the bounds on what it
 * holds. (test_departure.c: clients that leave.) */
#include "wire.h"

#include "protocol/http1_impl.h"

#include <stdio.h>
#include <string.h>

/* ---- pipelining ---- */

static void test_connection__pipelined_requests_wait_for_the_one_before(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_sleep);
    wire_say(w, "GET /300 HTTP/1.1\r\n" HOST "\r\nGET /1 HTTP/1.1\r\n" HOST "\r\nGET /0 HTTP/1.1\r\n" HOST "\r\n");
    assert_saw(w, "</300");
    wire_wait(w, SECONDS(1));
    assert_saw(w, "</300></1></0>");
    assert_got(w, KEPT("4\r\n\r\n/300") KEPT("2\r\n\r\n/1") KEPT("2\r\n\r\n/0"));
}

static void test_connection__requests_that_come_meanwhile_wait(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_sleep);
    wire_say(w, "GET /300 HTTP/1.1\r\n" HOST "\r\n");
    wire_say(w, "GET /1 HT");
    wire_say(w, "TP/1.1\r\n" HOST "\r\nGET /0");
    wire_wait(w, SECONDS(1));
    assert_saw(w, "</300></1>");
    wire_say(w, " HTTP/1.1\r\n" HOST "\r\n");
    wire_wait(w, SECONDS(1));
    assert_got(w, KEPT("4\r\n\r\n/300") KEPT("2\r\n\r\n/1") KEPT("2\r\n\r\n/0"));
}

/* A thousand requests in one go: more than any buffer holds. */
static void test_connection__many_pipelined_requests_are_all_answered(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_probe);
    w->app.call = app_path;
    for (int i = 0; i < 1000; i++) {
        wire_send(w, "GET /x HTTP/1.1\r\n" HOST "\r\n", 28);
    }
    wire_settle(w);
    assert_int_equal(wire_count(w, "\r\n\r\n/x"), 1000);
}

#if defined(__SANITIZE_THREAD__)
enum { ASKED = 10000 }; /* its fibres are slow */
#else
enum { ASKED = 30000 };
#endif

static void test_connection__a_client_that_only_asks_is_no_longer_read(void **state)
{
    struct wire *w = *state;
    w->capacity = 65536;
    wire_connect(w, app_path);
    wire_read(w, false);
    for (int i = 0; i < ASKED; i++) {
        wire_send(w, GET, sizeof GET - 1); /* what does not fit stays at the client's end */
    }
    wire_settle(w);
    assert_in_range(ASKED * (sizeof GET - 1) - stream_queued(w->client), 1, 200000);
    assert_in_range(stream_queued(w->c->stream), 1, HTTP1_QUEUE_MOST + HTTP1_SMALL_SIZE);
    assert_in_range(w->c->kept->capacity, 1, HTTP1_READ_SIZE);
    wire_read(w, true);
    wire_settle(w);
    assert_int_equal(wire_count(w, "\r\n\r\n/"), ASKED);
}

/* ---- early answers ---- */

static void test_connection__the_rest_of_an_unread_body_is_thrown_away(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, POST "Content-Length: 10\r\n\r\nabc");
    assert_got(w, KEPT("1\r\n\r\n/"));
    wire_say(w, "defghij" GET);
    assert_got(w, KEPT("1\r\n\r\n/") KEPT("1\r\n\r\n/"));
}

static void test_connection__the_rest_of_unread_chunks_is_thrown_away(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\n");
    wire_say(w, "de\r\n0\r\n\r\n" GET);
    assert_got(w, KEPT("1\r\n\r\n/") KEPT("1\r\n\r\n/"));
}

static void test_connection__a_large_unread_body_ends_it(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, POST "Content-Length: 100000\r\n\r\nabc");
    assert_got(w, KEPT("1\r\nconnection: close\r\n\r\n/"));
    assert_true(w->ended);
    assert_int_equal(w->failed, 0);
}

static void test_connection__unread_chunks_without_end_end_it(void **state)
{
    struct wire *w = *state;
    static char bytes[40000];
    memset(bytes, 'x', sizeof bytes);
    wire_connect(w, app_path);
    wire_say(w, POST "Transfer-Encoding: chunked\r\n\r\nfffff\r\n");
    assert_got(w, KEPT("1\r\n\r\n/"));
    wire_send(w, bytes, sizeof bytes);
    wire_settle(w);
    assert_false(w->ended);
    wire_send(w, bytes, sizeof bytes);
    wire_settle(w);
    assert_true(w->ended);
    assert_int_equal(w->failed, 0);
}

/* ---- backpressure ---- */

static int app_slow_reader(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    size_t size = 0;
    int rc = casgi_sleep(1000);
    do {
        rc = rc ? rc : casgi_receive(receive, &event);
        size += rc ? 0 : event.http_request.body.len;
    } while (rc == 0 && event.http_request.more_body);
    wire_note(wire_of(app), "%zu", size);
    return app_path(app, scope, receive, send);
}

static void test_connection__a_slow_handler_stops_the_reading(void **state)
{
    struct wire *w = *state;
    static char bytes[1 << 20];
    w->capacity = 65536;
    wire_connect(w, app_slow_reader);
    wire_say(w, POST "Content-Length: 1048576\r\n\r\n");
    wire_send(w, bytes, sizeof bytes);
    wire_settle(w);
    assert_true(stream_queued(w->client) > sizeof bytes - 65536 * 4);
    wire_wait(w, SECONDS(2));
    assert_saw(w, "1048576");
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 1);
}

/* ---- deadlines ---- */

static void test_connection__that_says_nothing_is_closed_without_a_word(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_wait(w, SECONDS(HEAD_SECONDS - 1));
    assert_non_null(w->c);
    wire_wait(w, SECONDS(2));
    assert_null(w->c);
    assert_got(w, "");
    assert_int_equal(w->refusals, 0);
}

static void test_connection__a_slow_head_is_a_408(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET "GET /");
    for (int i = 0; i < HEAD_SECONDS + 1; i++) {
        wire_say(w, "x");
        wire_wait(w, SECONDS(1));
    }
    assert_int_equal(wire_count(w, "HTTP/1.1 408 Request Timeout\r\n"), 1);
    assert_int_equal(w->refusals, 1);
    assert_int_equal(w->status, 408);
    assert_true(w->ended);
}

static void test_connection__each_head_has_its_own_deadline(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, "GET /");
    for (int i = 0; i < 5; i++) {
        wire_wait(w, SECONDS(15));
        wire_say(w, " HTTP/1.1\r\n" HOST "\r\nGET /");
    }
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 5);
    assert_int_equal(w->refusals, 0);
}

static void test_connection__idle_is_closed_after_its_time_and_not_before(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    for (int i = 0; i < 3; i++) {
        wire_say(w, GET);
        wire_wait(w, SECONDS(IDLE_SECONDS - 1));
        assert_non_null(w->c);
    }
    wire_wait(w, SECONDS(2));
    assert_null(w->c);
    assert_int_equal(w->failed, 0);
    assert_int_equal(wire_count(w, "HTTP/1.1"), 3);
}

static void test_connection__resumed_is_idle_from_its_begin(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    http1_resume(w->c);
    wire_wait(w, SECONDS(IDLE_SECONDS - 1));
    assert_non_null(w->c);
    wire_wait(w, SECONDS(2));
    assert_null(w->c);
    assert_got(w, "");
}

/* Some clients end a body with an empty line too many (RFC 9112, section 2.2): that begins no request. */
static void test_connection__an_empty_line_leaves_it_idle(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET "\r\n");
    assert_true(http1_idle(w->c));
    wire_wait(w, SECONDS(IDLE_SECONDS - 1));
    assert_non_null(w->c);
    wire_say(w, "\r\n");
    wire_wait(w, SECONDS(2)); /* nor does it put off the end */
    assert_null(w->c);
    assert_got(w, KEPT("1\r\n\r\n/"));
}

static void test_connection__empty_lines_alone_are_as_good_as_nothing(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    for (int i = 0; i < HEAD_SECONDS - 1; i++) {
        wire_say(w, "\r\n\r\n");
        wire_wait(w, SECONDS(1));
    }
    assert_non_null(w->c);
    wire_wait(w, SECONDS(2));
    assert_null(w->c);
    assert_got(w, "");
}

static void test_connection__half_an_empty_line_has_a_heads_deadline(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET "\r");
    wire_wait(w, SECONDS(HEAD_SECONDS + 1));
    assert_int_equal(w->status, 408);
    assert_true(w->ended);
}

static void test_connection__empty_lines_in_halves_are_as_good_as_nothing(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET);
    for (int i = 0; i < HEAD_SECONDS; i++) {
        wire_say(w, i % 2 ? "\n" : "\r");
        wire_wait(w, SECONDS(1));
    }
    wire_wait(w, SECONDS(1));
    assert_null(w->c);
    assert_int_equal(w->refusals, 0);
    assert_int_equal(wire_count(w, "HTTP/1.1"), 1);
}

static void test_connection__is_not_idle_while_a_request_is_served(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_sleep);
    wire_say(w, GET "GET /200000 HTTP/1.1\r\n" HOST "\r\n");
    wire_wait(w, SECONDS(201));
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 2);
    assert_non_null(w->c);
    wire_wait(w, SECONDS(IDLE_SECONDS - 2));
    assert_non_null(w->c);
}

static void test_connection__a_client_that_stops_reading_is_reset(void **state)
{
    struct wire *w = *state;
    w->capacity = 1000;
    wire_connect(w, app_echo);
    wire_read(w, false);
    wire_say(w, POST "Content-Length: 20000\r\n\r\n");
    static char bytes[20000];
    wire_send(w, bytes, sizeof bytes);
    wire_wait(w, SECONDS(WRITE_SECONDS - 1));
    assert_non_null(w->c);
    wire_wait(w, SECONDS(2));
    assert_null(w->c);
    assert_int_equal(w->refusals, 1);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->exchanges.running, 0);
}

static void test_connection__a_slow_but_steady_reader_is_not_reset(void **state)
{
    struct wire *w = *state;
    w->capacity = 1000;
    wire_connect(w, app_echo);
    wire_read(w, false);
    wire_say(w, POST "Content-Length: 20000\r\n\r\n");
    static char bytes[20000];
    wire_send(w, bytes, sizeof bytes);
    for (int i = 0; i < 15; i++) {
        wire_wait(w, SECONDS(WRITE_SECONDS - 10));
        char piece[1000];
        (void)!stream_recv(w->client, piece, sizeof piece);
        wire_settle(w);
    }
    assert_non_null(w->c);
}

static void begin_slow_body(struct wire *w, const char *request)
{
    w->host.body_rate = 240;
    w->host.body_grace = SECONDS(5);
    wire_connect(w, app_probe);
    wire_say(w, request);
}

static void test_connection__a_body_below_the_rate_is_a_408(void **state)
{
    struct wire *w = *state;
    begin_slow_body(w, POST "Content-Length: 100000\r\n\r\n");
    for (int i = 0; i < 15 && !w->refusals; i++) {
        wire_send(w, "0123456789", 10);
        wire_wait(w, SECONDS(1));
        assert_true(i > 4 || !w->refusals);
    }
    assert_int_equal(w->refusals, 1);
    assert_int_equal(w->status, 408);
    assert_int_equal(wire_count(w, "HTTP/1.1 408"), 1);
    assert_true(w->ended);
}

static void test_connection__a_body_at_the_rate_is_no_408(void **state)
{
    struct wire *w = *state;
    char bytes[300] = { 0 };
    begin_slow_body(w, POST "Content-Length: 18000\r\n\r\n");
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < 60; i++) {
        wire_wait(w, SECONDS(1));
        wire_send(w, bytes, sizeof bytes);
    }
    wire_settle(w);
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 1);
}

static int app_sleep_then_read(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive,
                               casgi_send_t *send)
{
    (void)casgi_sleep(60000);
    return app_probe(app, scope, receive, send);
}

static void test_connection__time_the_handler_takes_is_not_the_clients(void **state)
{
    struct wire *w = *state;
    w->host.body_rate = 240;
    w->host.body_grace = SECONDS(5);
    wire_connect(w, app_sleep_then_read);
    wire_say(w, POST "Content-Length: 2\r\n\r\nx");
    wire_wait(w, SECONDS(61));
    wire_say(w, "y");
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 1);
}

static void test_connection__drained_bodies_have_a_deadline(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, POST "Content-Length: 10\r\n\r\n");
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 1);
    wire_wait(w, SECONDS(HEAD_SECONDS + 1));
    assert_null(w->c);
}

/* ---- draining, closing, handing over ---- */

static void test_connection__idle_ends_when_draining(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET);
    assert_true(http1_idle(w->c));
    size_t size = w->out_size;
    http1_drain(w->c);
    wire_settle(w);
    assert_null(w->c);
    assert_int_equal(w->out_size, size);
    assert_int_equal(w->failed, 0);
}

static void test_connection__an_empty_line_does_not_hold_up_draining(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET "\r\n");
    http1_drain(w->c);
    wire_settle(w);
    assert_null(w->c);
    assert_got(w, KEPT("1\r\n\r\n/"));
}

static void test_connection__a_request_already_here_is_served_when_draining(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET);
    wire_send(w, GET, sizeof GET - 1);
    http1_drain(w->c);
    wire_settle(w);
    assert_got(w, KEPT("1\r\n\r\n/") KEPT("1\r\nconnection: close\r\n\r\n/"));
}

static void test_connection__busy_ends_after_its_response_when_draining(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_sleep);
    wire_say(w, "GET /10 HTTP/1.1\r\n" HOST "\r\n");
    assert_false(http1_idle(w->c));
    http1_drain(w->c);
    wire_wait(w, SECONDS(1));
    assert_got(w, KEPT("3\r\nconnection: close\r\n\r\n/10"));
    assert_true(w->ended);
}

static int app_stream_slowly(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)app;
    (void)scope;
    (void)receive;
    int rc = casgi_send_start(send, 200, NULL, 0);
    rc = rc ? rc : casgi_send_body(send, "a", 1, true);
    rc = rc ? rc : casgi_sleep(10);
    return rc ? rc : casgi_send_body(send, NULL, 0, false);
}

static void on_drained(struct http1_host *host, struct http1 *c)
{
    struct wire *w = host->data;
    assert_true(http1_idle(c));
    w->drained++;
}

static void test_connection__kept_by_a_begun_response_is_given_back_when_drained(void **state)
{
    struct wire *w = *state;
    w->host.on_drained = on_drained;
    wire_connect(w, app_stream_slowly);
    wire_say(w, GET);
    http1_drain(w->c);
    assert_int_equal(w->drained, 0);
    wire_wait(w, SECONDS(1));
    assert_int_equal(w->drained, 1);
    assert_int_equal(wire_count(w, "connection: close"), 0);
    assert_non_null(w->c);
}

static void test_connection__a_begun_head_is_not_idle(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    assert_true(http1_idle(w->c));
    wire_say(w, "G");
    assert_false(http1_idle(w->c));
}

static void test_connection__closed_at_once_tells_the_handler(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_watch);
    wire_say(w, GET);
    http1_close(w->c);
    assert_null(w->c);
    wire_settle(w);
    char expected[64];
    snprintf(expected, sizeof expected, "http.request http.disconnect send %d", CASGI_EDISCONNECTED);
    assert_saw(w, expected);
}

static void test_connection__is_found_by_its_node(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    assert_ptr_equal(http1_from_node(w->connections.next), w->c);
}

/* ---- batches ---- */

static int sends;
static ssize_t (*real_send)(struct stream *, const struct iovec *, int);

static ssize_t counting_send(struct stream *stream, const struct iovec *iov, int count)
{
    sends++;
    return real_send(stream, iov, count);
}

/* Counts the sends of the server's end, which is the only one of the pair that writes responses. */
static void count_sends(struct wire *w, const char *requests)
{
    struct stream *stream = w->client;
    static struct stream_ops ops;
    ops = *stream->ops;
    real_send = ops.send;
    wire_send(w, requests, strlen(requests));
    ops.send = counting_send;
    sends = 0;
    w->c->stream->ops = &ops;
    wire_settle(w);
}

static void test_connection__the_responses_of_a_batch_leave_in_one_send(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    count_sends(w, GET GET GET GET GET GET GET GET);
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 8);
    assert_int_equal(sends, 1);
}

static void test_connection__more_body_does_not_wait_for_the_batch(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_stream_slowly);
    wire_say(w, GET);
    assert_int_equal(wire_count(w, "1\r\na\r\n"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_connection__pipelined_requests_wait_for_the_one_before),
        WIRE_TEST(test_connection__requests_that_come_meanwhile_wait),
        WIRE_TEST(test_connection__many_pipelined_requests_are_all_answered),
        WIRE_TEST(test_connection__a_client_that_only_asks_is_no_longer_read),
        WIRE_TEST(test_connection__the_rest_of_an_unread_body_is_thrown_away),
        WIRE_TEST(test_connection__the_rest_of_unread_chunks_is_thrown_away),
        WIRE_TEST(test_connection__a_large_unread_body_ends_it),
        WIRE_TEST(test_connection__unread_chunks_without_end_end_it),
        WIRE_TEST(test_connection__a_slow_handler_stops_the_reading),
        WIRE_TEST(test_connection__that_says_nothing_is_closed_without_a_word),
        WIRE_TEST(test_connection__a_slow_head_is_a_408),
        WIRE_TEST(test_connection__each_head_has_its_own_deadline),
        WIRE_TEST(test_connection__idle_is_closed_after_its_time_and_not_before),
        WIRE_TEST(test_connection__resumed_is_idle_from_its_begin),
        WIRE_TEST(test_connection__an_empty_line_leaves_it_idle),
        WIRE_TEST(test_connection__empty_lines_alone_are_as_good_as_nothing),
        WIRE_TEST(test_connection__half_an_empty_line_has_a_heads_deadline),
        WIRE_TEST(test_connection__empty_lines_in_halves_are_as_good_as_nothing),
        WIRE_TEST(test_connection__is_not_idle_while_a_request_is_served),
        WIRE_TEST(test_connection__a_client_that_stops_reading_is_reset),
        WIRE_TEST(test_connection__a_slow_but_steady_reader_is_not_reset),
        WIRE_TEST(test_connection__a_body_below_the_rate_is_a_408),
        WIRE_TEST(test_connection__a_body_at_the_rate_is_no_408),
        WIRE_TEST(test_connection__time_the_handler_takes_is_not_the_clients),
        WIRE_TEST(test_connection__drained_bodies_have_a_deadline),
        WIRE_TEST(test_connection__idle_ends_when_draining),
        WIRE_TEST(test_connection__an_empty_line_does_not_hold_up_draining),
        WIRE_TEST(test_connection__a_request_already_here_is_served_when_draining),
        WIRE_TEST(test_connection__busy_ends_after_its_response_when_draining),
        WIRE_TEST(test_connection__kept_by_a_begun_response_is_given_back_when_drained),
        WIRE_TEST(test_connection__a_begun_head_is_not_idle),
        WIRE_TEST(test_connection__closed_at_once_tells_the_handler),
        WIRE_TEST(test_connection__is_found_by_its_node),
        WIRE_TEST(test_connection__the_responses_of_a_batch_leave_in_one_send),
        WIRE_TEST(test_connection__more_body_does_not_wait_for_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
