/* casgi/threads.h: work that computes or blocks, on threads. The interface "casgi.threads/1" and the calls an author
 * writes.
 *
 * The loop runs one task at a time. What computes for milliseconds, or blocks in a library that knows nothing of the
 * loop, belongs on a thread: the task waits, the loop runs others, and C, with no global lock, runs in parallel. The
 * server keeps min(32, processors + 4) threads for it, started on demand, with 2 MiB of stack each; jobs begin in the
 * order in which they came. A job waits in the frame of its task, so the queue costs nothing and has no limit.
 *
 * A fourth mark stands beside those of casgi/tasks.h:
 *
 *   [thread]   inside a job, on its thread; may block
 *
 * A job may call what is marked [any] or [thread]. Anything else it reaches through casgi_from_thread. */
#pragma once

#include "base.h"
#include "imports.h"

CASGI_EXTERN_C_BEGIN

/* [thread] A job. 0 or a negative code, for who waits for it. In C++ it lets no exception out. */
typedef int (*casgi_thread_fn_t)(void *arg);

/* "casgi.threads/1". The inline calls below say what each does. A later minor adds calls in reserved words, in order.
 */
typedef struct casgi_threads_1 {
    int (*run)(casgi_thread_fn_t fn, void *arg, int *out_result);
    int (*run_owned)(casgi_thread_fn_t fn, void *owned_arg, void (*free_arg)(void *), int *out_result);
    int (*call)(int (*fn)(void *arg), void *arg, int *out_result);
    int (*check)(void);
    const void *reserved[4];
} casgi_threads_1_t;

#define CASGI_THREADS_ (casgi_imports_.threads)

/* [task] Runs fn(arg) on a thread and waits for it; arg is borrowed until this returns, so it may lie in the caller's
 * frame. Returns what fn returned. A caller that is cancelled gets CASGI_ECANCELED or CASGI_ETIMEDOUT: at once if fn
 * had not begun (it never will), else when fn has returned; fn may ask casgi_thread_check and return early.
 * CASGI_EWRONGTHREAD; the system's code if no thread could be started. */
static inline int casgi_to_thread(casgi_thread_fn_t fn, void *arg)
{
    int result = 0;
    int rc = CASGI_THREADS_ ? CASGI_THREADS_->run(fn, arg, &result) : CASGI_ENOTSUP;
    return rc ? rc : result;
}

/* [task] The same for what may take longer than the caller wants to wait: a caller that is cancelled gets its code at
 * once, and the job, if it has begun, is left to run to its end.
 *   0           fn has returned *out_result (NULL allowed); owned_arg is yours again
 *   otherwise   owned_arg is gone: free_arg(owned_arg) has been called, or will be on the job's thread when fn has
 *               returned; free_arg is [any] and may be NULL
 * The server's exit waits for such a job: let it ask casgi_thread_check now and then. */
static inline int casgi_to_thread_owned(casgi_thread_fn_t fn, void *owned_arg, void (*free_arg)(void *),
                                        int *out_result)
{
    if (CASGI_THREADS_) {
        return CASGI_THREADS_->run_owned(fn, owned_arg, free_arg, out_result);
    }
    if (free_arg) {
        free_arg(owned_arg);
    }
    return CASGI_ENOTSUP;
}

/* [thread] Runs fn(arg) inside the task that waits for this job, on the loop, where it may suspend; blocks the thread
 * until it has returned; arg is borrowed until then. Returns what fn returned. CASGI_ECANCELED without calling fn if
 * nobody waits for the job any more; CASGI_EWRONGTHREAD outside of jobs. Let fn not call casgi_to_thread: when every
 * thread waits for another job to begin, none does. */
static inline int casgi_from_thread(int (*fn)(void *arg), void *arg)
{
    int result = 0;
    int rc = CASGI_THREADS_ ? CASGI_THREADS_->call(fn, arg, &result) : CASGI_ENOTSUP;
    return rc ? rc : result;
}

/* [thread] 0 while somebody waits for this job's result, else the code its task was cancelled with: a long computation
 * asks it now and then, and returns. Costs a few nanoseconds. CASGI_EWRONGTHREAD outside of jobs. */
static inline int casgi_thread_check(void)
{
    return CASGI_THREADS_ ? CASGI_THREADS_->check() : CASGI_ENOTSUP;
}

CASGI_STATIC_ASSERT(sizeof(casgi_threads_1_t) == 64, "casgi_threads_1_t is frozen");

CASGI_EXTERN_C_END
