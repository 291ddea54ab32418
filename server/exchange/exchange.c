/* The life of an exchange: made, begun, ended, reused. */
#include "exchange/exchange.h"

#include "base/poison.h"
#include "exchange/private.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP = 256 };

/* ---- memory ---- */

void exchange_host_init(struct exchange_host *host)
{
    list_init(&host->active);
    host->running = 0;
    host->pools = NULL;
}

static struct exchange_pools *pools_of(struct exchange_host *host)
{
    if (!host->pools) {
        host->pools = calloc(1, sizeof(*host->pools));
        if (host->pools) {
            list_init(&host->pools->free);
        }
    }
    return host->pools;
}

/* All of it but the node, by which it hangs in the pool. */
static void *behind_node(struct exchange_whole *whole)
{
    return &whole->ex.node + 1;
}

enum { BEHIND_NODE = sizeof(struct exchange_whole) - sizeof(struct list) };

static struct exchange_whole *whole_take(struct exchange_pools *pools)
{
    struct list *node = list_pop(&pools->free);
    if (!node) {
        return malloc(sizeof(struct exchange_whole));
    }
    pools->count--;
    struct exchange_whole *whole = LIST_ENTRY(node, struct exchange_whole, ex.node);
    memory_unpoison(behind_node(whole), BEHIND_NODE);
    return whole;
}

static void whole_give(struct exchange_pools *pools, struct exchange_whole *whole)
{
    if (pools->count >= KEEP) {
        free(whole);
        return;
    }
    memory_poison(behind_node(whole), BEHIND_NODE);
    list_append(&pools->free, &whole->ex.node);
    pools->count++;
}

void exchange_host_release(struct exchange_host *host)
{
    struct exchange_pools *pools = host->pools;
    if (!pools) {
        return;
    }
    for (struct list *node; (node = list_pop(&pools->free));) {
        struct exchange_whole *whole = LIST_ENTRY(node, struct exchange_whole, ex.node);
        memory_unpoison(behind_node(whole), BEHIND_NODE);
        free(whole);
    }
    chunks_release(pools);
    free(pools);
    host->pools = NULL;
}

static void init_private(struct exchange_private *priv)
{
    memset(priv, 0, offsetof(struct exchange_private, request_id));
    priv->receive.call = exchange_receive;
    priv->send.call = exchange_send;
    list_init(&priv->out.queue);
    list_init(&priv->answer.late.node);
}

struct exchange *exchange_new(struct exchange_host *host, const struct exchange_driver *driver, void *driver_data)
{
    struct exchange_pools *pools = pools_of(host);
    struct exchange_whole *whole = pools ? whole_take(pools) : NULL;
    if (!whole) {
        return NULL;
    }
    struct exchange *ex = &whole->ex;
    list_init(&ex->node);
    ex->host = host;
    ex->driver = driver;
    ex->driver_data = driver_data;
    ex->scope = scope_template;
    ex->scope.get_ctx = ex;
    arena_init(&ex->arena, loop_arena_pool(host->loop));
    ex->record = (struct exchange_record){ 0 };
    ex->listener = NULL;
    ex->priv = &whole->priv;
    init_private(ex->priv);
    return ex;
}

static void recycle(struct exchange *ex)
{
    struct exchange_whole *whole = LIST_ENTRY(ex, struct exchange_whole, ex);
    inbound_release(ex);
    list_remove(&ex->priv->answer.late.node);
    state_view_release(&ex->priv->state);
    arena_reset(&ex->arena);
    list_remove(&ex->node);
    whole_give(ex->host->pools, whole);
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
    ex->record.began = host->observers ? loop_clock() : loop_now(host->loop);
    host->running++;
    list_append(&host->active, &ex->node);
    for (struct exchange_observer *o = host->observers; o; o = o->next) {
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
    record->ended = ex->host->observers ? loop_clock() : loop_now(ex->host->loop);
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
    size_t dropped = inbound_drop(ex);
    inbound_wake(ex->priv);
    if (dropped && !ex->priv->over) {
        ex->driver->consumed(ex, dropped);
    }
}

/* ---- what the handler's return means ---- */

static void blame(struct exchange *ex, const char *why)
{
    if (!ex->record.why) {
        ex->record.why = why;
    }
    ex->record.failed = true;
}

bool exchange_gave_up(int result)
{
    return result == CASGI_EDISCONNECTED || result == CASGI_ECANCELED;
}

/* The client left before the response was whole, and the handler took it so or can no longer be heard. */
static bool client_left(const struct exchange *ex, int result)
{
    return ex->record.client_gone && (!result || exchange_gave_up(result) || ex->priv->out.code);
}

static bool was_stopped(const struct exchange *ex, int result)
{
    return ex->priv->cancelled && (result == CASGI_ECANCELED || result == CASGI_ETIMEDOUT);
}

static void judge_departed(struct exchange *ex, int result)
{
    if (result && !exchange_gave_up(result)) {
        blame(ex, "the handler failed after the client had gone");
    }
    ex->record.status = 499;
    if (!ex->record.error) {
        ex->record.error = CASGI_EDISCONNECTED;
    }
    exchange_conclude(ex, false);
}

/* Nothing is on the wire: an answer of our own, unless the handler made a start and lost interest. */
static void judge_unanswered(struct exchange *ex, int result)
{
    struct exchange_private *priv = ex->priv;
    if (priv->failed_status) {
        answer_begin(ex, priv->failed_status);
    } else if (was_stopped(ex, result)) {
        ex->record.why = "the handler was stopped by the server";
        answer_begin(ex, 503);
    } else if (result) {
        blame(ex, "the handler failed");
        answer_begin(ex, 500);
    } else if (priv->out.state == RESPONSE_STARTED && !priv->out.refused) {
        blame(ex, "the handler returned after http.response.start, without a body");
        ex->record.error = CASGI_EPROTO;
        exchange_conclude(ex, false);
    } else {
        blame(ex, priv->out.refused ? "the handler returned without a response after an event was refused"
                                    : "the handler returned without a response");
        answer_begin(ex, 500);
    }
}

static void judge_half_sent(struct exchange *ex, int result)
{
    if (was_stopped(ex, result)) {
        ex->record.why = "the handler was stopped by the server";
    } else {
        blame(ex, result ? "the handler failed in the midst of its response"
                         : "the handler returned in the midst of its response");
    }
    if (!ex->record.error) {
        ex->record.error = result ? result : CASGI_EPROTO;
    }
    exchange_conclude(ex, false);
}

static void judge(struct exchange *ex, int result)
{
    struct exchange_private *priv = ex->priv;
    if (priv->over) {
        exchange_conclude(ex, false);
    } else if (priv->out.state == RESPONSE_COMPLETE) {
        if (result && !exchange_gave_up(result) && !was_stopped(ex, result)) {
            blame(ex, "the handler failed after its response");
        }
        exchange_conclude(ex, true);
    } else if (client_left(ex, result)) {
        judge_departed(ex, result);
    } else if (priv->out.state <= RESPONSE_STARTED) {
        judge_unanswered(ex, result);
    } else {
        judge_half_sent(ex, result);
    }
}

static void on_task_end(struct task *task, void *owner, int result)
{
    struct exchange *ex = owner;
    (void)task;
    ex->priv->task = NULL;
    ex->record.app_result = result;
    judge(ex, result);
}

static int run_handler(void *arg)
{
    struct exchange *ex = arg;
    struct exchange_private *priv = ex->priv;
    priv->task = task_current();
    return ex->host->app->call(ex->host->app, &ex->scope, &priv->receive, &priv->send);
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
    struct task *task;
    if (complete) {
        ex->priv->in.state = INBOUND_COMPLETE;
    }
    if (host->state) {
        state_view_init(&ex->priv->state, host->state);
        ex->scope.state = &ex->priv->state.base;
    }
    enter(ex);
    if (!task_current()) {
        return task_start(host->loop, run_handler, ex, &options, &task);
    }
    int rc = task_spawn(host->loop, run_handler, ex, &options, &task);
    if (!rc) {
        ex->priv->task = task;
    }
    return rc;
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
    if (write_too || priv->in.state == INBOUND_OPEN) {
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
        if (priv->answer.pending) {
            loop_late(ex->host->loop, &priv->answer.late);
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
    if (priv->answer.pending) {
        loop_late(ex->host->loop, &priv->answer.late);
    }
}

void exchange_body_failed(struct exchange *ex, int status, const char *why)
{
    struct exchange_private *priv = ex->priv;
    priv->in.state = INBOUND_GONE;
    (void)inbound_drop(ex);
    if (priv->out.state < RESPONSE_COMPLETE) {
        priv->failed_status = status;
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

int exchange_check_cancelled(enum task_wait why)
{
    if (!task_check()) {
        return 0;
    }
    int rc;
    do {
        rc = task_park(why); /* a wake that was kept comes first */
    } while (!rc);
    return rc;
}
