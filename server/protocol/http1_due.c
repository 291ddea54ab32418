/* Deadlines: one per connection at a time, on the host's lists. */
#include "protocol/http1_impl.h"

static struct expiry_list *list_of(struct http1_host *host, enum http1_due due)
{
    switch (due) {
    case DUE_HEAD:
        return &host->head_deadline;
    case DUE_IDLE:
        return &host->idle_deadline;
    case DUE_WRITE:
        return &host->write_deadline;
    case DUE_BODY:
        return &host->body_deadline;
    case DUE_LINGER:
        return &host->linger_deadline;
    default:
        return NULL;
    }
}

static enum http1_due wanted(const struct http1 *c)
{
    if (c->starved || stream_queued(c->stream)) {
        return DUE_WRITE;
    }
    switch (c->in) {
    case IN_HEAD:
        return c->fresh || c->kept ? DUE_HEAD : DUE_IDLE;
    case IN_LENGTH:
    case IN_CHUNKED:
        if (!c->ex) {
            return DUE_HEAD; /* the rest of a body nobody wants may take as long as a head */
        }
        return c->host->body_rate ? DUE_BODY : DUE_NEVER;
    case IN_LINGER:
        return DUE_LINGER;
    default:
        return DUE_NEVER;
    }
}

static uint32_t unsent(const struct http1 *c)
{
    size_t size = stream_unsent(c->stream);
    return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

void http1_due_update(struct http1 *c)
{
    enum http1_due due = wanted(c);
    bool renewed = due == DUE_WRITE && c->progress;
    if (due == DUE_NEVER) {
        expiry_clear(&c->deadline);
    } else if (due != c->due || renewed) {
        expiry_set(list_of(c->host, due), &c->deadline);
        c->unsent = due == DUE_WRITE ? unsent(c) : 0;
    }
    c->due = (uint8_t)due;
    c->progress = false;
}

/* A budget: waiting costs what it lasts, bytes give back what they would take at the least rate. So a client may be
 * late by the grace, and by more after it was fast, but a stalled one is not carried for ever by what it once sent. */
static void tick_body(struct http1 *c)
{
    const struct http1_host *host = c->host;
    if (c->ex && exchange_waits_for_body(c->ex)) {
        uint64_t elapsed = host->body_deadline.duration + loop_now(c->stream->loop) - c->deadline.due;
        int64_t debt =
            c->body_debt_ms + (int64_t)(elapsed / 1000) - (int64_t)(c->body_recent * 1000ull / host->body_rate);
        debt = debt < -HTTP1_BODY_CREDIT_MS ? -HTTP1_BODY_CREDIT_MS : debt;
        if (debt > (int64_t)(host->body_grace / 1000)) {
            http1_body_fail(c, 408, "the body comes too slowly");
        }
        c->body_debt_ms = debt < INT32_MAX ? (int32_t)debt : INT32_MAX;
    }
    c->body_recent = 0;
}

static void late_head(struct http1 *c)
{
    if (c->in != IN_HEAD || c->fresh) {
        c->in = IN_DEAD;
        return;
    }
    struct http1_fault fault = { 408, http1_buffer_len(c->kept), "the head took too long" };
    http1_refuse(c, &fault);
}

/* Bytes that left without room for more are progress, too: then http1_leave sets the deadline anew. */
static void late_write(struct http1 *c)
{
    if (unsent(c) < c->unsent) {
        return;
    }
    c->reset = true;
    c->in = IN_DEAD;
    http1_tell_refused(c, &(struct http1_fault){ 0, 0, "the client does not take its response" });
}

static void on_due(struct expiry *item)
{
    struct http1 *c = LIST_ENTRY(item, struct http1, deadline);
    enum http1_due due = c->due;
    c->due = DUE_NEVER;
    http1_enter(c);
    switch (due) {
    case DUE_HEAD:
        late_head(c);
        break;
    case DUE_IDLE:
        http1_last_look(c);
        break;
    case DUE_BODY:
        tick_body(c);
        break;
    case DUE_WRITE:
        late_write(c);
        break;
    default:
        c->in = IN_DEAD;
        break;
    }
    http1_leave(c);
}

void http1_due_setup(struct http1_host *host, struct loop *loop, uint64_t head, uint64_t idle, uint64_t write)
{
    expiry_list_init(&host->head_deadline, loop, head, on_due);
    expiry_list_init(&host->idle_deadline, loop, idle, on_due);
    expiry_list_init(&host->write_deadline, loop, write, on_due);
    expiry_list_init(&host->body_deadline, loop, HTTP1_BODY_TICK_US, on_due);
    expiry_list_init(&host->linger_deadline, loop, HTTP1_LINGER_US, on_due);
}
