/* runtime/threads.h: functions run on threads while a task waits: the interface "casgi.threads/1", blocking handlers,
 * and what files and names are done with. The rules of ownership and cancellation are those of casgi/threads.h.
 *
 *   the task               the pool's thread
 *   parks      ---job--->  runs fn(arg)
 *   runs a call <--call--  waits              (thread_call_task; any number of times)
 *   parks      --answer->  goes on
 *   goes on   <---done---  takes the next job */
#pragma once

#include "casgi/threads.h"
#include "runtime/loop.h"

/* Each kind has threads of its own: a kind whose jobs wait for the loop must not starve what the loop does for them. */
enum thread_kind {
    THREAD_JOBS,     /* casgi_to_thread: min(32, processors + 4) */
    THREAD_BLOCKING, /* whole handlers: 40 */
    THREAD_FILES,    /* 8 */
    THREAD_NAMES,    /* getaddrinfo, which may take its time: 4 */
    THREAD_KINDS
};

/* [loop] How many threads a kind may have. Before its first job; later it does nothing. */
void thread_limit(struct loop *loop, enum thread_kind kind, size_t limit);

/* [loop] How many threads a kind has. */
size_t thread_count(struct loop *loop, enum thread_kind kind);

/* [loop] How many jobs of the application's still run that were abandoned (thread_run_owned): they use its code and
 * memory. A name that is still being looked up is none. */
size_t thread_abandoned(struct loop *loop);

/* [loop] Waits for those and ends all threads; further jobs get CASGI_ECLOSED. loop_free does so too, but an
 * application must not be taken away before. No task may be left. */
void thread_stop(struct loop *loop);

/* [task] fn(arg) on a thread: casgi_to_thread. 0 and *out_result (NULL allowed), or the code of why there is none. */
int thread_run(enum thread_kind kind, int (*fn)(void *arg), void *arg, int *out_result)
    __attribute__((warn_unused_result));

/* [task] The same for what must be done, such as closing: cancelled or not it waits, and where there is no thread it
 * calls fn itself. What fn returned. */
int thread_run_always(enum thread_kind kind, int (*fn)(void *arg), void *arg);

/* [task] As thread_run, but may be abandoned: casgi_to_thread_owned. */
int thread_run_owned(enum thread_kind kind, int (*fn)(void *arg), void *owned_arg, void (*free_arg)(void *arg),
                     int *out_result) __attribute__((warn_unused_result));

/* [thread] Runs fn(arg) in the task that waits for the running job: casgi_from_thread. CASGI_EWRONGTHREAD elsewhere. */
int thread_call_task(int (*fn)(void *arg), void *arg, int *out_result) __attribute__((warn_unused_result));

/* [any] Whether the calling thread runs a job. */
bool thread_in_job(void);

/* [thread] 0, or the code the job's task was cancelled with: casgi_thread_check. */
int thread_check(void) __attribute__((warn_unused_result));

/* The table behind "casgi.threads/1". */
extern const casgi_threads_1_t threads_interface;
