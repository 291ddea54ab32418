#include "support.h"

#include "runtime/thread_pool.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <signal.h>
#include <time.h>

struct piece {
    struct thread_work work;
    sem_t begun;
    sem_t go;
    sem_t over;
    pthread_t thread;
    sigset_t blocked;
    _Atomic unsigned *order;
    unsigned place;
};

static void wait_sem(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

static void on_piece(struct thread_work *work)
{
    struct piece *piece = LIST_ENTRY(work, struct piece, work);
    piece->thread = pthread_self();
    (void)pthread_sigmask(SIG_SETMASK, NULL, &piece->blocked);
    sem_post(&piece->begun);
    sem_wait(&piece->go);
    piece->place = piece->order ? ++*piece->order : 0;
    sem_post(&piece->over);
}

static void piece_init(struct piece *piece)
{
    *piece = (struct piece){ .work.fn = on_piece };
    sem_init(&piece->begun, 0, 0);
    sem_init(&piece->go, 0, 0);
    sem_init(&piece->over, 0, 0);
}

static struct thread_pool *pool_of(size_t limit)
{
    struct thread_pool_options options = { .name = "test", .limit = limit };
    struct thread_pool *pool = NULL;
    assert_int_equal(thread_pool_new(&options, &pool), 0);
    return pool;
}

static void test_thread_pool__starts_no_thread_without_work(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(2);
    assert_int_equal(thread_pool_count(pool), 0);
    thread_pool_free(pool);
}

static void test_thread_pool__runs_pieces_at_the_same_time(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(2);
    struct piece a, b;
    piece_init(&a);
    piece_init(&b);
    assert_int_equal(thread_pool_submit(pool, &a.work), 0);
    assert_int_equal(thread_pool_submit(pool, &b.work), 0);
    wait_sem(&a.begun);
    wait_sem(&b.begun);
    assert_false(pthread_equal(a.thread, b.thread));
    sem_post(&a.go);
    sem_post(&b.go);
    thread_pool_free(pool);
}

static void test_thread_pool__an_idle_thread_is_used_again(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(50);
    struct piece pieces[50];
    for (int i = 0; i < 50; i++) {
        piece_init(&pieces[i]);
        sem_post(&pieces[i].go);
        assert_int_equal(thread_pool_submit(pool, &pieces[i].work), 0);
        wait_sem(&pieces[i].over);
    }
    /* A thread may not yet be idle when the next piece comes: then there is a second one, but never a fiftieth. */
    assert_true(thread_pool_count(pool) < 50);
    thread_pool_free(pool);
}

static void test_thread_pool__never_has_more_threads_than_its_limit(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(2);
    struct piece pieces[10];
    for (int i = 0; i < 10; i++) {
        piece_init(&pieces[i]);
        assert_int_equal(thread_pool_submit(pool, &pieces[i].work), 0);
    }
    assert_int_equal(thread_pool_count(pool), 2);
    for (int i = 0; i < 10; i++) {
        sem_post(&pieces[i].go);
    }
    thread_pool_free(pool);
}

static void test_thread_pool__takes_work_in_the_order_of_submission(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(1);
    struct piece pieces[20];
    _Atomic unsigned order = 0;
    for (int i = 0; i < 20; i++) {
        piece_init(&pieces[i]);
        pieces[i].order = &order;
        assert_int_equal(thread_pool_submit(pool, &pieces[i].work), 0);
    }
    for (int i = 0; i < 20; i++) {
        sem_post(&pieces[i].go);
    }
    thread_pool_free(pool);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(pieces[i].place, i + 1);
    }
}

static void test_thread_pool__free_waits_for_what_is_queued(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(1);
    struct piece a, b;
    piece_init(&a);
    piece_init(&b);
    assert_int_equal(thread_pool_submit(pool, &a.work), 0);
    assert_int_equal(thread_pool_submit(pool, &b.work), 0);
    sem_post(&a.go);
    sem_post(&b.go);
    thread_pool_free(pool);
    assert_int_equal(sem_trywait(&b.over), 0);
}

static void test_thread_pool__withdraws_what_has_not_begun(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(1);
    struct piece a, b;
    piece_init(&a);
    piece_init(&b);
    assert_int_equal(thread_pool_submit(pool, &a.work), 0);
    wait_sem(&a.begun);
    assert_int_equal(thread_pool_submit(pool, &b.work), 0);
    assert_true(thread_pool_withdraw(pool, &b.work));
    sem_post(&a.go);
    thread_pool_free(pool);
    assert_int_equal(sem_trywait(&b.begun), -1);
}

static void test_thread_pool__does_not_withdraw_what_has_begun(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(1);
    struct piece a;
    piece_init(&a);
    assert_int_equal(thread_pool_submit(pool, &a.work), 0);
    wait_sem(&a.begun);
    assert_false(thread_pool_withdraw(pool, &a.work));
    sem_post(&a.go);
    thread_pool_free(pool);
}

static void test_thread_pool__leaves_the_signals_of_the_process_to_others(void **state)
{
    (void)state;
    struct thread_pool *pool = pool_of(1);
    struct piece a;
    piece_init(&a);
    sem_post(&a.go);
    assert_int_equal(thread_pool_submit(pool, &a.work), 0);
    thread_pool_free(pool);
    assert_true(sigismember(&a.blocked, SIGTERM));
    assert_true(sigismember(&a.blocked, SIGHUP));
    assert_false(sigismember(&a.blocked, SIGSEGV));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_pool__starts_no_thread_without_work),
        cmocka_unit_test(test_thread_pool__runs_pieces_at_the_same_time),
        cmocka_unit_test(test_thread_pool__an_idle_thread_is_used_again),
        cmocka_unit_test(test_thread_pool__never_has_more_threads_than_its_limit),
        cmocka_unit_test(test_thread_pool__takes_work_in_the_order_of_submission),
        cmocka_unit_test(test_thread_pool__free_waits_for_what_is_queued),
        cmocka_unit_test(test_thread_pool__withdraws_what_has_not_begun),
        cmocka_unit_test(test_thread_pool__does_not_withdraw_what_has_begun),
        cmocka_unit_test(test_thread_pool__leaves_the_signals_of_the_process_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
