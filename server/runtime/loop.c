/* The loop. One turn of libuv:
 *
 *   timers -> prepare: ready tasks, late list -> poll -> check: ready tasks, late list
 *
 * A batch runs the tasks that are ready, and those they make ready, until none is or LOOP_BATCH have run; then the loop
 * polls, without waiting if tasks are left. */
#include "runtime/internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define LOG_RETRY_MS 100u
#define FAKE_START 1000000u /* the fake clock does not begin at 0, which means "off" */

_Thread_local struct loop *loop_of_thread;

/* For loop_clock on threads without a loop. */
static _Atomic uint64_t fake_now;

struct loop *loop_current(void)
{
    return loop_of_thread;
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

struct arena_pool *loop_arena_pool(struct loop *loop)
{
    return &loop->arenas;
}

char *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

/* ---- the clock ---- */

static uint64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t loop_read_clock(const struct loop *loop)
{
    return loop->fake_clock ? loop->now : monotonic();
}

uint64_t loop_clock(void)
{
    uint64_t fake = atomic_load_explicit(&fake_now, memory_order_relaxed);
    return fake ? fake : monotonic();
}

/* Not inlined, so that loop_now is. */
static __attribute__((noinline)) uint64_t learn_now(struct loop *loop)
{
    loop_set_now(loop, loop_read_clock(loop));
    return loop->now;
}

uint64_t loop_now(struct loop *loop)
{
    return __builtin_expect(loop->now_known, true) ? loop->now : learn_now(loop);
}

void loop_set_now(struct loop *loop, uint64_t now)
{
    loop->now = now;
    loop->now_known = true;
    if (loop->fake_clock) {
        atomic_store_explicit(&fake_now, now, memory_order_relaxed);
    }
}

/* ---- ready tasks, late list ---- */

void loop_ready(struct loop *loop, struct task *task)
{
    task->next_ready = NULL;
    *loop->ready_end = task;
    loop->ready_end = &task->next_ready;
}

static struct task *pop_ready(struct loop *loop)
{
    struct task *task = loop->ready;
    loop->ready = task->next_ready;
    if (!loop->ready) {
        loop->ready_end = &loop->ready;
    }
    return task;
}

void loop_late(struct loop *loop, struct loop_late *late)
{
    if (!late->node.next || list_empty(&late->node)) {
        list_append(&loop->late, &late->node);
    }
}

/* What is queued meanwhile waits for the next batch. */
static void run_late(struct loop *loop)
{
    struct list todo;
    if (list_empty(&loop->late)) {
        return;
    }
    list_init(&todo);
    list_append(&loop->late, &todo); /* the whole ring, then its head out of it */
    list_remove(&loop->late);
    for (struct list *node; (node = list_pop(&todo));) {
        struct loop_late *late = LIST_ENTRY(node, struct loop_late, node);
        late->fn(late);
    }
}

static void run_batch(struct loop *loop)
{
    unsigned left = LOOP_BATCH;
    do {
        while (loop->ready && left) {
            left--;
            struct task *task = pop_ready(loop);
            if (loop->ready) {
                task_prefetch(loop->ready);
            }
            task_resume(task);
        }
        run_late(loop);
    } while (loop->ready && left);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* While something is ready the poll must not wait. */
static void set_idle(struct loop *loop)
{
    bool wanted = loop->ready || !list_empty(&loop->late);
    if (wanted == loop->idling) {
        return;
    }
    loop->idling = wanted;
    if (wanted) {
        uv_idle_start(&loop->idle, on_idle);
    } else {
        uv_idle_stop(&loop->idle);
    }
}

/* Its turn of the loop flushes the log. */
static void on_log_due(uv_timer_t *timer)
{
    (void)timer;
}

/* What a full pipe left is tried again before long, also when nothing else happens. */
static void flush_log(struct loop *loop)
{
    log_flush();
    if (log_pending() && !uv_is_active((uv_handle_t *)&loop->log_retry)) {
        (void)uv_timer_start(&loop->log_retry, on_log_due, LOG_RETRY_MS, 0);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;
    uint64_t before = loop->resumes;
    run_batch(loop);
    set_idle(loop);
    flush_log(loop);
    if (loop->resumes != before && loop->alarm_due != UINT64_MAX) {
        uv_update_time(&loop->uv); /* else the poll would wait longer by the time the tasks took */
    }
    loop->now_known = loop->fake_clock;
}

static void on_check(uv_check_t *check)
{
    struct loop *loop = check->data;
    run_batch(loop);
    set_idle(loop);
}

/* ---- libuv's one timer ---- */

static void on_alarm(uv_timer_t *alarm)
{
    struct loop *loop = alarm->data;
    loop->alarm_due = UINT64_MAX;
    loop_set_now(loop, monotonic()); /* once: what fell due by now fires together */
    timers_fire(loop, loop->now);
    loop_set_alarm(loop);
}

/* libuv counts milliseconds: rounded up, so that it never rings early. */
void loop_set_alarm(struct loop *loop)
{
    uint64_t due = timers_first(loop);
    if (loop->fake_clock || due >= loop->alarm_due) {
        return;
    }
    uint64_t at = (due + 999) / 1000, now = uv_now(&loop->uv);
    loop->alarm_due = due;
    (void)uv_timer_start(&loop->alarm, on_alarm, at > now ? at - now : 0, 0);
}

/* ---- life ---- */

static void on_async(uv_async_t *async)
{
    struct loop *loop = async->data;
    inbox_drain(loop->inbox);
}

static int open_handles(struct loop *loop)
{
    int rc = uv_async_init(&loop->uv, &loop->async, on_async);
    if (rc) {
        return CASGI_ESYSTEM(-rc);
    }
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_check_init(&loop->uv, &loop->check);
    (void)uv_idle_init(&loop->uv, &loop->idle);
    (void)uv_timer_init(&loop->uv, &loop->alarm);
    (void)uv_timer_init(&loop->uv, &loop->log_retry);
    loop->async.data = loop->prepare.data = loop->check.data = loop->alarm.data = loop;
    (void)uv_prepare_start(&loop->prepare, on_prepare);
    (void)uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->async);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->idle);
    uv_unref((uv_handle_t *)&loop->alarm);
    uv_unref((uv_handle_t *)&loop->log_retry);
    return 0;
}

static void close_handles(struct loop *loop)
{
    uv_handle_t *handles[] = { (uv_handle_t *)&loop->async, (uv_handle_t *)&loop->prepare,
                               (uv_handle_t *)&loop->check, (uv_handle_t *)&loop->idle,
                               (uv_handle_t *)&loop->alarm, (uv_handle_t *)&loop->log_retry };
    for (size_t i = 0; i < sizeof(handles) / sizeof(*handles); i++) {
        uv_close(handles[i], NULL);
    }
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static size_t stack_size_for(size_t wanted)
{
    size_t size = wanted ? wanted : STACK_SIZE_DEFAULT;
    if (UNDER_ASAN && size < 1024u * 1024u) {
        size = 1024u * 1024u; /* its red zones make every frame larger */
    }
    return size;
}

static casgi_str_t running_request(void)
{
    const struct task *task = task_running();
    casgi_str_t nothing = { NULL, 0 };
    return task ? task_request_id(task) : nothing;
}

static void init_fields(struct loop *loop, const struct loop_options *options)
{
    list_init(&loop->late);
    list_init(&loop->tasks);
    loop->ready_end = &loop->ready;
    loop->alarm_due = UINT64_MAX;
    loop->cleanup_us = options->cleanup_us ? options->cleanup_us : 5000000u;
    loop->fake_clock = options->fake_clock;
    if (loop->fake_clock) {
        loop_set_now(loop, FAKE_START);
    }
    stack_pool_init(&loop->stacks, stack_size_for(options->stack_size), sizeof(struct task));
    expiry_setup(loop);
    coroutine_setup();
    log_set_request_source(running_request);
}

/* The first loop of a process makes libuv's pipe for signals, while it has its epoll descriptor; where there is no room
 * for the three, libuv aborts. */
static int check_descriptors(void)
{
    int fds[2];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int rc = epoll < 0 || pipe2(fds, O_CLOEXEC) ? CASGI_ESYSTEM(errno) : 0;
    if (!rc) {
        close(fds[0]);
        close(fds[1]);
    }
    if (epoll >= 0) {
        close(epoll);
    }
    return rc;
}

static int init_uv(uv_loop_t *uv)
{
    int rc = check_descriptors();
    if (rc) {
        return rc;
    }
    rc = uv_loop_init(uv);
    return rc ? CASGI_ESYSTEM(-rc) : 0;
}

int loop_new(const struct loop_options *options, struct loop **out_loop)
{
    int rc = CASGI_ENOMEM;
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop) {
        return rc;
    }
    loop->scratch = malloc(LOOP_SCRATCH_SIZE);
    if (!loop->scratch) {
        goto out_free;
    }
    rc = init_uv(&loop->uv);
    if (rc) {
        goto out_free;
    }
    rc = open_handles(loop);
    if (rc) {
        goto out_close;
    }
    rc = inbox_new(&loop->async, &loop->inbox);
    if (rc) {
        close_handles(loop);
        goto out_close;
    }
    init_fields(loop, options);
    loop_of_thread = loop;
    *out_loop = loop;
    return 0;

out_close:
    (void)uv_loop_close(&loop->uv);
out_free:
    free(loop->scratch);
    free(loop);
    return rc;
}

void loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    parts_release(loop);
    inbox_close(loop->inbox);
    close_handles(loop);
    (void)uv_loop_close(&loop->uv);
    waiters_release(loop);
    cutoffs_release(loop);
    groups_release(loop);
    timers_release(loop);
    stack_pool_release(&loop->stacks);
    while (loop->other_stacks) {
        struct stack_pool *pool = loop->other_stacks;
        loop->other_stacks = pool->next;
        stack_pool_release(pool);
        free(pool);
    }
    arena_pool_release(&loop->arenas);
    if (loop->fake_clock) {
        atomic_store_explicit(&fake_now, 0, memory_order_relaxed);
    }
    if (loop_of_thread == loop) {
        loop_of_thread = NULL;
    }
    free(loop->scratch);
    free(loop);
}

void loop_run(struct loop *loop)
{
    uv_ref((uv_handle_t *)&loop->async);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_unref((uv_handle_t *)&loop->async);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

bool loop_turn(struct loop *loop, bool wait)
{
    bool something = loop->ready || !list_empty(&loop->late);
    if (loop->fake_clock) {
        timers_fire(loop, loop->now);
    }
    uv_ref((uv_handle_t *)&loop->async); /* else nothing would be waited for */
    (void)uv_run(&loop->uv, wait && !something && !loop->ready ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    uv_unref((uv_handle_t *)&loop->async);
    run_batch(loop); /* libuv runs timers once more after the poll */
    set_idle(loop);
    return loop->ready || !list_empty(&loop->late) || uv_loop_alive(&loop->uv);
}

/* ---- the fake clock ---- */

static void settle(struct loop *loop)
{
    for (unsigned batches = 0; batches < 1000 && (loop->ready || !list_empty(&loop->late)); batches++) {
        run_batch(loop);
    }
    set_idle(loop);
}

void loop_advance(struct loop *loop, uint64_t microseconds)
{
    uint64_t target = loop->now + microseconds;
    settle(loop);
    while (timers_first(loop) <= target) {
        uint64_t due = timers_first(loop);
        loop_set_now(loop, due > loop->now ? due : loop->now);
        timers_fire(loop, loop->now);
        settle(loop);
    }
    loop_set_now(loop, target);
}
