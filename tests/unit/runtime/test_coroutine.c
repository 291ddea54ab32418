#include "runtime/coroutine.h"
#include "support.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* ---- C++: each task has its own exceptions in flight ---- */

struct cxx_globals {
    void *caught;
    unsigned uncaught;
};

static struct cxx_globals *(*cxx_globals)(void);

/* A C++ runtime as a module would bring it: not among the program's own symbols. */
static int load_cxx(void **state)
{
    void *library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return -1;
    }
    void *symbol = dlsym(library, "__cxa_get_globals");
    memcpy(&cxx_globals, &symbol, sizeof(cxx_globals));
    coroutine_find_cxx(library);
    coroutine_find_cxx(library);
    return setup_loop(state);
}

static int caught_something(void *arg)
{
    cxx_globals()->caught = arg; /* as inside `catch` */
    cxx_globals()->uncaught = 3;
    int rc = task_yield();
    bool kept = cxx_globals()->caught == arg && cxx_globals()->uncaught == 3;
    cxx_globals()->caught = NULL;
    cxx_globals()->uncaught = 0;
    return rc ? rc : kept ? 0 : 1;
}

static int results;

static void add_result(struct task *task, void *owner, int result)
{
    (void)task, (void)owner;
    results += result;
}

static void test_coroutine__each_task_has_its_own_cxx_exceptions(void **state)
{
    struct task_options options = { .on_end = add_result };
    int first, second;
    results = 0;
    assert_int_equal(task_spawn(*state, caught_something, &first, &options, NULL), 0);
    assert_int_equal(task_spawn(*state, caught_something, &second, &options, NULL), 0);
    settle(*state);
    assert_int_equal(results, 0);
}

static int caught_and_parked(void *arg)
{
    cxx_globals()->caught = arg;
    int rc = task_park(TASK_WAIT_WAITER);
    cxx_globals()->caught = NULL;
    return rc;
}

static void test_coroutine__the_loop_sees_none_of_a_parked_task(void **state)
{
    int anything;
    struct task *task;
    assert_int_equal(task_start(*state, caught_and_parked, &anything, NULL, &task), 0);
    assert_null(cxx_globals()->caught);
    task_wake(task);
    settle(*state);
}

/* ---- the switch itself ---- */

static int deep(int depth)
{
    volatile char frame[512];
    memset((void *)(uintptr_t)frame, depth, sizeof(frame));
    if (depth == 0) {
        return task_yield();
    }
    int rc = deep(depth - 1);
    return frame[0] == (char)depth && frame[511] == (char)depth ? rc : 1;
}

static int go_deep(void *arg)
{
    (void)arg;
    return deep(100);
}

static void test_coroutine__frames_survive_a_suspension(void **state)
{
    struct task_options options = { .on_end = add_result };
    results = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(task_spawn(*state, go_deep, NULL, &options, NULL), 0);
    }
    settle(*state);
    assert_int_equal(results, 0);
}

static int floating(void *arg)
{
    double *value = arg;
    double sum = 0;
    for (int i = 0; i < 100; i++) {
        sum += *value / 3;
        int rc = task_yield();
        if (rc) {
            return rc;
        }
    }
    *value = sum;
    return 0;
}

static void test_coroutine__floating_point_survives_a_suspension(void **state)
{
    double values[2] = { 3, 6 };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(task_spawn(*state, floating, &values[i], NULL, NULL), 0);
    }
    settle(*state);
    assert_true(values[0] > 99.9 && values[0] < 100.1);
    assert_true(values[1] > 199.9 && values[1] < 200.1);
}

#define CXX_TEST(name) cmocka_unit_test_setup_teardown(name, load_cxx, teardown_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_coroutine__frames_survive_a_suspension),
        LOOP_TEST(test_coroutine__floating_point_survives_a_suspension),
        CXX_TEST(test_coroutine__each_task_has_its_own_cxx_exceptions),
        CXX_TEST(test_coroutine__the_loop_sees_none_of_a_parked_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
