/* support/no_memory.h: every allocation fails once, in turn. A test that uses it is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup, so that those of our own code may fail, and no
 * library's. */
#pragma once

#include "support/real_loop.h"

/* Runs fn as a task with its first, second ... allocation failing, each time between setup and teardown, until it makes
 * no further one. It must return 0 or CASGI_ENOMEM. */
void try_each_allocation(casgi_task_fn_t fn, int (*setup)(void **state), int (*teardown)(void **state));

/* [any] From now on none fails. */
void enough_memory(void);

/* [any] As malloc without the test. */
void *certain_malloc(size_t size);
