#include "support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_task__join_gives_the_result),
        LOOP_TEST(test_task__a_created_task_first_runs_on_the_next_turn),
        LOOP_TEST(test_task__start_runs_at_once_until_the_first_park),
        LOOP_TEST(test_task__sleep_ends_exactly_when_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
