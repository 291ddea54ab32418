/* Cancellation, deadlines, shields. The rules are in README.md; in short, of a task's troubles
 *
 *   - a cancellation counts while no shield is open;
 *   - a deadline, or a failed group, counts while no shield is open that was begun inside it;
 *   - the end of the clean-up time counts always.
 *
 * task->troubles counts all of them, heard or not, so that the common case is one test against zero. */
#include "runtime/internal.h"

#include "base/log.h"

#include <stdlib.h>

#define REFUSED_TOO_OFTEN 100u

int task_pending_slow(const struct task *task)
{
    if (task->cleanup_over) {
        return CASGI_ETIMEDOUT;
    }
    if (task->cancels && !task->mask) {
        return task->cancel_code;
    }
    int code = 0;
    for (const struct cutoff *cutoff = task->cutoffs; cutoff && cutoff->mask >= task->mask; cutoff = cutoff->outer) {
        if (cutoff->code && code != CASGI_ECANCELED) {
            code = cutoff->code;
        }
    }
    return code;
}

int task_check(void)
{
    struct task *task = task_running();
    return task ? task_pending(task) : CASGI_EWRONGTHREAD;
}

static void complain(const struct task *task, int code)
{
    casgi_str_t what = task_describe(task);
    log_print(CASGI_LOG_WARNING, "task %s%s%.*s goes on calling after its end was asked for (%s): it should return",
              task->name, what.ptr ? ", " : "", (int)what.len, what.ptr ? what.ptr : "", casgi_strerror(code));
}

/* Without the turn, `for (;;) casgi_sleep(100)` would hold the loop for ever once cancelled. */
int task_refuse(struct task *task, int code)
{
    if (++task->refused == REFUSED_TOO_OFTEN) {
        complain(task, code);
    }
    task_give_turn(task);
    return code;
}

void task_interrupt(struct task *task)
{
    if (task->state == TASK_PARKED && !task->deaf && task_pending(task)) {
        task->state = TASK_READY;
        loop_ready(task->loop, task);
    }
}

void task_cancel(struct task *task, int code)
{
    if (task->state == TASK_ENDED) {
        return;
    }
    if (!task->cancels || code == CASGI_ECANCELED) {
        task->cancel_code = code;
    }
    task->cancels++;
    task->troubles++;
    if (task->mask) {
        cleanup_begin(task);
    }
    task_interrupt(task);
}

int task_uncancel(struct task *task)
{
    uint32_t count = task->cancels;
    task->troubles -= count;
    task->cancels = 0;
    task->refused = 0;
    return (int)count;
}

/* ---- sleeping ---- */

struct sleeper {
    struct timer timer;
    struct task *task;
    bool over;
};

static void on_slept(struct timer *timer)
{
    struct sleeper *sleeper = LIST_ENTRY(timer, struct sleeper, timer);
    sleeper->over = true;
    task_wake(sleeper->task);
}

int task_sleep(struct task *task, uint64_t microseconds)
{
    struct sleeper sleeper = { .timer = { .fn = on_slept }, .task = task };
    int rc = task_enter(task);
    if (rc) {
        return rc;
    }
    rc = timer_set(task->loop, &sleeper.timer, microseconds);
    while (!rc && !sleeper.over) {
        rc = task_park(TASK_WAIT_TIMER);
    }
    timer_clear(task->loop, &sleeper.timer);
    return sleeper.over ? 0 : rc;
}

/* ---- deadlines and other cut-offs ---- */

void cutoff_fire(struct cutoff *cutoff, int code)
{
    struct task *task = cutoff->task;
    if (!cutoff->code) {
        cutoff->code = code;
        task->troubles++;
    }
    if (cutoff->mask < task->mask) {
        cleanup_begin(task);
    }
    task_interrupt(task);
}

static void on_deadline(struct timer *timer)
{
    cutoff_fire(LIST_ENTRY(timer, struct cutoff, timer), CASGI_ETIMEDOUT);
}

int cutoff_begin(struct task *task, struct cutoff **out_cutoff)
{
    struct loop *loop = task->loop;
    struct cutoff *cutoff = loop->spare_cutoffs;
    if (cutoff) {
        loop->spare_cutoffs = cutoff->outer;
    } else {
        cutoff = malloc(sizeof(*cutoff));
        if (!cutoff) {
            return CASGI_ENOMEM;
        }
    }
    *cutoff = (struct cutoff){ .task = task, .mask = task->mask, .outer = task->cutoffs };
    task->cutoffs = cutoff;
    *out_cutoff = cutoff;
    return 0;
}

static void end_innermost(struct task *task)
{
    struct cutoff *cutoff = task->cutoffs;
    timer_clear(task->loop, &cutoff->timer);
    if (cutoff->group) {
        cutoff->group->cutoff = NULL;
    }
    task->cutoffs = cutoff->outer;
    task->troubles -= cutoff->code != 0;
    cutoff->outer = task->loop->spare_cutoffs;
    task->loop->spare_cutoffs = cutoff;
}

void cutoffs_end(struct task *task, const struct cutoff *outer)
{
    while (task->cutoffs && task->cutoffs != outer) {
        end_innermost(task);
    }
}

void cutoffs_release(struct loop *loop)
{
    while (loop->spare_cutoffs) {
        struct cutoff *cutoff = loop->spare_cutoffs;
        loop->spare_cutoffs = cutoff->outer;
        free(cutoff);
    }
}

int deadline_begin(struct task *task, uint64_t microseconds, struct cutoff **out_cutoff)
{
    struct cutoff *deadline;
    int rc = cutoff_begin(task, &deadline);
    if (rc) {
        return rc;
    }
    deadline->timer.fn = on_deadline;
    rc = timer_set(task->loop, &deadline->timer, microseconds);
    if (rc) {
        end_innermost(task);
        return rc;
    }
    *out_cutoff = deadline;
    return 0;
}

/* Those inside it that were forgotten end with it. */
int deadline_end(struct task *task, struct cutoff *deadline)
{
    const struct cutoff *known = task->cutoffs;
    while (known && known != deadline) {
        known = known->outer;
    }
    if (!known) {
        return CASGI_EINVAL;
    }
    int code = deadline->code;
    cutoffs_end(task, deadline);
    end_innermost(task);
    return code;
}

/* ---- shields ---- */

static void on_cleanup_over(struct timer *timer)
{
    struct task *task = LIST_ENTRY(timer, struct task, cleanup);
    task->cleanup_over = true;
    task->troubles++;
    task_interrupt(task);
}

void cleanup_begin(struct task *task)
{
    if (task->cleanup.index || task->cleanup_over) {
        return;
    }
    task->cleanup.fn = on_cleanup_over;
    int rc = timer_set(task->loop, &task->cleanup, task->loop->cleanup_us);
    (void)rc; /* no memory for a timer: then no bound */
}

void cleanup_end(struct task *task)
{
    timer_clear(task->loop, &task->cleanup);
    task->troubles -= task->cleanup_over;
    task->cleanup_over = false;
}

void mask_begin(struct task *task)
{
    task->mask++;
    if (task->troubles) {
        cleanup_begin(task);
    }
}

void mask_restore(struct task *task, uint32_t depth)
{
    if (task->mask > depth) {
        task->mask = depth;
        if (!depth) {
            cleanup_end(task);
        }
    }
}

int mask_end(struct task *task)
{
    if (!task->mask) {
        return CASGI_EINVAL;
    }
    mask_restore(task, task->mask - 1);
    return 0;
}
