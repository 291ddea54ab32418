/* casgi/callback.h: applications without coroutines: each call is given functions to call back. Header-only, over the
 * same receive, send and tasks as every other application: there is no second path in the server.
 *
 *     static void on_sent(casgi_call_t *c, int rc, void *ctx)
 *     {
 *         casgi_call_finish(c, rc);
 *     }
 *     static void on_call(casgi_call_t *c)
 *     {
 *         casgi_call_respond(c, 200, "text/plain", "Hello, World!\n", 14, on_sent, NULL);
 *     }
 *     CASGI_CALLBACK_APP(on_call)
 *
 * The rules:
 *  - A call begins with on_call(c) and ends with casgi_call_finish, or when nothing is pending any more.
 *    `c` lives until the last of its callbacks has returned.
 *  - Callbacks of one call run one after another, on the loop's thread, in the call's task: casgi_alloc works in
 *    them, and one that suspends holds up only the others of its call. The functions below never suspend and may
 *    also be called from the callbacks of another call [loop].
 *  - One receive and one send may be outstanding, and CASGI_CALL_WAITS timers and waiters; more get CASGI_EBUSY.
 *  - Each callback is called exactly once for each function that returned 0: with 0, or with the code why it came
 *    to nothing. If the function returned a code, its callback is not called.
 *  - When the client has gone (receive gave a disconnect before the response was complete, or send gave
 *    CASGI_EDISCONNECTED), the timers and waiters that are pending are called back at once with
 *    CASGI_EDISCONNECTED; receive and send report it themselves. New ones may still be started.
 *  - After casgi_call_finish, a pending receive, timer or waiter is called back with CASGI_ECANCELED, and a
 *    pending send is completed first. When the task is cancelled, all of them are, with its code. From then on
 *    the functions return CASGI_ECLOSED, or that code.
 *
 * In C++ an exception in a callback ends the call with CASGI_EFAILED. */
#pragma once

#include "app.h"

CASGI_EXTERN_C_BEGIN

#define CASGI_CALL_WAITS 8

typedef struct casgi_call_s casgi_call_t;
typedef void (*casgi_on_call_t)(casgi_call_t *c);
/* `event` is borrowed until the next casgi_call_receive of this call, or the call's end; NULL if rc is not 0. */
typedef void (*casgi_on_event_t)(casgi_call_t *c, int rc, const casgi_event_t *event, void *ctx);
typedef void (*casgi_on_done_t)(casgi_call_t *c, int rc, void *ctx);

enum casgi_call_step {
    CASGI_CALL_IDLE_,
    CASGI_CALL_ASKED_,
    CASGI_CALL_RUNNING_,
    CASGI_CALL_DONE_,
};

/* A receive, a send or a wait in a task of its own, or a timer. Not to be touched: the functions below do. */
struct casgi_call_part_ {
    casgi_call_t *call;
    enum casgi_call_step step;
    int rc;
    int stop; /* the code it was stopped with; 0: it was not */
    casgi_task_t *task;
    union {
        casgi_on_event_t event;
        casgi_on_done_t done;
    } fn;
    void *ctx;
    uint64_t due;           /* a timer */
    casgi_waiter_t *waiter; /* a wait */
};

struct casgi_call_s {
    casgi_app_t *self;
    const casgi_scope_t *scope;
    casgi_receive_t *receive_;
    casgi_send_t *send_;
    casgi_waiter_t *changed_;
    struct casgi_call_part_ receiving_;
    struct casgi_call_part_ sending_;
    struct casgi_call_part_ waits_[CASGI_CALL_WAITS];
    casgi_event_t received_;
    casgi_event_t sent_; /* type CASGI_EVENT_NONE: a whole response */
    const char *content_type_;
    int closed_;   /* 0, or what the functions return */
    int canceled_; /* 0, or the code the task was cancelled with */
    int result_;
    int status_;
    bool finished_;
    bool complete_; /* the response is */
};

/* [any] What the call is about; borrowed until its end. */
static inline const casgi_scope_t *casgi_call_scope(const casgi_call_t *c)
{
    return c->scope;
}

/* [any] The application. */
static inline casgi_app_t *casgi_call_app(const casgi_call_t *c)
{
    return c->self;
}

static inline int casgi_call_ask_(casgi_call_t *c, struct casgi_call_part_ *part, void *ctx)
{
    if (c->closed_) {
        return c->closed_;
    }
    if (part->step != CASGI_CALL_IDLE_) {
        return CASGI_EBUSY;
    }
    part->step = CASGI_CALL_ASKED_;
    part->rc = 0;
    part->stop = 0;
    part->ctx = ctx;
    (void)casgi_waiter_wake(c->changed_);
    return 0;
}

/* [loop] Asks for the next event. on_event(c, 0, event, ctx) follows. */
static inline int casgi_call_receive(casgi_call_t *c, casgi_on_event_t on_event, void *ctx)
{
    int rc = casgi_call_ask_(c, &c->receiving_, ctx);
    if (rc == 0) {
        c->receiving_.fn.event = on_event;
    }
    return rc;
}

/* [loop] Sends one event; on_sent(c, 0, ctx) follows (NULL: nobody is told). The event is copied; what it points to is
 * borrowed until on_sent. */
static inline int casgi_call_send(casgi_call_t *c, const casgi_event_t *event, casgi_on_done_t on_sent, void *ctx)
{
    int rc = casgi_call_ask_(c, &c->sending_, ctx);
    if (rc == 0) {
        c->sending_.fn.done = on_sent;
        c->sent_ = *event;
    }
    return rc;
}

/* [loop] Sends a whole response, `size` bytes with a content type, as casgi_respond_bytes. All is borrowed until
 * on_sent. */
static inline int casgi_call_respond(casgi_call_t *c, int status, const char *content_type, const void *data,
                                     size_t size, casgi_on_done_t on_sent, void *ctx)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_EVENT_NONE);
    event.http_response_body.body.ptr = (const char *)data;
    event.http_response_body.body.len = size;
    int rc = casgi_call_send(c, &event, on_sent, ctx);
    if (rc == 0) {
        c->status_ = status;
        c->content_type_ = content_type;
    }
    return rc;
}

static inline int casgi_call_begin_wait_(casgi_call_t *c, uint64_t due, casgi_waiter_t *waiter, casgi_on_done_t fn,
                                         void *ctx)
{
    for (int i = 0; i < CASGI_CALL_WAITS; i++) {
        struct casgi_call_part_ *part = &c->waits_[i];
        int rc = casgi_call_ask_(c, part, ctx);
        if (rc == 0) {
            part->fn.done = fn;
            part->due = due;
            part->waiter = waiter ? casgi_waiter_ref(waiter) : NULL;
        }
        if (rc != CASGI_EBUSY) {
            return rc;
        }
    }
    return CASGI_EBUSY;
}

/* [loop] fn(c, 0, ctx) follows after at least `milliseconds`. */
static inline int casgi_call_after(casgi_call_t *c, uint64_t milliseconds, casgi_on_done_t fn, void *ctx)
{
    uint64_t most = UINT64_C(1) << 50; /* so that no sum of times overflows */
    uint64_t due = casgi_now() + (milliseconds < most ? milliseconds : most) * 1000;
    return casgi_call_begin_wait_(c, due, NULL, fn, ctx);
}

/* [loop] fn(c, 0, ctx) follows when somebody, on any thread, wakes `waiter`: how a library that has a loop or threads
 * of its own reports back. Takes a reference of its own. */
static inline int casgi_call_wait(casgi_call_t *c, casgi_waiter_t *waiter, casgi_on_done_t fn, void *ctx)
{
    return casgi_call_begin_wait_(c, 0, waiter, fn, ctx);
}

/* [loop] Ends the call: rc is what the handler returns. The first one counts. */
static inline void casgi_call_finish(casgi_call_t *c, int rc)
{
    if (!c->finished_) {
        c->finished_ = true;
        c->result_ = rc;
        c->closed_ = c->closed_ ? c->closed_ : CASGI_ECLOSED;
        (void)casgi_waiter_wake(c->changed_);
    }
}

/* ---- what follows is the machinery ---- */

/* [task] */
static inline void casgi_call_threw_(casgi_call_t *c)
{
    casgi_log(CASGI_LOG_ERROR, "a callback threw a C++ exception");
    casgi_call_finish(c, CASGI_EFAILED);
}

#if defined(__cplusplus) && defined(__cpp_exceptions)
#define CASGI_CALL_GUARD_(c, statement) \
    try {                               \
        statement;                      \
    } catch (...) {                     \
        casgi_call_threw_(c);           \
    }
#else
#define CASGI_CALL_GUARD_(c, statement) statement
#endif

static inline bool casgi_call_completes_(const casgi_event_t *event)
{
    switch (event->type) {
    case CASGI_EVENT_NONE:
    case CASGI_HTTP_RESPONSE_PATHSEND:
        return true;
    case CASGI_HTTP_RESPONSE_BODY:
        return !event->http_response_body.more_body;
    case CASGI_HTTP_RESPONSE_ZEROCOPYSEND:
        return !event->http_response_zerocopysend.more_body;
    default:
        return false;
    }
}

static inline void casgi_call_done_(struct casgi_call_part_ *part, int rc)
{
    part->rc = rc && part->stop ? part->stop : rc;
    part->step = CASGI_CALL_DONE_;
    (void)casgi_waiter_wake(part->call->changed_);
}

/* [task] The task of a receive. */
static inline int casgi_call_receive_task_(void *arg)
{
    struct casgi_call_part_ *part = (struct casgi_call_part_ *)arg;
    casgi_call_t *c = part->call;
    casgi_call_done_(part, c->receive_->call(c->receive_, &c->received_));
    return 0;
}

/* [task] The task of a send. */
static inline int casgi_call_send_task_(void *arg)
{
    struct casgi_call_part_ *part = (struct casgi_call_part_ *)arg;
    casgi_call_t *c = part->call;
    int rc;
    if (c->sent_.type == CASGI_EVENT_NONE) {
        casgi_str_t body = c->sent_.http_response_body.body;
        rc = casgi_respond_bytes(c->send_, c->status_, c->content_type_, body.ptr, body.len);
    } else {
        rc = c->send_->call(c->send_, &c->sent_);
    }
    c->complete_ = c->complete_ || (rc == 0 && casgi_call_completes_(&c->sent_));
    casgi_call_done_(part, rc);
    return 0;
}

/* [task] The task of a wait. */
static inline int casgi_call_wait_task_(void *arg)
{
    struct casgi_call_part_ *part = (struct casgi_call_part_ *)arg;
    casgi_call_done_(part, casgi_waiter_wait(part->waiter));
    return 0;
}

/* [task] Begins what was asked for. A timer has no task: the call's own waits for the earliest. */
static inline void casgi_call_start_(struct casgi_call_part_ *part, casgi_task_fn_t fn, const char *name)
{
    if (part->step == CASGI_CALL_ASKED_) {
        part->step = CASGI_CALL_RUNNING_;
        int rc = part->due ? 0 : casgi_create_task(fn, part, name, &part->task);
        if (rc) {
            part->task = NULL;
            casgi_call_done_(part, rc);
        }
    }
}

static inline void casgi_call_start_all_(casgi_call_t *c)
{
    casgi_call_start_(&c->receiving_, casgi_call_receive_task_, "receive");
    casgi_call_start_(&c->sending_, casgi_call_send_task_, "send");
    for (int i = 0; i < CASGI_CALL_WAITS; i++) {
        casgi_call_start_(&c->waits_[i], casgi_call_wait_task_, "wait");
    }
}

/* Ends what is pending, with the code `rc`; one with a task is cancelled, and done a little later. Once is enough. */
static inline void casgi_call_stop_(struct casgi_call_part_ *part, int rc)
{
    if ((part->step == CASGI_CALL_ASKED_ || part->step == CASGI_CALL_RUNNING_) && !part->stop) {
        part->stop = rc;
        if (part->task) {
            (void)casgi_cancel(part->task);
        } else {
            casgi_call_done_(part, rc);
        }
    }
}

static inline void casgi_call_stop_waits_(casgi_call_t *c, int rc)
{
    for (int i = 0; i < CASGI_CALL_WAITS; i++) {
        casgi_call_stop_(&c->waits_[i], rc);
    }
}

/* When the call is finished or cancelled. */
static inline void casgi_call_stop_all_(casgi_call_t *c)
{
    int rc = c->canceled_ ? c->canceled_ : CASGI_ECANCELED;
    casgi_call_stop_(&c->receiving_, rc);
    casgi_call_stop_waits_(c, rc);
    if (c->canceled_) {
        casgi_call_stop_(&c->sending_, rc);
    }
}

/* [task] Whether a callback is due; its part is then free for the next. */
static inline bool casgi_call_take_(struct casgi_call_part_ *part)
{
    if (part->step != CASGI_CALL_DONE_) {
        return false;
    }
    if (part->task) {
        /* Saying so was its last act: this waits for nothing but its end. */
        (void)casgi_shield_begin();
        if (casgi_join(part->task, NULL)) {
            casgi_release(part->task);
        }
        (void)casgi_shield_end();
        part->task = NULL;
    }
    casgi_waiter_unref(part->waiter);
    part->waiter = NULL;
    part->due = 0;
    part->step = CASGI_CALL_IDLE_;
    return true;
}

/* [task] */
static inline void casgi_call_deliver_event_(casgi_call_t *c)
{
    struct casgi_call_part_ part = c->receiving_;
    bool gone = part.rc == 0 && !c->complete_ &&
                (c->received_.type == CASGI_HTTP_DISCONNECT || c->received_.type == CASGI_WEBSOCKET_DISCONNECT);
    if (gone) {
        casgi_call_stop_waits_(c, CASGI_EDISCONNECTED);
    }
    CASGI_CALL_GUARD_(c, part.fn.event(c, part.rc, part.rc ? NULL : &c->received_, part.ctx));
}

/* [task] */
static inline void casgi_call_deliver_sent_(casgi_call_t *c)
{
    struct casgi_call_part_ part = c->sending_;
    if (part.rc == CASGI_EDISCONNECTED) {
        casgi_call_stop_waits_(c, CASGI_EDISCONNECTED);
    }
    if (part.fn.done) {
        CASGI_CALL_GUARD_(c, part.fn.done(c, part.rc, part.ctx));
    }
}

/* [task] Calls one callback that is due; false: none is. */
static inline bool casgi_call_deliver_(casgi_call_t *c)
{
    if (casgi_call_take_(&c->receiving_)) {
        casgi_call_deliver_event_(c);
        return true;
    }
    if (casgi_call_take_(&c->sending_)) {
        casgi_call_deliver_sent_(c);
        return true;
    }
    for (int i = 0; i < CASGI_CALL_WAITS; i++) {
        if (casgi_call_take_(&c->waits_[i])) {
            struct casgi_call_part_ part = c->waits_[i];
            CASGI_CALL_GUARD_(c, part.fn.done(c, part.rc, part.ctx));
            return true;
        }
    }
    return false;
}

/* The running timer that is due first; NULL: there is none. */
static inline struct casgi_call_part_ *casgi_call_first_timer_(casgi_call_t *c)
{
    struct casgi_call_part_ *first = NULL;
    for (int i = 0; i < CASGI_CALL_WAITS; i++) {
        struct casgi_call_part_ *part = &c->waits_[i];
        if (part->due && part->step == CASGI_CALL_RUNNING_ && (!first || part->due < first->due)) {
            first = part;
        }
    }
    return first;
}

/* [task] Waits until something is done or asked for, or the first timer is due. */
static inline void casgi_call_await_(casgi_call_t *c)
{
    struct casgi_call_part_ *timer = casgi_call_first_timer_(c);
    casgi_deadline_t deadline;
    uint64_t now = timer ? casgi_now() : 0;
    if (timer && timer->due <= now) {
        casgi_call_done_(timer, 0);
        return;
    }
    if (timer && casgi_deadline_begin(&deadline, (timer->due - now + 999) / 1000) != 0) {
        timer = NULL;
    }
    int rc = casgi_waiter_wait(c->changed_);
    if (timer && casgi_deadline_end(&deadline) == CASGI_ETIMEDOUT && rc == CASGI_ETIMEDOUT) {
        rc = 0;
    }
    if (rc && !c->canceled_) {
        c->canceled_ = rc;
        c->closed_ = rc;
        (void)casgi_shield_begin(); /* the callbacks may still clean up */
    }
}

static inline bool casgi_call_pending_(const casgi_call_t *c)
{
    bool pending = c->receiving_.step != CASGI_CALL_IDLE_ || c->sending_.step != CASGI_CALL_IDLE_;
    for (int i = 0; i < CASGI_CALL_WAITS; i++) {
        pending = pending || c->waits_[i].step != CASGI_CALL_IDLE_;
    }
    return pending;
}

/* [task] The handler behind on_call: runs the call to its end. */
static inline int casgi_callback_run(casgi_on_call_t on_call, casgi_app_t *self, const casgi_scope_t *scope,
                                     casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_call_t c;
    __builtin_memset(&c, 0, sizeof(c));
    c.self = self;
    c.scope = scope;
    c.receive_ = receive;
    c.send_ = send;
    c.receiving_.call = c.sending_.call = &c;
    for (int i = 0; i < CASGI_CALL_WAITS; i++) {
        c.waits_[i].call = &c;
    }
    int rc = casgi_waiter_new(&c.changed_);
    if (rc) {
        return rc;
    }
    casgi_children_t children;
    rc = casgi_children_begin(&children);
    if (rc == 0) {
        CASGI_CALL_GUARD_(&c, on_call(&c));
        while (casgi_call_pending_(&c)) {
            casgi_call_start_all_(&c);
            if (c.closed_) {
                casgi_call_stop_all_(&c);
            }
            if (!casgi_call_deliver_(&c)) {
                casgi_call_await_(&c);
            }
        }
        if (c.canceled_) {
            (void)casgi_shield_end();
        }
        (void)casgi_children_end(&children);
        rc = c.finished_ ? c.result_ : c.canceled_;
    }
    casgi_waiter_unref(c.changed_);
    return rc;
}

/* Defines `id`, a handler like any other (for CASGI_APP_RECORD or casgi_app_t.call), from its on_call. */
#define CASGI_CALLBACK_HANDLER(id, on_call)                                                                        \
    static int id(casgi_app_t *self_, const casgi_scope_t *scope_, casgi_receive_t *receive_, casgi_send_t *send_) \
    {                                                                                                              \
        return casgi_callback_run(on_call, self_, scope_, receive_, send_);                                        \
    }

/* Exports a module with one application called "app", as CASGI_APP does. */
#define CASGI_CALLBACK_APP(on_call) CASGI_CALLBACK_APP_WITH(on_call, CASGI_APP_HTTP)
#define CASGI_CALLBACK_APP_WITH(on_call, app_flags)                                 \
    CASGI_CALLBACK_HANDLER(casgi_callback_handler_, on_call)                        \
    CASGI_APP_RECORD(casgi_app_record_, "app", casgi_callback_handler_, app_flags); \
    CASGI_MODULE(#on_call, "0", &casgi_app_record_);

CASGI_EXTERN_C_END
