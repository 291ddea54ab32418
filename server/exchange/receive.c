#include "exchange/private.h"

static void give_disconnect(casgi_event_t *out_event)
{
    casgi_event_init(out_event, CASGI_HTTP_DISCONNECT);
}

static void give_body(struct inbound *in, casgi_str_t body, casgi_event_t *out_event)
{
    casgi_event_init(out_event, CASGI_HTTP_REQUEST);
    in->last_given = in->state == INBOUND_COMPLETE && !in->buffered;
    out_event->http_request.body = body;
    out_event->http_request.more_body = !in->last_given;
}

/* Lends the first chunk to the application, until the next receive. */
static void give_chunk(struct exchange *ex, casgi_event_t *out_event)
{
    struct inbound *in = &ex->priv->in;
    struct chunk *chunk = in->first;
    size_t size = chunk->end - chunk->start;
    in->first = chunk->next;
    if (!in->first) {
        in->last = NULL;
    }
    in->lent = chunk;
    in->buffered -= size;
    chunk->data[chunk->end] = '\0';
    give_body(in, (casgi_str_t){ chunk->data + chunk->start, size }, out_event);
    if (!ex->priv->over) {
        ex->driver->consumed(ex, size);
    }
}

/* false: there is none yet. */
static bool next_event(struct exchange *ex, casgi_event_t *out_event)
{
    struct inbound *in = &ex->priv->in;
    if (ex->priv->out.state >= RESPONSE_COMPLETE || in->state == INBOUND_GONE) {
        give_disconnect(out_event);
    } else if (in->buffered) {
        give_chunk(ex, out_event);
    } else if (in->state == INBOUND_COMPLETE && !in->last_given) {
        give_body(in, (casgi_str_t)CASGI_STR(""), out_event);
    } else if (in->departed) {
        give_disconnect(out_event);
    } else {
        return false;
    }
    return true;
}

static void say_wanted(struct exchange *ex)
{
    struct exchange_private *priv = ex->priv;
    if (!priv->in.was_wanted && priv->in.state == INBOUND_OPEN && priv->out.state <= RESPONSE_STARTED) {
        priv->in.was_wanted = true;
        ex->driver->wanted(ex);
    }
}

static int wait_for_event(struct exchange *ex, struct task *task, casgi_event_t *out_event)
{
    int rc = 0;
    ex->priv->in.receiver = task; /* first: what `wanted` does may wake it */
    say_wanted(ex);
    while (!rc && !next_event(ex, out_event)) {
        rc = task_park(TASK_WAIT_RECEIVE);
    }
    ex->priv->in.receiver = NULL;
    return rc;
}

static int receive(struct exchange *ex, casgi_event_t *out_event)
{
    struct inbound *in = &ex->priv->in;
    struct task *task = task_current();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    if (in->receiver) {
        return CASGI_EBUSY;
    }
    int rc = exchange_check_cancelled(TASK_WAIT_RECEIVE);
    if (rc) {
        return rc;
    }
    if (in->lent) {
        chunk_give(ex->host, in->lent);
        in->lent = NULL;
    }
    if (!next_event(ex, out_event)) {
        return wait_for_event(ex, task, out_event);
    }
    if (out_event->type == CASGI_HTTP_DISCONNECT) {
        ex->priv->out.unyielded += UNHEEDED;
        if (owes_turn(ex)) {
            (void)task_interface.yield(); /* a cancellation that comes now is told by the next call */
        }
    }
    return 0;
}

int exchange_receive(casgi_receive_t *self, casgi_event_t *out_event)
{
    struct exchange *ex = exchange_of(LIST_ENTRY(self, struct exchange_private, receive));
    int rc = receive(ex, out_event);
    observe_event(ex, false, out_event, rc);
    return rc;
}
