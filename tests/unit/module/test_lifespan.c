/* The lifespan of an application: what it is told, what the worker is told, in each mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "module/lifespan.h"
#include "runtime/task.h"

#include <string.h>

/* The worker, and the application it runs. */
struct fixture {
    struct loop *loop;
    struct state_base *state;
    struct lifespan *lifespan;
    casgi_app_t app;
    int started; /* how often on_started was called */
    int stopped;
    int code; /* of the last callback */
    char message[256];
    bool free_in_callback;
    /* what the application did and saw */
    int calls;
    int results[4];
    int result_count;
    casgi_scope_t scope;
    bool enough; /* of calling */
};

enum { TOO_MANY = 1000000 }; /* calls without that the loop turned */

static struct fixture *fixture;

static void told(int *count, int code, const char *message)
{
    (*count)++;
    fixture->code = code;
    (void)strncpy(fixture->message, message, sizeof(fixture->message) - 1);
    if (fixture->free_in_callback && code) {
        lifespan_free(fixture->lifespan);
        fixture->lifespan = NULL;
    }
}

static void on_started(void *data, int code, const char *message)
{
    told(&((struct fixture *)data)->started, code, message);
}

static void on_stopped(void *data, int code, const char *message)
{
    told(&((struct fixture *)data)->stopped, code, message);
}

static int setup(void **state)
{
    static struct fixture one;
    const struct loop_options options = { .fake_clock = true };
    memset(&one, 0, sizeof(one));
    fixture = &one;
    *state = fixture;
    casgi_imports_.tasks = &task_interface;
    fixture->state = state_base_new();
    return loop_new(&options, &fixture->loop);
}

static void turn(void)
{
    for (int i = 0; i < 10; i++) {
        (void)loop_turn(fixture->loop, false);
    }
}

static int teardown(void **state)
{
    (void)state;
    lifespan_free(fixture->lifespan);
    turn();
    loop_free(fixture->loop);
    state_base_free(fixture->state);
    return 0;
}

typedef int (*handler_t)(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *);

static void begin(handler_t handler, enum lifespan_mode mode, uint32_t flags)
{
    fixture->app.call = handler;
    const struct lifespan_options options = {
        .app = &fixture->app,
        .app_flags = flags,
        .mode = mode,
        .state = fixture->state,
        .on_started = on_started,
        .on_stopped = on_stopped,
        .data = fixture,
    };
    assert_int_equal(lifespan_start(fixture->loop, &options, &fixture->lifespan), 0);
    assert_int_equal(fixture->started, 0); /* never from inside */
    turn();
}

static void begin_auto(handler_t handler)
{
    begin(handler, LIFESPAN_AUTO, CASGI_APP_HTTP | CASGI_APP_LIFESPAN);
}

static void stop(void)
{
    lifespan_stop(fixture->lifespan);
    assert_int_equal(fixture->stopped, 0);
    turn();
}

static void assert_started(int code, const char *message)
{
    assert_int_equal(fixture->started, 1);
    assert_int_equal(fixture->code, code);
    if (message) {
        assert_string_equal(fixture->message, message);
    }
}

static void note(int result)
{
    if (fixture->result_count < 4) {
        fixture->results[fixture->result_count++] = result;
    }
}

static int say(casgi_send_t *send, uint32_t type, const char *message)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_EVENT_NONE);
    event.type = type;
    event.lifespan_failed.message = casgi_str(message);
    return casgi_send(send, &event);
}

/* ---- applications ---- */

static int proper(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)self;
    fixture->calls++;
    fixture->scope = *scope;
    note(casgi_receive(receive, &event) ? -1 : (int)event.type);
    (void)casgi_state_set(scope, "key", fixture);
    note(say(send, CASGI_LIFESPAN_STARTUP_COMPLETE, NULL));
    note(casgi_receive(receive, &event) ? -1 : (int)event.type);
    note(say(send, CASGI_LIFESPAN_SHUTDOWN_COMPLETE, NULL));
    return 0;
}

static int failing(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)self, (void)scope;
    (void)casgi_receive(receive, &event);
    (void)say(send, CASGI_LIFESPAN_STARTUP_FAILED, "no database");
    note(casgi_receive(receive, &event));
    return 0;
}

static int failing_without_end(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive,
                               casgi_send_t *send)
{
    (void)failing(self, scope, receive, send);
    note(casgi_sleep(UINT64_C(1000) * 1000 * 1000));
    return 0;
}

static int raising(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return CASGI_EIO;
}

static int unknowing(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return CASGI_ENOTSUP;
}

static int silent(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)self, (void)scope, (void)send;
    return casgi_receive(receive, &event);
}

static int returning_early(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)self, (void)scope;
    (void)casgi_receive(receive, &event);
    return say(send, CASGI_LIFESPAN_STARTUP_COMPLETE, NULL);
}

static int failing_shutdown(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)returning_early(self, scope, receive, send);
    (void)casgi_receive(receive, &event);
    return say(send, CASGI_LIFESPAN_SHUTDOWN_FAILED, "disk full");
}

static int out_of_order(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)self, (void)scope;
    note(say(send, CASGI_LIFESPAN_STARTUP_COMPLETE, NULL)); /* before startup was received */
    (void)casgi_receive(receive, &event);
    note(say(send, CASGI_LIFESPAN_SHUTDOWN_COMPLETE, NULL));
    note(say(send, CASGI_LIFESPAN_STARTUP_COMPLETE, NULL));
    note(say(send, CASGI_LIFESPAN_STARTUP_COMPLETE, NULL)); /* twice */
    (void)casgi_receive(receive, &event);
    return say(send, CASGI_LIFESPAN_SHUTDOWN_COMPLETE, NULL);
}

static int stubborn(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)returning_early(self, scope, receive, send);
    note(casgi_sleep(UINT64_C(1000) * 1000 * 1000));
    return 0;
}

static int slow_start(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return casgi_sleep(UINT64_C(1000) * 1000 * 1000);
}

/* ---- tests ---- */

static void test_lifespan__startup_then_shutdown(void **state)
{
    (void)state;
    begin_auto(proper);
    assert_started(0, NULL);
    assert_int_equal(fixture->stopped, 0);
    stop();
    assert_int_equal(fixture->stopped, 1);
    assert_int_equal(fixture->code, 0);
    assert_int_equal(fixture->results[0], CASGI_LIFESPAN_STARTUP);
    assert_int_equal(fixture->results[1], 0);
    assert_int_equal(fixture->results[2], CASGI_LIFESPAN_SHUTDOWN);
    assert_int_equal(fixture->results[3], 0);
}

static void test_lifespan__the_scope_is_of_its_type(void **state)
{
    (void)state;
    begin_auto(proper);
    assert_int_equal(fixture->scope.type, CASGI_SCOPE_LIFESPAN);
    assert_string_equal(fixture->scope.type_name.ptr, "lifespan");
    assert_string_equal(fixture->scope.asgi_version.ptr, "3.0");
    assert_string_equal(fixture->scope.asgi_spec_version.ptr, "2.0");
    assert_int_equal(fixture->scope.header_count, 0);
    stop();
}

static void test_lifespan__its_state_is_that_of_the_worker(void **state)
{
    (void)state;
    begin_auto(proper);
    casgi_state_t *view = state_base_view(fixture->state);
    assert_ptr_equal(view->get(view, "key"), fixture);
    stop();
}

static void test_lifespan__auto_without_the_flag_never_calls(void **state)
{
    (void)state;
    begin(proper, LIFESPAN_AUTO, CASGI_APP_HTTP);
    assert_started(0, NULL);
    assert_int_equal(fixture->calls, 0);
    stop();
    assert_int_equal(fixture->stopped, 1);
}

static void test_lifespan__off_never_calls(void **state)
{
    (void)state;
    begin(proper, LIFESPAN_OFF, CASGI_APP_HTTP | CASGI_APP_LIFESPAN);
    assert_started(0, NULL);
    assert_int_equal(fixture->calls, 0);
}

static void test_lifespan__on_without_the_flag_is_a_failed_startup(void **state)
{
    (void)state;
    begin(proper, LIFESPAN_ON, CASGI_APP_HTTP);
    assert_int_equal(fixture->calls, 0);
    assert_started(CASGI_ENOTSUP, NULL);
    assert_non_null(strstr(fixture->message, "CASGI_APP_LIFESPAN"));
}

static void test_lifespan__startup_failed_gives_its_message(void **state)
{
    (void)state;
    begin_auto(failing);
    assert_started(CASGI_EFAILED, "no database");
    assert_int_equal(fixture->results[0], CASGI_ECLOSED); /* nothing follows */
}

static void test_lifespan__after_startup_failed_it_may_be_freed_in_the_callback(void **state)
{
    (void)state;
    fixture->free_in_callback = true;
    begin_auto(failing);
    assert_int_equal(fixture->started, 1);
    assert_null(fixture->lifespan);
}

static void test_lifespan__one_that_failed_and_stays_is_cancelled(void **state)
{
    (void)state;
    begin_auto(failing_without_end);
    assert_int_equal(fixture->started, 0);
    loop_advance(fixture->loop, UINT64_C(6000000));
    turn();
    assert_started(CASGI_EFAILED, "no database");
    assert_int_equal(fixture->results[1], CASGI_ECANCELED);
}

static void test_lifespan__an_error_at_startup_is_a_failed_startup(void **state)
{
    (void)state;
    begin_auto(raising);
    assert_started(CASGI_EIO, "its lifespan handler returned an error: input/output error");
}

static void test_lifespan__not_supported_is_tolerated_in_auto(void **state)
{
    (void)state;
    begin_auto(unknowing);
    assert_started(0, NULL);
    stop();
    assert_int_equal(fixture->stopped, 1);
    assert_int_equal(fixture->code, 0);
}

static void test_lifespan__not_supported_is_fatal_in_on(void **state)
{
    (void)state;
    begin(unknowing, LIFESPAN_ON, CASGI_APP_LIFESPAN);
    assert_started(CASGI_ENOTSUP, NULL);
}

static void test_lifespan__returning_without_an_answer_is_a_failed_startup(void **state)
{
    (void)state;
    begin_auto(silent);
    assert_started(CASGI_EPROTO, "its lifespan handler returned without lifespan.startup.complete");
}

static void test_lifespan__returning_after_startup_is_tolerated(void **state)
{
    (void)state;
    begin_auto(returning_early);
    assert_started(0, NULL);
    stop();
    assert_int_equal(fixture->stopped, 1);
    assert_int_equal(fixture->code, 0);
}

static void test_lifespan__shutdown_failed_gives_its_message(void **state)
{
    (void)state;
    begin_auto(failing_shutdown);
    stop();
    assert_int_equal(fixture->stopped, 1);
    assert_int_equal(fixture->code, CASGI_EFAILED);
    assert_string_equal(fixture->message, "disk full");
}

static void test_lifespan__events_out_of_order_are_refused(void **state)
{
    (void)state;
    begin_auto(out_of_order);
    assert_int_equal(fixture->results[0], CASGI_EPROTO);
    assert_int_equal(fixture->results[1], CASGI_EPROTO);
    assert_int_equal(fixture->results[2], 0);
    assert_int_equal(fixture->results[3], CASGI_EPROTO);
    assert_started(0, NULL);
    stop();
    assert_int_equal(fixture->code, 0);
}

static void test_lifespan__one_that_does_not_stop_can_be_cancelled(void **state)
{
    (void)state;
    begin_auto(stubborn);
    stop();
    assert_int_equal(fixture->stopped, 0);
    lifespan_cancel(fixture->lifespan);
    turn();
    assert_int_equal(fixture->stopped, 1);
    assert_int_equal(fixture->results[0], CASGI_ECANCELED);
}

static void test_lifespan__stopping_during_startup_cancels_it(void **state)
{
    (void)state;
    begin_auto(slow_start);
    assert_int_equal(fixture->started, 0);
    stop();
    assert_int_equal(fixture->started, 1);
    assert_int_equal(fixture->stopped, 1);
    assert_int_equal(fixture->code, CASGI_ECANCELED);
}

static int returns_what_receive_said(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive,
                                     casgi_send_t *send)
{
    int rc = 0;
    (void)app, (void)scope;
    while (!rc) {
        casgi_event_t event, answer = CASGI_EVENT_INIT(0);
        rc = casgi_receive(receive, &event);
        answer.type =
            event.type == CASGI_LIFESPAN_STARTUP ? CASGI_LIFESPAN_STARTUP_COMPLETE : CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
        rc = rc ? rc : casgi_send(send, &answer);
    }
    return rc;
}

static void test_lifespan__may_return_that_nothing_follows_its_last_answer(void **state)
{
    (void)state;
    begin_auto(returns_what_receive_said);
    assert_started(0, NULL);
    stop();
    assert_int_equal(fixture->stopped, 1);
    assert_int_equal(fixture->code, 0);
}

/* As those do who port `while True: await receive()` and look at no code. */
static int never_heeds(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event = CASGI_EVENT_INIT(0), complete = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    (void)app, (void)scope;
    for (fixture->calls = 0; !fixture->enough && fixture->calls < TOO_MANY; fixture->calls++) {
        (void)casgi_receive(receive, &event);
        (void)casgi_send(send, &complete);
        complete.type = CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
    }
    return 0;
}

static void test_lifespan__one_that_never_heeds_lets_the_loop_turn(void **state)
{
    (void)state;
    begin_auto(never_heeds);
    assert_started(0, NULL);
    stop();
    int calls = fixture->calls;
    assert_in_range(calls, 2, TOO_MANY - 1);
    lifespan_cancel(fixture->lifespan);
    turn();
    assert_in_range(fixture->calls, calls + 1, TOO_MANY - 1);
    fixture->enough = true;
    turn();
    assert_int_equal(fixture->stopped, 1);
}

#define LIFESPAN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIFESPAN_TEST(test_lifespan__startup_then_shutdown),
        LIFESPAN_TEST(test_lifespan__the_scope_is_of_its_type),
        LIFESPAN_TEST(test_lifespan__its_state_is_that_of_the_worker),
        LIFESPAN_TEST(test_lifespan__auto_without_the_flag_never_calls),
        LIFESPAN_TEST(test_lifespan__off_never_calls),
        LIFESPAN_TEST(test_lifespan__on_without_the_flag_is_a_failed_startup),
        LIFESPAN_TEST(test_lifespan__startup_failed_gives_its_message),
        LIFESPAN_TEST(test_lifespan__after_startup_failed_it_may_be_freed_in_the_callback),
        LIFESPAN_TEST(test_lifespan__one_that_failed_and_stays_is_cancelled),
        LIFESPAN_TEST(test_lifespan__an_error_at_startup_is_a_failed_startup),
        LIFESPAN_TEST(test_lifespan__not_supported_is_tolerated_in_auto),
        LIFESPAN_TEST(test_lifespan__not_supported_is_fatal_in_on),
        LIFESPAN_TEST(test_lifespan__returning_without_an_answer_is_a_failed_startup),
        LIFESPAN_TEST(test_lifespan__returning_after_startup_is_tolerated),
        LIFESPAN_TEST(test_lifespan__shutdown_failed_gives_its_message),
        LIFESPAN_TEST(test_lifespan__events_out_of_order_are_refused),
        LIFESPAN_TEST(test_lifespan__one_that_does_not_stop_can_be_cancelled),
        LIFESPAN_TEST(test_lifespan__stopping_during_startup_cancels_it),
        LIFESPAN_TEST(test_lifespan__may_return_that_nothing_follows_its_last_answer),
        LIFESPAN_TEST(test_lifespan__one_that_never_heeds_lets_the_loop_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
