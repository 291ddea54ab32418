/* Several tasks send and receive at once; sends are cancelled. */
#include "fixture.h"

static int send_b(void *arg)
{
    struct fixture *f = arg;
    f->rc[1] = fixture_body_event(f->send, "BBBB", true);
    return 0;
}

static int send_c(void *arg)
{
    struct fixture *f = arg;
    f->rc[2] = fixture_body_event(f->send, "CCCC", true);
    return 0;
}

HANDLER(three_senders)
{
    (void)scope, (void)receive;
    casgi_task_t *b = NULL, *c = NULL;
    fixture_start(send, 200, NULL);
    assert_int_equal(casgi_create_task(send_b, f, "b", &b), 0);
    assert_int_equal(casgi_create_task(send_c, f, "c", &c), 0);
    f->rc[0] = fixture_body_event(send, "AAAA", true);
    (void)casgi_join(b, NULL);
    (void)casgi_join(c, NULL);
    return fixture_body_event(send, "", false);
}

static void drip(struct fixture *f, int times)
{
    for (int i = 0; i < times && f->driver.ex; i++) {
        f->driver.room = 1;
        exchange_writable(f->driver.ex);
        fixture_run(f);
    }
    f->driver.room = SIZE_MAX;
    if (f->driver.ex) {
        exchange_writable(f->driver.ex);
    }
    fixture_run(f);
}

static void test_turns__events_of_several_tasks_stay_whole_and_in_order(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 1;
    fixture_get(f, three_senders);
    drip(f, 12);
    assert_int_equal(f->driver.body_size, 12);
    assert_memory_equal(f->driver.body, "AAAABBBBCCCC", 12);
    assert_int_equal(f->rc[0] | f->rc[1] | f->rc[2], 0);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(cancel_the_second)
{
    (void)scope, (void)receive;
    casgi_task_t *b = NULL, *c = NULL;
    fixture_start(send, 200, NULL);
    assert_int_equal(casgi_create_task(send_b, f, "b", &b), 0);
    assert_int_equal(casgi_create_task(send_c, f, "c", &c), 0);
    f->pointer = b;
    f->rc[0] = fixture_body_event(send, "AAAA", true);
    (void)casgi_join(b, NULL);
    (void)casgi_join(c, NULL);
    return fixture_body_event(send, "", false);
}

static void test_turns__cancelled_while_queued_sends_nothing_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 1;
    fixture_get(f, cancel_the_second);
    fixture_run(f); /* b and c wait for their turn */
    assert_int_equal(casgi_cancel(f->pointer), 0);
    fixture_run(f);
    assert_int_equal(f->rc[1], CASGI_ECANCELED);
    drip(f, 8);
    assert_memory_equal(f->driver.body, "AAAACCCC", 8);
    assert_int_equal(f->driver.body_size, 8);
    assert_int_equal(f->driver.ends, 1);
}

static void test_turns__cancelled_as_the_turn_comes_passes_it_on(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 0;
    struct exchange *ex = fixture_get(f, cancel_the_second);
    fixture_run(f);
    f->driver.room = SIZE_MAX;
    exchange_writable(ex);                         /* A goes on and hands over to b in the next batch, */
    assert_int_equal(casgi_cancel(f->pointer), 0); /* which is cancelled by then */
    fixture_run(f);
    assert_int_equal(f->rc[1], CASGI_ECANCELED);
    assert_memory_equal(f->driver.body, "AAAACCCC", 8);
    assert_int_equal(f->driver.ends, 1);
}

static void test_turns__all_who_wait_learn_of_the_disconnect(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 1;
    struct exchange *ex = fixture_get(f, three_senders);
    fixture_run(f);
    exchange_gone(ex, true);
    fixture_run(f);
    assert_int_equal(f->rc[0], CASGI_EDISCONNECTED);
    assert_int_equal(f->rc[1], CASGI_EDISCONNECTED);
    assert_int_equal(f->rc[2], CASGI_EDISCONNECTED);
    assert_int_equal(f->driver.aborts, 1);
}

/* ---- receive beside send: long polling ---- */

static int watch(void *arg)
{
    struct fixture *f = arg;
    casgi_event_t event;
    do {
        f->rc[3] = casgi_receive(f->receive, &event);
    } while (!f->rc[3] && event.type != CASGI_HTTP_DISCONNECT);
    f->rc[4] = (int)event.type;
    casgi_waiter_wake(f->waiter);
    return 0;
}

HANDLER(long_poll)
{
    (void)scope, (void)receive;
    casgi_task_t *watcher;
    assert_int_equal(casgi_create_task(watch, f, "watcher", &watcher), 0);
    casgi_release(watcher);
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "tick", true);
    (void)casgi_waiter_wait(f->waiter);
    return fixture_body_event(send, "", false);
}

static void test_turns__one_task_receives_while_another_sends(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_get(f, long_poll);
    fixture_run(f);
    assert_memory_equal(f->driver.body, "tick", 4);
    exchange_gone(ex, false);
    fixture_run(f);
    assert_int_equal(f->rc[3], 0);
    assert_int_equal(f->rc[4], CASGI_HTTP_DISCONNECT);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(respond_beside_watcher)
{
    (void)scope, (void)receive;
    casgi_task_t *watcher;
    assert_int_equal(casgi_create_task(watch, f, "watcher", &watcher), 0);
    casgi_release(watcher);
    (void)casgi_yield();
    int rc = casgi_respond(send, 200, "text/plain", "done");
    (void)casgi_waiter_wait(f->waiter);
    return rc;
}

static void test_turns__waiting_receive_learns_that_the_response_is_complete(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, respond_beside_watcher);
    fixture_run(f);
    assert_int_equal(f->rc[4], CASGI_HTTP_DISCONNECT);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(leave_a_child)
{
    (void)scope, (void)receive;
    casgi_task_t *watcher;
    assert_int_equal(casgi_create_task(watch, f, "watcher", &watcher), 0);
    casgi_release(watcher);
    (void)casgi_yield();
    fixture_start(send, 200, NULL);
    return fixture_body_event(send, "early", false);
}

static void test_turns__children_end_before_the_exchange(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, leave_a_child);
    fixture_run(f);
    assert_int_equal(task_count(f->loop), 0);
    assert_int_equal(f->driver.ends, 1);
}

/* ---- cancelled sends ---- */

HANDLER(send_with_deadline)
{
    (void)scope, (void)receive;
    casgi_deadline_t deadline;
    fixture_start(send, 200, NULL);
    f->rc[0] = fixture_body_event(send, "first", true);
    assert_int_equal(casgi_deadline_begin(&deadline, 100), 0);
    f->rc[1] = fixture_body_event(send, "second", true);
    (void)casgi_deadline_end(&deadline);
    f->rc[2] = f->driver.ex != NULL;
    f->rc[3] = fixture_body_event(send, "third", false);
    return 0;
}

static void test_cancelled_send__after_its_first_byte_aborts_before_it_returns(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 7; /* "first" and two bytes more */
    fixture_get(f, send_with_deadline);
    loop_advance(f->loop, 200000);
    fixture_run(f);
    assert_int_equal(f->rc[1], CASGI_ETIMEDOUT);
    assert_false(f->rc[2]);
    assert_true(f->driver.aborted_in_task);
    assert_int_equal(f->driver.aborts, 1);
    assert_true(f->rc[3] < 0);
    assert_true(f->record.aborted);
    assert_false(f->record.failed);
}

static void test_cancelled_send__before_its_first_byte_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 5; /* "first" exactly */
    struct exchange *ex = fixture_get(f, send_with_deadline);
    loop_advance(f->loop, 200000);
    fixture_run(f);
    assert_int_equal(f->rc[1], CASGI_ETIMEDOUT);
    assert_true(f->rc[2]);
    f->driver.room = SIZE_MAX;
    exchange_writable(ex);
    fixture_run(f);
    assert_int_equal(f->rc[3], 0);
    assert_memory_equal(f->driver.body, "firstthird", 10);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(first_send_with_deadline)
{
    (void)scope, (void)receive;
    casgi_deadline_t deadline;
    assert_int_equal(casgi_deadline_begin(&deadline, 100), 0);
    f->rc[0] = casgi_respond(send, 200, "text/plain", "x");
    (void)casgi_deadline_end(&deadline);
    return f->rc[0];
}

static void test_cancelled_send__with_the_head_staged_aborts(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 0;
    fixture_get(f, first_send_with_deadline);
    loop_advance(f->loop, 200000);
    fixture_run(f);
    assert_int_equal(f->rc[0], CASGI_ETIMEDOUT);
    assert_int_equal(f->driver.aborts, 1);
}

HANDLER(cancelled_calls)
{
    (void)scope;
    (void)casgi_waiter_wait(f->waiter);
    f->rc[0] = casgi_receive(receive, &f->events[0]);
    f->rc[1] = casgi_respond(send, 200, "text/plain", "x");
    f->rc[2] = casgi_uncancel();
    f->rc[3] = casgi_receive(receive, &f->events[1]);
    f->rc[4] = casgi_respond(send, 200, "text/plain", "recovered");
    return f->rc[4];
}

static void test_cancelled__every_call_says_so_until_uncancel(void **state)
{
    struct fixture *f = *state;
    exchange_cancel(fixture_get(f, cancelled_calls), CASGI_ECANCELED);
    fixture_run(f);
    assert_int_equal(f->rc[0], CASGI_ECANCELED);
    assert_int_equal(f->rc[1], CASGI_ECANCELED);
    assert_int_equal(f->rc[2], 1);
    assert_int_equal(f->rc[3], 0);
    assert_int_equal(f->events[1].type, CASGI_HTTP_REQUEST);
    assert_int_equal(f->driver.status, 200);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(receive_with_deadline)
{
    (void)scope;
    casgi_deadline_t deadline;
    assert_int_equal(casgi_deadline_begin(&deadline, 100), 0);
    f->rc[0] = casgi_receive(receive, &f->events[0]);
    (void)casgi_deadline_end(&deadline);
    f->rc[1] = casgi_receive(receive, &f->events[1]);
    return casgi_respond(send, 200, "text/plain", "ok");
}

static void test_cancelled__receive_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, receive_with_deadline);
    loop_advance(f->loop, 200000);
    fixture_run(f);
    assert_int_equal(f->rc[0], CASGI_ETIMEDOUT);
    fixture_body(f, "all of it");
    exchange_body_end(ex);
    fixture_run(f);
    assert_int_equal(f->rc[1], 0);
    assert_int_equal(f->events[1].http_request.body.len, 9);
    assert_int_equal(f->driver.ends, 1);
}

/* ---- fairness ---- */

static int count_turns(void *arg)
{
    struct fixture *f = arg;
    while (!casgi_yield()) {
        f->rc[5]++;
    }
    return 0;
}

HANDLER(send_much)
{
    (void)scope, (void)receive;
    static char piece[65536];
    casgi_task_t *other;
    assert_int_equal(casgi_create_task(count_turns, f, "other", &other), 0);
    fixture_start(send, 200, NULL);
    for (int i = 0; i < 64; i++) {
        f->driver.body_size = 0;
        (void)casgi_send_body(send, piece, sizeof(piece), true);
    }
    casgi_release(other);
    return fixture_body_event(send, "", false);
}

static void test_turns__sender_that_never_waits_gives_others_a_turn(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, send_much);
    fixture_run(f);
    assert_true(f->rc[5] >= 3);
    assert_int_equal(f->driver.ends, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_turns__events_of_several_tasks_stay_whole_and_in_order),
        FIXTURE_TEST(test_turns__cancelled_while_queued_sends_nothing_and_loses_nothing),
        FIXTURE_TEST(test_turns__cancelled_as_the_turn_comes_passes_it_on),
        FIXTURE_TEST(test_turns__all_who_wait_learn_of_the_disconnect),
        FIXTURE_TEST(test_turns__one_task_receives_while_another_sends),
        FIXTURE_TEST(test_turns__waiting_receive_learns_that_the_response_is_complete),
        FIXTURE_TEST(test_turns__children_end_before_the_exchange),
        FIXTURE_TEST(test_cancelled_send__after_its_first_byte_aborts_before_it_returns),
        FIXTURE_TEST(test_cancelled_send__before_its_first_byte_loses_nothing),
        FIXTURE_TEST(test_cancelled_send__with_the_head_staged_aborts),
        FIXTURE_TEST(test_cancelled__every_call_says_so_until_uncancel),
        FIXTURE_TEST(test_cancelled__receive_loses_nothing),
        FIXTURE_TEST(test_turns__sender_that_never_waits_gives_others_a_turn),
    };
    return cmocka_run_group_tests_name("exchange/turns", tests, NULL, NULL);
}
