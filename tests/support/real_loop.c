#include "support/real_loop.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>

enum { PATIENCE_US = 60 * 1000 * 1000 };

static size_t descriptors_before;

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) {
        count++;
    }
    if (dir) {
        closedir(dir);
    }
    return count;
}

/* libuv keeps two descriptors from the first loop to the end of the process. */
static int warm_up(void)
{
    static bool warm;
    struct loop_options options = { 0 };
    struct loop *loop;
    if (!warm && loop_new(&options, &loop)) {
        return -1;
    }
    if (!warm) {
        loop_free(loop);
    }
    warm = true;
    return 0;
}

int setup_real_loop(void **state)
{
    struct loop_options options = { 0 };
    (void)signal(SIGPIPE, SIG_IGN);
    if (warm_up()) {
        return -1;
    }
    descriptors_before = count_descriptors();
    return test_loop_new(&options, state);
}

int teardown_real_loop(void **state)
{
    if (test_loop_free(*state)) {
        return -1;
    }
    size_t descriptors = count_descriptors();
    if (descriptors != descriptors_before) {
        print_error("%zu descriptors before, %zu after\n", descriptors_before, descriptors);
        return -1;
    }
    return 0;
}

static void print_waiting(struct task *task, void *arg)
{
    (void)arg;
    print_error("  task %s waits for %d\n", task_name(task), (int)task_waiting_for(task));
}

static void on_patience_over(struct timer *timer)
{
    (void)timer;
    print_error("nothing happened for a minute:\n");
    task_for_each(loop_current(), print_waiting, NULL);
    abort();
}

int run_task(struct loop *loop, casgi_task_fn_t fn, void *arg)
{
    struct test_run run = { .fn = fn, .arg = arg, .on_over = loop_stop };
    struct timer patience = { .fn = on_patience_over };
    test_run_start(&run, loop);
    assert_int_equal(timer_set(loop, &patience, PATIENCE_US), 0);
    loop_run(loop);
    timer_clear(loop, &patience);
    return run.result;
}

int yield_until(const _Atomic bool *condition)
{
    int rc = 0;
    while (!rc && !*condition) {
        rc = casgi_sleep(1);
    }
    return rc;
}

int join(casgi_task_t *task)
{
    int result = 0;
    int rc = casgi_join(task, &result);
    return rc ? rc : result;
}
