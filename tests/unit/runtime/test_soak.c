/* A million operations at random: create, cancel, time out, gather, queue, lock; by a fixed seed, on a fake clock. What
 * must hold: everything ends, a lock has one holder, nothing put is lost, every deadline is kept to the microsecond,
 * and nothing is left. A second run has threads that wake, on the real clock. */
#include "runtime/internal.h"
#include "support.h"

#include "casgi/group.h"
#include "casgi/sync.h"

#include <pthread.h>
#include <stdlib.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#if defined(__SANITIZE_THREAD__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW RUNNING_ON_VALGRIND
#endif

enum { WORKERS = 48, DEPTH = 4, OPERATIONS = 1000000 };

static uint32_t seed;
static long operations, limit;
static casgi_lock_t lock;
static casgi_semaphore_t semaphore;
static casgi_queue_t queue;
static void *slots[3];
static int holders, inside;
static long put_count, got_count;
static long timeouts_seen, cancels_seen;

static uint32_t below(uint32_t bound)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(seed >> 4) * bound) >> 28);
}

static int act(int depth);

static int act_deeper(void *arg)
{
    int depth = (int)(intptr_t)arg;
    int rc = 0;
    for (uint32_t i = below(4) + 1; i && !rc; i--) {
        rc = act(depth);
    }
    return rc;
}

static void *at_depth(int depth)
{
    return (void *)(intptr_t)depth;
}

/* ---- the operations ---- */

static int do_sleep(void *arg)
{
    return casgi_sleep((uint64_t)(uintptr_t)arg);
}

/* Alone in its time, it must end exactly when it should. */
static int act_deadline(int depth)
{
    uint64_t nap = below(20) + 1, most = below(20) + 1, begin = loop_clock();
    bool free = !task_check();
    (void)depth;
    int rc = casgi_wait_for(do_sleep, (void *)(uintptr_t)nap, most, NULL);
    uint64_t took = loop_clock() - begin;
    if (free && !task_check()) { /* nobody else asked it to stop */
        if (nap < most) {
            assert_int_equal(rc, 0);
            assert_int_equal(took, nap * 1000);
        } else if (nap > most) {
            assert_int_equal(rc, CASGI_ETIMEDOUT);
            assert_int_equal(took, most * 1000);
        }
        rc = 0;
    }
    return rc;
}

static int act_timeout(int depth)
{
    int result = 0;
    int rc = casgi_wait_for(act_deeper, at_depth(depth + 1), below(10), &result);
    if (rc == CASGI_ETIMEDOUT) {
        timeouts_seen++;
        return task_check();
    }
    return rc ? rc : task_check();
}

static int act_create(int depth)
{
    casgi_task_t *task;
    int result = 0;
    int rc = casgi_create_task(act_deeper, at_depth(depth + 1), NULL, &task);
    if (rc) {
        return rc;
    }
    switch (below(4)) {
    case 0:
        (void)casgi_yield();
        (void)casgi_cancel(task);
        break;
    case 1:
        casgi_release(task);
        return 0;
    case 2:
        return casgi_join_for(task, below(5), &result) == CASGI_ECANCELED ? CASGI_ECANCELED : 0;
    default:
        break;
    }
    rc = casgi_join(task, &result);
    if (rc) {
        casgi_release(task);
    } else {
        cancels_seen += result == CASGI_ECANCELED;
    }
    return rc;
}

static int act_gather(int depth)
{
    casgi_work_t works[4];
    uint32_t count = below(4) + 1;
    for (uint32_t i = 0; i < count; i++) {
        works[i] = (casgi_work_t)CASGI_WORK(act_deeper, at_depth(depth + 1));
    }
    (void)casgi_gather(works, count, below(2));
    return task_check();
}

static int fail_soon(void *arg)
{
    int rc = casgi_sleep((uint64_t)(uintptr_t)arg);
    return rc ? rc : CASGI_EIO;
}

static int act_group(int depth)
{
    casgi_task_group_t group;
    int rc = casgi_task_group_begin(&group);
    if (rc) {
        return rc;
    }
    for (uint32_t i = below(4); i; i--) {
        (void)casgi_task_group_create(&group, act_deeper, at_depth(depth + 1), NULL, NULL);
    }
    if (!below(3)) {
        (void)casgi_task_group_create(&group, fail_soon, (void *)(uintptr_t)below(5), NULL, NULL);
    }
    if (!below(4)) {
        (void)act(depth + 1);
    }
    if (!below(6)) {
        (void)casgi_task_group_cancel(&group);
    }
    if (below(10)) { /* else it is forgotten, and ends with its task */
        (void)casgi_task_group_end(&group);
    }
    return task_check();
}

static int act_lock(int depth)
{
    int rc = casgi_lock_acquire(&lock);
    (void)depth;
    if (rc) {
        return rc == CASGI_EINVAL ? 0 : rc;
    }
    assert_int_equal(++holders, 1);
    rc = casgi_sleep(below(3));
    holders--;
    assert_int_equal(casgi_lock_release(&lock), 0);
    return rc;
}

static int act_semaphore(int depth)
{
    int rc = casgi_semaphore_acquire(&semaphore);
    (void)depth;
    if (rc) {
        return rc;
    }
    assert_in_range(++inside, 1, 3);
    rc = casgi_sleep(below(3));
    inside--;
    (void)casgi_semaphore_release(&semaphore);
    return rc;
}

static int act_queue(int depth)
{
    casgi_deadline_t deadline;
    void *item;
    (void)depth;
    int rc = casgi_deadline_begin(&deadline, below(4));
    if (rc) {
        return rc;
    }
    if (below(2)) {
        put_count += !casgi_queue_put(&queue, &queue);
    } else {
        got_count += !casgi_queue_get(&queue, &item);
    }
    (void)casgi_deadline_end(&deadline);
    return task_check();
}

static void count_down(void *arg)
{
    (void)casgi_sleep(below(2));
    --*(long *)arg;
}

static long deferred;

static int act_defer(int depth)
{
    (void)depth;
    if (!casgi_defer(count_down, &deferred)) {
        deferred++;
    }
    return casgi_yield();
}

static int act_shield(int depth)
{
    bool before = task_check() == 0;
    (void)casgi_shield_begin();
    int rc = casgi_sleep(below(5));
    (void)casgi_shield_end();
    (void)depth;
    assert_true(!before || rc == 0); /* far below the time for cleaning up */
    return task_check();
}

static int act_wait(int depth)
{
    casgi_task_t *tasks[3] = { NULL, NULL, NULL };
    for (int i = 0; i < 3; i++) {
        (void)casgi_create_task(act_deeper, at_depth(depth + 1), NULL, &tasks[i]);
    }
    int rc = casgi_wait(tasks, 3, below(3), NULL);
    for (int i = 0; i < 3; i++) {
        casgi_release(tasks[i]);
    }
    return rc == CASGI_EINVAL ? task_check() : rc;
}

static int act_refuse(int depth)
{
    (void)depth;
    (void)casgi_uncancel();
    return casgi_yield();
}

static int act(int depth)
{
    static int (*const leaves[])(int depth) = { act_deadline, act_lock,   act_semaphore, act_queue,
                                                act_defer,    act_shield, act_refuse };
    static int (*const branches[])(int depth) = { act_timeout, act_create, act_gather, act_group, act_wait };
    operations++;
    if (depth < DEPTH && operations < limit && below(2)) {
        return branches[below(5)](depth);
    }
    return leaves[below(7)](depth);
}

/* ---- the run ---- */

static int work(void *arg)
{
    (void)arg;
    while (operations < limit) {
        (void)casgi_uncancel();
        (void)act(0);
        (void)casgi_sleep(below(3));
    }
    return 0;
}

static int torment(void *arg)
{
    struct task **workers = arg;
    while (operations < limit) {
        task_cancel(workers[below(WORKERS)], below(2) ? CASGI_ECANCELED : CASGI_ETIMEDOUT);
        (void)casgi_sleep(below(4));
    }
    return 0;
}

static void begin_soak(void)
{
    static const casgi_lock_t open = CASGI_LOCK_INIT;
    static const casgi_semaphore_t three = CASGI_SEMAPHORE_INIT(3);
    seed = 20240229;
    limit = SLOW ? OPERATIONS / 100 : OPERATIONS;
    operations = put_count = got_count = deferred = 0;
    lock = open;
    semaphore = three;
    assert_int_equal(casgi_queue_init(&queue, slots, 3), 0);
}

static void test_soak__a_million_operations_on_the_fake_clock(void **state)
{
    struct loop *loop = *state;
    struct task *workers[WORKERS];
    begin_soak();
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(task_spawn(loop, work, NULL, NULL, &workers[i]), 0);
        task_ref(workers[i]);
    }
    assert_int_equal(task_spawn(loop, torment, workers, NULL, NULL), 0);
    for (long i = 0; i < limit && task_count(loop); i++) {
        loop_advance(loop, 10000);
    }
    assert_int_equal(task_count(loop), 0);
    for (int i = 0; i < WORKERS; i++) {
        task_unref(workers[i]);
    }
    assert_true(timeouts_seen > 0 && cancels_seen > 0);
    assert_int_equal(holders + inside, 0);
    assert_int_equal(deferred, 0);
    assert_int_equal(put_count - got_count, (long)casgi_queue_count(&queue));
    assert_int_equal(loop->timers.count, loop->cooling.index != 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(casgi_semaphore_try(&semaphore), 0);
    }
}

/* ---- with threads ---- */

enum { WAKERS = 3, BASKET = 64 };

/* Waiters that the threads are to wake. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    casgi_waiter_t *waiters[BASKET];
    int count;
    bool over;
} basket = { .mutex = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER };

static void *wake_all(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&basket.mutex);
    while (!basket.over || basket.count) {
        if (!basket.count) {
            pthread_cond_wait(&basket.filled, &basket.mutex);
            continue;
        }
        casgi_waiter_t *waiter = basket.waiters[--basket.count];
        pthread_mutex_unlock(&basket.mutex);
        casgi_waiter_wake(waiter);
        casgi_waiter_unref(waiter);
        pthread_mutex_lock(&basket.mutex);
    }
    pthread_mutex_unlock(&basket.mutex);
    return NULL;
}

static bool offer(casgi_waiter_t *waiter)
{
    pthread_mutex_lock(&basket.mutex);
    bool room = basket.count < BASKET;
    if (room) {
        basket.waiters[basket.count++] = casgi_waiter_ref(waiter);
        pthread_cond_signal(&basket.filled);
    }
    pthread_mutex_unlock(&basket.mutex);
    return room;
}

/* Waits for a thread's wake, which must come; or leaves before it comes. */
static int be_woken(void *arg)
{
    long *left = arg;
    while (*left > 0) {
        casgi_waiter_t *waiter;
        casgi_deadline_t deadline;
        --*left;
        int rc = casgi_waiter_new(&waiter);
        if (rc) {
            return rc;
        }
        bool patient = below(4);
        (void)casgi_deadline_begin(&deadline, patient ? 30000 : 0);
        if (offer(waiter)) {
            rc = casgi_waiter_wait(waiter);
            assert_true(rc == 0 || !patient);
        }
        (void)casgi_deadline_end(&deadline);
        casgi_waiter_unref(waiter);
    }
    return 0;
}

static int run_threaded(void *arg)
{
    long left = SLOW ? 3000 : 50000;
    casgi_task_group_t group;
    (void)casgi_task_group_begin(&group);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(casgi_task_group_create(&group, be_woken, &left, NULL, NULL), 0);
    }
    assert_int_equal(casgi_task_group_end(&group), 0);
    *(bool *)arg = true;
    return 0;
}

static void test_soak__threads_wake_and_no_wake_is_lost(void **state)
{
    struct loop_options options = { 0 };
    struct loop *loop;
    pthread_t threads[WAKERS];
    bool over = false;
    (void)state;
    casgi_imports_.tasks = &task_interface;
    assert_int_equal(loop_new(&options, &loop), 0);
    for (int i = 0; i < WAKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wake_all, NULL), 0);
    }
    assert_int_equal(task_spawn(loop, run_threaded, &over, NULL, NULL), 0);
    wait_for(loop, &over);
    pthread_mutex_lock(&basket.mutex);
    basket.over = true;
    pthread_cond_broadcast(&basket.filled);
    pthread_mutex_unlock(&basket.mutex);
    for (int i = 0; i < WAKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    loop_turn(loop, false);
    assert_int_equal(task_count(loop), 0);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_soak__a_million_operations_on_the_fake_clock),
        cmocka_unit_test(test_soak__threads_wake_and_no_wake_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
