#include "protocol/http1.h"

#include "protocol/http1_impl.h"
#include "protocol/http1_section.h"

#include <stdlib.h>
#include <string.h>

static bool is_idle(const struct http1 *c)
{
    return c->in == IN_HEAD && !c->kept && !c->fin && !stream_queued(c->stream);
}

casgi_address_t http1_client(const struct http1 *c)
{
    return (casgi_address_t){ { c->client_len ? c->texts : NULL, c->client_len }, c->client_port, 0 };
}

/* ---- what becomes due when nobody is inside any more ---- */

static void destroy(struct http1 *c)
{
    struct http1_host *host = c->host;
    http1_orphan(c);
    stream_close(c->stream, c->reset);
    expiry_clear(&c->deadline);
    list_remove(&c->late.node);
    list_remove(&c->node);
    http1_buffer_free(&host->buffers, c->kept);
    if (host->closed) {
        host->closed(host, c);
    }
    exchange_lender_release(&c->lender); /* an exchange that goes on may still show the addresses */
}

static void begin_close(struct http1 *c)
{
    http1_buffer_free(&c->host->buffers, c->kept);
    c->kept = NULL;
    if (!c->reset && c->linger && !c->fin && stream_shutdown(c->stream) == 0) {
        c->in = IN_LINGER;
        c->body.left = HTTP1_LINGER_MOST;
    } else {
        c->in = !c->reset && stream_queued(c->stream) ? IN_FLUSH : IN_DEAD;
    }
}

void http1_enter(struct http1 *c)
{
    c->busy = true;
    stream_cork(c->stream);
}

void http1_leave(struct http1 *c)
{
    c->broken |= stream_uncork(c->stream) != 0;
    if (c->fin && c->in == IN_HEAD && !c->stalled) {
        c->in = IN_CLOSING; /* what it asked for whole is answered */
    }
    if (c->broken) {
        c->in = IN_DEAD;
    } else if (c->in == IN_CLOSING) {
        begin_close(c);
    }
    if (c->in == IN_DEAD) {
        destroy(c);
        return;
    }
    bool read = http1_wants_input(c);
    if (read != c->stream->reading) {
        stream_read(c->stream, read);
    }
    http1_due_update(c);
    c->busy = false;
    if (c->draining && is_idle(c)) {
        c->host->on_drained(c->host, c);
    }
}

void http1_soon(struct http1 *c)
{
    if (!c->busy) {
        loop_late(c->stream->loop, &c->late);
    }
}

/* ---- events ---- */

/* The client has ended its side (RFC 9112, section 9.6): what it asked for whole is still answered. */
static void on_end_of_input(struct http1 *c)
{
    c->fin = true;
    switch (c->in) {
    case IN_WHOLE:
        if (!c->parting) { /* else it was told */
            exchange_gone(c->ex, false);
        }
        break;
    case IN_LENGTH:
    case IN_CHUNKED:
        http1_orphan(c);
        c->in = IN_CLOSING;
        break;
    case IN_LINGER:
        c->in = stream_queued(c->stream) ? IN_FLUSH : IN_DEAD;
        break;
    default: /* HEAD: http1_leave closes */
        break;
    }
}

static void take_input(struct http1 *c, const char *data, size_t size)
{
    if (c->in == IN_LINGER) {
        if (c->body.left < size) {
            c->in = IN_DEAD;
        } else {
            c->body.left -= size;
        }
        return;
    }
    struct http1_window window = { data, size, { 0 } };
    if (c->kept) {
        c->kept->end += size;
        window = http1_kept_window(c);
    }
    http1_run(c, &window);
}

/* One recv, and what follows from it. */
static ssize_t receive(struct http1 *c)
{
    ssize_t size;
    size_t room;
    if (http1_body_receive(c, &size)) {
        return size;
    }
    char *to = http1_input_room(c, &room);
    if (!room) {
        c->in = IN_DEAD; /* out of memory */
        return CASGI_EAGAIN;
    }
    size = stream_recv(c->stream, to, room);
    c->more = size == (ssize_t)room;
    if (size > 0) {
        take_input(c, to, (size_t)size);
    }
    return size;
}

static void receive_once(struct http1 *c)
{
    ssize_t size = receive(c);
    if (size == 0) {
        on_end_of_input(c);
    } else if (size < 0 && size != CASGI_EAGAIN) {
        c->in = IN_DEAD;
    }
}

void http1_last_look(struct http1 *c)
{
    receive_once(c);
    if (is_idle(c)) {
        c->in = IN_DEAD;
    }
}

static void on_readable(void *owner)
{
    struct http1 *c = owner;
    http1_enter(c);
    receive_once(c);
    http1_leave(c);
}

/* Goes on with what waited for the exchange before it, or for room. */
static void go_on(struct http1 *c)
{
    if (c->kept) {
        struct http1_window window = http1_kept_window(c);
        http1_run(c, &window);
    }
}

static void on_writable(void *owner)
{
    struct http1 *c = owner;
    http1_enter(c);
    c->progress = true;
    c->stalled = false;
    if (c->starved) {
        c->starved = false;
        exchange_writable(c->ex);
    }
    if (c->in == IN_FLUSH) {
        c->in = IN_DEAD;
    } else if (c->in == IN_HEAD) {
        go_on(c);
    }
    http1_leave(c);
}

static void on_failed(void *owner, int code)
{
    struct http1 *c = owner;
    (void)code;
    http1_enter(c);
    c->in = IN_DEAD;
    http1_leave(c);
}

/* The client has ended its side behind bytes that are not received yet, as enough wait already. Who has heard of a
 * disconnect because the body is broken may still answer. */
static void on_departed(void *owner)
{
    struct http1 *c = owner;
    http1_enter(c);
    c->parting = true;
    if (c->in == IN_WHOLE && !c->body_bad) {
        exchange_gone(c->ex, false);
    }
    http1_leave(c);
}

static void on_late(struct loop_late *late)
{
    struct http1 *c = LIST_ENTRY(late, struct http1, late);
    http1_enter(c);
    if (c->in == IN_HEAD) {
        go_on(c);
    }
    http1_leave(c);
}

static const struct stream_events events = {
    .readable = on_readable,
    .writable = on_writable,
    .failed = on_failed,
    .departed = on_departed,
};

/* ---- the public functions ---- */

/* Where the worker does not say what happens to a connection that has drained. */
static void close_drained(struct http1_host *host, struct http1 *c)
{
    (void)host;
    http1_close(c);
}

void http1_host_init(struct http1_host *host, struct loop *loop, uint64_t head_timeout, uint64_t idle_timeout,
                     uint64_t write_timeout)
{
    http1_head_setup();
    host->buffers = (struct http1_buffers){ .count = { 0 } };
    host->defaults = (struct http1_defaults){ .text = NULL };
    http1_sections_init(&host->sections);
    http1_due_setup(host, loop, head_timeout, idle_timeout, write_timeout);
    if (!host->on_drained) {
        host->on_drained = close_drained;
    }
}

void http1_host_release(struct http1_host *host)
{
    expiry_list_release(&host->head_deadline);
    expiry_list_release(&host->idle_deadline);
    expiry_list_release(&host->write_deadline);
    expiry_list_release(&host->body_deadline);
    expiry_list_release(&host->linger_deadline);
    http1_buffers_release(&host->buffers);
    http1_sections_release(&host->sections);
    free(host->defaults.text);
    host->defaults = (struct http1_defaults){ .text = NULL };
}

static void copy_host(char *out, casgi_str_t host)
{
    if (host.len) {
        memcpy(out, host.ptr, host.len);
    }
    out[host.len] = '\0';
}

int http1_open(struct http1_host *host, struct stream *stream, casgi_address_t client, casgi_address_t server,
               struct list *node_list, struct http1 **out)
{
    struct http1 *c = NULL;
    if (client.host.len < UINT16_MAX && server.host.len < UINT16_MAX) {
        size_t size = offsetof(struct http1, texts) + client.host.len + server.host.len + 2;
        /* Never less than the struct: its last bits are read by the word. */
        c = calloc(1, size < sizeof(struct http1) ? sizeof(struct http1) : size);
    }
    if (!c) {
        return CASGI_ENOMEM;
    }
    c->lender.users = 1;
    c->host = host;
    c->stream = stream;
    c->fresh = true;
    c->client_port = client.port;
    c->server_port = server.port;
    c->client_len = (uint16_t)client.host.len;
    c->server_len = (uint16_t)server.host.len;
    copy_host(c->texts, client.host);
    copy_host(c->texts + client.host.len + 1, server.host);
    expiry_init(&c->deadline);
    list_init(&c->late.node);
    c->late.fn = on_late;
    list_init(&c->node);
    list_append(node_list, &c->node);
    stream_set_owner(stream, &events, c);
    stream_read(stream, true);
    http1_due_update(c);
    *out = c;
    return 0;
}

void http1_resume(struct http1 *connection)
{
    connection->fresh = false;
    http1_due_update(connection);
}

bool http1_idle(const struct http1 *connection)
{
    return !connection->busy && is_idle(connection);
}

int http1_fd(const struct http1 *connection)
{
    return http1_idle(connection) ? stream_fd(connection->stream) : -1;
}

void http1_drain(struct http1 *connection)
{
    connection->draining = true;
    if (!connection->busy && is_idle(connection)) {
        http1_enter(connection);
        http1_last_look(connection);
        http1_leave(connection);
    }
}

void http1_close(struct http1 *connection)
{
    connection->in = IN_DEAD;
    if (!connection->busy) {
        destroy(connection);
    }
}

struct http1 *http1_from_node(struct list *node)
{
    return LIST_ENTRY(node, struct http1, node);
}
