/* casgi/group.h: several tasks as one piece of work: groups, gather, wait; a time limit or a shield around a call;
 * values that a task's children inherit. Calls of the interface "casgi.tasks/1".
 *
 * What fails. A task fails by returning a negative code. CASGI_ECANCELED does not count as a failure of a group's task:
 * it was told to stop, and stopped. */
#pragma once

#include "tasks.h"

CASGI_EXTERN_C_BEGIN

/* ---- groups (asyncio.TaskGroup) ----
 *
 *     casgi_task_group_t group;
 *     int rc = casgi_task_group_begin(&group);
 *     ...
 *     rc = casgi_task_group_create(&group, fetch, &a, "a", NULL);
 *     rc = casgi_task_group_create(&group, fetch, &b, "b", NULL);
 *     rc = casgi_task_group_end(&group);
 *
 * The first of its tasks that fails cancels the others and the caller's own suspending calls, which return
 * CASGI_ECANCELED up to casgi_task_group_end. No task of the group lives after the end, so they may use the caller's
 * frame. */

/* [task] Begins a group. Groups nest, among themselves and with deadlines: innermost ends first. CASGI_ENOMEM. */
static inline int casgi_task_group_begin(casgi_task_group_t *group)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->group_begin(group, 0) : CASGI_ENOTSUP;
}

/* [task] Starts fn(arg) in the group, as casgi_create_task does. out_task NULL: no handle; else it is yours: join it or
 * release it. A task of the group may call this, too. CASGI_ECANCELED when the group is ending early, or the caller is
 * cancelled; CASGI_EINVAL if the group was not begun. */
static inline int casgi_task_group_create(casgi_task_group_t *group, casgi_task_fn_t fn, void *arg, const char *name,
                                          casgi_task_t **out_task)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->group_create(group, fn, arg, name, out_task) : CASGI_ENOTSUP;
}

/* [loop] Ends it early, without a failure: its tasks, and the suspending calls of who began it, are cancelled.
 * CASGI_EINVAL if it was not begun or has ended. */
static inline int casgi_task_group_cancel(casgi_task_group_t *group)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->group_cancel(group) : CASGI_ENOTSUP;
}

/* [task] Waits for every task of the group. The first failure's code; else, if the caller was cancelled while waiting,
 * that code, after its tasks were cancelled and have ended; else 0. By the task that began it. */
static inline int casgi_task_group_end(casgi_task_group_t *group)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->group_end(group) : CASGI_ENOTSUP;
}

/* ---- gather (asyncio.gather) ---- */

enum casgi_gather_flag {
    CASGI_GATHER_ALL = 1 /* a failure cancels nothing: every result is in its work */
};

/* A work as an initialiser: casgi_work_t works[] = { CASGI_WORK(fetch, &a), CASGI_WORK(fetch, &b) }; */
#define CASGI_WORK(fn, arg)     \
    {                           \
        (fn), (arg), NULL, 0, 0 \
    }

/* [task] Runs all of them at the same time, each as a task, and returns when every one has ended; works[i].result is
 * what works[i].fn returned. The first negative result cancels the others and is returned. With CASGI_GATHER_ALL: 0,
 * whatever they returned. A caller that is cancelled while waiting: all are cancelled, joined, and its code returned.
 * CASGI_ENOMEM: those that could not be started have it as their result. */
static inline int casgi_gather(casgi_work_t *works, size_t count, uint32_t flags)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->gather(works, count, flags) : CASGI_ENOTSUP;
}

/* ---- wait (asyncio.wait) ---- */

enum casgi_wait_flag {
    CASGI_WAIT_ALL = 0,
    CASGI_WAIT_FIRST = 1,        /* until one has ended */
    CASGI_WAIT_FIRST_FAILURE = 2 /* until one has ended with a negative code, or all have ended */
};

/* [loop] 1: it has ended, a join returns at once; 0: not yet. */
static inline int casgi_task_done(casgi_task_t *task)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->done(task) : CASGI_ENOTSUP;
}

/* [task] Waits for tasks without joining them: the handles stay yours. NULL entries are passed over, so that one may
 * join the task that has ended, set it to NULL and wait on. *out_index (NULL allowed) is the first in the list that has
 * ended, with FIRST_FAILURE the first that failed, `count` if none did. A caller that is cancelled, or whose deadline
 * passes, gets the code; the tasks go on. CASGI_EINVAL: no task in the list. */
static inline int casgi_wait(casgi_task_t *const *tasks, size_t count, uint32_t flags, size_t *out_index)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->wait(tasks, count, flags, out_index) : CASGI_ENOTSUP;
}

/* ---- a call with a time limit, a call with a shield ---- */

/* [task] Calls fn(arg), whose suspending calls fail with CASGI_ETIMEDOUT once `milliseconds` have passed
 * (asyncio.wait_for). *out_result (NULL allowed) is what fn returned. CASGI_ETIMEDOUT if the time had passed and fn
 * failed: an fn that succeeded all the same has succeeded. */
static inline int casgi_wait_for(casgi_task_fn_t fn, void *arg, uint64_t milliseconds, int *out_result)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, milliseconds);
    if (rc) {
        return rc;
    }
    int result = fn(arg);
    rc = casgi_deadline_end(&deadline);
    if (rc && result < 0) {
        return rc;
    }
    if (out_result) {
        *out_result = result;
    }
    return 0;
}

/* [task] Joins `task` if it ends within `milliseconds`; else cancels it, waits until it has ended, and returns
 * CASGI_ETIMEDOUT (asyncio.wait_for on a task). If the caller is cancelled meanwhile, the task is cancelled and waited
 * for likewise, and the caller's code returned. *out_result (NULL allowed) is what the task returned, also when it was
 * too late. Consumes the handle, but with CASGI_EINVAL, CASGI_ENOMEM and CASGI_EWRONGTHREAD. */
static inline int casgi_join_for(casgi_task_t *task, uint64_t milliseconds, int *out_result)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->join_for(task, milliseconds, out_result) : CASGI_ENOTSUP;
}

/* [task] Calls fn(arg) with cancellation and outer deadlines waiting (asyncio.shield), bounded by --timeout-cleanup
 * once one of them has come. Returns what fn returned; the cancellation is delivered by the next suspending call. */
static inline int casgi_shield(casgi_task_fn_t fn, void *arg)
{
    int rc = casgi_shield_begin();
    if (rc) {
        return rc;
    }
    rc = fn(arg);
    (void)casgi_shield_end();
    return rc;
}

/* ---- values of a task (contextvars) ---- */

/* [task] From here on casgi_local_get(key) gives `value` in this task, and in the children it creates later; not in its
 * parent, not in children that exist already. The key is an address of yours, such as that of a static variable. What
 * `value` points to must outlive the task's children; NULL hides what was inherited. Background tasks inherit nothing.
 * CASGI_ENOMEM. */
static inline int casgi_local_set(const void *key, void *value)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->local_set(key, value) : CASGI_ENOTSUP;
}

/* [task] The value, the task's own or inherited; NULL: none, or not in a task. */
static inline void *casgi_local_get(const void *key)
{
    return CASGI_TASKS_ ? CASGI_TASKS_->local_get(key) : NULL;
}

CASGI_EXTERN_C_END
