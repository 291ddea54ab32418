/* support/test_loop.h: what a test's loop is, whichever clock it has. Tests use it through support/real_loop.h or
 * unit/runtime/support.h. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "casgi/casgi.h"
#include "runtime/loop.h"
#include "runtime/task.h"

/* A loop in *state, with casgi/tasks.h in casgi_imports_. Not 0: there is none. */
int test_loop_new(const struct loop_options *options, void **state);

/* Not 0 if tasks are left: then it is not freed. */
int test_loop_free(struct loop *loop);

/* A function run as a task. */
struct test_run {
    casgi_task_fn_t fn;
    void *arg;
    void (*on_over)(struct loop *loop); /* NULL: nothing */
    bool over;
    int result; /* once it is over */
};

/* Starts it; it must stay where it is until it is over. Fails if that is not possible. */
void test_run_start(struct test_run *run, struct loop *loop);
