#include "support/allocations.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How many succeed before one fails; below 0: none fails. Relaxed, as all of these: what threads do with each other
 * must not become ordered by being counted, or the thread sanitizer sees no race. */
static atomic_int countdown = -1;
static atomic_bool failed;
static atomic_ulong asked;
static atomic_ulong freed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void __wrap_free(void *old);

bool allocations_take_one(void)
{
    (void)atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed);
    if (atomic_load_explicit(&countdown, memory_order_relaxed) < 0 ||
        atomic_fetch_sub_explicit(&countdown, 1, memory_order_relaxed) != 0) {
        return false;
    }
    atomic_store_explicit(&failed, true, memory_order_relaxed);
    return true;
}

void *__wrap_malloc(size_t size)
{
    return allocations_take_one() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocations_take_one() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return allocations_take_one() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return allocations_take_one() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return allocations_take_one() ? NULL : __real_strndup(text, size);
}

void __wrap_free(void *old)
{
    if (old) {
        (void)atomic_fetch_add_explicit(&freed, 1, memory_order_relaxed);
    }
    __real_free(old);
}

void allocations_fail_at(int n)
{
    atomic_store_explicit(&failed, false, memory_order_relaxed);
    atomic_store_explicit(&countdown, n - 1, memory_order_relaxed);
}

void allocations_suffice(void)
{
    atomic_store_explicit(&countdown, -1, memory_order_relaxed);
}

bool allocations_failed(void)
{
    return atomic_load_explicit(&failed, memory_order_relaxed);
}

unsigned long allocations_asked(void)
{
    return atomic_load_explicit(&asked, memory_order_relaxed);
}

unsigned long allocations_freed(void)
{
    return atomic_load_explicit(&freed, memory_order_relaxed);
}

void *certain_malloc(size_t size)
{
    return __real_malloc(size);
}
