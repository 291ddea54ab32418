#include "support.h"

#include <time.h>

#include "casgi/imports.h"
#include "runtime/sync.h"

int setup_loop(void **state)
{
    struct loop_options options = { .fake_clock = true };
    struct loop *loop;
    if (loop_new(&options, &loop)) {
        return -1;
    }
    casgi_imports_.tasks = &task_interface;
    casgi_imports_.sync = &sync_interface;
    *state = loop;
    return 0;
}

int teardown_loop(void **state)
{
    struct loop *loop = *state;
    size_t left = task_count(loop);
    casgi_imports_.tasks = NULL;
    casgi_imports_.sync = NULL;
    if (left) {
        print_error("%zu tasks are left\n", left);
        return -1; /* their frames are still in use: the loop cannot be freed */
    }
    loop_free(loop);
    return 0;
}

void settle(struct loop *loop)
{
    for (int i = 0; i < 1000 && loop_turn(loop, false); i++) {
    }
}

struct runner {
    casgi_task_fn_t fn;
    void *arg;
    int result;
    bool over;
};

static int run_fn(void *arg)
{
    struct runner *runner = arg;
    return runner->fn(runner->arg);
}

static void on_run_end(struct task *task, void *owner, int result)
{
    struct runner *runner = owner;
    (void)task;
    runner->result = result;
    runner->over = true;
}

int run_task(struct loop *loop, casgi_task_fn_t fn, void *arg)
{
    struct runner runner = { .fn = fn, .arg = arg };
    struct task_options options = { .name = "test", .owner = &runner, .on_end = on_run_end };
    assert_int_equal(task_spawn(loop, run_fn, &runner, &options, NULL), 0);
    settle(loop);
    for (int seconds = 0; seconds < 3600 && !runner.over; seconds++) {
        loop_advance(loop, 1000000);
    }
    assert_true(runner.over);
    return runner.result;
}

static double real_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_second(uv_timer_t *timer)
{
    (void)timer;
}

void wait_for(struct loop *loop, const bool *flag)
{
    double end = real_seconds() + 30;
    uv_timer_t timer;
    uv_timer_init(loop_uv(loop), &timer);
    uv_timer_start(&timer, on_second, 1000, 1000);
    while (!*flag && real_seconds() < end) {
        loop_turn(loop, true);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    loop_turn(loop, false);
    assert_true(*flag);
}
