/* casgi/tasks.h: tasks, waiting, cancellation. The interface "casgi.tasks/1" and the calls an author writes.
 *
 * A handler is a task: straight-line C on a stack of its own, which suspends inside the calls marked [task] while the
 * loop runs others. Where a function may be called is written before it:
 *
 *   [task]    only inside a task, on the loop's thread; may suspend
 *   [loop]    on the loop's thread; never suspends
 *   [any]     on any thread
 *   [thread]  in a function run on a thread for a task (casgi/threads.h), or a blocking handler
 *
 * A call in the wrong place returns CASGI_EWRONGTHREAD and does nothing.
 *
 * Cancellation. A cancelled task gets CASGI_ECANCELED (a passed deadline: CASGI_ETIMEDOUT) from every suspending call
 * until it returns or says casgi_uncancel(). Such a call still gives the loop one turn. Memory the caller lends is its
 * own again when the call returns.
 *
 * Across a suspending call hold no errno, thread-local, mutex or pointer into a queue; never longjmp out of a handler.
 */
#pragma once

#include "base.h"
#include "imports.h"

CASGI_EXTERN_C_BEGIN

typedef struct casgi_task casgi_task_t;
typedef struct casgi_waiter casgi_waiter_t;

/* [task] The body of a task. 0 or a negative code, for who joins it. In C++ it lets no exception out. */
typedef int (*casgi_task_fn_t)(void *arg);

/* A deadline, between casgi_deadline_begin and casgi_deadline_end. */
typedef struct casgi_deadline {
    uintptr_t words[12];
} casgi_deadline_t;

/* The children of one call, on the caller's stack, between casgi_children_begin and casgi_children_end. */
typedef struct casgi_children {
    uintptr_t words[8];
} casgi_children_t;

/* A group of tasks, between casgi_task_group_begin and casgi_task_group_end (casgi/group.h). */
typedef struct casgi_task_group {
    uintptr_t words[4];
} casgi_task_group_t;

/* One of the functions casgi_gather runs at the same time (casgi/group.h). */
typedef struct casgi_work {
    casgi_task_fn_t fn;
    void *arg;
    const char *name; /* borrowed; NULL allowed */
    int32_t result;   /* what fn returned */
    uint32_t reserved;
} casgi_work_t;

/* "casgi.tasks/1". The inline calls below and in casgi/group.h say what each does. A later minor adds calls in reserved
 * words, in order. */
typedef struct casgi_tasks_1 {
    int (*create)(casgi_task_fn_t fn, void *arg, const char *name, casgi_task_t **out_task);
    int (*join)(casgi_task_t *task, int *out_result);
    int (*cancel)(casgi_task_t *task);
    void (*release)(casgi_task_t *task);
    int (*uncancel)(void);
    int (*yield)(void);
    int (*sleep)(uint64_t milliseconds);
    uint64_t (*now)(void);
    int (*deadline_begin)(casgi_deadline_t *deadline, uint64_t milliseconds);
    int (*deadline_end)(casgi_deadline_t *deadline);
    int (*mask_begin)(void);
    int (*mask_end)(void);
    int (*children_begin)(casgi_children_t *children);
    int (*children_end)(casgi_children_t *children);
    int (*defer)(void (*fn)(void *arg), void *arg);
    void *(*alloc)(size_t size);
    int (*background)(casgi_task_fn_t fn, void *owned_arg, void (*free_arg)(void *), const char *name);
    int (*waiter_new)(casgi_waiter_t **out_waiter);
    casgi_waiter_t *(*waiter_ref)(casgi_waiter_t *waiter);
    void (*waiter_unref)(casgi_waiter_t *waiter);
    int (*waiter_wait)(casgi_waiter_t *waiter);
    int (*waiter_wake)(casgi_waiter_t *waiter);
    int (*done)(casgi_task_t *task);
    int (*wait)(casgi_task_t *const *tasks, size_t count, uint32_t flags, size_t *out_index);
    int (*group_begin)(casgi_task_group_t *group, uint32_t flags);
    int (*group_create)(casgi_task_group_t *group, casgi_task_fn_t fn, void *arg, const char *name,
                        casgi_task_t **out_task);
    int (*group_cancel)(casgi_task_group_t *group);
    int (*group_end)(casgi_task_group_t *group);
    int (*gather)(casgi_work_t *works, size_t count, uint32_t flags);
    int (*local_set)(const void *key, void *value);
    void *(*local_get)(const void *key);
    int (*join_for)(casgi_task_t *task, uint64_t milliseconds, int *out_result);
    const void *reserved[16];
} casgi_tasks_1_t;

#define CASGI_TASKS_ (casgi_imports_.tasks)

/* [task] Starts fn(arg) as a child of the calling task; it first runs on the next turn of the loop. `name` (borrowed
 * for the task's life, NULL allowed) appears in logs. *out_task is yours: join it or release it. Children do not
 * outlive the call of the application that created them: what is left is cancelled and joined when the handler returns.
 * CASGI_ENOMEM; CASGI_ECANCELED if the caller is cancelled. */
static inline int casgi_create_task(casgi_task_fn_t fn, void *arg, const char *name, casgi_task_t **out_task)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->create(fn, arg, name, out_task) : CASGI_ENOTSUP;
}

/* [task] Waits until `task` has ended and stores what it returned (out_result may be NULL). Consumes the handle when it
 * returns 0. If the caller is cancelled while waiting: the code; the handle is still yours, the task still runs. */
static inline int casgi_join(casgi_task_t *task, int *out_result)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->join(task, out_result) : CASGI_ENOTSUP;
}

/* [loop] Asks `task` to stop: its current or next suspending call returns CASGI_ECANCELED. Does nothing to one that has
 * ended. Does not wait: join does. */
static inline int casgi_cancel(casgi_task_t *task)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->cancel(task) : CASGI_ENOTSUP;
}

/* [loop] Gives up the handle without waiting; the task goes on. NULL does nothing. */
static inline void casgi_release(casgi_task_t *task)
{
    if (CASGI_TASKS_) {
        CASGI_TASKS_->release(task);
    }
}

/* [task] Takes back the cancellation of the calling task: suspending calls work again. Returns how many cancellations
 * were pending. A deadline that has passed stays passed until its casgi_deadline_end. */
static inline int casgi_uncancel(void)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->uncancel() : CASGI_ENOTSUP;
}

/* [task] Lets every other ready task run once. Cancellable. */
static inline int casgi_yield(void)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->yield() : CASGI_ENOTSUP;
}

/* [task] Waits. 0 after at least `milliseconds`; CASGI_ECANCELED, CASGI_ETIMEDOUT. */
static inline int casgi_sleep(uint64_t milliseconds)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->sleep(milliseconds) : CASGI_ENOTSUP;
}

/* [any] Microseconds of a clock that never goes back. 0 without a server. */
static inline uint64_t casgi_now(void)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->now() : 0;
}

/* [task] From here to casgi_deadline_end every suspending call of this task returns CASGI_ETIMEDOUT once
 * `milliseconds` have passed. Deadlines nest; each is ended by the function that began it, innermost first (one that
 * was forgotten ends with the one around it, or with the task). CASGI_ENOMEM: there is no deadline. */
static inline int casgi_deadline_begin(casgi_deadline_t *deadline, uint64_t milliseconds)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->deadline_begin(deadline, milliseconds) : CASGI_ENOTSUP;
}

/* [task] Ends it. 0, or CASGI_ETIMEDOUT if it had passed. CASGI_EINVAL if it was not begun. Never suspends. */
static inline int casgi_deadline_end(casgi_deadline_t *deadline)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->deadline_end(deadline) : CASGI_ENOTSUP;
}

/* [task] Between these two, cancellation and outer deadlines wait: suspending calls work (asyncio.shield, seen from
 * inside). They nest. What came meanwhile is delivered after the last end. */
static inline int casgi_shield_begin(void)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->mask_begin() : CASGI_ENOTSUP;
}

/* [task] Ends it; never suspends. */
static inline int casgi_shield_end(void)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->mask_end() : CASGI_ENOTSUP;
}

/* [task] Tasks created from here on belong to `children`; casgi_children_end cancels and joins those that still run,
 * so that none outlives the frames it uses. They nest. */
static inline int casgi_children_begin(casgi_children_t *children)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->children_begin(children) : CASGI_ENOTSUP;
}

/* [task] Returns when every one has ended, also when the caller is cancelled. */
static inline int casgi_children_end(casgi_children_t *children)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->children_end(children) : CASGI_ENOTSUP;
}

/* [task] [thread] Calls fn(arg) in the task when it ends, last registered first, with cancellation masked; it may
 * suspend, bounded by --timeout-cleanup. CASGI_ENOMEM: then nothing is registered. */
static inline int casgi_defer(void (*fn)(void *arg), void *arg)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->defer(fn, arg) : CASGI_ENOTSUP;
}

/* [task] [thread] `size` bytes from the task's arena, aligned for any type, not zeroed; freed together when the task
 * (for a handler: the request) ends. NULL if memory is short. */
static inline void *casgi_alloc(size_t size)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->alloc(size) : NULL;
}

/* [task] Runs fn(owned_arg) as a task of the worker, not of this request: it outlives the handler. owned_arg moves on
 * success and is given to free_arg (NULL allowed) when fn has returned. It is cancelled when the worker stops. */
static inline int casgi_background(casgi_task_fn_t fn, void *owned_arg, void (*free_arg)(void *), const char *name)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->background(fn, owned_arg, free_arg, name) : CASGI_ENOTSUP;
}

/* A wake from elsewhere. It is counted: one reference for who waits, one for who wakes. A wake that comes before the
 * wait is kept (once); one after the end does nothing. */

/* [loop] *out_waiter is yours, one reference: casgi_waiter_unref. CASGI_ENOMEM. */
static inline int casgi_waiter_new(casgi_waiter_t **out_waiter)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->waiter_new(out_waiter) : CASGI_ENOTSUP;
}

/* [any] One more reference; returns its argument. */
static inline casgi_waiter_t *casgi_waiter_ref(casgi_waiter_t *waiter)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->waiter_ref(waiter) : waiter;
}

/* [any] One reference less; the last frees it. NULL does nothing. */
static inline void casgi_waiter_unref(casgi_waiter_t *waiter)
{
    if (CASGI_TASKS_) {
        CASGI_TASKS_->waiter_unref(waiter);
    }
}

/* [task] Waits for a wake. 0; CASGI_ECANCELED, CASGI_ETIMEDOUT; CASGI_EBUSY if another task waits on it. */
static inline int casgi_waiter_wait(casgi_waiter_t *waiter)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->waiter_wait(waiter) : CASGI_ENOTSUP;
}

/* [any] Wakes it. Always 0. */
static inline int casgi_waiter_wake(casgi_waiter_t *waiter)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->waiter_wake(waiter) : CASGI_ENOTSUP;
}

CASGI_STATIC_ASSERT(sizeof(casgi_deadline_t) == 96, "casgi_deadline_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_children_t) == 64, "casgi_children_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_task_group_t) == 32, "casgi_task_group_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_work_t) == 32, "casgi_work_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_tasks_1_t) == 384, "casgi_tasks_1_t is frozen");

CASGI_EXTERN_C_END
