/* send: one event at a time, in order, each whole. */
#include "exchange/private.h"

enum { TURN_BYTES = 1 << 20 };

/* Who waits to send: on the stack of the call. */
struct turn {
    struct list node; /* in exchange_private.turns */
    struct task *task;
};

int refuse(struct exchange *ex, int code, const char *why)
{
    if (code == CASGI_EINVAL || code == CASGI_EPROTO) {
        ex->priv->out.refused = true;
        ex->record.refused = why;
    }
    return code;
}

/* ---- turns ---- */

static void __attribute__((noinline)) turn_give(struct exchange_private *priv)
{
    priv->out.sender = LIST_ENTRY(list_pop(&priv->turns), struct turn, node)->task;
    task_wake(priv->out.sender);
}

static inline void turn_pass(struct exchange_private *priv)
{
    priv->out.sender = NULL;
    if (__builtin_expect(!list_empty(&priv->turns), false)) {
        turn_give(priv);
    }
}

/* Not inlined: gcc would warn of a pointer into the caller's frame, which does not outlive the wait. */
static void __attribute__((noinline)) turn_queue(struct exchange_private *priv, struct turn *turn)
{
    list_append(&priv->turns, &turn->node);
}

/* Waits behind the others. */
static int __attribute__((noinline)) turn_wait(struct exchange_private *priv, struct task *task)
{
    struct turn turn = { .task = task };
    int rc = 0;
    turn_queue(priv, &turn);
    while (!rc && priv->out.sender != task) {
        rc = task_park(TASK_WAIT_SEND);
    }
    if (rc && priv->out.sender == task) {
        turn_pass(priv); /* cancelled just when its turn came */
    } else if (rc) {
        list_remove(&turn.node);
    }
    return rc;
}

static int turn_take(struct exchange_private *priv, struct task *task)
{
    if (priv->out.sender) {
        return priv->out.sender == task ? CASGI_EBUSY : turn_wait(priv, task);
    }
    priv->out.sender = task;
    return 0;
}

/* ---- the way to the driver ---- */

int driver_failed(struct exchange *ex, int code)
{
    if (!ex->record.error) {
        ex->record.error = code;
    }
    if (!ex->priv->out.code) {
        exchange_gone(ex, true);
    }
    return ex->priv->out.code;
}

int wait_for_room(struct exchange *ex, bool begun)
{
    struct outbound *out = &ex->priv->out;
    int rc = 0;
    out->unyielded = 0;
    out->waiting = true;
    while (!rc && out->waiting && !out->code) {
        rc = task_park(TASK_WAIT_SEND);
    }
    out->waiting = false;
    if (out->code) {
        return out->code;
    }
    if (rc && begun) {
        exchange_cut(ex, rc, "a send was cancelled in the midst of its event", false);
    }
    return rc;
}

int account_known(struct exchange *ex, uint64_t size, bool last)
{
    struct outbound *out = &ex->priv->out;
    uint64_t left = (uint64_t)(ex->priv->head.content_length - out->sent);
    if (size <= left && (size == left || !last)) {
        return 0;
    }
    const char *why =
        size > left ? "the body is longer than its content-length" : "the body is shorter than its content-length";
    if (out->state == RESPONSE_BODY) {
        exchange_cut(ex, CASGI_EINVAL, why, true);
    }
    return refuse(ex, CASGI_EINVAL, why);
}

int commit_head(struct exchange *ex, int64_t known)
{
    struct outbound *out = &ex->priv->out;
    struct response_head *head = &ex->priv->head;
    if (out->state != RESPONSE_STARTED) {
        return 0;
    }
    /* To a HEAD, or as a 304, an empty body says nothing about the length of the real one. */
    bool telling = head->body_allowed || (known > 0 && head->status != 204 && head->status != 304);
    if (head->content_length < 0 && !head->has_trailers && telling) {
        head->content_length = known;
    }
    out->state = RESPONSE_BODY;
    int rc = ex->driver->head(ex, head);
    return rc ? driver_failed(ex, rc) : 0;
}

void count_sent(struct exchange *ex, size_t size)
{
    ex->record.bytes_out += size;
    ex->priv->out.sent += (int64_t)size;
    ex->priv->out.unyielded += size;
}

bool owes_turn(struct exchange *ex)
{
    if (ex->priv->out.unyielded < TURN_BYTES) {
        return false;
    }
    ex->priv->out.unyielded = 0;
    return true;
}

int push(struct exchange *ex, const char *data, size_t size, bool last, bool begun)
{
    for (;;) {
        ssize_t taken = ex->driver->data(ex, data, size, last);
        if (taken < 0 && taken != CASGI_EAGAIN) {
            return driver_failed(ex, (int)taken);
        }
        if (taken == (ssize_t)size) {
            count_sent(ex, size);
            return 0;
        }
        if (taken > 0) {
            count_sent(ex, (size_t)taken);
            data += taken;
            size -= (size_t)taken;
            begun = true;
        }
        int rc = wait_for_room(ex, begun);
        if (rc) {
            return rc;
        }
    }
}

void body_done(struct exchange *ex)
{
    struct outbound *out = &ex->priv->out;
    if (ex->priv->head.has_trailers) {
        out->state = RESPONSE_TRAILERS;
    } else {
        exchange_completed(ex);
    }
}

/* ---- http.response.body ---- */

static int send_body(struct exchange *ex, const casgi_http_response_body_t *event)
{
    struct outbound *out = &ex->priv->out;
    bool first = out->state == RESPONSE_STARTED, last = !event->more_body;
    size_t size = event->body.len;
    if (!first && out->state != RESPONSE_BODY) {
        return refuse(ex, CASGI_EPROTO,
                      out->state == RESPONSE_IDLE ? "http.response.body before http.response.start"
                                                  : "http.response.body after the last one");
    }
    int rc = account(ex, size, last);
    rc = rc ? rc : commit_head(ex, last ? (int64_t)size : -1);
    if (rc) {
        return rc;
    }
    size = ex->priv->head.body_allowed ? size : 0;
    if (size || first || last) {
        rc = push(ex, event->body.ptr, size, last && !ex->priv->head.has_trailers, first);
    }
    if (!rc && last) {
        body_done(ex);
    }
    return rc;
}

/* ---- all events ---- */

/* Those that are neither start nor body. */
static int __attribute__((noinline)) send_rarer(struct exchange *ex, const casgi_event_t *event)
{
    switch (event->type) {
    case CASGI_HTTP_RESPONSE_TRAILERS:
        return response_trailers(ex, &event->http_response_trailers);
    case CASGI_HTTP_RESPONSE_ZEROCOPYSEND:
        return response_zerocopysend(ex, &event->http_response_zerocopysend);
    case CASGI_HTTP_RESPONSE_PATHSEND:
        return response_pathsend(ex, &event->http_response_pathsend);
    case CASGI_HTTP_RESPONSE_EARLY_HINT:
        return response_early_hint(ex, &event->http_response_early_hint);
    case CASGI_HTTP_RESPONSE_PUSH:
    case CASGI_HTTP_RESPONSE_DEBUG:
        return CASGI_ENOTSUP;
    default:
        return refuse(ex, CASGI_EINVAL, "this event type cannot be sent here");
    }
}

static int __attribute__((noinline)) send_too_late(struct exchange *ex, const casgi_event_t *event)
{
    struct exchange_private *priv = ex->priv;
    if (priv->out.state != RESPONSE_COMPLETE) {
        return priv->out.code;
    }
    if (event->type == CASGI_HTTP_RESPONSE_TRAILERS && priv->out.announced && !priv->head.has_trailers) {
        return 0; /* not for this client: its response is complete without them */
    }
    return refuse(ex, CASGI_EPROTO, "the response is complete");
}

static int dispatch(struct exchange *ex, const casgi_event_t *event)
{
    const struct outbound *out = &ex->priv->out;
    if (out->state == RESPONSE_COMPLETE || out->code) {
        return send_too_late(ex, event);
    }
    if (event->type == CASGI_HTTP_RESPONSE_BODY) {
        return send_body(ex, &event->http_response_body);
    }
    if (event->type == CASGI_HTTP_RESPONSE_START) {
        return response_start(ex, &event->http_response_start);
    }
    return send_rarer(ex, event);
}

/* Whatever keeps the task from sending at once. 0: it is its turn. */
static int __attribute__((noinline)) turn_await(struct exchange_private *priv)
{
    struct task *task = task_current();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = exchange_check_cancelled(TASK_WAIT_SEND);
    return rc ? rc : turn_take(priv, task);
}

static inline int turn_begin(struct exchange_private *priv)
{
    if (__builtin_expect(priv->out.sender || task_check(), false)) { /* outside of tasks, that says so, too */
        return turn_await(priv);
    }
    priv->out.sender = task_current();
    return 0;
}

int exchange_send(casgi_send_t *self, const casgi_event_t *event)
{
    struct exchange_private *priv = LIST_ENTRY(self, struct exchange_private, send);
    struct exchange *ex = exchange_of(priv);
    int rc = turn_begin(priv);
    if (__builtin_expect(!rc, true)) {
        rc = dispatch(ex, event);
        turn_pass(priv);
        if (__builtin_expect(rc != 0, false)) {
            priv->out.unyielded += UNHEEDED;
        }
        if (owes_turn(ex)) {
            (void)task_interface.yield(); /* a cancellation that comes now is told by the next call */
        }
    }
    observe_event(ex, true, event, rc);
    return rc;
}
