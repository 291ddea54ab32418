/* The life of an exchange: made, begun, ended, reused. */
#include "exchange/exchange.h"

#include "exchange/private.h"

#include <stdlib.h>
#include <string.h>

/* In two pieces: of more than 64 bytes gcc makes a `rep stos`, which takes its time to begin. */
static void zero_private(struct exchange_private *priv)
{
    char *at = (char *)priv;
    memset(at, 0, 64);
    memset(at + 64, 0, PRIVATE_ZEROED - 64);
}

struct exchange *exchange_new(struct exchange_host *host, const struct exchange_driver *driver, void *driver_data)
{
    struct exchange_whole *whole = whole_take(host);
    if (!whole) {
        return NULL;
    }
    struct exchange *ex = &whole->ex;
    ex->host = host;
    ex->driver = driver;
    ex->driver_data = driver_data;
    ex->record = (struct exchange_record){ 0 };
    ex->listener = NULL;
    ex->lender = NULL;
    scope_clear(&ex->scope);
    arena_init_with(&ex->arena, loop_arena_pool(host->loop), whole->first, sizeof(whole->first));
    zero_private(&whole->priv);
    return ex;
}

void exchange_borrow(struct exchange *ex, struct exchange_lender *lender)
{
    lender->users++;
    ex->lender = lender;
}

void exchange_lender_release(struct exchange_lender *lender)
{
    if (--lender->users == 0) {
        free(lender);
    }
}

void observers_tell(const struct exchange *ex, bool sent, const casgi_event_t *event, int result)
{
    for (struct exchange_observer *o = ex->host->observers; o; o = o->next) {
        if (o->on_event) {
            o->on_event(o, ex, sent, event, result);
        }
    }
}

static void recycle(struct exchange *ex)
{
    struct exchange_private *priv = ex->priv;
    if (priv->in.first || priv->in.lent) {
        inbound_release(ex);
    }
    if (priv->state.table) {
        state_view_release(&priv->state);
    }
    if (ex->arena.blocks) {
        arena_reset(&ex->arena);
    }
    if (!list_empty(&priv->late.node)) {
        list_remove(&priv->late.node);
    }
    if (priv->entered) {
        list_unlink(&ex->node);
    }
    if (ex->lender) {
        exchange_lender_release(ex->lender);
    }
    whole_give(ex->host, LIST_ENTRY(ex, struct exchange_whole, ex));
}

/* ---- beginning and ending ---- */

/* Each exchange that enters is concluded. */
static void enter(struct exchange *ex)
{
    struct exchange_host *host = ex->host;
    if (ex->priv->entered) {
        return; /* its begin has failed, and now it is refused */
    }
    ex->priv->entered = true;
    ex->record.began = record_time(ex);
    host->running++;
    list_append(&host->active, &ex->node);
    for (struct exchange_observer *o = host->pools->tells_begin ? host->observers : NULL; o; o = o->next) {
        if (o->on_begin) {
            o->on_begin(o, ex);
        }
    }
}

static void leave(struct exchange *ex)
{
    struct exchange_host *host = ex->host;
    recycle(ex);
    host->running--;
    if (!host->running && host->on_idle) {
        host->on_idle(host);
    }
}

void exchange_conclude(struct exchange *ex, bool whole)
{
    struct exchange_record *record = &ex->record;
    record->ended = record_time(ex);
    record->aborted = !whole;
    for (struct exchange_observer *o = ex->host->observers; o; o = o->next) {
        if (o->on_end) {
            o->on_end(o, ex);
        }
    }
    if (ex->priv->over) {
        leave(ex);
        return;
    }
    ex->priv->over = true;
    if (whole) {
        ex->driver->end(ex);
    } else {
        ex->driver->abort(ex, record->error ? record->error : CASGI_EFAILED);
    }
    leave(ex);
}

void exchange_discard(struct exchange *ex)
{
    if (ex->priv->entered) {
        ex->priv->over = true;
        exchange_conclude(ex, false);
    } else {
        recycle(ex);
    }
}

void exchange_cut(struct exchange *ex, int code, const char *why, bool failed)
{
    struct exchange_private *priv = ex->priv;
    if (priv->over) {
        return;
    }
    priv->over = true;
    priv->out.state = RESPONSE_CUT;
    priv->out.code = code;
    ex->record.error = code;
    ex->record.why = why;
    ex->record.failed = failed;
    (void)inbound_drop(ex);
    inbound_wake(priv);
    ex->driver->abort(ex, code);
}

void exchange_completed(struct exchange *ex)
{
    ex->priv->out.state = RESPONSE_COMPLETE;
    ex->record.client_gone = false; /* it had only ended its side */
    size_t dropped = ex->priv->in.first ? inbound_drop(ex) : 0;
    inbound_wake(ex->priv);
    if (dropped && !ex->priv->over) {
        ex->driver->consumed(ex, dropped);
    }
}

static void on_task_end(struct task *task, void *owner, int result)
{
    struct exchange *ex = owner;
    (void)task;
    ex->priv->task = NULL;
    ex->record.app_result = result;
    exchange_judge(ex, result);
}

static int run_handler(void *arg)
{
    struct exchange *ex = arg;
    casgi_app_t *app = ex->host->app;
    return app->call(app, &ex->scope, &ex->priv->receive, &ex->priv->send);
}

int exchange_begin(struct exchange *ex, bool complete)
{
    struct exchange_host *host = ex->host;
    const struct task_options options = {
        .name = "request",
        .arena = &ex->arena,
        .describe = scope_describe,
        .request_id = scope_request_id,
        .owner = ex,
        .on_end = on_task_end,
    };
    if (complete) {
        ex->priv->in.state = INBOUND_COMPLETE;
    }
    if (host->state) {
        state_view_init(&ex->priv->state, host->state);
        ex->scope.state = &ex->priv->state.base;
    }
    enter(ex);
    return task_start(host->loop, run_handler, ex, &options, &ex->priv->task);
}

void exchange_refuse(struct exchange *ex, int status, const char *why)
{
    ex->record.why = why;
    enter(ex);
    answer_begin(ex, status);
}

/* ---- from the driver ---- */

void exchange_gone(struct exchange *ex, bool write_too)
{
    struct exchange_private *priv = ex->priv;
    bool whole = priv->out.state == RESPONSE_COMPLETE;
    ex->record.client_gone = ex->record.client_gone || !whole;
    write_too = write_too || priv->in.state == INBOUND_OPEN; /* half a request is none that could be answered */
    if (write_too) {
        priv->in.state = INBOUND_GONE;
        (void)inbound_drop(ex);
    } else {
        priv->in.departed = true;
    }
    inbound_wake(priv);
    if (write_too) {
        priv->out.code = priv->out.code ? priv->out.code : CASGI_EDISCONNECTED;
        if (priv->out.sender) {
            task_wake(priv->out.sender);
        }
        if (priv->answering) {
            loop_late(ex->host->loop, &priv->late);
        }
    }
    if (priv->task && !whole && (ex->host->app_flags & CASGI_APP_CANCEL_ON_DISCONNECT)) {
        task_cancel(priv->task, CASGI_ECANCELED);
    }
}

void exchange_writable(struct exchange *ex)
{
    struct exchange_private *priv = ex->priv;
    if (priv->out.waiting) {
        priv->out.waiting = false;
        task_wake(priv->out.sender);
    }
    if (priv->answering) {
        loop_late(ex->host->loop, &priv->late);
    }
}

void exchange_body_failed(struct exchange *ex, int status, const char *why)
{
    struct exchange_private *priv = ex->priv;
    priv->in.state = INBOUND_GONE;
    (void)inbound_drop(ex);
    if (priv->out.state < RESPONSE_COMPLETE) {
        priv->failed_status = (uint16_t)status;
        ex->record.why = why;
    }
    inbound_wake(priv);
}

bool exchange_response_begun(const struct exchange *ex)
{
    return ex->priv->out.state != RESPONSE_IDLE;
}

bool exchange_response_complete(const struct exchange *ex)
{
    return ex->priv->out.state == RESPONSE_COMPLETE;
}

void exchange_cancel(struct exchange *ex, int code)
{
    if (ex->priv->task) {
        ex->priv->cancelled = true;
        task_cancel(ex->priv->task, code);
    }
}
