/* Clients that leave: before, within and behind a request, with an end or a reset, seen or behind bytes that nobody
 * receives; what the handler hears of it, and what is still answered. */
#include "wire.h"

#include "protocol/http1_impl.h"

#include <stdio.h>
#include <string.h>

static void test_departure__ended_by_the_client_while_idle_is_closed(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET);
    wire_finish(w);
    assert_null(w->c);
    assert_true(w->ended);
    assert_int_equal(w->failed, 0);
    assert_int_equal(w->closed, 1);
}

/* Receives nothing for a second, then all. */
static int app_slow_watch(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    size_t size = 0;
    int rc = casgi_sleep(1000);
    (void)scope, (void)send;
    do {
        rc = rc ? rc : casgi_receive(receive, &event);
        size += !rc && event.type == CASGI_HTTP_REQUEST ? event.http_request.body.len : 0;
    } while (rc == 0 && event.type == CASGI_HTTP_REQUEST);
    wire_note(wire_of(app), "%zu %s", size, rc ? "failed" : casgi_event_name(event.type));
    return rc;
}

static void test_departure__half_closed_after_the_request_is_still_answered(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_watch);
    wire_say(w, POST "Content-Length: 1\r\n\r\nx");
    assert_saw(w, "http.requestx ");
    wire_finish(w);
    assert_saw(w, "http.requestx http.disconnect send 0");
    assert_got(w, KEPT("1\r\nconnection: close\r\n\r\n/"));
    assert_null(w->c);
}

static void test_departure__pipelined_requests_before_a_half_close_are_answered(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_sleep);
    wire_send(w, "GET /20 HTTP/1.1\r\n" HOST "\r\nGET /1 HTTP/1.1\r\n" HOST "\r\nGET /par", 66);
    wire_finish(w);
    wire_wait(w, SECONDS(1));
    assert_saw(w, "</20></1>");
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 2);
    assert_null(w->c);
}

static void test_departure__ended_within_the_body_is_a_disconnect(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_watch);
    wire_say(w, POST "Content-Length: 5\r\n\r\nx");
    wire_finish(w);
    char expected[64];
    snprintf(expected, sizeof expected, "http.requestx http.disconnect send %d", CASGI_EDISCONNECTED);
    assert_saw(w, expected);
    assert_got(w, "");
    assert_null(w->c);
}

static void test_departure__ended_within_the_chunks_is_a_disconnect(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_probe);
    wire_say(w, POST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n");
    wire_finish(w);
    assert_saw(w, "POST / 1.1 host=a,transfer-encoding=chunked [x~]\n");
    assert_got(w, "");
}

static void test_departure__reset_is_noticed_while_the_handler_waits(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_watch);
    wire_say(w, GET);
    wire_hang_up(w, true);
    char expected[64];
    snprintf(expected, sizeof expected, "http.request http.disconnect send %d", CASGI_EDISCONNECTED);
    assert_saw(w, expected);
    assert_null(w->c);
}

static void test_departure__reset_is_noticed_though_nothing_is_read(void **state)
{
    struct wire *w = *state;
    static char bytes[40000];
    memset(bytes, 'x', sizeof bytes);
    wire_connect(w, app_watch);
    wire_say(w, GET);
    wire_send(w, bytes, sizeof bytes); /* more than is kept of a next request */
    wire_settle(w);
    assert_non_null(w->c);
    wire_hang_up(w, true);
    assert_null(w->c);
    assert_int_equal(w->exchanges.running, 0);
}

static void test_departure__an_end_is_noticed_though_nothing_is_read(void **state)
{
    struct wire *w = *state;
    enum { BEHIND = 1000 };
    wire_connect(w, app_watch);
    wire_say(w, GET);
    w->app.call = app_path;
    for (int i = 0; i < BEHIND; i++) {
        wire_send(w, GET, sizeof GET - 1);
    }
    wire_settle(w);
    assert_false(w->c->stream->reading);
    assert_saw(w, "http.request ");
    wire_finish(w);
    assert_saw(w, "http.request http.disconnect send 0");
    assert_int_equal(wire_count(w, "\r\n\r\n/"), 1 + BEHIND); /* all that it asked for is answered */
    assert_null(w->c);
}

static void test_departure__an_end_behind_a_body_is_told_when_that_is_whole(void **state)
{
    struct wire *w = *state;
    static char bytes[200000];
    wire_connect(w, app_slow_watch);
    memset(bytes, 'x', sizeof bytes);
    wire_say(w, POST "Content-Length: 200000\r\n\r\n");
    wire_send(w, bytes, sizeof bytes);
    wire_settle(w);
    wire_send(w, bytes, 40000); /* of a next request, which does not end */
    wire_settle(w);
    wire_finish(w);
    assert_saw(w, "");
    wire_wait(w, SECONDS(2));
    assert_saw(w, "200000 http.disconnect");
    assert_null(w->c);
}

static void test_departure__an_end_behind_a_broken_body_does_not_cost_the_answer(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_slow_watch);
    wire_say(w, POST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    wire_say(w, "no chunk\r\n");
    wire_finish(w);
    wire_wait(w, SECONDS(2));
    assert_saw(w, "0 http.disconnect");
    assert_got(w, BAD_REQUEST);
}

static int app_goes_on(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    wire_note(wire_of(app), "%s ", casgi_sleep(1000) == CASGI_ECANCELED ? "cancelled" : "slept");
    casgi_uncancel();
    wire_note(wire_of(app), "%s, ", casgi_sleep(1000) == CASGI_ECANCELED ? "cancelled" : "slept");
    return app_path(app, scope, receive, send);
}

/* Also one that was told before the end itself is received. */
static void test_departure__an_end_is_told_to_each_request_once(void **state)
{
    struct wire *w = *state;
    char large[9001];
    size_t head = (size_t)snprintf(large, sizeof large, "GET / HTTP/1.1\r\n" HOST "X: ");
    memset(large + head, 'x', 9000 - 4 - head);
    memcpy(large + 9000 - 4, "\r\n\r\n", 5);
    w->exchanges.app_flags = CASGI_APP_CANCEL_ON_DISCONNECT;
    wire_connect(w, app_goes_on);
    wire_say(w, GET);
    wire_say(w, large);
    wire_say(w, large); /* more than is kept of next requests */
    wire_finish(w);
    for (int i = 0; i < 6; i++) {
        wire_wait(w, SECONDS(1));
    }
    assert_saw(w, "cancelled slept, cancelled slept, cancelled slept, ");
    assert_null(w->c);
}

static void test_departure__gone_while_the_handler_sleeps_leaves_the_handler_alone(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_sleep);
    wire_say(w, "GET /5000 HTTP/1.1\r\n" HOST "\r\n");
    wire_hang_up(w, true);
    assert_null(w->c);
    assert_int_equal(w->exchanges.running, 1);
    wire_wait(w, SECONDS(6));
    assert_saw(w, "</5000>");
    assert_int_equal(w->exchanges.running, 0);
}

/* Says who asked, once the connection is gone. */
static int app_late_client(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct wire *w = wire_of(app);
    (void)receive, (void)send;
    int rc = task_interface.sleep(5000);
    wire_note(w, "%s:%d, closed %d", scope->client.host.ptr, scope->client.port, w->closed);
    return rc;
}

static void test_departure__addresses_outlive_it(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_late_client);
    wire_say(w, GET);
    wire_hang_up(w, true);
    assert_null(w->c);
    wire_wait(w, SECONDS(6));
    assert_saw(w, "10.0.0.2:40000, closed 1");
}

static void test_departure__broken_chunks_are_a_disconnect_for_the_handler(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_watch);
    wire_say(w, POST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    wire_say(w, "zz");
    assert_saw(w, "http.requestx http.disconnect send 0");
    assert_int_equal(w->refusals, 1);
    assert_int_equal(w->status, 400);
    assert_int_equal(wire_count(w, "connection: close\r\n"), 1);
    assert_true(w->ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_departure__ended_by_the_client_while_idle_is_closed),
        WIRE_TEST(test_departure__half_closed_after_the_request_is_still_answered),
        WIRE_TEST(test_departure__pipelined_requests_before_a_half_close_are_answered),
        WIRE_TEST(test_departure__ended_within_the_body_is_a_disconnect),
        WIRE_TEST(test_departure__ended_within_the_chunks_is_a_disconnect),
        WIRE_TEST(test_departure__reset_is_noticed_while_the_handler_waits),
        WIRE_TEST(test_departure__reset_is_noticed_though_nothing_is_read),
        WIRE_TEST(test_departure__an_end_is_noticed_though_nothing_is_read),
        WIRE_TEST(test_departure__an_end_behind_a_body_is_told_when_that_is_whole),
        WIRE_TEST(test_departure__an_end_behind_a_broken_body_does_not_cost_the_answer),
        WIRE_TEST(test_departure__an_end_is_told_to_each_request_once),
        WIRE_TEST(test_departure__gone_while_the_handler_sleeps_leaves_the_handler_alone),
        WIRE_TEST(test_departure__addresses_outlive_it),
        WIRE_TEST(test_departure__broken_chunks_are_a_disconnect_for_the_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
