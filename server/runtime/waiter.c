/* Waiters: a wake that may come from any thread, and may come too late. A waiter belongs to the loop that made it. On
 * other threads a wake goes through the loop's inbox, which outlives the loop as long as a waiter refers to it. */
#include "runtime/waiter.h"

#include "runtime/internal.h"

#include <stdlib.h>

#define SPARE_MAX 256u

struct casgi_waiter {
    struct loop_post post;
    struct casgi_waiter *next; /* spare */
    _Atomic size_t refs;
    _Atomic bool woken;
    _Atomic bool posted;
    struct inbox *inbox; /* of the loop that made it: tells it from a later loop at the same address */
    struct task *task;   /* that waits; the loop's thread only */
};

/* Whether this is the thread of its loop. */
static inline bool is_here(const struct casgi_waiter *waiter)
{
    struct loop *loop = loop_of_thread;
    return loop && loop->inbox == waiter->inbox;
}

/* `posted` first: a wake that finds it set has set `woken` before, which the task then sees. */
static void on_post(struct loop_post *post)
{
    struct casgi_waiter *waiter = LIST_ENTRY(post, struct casgi_waiter, post);
    (void)atomic_exchange_explicit(&waiter->posted, false, memory_order_acq_rel);
    if (waiter->task) {
        task_wake(waiter->task);
    }
    waiter_unref(waiter);
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
    *waiter = (struct casgi_waiter){ .post = { .fn = on_post }, .refs = 1, .inbox = inbox_ref(loop->inbox) };
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
    if (atomic_exchange_explicit(&waiter->posted, true, memory_order_acq_rel)) {
        return; /* it is on its way */
    }
    waiter_ref(waiter);
    if (!inbox_post(waiter->inbox, &waiter->post)) {
        waiter_unref(waiter);
    }
}

void waiter_wake(struct casgi_waiter *waiter)
{
    if (atomic_exchange_explicit(&waiter->woken, true, memory_order_acq_rel)) {
        return; /* one is kept already */
    }
    if (!is_here(waiter)) {
        post(waiter);
    } else if (waiter->task) {
        task_wake(waiter->task);
    }
}
