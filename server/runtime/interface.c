/* The table "casgi.tasks/1": it finds the running task and checks the place of the call; the work is done elsewhere. */
#include "runtime/internal.h"
#include "runtime/threads.h"
#include "runtime/waiter.h"

/* casgi_task_t is struct task, casgi_waiter_t struct casgi_waiter. */
static inline struct task *task_of(casgi_task_t *handle)
{
    return (struct task *)(void *)handle;
}

static uint64_t microseconds_of(uint64_t milliseconds)
{
    return milliseconds < UINT64_MAX / 2000 ? milliseconds * 1000 : UINT64_MAX / 2;
}

static bool is_here(const struct task *task)
{
    return loop_of_thread && task->loop == loop_of_thread;
}

static int interface_create(casgi_task_fn_t fn, void *arg, const char *name, casgi_task_t **out_task)
{
    struct task *self = task_running(), *child;
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_pending(self);
    if (rc) {
        return rc;
    }
    struct task_options options = {
        .name = name ? name : self->name,
        .describe = self->describe,
        .request_id = self->request_id,
        .owner = self->owner,
        .parent = self,
    };
    rc = task_spawn(self->loop, fn, arg, &options, &child);
    if (rc) {
        return rc;
    }
    if (out_task) {
        *out_task = (casgi_task_t *)(void *)task_ref(child);
    }
    return 0;
}

static int interface_join(casgi_task_t *handle, int *out_result)
{
    struct task *self = task_running(), *task = task_of(handle);
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    if (!task || task == self) {
        return CASGI_EINVAL;
    }
    int rc = task_enter(self);
    rc = rc ? rc : task_wait_end(self, task);
    if (rc) {
        return rc;
    }
    if (out_result) {
        *out_result = task->result;
    }
    task_unref(task);
    return 0;
}

static int interface_cancel(casgi_task_t *handle)
{
    if (!handle) {
        return CASGI_EINVAL;
    }
    if (!is_here(task_of(handle))) {
        return CASGI_EWRONGTHREAD;
    }
    task_cancel(task_of(handle), CASGI_ECANCELED);
    return 0;
}

static void interface_release(casgi_task_t *handle)
{
    if (handle && is_here(task_of(handle))) {
        task_unref(task_of(handle));
    }
}

static int interface_uncancel(void)
{
    struct task *self = task_running();
    return self ? task_uncancel(self) : CASGI_EWRONGTHREAD;
}

static int interface_sleep(uint64_t milliseconds)
{
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    return milliseconds ? task_sleep(self, microseconds_of(milliseconds)) : task_yield();
}

static int interface_deadline_begin(casgi_deadline_t *place, uint64_t milliseconds)
{
    struct task *self = task_running();
    struct cutoff *deadline;
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = deadline_begin(self, microseconds_of(milliseconds), &deadline);
    place->words[0] = rc ? 0 : (uintptr_t)deadline;
    return rc;
}

static int interface_deadline_end(casgi_deadline_t *place)
{
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = deadline_end(self, (struct cutoff *)place->words[0]);
    place->words[0] = 0;
    return rc;
}

static int interface_mask_begin(void)
{
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    mask_begin(self);
    return 0;
}

static int interface_mask_end(void)
{
    struct task *self = task_running();
    return self ? mask_end(self) : CASGI_EWRONGTHREAD;
}

_Static_assert(sizeof(struct scope) <= sizeof(casgi_children_t), "a scope fits into its place");

static int interface_children_begin(casgi_children_t *place)
{
    struct task *self = task_running();
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    scope_begin(self, (struct scope *)(void *)place);
    return 0;
}

static int interface_children_end(casgi_children_t *place)
{
    struct task *self = task_running();
    return self ? scope_end(self, (struct scope *)(void *)place) : CASGI_EWRONGTHREAD;
}

/* ---- calls that also serve a job on a thread: they are done in the task that waits for it ---- */

struct defer_call {
    void (*fn)(void *arg);
    void *arg;
};

static int defer_here(void *arg)
{
    const struct defer_call *call = arg;
    return defer(task_running(), call->fn, call->arg);
}

static int interface_defer(void (*fn)(void *arg), void *arg)
{
    struct defer_call call = { fn, arg };
    int rc = CASGI_EWRONGTHREAD, call_rc;
    if (task_running()) {
        return defer_here(&call);
    }
    if (thread_in_job()) {
        call_rc = thread_call_task(defer_here, &call, &rc);
        rc = call_rc ? call_rc : rc;
    }
    return rc;
}

struct alloc_call {
    size_t size;
    void *memory;
};

static int alloc_here(void *arg)
{
    struct alloc_call *call = arg;
    call->memory = arena_alloc(task_running()->arena, call->size);
    return 0;
}

static void *interface_alloc(size_t size)
{
    struct task *self = task_running();
    struct alloc_call call = { .size = size };
    if (self) {
        return arena_alloc(self->arena, size);
    }
    if (thread_in_job() && thread_call_task(alloc_here, &call, NULL /* its result */)) {
        return NULL;
    }
    return call.memory;
}

static int interface_background(casgi_task_fn_t fn, void *owned_arg, void (*free_arg)(void *), const char *name)
{
    struct loop *loop = loop_of_thread;
    struct task_options options = { .name = name ? name : "background" };
    struct task *task;
    if (!loop) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_spawn(loop, fn, owned_arg, &options, &task);
    if (rc) {
        return rc;
    }
    task->free_arg = free_arg;
    task->background = true;
    return 0;
}

static int interface_waiter_new(casgi_waiter_t **out_waiter)
{
    struct loop *loop = loop_of_thread;
    return loop ? waiter_new(loop, out_waiter) : CASGI_EWRONGTHREAD;
}

static int interface_waiter_wait(casgi_waiter_t *waiter)
{
    return waiter ? waiter_wait(waiter, TASK_WAIT_WAITER) : CASGI_EINVAL;
}

static int interface_waiter_wake(casgi_waiter_t *waiter)
{
    if (waiter) {
        waiter_wake(waiter);
    }
    return 0;
}

/* ---- groups, gather, wait ---- */

static int interface_done(casgi_task_t *handle)
{
    if (!handle) {
        return CASGI_EINVAL;
    }
    return is_here(task_of(handle)) ? task_ended(task_of(handle)) : CASGI_EWRONGTHREAD;
}

static int interface_wait(casgi_task_t *const *handles, size_t count, uint32_t flags, size_t *out_index)
{
    struct task *self = task_running();
    return self ? task_wait_many(self, (struct task *const *)(const void *)handles, count, flags, out_index)
                : CASGI_EWRONGTHREAD;
}

static int interface_join_for(casgi_task_t *handle, uint64_t milliseconds, int *out_result)
{
    struct task *self = task_running(), *task = task_of(handle);
    if (!self) {
        return CASGI_EWRONGTHREAD;
    }
    if (!task || task == self) {
        return CASGI_EINVAL;
    }
    int rc = task_join_for(self, task, microseconds_of(milliseconds));
    if (rc == CASGI_ENOMEM) {
        return rc;
    }
    if (out_result) {
        *out_result = task->result;
    }
    task_unref(task);
    return rc;
}

/* A group that has ended keeps its memory, but not its serial. */
static struct group *group_of(const casgi_task_group_t *place)
{
    struct group *group = (struct group *)place->words[0];
    return group && loop_of_thread && group->serial == place->words[1] && group->task->loop == loop_of_thread ? group
                                                                                                              : NULL;
}

static int interface_group_begin(casgi_task_group_t *place, uint32_t flags)
{
    struct task *self = task_running();
    struct group *group = NULL;
    (void)flags;
    int rc = self ? group_begin(self, 0, &group) : CASGI_EWRONGTHREAD;
    *place = (casgi_task_group_t){ .words = { rc ? 0 : (uintptr_t)group, rc ? 0 : group->serial } };
    return rc;
}

static int interface_group_create(casgi_task_group_t *place, casgi_task_fn_t fn, void *arg, const char *name,
                                  casgi_task_t **out_task)
{
    struct task *self = task_running(), *task;
    struct group *group = self ? group_of(place) : NULL;
    if (!group) {
        return self ? CASGI_EINVAL : CASGI_EWRONGTHREAD;
    }
    int rc = task_pending(self);
    rc = rc ? rc : group_create(group, fn, arg, name, &task);
    if (!rc && out_task) {
        *out_task = (casgi_task_t *)(void *)task_ref(task);
    }
    return rc;
}

static int interface_group_cancel(casgi_task_group_t *place)
{
    struct group *group = group_of(place);
    if (!group) {
        return loop_of_thread ? CASGI_EINVAL : CASGI_EWRONGTHREAD;
    }
    group_abort(group);
    return 0;
}

static int interface_group_end(casgi_task_group_t *place)
{
    struct task *self = task_running();
    struct group *group = self ? group_of(place) : NULL;
    if (!group || group->task != self) {
        return self ? CASGI_EINVAL : CASGI_EWRONGTHREAD;
    }
    int rc = group_end(group);
    place->words[0] = 0;
    return rc;
}

static int interface_gather(casgi_work_t *works, size_t count, uint32_t flags)
{
    struct task *self = task_running();
    return self ? task_gather(self, works, count, flags) : CASGI_EWRONGTHREAD;
}

static int interface_local_set(const void *key, void *value)
{
    struct task *self = task_running();
    return self ? local_set(self, key, value) : CASGI_EWRONGTHREAD;
}

static void *interface_local_get(const void *key)
{
    const struct task *self = task_running();
    return self ? local_get(self, key) : NULL;
}

const casgi_tasks_1_t task_interface = {
    .create = interface_create,
    .join = interface_join,
    .cancel = interface_cancel,
    .release = interface_release,
    .uncancel = interface_uncancel,
    .yield = task_yield,
    .sleep = interface_sleep,
    .now = loop_clock,
    .deadline_begin = interface_deadline_begin,
    .deadline_end = interface_deadline_end,
    .mask_begin = interface_mask_begin,
    .mask_end = interface_mask_end,
    .children_begin = interface_children_begin,
    .children_end = interface_children_end,
    .defer = interface_defer,
    .alloc = interface_alloc,
    .background = interface_background,
    .waiter_new = interface_waiter_new,
    .waiter_ref = waiter_ref,
    .waiter_unref = waiter_unref,
    .waiter_wait = interface_waiter_wait,
    .waiter_wake = interface_waiter_wake,
    .done = interface_done,
    .wait = interface_wait,
    .group_begin = interface_group_begin,
    .group_create = interface_group_create,
    .group_cancel = interface_group_cancel,
    .group_end = interface_group_end,
    .gather = interface_gather,
    .local_set = interface_local_set,
    .local_get = interface_local_get,
    .join_for = interface_join_for,
};
