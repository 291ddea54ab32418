/* What the tests of the kit share. */
#pragma once

#include "support/real_loop.h"

/* A loop, with the interfaces the kit uses in casgi_imports_. */
int setup_kit(void **state);

/* Fails if tasks or descriptors are left. */
int teardown_kit(void **state);

/* [task] Starts fn(arg); NULL: it could not be. */
casgi_task_t *start(casgi_task_fn_t fn, void *arg);

/* A folder of the test's own, removed with the files in it by forget_folder. */
const char *make_folder(void);
void forget_folder(void);

#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, setup_kit, teardown_kit)
