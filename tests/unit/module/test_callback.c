/* casgi/callback.h on the real tasks: what is called back, when, with what, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "casgi/callback.h"
#include "runtime/loop.h"
#include "runtime/task.h"

#include <stdio.h>
#include <string.h>

/* A server of one call: receive gives the events queued here, send notes what it is given. */
struct wire {
    casgi_receive_t receive;
    casgi_send_t send;
    casgi_event_t events[4];
    size_t event_count;
    size_t event_next;
    casgi_waiter_t *arrived;
    casgi_event_t sent[8];
    size_t sent_count;
    char body[256];
    int send_error;
    bool send_held; /* sends wait until released */
    casgi_waiter_t *released;
    struct task *task;
    bool ended;
    int result;
};

struct fixture {
    struct loop *loop;
    struct wire wire;
    char journal[256]; /* what was called back: "name=rc " */
    casgi_call_t *call;
    casgi_waiter_t *waiter;
    int codes[12];
    size_t code_count;
};

static struct fixture *fixture;

static int wire_receive(casgi_receive_t *self, casgi_event_t *out_event)
{
    struct wire *wire = (struct wire *)self;
    while (wire->event_next == wire->event_count) {
        int rc = casgi_waiter_wait(wire->arrived);
        if (rc) {
            return rc;
        }
    }
    *out_event = wire->events[wire->event_next++];
    return 0;
}

static int wire_send(casgi_send_t *self, const casgi_event_t *event)
{
    struct wire *wire = (struct wire *)(void *)((char *)self - offsetof(struct wire, send));
    while (wire->send_held) {
        int rc = casgi_waiter_wait(wire->released);
        if (rc) {
            return rc;
        }
    }
    if (wire->send_error) {
        return wire->send_error;
    }
    wire->sent[wire->sent_count++ % 8] = *event;
    if (event->type == CASGI_HTTP_RESPONSE_BODY && event->http_response_body.body.len) {
        (void)strncat(wire->body, event->http_response_body.body.ptr, event->http_response_body.body.len);
    }
    return 0;
}

static int setup(void **state)
{
    static struct fixture one;
    const struct loop_options options = { .fake_clock = true };
    memset(&one, 0, sizeof(one));
    fixture = &one;
    *state = fixture;
    casgi_imports_.tasks = &task_interface;
    fixture->wire.receive.call = wire_receive;
    fixture->wire.send.call = wire_send;
    int rc = loop_new(&options, &fixture->loop);
    rc = rc ? rc : casgi_waiter_new(&fixture->wire.arrived);
    rc = rc ? rc : casgi_waiter_new(&fixture->wire.released);
    return rc ? rc : casgi_waiter_new(&fixture->waiter);
}

static void turn(void)
{
    for (int i = 0; i < 20; i++) {
        (void)loop_turn(fixture->loop, false);
    }
}

static int teardown(void **state)
{
    (void)state;
    casgi_waiter_unref(fixture->wire.arrived);
    casgi_waiter_unref(fixture->wire.released);
    casgi_waiter_unref(fixture->waiter);
    bool leaked = task_count(fixture->loop) != 0;
    loop_free(fixture->loop);
    return leaked ? -1 : 0;
}

static void advance(uint64_t milliseconds)
{
    loop_advance(fixture->loop, milliseconds * 1000);
    turn();
}

static void arrive(uint32_t type)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_EVENT_NONE);
    event.type = type;
    fixture->wire.events[fixture->wire.event_count++] = event;
    (void)casgi_waiter_wake(fixture->wire.arrived);
    turn();
}

static void release_send(void)
{
    fixture->wire.send_held = false;
    (void)casgi_waiter_wake(fixture->wire.released);
    turn();
}

static casgi_on_call_t on_call_of_test;

static int run_call(void *arg)
{
    struct wire *wire = arg;
    static const casgi_scope_t scope = { .type = CASGI_SCOPE_HTTP };
    return casgi_callback_run(on_call_of_test, NULL, &scope, &wire->receive, &wire->send);
}

static void on_end(struct task *task, void *owner, int result)
{
    struct wire *wire = owner;
    (void)task;
    wire->ended = true;
    wire->result = result;
}

static void begin(casgi_on_call_t on_call)
{
    const struct task_options options = { .name = "call", .owner = &fixture->wire, .on_end = on_end };
    on_call_of_test = on_call;
    assert_int_equal(task_spawn(fixture->loop, run_call, &fixture->wire, &options, &fixture->wire.task), 0);
    turn();
}

/* ---- callbacks that note that they were called ---- */

static void note(const char *name, int rc)
{
    size_t used = strlen(fixture->journal);
    (void)snprintf(fixture->journal + used, sizeof(fixture->journal) - used, "%s=%d ", name, rc);
}

static void on_event(casgi_call_t *c, int rc, const casgi_event_t *event, void *ctx)
{
    (void)c, (void)ctx;
    note(rc == 0 && event->type == CASGI_HTTP_DISCONNECT ? "gone" : "event", rc);
}

static void on_done(casgi_call_t *c, int rc, void *ctx)
{
    (void)c;
    note(ctx, rc);
}

static void on_done_finish(casgi_call_t *c, int rc, void *ctx)
{
    note(ctx, rc);
    casgi_call_finish(c, rc);
}

static void code(int rc)
{
    fixture->codes[fixture->code_count++] = rc;
}

static int send_piece(casgi_call_t *c, const char *text, bool more_body, casgi_on_done_t on_sent, const char *name)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_BODY);
    event.http_response_body.body = casgi_str(text);
    event.http_response_body.more_body = more_body;
    return casgi_call_send(c, &event, on_sent, (void *)(uintptr_t)name);
}

static int after(casgi_call_t *c, uint64_t milliseconds, const char *name)
{
    return casgi_call_after(c, milliseconds, on_done, (void *)(uintptr_t)name);
}

static void assert_ended(int result, const char *journal)
{
    assert_true(fixture->wire.ended);
    assert_int_equal(fixture->wire.result, result);
    assert_string_equal(fixture->journal, journal);
}

/* ---- tests ---- */

static void respond(casgi_call_t *c)
{
    casgi_call_respond(c, 201, "text/plain", "hello", 5, on_done_finish, (void *)(uintptr_t) "sent");
}

static void test_callback__a_whole_response(void **state)
{
    (void)state;
    begin(respond);
    assert_ended(0, "sent=0 ");
    assert_int_equal(fixture->wire.sent_count, 2);
    assert_int_equal(fixture->wire.sent[0].type, CASGI_HTTP_RESPONSE_START);
    assert_int_equal(fixture->wire.sent[0].http_response_start.status, 201);
    assert_string_equal(fixture->wire.body, "hello");
}

static void finish_at_once(casgi_call_t *c)
{
    casgi_call_finish(c, CASGI_EFAILED);
    casgi_call_finish(c, 0);
    code(casgi_call_receive(c, on_event, NULL));
    code(after(c, 1, "late"));
}

static void test_callback__finish_gives_the_result_and_the_first_counts(void **state)
{
    (void)state;
    begin(finish_at_once);
    assert_ended(CASGI_EFAILED, "");
    assert_int_equal(fixture->codes[0], CASGI_ECLOSED);
    assert_int_equal(fixture->codes[1], CASGI_ECLOSED);
}

static void nothing(casgi_call_t *c)
{
    (void)c;
}

static void test_callback__a_call_with_nothing_pending_ends(void **state)
{
    (void)state;
    begin(nothing);
    assert_ended(0, "");
}

static void receive_once(casgi_call_t *c)
{
    code(casgi_call_receive(c, on_event, NULL));
    code(casgi_call_receive(c, on_event, NULL));
}

static void test_callback__one_receive_is_outstanding(void **state)
{
    (void)state;
    begin(receive_once);
    assert_int_equal(fixture->codes[0], 0);
    assert_int_equal(fixture->codes[1], CASGI_EBUSY);
    assert_false(fixture->wire.ended);
    arrive(CASGI_HTTP_REQUEST);
    assert_ended(0, "event=0 ");
}

static void send_two(casgi_call_t *c)
{
    code(send_piece(c, "one", true, on_done, "one"));
    code(send_piece(c, "two", true, on_done, "two"));
}

static void test_callback__one_send_is_outstanding(void **state)
{
    (void)state;
    begin(send_two);
    assert_int_equal(fixture->codes[0], 0);
    assert_int_equal(fixture->codes[1], CASGI_EBUSY);
    assert_ended(0, "one=0 ");
    assert_string_equal(fixture->wire.body, "one");
}

static void test_callback__the_event_itself_may_go_at_once(void **state)
{
    (void)state;
    fixture->wire.send_held = true;
    begin(send_two); /* its event was on a stack that is gone when it is sent */
    release_send();
    assert_int_equal(fixture->wire.sent[0].type, CASGI_HTTP_RESPONSE_BODY);
    assert_string_equal(fixture->wire.body, "one");
}

static void send_and_receive(casgi_call_t *c)
{
    (void)send_piece(c, "one", true, on_done, "sent");
    (void)casgi_call_receive(c, on_event, NULL);
}

static void test_callback__receive_and_send_wait_side_by_side(void **state)
{
    (void)state;
    fixture->wire.send_held = true;
    begin(send_and_receive);
    arrive(CASGI_HTTP_REQUEST);
    assert_string_equal(fixture->journal, "event=0 ");
    release_send();
    assert_ended(0, "event=0 sent=0 ");
}

static void three_timers(casgi_call_t *c)
{
    (void)after(c, 300, "c");
    (void)after(c, 100, "a");
    (void)after(c, 200, "b");
}

static void test_callback__timers_fire_when_due(void **state)
{
    (void)state;
    begin(three_timers);
    advance(150);
    assert_string_equal(fixture->journal, "a=0 ");
    advance(150);
    assert_ended(0, "a=0 b=0 c=0 ");
}

static void test_callback__timers_due_together_fire_in_order(void **state)
{
    (void)state;
    begin(three_timers);
    advance(1000);
    assert_ended(0, "a=0 b=0 c=0 ");
}

static void too_many_timers(casgi_call_t *c)
{
    for (int i = 0; i <= CASGI_CALL_WAITS; i++) {
        code(after(c, 1, "t"));
    }
}

static void test_callback__too_many_timers_are_refused(void **state)
{
    (void)state;
    begin(too_many_timers);
    assert_int_equal(fixture->codes[CASGI_CALL_WAITS - 1], 0);
    assert_int_equal(fixture->codes[CASGI_CALL_WAITS], CASGI_EBUSY);
    advance(1);
    assert_true(fixture->wire.ended);
}

static void wait_for_waiter(casgi_call_t *c)
{
    (void)casgi_call_wait(c, fixture->waiter, on_done, (void *)(uintptr_t) "woken");
}

static void test_callback__a_waiter_connects_other_threads(void **state)
{
    (void)state;
    begin(wait_for_waiter);
    assert_false(fixture->wire.ended);
    (void)casgi_waiter_wake(fixture->waiter);
    turn();
    assert_ended(0, "woken=0 ");
}

static void receive_beside_timers(casgi_call_t *c)
{
    (void)casgi_call_receive(c, on_event, NULL);
    (void)after(c, 3600000, "hour");
    (void)casgi_call_wait(c, fixture->waiter, on_done, (void *)(uintptr_t) "wait");
}

static void test_callback__after_a_disconnect_all_pending_are_called_once_with_the_error(void **state)
{
    (void)state;
    begin(receive_beside_timers);
    arrive(CASGI_HTTP_DISCONNECT);
    assert_true(fixture->wire.ended);
    assert_string_equal(fixture->journal, "gone=0 hour=-1 wait=-1 ");
    assert_int_equal(CASGI_EDISCONNECTED, -1);
}

static void send_beside_a_timer(casgi_call_t *c)
{
    (void)send_piece(c, "x", true, on_done, "sent");
    (void)after(c, 3600000, "hour");
}

static void test_callback__a_send_that_finds_the_client_gone_ends_the_timers(void **state)
{
    (void)state;
    fixture->wire.send_error = CASGI_EDISCONNECTED;
    begin(send_beside_a_timer);
    assert_ended(0, "sent=-1 hour=-1 ");
}

static void on_gone_wait_again(casgi_call_t *c, int rc, const casgi_event_t *event, void *ctx)
{
    on_event(c, rc, event, ctx);
    (void)after(c, 50, "again");
}

static void receive_then_wait(casgi_call_t *c)
{
    (void)casgi_call_receive(c, on_gone_wait_again, NULL);
}

static void test_callback__a_timer_begun_after_the_disconnect_goes_on(void **state)
{
    (void)state;
    begin(receive_then_wait);
    arrive(CASGI_HTTP_DISCONNECT);
    assert_false(fixture->wire.ended);
    advance(50);
    assert_ended(0, "gone=0 again=0 ");
}

static void on_answered(casgi_call_t *c, int rc, void *ctx)
{
    on_done(c, rc, ctx);
    (void)casgi_call_receive(c, on_event, NULL);
    (void)after(c, 50, "work");
}

static void answer_then_work(casgi_call_t *c)
{
    casgi_call_respond(c, 200, "text/plain", "x", 1, on_answered, (void *)(uintptr_t) "sent");
}

static void test_callback__the_end_of_the_response_is_no_disconnect(void **state)
{
    (void)state;
    begin(answer_then_work);
    arrive(CASGI_HTTP_DISCONNECT);
    advance(50);
    assert_ended(0, "sent=0 gone=0 work=0 ");
}

static void finish_with_all_pending(casgi_call_t *c)
{
    (void)casgi_call_receive(c, on_event, NULL);
    (void)after(c, 3600000, "hour");
    (void)casgi_call_wait(c, fixture->waiter, on_done, (void *)(uintptr_t) "wait");
    (void)send_piece(c, "last words", false, on_done, "sent");
    casgi_call_finish(c, 7);
}

static void test_callback__after_finish_a_send_is_completed_and_the_rest_cancelled(void **state)
{
    (void)state;
    fixture->wire.send_held = true;
    begin(finish_with_all_pending);
    assert_string_equal(fixture->journal, "hour=-2 event=-2 wait=-2 ");
    assert_false(fixture->wire.ended);
    release_send();
    assert_ended(7, "hour=-2 event=-2 wait=-2 sent=0 ");
    assert_string_equal(fixture->wire.body, "last words");
    assert_int_equal(CASGI_ECANCELED, -2);
}

static void on_done_ask_again(casgi_call_t *c, int rc, void *ctx)
{
    note(ctx, rc);
    code(after(c, 1, "never"));
}

static void all_pending(casgi_call_t *c)
{
    (void)casgi_call_receive(c, on_event, NULL);
    (void)casgi_call_after(c, 3600000, on_done_ask_again, (void *)(uintptr_t) "hour");
    (void)casgi_call_wait(c, fixture->waiter, on_done, (void *)(uintptr_t) "wait");
    (void)send_piece(c, "x", false, on_done, "sent");
}

static void test_callback__a_cancelled_call_calls_all_back_with_the_code(void **state)
{
    (void)state;
    fixture->wire.send_held = true;
    begin(all_pending);
    task_cancel(fixture->wire.task, CASGI_ECANCELED);
    turn();
    assert_true(fixture->wire.ended);
    assert_int_equal(fixture->wire.result, CASGI_ECANCELED);
    const char *expected[] = { "event=-2 ", "hour=-2 ", "wait=-2 ", "sent=-2 " };
    size_t length = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(strstr(fixture->journal, expected[i]));
        length += strlen(expected[i]);
    }
    assert_int_equal(strlen(fixture->journal), length); /* each once, and no other */
    assert_int_equal(fixture->codes[0], CASGI_ECANCELED);
}

static void keep_call(casgi_call_t *c)
{
    fixture->call = c;
    (void)casgi_call_receive(c, on_event, NULL);
}

static void test_callback__another_call_may_act_on_it(void **state)
{
    (void)state;
    begin(keep_call);
    assert_int_equal(send_piece(fixture->call, "from outside", true, on_done, "sent"), 0);
    turn();
    assert_string_equal(fixture->wire.body, "from outside");
    casgi_call_finish(fixture->call, 0);
    turn();
    assert_ended(0, "sent=0 event=-2 ");
}

static void on_event_suspend(casgi_call_t *c, int rc, const casgi_event_t *event, void *ctx)
{
    (void)casgi_sleep(100);
    on_event(c, rc, event, ctx);
}

static void suspend_in_callback(casgi_call_t *c)
{
    (void)casgi_call_receive(c, on_event_suspend, NULL);
    (void)after(c, 10, "timer");
}

static void test_callback__a_callback_that_suspends_holds_up_the_others(void **state)
{
    (void)state;
    begin(suspend_in_callback);
    arrive(CASGI_HTTP_REQUEST);
    advance(20);
    assert_string_equal(fixture->journal, "");
    advance(80);
    assert_ended(0, "event=0 timer=0 ");
}

#define CALLBACK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLBACK_TEST(test_callback__a_whole_response),
        CALLBACK_TEST(test_callback__finish_gives_the_result_and_the_first_counts),
        CALLBACK_TEST(test_callback__a_call_with_nothing_pending_ends),
        CALLBACK_TEST(test_callback__one_receive_is_outstanding),
        CALLBACK_TEST(test_callback__one_send_is_outstanding),
        CALLBACK_TEST(test_callback__the_event_itself_may_go_at_once),
        CALLBACK_TEST(test_callback__receive_and_send_wait_side_by_side),
        CALLBACK_TEST(test_callback__timers_fire_when_due),
        CALLBACK_TEST(test_callback__timers_due_together_fire_in_order),
        CALLBACK_TEST(test_callback__too_many_timers_are_refused),
        CALLBACK_TEST(test_callback__a_waiter_connects_other_threads),
        CALLBACK_TEST(test_callback__after_a_disconnect_all_pending_are_called_once_with_the_error),
        CALLBACK_TEST(test_callback__a_send_that_finds_the_client_gone_ends_the_timers),
        CALLBACK_TEST(test_callback__a_timer_begun_after_the_disconnect_goes_on),
        CALLBACK_TEST(test_callback__the_end_of_the_response_is_no_disconnect),
        CALLBACK_TEST(test_callback__after_finish_a_send_is_completed_and_the_rest_cancelled),
        CALLBACK_TEST(test_callback__a_cancelled_call_calls_all_back_with_the_code),
        CALLBACK_TEST(test_callback__another_call_may_act_on_it),
        CALLBACK_TEST(test_callback__a_callback_that_suspends_holds_up_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
