#include "observe/trace_events.h"

#include "base/log.h"
#include "support.h"

#include <string.h>

static struct exchange ex;
static struct exchange_observer *observer;

static int set_up(void **state)
{
    (void)state;
    sample(&ex);
    return trace_events_new(&observer);
}

static int tear_down(void **state)
{
    (void)state;
    trace_events_free(observer);
    return 0;
}

/* The line of one event, without time and level. */
static const char *event_line(bool sent, const casgi_event_t *event, int result)
{
    log_take(CASGI_LOG_TRACE, false);
    observer->on_event(observer, &ex, sent, event, result);
    const char *text = log_taken(2);
    assert_matches(text, "^" TIME " TRACE:    \\[abc\\] ASGI [^\n]*\n$");
    return strstr(text, "ASGI ") + 5;
}

static void test_trace__a_request_event_shows_its_size(void **state)
{
    (void)state;
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_REQUEST);
    event.http_request.body = casgi_str("secret body\n.");
    event.http_request.more_body = true;
    assert_string_equal(event_line(false, &event, 0), "receive http.request <13 bytes> more_body=true\n");
}

static void test_trace__a_start_shows_status_and_fields(void **state)
{
    (void)state;
    casgi_header_t headers[] = { CASGI_HEADER("content-type", "text/plain"), CASGI_HEADER("set-cookie", "id=1") };
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_START);
    event.http_response_start.status = 201;
    event.http_response_start.headers = headers;
    event.http_response_start.header_count = 2;
    assert_string_equal(event_line(true, &event, 0),
                        "send http.response.start status=201 headers=[\"content-type: text/plain\", "
                        "\"set-cookie: <4 bytes>\"] trailers=false\n");
}

static void test_trace__a_failure_is_named(void **state)
{
    (void)state;
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_BODY);
    assert_string_equal(
        event_line(true, &event, CASGI_EPROTO),
        "send http.response.body <0 bytes> more_body=false -> EPROTO (this event is not allowed now)\n");
}

static void test_trace__a_receive_that_failed_has_no_event(void **state)
{
    (void)state;
    casgi_event_t garbage;
    memset(&garbage, 0xa5, sizeof(garbage));
    assert_string_equal(event_line(false, &garbage, CASGI_EBUSY),
                        "receive -> EBUSY (another call is already waiting here)\n");
}

static void test_trace__an_unknown_type_is_shown_as_such(void **state)
{
    (void)state;
    casgi_event_t event = CASGI_EVENT_INIT(9999);
    assert_string_equal(event_line(true, &event, 0), "send unknown\n");
}

static void test_trace__files_paths_and_links(void **state)
{
    (void)state;
    casgi_event_t file = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_ZEROCOPYSEND);
    file.http_response_zerocopysend.file = 9;
    file.http_response_zerocopysend.has_count = true;
    file.http_response_zerocopysend.count = 70;
    assert_string_equal(event_line(true, &file, 0),
                        "send http.response.zerocopysend file=9 count=70 more_body=false\n");
    casgi_event_t path = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_PATHSEND);
    path.http_response_pathsend.path = casgi_str("/a\"b");
    assert_string_equal(event_line(true, &path, 0), "send http.response.pathsend path=\"/a\\\"b\"\n");
    casgi_str_t links[] = { CASGI_STR("</a>"), CASGI_STR("</b>") };
    casgi_event_t hint = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_EARLY_HINT);
    hint.http_response_early_hint.links = links;
    hint.http_response_early_hint.link_count = 2;
    assert_string_equal(event_line(true, &hint, 0), "send http.response.early_hint link=\"</a>\" link=\"</b>\"\n");
}

static void test_trace__websocket_events(void **state)
{
    (void)state;
    casgi_event_t message = CASGI_EVENT_INIT(CASGI_WEBSOCKET_RECEIVE);
    message.websocket_message.text = casgi_str("hello");
    assert_string_equal(event_line(false, &message, 0), "receive websocket.receive text <5 bytes>\n");
    casgi_event_t closed = CASGI_EVENT_INIT(CASGI_WEBSOCKET_CLOSE);
    closed.websocket_close.code = 1001;
    closed.websocket_close.reason = casgi_str("bye");
    assert_string_equal(event_line(true, &closed, 0), "send websocket.close code=1001 reason=\"bye\"\n");
    casgi_event_t accepted = CASGI_EVENT_INIT(CASGI_WEBSOCKET_ACCEPT);
    accepted.websocket_accept.subprotocol = casgi_str("chat");
    assert_string_equal(event_line(true, &accepted, 0), "send websocket.accept subprotocol=\"chat\" headers=[]\n");
}

static void test_trace__begin_shows_the_request_without_credentials(void **state)
{
    (void)state;
    log_take(CASGI_LOG_TRACE, false);
    observer->on_begin(observer, &ex);
    assert_matches(log_taken(2), " ASGI begin http \"GET /x\\?y\" http_version=1\\.1 client=127\\.0\\.0\\.1:51234 "
                                 "headers=\\[\"host: localhost\", \"user-agent: curl/\\\\\"8\\\\\"\", "
                                 "\"authorization: <14 bytes>\"\\]\n$");
}

static void test_trace__end_shows_the_record(void **state)
{
    (void)state;
    ex.record.why = "the handler failed";
    ex.record.app_result = CASGI_EFAILED;
    log_take(CASGI_LOG_TRACE, false);
    observer->on_end(observer, &ex);
    assert_matches(log_taken(2), " ASGI end status=200 bytes_in=5 bytes_out=13 duration=0\\.215ms result=EFAILED "
                                 "aborted=false why=\"the handler failed\"\n$");
}

static void test_trace__is_silent_below_its_level(void **state)
{
    (void)state;
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_REQUEST);
    log_take(CASGI_LOG_DEBUG, false);
    observer->on_begin(observer, &ex);
    observer->on_event(observer, &ex, false, &event, 0);
    observer->on_end(observer, &ex);
    assert_string_equal(log_taken(2), "");
}

static void test_trace__the_tag_of_the_running_request_stays(void **state)
{
    (void)state;
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_REQUEST);
    (void)log_set_request(casgi_str("other"));
    (void)event_line(false, &event, 0);
    assert_string_equal(log_set_request((casgi_str_t){ NULL, 0 }).ptr, "other");
}

static void test_trace__very_many_fields_are_cut(void **state)
{
    (void)state;
    static casgi_header_t headers[500];
    for (size_t i = 0; i < 500; i++) {
        headers[i] = casgi_header("x-field", "\"value\"");
    }
    ex.scope.headers = headers;
    ex.scope.header_count = 500;
    log_take(CASGI_LOG_TRACE, true);
    observer->on_begin(observer, &ex);
    const char *text = log_taken(2);
    assert_true(strlen(text) <= LOG_LINE_MAX);
    assert_matches(text, "^\\{\"time\".*\"request_id\":\"abc\"\\}\n$");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_trace__a_request_event_shows_its_size),
        TEST(test_trace__a_start_shows_status_and_fields),
        TEST(test_trace__a_failure_is_named),
        TEST(test_trace__a_receive_that_failed_has_no_event),
        TEST(test_trace__an_unknown_type_is_shown_as_such),
        TEST(test_trace__files_paths_and_links),
        TEST(test_trace__websocket_events),
        TEST(test_trace__begin_shows_the_request_without_credentials),
        TEST(test_trace__end_shows_the_record),
        TEST(test_trace__is_silent_below_its_level),
        TEST(test_trace__the_tag_of_the_running_request_stays),
        TEST(test_trace__very_many_fields_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
