#include "runtime/internal.h"
#include "support.h"

#include <pthread.h>
#include <string.h>

static int give_seven(void *arg)
{
    (void)arg;
    return 7;
}

static int create_and_join(void *arg)
{
    casgi_task_t *task;
    int *result = arg;
    int rc = casgi_create_task(give_seven, NULL, "seven", &task);
    return rc ? rc : casgi_join(task, result);
}

static void test_task__join_gives_the_result(void **state)
{
    int result = 0;
    assert_int_equal(run_task(*state, create_and_join, &result), 0);
    assert_int_equal(result, 7);
}

static int mark(void *arg)
{
    *(int *)arg = 1;
    return 0;
}

static int create_and_look(void *arg)
{
    casgi_task_t *task;
    int *ran = arg;
    int rc = casgi_create_task(mark, ran, NULL, &task);
    int before = *ran;
    rc = rc ? rc : casgi_join(task, NULL);
    return rc ? rc : before;
}

static void test_task__a_created_task_first_runs_on_the_next_turn(void **state)
{
    int ran = 0;
    assert_int_equal(run_task(*state, create_and_look, &ran), 0);
    assert_int_equal(ran, 1);
}

static int park_once(void *arg)
{
    int *steps = arg;
    ++*steps;
    int rc = task_park(TASK_WAIT_WAITER);
    ++*steps;
    return rc;
}

static void test_task__start_runs_at_once_until_the_first_park(void **state)
{
    int steps = 0;
    struct task *task;
    assert_int_equal(task_start(*state, park_once, &steps, NULL, &task), 0);
    assert_int_equal(steps, 1);
    assert_int_equal(task_waiting_for(task), TASK_WAIT_WAITER);
    task_wake(task);
    settle(*state);
    assert_int_equal(steps, 2);
}

static int sleep_100(void *arg)
{
    int rc = casgi_sleep(100);
    *(int *)arg = 1;
    return rc;
}

static void test_task__sleep_ends_exactly_when_due(void **state)
{
    int over = 0;
    assert_int_equal(task_start(*state, sleep_100, &over, NULL, NULL), 0);
    loop_advance(*state, 99999);
    assert_int_equal(over, 0);
    loop_advance(*state, 1);
    assert_int_equal(over, 1);
}

/* ---- parking ---- */

static int wake_self_then_park(void *arg)
{
    (void)arg;
    task_wake(task_current());
    task_wake(task_current());
    return task_park(TASK_WAIT_WAITER);
}

static void test_task__a_wake_while_it_runs_is_kept(void **state)
{
    assert_int_equal(run_task(*state, wake_self_then_park, NULL), 0);
}

static int park_twice(void *arg)
{
    int *steps = arg;
    task_wake(task_current());
    task_wake(task_current());
    for (int i = 0; i < 2; i++) {
        int rc = task_park(TASK_WAIT_WAITER);
        if (rc) {
            return rc;
        }
        ++*steps;
    }
    return 0;
}

static void test_task__but_only_once(void **state)
{
    int steps = 0;
    struct task *task;
    assert_int_equal(task_start(*state, park_twice, &steps, NULL, &task), 0);
    settle(*state);
    assert_int_equal(steps, 1);
    task_wake(task);
    settle(*state);
    assert_int_equal(steps, 2);
}

static void test_task__two_wakes_before_it_runs_are_one(void **state)
{
    int steps = 0;
    struct task *task;
    assert_int_equal(task_start(*state, park_once, &steps, NULL, &task), 0);
    task_wake(task);
    task_wake(task);
    settle(*state);
    assert_int_equal(task_count(*state), 0);
}

static void test_task__park_outside_of_a_task_is_refused(void **state)
{
    (void)state;
    assert_int_equal(task_park(TASK_WAIT_WAITER), CASGI_EWRONGTHREAD);
    assert_int_equal(task_check(), CASGI_EWRONGTHREAD);
    assert_null(task_current());
}

/* ---- order ---- */

static char order[64];

static int tell(void *arg)
{
    size_t at = strlen(order);
    order[at] = *(const char *)arg;
    int rc = task_yield();
    order[strlen(order)] = *(const char *)arg;
    return rc;
}

static void test_task__ready_tasks_run_in_turn(void **state)
{
    memset(order, 0, sizeof(order));
    for (int i = 0; i < 3; i++) {
        static char names[] = "abc";
        assert_int_equal(task_spawn(*state, tell, &names[i], NULL, NULL), 0);
    }
    settle(*state);
    assert_string_equal(order, "abcabc");
}

/* ---- join ---- */

static int join_self(void *arg)
{
    (void)arg;
    return casgi_join((casgi_task_t *)(void *)task_current(), NULL);
}

static void test_task__joining_oneself_is_refused(void **state)
{
    assert_int_equal(run_task(*state, join_self, NULL), CASGI_EINVAL);
}

static int join_nothing(void *arg)
{
    (void)arg;
    return casgi_join(NULL, NULL);
}

static void test_task__joining_nothing_is_refused(void **state)
{
    assert_int_equal(run_task(*state, join_nothing, NULL), CASGI_EINVAL);
}

static int join_ended(void *arg)
{
    casgi_task_t *task;
    int rc = casgi_create_task(give_seven, NULL, NULL, &task);
    rc = rc ? rc : casgi_sleep(10);
    return rc ? rc : casgi_join(task, arg);
}

static void test_task__an_ended_task_can_be_joined(void **state)
{
    int result = 0;
    assert_int_equal(run_task(*state, join_ended, &result), 0);
    assert_int_equal(result, 7);
}

static int sleep_long(void *arg)
{
    (void)arg;
    int rc = casgi_sleep(1000);
    return rc ? rc : 9;
}

/* The join fails by the deadline; the handle stays good. */
static int join_twice(void *arg)
{
    casgi_task_t *task;
    casgi_deadline_t deadline;
    int rc = casgi_create_task(sleep_long, NULL, NULL, &task);
    if (rc) {
        return rc;
    }
    (void)casgi_deadline_begin(&deadline, 10);
    int first = casgi_join(task, arg);
    (void)casgi_deadline_end(&deadline);
    rc = casgi_join(task, arg);
    return rc ? rc : first;
}

static void test_task__after_a_join_that_was_cancelled_the_handle_is_still_good(void **state)
{
    int result = 0;
    assert_int_equal(run_task(*state, join_twice, &result), CASGI_ETIMEDOUT);
    assert_int_equal(result, 9);
}

static int cancel_and_join(void *arg)
{
    casgi_task_t *task;
    int rc = casgi_create_task(sleep_long, NULL, NULL, &task);
    rc = rc ? rc : casgi_yield();
    rc = rc ? rc : casgi_cancel(task);
    return rc ? rc : casgi_join(task, arg);
}

static void test_task__join_of_a_cancelled_task_gives_what_it_returned(void **state)
{
    int result = 0;
    assert_int_equal(run_task(*state, cancel_and_join, &result), 0);
    assert_int_equal(result, CASGI_ECANCELED);
}

static int release_only(void *arg)
{
    casgi_task_t *task;
    int rc = casgi_create_task(mark, arg, NULL, &task);
    casgi_release(task);
    return rc ? rc : casgi_sleep(1);
}

static void test_task__a_released_task_goes_on(void **state)
{
    int ran = 0;
    assert_int_equal(run_task(*state, release_only, &ran), 0);
    assert_int_equal(ran, 1);
}

/* ---- the wrong place ---- */

static void test_task__calls_outside_of_a_task_are_refused(void **state)
{
    casgi_deadline_t deadline;
    casgi_children_t children;
    casgi_waiter_t *waiter;
    (void)state;
    assert_int_equal(casgi_create_task(give_seven, NULL, NULL, NULL), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_join(NULL, NULL), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_sleep(1), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_sleep(0), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_yield(), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_uncancel(), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_deadline_begin(&deadline, 1), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_deadline_end(&deadline), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_shield_begin(), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_shield_end(), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_children_begin(&children), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_children_end(&children), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_defer(NULL, NULL), CASGI_EWRONGTHREAD);
    assert_null(casgi_alloc(1));
    assert_int_equal(casgi_waiter_new(&waiter), 0);
    assert_int_equal(casgi_waiter_wait(waiter), CASGI_EWRONGTHREAD);
    casgi_waiter_unref(waiter);
}

struct elsewhere {
    casgi_task_t *task;
    casgi_waiter_t *waiter;
    int cancel;
    int wait;
    int background;
    int waiter_new;
};

static void *call_elsewhere(void *arg)
{
    struct elsewhere *elsewhere = arg;
    casgi_waiter_t *waiter;
    elsewhere->cancel = casgi_cancel(elsewhere->task);
    elsewhere->wait = casgi_waiter_wait(elsewhere->waiter);
    elsewhere->background = casgi_background(give_seven, NULL, NULL, NULL);
    elsewhere->waiter_new = casgi_waiter_new(&waiter);
    return NULL;
}

static void test_task__calls_on_another_thread_are_refused(void **state)
{
    int steps = 0;
    struct task *task;
    struct elsewhere elsewhere = { .cancel = 0 };
    pthread_t thread;
    assert_int_equal(task_start(*state, park_once, &steps, NULL, &task), 0);
    elsewhere.task = (casgi_task_t *)(void *)task;
    assert_int_equal(casgi_waiter_new(&elsewhere.waiter), 0);
    assert_int_equal(pthread_create(&thread, NULL, call_elsewhere, &elsewhere), 0);
    pthread_join(thread, NULL);
    assert_int_equal(elsewhere.cancel, CASGI_EWRONGTHREAD);
    assert_int_equal(elsewhere.wait, CASGI_EWRONGTHREAD);
    assert_int_equal(elsewhere.background, CASGI_EWRONGTHREAD);
    assert_int_equal(elsewhere.waiter_new, CASGI_EWRONGTHREAD);
    casgi_waiter_unref(elsewhere.waiter);
    task_wake(task);
    settle(*state);
}

/* ---- options ---- */

static casgi_str_t describe(void *owner)
{
    return casgi_str(owner);
}

static int look_at_child(void *arg)
{
    casgi_task_t *handle;
    int rc = casgi_create_task(give_seven, NULL, "child", &handle);
    if (rc) {
        return rc;
    }
    *(casgi_str_t *)arg = task_describe((struct task *)(void *)handle);
    return casgi_join(handle, NULL);
}

static void test_task__a_child_works_for_what_its_parent_works_for(void **state)
{
    static char request[] = "GET /x";
    casgi_str_t seen = { NULL, 0 };
    struct task_options options = { .describe = describe, .owner = request };
    assert_int_equal(task_spawn(*state, look_at_child, &seen, &options, NULL), 0);
    settle(*state);
    assert_string_equal(seen.ptr, "GET /x");
}

static int ended_result;

static void on_end(struct task *task, void *owner, int result)
{
    (void)owner;
    ended_result = result;
    assert_true(task_ended(task));
    assert_null(task_current());
}

static void test_task__on_end_gets_the_result_outside_of_the_task(void **state)
{
    struct task_options options = { .on_end = on_end };
    assert_int_equal(task_start(*state, give_seven, NULL, &options, NULL), 0);
    assert_int_equal(ended_result, 7);
}

static int use_much_stack(void *arg)
{
    volatile char bytes[2 * 1024 * 1024];
    (void)arg;
    bytes[0] = 1;
    bytes[sizeof(bytes) - 1] = 2;
    return bytes[0] + bytes[sizeof(bytes) - 1];
}

static void test_task__may_have_a_larger_stack(void **state)
{
    struct task_options options = { .stack_size = 8u * 1024u * 1024u, .on_end = on_end };
    ended_result = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(task_start(*state, use_much_stack, NULL, &options, NULL), 0);
    }
    assert_int_equal(ended_result, 3);
}

static int alloc_some(void *arg)
{
    (void)arg;
    for (size_t size = 1; size < 20000; size *= 3) {
        char *bytes = casgi_alloc(size);
        if (!bytes) {
            return CASGI_ENOMEM;
        }
        memset(bytes, 1, size);
    }
    return 0;
}

static void test_task__what_it_allocates_is_freed_at_its_end(void **state)
{
    assert_int_equal(run_task(*state, alloc_some, NULL), 0); /* the leak checker says whether it was */
}

static void count_task(struct task *task, void *arg)
{
    (void)task;
    ++*(int *)arg;
}

static void test_task__for_each_sees_every_task(void **state)
{
    struct task *tasks[3];
    int steps = 0, count = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(task_start(*state, park_once, &steps, NULL, &tasks[i]), 0);
    }
    task_for_each(*state, count_task, &count);
    assert_int_equal(count, 3);
    assert_int_equal(task_count(*state), 3);
    for (int i = 0; i < 3; i++) {
        task_wake(tasks[i]);
    }
    settle(*state);
}

static size_t memory_of_stacks(struct loop *loop)
{
    return loop->stacks.free_count;
}

static void test_task__the_stacks_of_a_burst_give_their_memory_back(void **state)
{
    int over = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(task_start(*state, sleep_100, &over, NULL, NULL), 0);
    }
    loop_advance(*state, 100000);
    assert_int_equal(memory_of_stacks(*state), 1000);
    loop_advance(*state, 10000000);
    assert_int_equal(memory_of_stacks(*state), 64);
}

/* ---- the dump ---- */

static void test_task__print_says_what_it_waits_for_since_when_and_for_whom(void **state)
{
    static char request[] = "GET /x\n";
    char line[128];
    int over = 0;
    struct task *task;
    struct task_options options = { .name = "handler", .describe = describe, .owner = request };
    assert_int_equal(task_start(*state, sleep_100, &over, &options, &task), 0);
    loop_advance(*state, 99000);
    size_t length = task_print(task, line, sizeof(line));
    assert_string_equal(line, "handler: waits for timer since 0.099 s, GET /x\\x0a");
    assert_int_equal(length, strlen(line));
    length = task_print(task, line, 20);
    assert_int_equal(length, 19);
    assert_int_equal(strlen(line), 19);
    loop_advance(*state, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_task__join_gives_the_result),
        LOOP_TEST(test_task__a_created_task_first_runs_on_the_next_turn),
        LOOP_TEST(test_task__start_runs_at_once_until_the_first_park),
        LOOP_TEST(test_task__sleep_ends_exactly_when_due),
        LOOP_TEST(test_task__a_wake_while_it_runs_is_kept),
        LOOP_TEST(test_task__but_only_once),
        LOOP_TEST(test_task__two_wakes_before_it_runs_are_one),
        LOOP_TEST(test_task__park_outside_of_a_task_is_refused),
        LOOP_TEST(test_task__ready_tasks_run_in_turn),
        LOOP_TEST(test_task__joining_oneself_is_refused),
        LOOP_TEST(test_task__joining_nothing_is_refused),
        LOOP_TEST(test_task__an_ended_task_can_be_joined),
        LOOP_TEST(test_task__after_a_join_that_was_cancelled_the_handle_is_still_good),
        LOOP_TEST(test_task__join_of_a_cancelled_task_gives_what_it_returned),
        LOOP_TEST(test_task__a_released_task_goes_on),
        LOOP_TEST(test_task__calls_outside_of_a_task_are_refused),
        LOOP_TEST(test_task__calls_on_another_thread_are_refused),
        LOOP_TEST(test_task__a_child_works_for_what_its_parent_works_for),
        LOOP_TEST(test_task__on_end_gets_the_result_outside_of_the_task),
        LOOP_TEST(test_task__may_have_a_larger_stack),
        LOOP_TEST(test_task__what_it_allocates_is_freed_at_its_end),
        LOOP_TEST(test_task__for_each_sees_every_task),
        LOOP_TEST(test_task__the_stacks_of_a_burst_give_their_memory_back),
        LOOP_TEST(test_task__print_says_what_it_waits_for_since_when_and_for_whom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
