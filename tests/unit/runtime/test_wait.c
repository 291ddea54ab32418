/* wait, wait_for, join_for, shield, and values of a task: each case of success, failure, cancellation, timeout. */
#include "job.h"

#include "casgi/group.h"

static int seen_rc;

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
    began_now();
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
    began_now();
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
    began_now();
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
    began_now();
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY_TEST(test_wait__first_ends_with_the_first_and_cancels_nothing),
        STORY_TEST(test_wait__all_waits_for_the_last),
        STORY_TEST(test_wait__first_failure_passes_over_success),
        STORY_TEST(test_wait__first_failure_without_one_waits_for_all),
        STORY_TEST(test_wait__passes_over_null_until_nothing_is_left),
        STORY_TEST(test_wait__a_timeout_cancels_nothing),
        STORY_TEST(test_wait__takes_a_hundred),
        STORY_TEST(test_wait_for__ends_the_call_after_its_time),
        STORY_TEST(test_wait_for__gives_the_result_in_time),
        STORY_TEST(test_wait_for__one_that_succeeds_too_late_has_succeeded),
        STORY_TEST(test_wait_for__a_cancellation_reaches_the_call),
        STORY_TEST(test_join_for__cancels_after_the_time_and_waits),
        STORY_TEST(test_join_for__waits_for_one_that_refuses),
        STORY_TEST(test_join_for__a_cancelled_caller_cancels_and_waits_too),
        STORY_TEST(test_shield__the_call_survives_and_the_next_is_cancelled),
        STORY_TEST(test_local__is_inherited_and_a_childs_own_stays_its_own),
        STORY_TEST(test_local__a_child_keeps_what_it_saw_at_its_creation),
        STORY_TEST(test_local__a_background_task_inherits_none),
        STORY_TEST(test_local__setting_it_often_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
