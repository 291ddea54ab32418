/* Tasks: making, running, parking, ending. The states are drawn in task.h. */
#include "runtime/internal.h"

#include "base/log.h"
#include "runtime/crash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- ending ---- */

/* What the author forgot to end. */
static void clean_up(struct task *task)
{
    groups_end(task, NULL /* all */);
    cutoffs_end(task, NULL /* all */);
    mask_restore(task, 0);
    if (task->locks) {
        log_print(CASGI_LOG_WARNING, "task %s has ended holding a lock: it stays locked", task->name);
    }
}

/* What is left to do on its own stack: children that still run, defers, and children of the defers. */
static void wind_up(struct task *task)
{
    if (task->cutoffs || task->groups || task->mask || task->locks) {
        clean_up(task);
    }
    if (!list_empty(&task->children)) {
        children_finish(task, 0);
    }
    if (task->deferred || task->free_arg) {
        deferred_run(task);
        children_finish(task, 0);
    }
    if (task->cleanup.index) {
        cleanup_end(task);
    }
}

/* One task after another on the same stack: their structs lie at the same place. */
static void run(void *arg)
{
    struct task *task = arg;
    for (;;) {
        int result = task->fn(task->arg);
        wind_up(task);
        task->result = result;
        task->state = TASK_ENDED;
        coroutine_rest(&task->co, &task->loop->self);
    }
}

static void tell_watchers(struct task *task)
{
    for (struct list *node; (node = list_pop(&task->watchers));) {
        struct task_watch *watch = LIST_ENTRY(node, struct task_watch, node);
        watch->fn(watch, task);
    }
}

/* On the loop's stack, after its last frame. */
static void finish(struct task *task)
{
    struct loop *loop = task->loop;
    list_unlink(&task->in_loop);
    loop->task_count--;
    if (task->co.fiber) {
        coroutine_release(&task->co);
    }
    stack_trim(task->stack);
    if (task->group) {
        group_child_ended(task);
    }
    if (task->parent) {
        children_ended(task);
    }
    tell_watchers(task);
    if (task->on_end) {
        task->on_end(task, task->owner, task->result);
    }
    if (task->own_arena.blocks) {
        arena_reset(&task->own_arena);
    }
    task_unref(task);
}

/* ---- making ---- */

static struct stack_pool *larger_pool(struct loop *loop, size_t size)
{
    for (struct stack_pool *pool = loop->other_stacks; pool; pool = pool->next) {
        if (pool->size >= size && pool->size < size * 2) {
            return pool;
        }
    }
    struct stack_pool *pool = malloc(sizeof(*pool));
    if (pool) {
        stack_pool_init(pool, size, sizeof(struct task));
        pool->next = loop->other_stacks;
        loop->other_stacks = pool;
    }
    return pool;
}

static void init_lists(struct task *task, struct task *parent)
{
    struct loop *loop = task->loop;
    list_init(&task->children);
    list_init(&task->watchers);
    list_init(&task->sibling);
    list_append(&loop->tasks, &task->in_loop);
    loop->task_count++;
    if (parent) {
        children_adopt(parent, task);
    }
}

_Static_assert(offsetof(struct task, co) == 0 && offsetof(struct task, next_ready) == sizeof(struct coroutine),
               "what is zeroed begins behind it");
_Static_assert(TASK_ZEROED > 128 && TASK_ZEROED <= 192, "it is zeroed in three pieces");

/* In pieces: of more than 64 bytes gcc makes a `rep stos`, which takes its time to begin. */
static void zero(struct task *task)
{
    char *at = (char *)task + sizeof(task->co);
    memset(at, 0, 64);
    memset(at + 64, 0, 64);
    memset(at + 128, 0, TASK_ZEROED - 128);
}

static struct task *make(struct loop *loop, int (*fn)(void *arg), void *arg, const struct task_options *options)
{
    bool usual = options->stack_size <= loop->stacks.size;
    struct stack_pool *pool = usual ? &loop->stacks : larger_pool(loop, options->stack_size);
    struct stack *stack = pool ? stack_get(pool) : NULL;
    if (!stack) {
        return NULL;
    }
    struct task *task = stack_owner(stack);
    zero(task);
    task->loop = loop;
    task->stack = stack;
    task->fn = fn;
    task->arg = arg;
    task->refs = 1;
    task->serial = ++loop->serial;
    task->name = options->name ? options->name : "task";
    task->describe = options->describe;
    task->request_id = options->request_id;
    task->owner = options->owner;
    task->on_end = options->on_end;
    task->arena = options->arena ? options->arena : &task->own_arena;
    arena_init(&task->own_arena, &loop->arenas);
    init_lists(task, options->parent);
    if (!stack->used || !coroutine_can_rest()) {
        coroutine_init(&task->co, stack->low, stack_usable(stack), run, task);
    }
    return task;
}

static const struct task_options no_options;

int task_spawn(struct loop *loop, int (*fn)(void *arg), void *arg, const struct task_options *options,
               struct task **out_task)
{
    struct task *task = make(loop, fn, arg, options ? options : &no_options);
    if (!task) {
        return CASGI_ENOMEM;
    }
    loop_ready(loop, task);
    if (out_task) {
        *out_task = task;
    }
    return 0;
}

int task_start(struct loop *loop, int (*fn)(void *arg), void *arg, const struct task_options *options,
               struct task **out_task)
{
    if (loop->running) {
        return task_spawn(loop, fn, arg, options, out_task);
    }
    struct task *task = make(loop, fn, arg, options ? options : &no_options);
    if (!task) {
        return CASGI_ENOMEM;
    }
    if (out_task) {
        *out_task = task;
    }
    task_resume(task);
    return 0;
}

struct task *task_ref(struct task *task)
{
    task->refs++;
    return task;
}

#define STACKS_KEPT 64u    /* with their memory, while they are free */
#define STACKS_COOLED 256u /* at once: some 300 microseconds */
#define COOLING_PERIOD 1000000u

static void on_cooling(struct timer *timer);

static void cool_later(struct loop *loop)
{
    loop->cooling.fn = on_cooling;
    int rc = timer_set(loop, &loop->cooling, COOLING_PERIOD);
    (void)rc; /* no memory for a timer: the next stack that returns tries again */
}

/* What a burst of tasks took goes back little by little. */
static void on_cooling(struct timer *timer)
{
    struct loop *loop = LIST_ENTRY(timer, struct loop, cooling);
    stack_pool_cool(&loop->stacks, STACKS_KEPT, STACKS_COOLED);
    if (loop->stacks.free_count > STACKS_KEPT) {
        cool_later(loop);
    }
}

void task_unref(struct task *task)
{
    if (!task || --task->refs) {
        return;
    }
    struct loop *loop = task->loop;
    stack_put(task->stack);
    if (loop->stacks.free_count > STACKS_KEPT && !loop->cooling.index) {
        cool_later(loop);
    }
}

/* ---- running ---- */

void task_resume(struct task *task)
{
    struct loop *loop = task->loop;
    assert(!loop->running);
    loop->running = task;
    loop->resumes++;
    task->state = TASK_RUNNING;
    if (__builtin_expect(loop->observers != NULL, false)) {
        observers_run(task);
    }
    coroutine_switch(&loop->self, &task->co);
    loop->running = NULL;
    if (__builtin_expect(loop->observers != NULL, false)) {
        observers_leave(task);
    }
    if (__builtin_expect(stack_overrun(task->stack), false)) {
        crash_overrun(task);
    }
    if (task->state == TASK_ENDED) {
        finish(task);
    }
}

void task_suspend(struct task *task)
{
    coroutine_switch(&task->co, &task->loop->self);
}

void task_give_turn(struct task *task)
{
    task->state = TASK_READY;
    task->wait = TASK_WAIT_TURN;
    loop_ready(task->loop, task);
    task_suspend(task);
}

int task_yield(void)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int code = task_enter(task);
    if (code) {
        return code;
    }
    task_give_turn(task);
    return task_pending(task);
}

struct task *task_current(void)
{
    return task_running();
}

static void park(struct task *task, enum task_wait why)
{
    task->wait = (uint8_t)why;
    task->state = TASK_PARKED;
    task->since = task->loop->now;
    task_suspend(task);
}

int task_park(enum task_wait why)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int code = task_enter(task);
    if (code) {
        return code;
    }
    if (!task->woken) {
        park(task, why);
        code = task_pending(task);
        if (code) {
            return code; /* a wake that came as well is kept */
        }
    }
    task->woken = false;
    task->refused = 0;
    return 0;
}

void task_park_uncancelable(enum task_wait why)
{
    struct task *task = task_running();
    assert(task);
    if (!task->woken) {
        task->deaf = true;
        park(task, why);
        task->deaf = false;
    }
    task->woken = false;
}

void task_wake(struct task *task)
{
    assert(task->loop == loop_of_thread);
    task->woken = true;
    if (task->state == TASK_PARKED) {
        task->state = TASK_READY;
        loop_ready(task->loop, task);
    }
}

/* ---- watching ---- */

/* Not inlined: gcc would warn of a pointer into the caller's frame, which the caller takes out again. */
__attribute__((noinline)) void task_watch(struct task *task, struct task_watch *watch,
                                          void (*fn)(struct task_watch *watch, struct task *task))
{
    watch->fn = fn;
    list_append(&task->watchers, &watch->node);
}

struct joiner {
    struct task_watch watch;
    struct task *task;
};

static void on_joined(struct task_watch *watch, struct task *task)
{
    (void)task;
    task_wake(LIST_ENTRY(watch, struct joiner, watch)->task);
}

int task_wait_end(struct task *self, struct task *task)
{
    int rc = 0;
    struct joiner joiner = { .task = self };
    if (task->state == TASK_ENDED) {
        return 0;
    }
    task_watch(task, &joiner.watch, on_joined);
    while (task->state != TASK_ENDED && !rc) {
        rc = task_park(TASK_WAIT_JOIN);
    }
    list_remove(&joiner.watch.node);
    return task->state == TASK_ENDED ? 0 : rc;
}

static void wait_end_deaf(struct task *self, struct task *task)
{
    struct joiner joiner = { .task = self };
    if (task->state == TASK_ENDED) {
        return;
    }
    task_watch(task, &joiner.watch, on_joined);
    while (task->state != TASK_ENDED) {
        task_park_uncancelable(TASK_WAIT_JOIN);
    }
    list_remove(&joiner.watch.node);
}

int task_join_for(struct task *self, struct task *task, uint64_t microseconds)
{
    struct cutoff *deadline;
    int rc = deadline_begin(self, microseconds, &deadline);
    if (rc) {
        return rc;
    }
    rc = task_wait_end(self, task);
    (void)deadline_end(self, deadline);
    if (rc) {
        task_cancel(task, CASGI_ECANCELED);
        wait_end_deaf(self, task);
    }
    return rc;
}

/* ---- what others may know ---- */

bool task_ended(const struct task *task)
{
    return task->state == TASK_ENDED;
}

int task_result(const struct task *task)
{
    return task->result;
}

const char *task_name(const struct task *task)
{
    return task->name;
}

enum task_wait task_waiting_for(const struct task *task)
{
    return task->state == TASK_PARKED ? (enum task_wait)task->wait : TASK_WAIT_NONE;
}

casgi_str_t task_describe(const struct task *task)
{
    casgi_str_t nothing = { NULL, 0 };
    return task->describe ? task->describe(task->owner) : nothing;
}

void task_for_each(struct loop *loop, void (*fn)(struct task *task, void *arg), void *arg)
{
    for (struct list *node = loop->tasks.next, *next; node != &loop->tasks; node = next) {
        next = node->next;
        fn(LIST_ENTRY(node, struct task, in_loop), arg);
    }
}

bool task_is_background(const struct task *task)
{
    return task->background;
}

size_t task_count(const struct loop *loop)
{
    return loop->task_count;
}
