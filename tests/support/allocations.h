/* support/allocations.h: counts what our own code allocates and frees (no library's), and lets one allocation fail. A
 * test that uses it begins with the line
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free
 * as a comment; without it, it is not linked. Everything here is [any]. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now fails, once; 1 is the next. Forgets what failed before. */
void allocations_fail_at(int n);

/* From now on none fails. */
void allocations_suffice(void);

/* Whether the one of allocations_fail_at has been asked for, and failed. */
bool allocations_failed(void);

/* How many were asked for, and how many were freed, since the program began. */
unsigned long allocations_asked(void);
unsigned long allocations_freed(void);

/* For what a test wraps besides: counts one more, and says whether it is to fail. */
bool allocations_take_one(void);

/* As malloc without the test. */
void *certain_malloc(size_t size);
