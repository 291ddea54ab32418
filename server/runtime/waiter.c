/* Waiters: a wake that may come from any thread, and may come too late. A waiter belongs to the loop that made it. On
 * other threads a wake goes through the loop's inbox, which outlives the loop as long as a waiter refers to it. */
#include "runtime/waiter.h"

#include "runtime/internal.h"

#include <stdlib.h>

#define SPARE_MAX 256u

struct casgi_waiter {
    _Atomic size_t refs;
    _Atomic bool woken;
    bool posted;               /* in the inbox; under its mutex */
    struct casgi_waiter *next; /* in the inbox, or spare */
    struct inbox *inbox;       /* of the loop that made it: tells it from a later loop at the same address */
    struct task *task;         /* that waits; the loop's thread only */
};

/* ---- the inbox ---- */

int inbox_new(uv_async_t *async, struct inbox **out_inbox)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));
    if (!inbox) {
        return CASGI_ENOMEM;
    }
    if (pthread_mutex_init(&inbox->mutex, NULL /* attributes */)) {
        free(inbox);
        return CASGI_ENOMEM;
    }
    inbox->refs = 1;
    inbox->async = async;
    *out_inbox = inbox;
    return 0;
}

static void inbox_unref(struct inbox *inbox)
{
    if (atomic_fetch_sub_explicit(&inbox->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&inbox->mutex);
        free(inbox);
    }
}

static struct casgi_waiter *take_posted(struct inbox *inbox, bool close)
{
    pthread_mutex_lock(&inbox->mutex);
    struct casgi_waiter *posted = inbox->first;
    inbox->first = NULL;
    for (struct casgi_waiter *waiter = posted; waiter; waiter = waiter->next) {
        waiter->posted = false;
    }
    if (close) {
        inbox->async = NULL;
    }
    pthread_mutex_unlock(&inbox->mutex);
    return posted;
}

void inbox_close(struct inbox *inbox)
{
    struct casgi_waiter *waiter = take_posted(inbox, true);
    while (waiter) {
        struct casgi_waiter *next = waiter->next;
        waiter_unref(waiter);
        waiter = next;
    }
    inbox_unref(inbox);
}

/* Newest first in the inbox: turned round, so that wakes keep their order. */
static struct casgi_waiter *turn_round(struct casgi_waiter *newest)
{
    struct casgi_waiter *oldest = NULL;
    while (newest) {
        struct casgi_waiter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void inbox_drain(struct loop *loop)
{
    struct casgi_waiter *waiter = turn_round(take_posted(loop->inbox, false));
    while (waiter) {
        struct casgi_waiter *next = waiter->next;
        if (waiter->task) {
            task_wake(waiter->task);
        }
        waiter_unref(waiter);
        waiter = next;
    }
}

/* ---- waiters ---- */

/* Whether this is the thread of its loop. */
static inline bool is_here(const struct casgi_waiter *waiter)
{
    struct loop *loop = loop_of_thread;
    return loop && loop->inbox == waiter->inbox;
}

int waiter_new(struct loop *loop, struct casgi_waiter **out_waiter)
{
    struct casgi_waiter *waiter = loop->spare_waiters;
    if (waiter) {
        loop->spare_waiters = waiter->next;
        loop->spare_waiter_count--;
    } else {
        waiter = malloc(sizeof(*waiter));
        if (!waiter) {
            return CASGI_ENOMEM;
        }
    }
    waiter->refs = 1;
    waiter->woken = false;
    waiter->posted = false;
    waiter->task = NULL;
    waiter->inbox = loop->inbox;
    atomic_fetch_add_explicit(&loop->inbox->refs, 1, memory_order_relaxed);
    *out_waiter = waiter;
    return 0;
}

struct casgi_waiter *waiter_ref(struct casgi_waiter *waiter)
{
    if (waiter) {
        atomic_fetch_add_explicit(&waiter->refs, 1, memory_order_relaxed);
    }
    return waiter;
}

void waiter_unref(struct casgi_waiter *waiter)
{
    if (!waiter || atomic_fetch_sub_explicit(&waiter->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct loop *loop = loop_of_thread;
    bool here = is_here(waiter);
    inbox_unref(waiter->inbox);
    if (here && loop->spare_waiter_count < SPARE_MAX) {
        waiter->next = loop->spare_waiters;
        loop->spare_waiters = waiter;
        loop->spare_waiter_count++;
    } else {
        free(waiter);
    }
}

void waiters_release(struct loop *loop)
{
    while (loop->spare_waiters) {
        struct casgi_waiter *waiter = loop->spare_waiters;
        loop->spare_waiters = waiter->next;
        free(waiter);
    }
    loop->spare_waiter_count = 0;
}

int waiter_wait(struct casgi_waiter *waiter, enum task_wait why)
{
    struct task *task = task_running();
    if (!task || !is_here(waiter)) {
        return CASGI_EWRONGTHREAD;
    }
    if (waiter->task) {
        return CASGI_EBUSY;
    }
    int rc = task_enter(task);
    if (rc) {
        return rc;
    }
    waiter->task = task;
    while (!atomic_exchange_explicit(&waiter->woken, false, memory_order_acquire)) {
        rc = rc ? rc : task_park(why);
        if (rc) {
            /* A wake that came with the cancellation counts: nothing is lost. */
            rc = atomic_exchange_explicit(&waiter->woken, false, memory_order_acquire) ? 0 : rc;
            break;
        }
    }
    waiter->task = NULL;
    return rc;
}

static void post(struct casgi_waiter *waiter)
{
    struct inbox *inbox = waiter->inbox;
    pthread_mutex_lock(&inbox->mutex);
    if (inbox->async && !waiter->posted) {
        bool first = !inbox->first;
        waiter->posted = true;
        waiter->next = inbox->first;
        inbox->first = waiter_ref(waiter);
        if (first) {
            (void)uv_async_send(inbox->async);
        }
    }
    pthread_mutex_unlock(&inbox->mutex);
}

void waiter_wake(struct casgi_waiter *waiter)
{
    if (atomic_exchange_explicit(&waiter->woken, true, memory_order_release)) {
        return; /* one is kept already */
    }
    if (!is_here(waiter)) {
        post(waiter);
    } else if (waiter->task) {
        task_wake(waiter->task);
    }
}
