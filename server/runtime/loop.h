/* runtime/loop.h: the event loop, one per worker process: libuv's, a queue of tasks ready to run, one heap of timers,
 * wakes from other threads. Everything here is [loop] unless it says otherwise. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "casgi/base.h"

#include <uv.h>

struct loop;
struct task;

struct loop_options {
    size_t stack_size;   /* of an ordinary task, address space; 0: 256 KiB (under ASan at least 1 MiB) */
    bool fake_clock;     /* time stands still but for loop_advance; for tests */
    uint64_t cleanup_us; /* how long defers and shields may take once cancelled; 0: 5 s */
};

/* Makes the loop and makes it this thread's own. CASGI_ENOMEM, or the system's error. */
int loop_new(const struct loop_options *options, struct loop **out_loop) __attribute__((warn_unused_result));

/* Closes its handles and frees it. Every task must have ended, every stream must be closed. */
void loop_free(struct loop *loop);

/* [any] This thread's loop; NULL on a thread without one. */
struct loop *loop_current(void);

uv_loop_t *loop_uv(struct loop *loop);

/* Runs until loop_stop. */
void loop_run(struct loop *loop);

/* Runs what is ready and polls once, waiting if `wait` and nothing is ready. For tests. Returns whether anything is
 * still ready or pending in libuv. */
bool loop_turn(struct loop *loop, bool wait);

void loop_stop(struct loop *loop);

/* Microseconds of CLOCK_MONOTONIC: read once per batch of events, good for deadlines. */
uint64_t loop_now(struct loop *loop);

/* [any] Microseconds of CLOCK_MONOTONIC now (of the fake clock, if it is on). */
uint64_t loop_clock(void);

/* With a fake clock: lets `microseconds` pass, firing what falls due on the way, in order. */
void loop_advance(struct loop *loop, uint64_t microseconds);

/* Blocks for the arenas of this loop's requests. */
struct arena_pool *loop_arena_pool(struct loop *loop);

/* A buffer of LOOP_SCRATCH_SIZE bytes for one recv; what it holds is anyone's after the current callback returns or
 * a task runs. */
#define LOOP_SCRATCH_SIZE 65536
char *loop_scratch(struct loop *loop);

/* Something to do once at the end of the current batch (after the ready tasks ran, before the loop polls again):
 * flushing, closing. Embedded; queued at most once; removing it is list_remove(&x.node). */
struct loop_late {
    struct list node;
    void (*fn)(struct loop_late *late);
};
void loop_late(struct loop *loop, struct loop_late *late);

/* Something another thread wants done on the loop's thread. Embedded in its owner's struct. */
struct loop_post {
    struct loop_post *next;
    void (*fn)(struct loop_post *post);
};

/* [any] Runs post->fn(post) on the loop's thread, soon, in order of posting, before the tasks that are ready. It may be
 * posted again once fn has begun. The loop must not have been freed; loop_free runs what was posted before. */
void loop_post(struct loop *loop, struct loop_post *post);

/* What other parts keep per loop. */
enum loop_part { LOOP_PART_THREADS, LOOP_PART_FDWATCH, LOOP_PART_PROCESS, LOOP_PART_BATCH, LOOP_PARTS };

/* NULL: not set. */
void *loop_part(struct loop *loop, enum loop_part part);

/* Once per loop and part. free_data (NULL allowed) is called by loop_free before the handles are closed, last set
 * first; handles it closes are run to their end. */
void loop_set_part(struct loop *loop, enum loop_part part, void *data, void (*free_data)(void *data));

/* ---- timers: one heap, exact ---- */

struct timer {
    uint64_t due; /* microseconds; meaningless while not set */
    size_t index; /* in the heap; 0: not set */
    void (*fn)(struct timer *timer);
};

/* Sets (or moves) it: fn is called once, `microseconds` from the real now. CASGI_ENOMEM. */
int timer_set(struct loop *loop, struct timer *timer, uint64_t microseconds) __attribute__((warn_unused_result));
void timer_clear(struct loop *loop, struct timer *timer);

/* ---- expiry lists: many deadlines of one length, cheap to set and move, coarse (a quarter of the length, at most
 * 250 ms late) ---- */

struct expiry {
    struct list node;
    uint64_t due;
};

struct expiry_list {
    struct list items; /* in order of `due` */
    struct list in_loop;
    struct loop *loop;
    uint64_t duration;               /* microseconds; 0: never */
    void (*fn)(struct expiry *item); /* the item has been taken out */
};

void expiry_list_init(struct expiry_list *list, struct loop *loop, uint64_t duration, void (*fn)(struct expiry *item));
void expiry_list_release(struct expiry_list *list);

static inline void expiry_init(struct expiry *item)
{
    list_init(&item->node);
}

/* Due `duration` from now; moves it if it was set. No system call. */
void expiry_set(struct expiry_list *list, struct expiry *item);

static inline void expiry_clear(struct expiry *item)
{
    list_remove(&item->node);
}
