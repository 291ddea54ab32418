#include "support/no_memory.h"

enum { ATTEMPTS_MAX = 2000 };

struct attempt {
    casgi_task_fn_t fn;
    int at; /* the allocation that fails; 1: the first */
};

static int try_one(void *arg)
{
    struct attempt *attempt = arg;
    allocations_fail_at(attempt->at);
    int rc = attempt->fn(NULL /* arg */);
    allocations_suffice();
    return rc;
}

void try_each_allocation(casgi_task_fn_t fn, int (*setup)(void **state), int (*teardown)(void **state))
{
    struct attempt attempt = { .fn = fn, .at = 1 };
    int failed = 0;
    do {
        void *loop;
        assert_int_equal(setup(&loop), 0);
        int rc = run_task(loop, try_one, &attempt);
        assert_int_equal(teardown(&loop), 0);
        if (rc && (!allocations_failed() || rc != CASGI_ENOMEM)) {
            fail_msg("allocation %d: %s", attempt.at, casgi_strerror(rc));
        }
        failed += rc != 0;
    } while (allocations_failed() && ++attempt.at < ATTEMPTS_MAX);
    assert_false(allocations_failed());
    assert_true(failed > 0);
}
