/* What the tests of the kit share: a loop with the real clock, and functions run as tasks on it. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "casgi/casgi.h"
#include "runtime/loop.h"
#include "runtime/task.h"

/* A loop, with the interfaces the kit uses in casgi_imports_. */
int setup_kit(void **state);

/* Fails if tasks or descriptors are left. */
int teardown_kit(void **state);

/* Runs fn(arg) as a task until it has ended; its result. Ends the program if that takes a minute. */
int run_task(struct loop *loop, casgi_task_fn_t fn, void *arg);

/* [task] Lets others run until *condition. */
int yield_until(const _Atomic bool *condition);

/* [task] Starts fn(arg); NULL: it could not be. */
casgi_task_t *start(casgi_task_fn_t fn, void *arg);

/* [task] Waits for `task` and gives what it returned. */
int join(casgi_task_t *task);

/* A folder of the test's own, removed with the files in it by forget_folder. */
const char *make_folder(void);
void forget_folder(void);

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, setup_kit, teardown_kit)
