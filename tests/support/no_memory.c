#include "support/no_memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_MAX = 2000 };

/* How many succeed before one fails; below 0: none fails. */
static atomic_int countdown = -1;
static atomic_bool reached; /* it has failed */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

static bool is_to_fail(void)
{
    bool fails = atomic_load(&countdown) >= 0 && atomic_fetch_sub(&countdown, 1) == 0;
    reached = reached || fails;
    return fails;
}

void *__wrap_malloc(size_t size)
{
    return is_to_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_to_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return is_to_fail() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return is_to_fail() ? NULL : __real_strdup(text);
}

void *certain_malloc(size_t size)
{
    return __real_malloc(size);
}

void enough_memory(void)
{
    countdown = -1;
}

struct attempt {
    casgi_task_fn_t fn;
    int at; /* the allocation that fails */
};

static int try_one(void *arg)
{
    struct attempt *attempt = arg;
    reached = false;
    countdown = attempt->at;
    int rc = attempt->fn(NULL /* arg */);
    enough_memory();
    return rc;
}

void try_each_allocation(casgi_task_fn_t fn, int (*setup)(void **state), int (*teardown)(void **state))
{
    struct attempt attempt = { .fn = fn };
    int failed = 0;
    do {
        void *loop;
        assert_int_equal(setup(&loop), 0);
        int rc = run_task(loop, try_one, &attempt);
        assert_int_equal(teardown(&loop), 0);
        if (rc && (!reached || rc != CASGI_ENOMEM)) {
            fail_msg("allocation %d: %s", attempt.at, casgi_strerror(rc));
        }
        failed += rc != 0;
    } while (reached && ++attempt.at < ATTEMPTS_MAX);
    assert_false(reached);
    assert_true(failed > 0);
}
