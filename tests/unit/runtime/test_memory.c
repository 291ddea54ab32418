/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free,--wrap=mmap */
/* Every allocation fails in turn: the call returns CASGI_ENOMEM, nothing leaks, and the next attempt works. */
#include "support.h"

#include "casgi/group.h"
#include "support/allocations.h"

#include <errno.h>
#include <sys/mman.h>

void *__real_mmap(void *where, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *where, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *where, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (allocations_take_one()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return __real_mmap(where, size, protection, flags, fd, offset);
}

static void test_memory__loop_new_fails_cleanly(void **state)
{
    struct loop_options options = { .fake_clock = true };
    struct loop *loop;
    int failures = 0;
    (void)state;
    for (int which = 1; which < 20; which++) {
        allocations_fail_at(which);
        int rc = loop_new(&options, &loop);
        allocations_suffice();
        if (!rc) {
            loop_free(loop);
            break;
        }
        failures++;
        assert_null(loop_current());
    }
    assert_true(failures >= 3);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void test_memory__spawn_fails_and_the_next_works(void **state)
{
    struct task *task;
    allocations_fail_at(1); /* the region's record */
    assert_int_equal(task_spawn(*state, nothing, NULL, NULL, &task), CASGI_ENOMEM);
    allocations_suffice();
    assert_int_equal(task_count(*state), 0);
    assert_int_equal(task_spawn(*state, nothing, NULL, NULL, &task), 0);
    settle(*state);
}

static void test_memory__a_large_region_that_cannot_be_mapped_becomes_a_small_one(void **state)
{
    allocations_fail_at(2); /* the region */
    assert_int_equal(task_spawn(*state, nothing, NULL, NULL, NULL), 0);
    allocations_suffice();
    settle(*state);
}

static int begin_deadline(void *arg)
{
    casgi_deadline_t deadline;
    allocations_fail_at(*(int *)arg);
    int rc = casgi_deadline_begin(&deadline, 100);
    allocations_suffice();
    return rc;
}

static void test_memory__a_deadline_that_cannot_begin_says_so(void **state)
{
    for (int which = 1; which <= 2; which++) {
        assert_int_equal(run_task(*state, begin_deadline, &which), CASGI_ENOMEM);
    }
}

static int sleep_without_memory(void *arg)
{
    allocations_fail_at(*(int *)arg);
    int rc = casgi_sleep(10);
    allocations_suffice();
    return rc;
}

static void test_memory__a_sleep_that_cannot_begin_says_so(void **state)
{
    int which = 1;
    assert_int_equal(run_task(*state, sleep_without_memory, &which), CASGI_ENOMEM);
}

static int make_things(void *arg)
{
    int which = *(int *)arg;
    casgi_waiter_t *waiter;
    allocations_fail_at(which);
    int rc = casgi_waiter_new(&waiter);
    allocations_suffice();
    return rc;
}

static void test_memory__a_waiter_that_cannot_be_made_says_so(void **state)
{
    int which = 1;
    assert_int_equal(run_task(*state, make_things, &which), CASGI_ENOMEM);
}

static void never(void *arg)
{
    (void)arg;
    fail();
}

static int defer_without_memory(void *arg)
{
    (void)arg;
    allocations_fail_at(1);
    int rc = casgi_defer(never, NULL);
    allocations_suffice();
    return rc;
}

static void test_memory__a_defer_that_fails_registers_nothing(void **state)
{
    assert_int_equal(run_task(*state, defer_without_memory, NULL), CASGI_ENOMEM);
}

static int use_everything(void *arg)
{
    casgi_task_t *task;
    casgi_deadline_t deadline;
    (void)arg;
    int rc = casgi_deadline_begin(&deadline, 1000);
    rc = rc ? rc : casgi_create_task(nothing, NULL, NULL, &task);
    rc = rc ? rc : casgi_join(task, NULL);
    rc = rc ? rc : casgi_sleep(1);
    return rc ? rc : casgi_deadline_end(&deadline);
}

static void test_memory__after_warm_up_nothing_is_allocated(void **state)
{
    assert_int_equal(run_task(*state, use_everything, NULL), 0);
    struct task_options options = { .name = "warm" };
    unsigned long before = allocations_asked();
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(task_start(*state, use_everything, NULL, &options, NULL), 0);
        loop_advance(*state, 2000);
    }
    assert_int_equal(allocations_asked(), before);
    assert_int_equal(task_count(*state), 0);
}

static int counter;

static int count_up(void *arg)
{
    (void)arg;
    return ++counter ? 0 : 1;
}

/* Whatever fails, gather joins what it could start, and says so. */
static int gather_without_memory(void *arg)
{
    casgi_work_t works[40];
    for (int i = 0; i < 40; i++) {
        works[i] = (casgi_work_t)CASGI_WORK(count_up, NULL);
    }
    counter = 0;
    allocations_fail_at(*(int *)arg);
    int rc = casgi_gather(works, 40, CASGI_GATHER_ALL);
    allocations_suffice();
    for (int i = 0; i < 40; i++) {
        assert_true(works[i].result == 0 || works[i].result == CASGI_ENOMEM);
        counter -= works[i].result == 0;
    }
    assert_int_equal(counter, 0);
    return rc;
}

static void test_memory__a_gather_that_cannot_start_all_joins_what_it_started(void **state)
{
    int failures = 0, rc = 1;
    for (int which = 1; rc && which < 100; which++) {
        assert_int_equal(setup_loop(state), 0); /* one whose pools are cold */
        rc = run_task(*state, gather_without_memory, &which);
        assert_true(rc == 0 || rc == CASGI_ENOMEM);
        failures += rc != 0;
        assert_int_equal(teardown_loop(state), 0);
    }
    assert_true(failures >= 3);
}

static const char key;

static int local_without_memory(void *arg)
{
    (void)arg;
    allocations_fail_at(1);
    int rc = casgi_local_set(&key, "x");
    allocations_suffice();
    return casgi_local_get(&key) ? 0 : rc;
}

static void test_memory__a_value_that_cannot_be_set_says_so(void **state)
{
    assert_int_equal(run_task(*state, local_without_memory, NULL), CASGI_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__loop_new_fails_cleanly),
        LOOP_TEST(test_memory__spawn_fails_and_the_next_works),
        LOOP_TEST(test_memory__a_large_region_that_cannot_be_mapped_becomes_a_small_one),
        LOOP_TEST(test_memory__a_deadline_that_cannot_begin_says_so),
        LOOP_TEST(test_memory__a_sleep_that_cannot_begin_says_so),
        LOOP_TEST(test_memory__a_waiter_that_cannot_be_made_says_so),
        LOOP_TEST(test_memory__a_defer_that_fails_registers_nothing),
        cmocka_unit_test(test_memory__a_gather_that_cannot_start_all_joins_what_it_started),
        LOOP_TEST(test_memory__a_value_that_cannot_be_set_says_so),
        LOOP_TEST(test_memory__after_warm_up_nothing_is_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
