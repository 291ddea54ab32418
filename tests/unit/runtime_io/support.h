/* What the tests of the world share: a loop with the real clock, and functions run as tasks on it. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "casgi/casgi.h"
#include "runtime/loop.h"
#include "runtime/task.h"

/* A loop, with the interfaces of this room in casgi_imports_. */
int setup_world(void **state);

/* Fails if tasks or descriptors are left. */
int teardown_world(void **state);

/* Runs fn(arg) as a task until it has ended; its result. Ends the program if that takes a minute. */
int run_task(struct loop *loop, casgi_task_fn_t fn, void *arg);

/* [task] Lets others run until *condition. */
int yield_until(const _Atomic bool *condition);

/* [task] Waits for `task` and gives what it returned. */
int join(casgi_task_t *task);

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup_world, teardown_world)
