/* Lock, semaphore, flag, queue: order, cancellation while waiting, cancellation in the instant of being served. */
#include "story.h"
#include "support.h"

#include "casgi/sync.h"

#include <pthread.h>

static casgi_lock_t lock;
static casgi_semaphore_t semaphore;
static casgi_flag_t flag;
static casgi_queue_t queue;
static void *slots[4];

static int setup(void **state)
{
    static const casgi_lock_t open = CASGI_LOCK_INIT;
    static const casgi_semaphore_t two = CASGI_SEMAPHORE_INIT(2);
    static const casgi_flag_t unset = CASGI_FLAG_INIT;
    int rc = setup_loop(state);
    lock = open;
    semaphore = two;
    flag = unset;
    assert_int_equal(casgi_queue_init(&queue, slots, 2), 0);
    story_begin();
    return rc;
}

static struct task *start(struct loop *loop, casgi_task_fn_t fn, const char *word)
{
    struct task *task;
    assert_int_equal(task_spawn(loop, fn, (void *)(uintptr_t)word, NULL, &task), 0);
    task_ref(task);
    settle(loop);
    return task;
}

/* The result of a task that must have ended. */
static int result_of(struct task *task)
{
    assert_true(task_ended(task));
    int result = task_result(task);
    task_unref(task);
    return result;
}

/* ---- lock ---- */

static int hold(void *arg)
{
    int rc = casgi_lock_acquire(&lock);
    if (rc) {
        return rc;
    }
    story_tell(arg);
    rc = casgi_sleep(10);
    int release_rc = casgi_lock_release(&lock);
    return rc ? rc : release_rc;
}

static void test_lock__is_held_by_one_after_another_in_order(void **state)
{
    struct task *tasks[3];
    for (int i = 0; i < 3; i++) {
        static const char *words[] = { "a", "b", "c" };
        tasks[i] = start(*state, hold, words[i]);
    }
    assert_string_equal(story(), "a");
    loop_advance(*state, 10000);
    assert_string_equal(story(), "ab");
    loop_advance(*state, 20000);
    assert_string_equal(story(), "abc");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(result_of(tasks[i]), 0);
    }
}

static void test_lock__one_cancelled_while_waiting_leaves_the_line(void **state)
{
    struct task *first = start(*state, hold, "a"), *second = start(*state, hold, "b"),
                *third = start(*state, hold, "c");
    task_cancel(second, CASGI_ECANCELED);
    loop_advance(*state, 30000);
    assert_string_equal(story(), "ac");
    assert_int_equal(result_of(first), 0);
    assert_int_equal(result_of(second), CASGI_ECANCELED);
    assert_int_equal(result_of(third), 0);
}

static struct task *to_cancel;

static int release_and_cancel_next(void *arg)
{
    (void)casgi_lock_acquire(&lock);
    int rc = casgi_sleep(10);
    (void)casgi_lock_release(&lock);         /* gives it to the next, */
    task_cancel(to_cancel, CASGI_ECANCELED); /* who is cancelled before it runs */
    story_tell(arg);
    return rc;
}

static void test_lock__given_to_one_that_is_cancelled_at_once_is_held_and_passed_on(void **state)
{
    struct task *first = start(*state, release_and_cancel_next, "a");
    struct task *second = start(*state, hold, "b"), *third = start(*state, hold, "c");
    to_cancel = second;
    loop_advance(*state, 30000);
    assert_string_equal(story(), "abc");
    assert_int_equal(result_of(first), 0);
    assert_int_equal(result_of(second), CASGI_ECANCELED); /* in its sleep */
    assert_int_equal(result_of(third), 0);
}

static int cancel_then_acquire(void *arg)
{
    (void)arg;
    task_cancel(task_current(), CASGI_ECANCELED);
    return casgi_lock_acquire(&lock);
}

static void test_lock__open_is_not_taken_by_a_cancelled_task(void **state)
{
    assert_int_equal(run_task(*state, cancel_then_acquire, NULL), CASGI_ECANCELED);
    assert_int_equal(run_task(*state, hold, "a"), 0);
}

static int acquire_twice(void *arg)
{
    (void)arg;
    (void)casgi_lock_acquire(&lock);
    int rc = casgi_lock_acquire(&lock);
    (void)casgi_lock_release(&lock);
    return rc;
}

static void test_lock__its_holder_is_refused(void **state)
{
    assert_int_equal(run_task(*state, acquire_twice, NULL), CASGI_EINVAL);
}

static int release_only(void *arg)
{
    (void)arg;
    return casgi_lock_release(&lock);
}

static void test_lock__is_released_by_its_holder_only(void **state)
{
    struct task *holder = start(*state, hold, "a");
    assert_int_equal(run_task(*state, release_only, NULL), CASGI_EINVAL);
    loop_advance(*state, 10000);
    assert_int_equal(result_of(holder), 0);
    assert_int_equal(run_task(*state, release_only, NULL), CASGI_EINVAL);
}

static int try_lock(void *arg)
{
    (void)arg;
    int rc = casgi_lock_try(&lock);
    return rc ? rc : casgi_lock_release(&lock);
}

static void test_lock__try_does_not_wait(void **state)
{
    struct task *holder = start(*state, hold, "a"), *other = start(*state, try_lock, "");
    assert_int_equal(result_of(other), CASGI_EAGAIN);
    loop_advance(*state, 10000);
    assert_int_equal(result_of(holder), 0);
    assert_int_equal(run_task(*state, try_lock, NULL), 0);
}

static int acquire_for(void *arg)
{
    casgi_deadline_t deadline;
    (void)arg;
    (void)casgi_deadline_begin(&deadline, 5);
    int rc = casgi_lock_acquire(&lock);
    (void)casgi_deadline_end(&deadline);
    return rc;
}

static void test_lock__a_deadline_ends_the_wait(void **state)
{
    struct task *holder = start(*state, hold, "a"), *waiting = start(*state, acquire_for, "");
    loop_advance(*state, 10000);
    assert_int_equal(result_of(waiting), CASGI_ETIMEDOUT);
    assert_int_equal(result_of(holder), 0);
}

/* ---- semaphore ---- */

static int take(void *arg)
{
    int rc = casgi_semaphore_acquire(&semaphore);
    if (rc) {
        return rc;
    }
    story_tell(arg);
    rc = casgi_sleep(10);
    (void)casgi_semaphore_release(&semaphore);
    return rc;
}

static void test_semaphore__lets_so_many_in_and_then_in_order(void **state)
{
    struct task *tasks[5];
    static const char *words[] = { "a", "b", "c", "d", "e" };
    for (int i = 0; i < 5; i++) {
        tasks[i] = start(*state, take, words[i]);
    }
    assert_string_equal(story(), "ab");
    loop_advance(*state, 10000);
    assert_string_equal(story(), "abcd");
    loop_advance(*state, 20000);
    assert_string_equal(story(), "abcde");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(result_of(tasks[i]), 0);
    }
}

static void test_semaphore__one_cancelled_while_waiting_takes_none(void **state)
{
    struct task *first = start(*state, take, "a"), *second = start(*state, take, "b");
    struct task *third = start(*state, take, "c"), *fourth = start(*state, take, "d");
    task_cancel(third, CASGI_ECANCELED);
    loop_advance(*state, 20000);
    assert_string_equal(story(), "abd");
    assert_int_equal(result_of(third), CASGI_ECANCELED);
    assert_int_equal(result_of(first) + result_of(second) + result_of(fourth), 0);
}

static void test_semaphore__one_served_and_cancelled_at_once_keeps_what_it_got(void **state)
{
    struct task *first = start(*state, take, "a"), *second = start(*state, take, "b"),
                *third = start(*state, take, "c");
    assert_int_equal(casgi_semaphore_release(&semaphore), 0); /* a third place */
    task_cancel(third, CASGI_ECANCELED);
    settle(*state);
    assert_string_equal(story(), "abc");
    assert_int_equal(result_of(third), CASGI_ECANCELED);
    loop_advance(*state, 10000);
    assert_int_equal(result_of(first) + result_of(second), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(casgi_semaphore_try(&semaphore), 0);
    }
    assert_int_equal(casgi_semaphore_try(&semaphore), CASGI_EAGAIN);
}

/* ---- flag ---- */

static int wait_flag(void *arg)
{
    int rc = casgi_flag_wait(&flag);
    if (!rc) {
        story_tell(arg);
    }
    return rc;
}

static void test_flag__set_lets_all_go_on_even_if_cleared_at_once(void **state)
{
    struct task *first = start(*state, wait_flag, "a"), *second = start(*state, wait_flag, "b");
    assert_int_equal(casgi_flag_set(&flag), 0);
    assert_true(casgi_flag_is_set(&flag));
    assert_int_equal(casgi_flag_clear(&flag), 0);
    assert_false(casgi_flag_is_set(&flag));
    settle(*state);
    assert_string_equal(story(), "ab");
    assert_int_equal(result_of(first) + result_of(second), 0);
}

static void test_flag__set_does_not_wait(void **state)
{
    assert_int_equal(casgi_flag_set(&flag), 0);
    struct task *task = start(*state, wait_flag, "a");
    assert_int_equal(result_of(task), 0);
}

static void test_flag__cleared_waits_again(void **state)
{
    (void)casgi_flag_set(&flag);
    (void)casgi_flag_clear(&flag);
    struct task *task = start(*state, wait_flag, "a");
    assert_false(task_ended(task));
    task_cancel(task, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(result_of(task), CASGI_ECANCELED);
    (void)casgi_flag_set(&flag);
}

/* ---- queue ---- */

static int put(void *arg)
{
    int rc = casgi_queue_put(&queue, arg);
    story_tell(rc ? "(failed)" : ">");
    return rc;
}

static int get(void *arg)
{
    void *item = NULL;
    (void)arg;
    int rc = casgi_queue_get(&queue, &item);
    story_tell(rc ? "(failed)" : item);
    return rc;
}

static void test_queue__gives_items_in_order(void **state)
{
    struct task *puts[2] = { start(*state, put, "x"), start(*state, put, "y") };
    assert_int_equal(casgi_queue_count(&queue), 2);
    struct task *gets[2] = { start(*state, get, ""), start(*state, get, "") };
    assert_string_equal(story(), ">>xy");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(result_of(puts[i]) + result_of(gets[i]), 0);
    }
}

static void test_queue__a_full_one_makes_putters_wait_in_order(void **state)
{
    struct task *tasks[4];
    static const char *words[] = { "w", "x", "y", "z" };
    for (int i = 0; i < 4; i++) {
        tasks[i] = start(*state, put, words[i]);
    }
    assert_string_equal(story(), ">>");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(result_of(start(*state, get, "")), 0);
    }
    settle(*state);
    assert_string_equal(story(), ">>w>x>yz");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(result_of(tasks[i]), 0);
    }
}

static void test_queue__an_empty_one_makes_getters_wait_in_order(void **state)
{
    struct task *first = start(*state, get, ""), *second = start(*state, get, "");
    assert_int_equal(casgi_queue_try_put(&queue, "x"), 0);
    assert_int_equal(casgi_queue_try_put(&queue, "y"), 0);
    assert_int_equal(casgi_queue_count(&queue), 0);
    settle(*state);
    assert_string_equal(story(), "xy");
    assert_int_equal(result_of(first) + result_of(second), 0);
}

static void test_queue__a_getter_cancelled_while_waiting_takes_nothing(void **state)
{
    struct task *first = start(*state, get, ""), *second = start(*state, get, "");
    task_cancel(first, CASGI_ECANCELED);
    assert_int_equal(casgi_queue_try_put(&queue, "x"), 0); /* served in the same instant: it wins */
    settle(*state);
    assert_string_equal(story(), "x");
    assert_int_equal(result_of(first), 0);
    task_cancel(second, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(result_of(second), CASGI_ECANCELED);
    assert_int_equal(casgi_queue_try_put(&queue, "y"), 0);
    assert_int_equal(casgi_queue_count(&queue), 1);
}

static void test_queue__a_putter_cancelled_while_waiting_keeps_its_item(void **state)
{
    struct task *first = start(*state, put, "x"), *second = start(*state, put, "y"), *third = start(*state, put, "z");
    void *item;
    task_cancel(third, CASGI_ECANCELED);
    settle(*state);
    assert_int_equal(result_of(third), CASGI_ECANCELED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(casgi_queue_try_get(&queue, &item), 0);
    }
    assert_string_equal(item, "y");
    assert_int_equal(casgi_queue_try_get(&queue, &item), CASGI_EAGAIN);
    assert_int_equal(result_of(first) + result_of(second), 0);
}

static void test_queue__close_ends_who_waits_to_put(void **state)
{
    struct task *tasks[3] = { start(*state, put, "x"), start(*state, put, "y"), start(*state, put, "z") };
    assert_int_equal(casgi_queue_close(&queue), 0);
    settle(*state);
    assert_int_equal(result_of(tasks[2]), CASGI_ECLOSED);
    assert_int_equal(result_of(tasks[0]) + result_of(tasks[1]), 0);
}

static void test_queue__close_ends_who_waits_to_get(void **state)
{
    struct task *task = start(*state, get, "");
    assert_int_equal(casgi_queue_close(&queue), 0);
    settle(*state);
    assert_int_equal(result_of(task), CASGI_ECLOSED);
}

static void test_queue__closed_gives_what_is_left_and_takes_nothing(void **state)
{
    void *item;
    (void)state;
    assert_int_equal(casgi_queue_try_put(&queue, "x"), 0);
    assert_int_equal(casgi_queue_close(&queue), 0);
    assert_int_equal(casgi_queue_try_put(&queue, "y"), CASGI_ECLOSED);
    assert_int_equal(casgi_queue_try_get(&queue, &item), 0);
    assert_string_equal(item, "x");
    assert_int_equal(casgi_queue_try_get(&queue, &item), CASGI_ECLOSED);
}

static void test_queue__of_capacity_0_hands_over(void **state)
{
    assert_int_equal(casgi_queue_init(&queue, NULL, 0), 0);
    struct task *putter = start(*state, put, "x");
    assert_string_equal(story(), "");
    struct task *getter = start(*state, get, "");
    settle(*state);
    assert_string_equal(story(), "x>");
    assert_int_equal(result_of(putter) + result_of(getter), 0);
    getter = start(*state, get, "");
    putter = start(*state, put, "y");
    settle(*state);
    assert_string_equal(story(), "x>>y");
    assert_int_equal(result_of(putter) + result_of(getter), 0);
}

static void test_queue__without_slots_needs_capacity_0(void **state)
{
    (void)state;
    assert_int_equal(casgi_queue_init(&queue, NULL, 1), CASGI_EINVAL);
}

/* ---- all at random ----
 *
 * Producers, consumers and cancellations by a fixed pseudo-random sequence: every item that was put is got exactly
 * once. */

enum { ITEMS = 20000, WORKERS = 16 };

static unsigned char got[ITEMS];
static int next_item, put_count, got_count;
static uint32_t seed;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static int random_work(void *arg)
{
    (void)arg;
    while (next_item < ITEMS || got_count < put_count) {
        void *item = NULL;
        casgi_deadline_t deadline;
        (void)casgi_uncancel();
        (void)casgi_deadline_begin(&deadline, next_random() % 3 + 1);
        if (next_random() % 2 && next_item < ITEMS) {
            int mine = next_item++;
            int rc = casgi_queue_put(&queue, &got[mine]);
            put_count += !rc;
            got[mine] = rc ? 2 : got[mine];
        } else if (!casgi_queue_get(&queue, &item)) {
            ++*(unsigned char *)item;
            got_count++;
        }
        (void)casgi_deadline_end(&deadline);
        (void)(next_random() % 4 ? casgi_yield() : casgi_sleep(next_random() % 3));
    }
    return 0;
}

static int disturb(void *arg)
{
    struct task **workers = arg;
    while (got_count < put_count || next_item < ITEMS) {
        task_cancel(workers[next_random() % WORKERS], CASGI_ECANCELED);
        (void)casgi_yield();
        if (next_random() % 8 == 0) {
            (void)casgi_sleep(1);
        }
    }
    return 0;
}

static void test_queue__loses_and_doubles_nothing(void **state)
{
    struct task *workers[WORKERS];
    seed = 4711;
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = start(*state, random_work, "");
    }
    assert_int_equal(run_task(*state, disturb, workers), 0);
    loop_advance(*state, 10000000);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(result_of(workers[i]), 0);
    }
    assert_int_equal(put_count, got_count);
    assert_true(put_count > ITEMS / 4);
    for (int i = 0; i < ITEMS; i++) {
        assert_in_range(got[i], 1, 2); /* got once, or never put */
    }
}

/* ---- the wrong place ---- */

static void test_sync__waiting_outside_of_a_task_is_refused(void **state)
{
    void *item;
    (void)state;
    assert_int_equal(casgi_lock_acquire(&lock), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_lock_try(&lock), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_lock_release(&lock), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_semaphore_acquire(&semaphore), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_flag_wait(&flag), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_queue_put(&queue, &item), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_queue_get(&queue, &item), CASGI_EWRONGTHREAD);
}

static void *make_queue(void *arg)
{
    *(int *)arg = casgi_queue_init(&queue, slots, 2);
    return NULL;
}

static void test_queue__is_not_made_on_another_thread(void **state)
{
    pthread_t thread;
    int rc = 0;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, make_queue, &rc), 0);
    pthread_join(thread, NULL);
    assert_int_equal(rc, CASGI_EWRONGTHREAD);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_lock__is_held_by_one_after_another_in_order),
        CASE(test_lock__one_cancelled_while_waiting_leaves_the_line),
        CASE(test_lock__given_to_one_that_is_cancelled_at_once_is_held_and_passed_on),
        CASE(test_lock__open_is_not_taken_by_a_cancelled_task),
        CASE(test_lock__its_holder_is_refused),
        CASE(test_lock__is_released_by_its_holder_only),
        CASE(test_lock__try_does_not_wait),
        CASE(test_lock__a_deadline_ends_the_wait),
        CASE(test_semaphore__lets_so_many_in_and_then_in_order),
        CASE(test_semaphore__one_cancelled_while_waiting_takes_none),
        CASE(test_semaphore__one_served_and_cancelled_at_once_keeps_what_it_got),
        CASE(test_flag__set_lets_all_go_on_even_if_cleared_at_once),
        CASE(test_flag__set_does_not_wait),
        CASE(test_flag__cleared_waits_again),
        CASE(test_queue__gives_items_in_order),
        CASE(test_queue__a_full_one_makes_putters_wait_in_order),
        CASE(test_queue__an_empty_one_makes_getters_wait_in_order),
        CASE(test_queue__a_getter_cancelled_while_waiting_takes_nothing),
        CASE(test_queue__a_putter_cancelled_while_waiting_keeps_its_item),
        CASE(test_queue__close_ends_who_waits_to_put),
        CASE(test_queue__close_ends_who_waits_to_get),
        CASE(test_queue__closed_gives_what_is_left_and_takes_nothing),
        CASE(test_queue__of_capacity_0_hands_over),
        CASE(test_queue__without_slots_needs_capacity_0),
        CASE(test_queue__loses_and_doubles_nothing),
        CASE(test_sync__waiting_outside_of_a_task_is_refused),
        CASE(test_queue__is_not_made_on_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
