/* support/real_loop.h: a loop with the real clock, and functions run as tasks on it. */
#pragma once

#include "support/test_loop.h"

/* A loop in *state, with casgi/tasks.h in casgi_imports_; a room's fixture adds the interfaces it uses. SIGPIPE is
 * ignored, as in the server. */
int setup_real_loop(void **state);

/* Fails if tasks or descriptors are left. */
int teardown_real_loop(void **state);

/* Runs fn(arg) as a task until it has ended; its result. Ends the program if that takes a minute. */
int run_task(struct loop *loop, casgi_task_fn_t fn, void *arg);

/* [task] Lets others run until *condition. */
int yield_until(const _Atomic bool *condition);

/* [task] Waits for `task` and gives what it returned. */
int join(casgi_task_t *task);
