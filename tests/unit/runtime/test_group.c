/* Groups, gather, wait, wait_for, shield, and values of a task: each case of success, failure, cancellation, timeout.
 */
#include "story.h"
#include "support.h"

#include "casgi/group.h"

static int setup(void **state)
{
    story_begin();
    return setup_loop(state);
}

/* What a task of these tests does: sleeps, then tells its word and returns; or tells that it was cancelled. */
struct job {
    const char *word;
    uint64_t milliseconds;
    int result;
};

static int do_job(void *arg)
{
    const struct job *job = arg;
    int rc = casgi_sleep(job->milliseconds);
    if (rc) {
        story_tell(rc == CASGI_ECANCELED ? "-" : "!");
    }
    story_tell(job->word);
    return rc ? rc : job->result;
}

/* Refuses the first cancellation and goes on for as long again. */
static int refuse(void *arg)
{
    struct job *job = arg;
    if (casgi_sleep(job->milliseconds)) {
        (void)casgi_uncancel();
        (void)casgi_sleep(job->milliseconds);
    }
    story_tell(job->word);
    return job->result;
}

static struct job a = { "a", 10, 1 }, b = { "b", 20, 2 }, c = { "c", 30, 3 };
static struct job bad = { "bad", 15, CASGI_EIO }, slow = { "slow", 1000, 4 };

static uint64_t began;

static uint64_t elapsed(void)
{
    return (loop_clock() - began) / 1000;
}

static void cancel_at(struct loop *loop, struct task *task, uint64_t milliseconds)
{
    loop_advance(loop, milliseconds * 1000);
    task_cancel(task, CASGI_ECANCELED);
    settle(loop);
}

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
    began = loop_clock();
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
    began = loop_clock();
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
    began = loop_clock();
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
    began = loop_clock();
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
    began = loop_clock();
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

/* ---- wait ---- */

struct waited {
    casgi_task_t *tasks[3];
    uint32_t flags;
    int rc;
    size_t index;
    uint64_t at;
};

static void create_three(struct waited *waited, struct job *first, struct job *second, struct job *third)
{
    struct job *jobs[] = { first, second, third };
    began = loop_clock();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(casgi_create_task(do_job, jobs[i], NULL, &waited->tasks[i]), 0);
    }
}

static void release_three(struct waited *waited)
{
    for (int i = 0; i < 3; i++) {
        casgi_release(waited->tasks[i]);
    }
}

static int wait_three(void *arg)
{
    struct waited *waited = arg;
    create_three(waited, &c, &b, &bad);
    waited->rc = casgi_wait(waited->tasks, 3, waited->flags, &waited->index);
    waited->at = elapsed();
    release_three(waited);
    return 0;
}

static void test_wait__first_ends_with_the_first_and_cancels_nothing(void **state)
{
    struct waited waited = { .flags = CASGI_WAIT_FIRST, .rc = 1 };
    run_task(*state, wait_three, &waited);
    assert_int_equal(waited.rc, 0);
    assert_int_equal(waited.index, 2);
    assert_int_equal(waited.at, 15);
}

static void test_wait__all_waits_for_the_last(void **state)
{
    struct waited waited = { .flags = CASGI_WAIT_ALL, .rc = 1 };
    run_task(*state, wait_three, &waited);
    assert_int_equal(waited.rc, 0);
    assert_int_equal(waited.at, 30);
    assert_string_equal(story(), "badbc");
}

static void test_wait__first_failure_passes_over_success(void **state)
{
    struct waited waited = { .flags = CASGI_WAIT_FIRST_FAILURE, .rc = 1 };
    run_task(*state, wait_three, &waited);
    assert_int_equal(waited.rc, 0);
    assert_int_equal(waited.index, 2);
    assert_int_equal(waited.at, 15);
}

static int wait_without_failure(void *arg)
{
    struct waited *waited = arg;
    create_three(waited, &c, &b, &a);
    waited->rc = casgi_wait(waited->tasks, 3, CASGI_WAIT_FIRST_FAILURE, &waited->index);
    waited->at = elapsed();
    release_three(waited);
    return 0;
}

static void test_wait__first_failure_without_one_waits_for_all(void **state)
{
    struct waited waited = { .rc = 1 };
    run_task(*state, wait_without_failure, &waited);
    assert_int_equal(waited.rc, 0);
    assert_int_equal(waited.index, 3);
    assert_int_equal(waited.at, 30);
}

static int wait_one_by_one(void *arg)
{
    struct waited *waited = arg;
    create_three(waited, &c, &b, &a);
    for (int i = 0; i < 3; i++) {
        int result;
        assert_int_equal(casgi_wait(waited->tasks, 3, CASGI_WAIT_FIRST, &waited->index), 0);
        assert_int_equal(casgi_task_done(waited->tasks[waited->index]), 1);
        assert_int_equal(casgi_join(waited->tasks[waited->index], &result), 0);
        assert_int_equal(result, 3 - (int)waited->index);
        waited->tasks[waited->index] = NULL;
    }
    return casgi_wait(waited->tasks, 3, CASGI_WAIT_FIRST, NULL);
}

static void test_wait__passes_over_null_until_nothing_is_left(void **state)
{
    struct waited waited = { .rc = 1 };
    assert_int_equal(run_task(*state, wait_one_by_one, &waited), CASGI_EINVAL);
}

static int wait_with_deadline(void *arg)
{
    struct waited *waited = arg;
    casgi_deadline_t deadline;
    create_three(waited, &slow, &slow, &slow);
    (void)casgi_deadline_begin(&deadline, 50);
    waited->rc = casgi_wait(waited->tasks, 3, CASGI_WAIT_FIRST, &waited->index);
    (void)casgi_deadline_end(&deadline);
    assert_int_equal(casgi_task_done(waited->tasks[0]), 0);
    int rc = casgi_wait(waited->tasks, 3, CASGI_WAIT_ALL, NULL);
    release_three(waited);
    return rc;
}

static void test_wait__a_timeout_cancels_nothing(void **state)
{
    struct waited waited = { .rc = 1 };
    assert_int_equal(run_task(*state, wait_with_deadline, &waited), 0);
    assert_int_equal(waited.rc, CASGI_ETIMEDOUT);
    assert_string_equal(story(), "slowslowslow");
}

static int wait_for_many(void *arg)
{
    casgi_task_t *tasks[100];
    (void)arg;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(casgi_create_task(do_job, &a, NULL, &tasks[i]), 0);
    }
    int rc = casgi_wait(tasks, 100, CASGI_WAIT_ALL, NULL);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(casgi_task_done(tasks[i]), 1);
        casgi_release(tasks[i]);
    }
    return rc;
}

static void test_wait__takes_a_hundred(void **state)
{
    assert_int_equal(run_task(*state, wait_for_many, NULL), 0);
}

/* ---- wait_for, join_for ---- */

static int wait_for_slow(void *arg)
{
    int result = 77;
    (void)arg;
    began = loop_clock();
    int rc = casgi_wait_for(do_job, &slow, 50, &result);
    assert_int_equal(elapsed(), 50);
    assert_int_equal(result, 77);
    assert_int_equal(casgi_sleep(1), 0);
    return rc;
}

static void test_wait_for__ends_the_call_after_its_time(void **state)
{
    assert_int_equal(run_task(*state, wait_for_slow, NULL), CASGI_ETIMEDOUT);
    assert_string_equal(story(), "!slow");
}

static int wait_for_quick(void *arg)
{
    int result = 0;
    (void)arg;
    int rc = casgi_wait_for(do_job, &b, 50, &result);
    return rc ? rc : result;
}

static void test_wait_for__gives_the_result_in_time(void **state)
{
    assert_int_equal(run_task(*state, wait_for_quick, NULL), 2);
}

static int finish_anyway(void *arg)
{
    (void)arg;
    return casgi_sleep(1000) ? 6 : 0;
}

static int wait_for_stubborn(void *arg)
{
    int result = 0;
    (void)arg;
    int rc = casgi_wait_for(finish_anyway, NULL, 50, &result);
    return rc ? rc : result;
}

static void test_wait_for__one_that_succeeds_too_late_has_succeeded(void **state)
{
    assert_int_equal(run_task(*state, wait_for_stubborn, NULL), 6);
}

static int wait_for_cancelled(void *arg)
{
    (void)arg;
    int result = 0;
    seen_rc = casgi_wait_for(do_job, &slow, 5000, &result);
    return result;
}

static void test_wait_for__a_cancellation_reaches_the_call(void **state)
{
    struct task *task;
    assert_int_equal(task_start(*state, wait_for_cancelled, NULL, NULL, &task), 0);
    task_ref(task);
    cancel_at(*state, task, 5);
    assert_int_equal(seen_rc, 0);
    assert_int_equal(task_result(task), CASGI_ECANCELED);
    task_unref(task);
}

static int join_for_slow(void *arg)
{
    casgi_task_t *task;
    int result = 0;
    (void)arg;
    began = loop_clock();
    (void)casgi_create_task(do_job, &slow, NULL, &task);
    int rc = casgi_join_for(task, 50, &result);
    assert_int_equal(elapsed(), 50);
    assert_int_equal(result, CASGI_ECANCELED);
    return rc;
}

static void test_join_for__cancels_after_the_time_and_waits(void **state)
{
    assert_int_equal(run_task(*state, join_for_slow, NULL), CASGI_ETIMEDOUT);
    assert_string_equal(story(), "-slow");
}

static int join_for_stubborn(void *arg)
{
    struct job stubborn = { "stubborn", 100, 8 };
    casgi_task_t *task;
    int result = 0;
    began = loop_clock();
    (void)casgi_create_task(refuse, &stubborn, NULL, &task);
    seen_rc = casgi_join_for(task, *(uint64_t *)arg, &result);
    story_tell(".");
    return result;
}

static void test_join_for__waits_for_one_that_refuses(void **state)
{
    uint64_t limit = 50;
    assert_int_equal(run_task(*state, join_for_stubborn, &limit), 8);
    assert_int_equal(seen_rc, CASGI_ETIMEDOUT);
    assert_string_equal(story(), "stubborn.");
}

static void test_join_for__a_cancelled_caller_cancels_and_waits_too(void **state)
{
    uint64_t limit = 5000;
    struct task *task;
    assert_int_equal(task_start(*state, join_for_stubborn, &limit, NULL, &task), 0);
    cancel_at(*state, task, 5);
    assert_string_equal(story(), "");
    loop_advance(*state, 100000);
    assert_int_equal(seen_rc, CASGI_ECANCELED);
    assert_string_equal(story(), "stubborn.");
}

/* ---- shield ---- */

static int shield_slow(void *arg)
{
    (void)arg;
    seen_rc = casgi_shield(do_job, &slow);
    return casgi_sleep(1);
}

static void test_shield__the_call_survives_and_the_next_is_cancelled(void **state)
{
    struct task *task;
    assert_int_equal(task_start(*state, shield_slow, NULL, NULL, &task), 0);
    task_ref(task);
    cancel_at(*state, task, 5);
    loop_advance(*state, 1000000);
    assert_int_equal(seen_rc, 4);
    assert_int_equal(task_result(task), CASGI_ECANCELED);
    task_unref(task);
}

/* ---- values ---- */

static const char key_one, key_two;

static int look_at_one(void *arg)
{
    (void)arg;
    story_tell(casgi_local_get(&key_one) ? casgi_local_get(&key_one) : "none");
    return 0;
}

static int set_in_child(void *arg)
{
    (void)casgi_local_set(&key_one, arg);
    return look_at_one(NULL);
}

static int inherit(void *arg)
{
    casgi_task_t *task;
    (void)arg;
    (void)casgi_local_set(&key_one, "mine ");
    (void)casgi_local_set(&key_two, "other ");
    (void)casgi_create_task(look_at_one, NULL, NULL, &task);
    (void)casgi_join(task, NULL);
    (void)casgi_create_task(set_in_child, "child's ", NULL, &task);
    (void)casgi_join(task, NULL);
    return look_at_one(NULL);
}

static void test_local__is_inherited_and_a_childs_own_stays_its_own(void **state)
{
    assert_int_equal(run_task(*state, inherit, NULL), 0);
    assert_string_equal(story(), "mine child's mine ");
}

static int sleep_and_look(void *arg)
{
    (void)casgi_sleep(10);
    return look_at_one(arg);
}

static int set_after(void *arg)
{
    casgi_task_t *task;
    (void)arg;
    (void)casgi_local_set(&key_one, "before ");
    (void)casgi_create_task(sleep_and_look, NULL, NULL, &task);
    (void)casgi_local_set(&key_one, "after ");
    (void)look_at_one(NULL);
    return casgi_join(task, NULL);
}

static void test_local__a_child_keeps_what_it_saw_at_its_creation(void **state)
{
    assert_int_equal(run_task(*state, set_after, NULL), 0);
    assert_string_equal(story(), "after before ");
}

static int look_in_background(void *arg)
{
    (void)casgi_local_set(&key_one, "mine");
    return casgi_background(look_at_one, arg, NULL, NULL);
}

static void test_local__a_background_task_inherits_none(void **state)
{
    assert_int_equal(run_task(*state, look_in_background, NULL), 0);
    settle(*state);
    assert_string_equal(story(), "none");
}

static int set_often(void *arg)
{
    struct arena *arena = arg;
    (void)casgi_local_set(&key_one, "first");
    char *before = arena->next;
    for (int i = 0; i < 1000; i++) {
        (void)casgi_local_set(&key_one, "again");
    }
    return arena->next != before;
}

static void test_local__setting_it_often_takes_no_memory(void **state)
{
    struct arena arena;
    struct task_options options = { .arena = &arena };
    struct task *task;
    arena_init(&arena, loop_arena_pool(*state));
    assert_int_equal(task_spawn(*state, set_often, &arena, &options, &task), 0);
    task_ref(task);
    settle(*state);
    assert_int_equal(task_result(task), 0);
    task_unref(task);
    arena_reset(&arena);
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
    assert_int_equal(casgi_local_set(&key_one, "x"), CASGI_EWRONGTHREAD);
    assert_null(casgi_local_get(&key_one));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_gather__results_are_in_the_order_of_the_works),
        CASE(test_gather__waits_overlap),
        CASE(test_gather__the_first_failure_cancels_the_others_and_is_returned),
        CASE(test_gather__after_a_failure_the_callers_calls_work),
        CASE(test_gather__all_lets_the_others_go_on),
        CASE(test_gather__a_cancelled_caller_cancels_and_joins_all),
        CASE(test_gather__all_is_cancelled_with_its_caller_too),
        CASE(test_gather__the_callers_deadline_ends_it),
        CASE(test_gather__one_that_refuses_is_joined_all_the_same),
        CASE(test_gather__cancelled_while_cancelling_still_joins),
        CASE(test_gather__of_a_cancelled_caller_starts_nothing),
        CASE(test_gather__of_nothing_is_done),
        CASE(test_gather__nests),
        CASE(test_group__end_waits_for_all),
        CASE(test_group__a_failure_cancels_siblings_and_the_body_up_to_the_end),
        CASE(test_group__of_two_failures_the_first_counts),
        CASE(test_group__a_task_cancelled_alone_is_no_failure),
        CASE(test_group__a_cancelled_caller_cancels_and_joins_all),
        CASE(test_group__a_failure_and_then_a_cancellation_give_the_failure_first),
        CASE(test_group__cancel_ends_it_without_a_failure),
        CASE(test_group__a_member_may_add_members_that_the_end_waits_for),
        CASE(test_group__a_failure_outside_ends_the_inner_one),
        CASE(test_group__a_forgotten_one_ends_with_the_scope_around_it),
        CASE(test_group__one_left_open_ends_with_the_task),
        CASE(test_group__a_failure_waits_for_the_bodys_shield),
        CASE(test_group__only_who_began_it_ends_it),
        CASE(test_wait__first_ends_with_the_first_and_cancels_nothing),
        CASE(test_wait__all_waits_for_the_last),
        CASE(test_wait__first_failure_passes_over_success),
        CASE(test_wait__first_failure_without_one_waits_for_all),
        CASE(test_wait__passes_over_null_until_nothing_is_left),
        CASE(test_wait__a_timeout_cancels_nothing),
        CASE(test_wait__takes_a_hundred),
        CASE(test_wait_for__ends_the_call_after_its_time),
        CASE(test_wait_for__gives_the_result_in_time),
        CASE(test_wait_for__one_that_succeeds_too_late_has_succeeded),
        CASE(test_wait_for__a_cancellation_reaches_the_call),
        CASE(test_join_for__cancels_after_the_time_and_waits),
        CASE(test_join_for__waits_for_one_that_refuses),
        CASE(test_join_for__a_cancelled_caller_cancels_and_waits_too),
        CASE(test_shield__the_call_survives_and_the_next_is_cancelled),
        CASE(test_local__is_inherited_and_a_childs_own_stays_its_own),
        CASE(test_local__a_child_keeps_what_it_saw_at_its_creation),
        CASE(test_local__a_background_task_inherits_none),
        CASE(test_local__setting_it_often_takes_no_memory),
        CASE(test_group__calls_outside_of_a_task_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
