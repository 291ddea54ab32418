/* What the runtime's tests share: a loop with a fake clock, and running one function as a task to its end. */
#pragma once

#include "support/test_loop.h"

/* cmocka fixtures: *state is a struct loop with a fake clock; the teardown fails if a task is left. The calls of
 * casgi/tasks.h work meanwhile. */
int setup_loop(void **state);
int teardown_loop(void **state);

/* Runs fn(arg) as a task and turns the loop, letting fake time pass, until it has ended; returns its result. Fails if
 * it has not ended after a fake hour. */
int run_task(struct loop *loop, casgi_task_fn_t fn, void *arg);

/* Runs what is ready, without letting time pass. */
void settle(struct loop *loop);

/* Turns the loop until *flag, at most 30 real seconds; for tests with threads. */
void wait_for(struct loop *loop, const bool *flag);

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup_loop, teardown_loop)
