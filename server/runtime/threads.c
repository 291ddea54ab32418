/* A job is done on two sides. What the loop's side reads (done, call) is written on the loop's thread only, by posts
 * from the job's thread. A job that may be abandoned belongs to both sides: who comes last frees it (`fate`). */
#include "runtime/threads.h"

#include "base/log.h"
#include "runtime/internal.h"
#include "runtime/thread_pool.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_ID_MAX = 129 }; /* as long as one of a client may be, and its NUL */

/* Of an owned job. */
enum job_fate { FATE_OPEN, FATE_FINISHED, FATE_ABANDONED };

/* A function the job's thread wants run in its task; in that thread's frame. */
struct task_call {
    struct loop_post post;
    struct thread_job *job;
    int (*fn)(void *arg);
    void *arg;
    int rc; /* CASGI_ECANCELED: it was not called */
    int result;
    sem_t answered;
};

struct thread_job {
    struct thread_work work;
    struct loop_post post;
    struct threads *threads;
    struct thread_pool *pool;
    struct task *task; /* NULL: abandoned; the loop's thread only */
    int (*fn)(void *arg);
    void *arg;
    void (*free_arg)(void *arg);
    int result;
    bool owned;             /* in memory of its own */
    bool of_application;    /* it runs the module's code */
    bool done;              /* the loop's thread only */
    struct task_call *call; /* the loop's thread only */
    _Atomic int cancelled;  /* the code, for thread_check */
    _Atomic int fate;
    casgi_str_t request; /* tags what it logs */
    char request_copy[REQUEST_ID_MAX];
};

/* What a loop has of threads. */
struct threads {
    struct loop *loop;
    struct thread_pool *pools[THREAD_KINDS];
    size_t limits[THREAD_KINDS];
    _Atomic size_t abandoned; /* jobs of the application's that run, and that nobody waits for */
    pthread_mutex_t mutex;
    bool closing; /* under the mutex: no more calls; written on the loop's thread only */
};

static _Thread_local struct thread_job *job_of_thread;

/* ---- the loop's pools ---- */

static void stop(struct threads *threads)
{
    pthread_mutex_lock(&threads->mutex);
    threads->closing = true;
    pthread_mutex_unlock(&threads->mutex);
    inbox_drain(threads->loop->inbox); /* abandoned jobs that wait for a call: nobody else would answer them */
    for (size_t i = 0; i < THREAD_KINDS; i++) {
        thread_pool_free(threads->pools[i]);
        threads->pools[i] = NULL;
    }
}

static void threads_free(void *data)
{
    struct threads *threads = data;
    stop(threads);
    (void)pthread_mutex_destroy(&threads->mutex);
    free(threads);
}

static size_t default_limit(enum thread_kind kind)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    switch (kind) {
    case THREAD_BLOCKING:
        return 40;
    case THREAD_FILES:
        return 8;
    case THREAD_NAMES:
        return 4;
    default:
        return processors > 0 && processors < 28 ? (size_t)processors + 4 : 32;
    }
}

static struct threads *threads_of(struct loop *loop)
{
    struct threads *threads = loop_part(loop, LOOP_PART_THREADS);
    if (threads) {
        return threads;
    }
    threads = calloc(1, sizeof(*threads));
    if (!threads) {
        return NULL;
    }
    threads->loop = loop;
    for (size_t i = 0; i < THREAD_KINDS; i++) {
        threads->limits[i] = default_limit((enum thread_kind)i);
    }
    (void)pthread_mutex_init(&threads->mutex, NULL /* attributes */); /* glibc's cannot fail */
    loop_set_part(loop, LOOP_PART_THREADS, threads, threads_free);
    return threads;
}

static int find_pool(struct loop *loop, enum thread_kind kind, struct thread_pool **out_pool)
{
    static const char *const names[THREAD_KINDS] = { "casgi job", "casgi handler", "casgi file", "casgi name" };
    struct threads *threads = threads_of(loop);
    int rc = !threads ? CASGI_ENOMEM : threads->closing ? CASGI_ECLOSED : 0;
    if (!rc && !threads->pools[kind]) {
        struct thread_pool_options options = { .name = names[kind], .limit = threads->limits[kind] };
        rc = thread_pool_new(&options, &threads->pools[kind]);
    }
    if (!rc) {
        *out_pool = threads->pools[kind];
    }
    return rc;
}

void thread_limit(struct loop *loop, enum thread_kind kind, size_t limit)
{
    struct threads *threads = threads_of(loop);
    if (threads && limit) {
        threads->limits[kind] = limit;
    }
}

size_t thread_count(struct loop *loop, enum thread_kind kind)
{
    struct threads *threads = loop_part(loop, LOOP_PART_THREADS);
    return threads && threads->pools[kind] ? thread_pool_count(threads->pools[kind]) : 0;
}

size_t thread_abandoned(struct loop *loop)
{
    struct threads *threads = loop_part(loop, LOOP_PART_THREADS);
    return threads ? atomic_load_explicit(&threads->abandoned, memory_order_acquire) : 0;
}

void thread_stop(struct loop *loop)
{
    struct threads *threads = loop_part(loop, LOOP_PART_THREADS);
    if (threads) {
        stop(threads);
    }
}

/* ---- the job's thread ---- */

static void job_free(struct thread_job *job)
{
    if (job->free_arg) {
        job->free_arg(job->arg);
    }
    free(job);
}

static void on_done(struct loop_post *post)
{
    struct thread_job *job = LIST_ENTRY(post, struct thread_job, post);
    job->done = true;
    task_wake(job->task);
}

static void on_thread(struct thread_work *work)
{
    struct thread_job *job = LIST_ENTRY(work, struct thread_job, work);
    struct threads *threads = job->threads;
    bool of_application = job->of_application;
    job_of_thread = job;
    log_set_request(job->request);
    job->result = job->fn(job->arg);
    log_set_request((casgi_str_t){ NULL, 0 });
    job_of_thread = NULL;
    if (job->owned && atomic_exchange_explicit(&job->fate, FATE_FINISHED, memory_order_acq_rel) == FATE_ABANDONED) {
        job_free(job);
        atomic_fetch_sub_explicit(&threads->abandoned, of_application, memory_order_release);
        return;
    }
    loop_post(threads->loop, &job->post);
}

static void answer(struct task_call *call, int rc, int result)
{
    call->rc = rc;
    call->result = result;
    (void)sem_post(&call->answered); /* its frame may be gone from here */
}

static void on_call(struct loop_post *post)
{
    struct task_call *call = LIST_ENTRY(post, struct task_call, post);
    if (!call->job->task) {
        answer(call, CASGI_ECANCELED, 0);
        return;
    }
    call->job->call = call;
    task_wake(call->job->task);
}

/* Posts the call, unless the loop is ending. */
static bool post_call(struct task_call *call)
{
    struct threads *threads = call->job->threads;
    pthread_mutex_lock(&threads->mutex);
    bool open = !threads->closing;
    if (open) {
        loop_post(threads->loop, &call->post);
    }
    pthread_mutex_unlock(&threads->mutex);
    return open;
}

int thread_call_task(int (*fn)(void *arg), void *arg, int *out_result)
{
    struct thread_job *job = job_of_thread;
    if (!job) {
        return CASGI_EWRONGTHREAD;
    }
    struct task_call call = { .post = { .fn = on_call }, .job = job, .fn = fn, .arg = arg, .rc = CASGI_ECANCELED };
    (void)sem_init(&call.answered, 0 /* this process's */, 0);
    if (post_call(&call)) {
        while (sem_wait(&call.answered) && errno == EINTR) {
        }
    }
    (void)sem_destroy(&call.answered);
    if (!call.rc && out_result) {
        *out_result = call.result;
    }
    return call.rc;
}

bool thread_in_job(void)
{
    return job_of_thread != NULL;
}

int thread_check(void)
{
    struct thread_job *job = job_of_thread;
    return job ? atomic_load_explicit(&job->cancelled, memory_order_relaxed) : CASGI_EWRONGTHREAD;
}

/* ---- the task ---- */

static void serve(struct thread_job *job)
{
    struct task_call *call = job->call;
    job->call = NULL;
    answer(call, 0, call->fn(call->arg));
}

/* An owned job: whether its thread has not finished it, and will free it. */
static bool abandon(struct thread_job *job)
{
    _Atomic size_t *abandoned = &job->threads->abandoned;
    size_t counts = job->of_application;
    struct task *task = job->task;
    struct task_call *call = job->call; /* its thread waits for the answer: it cannot finish before */
    job->task = NULL;
    job->call = NULL;
    atomic_fetch_add_explicit(abandoned, counts, memory_order_relaxed); /* before its thread may count it off */
    if (atomic_exchange_explicit(&job->fate, FATE_ABANDONED, memory_order_acq_rel) == FATE_FINISHED) {
        atomic_fetch_sub_explicit(abandoned, counts, memory_order_relaxed);
        job->task = task; /* on_done is on its way */
        return false;
    }
    if (call) {
        answer(call, CASGI_ECANCELED, 0);
    }
    return true;
}

/* The task is cancelled: whether it need not wait for the job, which is then, if owned, no longer ours. */
static bool let_go(struct thread_job *job, int code)
{
    atomic_store_explicit(&job->cancelled, code, memory_order_relaxed);
    if (!thread_pool_withdraw(job->pool, &job->work)) {
        return job->owned && abandon(job);
    }
    if (job->owned) {
        job_free(job);
    }
    return true;
}

/* 0: it is done. Else the code of a cancellation: let go of, or, if not owned, done, too. */
static int wait_for(struct thread_job *job)
{
    int rc = 0;
    while (!job->done) {
        if (job->call) {
            serve(job);
        } else if (rc) {
            task_park_uncancelable(TASK_WAIT_THREAD);
        } else {
            rc = task_park(TASK_WAIT_THREAD);
            if (rc && job->done) {
                return 0; /* both at once: the result is not lost, the cancellation comes with the next call */
            }
            if (rc && let_go(job, rc)) {
                return rc;
            }
        }
    }
    return job->owned ? 0 : rc;
}

static casgi_str_t request_of(const struct task *task)
{
    casgi_str_t none = { NULL, 0 };
    return task->request_id ? task->request_id(task->owner) : none;
}

/* Begins a job in `job`, whose fn, arg, free_arg and owned are set. */
static int submit(enum thread_kind kind, struct task *task, struct thread_job *job)
{
    int rc = find_pool(task->loop, kind, &job->pool);
    if (rc) {
        return rc;
    }
    job->threads = loop_part(task->loop, LOOP_PART_THREADS);
    job->of_application = kind == THREAD_JOBS;
    job->task = task;
    job->work.fn = on_thread;
    job->post.fn = on_done;
    return thread_pool_submit(job->pool, &job->work);
}

int thread_run(enum thread_kind kind, int (*fn)(void *arg), void *arg, int *out_result)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(task);
    if (rc) {
        return rc;
    }
    struct thread_job job = { .fn = fn, .arg = arg, .request = request_of(task) };
    rc = submit(kind, task, &job);
    rc = rc ? rc : wait_for(&job);
    if (!rc && out_result) {
        *out_result = job.result;
    }
    return rc;
}

int thread_run_always(enum thread_kind kind, int (*fn)(void *arg), void *arg)
{
    struct task *task = task_running();
    struct thread_job job = { .fn = fn, .arg = arg, .request = request_of(task) };
    if (submit(kind, task, &job)) {
        return fn(arg);
    }
    while (!job.done) {
        task_park_uncancelable(TASK_WAIT_THREAD);
    }
    return job.result;
}

/* The request's id goes with its request; an abandoned job stays. */
static void copy_request(struct thread_job *job, casgi_str_t request)
{
    if (request.ptr && request.len < sizeof(job->request_copy)) {
        memcpy(job->request_copy, request.ptr, request.len);
        job->request = (casgi_str_t){ job->request_copy, request.len };
    }
}

static int job_new(int (*fn)(void *arg), void *owned_arg, void (*free_arg)(void *arg), struct thread_job **out_job)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(task);
    if (rc) {
        return rc;
    }
    struct thread_job *job = calloc(1, sizeof(*job));
    if (!job) {
        return CASGI_ENOMEM;
    }
    job->fn = fn;
    job->arg = owned_arg;
    job->free_arg = free_arg;
    job->owned = true;
    copy_request(job, request_of(task));
    *out_job = job;
    return 0;
}

int thread_run_owned(enum thread_kind kind, int (*fn)(void *arg), void *owned_arg, void (*free_arg)(void *arg),
                     int *out_result)
{
    struct thread_job *job;
    int rc = job_new(fn, owned_arg, free_arg, &job);
    if (rc) {
        if (free_arg) {
            free_arg(owned_arg);
        }
        return rc;
    }
    rc = submit(kind, task_running(), job);
    if (rc) {
        job_free(job);
        return rc;
    }
    rc = wait_for(job);
    if (rc) {
        return rc; /* whoever has the job frees it */
    }
    if (out_result) {
        *out_result = job->result;
    }
    free(job);
    return 0;
}

/* ---- casgi.threads/1 ---- */

static int interface_run(casgi_thread_fn_t fn, void *arg, int *out_result)
{
    return thread_run(THREAD_JOBS, fn, arg, out_result);
}

static int interface_run_owned(casgi_thread_fn_t fn, void *owned_arg, void (*free_arg)(void *), int *out_result)
{
    return thread_run_owned(THREAD_JOBS, fn, owned_arg, free_arg, out_result);
}

const casgi_threads_1_t threads_interface = {
    .run = interface_run,
    .run_owned = interface_run_owned,
    .call = thread_call_task,
    .check = thread_check,
};
