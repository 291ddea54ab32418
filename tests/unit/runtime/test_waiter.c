#include "runtime/waiter.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct wait {
    casgi_waiter_t *waiter;
    int rc;
    int woken;
    bool over;
};

static int wait_once(void *arg)
{
    struct wait *wait = arg;
    wait->rc = casgi_waiter_wait(wait->waiter);
    wait->over = true;
    return 0;
}

static void test_waiter__a_wake_ends_the_wait(void **state)
{
    struct wait wait = { .rc = 1 };
    assert_int_equal(casgi_waiter_new(&wait.waiter), 0);
    assert_int_equal(task_start(*state, wait_once, &wait, NULL, NULL), 0);
    assert_false(wait.over);
    casgi_waiter_wake(wait.waiter);
    settle(*state);
    assert_int_equal(wait.rc, 0);
    casgi_waiter_unref(wait.waiter);
}

static void test_waiter__a_wake_before_the_wait_is_kept(void **state)
{
    struct wait wait = { .rc = 1 };
    assert_int_equal(casgi_waiter_new(&wait.waiter), 0);
    casgi_waiter_wake(wait.waiter);
    assert_int_equal(task_start(*state, wait_once, &wait, NULL, NULL), 0);
    assert_true(wait.over);
    assert_int_equal(wait.rc, 0);
    casgi_waiter_unref(wait.waiter);
}

static void test_waiter__but_only_one(void **state)
{
    struct wait wait = { .rc = 1 };
    assert_int_equal(casgi_waiter_new(&wait.waiter), 0);
    casgi_waiter_wake(wait.waiter);
    casgi_waiter_wake(wait.waiter);
    assert_int_equal(task_start(*state, wait_once, &wait, NULL, NULL), 0);
    wait.over = false;
    assert_int_equal(task_start(*state, wait_once, &wait, NULL, NULL), 0);
    assert_false(wait.over);
    casgi_waiter_wake(wait.waiter);
    settle(*state);
    casgi_waiter_unref(wait.waiter);
}

static void test_waiter__a_second_to_wait_is_refused(void **state)
{
    struct wait first = { .rc = 1 }, second = { .rc = 1 };
    assert_int_equal(casgi_waiter_new(&first.waiter), 0);
    second.waiter = first.waiter;
    assert_int_equal(task_start(*state, wait_once, &first, NULL, NULL), 0);
    assert_int_equal(task_start(*state, wait_once, &second, NULL, NULL), 0);
    assert_int_equal(second.rc, CASGI_EBUSY);
    casgi_waiter_wake(first.waiter);
    settle(*state);
    assert_int_equal(first.rc, 0);
    casgi_waiter_unref(first.waiter);
}

static int wait_and_unref(void *arg)
{
    struct wait *wait = arg;
    (void)wait_once(wait);
    casgi_waiter_unref(wait->waiter);
    return 0;
}

static void test_waiter__a_wake_after_the_end_does_nothing(void **state)
{
    struct wait wait = { .rc = 1 };
    struct task *task;
    assert_int_equal(casgi_waiter_new(&wait.waiter), 0);
    casgi_waiter_t *ours = casgi_waiter_ref(wait.waiter);
    assert_int_equal(task_start(*state, wait_and_unref, &wait, NULL, &task), 0);
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(wait.rc, CASGI_ECANCELED);
    casgi_waiter_wake(ours);
    settle(*state);
    casgi_waiter_unref(ours);
}

static void test_waiter__null_is_allowed_where_it_says_so(void **state)
{
    (void)state;
    casgi_waiter_unref(NULL);
    assert_int_equal(casgi_waiter_wake(NULL), 0);
    assert_int_equal(casgi_waiter_wait(NULL), CASGI_EINVAL);
}

/* ---- threads ---- */

static void *wake_and_unref(void *arg)
{
    casgi_waiter_wake(arg);
    casgi_waiter_unref(arg);
    return NULL;
}

static void test_waiter__can_be_woken_by_a_thread(void **state)
{
    struct wait wait = { .rc = 1 };
    pthread_t thread;
    assert_int_equal(casgi_waiter_new(&wait.waiter), 0);
    assert_int_equal(task_start(*state, wait_once, &wait, NULL, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, wake_and_unref, casgi_waiter_ref(wait.waiter)), 0);
    wait_for(*state, &wait.over);
    pthread_join(thread, NULL);
    assert_int_equal(wait.rc, 0);
    casgi_waiter_unref(wait.waiter);
}

static void test_waiter__a_thread_may_hold_it_beyond_the_loop(void **state)
{
    struct loop_options options = { 0 };
    struct loop *loop;
    casgi_waiter_t *waiter;
    pthread_t thread;
    (void)state;
    assert_int_equal(loop_new(&options, &loop), 0);
    casgi_imports_.tasks = &task_interface;
    assert_int_equal(casgi_waiter_new(&waiter), 0);
    loop_free(loop);
    assert_int_equal(pthread_create(&thread, NULL, wake_and_unref, waiter), 0);
    pthread_join(thread, NULL);
}

/* Many wakes from several threads: each is either seen by a wait or kept for the next; the last is never lost. */
enum { THREADS = 4, ROUNDS = 2000 };

struct storm {
    casgi_waiter_t *waiter;
    _Atomic int produced;
    int consumed;
    bool over;
};

static void *produce(void *arg)
{
    struct storm *storm = arg;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&storm->produced, 1);
        casgi_waiter_wake(storm->waiter);
    }
    return NULL;
}

static int consume(void *arg)
{
    struct storm *storm = arg;
    while (storm->consumed < THREADS * ROUNDS) {
        int rc = casgi_waiter_wait(storm->waiter);
        if (rc) {
            return rc;
        }
        storm->consumed = atomic_load(&storm->produced);
    }
    storm->over = true;
    return 0;
}

static void test_waiter__no_wake_of_several_threads_is_lost(void **state)
{
    struct storm storm = { .consumed = 0 };
    pthread_t threads[THREADS];
    assert_int_equal(casgi_waiter_new(&storm.waiter), 0);
    assert_int_equal(task_spawn(*state, consume, &storm, NULL, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &storm), 0);
    }
    wait_for(*state, &storm.over);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    settle(*state);
    casgi_waiter_unref(storm.waiter);
}

/* Two loops on two threads, each task waking the other's. */
struct side {
    struct loop *loop;
    casgi_waiter_t *own;
    casgi_waiter_t *_Atomic *other;
    int rounds;
    bool over;
};

static int play(void *arg)
{
    struct side *side = arg;
    for (int i = 0; i < 500; i++) {
        casgi_waiter_wake(atomic_load(side->other));
        int rc = casgi_waiter_wait(side->own);
        if (rc) {
            return rc;
        }
        side->rounds++;
    }
    casgi_waiter_wake(atomic_load(side->other));
    side->over = true;
    return 0;
}

static casgi_waiter_t *_Atomic waiters[2];
static pthread_barrier_t both_ready;

static void run_side(struct side *side)
{
    struct loop_options options = { 0 };
    assert_int_equal(loop_new(&options, &side->loop), 0);
    assert_int_equal(waiter_new(side->loop, &side->own), 0);
    casgi_waiter_t *_Atomic *mine = side->other == &waiters[0] ? &waiters[1] : &waiters[0];
    atomic_store(mine, side->own);
    pthread_barrier_wait(&both_ready);
    assert_int_equal(task_spawn(side->loop, play, side, NULL, NULL), 0);
    wait_for(side->loop, &side->over);
    pthread_barrier_wait(&both_ready);
    waiter_unref(side->own);
    loop_free(side->loop);
}

static void *other_thread(void *arg)
{
    run_side(arg);
    return NULL;
}

static void test_waiter__two_loops_wake_each_other(void **state)
{
    struct side here = { .other = &waiters[1] }, there = { .other = &waiters[0] };
    pthread_t thread;
    (void)state;
    casgi_imports_.tasks = &task_interface;
    pthread_barrier_init(&both_ready, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &there), 0);
    run_side(&here);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&both_ready);
    assert_int_equal(here.rounds, 500);
    assert_int_equal(there.rounds, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_waiter__a_wake_ends_the_wait),
        LOOP_TEST(test_waiter__a_wake_before_the_wait_is_kept),
        LOOP_TEST(test_waiter__but_only_one),
        LOOP_TEST(test_waiter__a_second_to_wait_is_refused),
        LOOP_TEST(test_waiter__a_wake_after_the_end_does_nothing),
        LOOP_TEST(test_waiter__null_is_allowed_where_it_says_so),
        LOOP_TEST(test_waiter__can_be_woken_by_a_thread),
        cmocka_unit_test(test_waiter__a_thread_may_hold_it_beyond_the_loop),
        LOOP_TEST(test_waiter__no_wake_of_several_threads_is_lost),
        cmocka_unit_test(test_waiter__two_loops_wake_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
