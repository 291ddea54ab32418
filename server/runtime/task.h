/* runtime/task.h: stackful tasks. A task runs on the loop's thread until it parks; whoever knows it wakes it.
 *
 *           spawn/start            park                  fn returned
 *   (none) ------------> READY <---------- RUNNING ----------------------> ENDED
 *                          |      ^            |
 *                          +------+            +--> PARKED --wake/cancel--> READY
 *
 * Parking is the one primitive: timers, receive, send, joins, waiters, threads are built on task_park and task_wake.
 * The rules of cancellation are DESIGN 2.9 and 2.10, as casgi/tasks.h states them for authors. */
#pragma once

#include "base/arena.h"
#include "casgi/tasks.h"
#include "runtime/loop.h"

struct task;

struct task_options {
    const char *name;                     /* borrowed; for logs */
    size_t stack_size;                    /* 0: the loop's */
    struct arena *arena;                  /* casgi_alloc's; NULL: one of the task's own */
    casgi_str_t (*describe)(void *owner); /* "GET /x 1f3a": what it works for, for logs and crash reports; may be NULL.
                                             Must be async-signal-safe: it is called from the crash handler. */
    casgi_str_t (*request_id)(void *owner); /* for the tag of log lines; may be NULL */
    void *owner;
    void (*on_end)(struct task *task, void *owner,
                   int result); /* [loop] after its last frame is gone: the stack may be reused; may be NULL */
    struct task *parent;        /* whose children scope it joins; NULL: a root */
};

/* Makes a task that first runs on the next turn. *out_task is borrowed until on_end; task_ref keeps it longer.
 * CASGI_ENOMEM. */
int task_spawn(struct loop *loop, int (*fn)(void *arg), void *arg, const struct task_options *options,
               struct task **out_task) __attribute__((warn_unused_result));

/* The same, but runs it at once, from the loop (not from inside a task), until it parks or ends. It may have ended,
 * and on_end been called, before this returns. */
int task_start(struct loop *loop, int (*fn)(void *arg), void *arg, const struct task_options *options,
               struct task **out_task) __attribute__((warn_unused_result));

struct task *task_ref(struct task *task);
void task_unref(struct task *task);

/* [any] The running task; NULL outside of tasks. */
struct task *task_current(void);

/* What a parked task waits for, for `casgi ps`, the trace and messages. */
enum task_wait {
    TASK_WAIT_NONE,
    TASK_WAIT_TIMER,
    TASK_WAIT_RECEIVE,
    TASK_WAIT_SEND,
    TASK_WAIT_JOIN,
    TASK_WAIT_WAITER,
    TASK_WAIT_TURN,
    TASK_WAIT_SOCKET,
    TASK_WAIT_FILE,
    TASK_WAIT_THREAD,
    TASK_WAIT_QUEUE,
    TASK_WAIT_PROCESS,
    TASK_WAIT_DNS,
    TASK_WAIT_LOCK,
};

/* [task] Suspends until task_wake. 0 when woken; CASGI_ECANCELED or CASGI_ETIMEDOUT when cancelled (at once, but after
 * one turn, if it was cancelled before). A wake that came while the task ran is kept, once: park returns at once.
 * Wakes may be spurious: check the condition in a loop. */
int task_park(enum task_wait why) __attribute__((warn_unused_result));

/* The same, but not to be cancelled: for what lends the caller's memory. Remember a cancellation for task_check. */
void task_park_uncancelable(enum task_wait why);

/* [task] Lets every other ready task run once. 0, CASGI_ECANCELED, CASGI_ETIMEDOUT. */
int task_yield(void);

/* [task] 0, or the code a suspending call would return now. Does not suspend. */
int task_check(void) __attribute__((warn_unused_result));

/* [loop] Makes a parked task ready; keeps the wake for a running or ready one. Safe on an ended task somebody refs. */
void task_wake(struct task *task);

/* [loop] Asks it to stop: casgi_cancel. `code` is what its calls return: CASGI_ECANCELED or CASGI_ETIMEDOUT. */
void task_cancel(struct task *task, int code);

bool task_ended(const struct task *task);
int task_result(const struct task *task);
const char *task_name(const struct task *task);
enum task_wait task_waiting_for(const struct task *task);
casgi_str_t task_describe(const struct task *task); /* ptr NULL: nothing to say */

/* When it parked, by loop_now of then; meaningless while it is not parked. */
uint64_t task_waiting_since(const struct task *task);

/* [any] "timer", "queue", ... */
const char *task_wait_name(enum task_wait wait);

/* One line about it, without a newline: "handler: waits for timer since 1.250 s, GET /x 1f3a". Writes at most
 * `capacity` bytes with the NUL; returns the length written. */
size_t task_print(const struct task *task, char *out, size_t capacity);

/* Calls fn for every task of the loop; for dumps and shutdown. */
void task_for_each(struct loop *loop, void (*fn)(struct task *task, void *arg), void *arg);
size_t task_count(const struct loop *loop);

/* ---- who watches tasks: the watchdog, the timeline ---- */

/* Told whenever a task of the loop runs, on the loop's own stack. Embedded. */
struct task_observer {
    struct task_observer *next;
    void (*on_run)(struct task_observer *self, struct task *task);
    void (*on_leave)(struct task_observer *self, struct task *task); /* it has parked, given way, or ended */
};

/* Also while a task runs, whose on_leave then comes without an on_run. */
void task_observe(struct loop *loop, struct task_observer *observer);
void task_unobserve(struct loop *loop, struct task_observer *observer); /* one that is not there: nothing */

/* A number that no other task of the loop ever has. */
uint64_t task_serial(const struct task *task);

/* Whose child it is; NULL. */
const struct task *task_parent(const struct task *task);

/* What it waits for, or has last waited for. */
enum task_wait task_last_wait(const struct task *task);

/* The id of the request it works for; ptr NULL. */
casgi_str_t task_request_id(const struct task *task);

/* A word of the task's that is an observer's own; 0 at first. */
uint64_t *task_note(struct task *task);

/* Whether it was made by casgi_background: it outlives the request that made it and is cancelled when the worker stops.
 */
bool task_is_background(const struct task *task);

/* The table behind "casgi.tasks/1". */
extern const casgi_tasks_1_t task_interface;
