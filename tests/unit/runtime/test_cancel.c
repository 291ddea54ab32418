/* link: -Wl,--wrap=log_print */
/* Cancellation, deadlines, shields: each rule of server/runtime/README.md. */
#include "support.h"

#include <string.h>

static int warnings;

void __wrap_log_print(int level, const char *format, ...);
void __wrap_log_print(int level, const char *format, ...)
{
    (void)format;
    warnings += level == CASGI_LOG_WARNING;
}

static int setup(void **state)
{
    warnings = 0;
    return setup_loop(state);
}

/* What a task under test has seen. */
struct seen {
    int rc[8];
    int count;
    bool over;
    struct task *other;
    casgi_waiter_t *waiter;
};

static void see(struct seen *seen, int rc)
{
    assert_in_range(seen->count, 0, 7);
    seen->rc[seen->count++] = rc;
}

static struct task *start(struct loop *loop, casgi_task_fn_t fn, struct seen *seen)
{
    struct task *task;
    assert_int_equal(task_start(loop, fn, seen, NULL, &task), 0);
    return task;
}

/* ---- cancel ---- */

static int sleep_twice(void *arg)
{
    see(arg, casgi_sleep(1000));
    see(arg, casgi_sleep(1000));
    return 0;
}

static void test_cancel__ends_the_current_call_at_once(void **state)
{
    struct seen seen = { .count = 0 };
    uint64_t before = loop_clock();
    struct task *task = start(*state, sleep_twice, &seen);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.rc[0], CASGI_ECANCELED);
    assert_int_equal(loop_clock(), before);
}

static void test_cancel__every_later_call_fails_too(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, sleep_twice, &seen);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.rc[1], CASGI_ECANCELED);
}

static void test_cancel__the_code_is_what_the_canceller_said(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, sleep_twice, &seen);
    task_cancel(task, CASGI_ETIMEDOUT);
    settle(*state);
    assert_int_equal(seen.rc[0], CASGI_ETIMEDOUT);
}

static void test_cancel__canceled_outranks_timed_out(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, sleep_twice, &seen);
    task_cancel(task, CASGI_ETIMEDOUT);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.rc[0], CASGI_ECANCELED);
}

static void test_cancel__before_the_first_run_the_task_runs_and_its_first_call_fails(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task;
    assert_int_equal(task_spawn(*state, sleep_twice, &seen, NULL, &task), 0);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.rc[0], CASGI_ECANCELED);
}

static int cancel_self(void *arg)
{
    task_cancel(task_current(), CASGI_ECANCELED);
    see(arg, task_check());
    see(arg, casgi_yield());
    return 0;
}

static void test_cancel__a_task_may_cancel_itself(void **state)
{
    struct seen seen = { .count = 0 };
    start(*state, cancel_self, &seen);
    settle(*state);
    assert_int_equal(seen.rc[0], CASGI_ECANCELED);
    assert_int_equal(seen.rc[1], CASGI_ECANCELED);
}

static int refuse(void *arg)
{
    see(arg, casgi_sleep(1000));
    see(arg, casgi_uncancel());
    see(arg, casgi_sleep(1000));
    return 5;
}

static void test_cancel__uncancel_makes_calls_work_again(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = task_ref(start(*state, refuse, &seen));
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_false(task_ended(task));
    loop_advance(*state, 1000000);
    assert_int_equal(seen.rc[2], 0);
    assert_int_equal(task_result(task), 5);
    task_unref(task);
}

static void test_cancel__uncancel_tells_how_many_there_were(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, refuse, &seen);
    task_cancel(task, CASGI_ECANCELED);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.rc[1], 2);
    loop_advance(*state, 1000000);
}

static void test_cancel__a_task_that_refused_can_be_cancelled_again(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, refuse, &seen);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.rc[2], CASGI_ECANCELED);
}

static void test_cancel__of_an_ended_task_does_nothing(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = task_ref(start(*state, cancel_self, &seen));
    settle(*state);
    assert_true(task_ended(task));
    task_cancel(task, CASGI_ECANCELED);
    task_wake(task);
    settle(*state);
    task_unref(task);
}

/* ---- the turn ---- */

static int count_until(void *arg)
{
    struct seen *seen = arg;
    while (!seen->over) {
        (void)casgi_sleep(100);
    }
    return 0;
}

static int say_over(void *arg)
{
    ((struct seen *)arg)->over = true;
    return 0;
}

static void test_cancel__a_failing_call_lets_others_run(void **state)
{
    struct seen seen = { .over = false };
    struct task *task = start(*state, count_until, &seen);
    task_cancel(task, CASGI_ECANCELED);
    assert_int_equal(task_spawn(*state, say_over, &seen, NULL, NULL), 0);
    settle(*state);
    assert_int_equal(task_count(*state), 0);
}

static int call_often(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        (void)casgi_sleep(100);
    }
    return 0;
}

static void test_cancel__a_hundred_failing_calls_in_a_row_are_logged_once(void **state)
{
    int calls = 350;
    struct task *task;
    assert_int_equal(task_spawn(*state, call_often, &calls, NULL, &task), 0);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(warnings, 1);
}

static void test_cancel__ninety_nine_are_not(void **state)
{
    int calls = 99;
    struct task *task;
    assert_int_equal(task_spawn(*state, call_often, &calls, NULL, &task), 0);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(warnings, 0);
}

/* ---- nothing is lost ---- */

static int wait_twice(void *arg)
{
    struct seen *seen = arg;
    see(seen, casgi_waiter_wait(seen->waiter));
    (void)casgi_uncancel();
    see(seen, casgi_waiter_wait(seen->waiter));
    return 0;
}

static void test_cancel__a_wake_that_comes_with_it_wins(void **state)
{
    struct seen seen = { .count = 0 };
    assert_int_equal(casgi_waiter_new(&seen.waiter), 0);
    struct task *task = start(*state, wait_twice, &seen);
    task_cancel(task, CASGI_ECANCELED);
    casgi_waiter_wake(seen.waiter);
    settle(*state);
    assert_int_equal(seen.rc[0], 0);
    casgi_waiter_wake(seen.waiter);
    settle(*state);
    casgi_waiter_unref(seen.waiter);
}

static void test_cancel__a_wake_kept_before_the_call_is_not_consumed_by_its_failure(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task;
    assert_int_equal(casgi_waiter_new(&seen.waiter), 0);
    assert_int_equal(task_spawn(*state, wait_twice, &seen, NULL, &task), 0);
    task_cancel(task, CASGI_ECANCELED);
    casgi_waiter_wake(seen.waiter);
    settle(*state);
    assert_int_equal(seen.rc[0], CASGI_ECANCELED);
    assert_int_equal(seen.rc[1], 0);
    casgi_waiter_unref(seen.waiter);
}

static int park_deaf(void *arg)
{
    task_park_uncancelable(TASK_WAIT_THREAD);
    see(arg, task_check());
    return 0;
}

static void test_cancel__does_not_reach_an_uncancelable_park(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, park_deaf, &seen);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.count, 0);
    task_wake(task);
    settle(*state);
    assert_int_equal(seen.rc[0], CASGI_ECANCELED);
}

/* ---- deadlines ---- */

static int sleep_under_deadline(void *arg)
{
    casgi_deadline_t deadline;
    see(arg, casgi_deadline_begin(&deadline, 50));
    see(arg, casgi_sleep(1000));
    see(arg, casgi_sleep(1000));
    see(arg, casgi_deadline_end(&deadline));
    see(arg, casgi_sleep(10));
    return 0;
}

static void test_deadline__a_call_ends_when_it_passes(void **state)
{
    struct seen seen = { .count = 0 };
    uint64_t before = loop_clock();
    run_task(*state, sleep_under_deadline, &seen);
    assert_int_equal(seen.rc[1], CASGI_ETIMEDOUT);
    assert_true(loop_clock() > before);
}

static void test_deadline__every_call_fails_until_its_end(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, sleep_under_deadline, &seen);
    assert_int_equal(seen.rc[2], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[3], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[4], 0);
}

static int sleep_in_time(void *arg)
{
    casgi_deadline_t deadline;
    see(arg, casgi_deadline_begin(&deadline, 50));
    see(arg, casgi_sleep(10));
    see(arg, casgi_deadline_end(&deadline));
    see(arg, casgi_sleep(100));
    return 0;
}

static void test_deadline__that_did_not_pass_leaves_no_trace(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, sleep_in_time, &seen);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(seen.rc[i], 0);
    }
}

static int outer_first(void *arg)
{
    casgi_deadline_t outer, inner;
    (void)casgi_deadline_begin(&outer, 50);
    (void)casgi_deadline_begin(&inner, 500);
    see(arg, casgi_sleep(1000));
    see(arg, casgi_deadline_end(&inner));
    see(arg, casgi_sleep(1000));
    see(arg, casgi_deadline_end(&outer));
    return 0;
}

static void test_deadline__the_outer_one_passing_first_is_told_from_the_inner(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, outer_first, &seen);
    assert_int_equal(seen.rc[0], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[1], 0);
    assert_int_equal(seen.rc[2], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[3], CASGI_ETIMEDOUT);
}

static int inner_first(void *arg)
{
    casgi_deadline_t outer, inner;
    (void)casgi_deadline_begin(&outer, 500);
    (void)casgi_deadline_begin(&inner, 50);
    see(arg, casgi_sleep(1000));
    see(arg, casgi_deadline_end(&inner));
    see(arg, casgi_sleep(100));
    see(arg, casgi_deadline_end(&outer));
    return 0;
}

static void test_deadline__after_the_inner_one_the_outer_still_allows(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, inner_first, &seen);
    assert_int_equal(seen.rc[0], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[1], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[2], 0);
    assert_int_equal(seen.rc[3], 0);
}

static int uncancel_deadline(void *arg)
{
    casgi_deadline_t deadline;
    (void)casgi_deadline_begin(&deadline, 50);
    see(arg, casgi_sleep(1000));
    see(arg, casgi_uncancel());
    see(arg, casgi_sleep(1));
    (void)casgi_deadline_end(&deadline);
    return 0;
}

static void test_deadline__uncancel_does_not_take_it_back(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, uncancel_deadline, &seen);
    assert_int_equal(seen.rc[1], 0);
    assert_int_equal(seen.rc[2], CASGI_ETIMEDOUT);
}

static int sleep_both(void *arg)
{
    casgi_deadline_t deadline;
    (void)casgi_deadline_begin(&deadline, 50);
    see(arg, casgi_sleep(1000));
    see(arg, casgi_deadline_end(&deadline));
    see(arg, casgi_sleep(1000));
    return 0;
}

static void cancel_on_timer(struct timer *timer);
static struct task *victim;
static struct timer killer = { .fn = cancel_on_timer };

static void cancel_on_timer(struct timer *timer)
{
    (void)timer;
    task_cancel(victim, CASGI_ECANCELED);
}

static void test_deadline__and_a_cancel_at_once_give_canceled(void **state)
{
    struct seen seen = { .count = 0 };
    victim = start(*state, sleep_both, &seen);
    assert_int_equal(timer_set(*state, &killer, 50000), 0); /* the deadline's timer was set first */
    loop_advance(*state, 50000);
    assert_int_equal(seen.rc[0], CASGI_ECANCELED);
    assert_int_equal(seen.rc[1], CASGI_ETIMEDOUT); /* it had passed as well */
    assert_int_equal(seen.rc[2], CASGI_ECANCELED);
}

static void test_deadline__and_the_result_at_once_give_the_result(void **state)
{
    struct seen seen = { .count = 0 };
    assert_int_equal(casgi_waiter_new(&seen.waiter), 0);
    struct task *task = start(*state, wait_twice, &seen);
    casgi_waiter_wake(seen.waiter);
    task_cancel(task, CASGI_ETIMEDOUT);
    settle(*state);
    assert_int_equal(seen.rc[0], 0);
    casgi_waiter_wake(seen.waiter);
    settle(*state);
    casgi_waiter_unref(seen.waiter);
}

static int forget_deadline(void *arg)
{
    casgi_deadline_t outer, forgotten;
    (void)casgi_deadline_begin(&outer, 500);
    (void)casgi_deadline_begin(&forgotten, 50);
    see(arg, casgi_deadline_end(&outer));
    see(arg, casgi_sleep(100));
    return 0;
}

static void test_deadline__a_forgotten_one_ends_with_the_outer(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, forget_deadline, &seen);
    assert_int_equal(seen.rc[0], 0);
    assert_int_equal(seen.rc[1], 0);
}

static int leave_deadline(void *arg)
{
    casgi_deadline_t deadline;
    (void)arg;
    (void)casgi_deadline_begin(&deadline, 50);
    return 0;
}

static void test_deadline__one_left_open_ends_with_the_task(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, leave_deadline, &seen);
    loop_advance(*state, 1000000);
}

static int end_unknown(void *arg)
{
    casgi_deadline_t deadline;
    memset(&deadline, 0, sizeof(deadline));
    see(arg, casgi_deadline_end(&deadline));
    return 0;
}

static void test_deadline__ending_one_that_was_not_begun_is_refused(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, end_unknown, &seen);
    assert_int_equal(seen.rc[0], CASGI_EINVAL);
}

/* ---- shields ---- */

static int shielded_sleep(void *arg)
{
    (void)casgi_shield_begin();
    see(arg, casgi_sleep(1000));
    (void)casgi_shield_end();
    see(arg, casgi_sleep(1000));
    return 0;
}

static void test_shield__a_cancellation_waits_for_its_end(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, shielded_sleep, &seen);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.count, 0);
    loop_advance(*state, 1000000);
    assert_int_equal(seen.rc[0], 0);
    assert_int_equal(seen.rc[1], CASGI_ECANCELED);
}

static int shield_inside_shield(void *arg)
{
    (void)casgi_shield_begin();
    (void)casgi_shield_begin();
    (void)casgi_shield_end();
    see(arg, casgi_sleep(1000));
    (void)casgi_shield_end();
    see(arg, casgi_sleep(1000));
    return 0;
}

static void test_shield__they_nest(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, shield_inside_shield, &seen);
    task_cancel(task, CASGI_ECANCELED);
    loop_advance(*state, 1000000);
    assert_int_equal(seen.rc[0], 0);
    assert_int_equal(seen.rc[1], CASGI_ECANCELED);
}

static int shield_in_deadline(void *arg)
{
    casgi_deadline_t deadline;
    (void)casgi_deadline_begin(&deadline, 50);
    (void)casgi_shield_begin();
    see(arg, casgi_sleep(100));
    (void)casgi_shield_end();
    see(arg, casgi_sleep(100));
    see(arg, casgi_deadline_end(&deadline));
    return 0;
}

static void test_shield__an_outer_deadline_waits_too(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, shield_in_deadline, &seen);
    assert_int_equal(seen.rc[0], 0);
    assert_int_equal(seen.rc[1], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[2], CASGI_ETIMEDOUT);
}

static int deadline_in_shield(void *arg)
{
    casgi_deadline_t deadline;
    (void)casgi_shield_begin();
    (void)casgi_deadline_begin(&deadline, 50);
    see(arg, casgi_sleep(100));
    see(arg, casgi_deadline_end(&deadline));
    (void)casgi_shield_end();
    return 0;
}

static void test_shield__a_deadline_begun_inside_works(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, deadline_in_shield, &seen);
    assert_int_equal(seen.rc[0], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[1], CASGI_ETIMEDOUT);
}

static int shield_for_ever(void *arg)
{
    (void)casgi_shield_begin();
    see(arg, casgi_sleep(3600 * 1000));
    (void)casgi_shield_end();
    see(arg, task_check());
    return 0;
}

static void test_shield__once_cancelled_it_lasts_no_longer_than_the_cleanup_time(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, shield_for_ever, &seen);
    loop_advance(*state, 60000000);
    task_cancel(task, CASGI_ECANCELED);
    loop_advance(*state, 4999999);
    assert_int_equal(seen.count, 0);
    loop_advance(*state, 1);
    assert_int_equal(seen.rc[0], CASGI_ETIMEDOUT);
    assert_int_equal(seen.rc[1], CASGI_ECANCELED);
}

static int shield_when_cancelled(void *arg)
{
    see(arg, casgi_sleep(1000));
    (void)casgi_shield_begin();
    see(arg, casgi_sleep(3600 * 1000));
    (void)casgi_shield_end();
    return 0;
}

static void test_shield__begun_by_a_cancelled_task_has_the_cleanup_time(void **state)
{
    struct seen seen = { .count = 0 };
    struct task *task = start(*state, shield_when_cancelled, &seen);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(seen.count, 1);
    loop_advance(*state, 5000000);
    assert_int_equal(seen.rc[1], CASGI_ETIMEDOUT);
}

static int end_no_shield(void *arg)
{
    see(arg, casgi_shield_end());
    return 0;
}

static void test_shield__ending_one_that_was_not_begun_is_refused(void **state)
{
    struct seen seen = { .count = 0 };
    run_task(*state, end_no_shield, &seen);
    assert_int_equal(seen.rc[0], CASGI_EINVAL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_cancel__ends_the_current_call_at_once),
        CASE(test_cancel__every_later_call_fails_too),
        CASE(test_cancel__the_code_is_what_the_canceller_said),
        CASE(test_cancel__canceled_outranks_timed_out),
        CASE(test_cancel__before_the_first_run_the_task_runs_and_its_first_call_fails),
        CASE(test_cancel__a_task_may_cancel_itself),
        CASE(test_cancel__uncancel_makes_calls_work_again),
        CASE(test_cancel__uncancel_tells_how_many_there_were),
        CASE(test_cancel__a_task_that_refused_can_be_cancelled_again),
        CASE(test_cancel__of_an_ended_task_does_nothing),
        CASE(test_cancel__a_failing_call_lets_others_run),
        CASE(test_cancel__a_hundred_failing_calls_in_a_row_are_logged_once),
        CASE(test_cancel__ninety_nine_are_not),
        CASE(test_cancel__a_wake_that_comes_with_it_wins),
        CASE(test_cancel__a_wake_kept_before_the_call_is_not_consumed_by_its_failure),
        CASE(test_cancel__does_not_reach_an_uncancelable_park),
        CASE(test_deadline__a_call_ends_when_it_passes),
        CASE(test_deadline__every_call_fails_until_its_end),
        CASE(test_deadline__that_did_not_pass_leaves_no_trace),
        CASE(test_deadline__the_outer_one_passing_first_is_told_from_the_inner),
        CASE(test_deadline__after_the_inner_one_the_outer_still_allows),
        CASE(test_deadline__uncancel_does_not_take_it_back),
        CASE(test_deadline__and_a_cancel_at_once_give_canceled),
        CASE(test_deadline__and_the_result_at_once_give_the_result),
        CASE(test_deadline__a_forgotten_one_ends_with_the_outer),
        CASE(test_deadline__one_left_open_ends_with_the_task),
        CASE(test_deadline__ending_one_that_was_not_begun_is_refused),
        CASE(test_shield__a_cancellation_waits_for_its_end),
        CASE(test_shield__they_nest),
        CASE(test_shield__an_outer_deadline_waits_too),
        CASE(test_shield__a_deadline_begun_inside_works),
        CASE(test_shield__once_cancelled_it_lasts_no_longer_than_the_cleanup_time),
        CASE(test_shield__begun_by_a_cancelled_task_has_the_cleanup_time),
        CASE(test_shield__ending_one_that_was_not_begun_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
