/* runtime/internal.h: what the files of this room share. Nobody else includes it. Everything is [loop]. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "runtime/coroutine.h"
#include "runtime/loop.h"
#include "runtime/stack.h"
#include "runtime/task.h"

#include <pthread.h>
#include <stdatomic.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

/* ---- loop ---- */

#define LOOP_BATCH 256 /* tasks resumed before the loop polls again, if they keep each other ready */

struct timer_slot {
    uint64_t due;
    uint32_t order; /* of two due at once the first set fires first; wraps */
    uint32_t entry;
};

/* What the heap moves is kept apart from the timers, which lie scattered over the stacks of their tasks: a move touches
 * dense memory only. */
struct timer_entry {
    struct timer *timer;
    uint32_t slot;  /* or the next free entry */
    uint32_t batch; /* it was set in */
};

/* A 4-ary heap whose root is slots[1]. timer->index is its entry plus one. */
struct timer_heap {
    struct timer_slot *slots;
    struct timer_entry *entries;
    uint32_t count;
    uint32_t capacity;   /* of both */
    uint32_t free_entry; /* plus one; 0: none */
    uint32_t order;
    uint32_t batch;
};

/* Where other threads leave what the loop is to do. Outlives the loop while anybody holds a waiter of it. */
struct inbox {
    pthread_mutex_t mutex;
    _Atomic size_t refs;
    struct loop_post *first; /* under the mutex, newest first */
    uv_async_t *async;       /* under the mutex; NULL: the loop has ended */
};

struct loop_part_slot {
    void *data;
    void (*free_data)(void *data);
    unsigned order; /* 0: not set */
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active while tasks are ready: then the poll does not wait */
    uv_async_t async;
    uv_timer_t log_retry;
    uv_timer_t alarm;   /* rings when the first timer of the heap is due */
    uint64_t alarm_due; /* UINT64_MAX: not set */

    struct task *ready;
    struct task **ready_end;
    struct list late;
    struct task *running;
    struct coroutine self;
    uint64_t resumes; /* counts up with each run of a task */
    struct task_observer *observers;

    struct list tasks;
    size_t task_count;
    struct stack_pool stacks;
    struct timer cooling;            /* set while more stacks are free than are kept */
    struct stack_pool *other_stacks; /* by size, for tasks that asked for another */
    struct arena_pool arenas;
    struct timer_heap timers;
    struct timer tick;        /* of the expiry lists */
    struct list expiry_lists; /* those that hold items */
    struct inbox *inbox;
    struct loop_part_slot parts[LOOP_PARTS];
    unsigned part_count;
    struct casgi_waiter *spare_waiters;
    size_t spare_waiter_count;
    struct cutoff *spare_cutoffs;
    struct group *spare_groups;
    uint64_t serial; /* of the last task or group made */

    uint64_t now;
    bool now_known; /* `now` was read in this batch */
    bool fake_clock;
    bool idling;
    uint64_t cleanup_us;
    char *scratch;
};

/* The loop of the running thread, for inline use; loop_current() for others. */
extern _Thread_local struct loop *loop_of_thread;

void loop_ready(struct loop *loop, struct task *task);
uint64_t loop_read_clock(const struct loop *loop);
void loop_set_now(struct loop *loop, uint64_t now);

/* ---- timers ---- */

int timer_set_at(struct loop *loop, struct timer *timer, uint64_t due) __attribute__((warn_unused_result));

/* Fires what is due at `now`, but nothing that is set meanwhile. */
void timers_fire(struct loop *loop, uint64_t now);

/* When the first is due; UINT64_MAX: none. */
uint64_t timers_first(const struct loop *loop);
void timers_release(struct loop *loop);

/* Keeps libuv's one timer in step with the heap. */
void loop_set_alarm(struct loop *loop);

void expiry_setup(struct loop *loop);

/* ---- posts and waiters ---- */

int inbox_new(uv_async_t *async, struct inbox **out_inbox);
struct inbox *inbox_ref(struct inbox *inbox); /* [any] */
void inbox_unref(struct inbox *inbox);        /* [any] */
void inbox_drain(struct inbox *inbox);
void inbox_close(struct inbox *inbox); /* runs what is in it; the loop's reference goes */

/* [any] False: the loop has ended, nothing will be run. */
bool inbox_post(struct inbox *inbox, struct loop_post *post);

void parts_release(struct loop *loop);

void waiters_release(struct loop *loop);

/* ---- tasks ---- */

enum task_state { TASK_READY, TASK_RUNNING, TASK_PARKED, TASK_ENDED };

/* A stretch of a task's calls that something may cut off: a deadline that passes, a group whose task fails. What the
 * author holds (casgi_deadline_t, casgi_task_group_t) only points to it: who returns without the end must not leave a
 * timer in a dead frame. */
struct cutoff {
    struct timer timer;   /* a deadline's */
    struct cutoff *outer; /* or the next spare one */
    struct task *task;
    struct group *group; /* NULL: a deadline */
    uint32_t mask;       /* the depth of shields it was begun in */
    int code;            /* 0: not cut off */
};

/* A group of children of `task`; group.c. */
struct group {
    struct group *outer; /* or the next spare one */
    struct task *task;
    struct cutoff *cutoff; /* NULL: it has ended before the group */
    uint64_t serial;       /* tells it from a later one at the same address */
    uint32_t depth;        /* of the children scopes it was begun in */
    uint32_t running;      /* tasks that have not ended */
    uint32_t flags;        /* enum group_flag */
    int failure;           /* the first */
    bool aborting;         /* its tasks have been cancelled; no new ones */
    bool waiting;          /* `task` waits for running to be 0 */
};

/* A value of a task; local.c. What lies behind it in the list may be shared with the parent's. */
struct local {
    struct local *next;
    const void *key;
    void *value;
};

struct deferred {
    struct deferred *next;
    void (*fn)(void *arg);
    void *arg;
};

/* Somebody who wants to know when a task has ended: embedded, in task->watchers. */
struct task_watch {
    struct list node;
    void (*fn)(struct task_watch *watch, struct task *task); /* [loop]; the node has been taken out */
};

/* Lives at the top of its own stack. */
struct task {
    struct coroutine co; /* first: it is kept when the next task takes the place */

    /* A new one finds these zeroed: */
    struct task *next_ready;
    int result;
    uint8_t state; /* enum task_state */
    uint8_t wait;  /* enum task_wait, while parked */
    bool woken;    /* a wake is kept */
    bool deaf;     /* parked, not to be cancelled */
    bool cleanup_over;
    bool background;

    /* cancellation: cancel.c */
    uint32_t troubles; /* cancellations + cut off stretches + cleanup_over: 0 is the common case */
    uint32_t cancels;
    int cancel_code;
    uint32_t mask;
    uint32_t refused;       /* calls that failed so in a row */
    struct cutoff *cutoffs; /* innermost first */
    struct timer cleanup;

    /* structure: children.c */
    struct task *parent;
    uint32_t depth;    /* of children scopes, now */
    uint32_t at_depth; /* of the parent's scopes when it was created */
    uint32_t waited_depth;
    uint32_t waited; /* children at waited_depth or deeper that still run */

    struct group *groups; /* it began, innermost first */
    struct group *group;  /* it belongs to */
    int *out_result;      /* gather's; NULL: nobody's */
    struct local *locals;
    struct local *inherited; /* from here on the list is the parent's */
    uint32_t locks;          /* it holds */

    struct deferred *deferred;   /* last registered first */
    void (*free_arg)(void *arg); /* of a background task */
    uint64_t since;              /* when it parked */
    uint64_t note;               /* an observer's */

    /* and these are set: */
    uint32_t refs;
    struct loop *loop;
    struct stack *stack;
    int (*fn)(void *arg);
    void *arg;
    struct list in_loop;
    struct list sibling; /* in parent->children */
    struct list children;
    struct list watchers;
    struct arena *arena;
    struct arena own_arena;
    uint64_t serial;
    const char *name;
    casgi_str_t (*describe)(void *owner);
    casgi_str_t (*request_id)(void *owner);
    void *owner;
    void (*on_end)(struct task *task, void *owner, int result);
};

#define TASK_ZEROED (offsetof(struct task, refs) - sizeof(struct coroutine))

/* Runs it until it parks or ends. Not from inside a task. */
void task_resume(struct task *task);

/* Tells the loop's observers. */
void observers_run(struct task *task);
void observers_leave(struct task *task);

/* Leaves the running task for the loop, which goes on with others; back when it is resumed. */
void task_suspend(struct task *task);

/* Puts the running task last and suspends it. */
void task_give_turn(struct task *task);

/* Of ten thousand waiting tasks none is in the cache: the next one's lines come while this one runs. */
static inline void task_prefetch(const struct task *next)
{
    __builtin_prefetch(next->co.context);
    if (next->next_ready) {
        __builtin_prefetch(next->next_ready, 1);
        __builtin_prefetch(&next->next_ready->co, 1);
    }
}

static inline struct task *task_running(void)
{
    struct loop *loop = loop_of_thread;
    return loop ? loop->running : NULL;
}

/* What a suspending call of `task` returns now: 0, CASGI_ECANCELED or CASGI_ETIMEDOUT. */
int task_pending_slow(const struct task *task);
static inline int task_pending(const struct task *task)
{
    return __builtin_expect(task->troubles != 0, false) ? task_pending_slow(task) : 0;
}

/* 0; or, if the running task is cancelled, the code, after one turn of the loop. Every suspending call begins so. */
int task_refuse(struct task *task, int code);
static inline int task_enter(struct task *task)
{
    int code = task_pending(task);
    return __builtin_expect(code != 0, false) ? task_refuse(task, code) : 0;
}

/* Makes it run if it is parked and a cancellation now reaches it. */
void task_interrupt(struct task *task);

int task_uncancel(struct task *task);
int task_sleep(struct task *task, uint64_t microseconds);
int cutoff_begin(struct task *task, struct cutoff **out_cutoff);
void cutoff_fire(struct cutoff *cutoff, int code);
/* Ends those begun after `outer` (NULL: all). */
void cutoffs_end(struct task *task, const struct cutoff *outer);
void cutoffs_release(struct loop *loop);
int deadline_begin(struct task *task, uint64_t microseconds, struct cutoff **out_cutoff);
int deadline_end(struct task *task, struct cutoff *deadline);
void mask_begin(struct task *task);
int mask_end(struct task *task);
void mask_restore(struct task *task, uint32_t depth);

/* From here the task has `cleanup_us` left, however masked. */
void cleanup_begin(struct task *task);
void cleanup_end(struct task *task);

/* A scope of children, and what the task's state was at its begin; in casgi_children_t. */
struct scope {
    struct task *task;
    struct cutoff *cutoffs;
    struct group *groups;
    uint32_t depth;
    uint32_t mask;
};
void scope_begin(struct task *task, struct scope *scope);
int scope_end(struct task *task, struct scope *scope);

void children_adopt(struct task *parent, struct task *child);
void children_ended(struct task *child);

/* Cancels and joins the running task's children of scope `depth` and deeper. */
void children_finish(struct task *task, uint32_t depth);
int defer(struct task *task, void (*fn)(void *arg), void *arg);
void deferred_run(struct task *task);

/* ---- groups, gather, wait ---- */

enum group_flag {
    GROUP_KEEPS_GOING = 1, /* a failure cancels nothing */
    GROUP_STRICT = 2,      /* CASGI_ECANCELED is a failure, too */
};

int group_begin(struct task *task, uint32_t flags, struct group **out_group);
int group_create(struct group *group, int (*fn)(void *arg), void *arg, const char *name, struct task **out_task);
void group_abort(struct group *group);
/* Waits for its tasks and ends it, after those begun inside it. */
int group_end(struct group *group);
/* Aborts and ends those begun after `outer` (NULL: all). */
void groups_end(struct task *task, const struct group *outer);
void group_child_ended(struct task *child);
void groups_release(struct loop *loop);

int task_gather(struct task *self, casgi_work_t *works, size_t count, uint32_t flags);
int task_wait_many(struct task *self, struct task *const *tasks, size_t count, uint32_t flags, size_t *out_index);
/* Cancels it after the time, or when `self` is cancelled, and waits until it has ended, always. */
int task_join_for(struct task *self, struct task *task, uint64_t microseconds);

int local_set(struct task *task, const void *key, void *value);
void *local_get(const struct task *task, const void *key);

void task_watch(struct task *task, struct task_watch *watch, void (*fn)(struct task_watch *watch, struct task *task));

/* Waits until `task` has ended. 0, CASGI_ECANCELED, CASGI_ETIMEDOUT. */
int task_wait_end(struct task *self, struct task *task);
