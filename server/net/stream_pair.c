/* Two streams in memory, each the other's peer, for tests: no descriptor, no kernel, a capacity that is exact. */
#include "net/stream.h"

#include "net/stream_kind.h"

#include <stdlib.h>
#include <string.h>

/* Bytes on their way to one end. */
struct pipe {
    char *data;
    size_t capacity;
    size_t start;
    size_t size;
    bool ended; /* the sender has shut down or closed */
    bool reset; /* the sender has closed with a reset */
};

struct pair_stream {
    struct stream base;
    uv_idle_t idle;           /* active while there is something to tell: level-triggered, once a turn, as epoll */
    struct pair_stream *peer; /* NULL: closed */
    struct pipe in;
};

static struct pair_stream *pair_stream_of(const struct stream *stream)
{
    return (struct pair_stream *)(void *)(uintptr_t)stream;
}

static size_t room(const struct pipe *pipe)
{
    return pipe->capacity - pipe->size;
}

static size_t pipe_put(struct pipe *pipe, const char *data, size_t size)
{
    size_t taken = size < room(pipe) ? size : room(pipe);
    for (size_t i = 0; i < taken; i++) {
        pipe->data[(pipe->start + pipe->size + i) % pipe->capacity] = data[i];
    }
    pipe->size += taken;
    return taken;
}

static size_t pipe_get(struct pipe *pipe, char *data, size_t size)
{
    size_t taken = size < pipe->size ? size : pipe->size;
    for (size_t i = 0; i < taken; i++) {
        data[i] = pipe->data[(pipe->start + i) % pipe->capacity];
    }
    pipe->start = (pipe->start + taken) % pipe->capacity;
    pipe->size -= taken;
    return taken;
}

static bool dead(const struct pair_stream *self)
{
    return self->in.reset;
}

static bool is_readable(const struct pair_stream *self)
{
    return self->in.size || self->in.ended;
}

static bool is_writable(const struct pair_stream *self)
{
    return !self->peer || room(&self->peer->in);
}

/* The peer's end, which nobody sees as nothing is received. */
static bool is_departing(const struct pair_stream *self)
{
    return self->in.ended && !dead(self) && stream_looks_away(&self->base);
}

static bool something_to_tell(const struct pair_stream *self)
{
    return (self->base.reading && is_readable(self)) || (self->base.writing && is_writable(self)) ||
           (dead(self) && !self->base.error) || is_departing(self);
}

static void on_idle(uv_idle_t *idle);

/* Starts or stops the telling. */
static void update(struct pair_stream *self)
{
    if (uv_is_closing((uv_handle_t *)&self->idle)) {
        return;
    }
    if (something_to_tell(self)) {
        (void)uv_idle_start(&self->idle, on_idle);
    } else {
        (void)uv_idle_stop(&self->idle);
    }
}

static void on_idle(uv_idle_t *idle)
{
    struct pair_stream *self = idle->data;
    if (dead(self) && !self->base.reading) {
        stream_on_death(&self->base, CASGI_EDISCONNECTED);
    } else if (self->base.reading && is_readable(self)) {
        self->base.events->readable(self->base.owner);
    } else if (is_departing(self)) {
        stream_on_departure(&self->base);
    }
    if (!uv_is_closing((uv_handle_t *)idle) && self->base.writing && is_writable(self)) {
        stream_on_room(&self->base);
    }
    update(self);
}

static ssize_t on_recv(struct stream *stream, void *data, size_t size)
{
    struct pair_stream *self = pair_stream_of(stream);
    if (dead(self)) {
        return CASGI_EDISCONNECTED;
    }
    if (!self->in.size) {
        return self->in.ended ? 0 : CASGI_EAGAIN;
    }
    size_t got = pipe_get(&self->in, data, size);
    update(self);
    if (self->peer) {
        update(self->peer);
    }
    return (ssize_t)got;
}

static ssize_t on_send(struct stream *stream, const struct iovec *iov, int count)
{
    struct pair_stream *self = pair_stream_of(stream);
    if (!self->peer || dead(self)) {
        return CASGI_EDISCONNECTED;
    }
    size_t sent = 0;
    for (int i = 0; i < count; i++) {
        sent += pipe_put(&self->peer->in, iov[i].iov_base, iov[i].iov_len);
    }
    update(self->peer);
    return sent ? (ssize_t)sent : CASGI_EAGAIN;
}

static int on_watch(struct stream *stream)
{
    update(pair_stream_of(stream));
    return 0;
}

static int on_shutdown(struct stream *stream)
{
    struct pair_stream *self = pair_stream_of(stream);
    if (self->peer) {
        self->peer->in.ended = true;
        update(self->peer);
    }
    return 0;
}

static size_t on_unsent(const struct stream *stream)
{
    struct pair_stream *self = pair_stream_of(stream);
    return self->peer ? self->peer->in.size : 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct pair_stream *self = handle->data;
    free(self->in.data);
    free(self);
}

static void on_close(struct stream *stream, bool reset)
{
    struct pair_stream *self = pair_stream_of(stream);
    if (self->peer) {
        self->peer->in.ended = true;
        self->peer->in.reset = reset;
        self->peer->peer = NULL;
        update(self->peer);
    }
    uv_close((uv_handle_t *)&self->idle, on_closed);
}

static int on_fd(const struct stream *stream)
{
    (void)stream;
    return -1;
}

static const struct stream_ops pair_ops = {
    .recv = on_recv,
    .send = on_send,
    .watch = on_watch,
    .shutdown = on_shutdown,
    .unsent = on_unsent,
    .close = on_close,
    .fd = on_fd,
};

static struct pair_stream *pair_stream_new(struct loop *loop, size_t capacity)
{
    struct pair_stream *self = calloc(1, sizeof(*self));
    if (!self) {
        return NULL;
    }
    self->in.data = malloc(capacity);
    if (!self->in.data) {
        free(self);
        return NULL;
    }
    self->in.capacity = capacity;
    self->base = (struct stream){ .ops = &pair_ops, .loop = loop };
    (void)uv_idle_init(loop_uv(loop), &self->idle);
    self->idle.data = self;
    return self;
}

int stream_open_pair(struct loop *loop, size_t capacity, struct stream **out_a, struct stream **out_b)
{
    struct pair_stream *a = pair_stream_new(loop, capacity);
    struct pair_stream *b = a ? pair_stream_new(loop, capacity) : NULL;
    if (!b) {
        if (a) {
            stream_close(&a->base, false);
        }
        return CASGI_ENOMEM;
    }
    a->peer = b;
    b->peer = a;
    *out_a = &a->base;
    *out_b = &b->base;
    return 0;
}
