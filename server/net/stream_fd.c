/* A stream over a socket: libuv's poll tells of readiness, recv and send are our own. */
#include "net/stream.h"

#include "base/error.h"
#include "net/stream_kind.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* Starting a uv_poll costs two system calls, so what is watched only grows on demand: an event nobody wants any more
 * takes it back. With nothing to watch HOLD keeps the socket registered, as epoll then still tells of a reset. */
enum { HOLD = UV_PRIORITIZED };

struct fd_stream {
    struct stream base;
    uv_poll_t poll;
    int fd;
    int watched; /* uv_poll_event bits */
};

static struct fd_stream *fd_stream_of(const struct stream *stream)
{
    return (struct fd_stream *)(void *)(uintptr_t)stream;
}

static int wanted(const struct fd_stream *self)
{
    int events = (self->base.reading ? UV_READABLE : 0) | (self->base.writing ? UV_WRITABLE : 0) |
                 (stream_looks_away(&self->base) ? UV_DISCONNECT : 0);
    return events ? events : HOLD;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static int watch(struct fd_stream *self, int events)
{
    if (self->watched == events) {
        return 0;
    }
    int rc = uv_poll_start(&self->poll, events, on_poll);
    if (rc) {
        return error_from_errno(-rc);
    }
    self->watched = events;
    return 0;
}

static int socket_error(const struct fd_stream *self)
{
    int number = 0;
    socklen_t size = sizeof(number);
    if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &number, &size) || !number) {
        return CASGI_EDISCONNECTED; /* both sides have ended */
    }
    return error_from_errno(number);
}

/* The socket has an error or is hung up, and libuv has stopped watching it or would tell of it for ever. */
static void on_hangup(struct fd_stream *self)
{
    (void)uv_poll_stop(&self->poll);
    self->watched = 0;
    if (!self->base.reading || self->base.error) {
        stream_on_death(&self->base, self->base.error ? self->base.error : socket_error(self));
        return;
    }
    self->base.events->readable(self->base.owner); /* there may be bytes before the error */
    if (!uv_is_closing((uv_handle_t *)&self->poll) && !self->base.error) {
        (void)watch(self, wanted(self));
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct fd_stream *self = poll->data;
    if (status < 0 || (events & HOLD)) {
        on_hangup(self);
        return;
    }
    if (events & UV_READABLE && self->base.reading) {
        self->base.events->readable(self->base.owner);
    }
    if (events & UV_WRITABLE && self->base.writing && !uv_is_closing((uv_handle_t *)poll)) {
        stream_on_room(&self->base);
        return;
    }
    if (events & UV_DISCONNECT && stream_looks_away(&self->base) && !uv_is_closing((uv_handle_t *)poll)) {
        stream_on_departure(&self->base);
    }
    if (!uv_is_closing((uv_handle_t *)poll) && (events & ~wanted(self))) {
        (void)watch(self, wanted(self));
    }
}

static int on_watch(struct stream *stream)
{
    struct fd_stream *self = fd_stream_of(stream);
    int missing = wanted(self) & ~self->watched;
    return missing && !stream->error ? watch(self, (self->watched & ~HOLD) | missing) : 0;
}

static ssize_t on_recv(struct stream *stream, void *data, size_t size)
{
    ssize_t got;
    do {
        got = recv(fd_stream_of(stream)->fd, data, size, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? error_from_errno(errno) : got;
}

static ssize_t on_send(struct stream *stream, const struct iovec *iov, int count)
{
    struct fd_stream *self = fd_stream_of(stream);
    ssize_t sent;
    do {
        if (count == 1) {
            sent = send(self->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
        } else {
            struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
            sent = sendmsg(self->fd, &message, MSG_NOSIGNAL);
        }
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? error_from_errno(errno) : sent;
}

static ssize_t on_sendfile(struct stream *stream, int file, int64_t *offset, size_t count)
{
    ssize_t sent;
    off_t at = (off_t)*offset;
    do {
        sent = sendfile(fd_stream_of(stream)->fd, file, &at, count);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EINVAL ? CASGI_ENOTSUP : error_from_errno(errno);
    }
    *offset = at;
    return sent ? sent : CASGI_EEOF;
}

static int on_shutdown(struct stream *stream)
{
    return shutdown(fd_stream_of(stream)->fd, SHUT_WR) ? error_from_errno(errno) : 0;
}

static size_t on_unsent(const struct stream *stream)
{
    int size = 0;
    return ioctl(fd_stream_of(stream)->fd, SIOCOUTQ, &size) || size < 0 ? 0 : (size_t)size;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* The socket may live on in another process (an idle connection handed over): libuv takes it out of epoll before it is
 * closed here, and nothing shuts it down. */
static void on_close(struct stream *stream, bool reset)
{
    struct fd_stream *self = fd_stream_of(stream);
    uv_close((uv_handle_t *)&self->poll, on_closed);
    if (reset) {
        struct linger now = { .l_onoff = 1, .l_linger = 0 };
        (void)setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    (void)close(self->fd);
}

static int on_fd(const struct stream *stream)
{
    return fd_stream_of(stream)->fd;
}

static const struct stream_ops fd_ops = {
    .recv = on_recv,
    .send = on_send,
    .sendfile = on_sendfile,
    .watch = on_watch,
    .shutdown = on_shutdown,
    .unsent = on_unsent,
    .close = on_close,
    .fd = on_fd,
};

int stream_open_fd(struct loop *loop, int fd, struct stream **out_stream)
{
    struct fd_stream *self = calloc(1, sizeof(*self));
    if (!self) {
        return CASGI_ENOMEM;
    }
    int rc = uv_poll_init(loop_uv(loop), &self->poll, fd);
    if (rc) {
        free(self);
        return error_from_errno(-rc);
    }
    self->base = (struct stream){ .ops = &fd_ops, .loop = loop };
    self->poll.data = self;
    self->fd = fd;
    *out_stream = &self->base;
    return 0;
}
