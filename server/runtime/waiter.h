/* runtime/waiter.h: a wake for one task from any thread: casgi_waiter_t, for the server's own rooms. */
#pragma once

#include "runtime/loop.h"
#include "runtime/task.h"

struct casgi_waiter;

/* [loop] *out_waiter has one reference, yours. CASGI_ENOMEM. */
int waiter_new(struct loop *loop, struct casgi_waiter **out_waiter) __attribute__((warn_unused_result));

/* [any] One reference more; returns its argument. */
struct casgi_waiter *waiter_ref(struct casgi_waiter *waiter);

/* [any] One less; the last frees it. NULL does nothing. */
void waiter_unref(struct casgi_waiter *waiter);

/* [task] Waits for a wake; one that came before is kept (once). 0, CASGI_ECANCELED, CASGI_ETIMEDOUT (no wake is lost
 * then); CASGI_EBUSY: another task waits on it; CASGI_EWRONGTHREAD: made by another thread's loop. */
int waiter_wait(struct casgi_waiter *waiter, enum task_wait why) __attribute__((warn_unused_result));

/* [any] Wakes it. After the loop has ended it does nothing. */
void waiter_wake(struct casgi_waiter *waiter);
