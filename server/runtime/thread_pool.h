/* runtime/thread_pool.h: threads that take pieces of work in the order in which they came. It knows nothing of tasks:
 * threads.h builds on it. */
#pragma once

#include "base/list.h"
#include "casgi/base.h"

struct thread_pool;

/* A piece of work, embedded in what it works on. It stays the caller's, and alive until fn has begun (fn may free it)
 * or it was withdrawn. */
struct thread_work {
    struct list node;
    void (*fn)(struct thread_work *work); /* on a thread of the pool; may block */
};

struct thread_pool_options {
    const char *name;  /* of its threads, as the system shows them; borrowed for the pool's life; at most 11 bytes */
    size_t limit;      /* most threads; at least 1 */
    size_t stack_size; /* of each thread, address space; 0: THREAD_STACK_SIZE */
};

#define THREAD_STACK_SIZE (2u * 1024u * 1024u)

/* No thread is started before there is work. CASGI_ENOMEM. */
int thread_pool_new(const struct thread_pool_options *options, struct thread_pool **out_pool)
    __attribute__((warn_unused_result));

/* Waits until every piece of work that was submitted has been done, ends the threads, and frees it. NULL does nothing.
 */
void thread_pool_free(struct thread_pool *pool);

/* [any] Queues it. Starts a thread if all are busy and there may be more. The system's code if there is no thread and
 * none could be started: then it is not queued. */
int thread_pool_submit(struct thread_pool *pool, struct thread_work *work) __attribute__((warn_unused_result));

/* [any] Takes it out of the queue. false: a thread has begun it, or has done it. */
bool thread_pool_withdraw(struct thread_pool *pool, struct thread_work *work);

/* [any] How many threads there are. */
size_t thread_pool_count(struct thread_pool *pool);
