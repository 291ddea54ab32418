/* A queue, a lock, a condition. A thread is started when more work is queued than threads are idle: an idle thread that
 * has been signalled counts as idle until it runs, and so does its work as queued. */
#include "runtime/thread_pool.h"

#include "base/error.h"
#include "runtime/crash.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct thread_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct list queue; /* the rest is under the mutex */
    size_t queued;
    size_t idle;
    size_t count; /* of `threads` */
    bool closing;
    struct thread_pool_options options;
    pthread_t threads[];
};

int thread_pool_new(const struct thread_pool_options *options, struct thread_pool **out_pool)
{
    struct thread_pool *pool = calloc(1, sizeof(*pool) + options->limit * sizeof(pool->threads[0]));
    if (!pool) {
        return CASGI_ENOMEM;
    }
    assert(options->limit > 0);
    pool->options = *options;
    list_init(&pool->queue);
    (void)pthread_mutex_init(&pool->mutex, NULL /* attributes */); /* glibc's cannot fail */
    (void)pthread_cond_init(&pool->wake, NULL /* attributes */);
    *out_pool = pool;
    return 0;
}

/* ---- a thread ---- */

/* Work that came first; NULL: the pool is closing and there is none left. */
static struct thread_work *take(struct thread_pool *pool)
{
    struct list *node;
    pthread_mutex_lock(&pool->mutex);
    while (list_empty(&pool->queue) && !pool->closing) {
        pool->idle++;
        pthread_cond_wait(&pool->wake, &pool->mutex);
        pool->idle--;
    }
    node = list_pop(&pool->queue);
    pool->queued -= node != NULL;
    pthread_mutex_unlock(&pool->mutex);
    return node ? LIST_ENTRY(node, struct thread_work, node) : NULL;
}

static void *run(void *arg)
{
    struct thread_pool *pool = arg;
    char name[16];
    (void)snprintf(name, sizeof(name), "%.11s", pool->options.name);
    (void)pthread_setname_np(pthread_self(), name);
    (void)crash_install_thread(); /* without it an overflow of this stack ends the process unexplained, no more */
    for (struct thread_work *work; (work = take(pool));) {
        work->fn(work);
    }
    return NULL;
}

/* Signals meant for the process are the loop's; those a thread brings on itself cannot be blocked. */
static void block_signals(sigset_t *out_before)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        sigdelset(&blocked, own[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &blocked, out_before);
}

static size_t stack_size(const struct thread_pool *pool)
{
    size_t size = pool->options.stack_size ? pool->options.stack_size : THREAD_STACK_SIZE;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    size *= 2; /* red zones and shadow make every frame larger */
#endif
    return size;
}

static int create(struct thread_pool *pool, pthread_t *out_thread)
{
    pthread_attr_t attributes;
    sigset_t before;
    int number = pthread_attr_init(&attributes);
    if (number) {
        return number;
    }
    (void)pthread_attr_setstacksize(&attributes, stack_size(pool));
    block_signals(&before); /* a new thread inherits the mask */
    number = pthread_create(out_thread, &attributes, run, pool);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL /* old */);
    (void)pthread_attr_destroy(&attributes);
    return number;
}

/* With the mutex held. Whether there is a thread that will come to the queue. */
static int start_thread(struct thread_pool *pool)
{
    int number = create(pool, &pool->threads[pool->count]);
    pool->count += number == 0;
    return pool->count ? 0 : error_from_errno(number);
}

/* ---- from outside ---- */

int thread_pool_submit(struct thread_pool *pool, struct thread_work *work)
{
    int rc = 0;
    pthread_mutex_lock(&pool->mutex);
    bool idle = pool->queued < pool->idle;
    list_append(&pool->queue, &work->node);
    pool->queued++;
    if (!idle && pool->count < pool->options.limit) {
        rc = start_thread(pool);
    }
    if (rc) {
        list_remove(&work->node);
        pool->queued--;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (idle) {
        pthread_cond_signal(&pool->wake); /* after the unlock: it does not wake into a held mutex */
    }
    return rc;
}

bool thread_pool_withdraw(struct thread_pool *pool, struct thread_work *work)
{
    pthread_mutex_lock(&pool->mutex);
    bool queued = !list_empty(&work->node);
    if (queued) {
        list_remove(&work->node);
        pool->queued--;
    }
    pthread_mutex_unlock(&pool->mutex);
    return queued;
}

size_t thread_pool_count(struct thread_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    size_t count = pool->count;
    pthread_mutex_unlock(&pool->mutex);
    return count;
}

void thread_pool_free(struct thread_pool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < pool->count; i++) {
        (void)pthread_join(pool->threads[i], NULL /* result */);
    }
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
