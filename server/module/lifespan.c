#include "module/lifespan.h"

#include "base/error.h"
#include "runtime/task.h"

#include <stdlib.h>
#include <string.h>

#define STACK_SIZE (8u << 20)
/* An application that said startup.failed may clean up for so long before its task is asked to stop. */
#define CLEANUP_US UINT64_C(5000000)

enum state {
    STARTING, /* startup is to be received, or its answer is awaited */
    RUNNING,
    STOPPING, /* shutdown is to be received, or its answer is awaited */
    ENDED,    /* no further event either way */
};

struct lifespan {
    struct lifespan_options options;
    struct loop *loop;
    struct task *task; /* referenced; NULL: never started */
    casgi_scope_t scope;
    casgi_receive_t receive;
    casgi_send_t send;
    enum state state;
    bool delivered; /* the event of this state has been received */
    bool told_started;
    bool stop_asked;
    bool told_stopped;
    bool ended; /* the task has */
    struct task *receiver;
    struct timer cleanup;
    struct loop_late late;
    casgi_error_t failure; /* of the startup or the shutdown; code 0: none */
};

/* ---- what the worker is told: from the loop, never from inside the application's task ---- */

static bool started_due(const struct lifespan *lifespan)
{
    bool known = lifespan->ended || lifespan->state == RUNNING || lifespan->state == STOPPING;
    return known && !lifespan->told_started;
}

static bool stopped_due(const struct lifespan *lifespan)
{
    return lifespan->stop_asked && lifespan->ended && !lifespan->told_stopped;
}

static void notify(struct lifespan *lifespan)
{
    if (started_due(lifespan) || stopped_due(lifespan)) {
        loop_late(lifespan->loop, &lifespan->late);
    }
}

/* One callback a time and nothing after it: it may free the lifespan. */
static void on_late(struct loop_late *late)
{
    struct lifespan *lifespan = LIST_ENTRY(late, struct lifespan, late);
    const struct lifespan_options *options = &lifespan->options;
    if (started_due(lifespan)) {
        lifespan->told_started = true;
        notify(lifespan);
        options->on_started(options->data, lifespan->failure.code, lifespan->failure.message);
    } else if (stopped_due(lifespan)) {
        lifespan->told_stopped = true;
        options->on_stopped(options->data, lifespan->failure.code, lifespan->failure.message);
    }
}

/* With the application's own words if it has any, else with ours. */
static void fail(struct lifespan *lifespan, int code, casgi_str_t message, const char *instead)
{
    if (message.ptr && message.len) {
        (void)error_set(&lifespan->failure, code, "%.*s", (int)message.len, message.ptr);
    } else {
        (void)error_set(&lifespan->failure, code, "%s", instead);
    }
}

static void fail_by_result(struct lifespan *lifespan, int result)
{
    (void)error_set(&lifespan->failure, result, "its lifespan handler returned an error: %s", error_text(result));
}

/* ---- receive ---- */

static bool event_due(const struct lifespan *lifespan)
{
    return (lifespan->state == STARTING || lifespan->state == STOPPING) && !lifespan->delivered;
}

/* Whether one may still come. */
static bool event_to_come(const struct lifespan *lifespan)
{
    return lifespan->state < STOPPING;
}

/* What comes to nothing at once gives the others a turn: who goes on calling all the same would hold the loop. */
static int refused(int code)
{
    (void)task_yield();
    return code;
}

static int receive_event(casgi_receive_t *receive, casgi_event_t *out_event)
{
    struct lifespan *lifespan = LIST_ENTRY(receive, struct lifespan, receive);
    if (!task_current()) {
        return CASGI_EWRONGTHREAD;
    }
    if (lifespan->receiver) {
        return refused(CASGI_EBUSY);
    }
    lifespan->receiver = task_current();
    int rc = task_check() ? refused(task_check()) : 0;
    while (rc == 0 && !event_due(lifespan)) {
        rc = event_to_come(lifespan) ? task_park(TASK_WAIT_RECEIVE) : refused(CASGI_ECLOSED);
    }
    lifespan->receiver = NULL;
    if (rc == 0) {
        casgi_event_t event = CASGI_EVENT_INIT(0);
        event.type = lifespan->state == STARTING ? CASGI_LIFESPAN_STARTUP : CASGI_LIFESPAN_SHUTDOWN;
        lifespan->delivered = true;
        *out_event = event;
    }
    return rc;
}

static void enter(struct lifespan *lifespan, enum state state)
{
    lifespan->state = state;
    lifespan->delivered = false;
    if (lifespan->receiver) {
        task_wake(lifespan->receiver);
    }
}

/* ---- send ---- */

static void on_cleanup(struct timer *timer)
{
    struct lifespan *lifespan = LIST_ENTRY(timer, struct lifespan, cleanup);
    lifespan_cancel(lifespan);
}

static void begin_shutdown(struct lifespan *lifespan)
{
    if (lifespan->state == RUNNING && lifespan->stop_asked) {
        enter(lifespan, STOPPING);
    }
}

static int startup_complete(struct lifespan *lifespan)
{
    enter(lifespan, RUNNING);
    begin_shutdown(lifespan);
    notify(lifespan);
    return 0;
}

/* The worker is told when the task has ended, so that it may free everything then. */
static int startup_failed(struct lifespan *lifespan, casgi_str_t message)
{
    fail(lifespan, CASGI_EFAILED, message, "the application gave no reason");
    enter(lifespan, ENDED);
    if (timer_set(lifespan->loop, &lifespan->cleanup, CLEANUP_US)) {
        lifespan_cancel(lifespan);
    }
    return 0;
}

static int shutdown_ended(struct lifespan *lifespan, const casgi_event_t *event)
{
    if (event->type == CASGI_LIFESPAN_SHUTDOWN_FAILED) {
        fail(lifespan, CASGI_EFAILED, event->lifespan_failed.message, "the application gave no reason");
    }
    enter(lifespan, ENDED);
    return 0;
}

static int send_event(casgi_send_t *send, const casgi_event_t *event)
{
    struct lifespan *lifespan = LIST_ENTRY(send, struct lifespan, send);
    if (!task_current()) {
        return CASGI_EWRONGTHREAD;
    }
    bool starting = lifespan->state == STARTING && lifespan->delivered;
    bool stopping = lifespan->state == STOPPING && lifespan->delivered;
    switch (event->type) {
    case CASGI_LIFESPAN_STARTUP_COMPLETE:
        return starting ? startup_complete(lifespan) : refused(CASGI_EPROTO);
    case CASGI_LIFESPAN_STARTUP_FAILED:
        return starting ? startup_failed(lifespan, event->lifespan_failed.message) : refused(CASGI_EPROTO);
    case CASGI_LIFESPAN_SHUTDOWN_COMPLETE:
    case CASGI_LIFESPAN_SHUTDOWN_FAILED:
        return stopping ? shutdown_ended(lifespan, event) : refused(CASGI_EPROTO);
    default:
        return refused(CASGI_EPROTO);
    }
}

/* ---- the task ---- */

static int run(void *arg)
{
    struct lifespan *lifespan = arg;
    casgi_app_t *app = lifespan->options.app;
    return app->call(app, &lifespan->scope, &lifespan->receive, &lifespan->send);
}

/* The application returned before it answered the startup. Without an error, and in mode auto when it says that it does
 * not know the scope, it goes on without a lifespan. */
static void ended_while_starting(struct lifespan *lifespan, int result)
{
    casgi_str_t none = { NULL, 0 };
    if (lifespan->stop_asked) {
        fail(lifespan, CASGI_ECANCELED, none, "it was interrupted");
    } else if (result == CASGI_ENOTSUP && lifespan->options.mode == LIFESPAN_AUTO) {
        return;
    } else if (result < 0) {
        fail_by_result(lifespan, result);
    } else {
        fail(lifespan, CASGI_EPROTO, none, "its lifespan handler returned without lifespan.startup.complete");
    }
}

/* After its last answer receive says that nothing follows: a code that may be returned as it is. */
static bool is_told_end(const struct lifespan *lifespan, int result)
{
    return lifespan->state == ENDED && result == CASGI_ECLOSED;
}

static void on_end(struct task *task, void *owner, int result)
{
    struct lifespan *lifespan = owner;
    (void)task;
    timer_clear(lifespan->loop, &lifespan->cleanup);
    lifespan->ended = true;
    if (lifespan->state == STARTING) {
        ended_while_starting(lifespan, result);
    } else if (lifespan->failure.code == 0 && result < 0 && !is_told_end(lifespan, result)) {
        fail_by_result(lifespan, result);
    }
    lifespan->state = ENDED;
    notify(lifespan);
}

static casgi_str_t describe(void *owner)
{
    (void)owner;
    return (casgi_str_t)CASGI_STR("lifespan");
}

static void fill_scope(struct lifespan *lifespan)
{
    lifespan->scope.type = CASGI_SCOPE_LIFESPAN;
    lifespan->scope.type_name = (casgi_str_t)CASGI_STR("lifespan");
    lifespan->scope.asgi_version = (casgi_str_t)CASGI_STR("3.0");
    lifespan->scope.asgi_spec_version = (casgi_str_t)CASGI_STR("2.0");
    lifespan->scope.state = lifespan->options.state ? state_base_view(lifespan->options.state) : NULL;
}

/* Without a task: the startup is decided at once. */
static void skip(struct lifespan *lifespan)
{
    casgi_str_t none = { NULL, 0 };
    if (lifespan->options.mode == LIFESPAN_ON) {
        fail(lifespan, CASGI_ENOTSUP, none,
             "--lifespan on was given, but the application has no lifespan (CASGI_APP_LIFESPAN)");
    }
    lifespan->state = ENDED;
    lifespan->ended = true;
    notify(lifespan);
}

static int start_task(struct lifespan *lifespan)
{
    const struct task_options options = {
        .name = "lifespan",
        .stack_size = STACK_SIZE,
        .describe = describe,
        .owner = lifespan,
        .on_end = on_end,
    };
    struct task *task = NULL;
    int rc = task_spawn(lifespan->loop, run, lifespan, &options, &task);
    if (rc == 0) {
        lifespan->task = task_ref(task);
    }
    return rc;
}

int lifespan_start(struct loop *loop, const struct lifespan_options *options, struct lifespan **out_lifespan)
{
    struct lifespan *lifespan = calloc(1, sizeof(*lifespan));
    if (!lifespan) {
        return CASGI_ENOMEM;
    }
    lifespan->options = *options;
    lifespan->loop = loop;
    lifespan->receive.call = receive_event;
    lifespan->send.call = send_event;
    lifespan->cleanup.fn = on_cleanup;
    lifespan->late.fn = on_late;
    list_init(&lifespan->late.node);
    fill_scope(lifespan);
    bool called = options->mode != LIFESPAN_OFF && (options->app_flags & CASGI_APP_LIFESPAN);
    int rc = called ? start_task(lifespan) : 0;
    if (rc) {
        free(lifespan);
        return rc;
    }
    *out_lifespan = lifespan;
    if (!called) {
        skip(lifespan);
    }
    return 0;
}

void lifespan_stop(struct lifespan *lifespan)
{
    if (lifespan->stop_asked) {
        return;
    }
    lifespan->stop_asked = true;
    if (lifespan->state == STARTING) {
        lifespan_cancel(lifespan);
    }
    begin_shutdown(lifespan);
    notify(lifespan);
}

void lifespan_cancel(struct lifespan *lifespan)
{
    if (lifespan->task && !lifespan->ended) {
        task_cancel(lifespan->task, CASGI_ECANCELED);
    }
}

void lifespan_free(struct lifespan *lifespan)
{
    if (lifespan) {
        list_remove(&lifespan->late.node);
        timer_clear(lifespan->loop, &lifespan->cleanup);
        if (lifespan->task) {
            task_unref(lifespan->task);
        }
        free(lifespan);
    }
}
