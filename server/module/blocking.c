#include "module/blocking.h"

#include "runtime/threads.h"

#include <stdlib.h>

struct blocking {
    casgi_app_t base;
    casgi_app_t *inner;
};

/* One call: on the stack of its task, which waits while the thread uses it. */
struct call {
    casgi_receive_t receive; /* what the thread gets */
    casgi_send_t send;
    casgi_receive_t *task_receive; /* what the task was given */
    casgi_send_t *task_send;
    casgi_app_t *app;
    const casgi_scope_t *scope;
};

struct receiving {
    casgi_receive_t *receive;
    casgi_event_t *out_event;
};

struct sending {
    casgi_send_t *send;
    const casgi_event_t *event;
};

/* [task] */
static int receive_in_task(void *arg)
{
    struct receiving *receiving = arg;
    return receiving->receive->call(receiving->receive, receiving->out_event);
}

/* [task] */
static int send_in_task(void *arg)
{
    struct sending *sending = arg;
    return sending->send->call(sending->send, sending->event);
}

/* [thread] */
static int receive_event(casgi_receive_t *self, casgi_event_t *out_event)
{
    struct call *call = (struct call *)self;
    struct receiving receiving = { call->task_receive, out_event };
    int result = 0;
    int rc = thread_call_task(receive_in_task, &receiving, &result);
    return rc ? rc : result;
}

/* [thread] */
static int send_event(casgi_send_t *self, const casgi_event_t *event)
{
    struct call *call = (struct call *)(void *)((char *)self - offsetof(struct call, send));
    struct sending sending = { call->task_send, event };
    int result = 0;
    int rc = thread_call_task(send_in_task, &sending, &result);
    return rc ? rc : result;
}

/* [thread] */
static int run(void *arg)
{
    struct call *call = arg;
    return call->app->call(call->app, call->scope, &call->receive, &call->send);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct call call = { { receive_event }, { send_event }, receive, send, ((struct blocking *)self)->inner, scope };
    int result = 0;
    int rc = thread_run(THREAD_BLOCKING, run, &call, &result);
    return rc ? rc : result;
}

casgi_app_t *blocking_new(casgi_app_t *app)
{
    struct blocking *blocking = calloc(1, sizeof(*blocking));
    if (!blocking) {
        return NULL;
    }
    blocking->base.call = handle;
    blocking->inner = app;
    return &blocking->base;
}

void blocking_free(casgi_app_t *blocking)
{
    free(blocking);
}
