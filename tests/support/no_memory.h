/* support/no_memory.h: every allocation fails once, in turn. */
#pragma once

#include "support/allocations.h"
#include "support/real_loop.h"

/* Runs fn as a task with its first, second ... allocation failing, each time between setup and teardown, until it makes
 * no further one. It must return 0 or CASGI_ENOMEM. */
void try_each_allocation(casgi_task_fn_t fn, int (*setup)(void **state), int (*teardown)(void **state));
