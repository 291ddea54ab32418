/* Two threads meet here under one mutex: the loop's says what begins to run and that it has left off, the watchdog's
 * looks. While it looks at a task the loop's thread cannot leave it, so the task and its texts are there.
 *
 *   nothing runs --> sleeps; once there was nothing to see for a while, until it is woken
 *   a task runs  --> sleeps until it should have given way
 *   ... too long --> reports it, once; sleeps until it is over; reports that */
#include "observe/watchdog.h"

#include "base/log.h"
#include "observe/helper.h"
#include "runtime/task.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHO_SIZE = 512, ID_SIZE = 80, STACK_SIZE = 16384 };

/* A task that held up the loop, and what it was doing: a copy. */
struct culprit {
    uint64_t turn;
    bool is_there; /* it held up the loop when its stack was taken */
    uint64_t lasted;
    char who[WHO_SIZE];
    char request_id[ID_SIZE];
};

struct watchdog {
    struct task_observer observer;
    struct loop *loop;
    struct watchdog_options options;
    pid_t loop_thread;
    pthread_t thread;

    pthread_mutex_t mutex; /* over all below */
    pthread_cond_t changed;
    bool stopping;
    bool dozing;          /* the thread sleeps until it is woken */
    uint64_t turn;        /* counts the runs of tasks */
    struct task *running; /* NULL: none */
    uint64_t began;
    uint64_t reported; /* the turn of the last report */
    uint64_t took;     /* that turn, in all; 0: it is not over */

    struct culprit culprit; /* the watchdog's thread's */
    char stack[STACK_SIZE]; /* the same */
};

/* ---- the loop's side ---- */

static void on_run(struct task_observer *self, struct task *task)
{
    struct watchdog *watchdog = LIST_ENTRY(self, struct watchdog, observer);
    uint64_t now = loop_clock();
    pthread_mutex_lock(&watchdog->mutex);
    watchdog->turn++;
    watchdog->running = task;
    watchdog->began = now;
    if (watchdog->dozing) {
        watchdog->dozing = false;
        pthread_cond_signal(&watchdog->changed);
    }
    pthread_mutex_unlock(&watchdog->mutex);
}

static void on_leave(struct task_observer *self, struct task *task)
{
    struct watchdog *watchdog = LIST_ENTRY(self, struct watchdog, observer);
    (void)task;
    pthread_mutex_lock(&watchdog->mutex);
    if (watchdog->running && watchdog->reported == watchdog->turn) {
        watchdog->took = loop_clock() - watchdog->began;
        pthread_cond_signal(&watchdog->changed);
    }
    watchdog->running = NULL;
    pthread_mutex_unlock(&watchdog->mutex);
}

/* ---- words ---- */

/* "GET /x", "task cleaner", "GET /x, task child". The request's id, at the end of what describes it, is left out. */
static void describe(struct culprit *culprit, const struct task *task)
{
    casgi_str_t what = task_describe(task), id = task_request_id(task);
    if (what.ptr && id.len && what.len > id.len + 1 && memcmp(what.ptr + what.len - id.len, id.ptr, id.len) == 0) {
        what.len -= id.len + 1;
    }
    bool plain = what.ptr && strcmp(task_name(task), "request") == 0;
    (void)snprintf(culprit->who, sizeof(culprit->who), "%.*s%s%s%s", what.ptr ? (int)what.len : 0,
                   what.ptr ? what.ptr : "", what.ptr && !plain ? ", " : "", plain ? "" : "task ",
                   plain ? "" : task_name(task));
    (void)snprintf(culprit->request_id, sizeof(culprit->request_id), "%.*s", id.ptr ? (int)id.len : 0,
                   id.ptr ? id.ptr : "");
}

/* Without the line that says whose it is. */
static void tell_stack(char *stack)
{
    char *rest;
    if (strncmp(stack, "thread ", strlen("thread ")) == 0) {
        stack += strcspn(stack, "\n");
    }
    for (char *line = strtok_r(stack, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        log_print(CASGI_LOG_WARNING, "    %s", line);
    }
}

static void tell_duration(const struct culprit *culprit, const char *what, uint64_t microseconds, const char *more)
{
    log_print(CASGI_LOG_WARNING, "%s %s the loop for %u.%03u s%s", culprit->who, what,
              (unsigned)(microseconds / 1000000), (unsigned)(microseconds / 1000 % 1000), more);
}

static casgi_str_t tag_with(const struct culprit *culprit)
{
    casgi_str_t id = { culprit->request_id[0] ? culprit->request_id : NULL, strlen(culprit->request_id) };
    return log_set_request(id);
}

/* ---- the watchdog's thread, which holds the mutex but where it says otherwise ---- */

static void sleep_until(struct watchdog *watchdog, uint64_t when)
{
    struct timespec at = { .tv_sec = (time_t)(when / 1000000), .tv_nsec = (long)(when % 1000000) * 1000 };
    (void)pthread_cond_timedwait(&watchdog->changed, &watchdog->mutex, &at);
}

/* Nothing runs. */
static void rest(struct watchdog *watchdog)
{
    uint64_t seen = watchdog->turn;
    sleep_until(watchdog, loop_clock() + watchdog->options.most / 2 + 1);
    while (!watchdog->stopping && !watchdog->running && seen == watchdog->turn) {
        watchdog->dozing = true;
        pthread_cond_wait(&watchdog->changed, &watchdog->mutex);
    }
    watchdog->dozing = false;
}

static bool still_there(const struct watchdog *watchdog)
{
    return watchdog->running && watchdog->turn == watchdog->culprit.turn;
}

/* If meanwhile the loop has gone on, what is seen may be another task's. */
static void on_taken(void *arg)
{
    struct watchdog *watchdog = arg;
    pthread_mutex_lock(&watchdog->mutex);
    watchdog->culprit.is_there = still_there(watchdog);
    watchdog->culprit.lasted = loop_clock() - watchdog->began;
    pthread_mutex_unlock(&watchdog->mutex);
}

/* Looks, without the mutex, where it is. */
static void report(struct watchdog *watchdog)
{
    struct culprit *culprit = &watchdog->culprit;
    const char *program = watchdog->options.program;
    size_t length = 0;
    *culprit = (struct culprit){ .turn = watchdog->turn };
    watchdog->reported = watchdog->turn;
    watchdog->took = 0;
    describe(culprit, watchdog->running);
    pthread_mutex_unlock(&watchdog->mutex);
    if (program) {
        length = helper_stack(program, watchdog->loop_thread, on_taken, watchdog, watchdog->stack, STACK_SIZE);
    }
    if (!length) {
        on_taken(watchdog);
        watchdog->stack[0] = '\0';
    }
    if (culprit->is_there) {
        casgi_str_t before = tag_with(culprit);
        tell_duration(culprit, "has held up", culprit->lasted, length ? " and is at" : " and goes on");
        tell_stack(watchdog->stack);
        (void)log_set_request(before);
    }
    pthread_mutex_lock(&watchdog->mutex);
}

static void report_end(struct watchdog *watchdog)
{
    uint64_t took = watchdog->took;
    watchdog->took = 0;
    pthread_mutex_unlock(&watchdog->mutex);
    casgi_str_t before = tag_with(&watchdog->culprit);
    tell_duration(&watchdog->culprit, "held up", took, "");
    (void)log_set_request(before);
    pthread_mutex_lock(&watchdog->mutex);
}

static void look(struct watchdog *watchdog)
{
    if (watchdog->took) {
        report_end(watchdog);
    } else if (!watchdog->running) {
        rest(watchdog);
    } else if (watchdog->reported == watchdog->turn) {
        pthread_cond_wait(&watchdog->changed, &watchdog->mutex);
    } else if (loop_clock() < watchdog->began + watchdog->options.most) {
        sleep_until(watchdog, watchdog->began + watchdog->options.most);
    } else {
        report(watchdog);
    }
}

static void *watch(void *arg)
{
    struct watchdog *watchdog = arg;
    pthread_mutex_lock(&watchdog->mutex);
    while (!watchdog->stopping || watchdog->took) {
        look(watchdog);
    }
    pthread_mutex_unlock(&watchdog->mutex);
    return NULL;
}

/* ---- life ---- */

/* Signals are the loop's thread's. */
static int start_thread(struct watchdog *watchdog)
{
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&watchdog->thread, NULL /* attributes */, watch, watchdog);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL /* the old one */);
    return rc ? CASGI_ESYSTEM(rc) : 0;
}

static void init_locks(struct watchdog *watchdog)
{
    pthread_condattr_t attributes; /* nothing of this can fail here */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watchdog->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&watchdog->mutex, NULL /* attributes */);
}

static void release(struct watchdog *watchdog)
{
    (void)pthread_cond_destroy(&watchdog->changed);
    (void)pthread_mutex_destroy(&watchdog->mutex);
    free(watchdog);
}

int watchdog_new(struct loop *loop, const struct watchdog_options *options, struct watchdog **out_watchdog)
{
    struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
    if (!watchdog) {
        return CASGI_ENOMEM;
    }
    watchdog->observer = (struct task_observer){ .on_run = on_run, .on_leave = on_leave };
    watchdog->loop = loop;
    watchdog->options = *options;
    watchdog->loop_thread = gettid();
    init_locks(watchdog);
    int rc = start_thread(watchdog);
    if (rc) {
        release(watchdog);
        return rc;
    }
    task_observe(loop, &watchdog->observer);
    *out_watchdog = watchdog;
    return 0;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (!watchdog) {
        return;
    }
    task_unobserve(watchdog->loop, &watchdog->observer);
    pthread_mutex_lock(&watchdog->mutex);
    watchdog->running = NULL;
    watchdog->stopping = true;
    pthread_cond_signal(&watchdog->changed);
    pthread_mutex_unlock(&watchdog->mutex);
    (void)pthread_join(watchdog->thread, NULL /* result */);
    release(watchdog);
}
