/* Groups and gather: each case of success, failure, cancellation, timeout. */
#include "job.h"

#include "casgi/group.h"

/* ---- gather ---- */

static int gather_three(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(do_job, &c), CASGI_WORK(do_job, &a), CASGI_WORK(do_job, &b) };
    int rc = casgi_gather(works, 3, 0);
    (void)arg;
    assert_int_equal(works[0].result, 3);
    assert_int_equal(works[1].result, 1);
    assert_int_equal(works[2].result, 2);
    return rc;
}

static void test_gather__results_are_in_the_order_of_the_works(void **state)
{
    assert_int_equal(run_task(*state, gather_three, NULL), 0);
    assert_string_equal(story(), "abc");
}

static int gather_sleeps(void *arg)
{
    struct job same = { "s", 100, 0 };
    casgi_work_t works[] = { CASGI_WORK(do_job, &same), CASGI_WORK(do_job, &same), CASGI_WORK(do_job, &same) };
    (void)arg;
    began_now();
    int rc = casgi_gather(works, 3, 0);
    return rc ? rc : (int)elapsed();
}

static void test_gather__waits_overlap(void **state)
{
    assert_int_equal(run_task(*state, gather_sleeps, NULL), 100);
}

static int gather_failing(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(do_job, &a), CASGI_WORK(do_job, &bad), CASGI_WORK(do_job, &slow) };
    (void)arg;
    began_now();
    int rc = casgi_gather(works, 3, 0);
    assert_int_equal(elapsed(), 15);
    assert_int_equal(works[0].result, 1);
    assert_int_equal(works[1].result, CASGI_EIO);
    assert_int_equal(works[2].result, CASGI_ECANCELED);
    return rc;
}

static void test_gather__the_first_failure_cancels_the_others_and_is_returned(void **state)
{
    assert_int_equal(run_task(*state, gather_failing, NULL), CASGI_EIO);
    assert_string_equal(story(), "abad-slow");
}

static int gather_then_sleep(void *arg)
{
    (void)gather_failing(arg);
    return casgi_sleep(10);
}

static void test_gather__after_a_failure_the_callers_calls_work(void **state)
{
    assert_int_equal(run_task(*state, gather_then_sleep, NULL), 0);
}

static int gather_all(void *arg)
{
    struct job late = { "late", 50, 5 };
    casgi_work_t works[] = { CASGI_WORK(do_job, &bad), CASGI_WORK(do_job, &late) };
    (void)arg;
    int rc = casgi_gather(works, 2, CASGI_GATHER_ALL);
    assert_int_equal(works[0].result, CASGI_EIO);
    assert_int_equal(works[1].result, 5);
    return rc;
}

static void test_gather__all_lets_the_others_go_on(void **state)
{
    assert_int_equal(run_task(*state, gather_all, NULL), 0);
    assert_string_equal(story(), "badlate");
}

static int seen_rc;

static int gather_slow(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(do_job, &slow), CASGI_WORK(do_job, &slow) };
    (void)arg;
    seen_rc = casgi_gather(works, 2, 0);
    story_tell(".");
    assert_int_equal(works[0].result, CASGI_ECANCELED);
    assert_int_equal(works[1].result, CASGI_ECANCELED);
    return 0;
}

static void test_gather__a_cancelled_caller_cancels_and_joins_all(void **state)
{
    struct task *task;
    assert_int_equal(task_start(*state, gather_slow, NULL, NULL, &task), 0);
    cancel_at(*state, task, 5);
    assert_int_equal(seen_rc, CASGI_ECANCELED);
    assert_string_equal(story(), "-slow-slow.");
}

static int gather_slow_all(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(do_job, &slow), CASGI_WORK(do_job, &a) };
    (void)arg;
    seen_rc = casgi_gather(works, 2, CASGI_GATHER_ALL);
    assert_int_equal(works[0].result, CASGI_ECANCELED);
    return 0;
}

static void test_gather__all_is_cancelled_with_its_caller_too(void **state)
{
    struct task *task;
    assert_int_equal(task_start(*state, gather_slow_all, NULL, NULL, &task), 0);
    cancel_at(*state, task, 5);
    assert_int_equal(seen_rc, CASGI_ECANCELED);
}

static int gather_under_deadline(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(do_job, &slow) };
    casgi_deadline_t deadline;
    (void)arg;
    began_now();
    (void)casgi_deadline_begin(&deadline, 40);
    int rc = casgi_gather(works, 1, 0);
    assert_int_equal(elapsed(), 40);
    assert_int_equal(casgi_deadline_end(&deadline), CASGI_ETIMEDOUT);
    return rc;
}

static void test_gather__the_callers_deadline_ends_it(void **state)
{
    assert_int_equal(run_task(*state, gather_under_deadline, NULL), CASGI_ETIMEDOUT);
    assert_string_equal(story(), "-slow");
}

static int gather_refusing(void *arg)
{
    struct job stubborn = { "stubborn", 100, 7 };
    casgi_work_t works[] = { CASGI_WORK(do_job, &bad), CASGI_WORK(refuse, &stubborn) };
    (void)arg;
    began_now();
    int rc = casgi_gather(works, 2, 0);
    assert_int_equal(elapsed(), 115);
    assert_int_equal(works[1].result, 7);
    return rc;
}

static void test_gather__one_that_refuses_is_joined_all_the_same(void **state)
{
    assert_int_equal(run_task(*state, gather_refusing, NULL), CASGI_EIO);
}

static void test_gather__cancelled_while_cancelling_still_joins(void **state)
{
    struct task *task;
    assert_int_equal(task_start(*state, gather_refusing, NULL, NULL, &task), 0);
    loop_advance(*state, 50000); /* one has failed, the other is being waited for */
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(task_count(*state), 2);
    loop_advance(*state, 65000);
    assert_int_equal(task_count(*state), 0);
    assert_string_equal(story(), "badstubborn");
}

static int gather_cancelled(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(do_job, &a) };
    (void)arg;
    task_cancel(task_current(), CASGI_ECANCELED);
    int rc = casgi_gather(works, 1, 0);
    assert_int_equal(works[0].result, CASGI_ECANCELED);
    return rc;
}

static void test_gather__of_a_cancelled_caller_starts_nothing(void **state)
{
    assert_int_equal(run_task(*state, gather_cancelled, NULL), CASGI_ECANCELED);
    assert_string_equal(story(), "");
}

static int gather_nothing(void *arg)
{
    (void)arg;
    return casgi_gather(NULL, 0, 0);
}

static void test_gather__of_nothing_is_done(void **state)
{
    assert_int_equal(run_task(*state, gather_nothing, NULL), 0);
}

static int give_ninth(void *arg)
{
    (void)arg;
    return 9;
}

static int gather_inside(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(give_ninth, NULL), CASGI_WORK(do_job, arg) };
    int rc = casgi_gather(works, 2, 0);
    return rc ? rc : works[0].result + works[1].result;
}

static int gather_nested(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(gather_inside, &a), CASGI_WORK(gather_inside, &b) };
    (void)arg;
    int rc = casgi_gather(works, 2, 0);
    return rc ? rc : works[0].result * 100 + works[1].result;
}

static void test_gather__nests(void **state)
{
    assert_int_equal(run_task(*state, gather_nested, NULL), 1011);
}

/* ---- groups ---- */

static int group_of_three(void *arg)
{
    casgi_task_group_t group;
    int rc = casgi_task_group_begin(&group);
    (void)arg;
    rc = rc ? rc : casgi_task_group_create(&group, do_job, &b, NULL, NULL);
    rc = rc ? rc : casgi_task_group_create(&group, do_job, &a, NULL, NULL);
    story_tell("body ");
    int end_rc = casgi_task_group_end(&group);
    story_tell(".");
    return rc ? rc : end_rc;
}

static void test_group__end_waits_for_all(void **state)
{
    assert_int_equal(run_task(*state, group_of_three, NULL), 0);
    assert_string_equal(story(), "body ab.");
}

static int group_failing(void *arg)
{
    casgi_task_group_t group;
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &bad, NULL, NULL);
    (void)casgi_task_group_create(&group, do_job, &slow, NULL, NULL);
    began_now();
    int body_rc = casgi_sleep(500);
    assert_int_equal(elapsed(), 15);
    assert_int_equal(body_rc, CASGI_ECANCELED);
    assert_int_equal(casgi_task_group_create(&group, do_job, &a, NULL, NULL), CASGI_ECANCELED);
    int rc = casgi_task_group_end(&group);
    assert_int_equal(casgi_sleep(1), 0);
    return rc;
}

static void test_group__a_failure_cancels_siblings_and_the_body_up_to_the_end(void **state)
{
    assert_int_equal(run_task(*state, group_failing, NULL), CASGI_EIO);
    assert_string_equal(story(), "bad-slow");
}

static int group_two_failures(void *arg)
{
    struct job worse = { "worse", 15, CASGI_EACCES };
    casgi_task_group_t group;
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &bad, NULL, NULL);
    (void)casgi_task_group_create(&group, do_job, &worse, NULL, NULL);
    return casgi_task_group_end(&group);
}

static void test_group__of_two_failures_the_first_counts(void **state)
{
    assert_int_equal(run_task(*state, group_two_failures, NULL), CASGI_EIO);
}

static int group_child_cancelled(void *arg)
{
    casgi_task_group_t group;
    casgi_task_t *task;
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &slow, NULL, &task);
    (void)casgi_task_group_create(&group, do_job, &b, NULL, NULL);
    (void)casgi_sleep(1);
    (void)casgi_cancel(task);
    casgi_release(task);
    return casgi_task_group_end(&group);
}

static void test_group__a_task_cancelled_alone_is_no_failure(void **state)
{
    assert_int_equal(run_task(*state, group_child_cancelled, NULL), 0);
    assert_string_equal(story(), "-slowb");
}

static int group_slow(void *arg)
{
    casgi_task_group_t group;
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &slow, NULL, NULL);
    seen_rc = casgi_task_group_end(&group);
    story_tell(".");
    return casgi_sleep(1);
}

static void test_group__a_cancelled_caller_cancels_and_joins_all(void **state)
{
    struct task *task;
    assert_int_equal(task_start(*state, group_slow, NULL, NULL, &task), 0);
    task_ref(task);
    cancel_at(*state, task, 5);
    assert_int_equal(seen_rc, CASGI_ECANCELED);
    assert_string_equal(story(), "-slow.");
    assert_int_equal(task_result(task), CASGI_ECANCELED); /* the cancellation is still there */
    task_unref(task);
}

static int group_failing_late(void *arg)
{
    casgi_task_group_t group;
    struct job stubborn = { "stubborn", 100, 0 };
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &bad, NULL, NULL);
    (void)casgi_task_group_create(&group, refuse, &stubborn, NULL, NULL);
    seen_rc = casgi_task_group_end(&group);
    return casgi_sleep(1);
}

static void test_group__a_failure_and_then_a_cancellation_give_the_failure_first(void **state)
{
    struct task *task;
    assert_int_equal(task_start(*state, group_failing_late, NULL, NULL, &task), 0);
    task_ref(task);
    cancel_at(*state, task, 50);
    loop_advance(*state, 100000);
    assert_int_equal(seen_rc, CASGI_EIO);
    assert_int_equal(task_result(task), CASGI_ECANCELED);
    task_unref(task);
}

static int group_quiet(void *arg)
{
    casgi_task_group_t group;
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &slow, NULL, NULL);
    (void)casgi_sleep(1);
    assert_int_equal(casgi_task_group_cancel(&group), 0);
    assert_int_equal(casgi_sleep(1), CASGI_ECANCELED);
    return casgi_task_group_end(&group);
}

static void test_group__cancel_ends_it_without_a_failure(void **state)
{
    assert_int_equal(run_task(*state, group_quiet, NULL), 0);
    assert_string_equal(story(), "-slow");
}

static int add_sibling(void *arg)
{
    int rc = casgi_sleep(5);
    return rc ? rc : casgi_task_group_create(arg, do_job, &b, NULL, NULL);
}

static int group_growing(void *arg)
{
    casgi_task_group_t group;
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, add_sibling, &group, NULL, NULL);
    return casgi_task_group_end(&group);
}

static void test_group__a_member_may_add_members_that_the_end_waits_for(void **state)
{
    assert_int_equal(run_task(*state, group_growing, NULL), 0);
    assert_string_equal(story(), "b");
}

static int group_in_group(void *arg)
{
    casgi_task_group_t outer, inner;
    (void)arg;
    (void)casgi_task_group_begin(&outer);
    (void)casgi_task_group_create(&outer, do_job, &bad, NULL, NULL);
    (void)casgi_task_group_begin(&inner);
    (void)casgi_task_group_create(&inner, do_job, &slow, NULL, NULL);
    int inner_rc = casgi_task_group_end(&inner);
    assert_int_equal(inner_rc, CASGI_ECANCELED);
    return casgi_task_group_end(&outer);
}

static void test_group__a_failure_outside_ends_the_inner_one(void **state)
{
    assert_int_equal(run_task(*state, group_in_group, NULL), CASGI_EIO);
    assert_string_equal(story(), "bad-slow");
}

static int group_forgotten(void *arg)
{
    casgi_children_t children;
    casgi_task_group_t group;
    (void)arg;
    (void)casgi_children_begin(&children);
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &slow, NULL, NULL);
    (void)casgi_children_end(&children);
    story_tell(".");
    assert_int_equal(casgi_task_group_end(&group), CASGI_EINVAL);
    assert_int_equal(casgi_task_group_cancel(&group), CASGI_EINVAL);
    return casgi_sleep(1);
}

static void test_group__a_forgotten_one_ends_with_the_scope_around_it(void **state)
{
    assert_int_equal(run_task(*state, group_forgotten, NULL), 0);
    assert_string_equal(story(), "-slow.");
}

static int group_left_open(void *arg)
{
    casgi_task_group_t group;
    casgi_deadline_t deadline;
    (void)arg;
    (void)casgi_deadline_begin(&deadline, 1000);
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &slow, NULL, NULL);
    return casgi_deadline_end(&deadline);
}

static void test_group__one_left_open_ends_with_the_task(void **state)
{
    assert_int_equal(run_task(*state, group_left_open, NULL), 0);
    assert_string_equal(story(), "-slow");
}

static int group_shielded(void *arg)
{
    casgi_task_group_t group;
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_task_group_create(&group, do_job, &bad, NULL, NULL);
    (void)casgi_shield_begin();
    assert_int_equal(casgi_sleep(100), 0);
    (void)casgi_shield_end();
    assert_int_equal(casgi_sleep(1), CASGI_ECANCELED);
    return casgi_task_group_end(&group);
}

static void test_group__a_failure_waits_for_the_bodys_shield(void **state)
{
    assert_int_equal(run_task(*state, group_shielded, NULL), CASGI_EIO);
}

static int end_other(void *arg)
{
    return casgi_task_group_end(arg);
}

static int group_ended_by_child(void *arg)
{
    casgi_task_group_t group;
    casgi_task_t *task;
    int result = 0;
    (void)arg;
    (void)casgi_task_group_begin(&group);
    (void)casgi_create_task(end_other, &group, NULL, &task);
    (void)casgi_join(task, &result);
    (void)casgi_task_group_end(&group);
    return result;
}

static void test_group__only_who_began_it_ends_it(void **state)
{
    assert_int_equal(run_task(*state, group_ended_by_child, NULL), CASGI_EINVAL);
}

/* ---- the wrong place ---- */

static void test_group__calls_outside_of_a_task_are_refused(void **state)
{
    casgi_task_group_t group = { .words = { 0 } };
    casgi_task_t *none[1] = { NULL };
    (void)state;
    assert_int_equal(casgi_task_group_begin(&group), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_task_group_create(&group, do_job, &a, NULL, NULL), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_task_group_end(&group), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_gather(NULL, 0, 0), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_wait(none, 1, 0, NULL), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_wait_for(do_job, &a, 1, NULL), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_shield(do_job, &a), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_local_set(state, "x"), CASGI_EWRONGTHREAD);
    assert_null(casgi_local_get(state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY_TEST(test_gather__results_are_in_the_order_of_the_works),
        STORY_TEST(test_gather__waits_overlap),
        STORY_TEST(test_gather__the_first_failure_cancels_the_others_and_is_returned),
        STORY_TEST(test_gather__after_a_failure_the_callers_calls_work),
        STORY_TEST(test_gather__all_lets_the_others_go_on),
        STORY_TEST(test_gather__a_cancelled_caller_cancels_and_joins_all),
        STORY_TEST(test_gather__all_is_cancelled_with_its_caller_too),
        STORY_TEST(test_gather__the_callers_deadline_ends_it),
        STORY_TEST(test_gather__one_that_refuses_is_joined_all_the_same),
        STORY_TEST(test_gather__cancelled_while_cancelling_still_joins),
        STORY_TEST(test_gather__of_a_cancelled_caller_starts_nothing),
        STORY_TEST(test_gather__of_nothing_is_done),
        STORY_TEST(test_gather__nests),
        STORY_TEST(test_group__end_waits_for_all),
        STORY_TEST(test_group__a_failure_cancels_siblings_and_the_body_up_to_the_end),
        STORY_TEST(test_group__of_two_failures_the_first_counts),
        STORY_TEST(test_group__a_task_cancelled_alone_is_no_failure),
        STORY_TEST(test_group__a_cancelled_caller_cancels_and_joins_all),
        STORY_TEST(test_group__a_failure_and_then_a_cancellation_give_the_failure_first),
        STORY_TEST(test_group__cancel_ends_it_without_a_failure),
        STORY_TEST(test_group__a_member_may_add_members_that_the_end_waits_for),
        STORY_TEST(test_group__a_failure_outside_ends_the_inner_one),
        STORY_TEST(test_group__a_forgotten_one_ends_with_the_scope_around_it),
        STORY_TEST(test_group__one_left_open_ends_with_the_task),
        STORY_TEST(test_group__a_failure_waits_for_the_bodys_shield),
        STORY_TEST(test_group__only_who_began_it_ends_it),
        STORY_TEST(test_group__calls_outside_of_a_task_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
