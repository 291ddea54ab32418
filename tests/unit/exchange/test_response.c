/* What send accepts, in which order, and what becomes of it. */
#include "fixture.h"

HANDLER(say_hello)
{
    (void)f, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "Hello");
}

static void test_response__start_and_body_are_one_write(void **state)
{
    struct fixture *f = *state;
    assert_null(fixture_get(f, say_hello));
    assert_int_equal(f->driver.status, 200);
    assert_int_equal(f->driver.writes, 1);
    assert_memory_equal(f->driver.body, "Hello", 5);
    assert_true(f->driver.last);
    assert_int_equal(f->driver.ends, 1);
    assert_int_equal(f->driver.aborts, 0);
}

static void test_response__length_of_a_single_body_is_known(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, say_hello);
    assert_int_equal(f->driver.content_length, 5);
}

static void test_response__record_says_what_happened(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, say_hello);
    assert_int_equal(f->ended, 1);
    assert_int_equal(f->record.status, 200);
    assert_int_equal(f->record.bytes_out, 5);
    assert_int_equal(f->record.app_result, 0);
    assert_null(f->record.why);
    assert_false(f->record.failed);
    assert_false(f->record.aborted);
    assert_true(f->record.began && f->record.started && f->record.ended);
}

HANDLER(stream_three)
{
    (void)f, (void)scope, (void)receive;
    f->rc[0] = fixture_start(send, 200, NULL);
    f->rc[1] = fixture_body_event(send, "one", true);
    f->rc[2] = fixture_body_event(send, "two", true);
    f->rc[3] = fixture_body_event(send, "three", false);
    return 0;
}

static void test_response__streamed_body_has_no_length(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, stream_three);
    assert_int_equal(f->driver.content_length, -1);
    assert_int_equal(f->driver.writes, 3);
    assert_memory_equal(f->driver.body, "onetwothree", 11);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(keep_size_after_first)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "one", true);
    f->rc[0] = (int)f->driver.body_size;
    return fixture_body_event(send, "", false);
}

static void test_response__more_body_has_left_before_send_returns(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, keep_size_after_first);
    assert_int_equal(f->rc[0], 3);
}

HANDLER(flush_with_empty_body)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "", true);
    f->rc[0] = f->driver.head_left;
    f->rc[1] = (int)f->driver.offers;
    fixture_body_event(send, "", true);
    f->rc[2] = (int)f->driver.offers;
    return fixture_body_event(send, "x", false);
}

static void test_response__empty_body_event_sends_the_head_and_nothing_later(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, flush_with_empty_body);
    assert_true(f->rc[0]);
    assert_int_equal(f->rc[1], 1);
    assert_int_equal(f->rc[2], 1);
    assert_int_equal(f->driver.body_size, 1);
    assert_int_equal(f->driver.ends, 1);
}

/* ---- order ---- */

HANDLER(body_first)
{
    (void)scope, (void)receive;
    f->rc[0] = fixture_body_event(send, "x", false);
    return f->rc[0];
}

static void test_response__body_before_start_is_refused_and_a_500(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, body_first);
    assert_int_equal(f->rc[0], CASGI_EPROTO);
    assert_int_equal(f->driver.status, 500);
    assert_string_equal(f->record.refused, "http.response.body before http.response.start");
}

HANDLER(start_twice)
{
    (void)scope, (void)receive;
    fixture_start(send, 201, NULL);
    f->rc[0] = fixture_start(send, 202, NULL);
    return fixture_body_event(send, "ok", false);
}

static void test_response__second_start_is_refused_and_the_first_stays(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, start_twice);
    assert_int_equal(f->rc[0], CASGI_EPROTO);
    assert_int_equal(f->driver.status, 201);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(send_after_end)
{
    (void)scope, (void)receive;
    casgi_respond(send, 200, "text/plain", "first");
    f->rc[0] = fixture_body_event(send, "second", false);
    f->rc[1] = fixture_start(send, 200, NULL);
    return 0;
}

static void test_exchange__send_after_end_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, send_after_end);
    assert_int_equal(f->rc[0], CASGI_EPROTO);
    assert_int_equal(f->rc[1], CASGI_EPROTO);
    assert_int_equal(f->driver.body_size, 5);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(send_odd_types)
{
    (void)scope, (void)receive;
    static const uint32_t types[] = { CASGI_HTTP_REQUEST, CASGI_WEBSOCKET_SEND, 12345, CASGI_HTTP_RESPONSE_PUSH,
                                      CASGI_HTTP_RESPONSE_DEBUG };
    for (size_t i = 0; i < 5; i++) {
        casgi_event_t event = CASGI_EVENT_INIT(types[i]);
        f->rc[i] = casgi_send(send, &event);
    }
    return casgi_respond(send, 200, "text/plain", "still works");
}

static void test_response__unknown_types_are_refused_without_harm(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, send_odd_types);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_int_equal(f->rc[1], CASGI_EINVAL);
    assert_int_equal(f->rc[2], CASGI_EINVAL);
    assert_int_equal(f->driver.status, 200);
}

static void test_response__push_and_debug_are_not_supported(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, send_odd_types);
    assert_int_equal(f->rc[3], CASGI_ENOTSUP);
    assert_int_equal(f->rc[4], CASGI_ENOTSUP);
}

/* ---- what the handler returns ---- */

HANDLER(return_nothing)
{
    (void)f, (void)scope, (void)receive, (void)send;
    return 0;
}

static void test_response__handler_without_response_is_a_500(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, return_nothing);
    assert_int_equal(f->driver.status, 500);
    assert_memory_equal(f->driver.body, "Internal Server Error", 21);
    assert_int_equal(f->driver.body_size, 21);
    assert_int_equal(f->driver.content_length, 21);
    assert_true(f->driver.close);
    assert_string_equal(fake_driver_field(&f->driver, "content-type"), "text/plain; charset=utf-8");
    assert_int_equal(f->driver.ends, 1);
    assert_int_equal(f->record.status, 500);
    assert_true(f->record.failed);
    assert_string_equal(f->record.why, "the handler returned without a response");
}

HANDLER(fail_at_once)
{
    (void)f, (void)scope, (void)receive, (void)send;
    return CASGI_EFAILED;
}

static void test_response__failing_handler_is_a_500(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, fail_at_once);
    assert_int_equal(f->driver.status, 500);
    assert_int_equal(f->record.app_result, CASGI_EFAILED);
    assert_true(f->record.failed);
}

HANDLER(fail_after_start)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, "x-mine", "1", NULL);
    return CASGI_EFAILED;
}

static void test_response__failure_after_the_start_is_still_a_clean_500(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, fail_after_start);
    assert_int_equal(f->driver.heads, 1);
    assert_int_equal(f->driver.status, 500);
    assert_null(fake_driver_field(&f->driver, "x-mine"));
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(return_after_start)
{
    (void)f, (void)scope, (void)receive;
    return fixture_start(send, 200, NULL);
}

static void test_response__start_that_was_never_followed_is_cut(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, return_after_start);
    assert_int_equal(f->driver.heads, 0);
    assert_int_equal(f->driver.aborts, 1);
    assert_true(f->record.aborted && f->record.failed);
}

HANDLER(fail_midway)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "half", true);
    return CASGI_EFAILED;
}

static void test_response__failure_in_the_midst_is_cut(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, fail_midway);
    assert_int_equal(f->driver.heads, 1);
    assert_int_equal(f->driver.aborts, 1);
    assert_int_equal(f->driver.ends, 0);
    assert_int_equal(f->driver.abort_code, CASGI_EFAILED);
    assert_int_equal(f->record.status, 200);
    assert_true(f->record.aborted && f->record.failed);
}

HANDLER(return_midway)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    return fixture_body_event(send, "half", true);
}

static void test_response__return_in_the_midst_is_cut(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, return_midway);
    assert_int_equal(f->driver.aborts, 1);
    assert_string_equal(f->record.why, "the handler returned in the midst of its response");
}

HANDLER(fail_after_response)
{
    (void)f, (void)scope, (void)receive;
    casgi_respond(send, 200, "text/plain", "ok");
    return CASGI_EFAILED;
}

static void test_response__failure_after_the_response_leaves_it_whole(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, fail_after_response);
    assert_int_equal(f->driver.ends, 1);
    assert_int_equal(f->driver.status, 200);
    assert_true(f->record.failed);
    assert_string_equal(f->record.why, "the handler failed after its response");
}

HANDLER(refused_then_zero)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, "content-length", "3", NULL);
    f->rc[0] = fixture_body_event(send, "too long", false);
    return 0;
}

static void test_response__refused_event_that_the_handler_ignored_is_a_500(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, refused_then_zero);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_int_equal(f->driver.status, 500);
    assert_int_equal(f->driver.body_size, 21);
}

/* ---- the content-length account ---- */

HANDLER(exact_length)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, "Content-Length", "6", NULL);
    fixture_body_event(send, "abc", true);
    return fixture_body_event(send, "def", false);
}

static void test_length__exact_body_is_whole(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, exact_length);
    assert_int_equal(f->driver.content_length, 6);
    assert_int_equal(fake_driver_count(&f->driver, "content-length"), 0);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(too_long)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, "content-length", "4", NULL);
    f->rc[0] = fixture_body_event(send, "abc", true);
    f->rc[1] = fixture_body_event(send, "def", false);
    f->rc[2] = fixture_body_event(send, "g", false);
    return 0;
}

static void test_length__longer_body_is_cut_at_once(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, too_long);
    assert_int_equal(f->rc[0], 0);
    assert_int_equal(f->rc[1], CASGI_EINVAL);
    assert_int_equal(f->rc[2], CASGI_EINVAL);
    assert_int_equal(f->driver.body_size, 3);
    assert_int_equal(f->driver.aborts, 1);
    assert_true(f->driver.aborted_in_task);
    assert_string_equal(f->record.why, "the body is longer than its content-length");
    assert_true(f->record.failed && f->record.aborted);
}

HANDLER(too_short)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, "content-length", "10", NULL);
    fixture_body_event(send, "abc", true);
    f->rc[0] = fixture_body_event(send, "def", false);
    return 0;
}

static void test_length__shorter_body_is_cut(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, too_short);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_int_equal(f->driver.aborts, 1);
    assert_false(f->driver.last);
}

HANDLER(correct_after_refusal)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, "content-length", "3", NULL);
    f->rc[0] = fixture_body_event(send, "toolong", false);
    return fixture_body_event(send, "yes", false);
}

static void test_length__first_event_refused_before_anything_left_may_be_corrected(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, correct_after_refusal);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_int_equal(f->driver.status, 200);
    assert_memory_equal(f->driver.body, "yes", 3);
    assert_int_equal(f->driver.ends, 1);
}

/* ---- HEAD, 204, 304 ---- */

static void test_bodiless__head_keeps_the_length_and_drops_the_bytes(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, say_hello, "HEAD", "/");
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.content_length, 5);
    assert_false(f->driver.body_allowed);
    assert_int_equal(f->driver.body_size, 0);
    assert_int_equal(f->driver.ends, 1);
    assert_int_equal(f->record.bytes_out, 0);
}

HANDLER(head_with_length_only)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, "content-length", "1000", NULL);
    return fixture_body_event(send, "", false);
}

static void test_bodiless__head_may_send_a_length_without_a_body(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, head_with_length_only, "HEAD", "/");
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.content_length, 1000);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(head_with_nothing)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    return fixture_body_event(send, "", false);
}

static void test_bodiless__empty_body_to_a_head_tells_no_length(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, head_with_nothing, "HEAD", "/");
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.content_length, -1);
    assert_int_equal(f->driver.ends, 1);
}

static void test_bodiless__head_streamed_is_whole(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, stream_three, "HEAD", "/");
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.body_size, 0);
    assert_true(f->driver.last);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(no_content)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 204, "content-length", "5", NULL);
    return fixture_body_event(send, "drop!", false);
}

static void test_bodiless__204_has_neither_body_nor_length(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, no_content);
    assert_false(f->driver.body_allowed);
    assert_int_equal(f->driver.content_length, -1);
    assert_int_equal(f->driver.body_size, 0);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(not_modified)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 304, "etag", "\"x\"", NULL);
    return fixture_body_event(send, "", false);
}

static void test_bodiless__304_without_a_length_gets_none(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, not_modified);
    assert_false(f->driver.body_allowed);
    assert_int_equal(f->driver.content_length, -1);
}

/* ---- backpressure ---- */

static void test_backpressure__send_waits_until_all_is_taken(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 2;
    struct exchange *ex = fixture_get(f, say_hello);
    assert_non_null(ex);
    assert_int_equal(f->driver.body_size, 2);
    f->driver.room = 3;
    exchange_writable(ex);
    fixture_run(f);
    assert_memory_equal(f->driver.body, "Hello", 5);
    assert_int_equal(f->driver.ends, 1);
}

static void test_backpressure__head_that_has_not_left_is_waited_for(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 0;
    struct exchange *ex = fixture_get(f, flush_with_empty_body);
    assert_non_null(ex);
    assert_false(f->driver.head_left);
    f->driver.room = SIZE_MAX;
    exchange_writable(ex);
    fixture_run(f);
    assert_int_equal(f->driver.ends, 1);
}

static void test_backpressure__the_500_waits_without_a_task(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 10;
    struct exchange *ex = fixture_get(f, return_nothing);
    assert_non_null(ex);
    assert_int_equal(task_count(f->loop), 0);
    assert_int_equal(f->driver.body_size, 10);
    f->driver.room = SIZE_MAX;
    exchange_writable(ex);
    fixture_run(f);
    assert_memory_equal(f->driver.body, "Internal Server Error", 21);
    assert_int_equal(f->driver.ends, 1);
}

static void test_backpressure__client_that_leaves_during_the_500_ends_it(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 10;
    struct exchange *ex = fixture_get(f, return_nothing);
    exchange_gone(ex, true);
    assert_non_null(f->driver.ex); /* not inside the call */
    fixture_run(f);
    assert_int_equal(f->driver.aborts, 1);
    assert_int_equal(f->host.running, 0);
}

/* ---- the server's own fields ---- */

static const casgi_header_t defaults[] = { CASGI_HEADER("server", "casgi"), CASGI_HEADER("x-extra", "1"),
                                           CASGI_HEADER("x-extra", "2") };

static void test_defaults__are_added_with_the_date(void **state)
{
    struct fixture *f = *state;
    f->host.default_headers = defaults;
    f->host.default_header_count = 3;
    f->host.date_header = true;
    fixture_get(f, say_hello);
    assert_string_equal(f->driver.fields[0].name, "content-type");
    assert_string_equal(fake_driver_field(&f->driver, "server"), "casgi");
    assert_int_equal(fake_driver_count(&f->driver, "x-extra"), 2);
    assert_int_equal(strlen(fake_driver_field(&f->driver, "date")), 29);
}

HANDLER(own_fields)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, "Server", "mine", "Date", "today", NULL);
    return fixture_body_event(send, "x", false);
}

static void test_defaults__are_left_out_where_the_application_has_its_own(void **state)
{
    struct fixture *f = *state;
    f->host.default_headers = defaults;
    f->host.default_header_count = 3;
    f->host.date_header = true;
    fixture_get(f, own_fields);
    assert_int_equal(fake_driver_count(&f->driver, "server"), 1);
    assert_string_equal(fake_driver_field(&f->driver, "server"), "mine");
    assert_int_equal(fake_driver_count(&f->driver, "date"), 1);
    assert_string_equal(fake_driver_field(&f->driver, "date"), "today");
}

static void test_defaults__are_on_the_500_too(void **state)
{
    struct fixture *f = *state;
    f->host.default_headers = defaults;
    f->host.default_header_count = 3;
    f->host.date_header = true;
    fixture_get(f, return_nothing);
    assert_string_equal(fake_driver_field(&f->driver, "server"), "casgi");
    assert_non_null(fake_driver_field(&f->driver, "date"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_response__start_and_body_are_one_write),
        FIXTURE_TEST(test_response__length_of_a_single_body_is_known),
        FIXTURE_TEST(test_response__record_says_what_happened),
        FIXTURE_TEST(test_response__streamed_body_has_no_length),
        FIXTURE_TEST(test_response__more_body_has_left_before_send_returns),
        FIXTURE_TEST(test_response__empty_body_event_sends_the_head_and_nothing_later),
        FIXTURE_TEST(test_response__body_before_start_is_refused_and_a_500),
        FIXTURE_TEST(test_response__second_start_is_refused_and_the_first_stays),
        FIXTURE_TEST(test_exchange__send_after_end_is_refused),
        FIXTURE_TEST(test_response__unknown_types_are_refused_without_harm),
        FIXTURE_TEST(test_response__push_and_debug_are_not_supported),
        FIXTURE_TEST(test_response__handler_without_response_is_a_500),
        FIXTURE_TEST(test_response__failing_handler_is_a_500),
        FIXTURE_TEST(test_response__failure_after_the_start_is_still_a_clean_500),
        FIXTURE_TEST(test_response__start_that_was_never_followed_is_cut),
        FIXTURE_TEST(test_response__failure_in_the_midst_is_cut),
        FIXTURE_TEST(test_response__return_in_the_midst_is_cut),
        FIXTURE_TEST(test_response__failure_after_the_response_leaves_it_whole),
        FIXTURE_TEST(test_response__refused_event_that_the_handler_ignored_is_a_500),
        FIXTURE_TEST(test_length__exact_body_is_whole),
        FIXTURE_TEST(test_length__longer_body_is_cut_at_once),
        FIXTURE_TEST(test_length__shorter_body_is_cut),
        FIXTURE_TEST(test_length__first_event_refused_before_anything_left_may_be_corrected),
        FIXTURE_TEST(test_bodiless__head_keeps_the_length_and_drops_the_bytes),
        FIXTURE_TEST(test_bodiless__head_may_send_a_length_without_a_body),
        FIXTURE_TEST(test_bodiless__empty_body_to_a_head_tells_no_length),
        FIXTURE_TEST(test_bodiless__head_streamed_is_whole),
        FIXTURE_TEST(test_bodiless__204_has_neither_body_nor_length),
        FIXTURE_TEST(test_bodiless__304_without_a_length_gets_none),
        FIXTURE_TEST(test_backpressure__send_waits_until_all_is_taken),
        FIXTURE_TEST(test_backpressure__head_that_has_not_left_is_waited_for),
        FIXTURE_TEST(test_backpressure__the_500_waits_without_a_task),
        FIXTURE_TEST(test_backpressure__client_that_leaves_during_the_500_ends_it),
        FIXTURE_TEST(test_defaults__are_added_with_the_date),
        FIXTURE_TEST(test_defaults__are_left_out_where_the_application_has_its_own),
        FIXTURE_TEST(test_defaults__are_on_the_500_too),
    };
    return cmocka_run_group_tests_name("exchange/response", tests, NULL, NULL);
}
