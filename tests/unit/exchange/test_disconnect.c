/* The client leaves: what receive and send say, what becomes of the handler and the record. DESIGN 2.8. */
#include "fixture.h"

HANDLER(wait_and_respond)
{
    (void)scope, (void)receive;
    f->rc[0] = casgi_waiter_wait(f->waiter);
    f->rc[1] = casgi_respond(send, 200, "text/plain", "done");
    return f->rc[1];
}

HANDLER(wait_and_receive)
{
    (void)scope, (void)send;
    f->rc[0] = casgi_waiter_wait(f->waiter);
    for (int i = 0; i < 3; i++) {
        f->rc[i + 1] = casgi_receive(receive, &f->events[i]);
    }
    return 0;
}

static void wake(struct fixture *f)
{
    casgi_waiter_wake(f->waiter);
    fixture_run(f);
}

static void test_gone__reset_makes_send_fail(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, wait_and_respond), true);
    wake(f);
    assert_int_equal(f->rc[1], CASGI_EDISCONNECTED);
    assert_int_equal(f->driver.heads, 0);
    assert_int_equal(f->driver.aborts, 1);
}

static void test_gone__client_that_left_first_is_a_499_and_no_error(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, wait_and_respond), true);
    wake(f);
    assert_int_equal(f->record.status, 499);
    assert_int_equal(f->record.app_result, CASGI_EDISCONNECTED);
    assert_true(f->record.client_gone && f->record.aborted);
    assert_false(f->record.failed);
    assert_null(f->record.why);
}

static void test_gone__other_waits_go_on(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, wait_and_respond), true);
    fixture_run(f);
    assert_int_equal(task_count(f->loop), 1); /* not torn up */
    wake(f);
    assert_int_equal(f->rc[0], 0);
}

static void test_gone__reset_makes_receive_say_disconnect_at_once(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, wait_and_receive), true);
    wake(f);
    assert_int_equal(f->rc[1], 0);
    assert_int_equal(f->events[0].type, CASGI_HTTP_DISCONNECT);
    assert_int_equal(f->events[2].type, CASGI_HTTP_DISCONNECT);
}

static void test_gone__fin_after_the_request_is_told_after_the_request(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, wait_and_receive, "POST", "/");
    assert_int_equal(exchange_body(ex, "body", 4), 0);
    assert_int_equal(exchange_begin(ex, true), 0);
    exchange_gone(ex, false);
    wake(f);
    assert_int_equal(f->events[0].type, CASGI_HTTP_REQUEST);
    assert_int_equal(f->events[0].http_request.body.len, 4);
    assert_int_equal(f->events[1].type, CASGI_HTTP_DISCONNECT);
    assert_int_equal(f->events[2].type, CASGI_HTTP_DISCONNECT);
}

static void test_gone__fin_after_the_request_leaves_send_working(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, wait_and_respond), false);
    wake(f);
    assert_int_equal(f->rc[1], 0);
    assert_int_equal(f->driver.ends, 1);
    assert_int_equal(f->record.status, 200);
    assert_false(f->record.client_gone);
}

static void test_gone__fin_in_the_body_is_a_disconnect_without_a_whole_body(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, wait_and_receive);
    fixture_body(f, "half");
    exchange_gone(ex, false);
    wake(f);
    assert_int_equal(f->events[0].type, CASGI_HTTP_DISCONNECT);
    assert_int_equal(f->record.status, 499);
}

static int set_flag(void *arg)
{
    ((struct fixture *)arg)->rc[7] = 1;
    return 0;
}

/* Handlers that heed nothing, until another task has had a turn. */
enum { TOO_OFTEN = 1000 };

HANDLER(send_for_ever)
{
    (void)scope, (void)receive;
    f->rc[0] = casgi_waiter_wait(f->waiter);
    (void)casgi_background(set_flag, f, NULL, "other");
    while (!f->rc[7] && ++f->rc[1] < TOO_OFTEN) {
        f->rc[2] = casgi_send_body(send, "x", 1, true);
    }
    return 0;
}

HANDLER(receive_for_ever)
{
    (void)scope, (void)send;
    f->rc[0] = casgi_waiter_wait(f->waiter);
    (void)casgi_background(set_flag, f, NULL, "other");
    while (!f->rc[7] && ++f->rc[1] < TOO_OFTEN) {
        f->rc[2] = casgi_receive(receive, &f->events[0]);
    }
    return 0;
}

static void test_gone__who_goes_on_sending_lets_others_run(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, send_for_ever), true);
    wake(f);
    assert_int_equal(f->rc[2], CASGI_EDISCONNECTED);
    assert_in_range(f->rc[1], 1, TOO_OFTEN - 1);
}

static void test_gone__who_sends_what_is_refused_lets_others_run(void **state)
{
    struct fixture *f = *state;
    (void)fixture_get(f, send_for_ever); /* a body without a start */
    wake(f);
    assert_int_equal(f->rc[2], CASGI_EPROTO);
    assert_in_range(f->rc[1], 1, TOO_OFTEN - 1);
}

static void test_gone__who_goes_on_receiving_lets_others_run(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, receive_for_ever), true);
    wake(f);
    assert_int_equal(f->events[0].type, CASGI_HTTP_DISCONNECT);
    assert_in_range(f->rc[1], 1, TOO_OFTEN - 1);
}

static int on_receive_until_gone(struct fixture *f, casgi_receive_t *receive)
{
    casgi_event_t event;
    do {
        f->rc[7] = casgi_receive(receive, &event);
    } while (!f->rc[7] && event.type != CASGI_HTTP_DISCONNECT);
    return f->rc[7];
}

HANDLER(watch_for_disconnect)
{
    (void)scope, (void)send;
    return on_receive_until_gone(f, receive);
}

static void test_gone__handler_that_waits_in_receive_is_woken(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, watch_for_disconnect), false);
    fixture_run(f);
    assert_int_equal(f->ended, 1);
    assert_int_equal(f->record.status, 499);
}

HANDLER(fail_when_gone)
{
    (void)scope, (void)send;
    (void)on_receive_until_gone(f, receive);
    return CASGI_EFAILED;
}

static void test_gone__failure_with_a_half_open_client_is_answered(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, fail_when_gone), false);
    fixture_run(f);
    assert_int_equal(f->driver.status, 500);
    assert_true(f->record.failed);
}

static void test_gone__failure_after_a_reset_is_still_logged(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_get(f, fail_when_gone), true);
    fixture_run(f);
    assert_int_equal(f->record.status, 499);
    assert_int_equal(f->driver.aborts, 1);
    assert_true(f->record.failed);
    assert_string_equal(f->record.why, "the handler failed after the client had gone");
}

HANDLER(stream_for_ever)
{
    (void)scope, (void)receive;
    int rc = fixture_start(send, 200, NULL);
    while (!rc) {
        rc = fixture_body_event(send, "data", true);
        f->rc[0]++;
    }
    f->rc[1] = rc;
    f->rc[2] = fixture_body_event(send, "again", true);
    return rc;
}

static void test_gone__reset_wakes_a_send_that_waits(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 10;
    struct exchange *ex = fixture_get(f, stream_for_ever);
    exchange_gone(ex, true);
    fixture_run(f);
    assert_int_equal(f->rc[1], CASGI_EDISCONNECTED);
    assert_int_equal(f->rc[2], CASGI_EDISCONNECTED);
    assert_int_equal(f->record.status, 499);
    assert_int_equal(f->driver.aborts, 1);
}

static void test_gone__write_error_is_a_disconnect(void **state)
{
    struct fixture *f = *state;
    f->driver.data_error = CASGI_ESYSTEM(32);
    fixture_get(f, stream_for_ever);
    assert_int_equal(f->rc[1], CASGI_EDISCONNECTED);
    assert_int_equal(f->record.error, CASGI_ESYSTEM(32));
    assert_true(f->record.client_gone);
    assert_int_equal(f->driver.aborts, 1);
}

static void test_gone__head_that_cannot_be_written_is_a_disconnect(void **state)
{
    struct fixture *f = *state;
    f->driver.head_error = CASGI_ENOMEM;
    fixture_get(f, stream_for_ever);
    assert_int_equal(f->rc[1], CASGI_EDISCONNECTED);
    assert_int_equal(f->driver.aborts, 1);
}

HANDLER(respond_and_wait)
{
    (void)scope, (void)receive;
    casgi_respond(send, 200, "text/plain", "done");
    f->rc[0] = casgi_waiter_wait(f->waiter);
    return f->rc[0];
}

static void test_gone__after_the_response_it_changes_nothing(void **state)
{
    struct fixture *f = *state;
    f->host.app_flags |= CASGI_APP_CANCEL_ON_DISCONNECT;
    exchange_gone(fixture_get(f, respond_and_wait), true);
    fixture_run(f);
    assert_int_equal(task_count(f->loop), 1); /* not cancelled */
    wake(f);
    assert_int_equal(f->rc[0], 0);
    assert_int_equal(f->record.status, 200);
    assert_false(f->record.client_gone);
    assert_int_equal(f->driver.ends, 1);
}

static void test_gone__opted_in_handler_is_cancelled(void **state)
{
    struct fixture *f = *state;
    f->host.app_flags |= CASGI_APP_CANCEL_ON_DISCONNECT;
    exchange_gone(fixture_get(f, wait_and_respond), true);
    fixture_run(f);
    assert_int_equal(f->rc[0], CASGI_ECANCELED);
    assert_int_equal(f->record.status, 499);
    assert_false(f->record.failed);
}

/* ---- a broken body ---- */

static void test_body_failed__receive_says_disconnect(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, wait_and_receive);
    fixture_body(f, "half");
    exchange_body_failed(ex, 400, "bad chunk");
    wake(f);
    assert_int_equal(f->events[0].type, CASGI_HTTP_DISCONNECT);
}

static void test_body_failed__handler_without_an_answer_gives_the_status(void **state)
{
    struct fixture *f = *state;
    exchange_body_failed(fixture_post(f, watch_for_disconnect), 408, "too slow");
    fixture_run(f);
    assert_int_equal(f->driver.status, 408);
    assert_memory_equal(f->driver.body, "Request Timeout", 15);
    assert_true(f->driver.close);
    assert_string_equal(f->record.why, "too slow");
    assert_int_equal(f->record.status, 408);
    assert_false(f->record.failed);
}

static void test_body_failed__handler_may_answer_by_itself(void **state)
{
    struct fixture *f = *state;
    exchange_body_failed(fixture_post(f, wait_and_respond), 413, "too large");
    wake(f);
    assert_int_equal(f->driver.status, 200);
    assert_int_equal(f->driver.ends, 1);
}

static void test_gone__fin_in_the_body_is_no_request_to_answer(void **state)
{
    struct fixture *f = *state;
    exchange_gone(fixture_post(f, wait_and_respond), false);
    wake(f);
    assert_int_equal(f->rc[1], CASGI_EDISCONNECTED);
    assert_int_equal(f->driver.heads, 0);
    assert_int_equal(f->record.status, 499);
}

HANDLER(stream_until_gone)
{
    (void)scope;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "half", true);
    return on_receive_until_gone(f, receive);
}

static void test_body_failed__response_in_the_midst_is_cut_without_blame(void **state)
{
    struct fixture *f = *state;
    exchange_body_failed(fixture_post(f, stream_until_gone), 400, "bad chunk");
    fixture_run(f);
    assert_int_equal(f->driver.aborts, 1);
    assert_false(f->record.failed);
    assert_string_equal(f->record.why, "bad chunk");
}

HANDLER(stream_until_gone_and_fail)
{
    (void)scope;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "half", true);
    (void)on_receive_until_gone(f, receive);
    return CASGI_EFAILED;
}

static void test_body_failed__failure_of_the_handler_is_still_its_own(void **state)
{
    struct fixture *f = *state;
    exchange_body_failed(fixture_post(f, stream_until_gone_and_fail), 400, "bad chunk");
    fixture_run(f);
    assert_int_equal(f->driver.aborts, 1);
    assert_true(f->record.failed);
}

/* ---- the server stops the handler ---- */

static void test_cancel__stopped_handler_without_an_answer_is_a_503(void **state)
{
    struct fixture *f = *state;
    exchange_cancel(fixture_get(f, wait_and_respond), CASGI_ECANCELED);
    fixture_run(f);
    assert_int_equal(f->rc[0], CASGI_ECANCELED);
    assert_int_equal(f->rc[1], CASGI_ECANCELED);
    assert_int_equal(f->driver.status, 503);
    assert_true(f->driver.close);
    assert_false(f->record.failed);
}

static void test_cancel__stopped_in_the_midst_is_cut(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 10;
    exchange_cancel(fixture_get(f, stream_for_ever), CASGI_ECANCELED);
    fixture_run(f);
    assert_int_equal(f->driver.aborts, 1);
    assert_int_equal(f->record.status, 200);
    assert_true(f->record.aborted);
}

static void test_cancel__stopped_after_the_response_is_whole(void **state)
{
    struct fixture *f = *state;
    exchange_cancel(fixture_get(f, respond_and_wait), CASGI_ECANCELED);
    fixture_run(f);
    assert_int_equal(f->driver.ends, 1);
    assert_false(f->record.failed);
}

static void test_host__counts_what_runs_and_tells_when_nothing_does(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_get(f, wait_and_respond);
    assert_int_equal(f->host.running, 1);
    assert_ptr_equal(f->host.active.next, &ex->node);
    assert_int_equal(f->idle, 0);
    wake(f);
    assert_int_equal(f->host.running, 0);
    assert_true(list_empty(&f->host.active));
    assert_int_equal(f->idle, 1);
    assert_int_equal(f->begun, 1);
    assert_int_equal(f->ended, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_gone__reset_makes_send_fail),
        FIXTURE_TEST(test_gone__client_that_left_first_is_a_499_and_no_error),
        FIXTURE_TEST(test_gone__other_waits_go_on),
        FIXTURE_TEST(test_gone__who_goes_on_sending_lets_others_run),
        FIXTURE_TEST(test_gone__who_sends_what_is_refused_lets_others_run),
        FIXTURE_TEST(test_gone__who_goes_on_receiving_lets_others_run),
        FIXTURE_TEST(test_gone__reset_makes_receive_say_disconnect_at_once),
        FIXTURE_TEST(test_gone__fin_after_the_request_is_told_after_the_request),
        FIXTURE_TEST(test_gone__fin_after_the_request_leaves_send_working),
        FIXTURE_TEST(test_gone__fin_in_the_body_is_a_disconnect_without_a_whole_body),
        FIXTURE_TEST(test_gone__fin_in_the_body_is_no_request_to_answer),
        FIXTURE_TEST(test_gone__handler_that_waits_in_receive_is_woken),
        FIXTURE_TEST(test_gone__failure_with_a_half_open_client_is_answered),
        FIXTURE_TEST(test_gone__failure_after_a_reset_is_still_logged),
        FIXTURE_TEST(test_gone__reset_wakes_a_send_that_waits),
        FIXTURE_TEST(test_gone__write_error_is_a_disconnect),
        FIXTURE_TEST(test_gone__head_that_cannot_be_written_is_a_disconnect),
        FIXTURE_TEST(test_gone__after_the_response_it_changes_nothing),
        FIXTURE_TEST(test_gone__opted_in_handler_is_cancelled),
        FIXTURE_TEST(test_body_failed__receive_says_disconnect),
        FIXTURE_TEST(test_body_failed__handler_without_an_answer_gives_the_status),
        FIXTURE_TEST(test_body_failed__handler_may_answer_by_itself),
        FIXTURE_TEST(test_body_failed__response_in_the_midst_is_cut_without_blame),
        FIXTURE_TEST(test_body_failed__failure_of_the_handler_is_still_its_own),
        FIXTURE_TEST(test_cancel__stopped_handler_without_an_answer_is_a_503),
        FIXTURE_TEST(test_cancel__stopped_in_the_midst_is_cut),
        FIXTURE_TEST(test_cancel__stopped_after_the_response_is_whole),
        FIXTURE_TEST(test_host__counts_what_runs_and_tells_when_nothing_does),
    };
    return cmocka_run_group_tests_name("exchange/disconnect", tests, NULL, NULL);
}
