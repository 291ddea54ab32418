#include "support.h"

#include <string.h>

static char story[128];

static void tell(const char *word)
{
    assert_true(strlen(story) + strlen(word) < sizeof(story));
    memcpy(story + strlen(story), word, strlen(word) + 1);
}

static int setup(void **state)
{
    story[0] = '\0';
    return setup_loop(state);
}

static int sleep_long(void *arg)
{
    int rc = casgi_sleep(3600 * 1000);
    tell(rc == CASGI_ECANCELED ? "cancelled " : "slept ");
    tell(arg);
    return rc;
}

static int create(const char *word)
{
    return casgi_create_task(sleep_long, (void *)(uintptr_t)word, word, NULL);
}

/* ---- scopes ---- */

static int leave_child(void *arg)
{
    (void)arg;
    int rc = create("child ");
    tell("parent ");
    return rc;
}

static void test_children__are_cancelled_and_joined_when_the_task_returns(void **state)
{
    uint64_t before = loop_clock();
    assert_int_equal(task_spawn(*state, leave_child, NULL, NULL, NULL), 0);
    settle(*state);
    assert_string_equal(story, "parent cancelled child ");
    assert_int_equal(loop_clock(), before);
}

static int inner_call(void)
{
    casgi_children_t children;
    int rc = casgi_children_begin(&children);
    rc = rc ? rc : create("inner ");
    tell("end ");
    int end_rc = casgi_children_end(&children);
    return rc ? rc : end_rc;
}

static int call_inner(void *arg)
{
    (void)arg;
    int rc = create("outer ");
    rc = rc ? rc : inner_call();
    tell("back ");
    return rc;
}

static void test_children__of_an_inner_scope_end_with_it_and_others_do_not(void **state)
{
    assert_int_equal(task_spawn(*state, call_inner, NULL, NULL, NULL), 0);
    settle(*state);
    assert_string_equal(story, "end cancelled inner back cancelled outer ");
}

static int stubborn(void *arg)
{
    (void)arg;
    (void)casgi_sleep(1000);
    (void)casgi_uncancel();
    int rc = casgi_sleep(1000);
    tell("stubborn ");
    return rc;
}

static int leave_stubborn(void *arg)
{
    casgi_children_t children;
    (void)arg;
    (void)casgi_children_begin(&children);
    int rc = casgi_create_task(stubborn, NULL, NULL, NULL);
    (void)casgi_children_end(&children);
    tell("joined ");
    return rc;
}

static void test_children__one_that_refuses_is_waited_for(void **state)
{
    assert_int_equal(run_task(*state, leave_stubborn, NULL), 0);
    assert_string_equal(story, "stubborn joined ");
}

static void test_children__end_waits_also_when_the_caller_is_cancelled(void **state)
{
    struct task *task;
    assert_int_equal(task_start(*state, leave_stubborn, NULL, NULL, &task), 0);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_string_equal(story, "");
    loop_advance(*state, 1000000);
    assert_string_equal(story, "stubborn joined ");
}

static int forget_everything(void *arg)
{
    casgi_children_t children, forgotten;
    casgi_deadline_t deadline;
    (void)arg;
    (void)casgi_children_begin(&children);
    (void)casgi_children_begin(&forgotten);
    (void)casgi_deadline_begin(&deadline, 10);
    (void)casgi_shield_begin();
    int rc = create("forgotten ");
    (void)casgi_children_end(&children);
    rc = rc ? rc : casgi_sleep(100);
    return rc ? rc : casgi_shield_end() == CASGI_EINVAL ? 0 : 1;
}

static void test_children__end_also_ends_what_was_forgotten_inside(void **state)
{
    assert_int_equal(run_task(*state, forget_everything, NULL), 0);
    assert_string_equal(story, "cancelled forgotten ");
}

static int end_twice(void *arg)
{
    casgi_children_t children;
    (void)arg;
    (void)casgi_children_begin(&children);
    (void)casgi_children_end(&children);
    return casgi_children_end(&children);
}

static void test_children__a_second_end_is_refused(void **state)
{
    assert_int_equal(run_task(*state, end_twice, NULL), CASGI_EINVAL);
}

static int give_result(void *arg)
{
    return *(int *)arg;
}

static int create_joined(void *arg)
{
    casgi_children_t children;
    casgi_task_t *task;
    int result = 0;
    (void)casgi_children_begin(&children);
    int rc = casgi_create_task(give_result, arg, NULL, &task);
    (void)casgi_children_end(&children);
    rc = rc ? rc : casgi_join(task, &result);
    return rc ? rc : result;
}

static void test_children__a_handle_outlives_the_scope(void **state)
{
    int result = 42;
    assert_int_equal(run_task(*state, create_joined, &result), 42);
}

static int create_when_cancelled(void *arg)
{
    task_cancel(task_current(), CASGI_ECANCELED);
    return casgi_create_task(give_result, arg, NULL, NULL);
}

static void test_children__a_cancelled_task_creates_none(void **state)
{
    int result = 1;
    assert_int_equal(run_task(*state, create_when_cancelled, &result), CASGI_ECANCELED);
}

/* ---- defers ---- */

static void tell_deferred(void *arg)
{
    tell(arg);
}

static int defer_two(void *arg)
{
    (void)arg;
    (void)casgi_defer(tell_deferred, "first ");
    (void)casgi_defer(tell_deferred, "second ");
    tell("body ");
    return 0;
}

static void test_defer__runs_at_the_end_last_registered_first(void **state)
{
    run_task(*state, defer_two, NULL);
    assert_string_equal(story, "body second first ");
}

static void sleep_deferred(void *arg)
{
    *(int *)arg = casgi_sleep(1000);
}

static int defer_sleep(void *arg)
{
    (void)casgi_defer(sleep_deferred, arg);
    return casgi_sleep(1000);
}

static void test_defer__may_suspend_although_the_task_is_cancelled(void **state)
{
    int rc = 1;
    struct task *task;
    assert_int_equal(task_start(*state, defer_sleep, &rc, NULL, &task), 0);
    task_cancel(task, CASGI_ECANCELED);
    loop_advance(*state, 1000000);
    assert_int_equal(rc, 0);
}

static void sleep_for_ever(void *arg)
{
    *(int *)arg = casgi_sleep(3600 * 1000);
}

static int defer_for_ever(void *arg)
{
    return casgi_defer(sleep_for_ever, arg);
}

static void test_defer__is_bounded_by_the_cleanup_time(void **state)
{
    int rc = 1;
    assert_int_equal(task_start(*state, defer_for_ever, &rc, NULL, NULL), 0);
    loop_advance(*state, 4999999);
    assert_int_equal(rc, 1);
    loop_advance(*state, 1);
    assert_int_equal(rc, CASGI_ETIMEDOUT);
}

static int defer_and_child(void *arg)
{
    (void)arg;
    (void)casgi_defer(tell_deferred, "deferred ");
    return create("child ");
}

static void test_defer__runs_after_the_children_have_ended(void **state)
{
    run_task(*state, defer_and_child, NULL);
    assert_string_equal(story, "cancelled child deferred ");
}

static void create_in_defer(void *arg)
{
    (void)arg;
    assert_int_equal(create("late child "), 0);
}

static int defer_child(void *arg)
{
    (void)arg;
    return casgi_defer(create_in_defer, NULL);
}

static void test_defer__a_child_it_creates_is_joined(void **state)
{
    run_task(*state, defer_child, NULL);
    assert_string_equal(story, "cancelled late child ");
}

static void defer_more(void *arg)
{
    tell("outer ");
    (void)casgi_defer(tell_deferred, arg);
}

static int defer_defer(void *arg)
{
    (void)arg;
    return casgi_defer(defer_more, "inner ");
}

static void test_defer__may_defer(void **state)
{
    run_task(*state, defer_defer, NULL);
    assert_string_equal(story, "outer inner ");
}

/* ---- background ---- */

static void free_arg(void *arg)
{
    (void)arg;
    tell("freed ");
}

static int outlive(void *arg)
{
    int rc = casgi_sleep(1000);
    tell(arg);
    return rc;
}

static int leave_background(void *arg)
{
    int rc = casgi_background(outlive, arg, free_arg, "background");
    tell("handler ");
    return rc;
}

static void test_background__outlives_its_maker_and_frees_its_argument(void **state)
{
    assert_int_equal(task_start(*state, leave_background, "background ", NULL, NULL), 0);
    settle(*state);
    assert_string_equal(story, "handler ");
    loop_advance(*state, 1000000);
    assert_string_equal(story, "handler background freed ");
}

static void cancel_if_background(struct task *task, void *arg)
{
    (void)arg;
    if (task_is_background(task)) {
        task_cancel(task, CASGI_ECANCELED);
    }
}

static void test_background__can_be_found_and_cancelled(void **state)
{
    assert_int_equal(task_start(*state, leave_background, "background ", NULL, NULL), 0);
    task_for_each(*state, cancel_if_background, NULL);
    settle(*state);
    assert_string_equal(story, "handler background freed ");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_children__are_cancelled_and_joined_when_the_task_returns),
        CASE(test_children__of_an_inner_scope_end_with_it_and_others_do_not),
        CASE(test_children__one_that_refuses_is_waited_for),
        CASE(test_children__end_waits_also_when_the_caller_is_cancelled),
        CASE(test_children__end_also_ends_what_was_forgotten_inside),
        CASE(test_children__a_second_end_is_refused),
        CASE(test_children__a_handle_outlives_the_scope),
        CASE(test_children__a_cancelled_task_creates_none),
        CASE(test_defer__runs_at_the_end_last_registered_first),
        CASE(test_defer__may_suspend_although_the_task_is_cancelled),
        CASE(test_defer__is_bounded_by_the_cleanup_time),
        CASE(test_defer__runs_after_the_children_have_ended),
        CASE(test_defer__a_child_it_creates_is_joined),
        CASE(test_defer__may_defer),
        CASE(test_background__outlives_its_maker_and_frees_its_argument),
        CASE(test_background__can_be_found_and_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
