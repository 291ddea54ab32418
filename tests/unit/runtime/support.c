#include "support.h"

#include <time.h>

#include "runtime/sync.h"

int setup_loop(void **state)
{
    struct loop_options options = { .fake_clock = true };
    casgi_imports_.sync = &sync_interface;
    return test_loop_new(&options, state);
}

int teardown_loop(void **state)
{
    casgi_imports_.tasks = NULL;
    casgi_imports_.sync = NULL;
    return test_loop_free(*state);
}

void settle(struct loop *loop)
{
    for (int i = 0; i < 1000 && loop_turn(loop, false); i++) {
    }
}

int run_task(struct loop *loop, casgi_task_fn_t fn, void *arg)
{
    struct test_run run = { .fn = fn, .arg = arg };
    test_run_start(&run, loop);
    settle(loop);
    for (int seconds = 0; seconds < 3600 && !run.over; seconds++) {
        loop_advance(loop, 1000000);
    }
    assert_true(run.over);
    return run.result;
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
