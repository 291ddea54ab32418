/* casgi/sync.h: tasks that wait for each other: lock, semaphore, flag, queue. The interface "casgi.sync/1" and the
 * calls an author writes.
 *
 * They are for tasks of one loop, not for threads. Between two suspending calls a task runs alone, so a lock is needed
 * only around what itself suspends. Who waits is served in the order of arrival, and what is served goes to it
 * directly: nobody comes in between. A task that is cancelled while it waits gets the code and has taken nothing; one
 * that was served in the same instant keeps what it got, returns 0, and is cancelled in its next call. One that was
 * cancelled before gets the code even if it had not to wait.
 *
 * The objects are structs of the author's, zeroed or set by their INIT. They must outlive those who wait. */
#pragma once

#include "base.h"
#include "imports.h"

CASGI_EXTERN_C_BEGIN

/* asyncio.Lock */
typedef struct casgi_lock {
    uintptr_t words[8];
} casgi_lock_t;

/* asyncio.Semaphore */
typedef struct casgi_semaphore {
    uintptr_t words[8];
} casgi_semaphore_t;

/* asyncio.Event */
typedef struct casgi_flag {
    uintptr_t words[8];
} casgi_flag_t;

/* asyncio.Queue, of pointers */
typedef struct casgi_queue {
    uintptr_t words[16];
} casgi_queue_t;

/* "casgi.sync/1". The inline calls below say what each does. */
typedef struct casgi_sync_1 {
    int (*lock_acquire)(casgi_lock_t *lock);
    int (*lock_try)(casgi_lock_t *lock);
    int (*lock_release)(casgi_lock_t *lock);
    int (*semaphore_acquire)(casgi_semaphore_t *semaphore);
    int (*semaphore_try)(casgi_semaphore_t *semaphore);
    int (*semaphore_release)(casgi_semaphore_t *semaphore);
    int (*flag_wait)(casgi_flag_t *flag);
    int (*flag_set)(casgi_flag_t *flag);
    int (*flag_clear)(casgi_flag_t *flag);
    int (*queue_init)(casgi_queue_t *queue, void **slots, size_t capacity);
    int (*queue_put)(casgi_queue_t *queue, void *item);
    int (*queue_try_put)(casgi_queue_t *queue, void *item);
    int (*queue_get)(casgi_queue_t *queue, void **out_item);
    int (*queue_try_get)(casgi_queue_t *queue, void **out_item);
    int (*queue_close)(casgi_queue_t *queue);
    const void *reserved[17];
} casgi_sync_1_t;

#define CASGI_SYNC_ (casgi_imports_.sync)

/* ---- lock ---- */

/* An open lock, as an initialiser. */
#define CASGI_LOCK_INIT \
    {                   \
        {               \
            0           \
        }               \
    }

/* [task] Waits until nobody holds it, and holds it. CASGI_ECANCELED, CASGI_ETIMEDOUT; CASGI_EINVAL: the caller holds
 * it. */
static inline int casgi_lock_acquire(casgi_lock_t *lock)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->lock_acquire(lock) : CASGI_ENOTSUP;
}

/* [task] Holds it if that needs no waiting, cancelled or not; else CASGI_EAGAIN. */
static inline int casgi_lock_try(casgi_lock_t *lock)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->lock_try(lock) : CASGI_ENOTSUP;
}

/* [task] Gives it to who waits longest, or opens it. Works for a cancelled task, too. CASGI_EINVAL: the caller does not
 * hold it. */
static inline int casgi_lock_release(casgi_lock_t *lock)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->lock_release(lock) : CASGI_ENOTSUP;
}

/* ---- semaphore ---- */

/* A semaphore with `count` (a constant, at least 0) to give, as an initialiser. */
#define CASGI_SEMAPHORE_INIT(count)                 \
    {                                               \
        {                                           \
            (uintptr_t)(count), 0, 0, 0, 0, 0, 0, 0 \
        }                                           \
    }

/* [task] Takes one, waiting while there is none. CASGI_ECANCELED, CASGI_ETIMEDOUT. */
static inline int casgi_semaphore_acquire(casgi_semaphore_t *semaphore)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->semaphore_acquire(semaphore) : CASGI_ENOTSUP;
}

/* [loop] Takes one if that needs no waiting; else CASGI_EAGAIN. */
static inline int casgi_semaphore_try(casgi_semaphore_t *semaphore)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->semaphore_try(semaphore) : CASGI_ENOTSUP;
}

/* [loop] Gives one, to who waits longest if anybody does. */
static inline int casgi_semaphore_release(casgi_semaphore_t *semaphore)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->semaphore_release(semaphore) : CASGI_ENOTSUP;
}

/* ---- flag ---- */

/* A flag that is not set, as an initialiser. */
#define CASGI_FLAG_INIT \
    {                   \
        {               \
            0           \
        }               \
    }

/* [task] Waits until it is set. CASGI_ECANCELED, CASGI_ETIMEDOUT. */
static inline int casgi_flag_wait(casgi_flag_t *flag)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->flag_wait(flag) : CASGI_ENOTSUP;
}

/* [loop] Sets it: all who wait go on, even if it is cleared before they run. */
static inline int casgi_flag_set(casgi_flag_t *flag)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->flag_set(flag) : CASGI_ENOTSUP;
}

/* [loop] Clears it: who comes now waits. */
static inline int casgi_flag_clear(casgi_flag_t *flag)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->flag_clear(flag) : CASGI_ENOTSUP;
}

/* [loop] Whether it is set. */
static inline bool casgi_flag_is_set(const casgi_flag_t *flag)
{
    return flag->words[0] != 0;
}

/* ---- queue ----
 *
 *     void *slots[16];
 *     casgi_queue_t queue;
 *     int rc = casgi_queue_init(&queue, slots, 16); */

/* [loop] Makes an empty queue of at most `capacity` items, kept in `slots`, which is borrowed as long as the queue is
 * used. Capacity 0 (slots NULL): each put waits for its get. There is nothing to free. */
static inline int casgi_queue_init(casgi_queue_t *queue, void **slots, size_t capacity)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->queue_init(queue, slots, capacity) : CASGI_ENOTSUP;
}

/* [task] Puts `item` last, waiting while the queue is full. The item moves on success. CASGI_ECANCELED,
 * CASGI_ETIMEDOUT, CASGI_ECLOSED: it is still the caller's. */
static inline int casgi_queue_put(casgi_queue_t *queue, void *item)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->queue_put(queue, item) : CASGI_ENOTSUP;
}

/* [loop] The same if that needs no waiting; else CASGI_EAGAIN. */
static inline int casgi_queue_try_put(casgi_queue_t *queue, void *item)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->queue_try_put(queue, item) : CASGI_ENOTSUP;
}

/* [task] Takes the first item, waiting while there is none. CASGI_ECANCELED, CASGI_ETIMEDOUT: nothing is taken.
 * CASGI_ECLOSED: the queue is closed and empty. */
static inline int casgi_queue_get(casgi_queue_t *queue, void **out_item)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->queue_get(queue, out_item) : CASGI_ENOTSUP;
}

/* [loop] The same if that needs no waiting; else CASGI_EAGAIN. */
static inline int casgi_queue_try_get(casgi_queue_t *queue, void **out_item)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->queue_try_get(queue, out_item) : CASGI_ENOTSUP;
}

/* [loop] No further put: those that wait, and later ones, get CASGI_ECLOSED. What is in the queue can still be taken.
 */
static inline int casgi_queue_close(casgi_queue_t *queue)
{
    return CASGI_SYNC_ ? CASGI_SYNC_->queue_close(queue) : CASGI_ENOTSUP;
}

/* [loop] How many items it holds. */
static inline size_t casgi_queue_count(const casgi_queue_t *queue)
{
    return queue->words[0];
}

CASGI_STATIC_ASSERT(sizeof(casgi_lock_t) == 64, "casgi_lock_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_semaphore_t) == 64, "casgi_semaphore_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_flag_t) == 64, "casgi_flag_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_queue_t) == 128, "casgi_queue_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_sync_1_t) == 256, "casgi_sync_1_t is frozen");

CASGI_EXTERN_C_END
