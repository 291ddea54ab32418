#include "support/test_loop.h"

int test_loop_new(const struct loop_options *options, void **state)
{
    struct loop *loop;
    if (loop_new(options, &loop)) {
        return -1;
    }
    casgi_imports_.tasks = &task_interface;
    *state = loop;
    return 0;
}

int test_loop_free(struct loop *loop)
{
    size_t left = task_count(loop);
    if (left) {
        print_error("%zu tasks are left\n", left);
        return -1; /* their frames are still in use: the loop cannot be freed */
    }
    loop_free(loop);
    return 0;
}

static int run_fn(void *arg)
{
    struct test_run *run = arg;
    return run->fn(run->arg);
}

static void on_run_end(struct task *task, void *owner, int result)
{
    struct test_run *run = owner;
    (void)task;
    run->result = result;
    run->over = true;
    if (run->on_over) {
        run->on_over(loop_current());
    }
}

void test_run_start(struct test_run *run, struct loop *loop)
{
    struct task_options options = { .name = "test", .owner = run, .on_end = on_run_end };
    assert_int_equal(task_spawn(loop, run_fn, run, &options, NULL), 0);
}
