/* Streams. A stream that is closed while a task is in one of its calls lives until that call has left (users). */
#include "runtime/socket.h"

#include "base/error.h"
#include "runtime/internal.h"
#include "runtime/socket_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECES_MAX = 16,       /* of one system call */
    CHUNK = 4096,          /* read ahead by read_until */
    KEPT_CAPACITY = 16384, /* a larger read-ahead buffer is given back when it is empty */
    UNTIL_DEFAULT = 65536, /* limit of read_until */
};

int socket_error(int number)
{
    /* The task's deadline has not passed when the peer's time is over. */
    return number == ETIMEDOUT ? CASGI_ESYSTEM(ETIMEDOUT) : error_from_errno(number);
}

/* ---- plain ---- */

static void close_descriptor(struct casgi_stream *stream)
{
    if (stream->fd >= 0) {
        fd_watch_close(&stream->watch);
        (void)close(stream->fd);
        stream->fd = -1;
    }
}

static ssize_t plain_read(struct casgi_stream *stream, void *data, size_t size, uint32_t *out_wants)
{
    ssize_t n;
    *out_wants = CASGI_FD_READABLE;
    if (!(stream->watch.ready & CASGI_FD_READABLE)) {
        return CASGI_EAGAIN;
    }
    do {
        n = stream->kind == SOCKET_PIPE ? read(stream->fd, data, size) : recv(stream->fd, data, size, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return stream->kind == SOCKET_PIPE && errno == EIO ? 0
                                                           : socket_error(errno); /* a terminal's other side is gone */
    }
    if (n > 0 && (size_t)n < size && stream->kind == SOCKET_TCP) {
        fd_watch_clear(&stream->watch, CASGI_FD_READABLE); /* epoll(7): TCP had no more; an event will come */
    }
    return n;
}

static ssize_t plain_write(struct casgi_stream *stream, const struct iovec *pieces, int count, uint32_t *out_wants)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count };
    ssize_t n;
    *out_wants = CASGI_FD_WRITABLE;
    if (!(stream->watch.ready & CASGI_FD_WRITABLE)) {
        return CASGI_EAGAIN;
    }
    do {
        n = stream->kind == SOCKET_PIPE ? writev(stream->fd, pieces, count)
                                        : sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? socket_error(errno) : n;
}

static int plain_shutdown(struct casgi_stream *stream, uint32_t *out_wants)
{
    (void)out_wants;
    if (stream->kind != SOCKET_PIPE) {
        return shutdown(stream->fd, SHUT_WR) ? socket_error(errno) : 0;
    }
    close_descriptor(stream); /* the only way to end one */
    return 0;
}

static const struct socket_transport plain = { .read = plain_read, .write = plain_write, .shutdown = plain_shutdown };

/* ---- life ---- */

int socket_new(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int socket_adopt(struct loop *loop, int fd, enum socket_kind kind, uint32_t ready, struct casgi_stream **out_stream)
{
    int one = 1;
    struct casgi_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return CASGI_ENOMEM;
    }
    int rc = fd_watch_open(loop, fd, ready, &stream->watch);
    if (rc) {
        free(stream);
        return rc;
    }
    if (kind == SOCKET_TCP) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    stream->fd = fd;
    stream->kind = kind;
    stream->transport = &plain;
    *out_stream = stream;
    return 0;
}

static enum socket_kind kind_of(int fd)
{
    int family = 0, type = 0;
    socklen_t size = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size)) {
        return SOCKET_PIPE;
    }
    size = sizeof(int);
    (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return type == SOCK_STREAM && (family == AF_INET || family == AF_INET6) ? SOCKET_TCP : SOCKET_OTHER;
}

int socket_open(struct loop *loop, int fd, struct casgi_stream **out_stream)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
        return error_from_errno(errno);
    }
    return socket_adopt(loop, fd, kind_of(fd), CASGI_FD_READABLE | CASGI_FD_WRITABLE, out_stream);
}

static void stream_free(struct casgi_stream *stream)
{
    if (stream->transport->free) {
        stream->transport->free(stream);
    }
    buf_release(&stream->in);
    free(stream->host);
    free(stream->names);
    free(stream);
}

void socket_close(struct casgi_stream *stream)
{
    if (!stream) {
        return;
    }
    if (stream->transport->close && stream->fd >= 0) {
        stream->transport->close(stream);
    }
    close_descriptor(stream);
    stream->closed = true;
    if (!stream->users) {
        stream_free(stream);
    }
}

int socket_enter(struct casgi_stream *stream, bool read, bool write)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(task);
    if (rc) {
        return rc;
    }
    if ((read && stream->reading) || (write && stream->writing)) {
        return CASGI_EBUSY;
    }
    if (stream->fd < 0 || (write && (stream->cut || stream->ended))) {
        return CASGI_ECLOSED;
    }
    stream->users++;
    stream->reading |= read;
    stream->writing |= write;
    return 0;
}

void socket_leave(struct casgi_stream *stream, bool read, bool write)
{
    stream->reading &= !read;
    stream->writing &= !write;
    if (--stream->users == 0 && stream->closed) {
        stream_free(stream);
    }
}

int socket_wait(struct casgi_stream *stream, uint32_t wants)
{
    fd_watch_clear(&stream->watch, wants);
    return fd_watch_wait(&stream->watch, wants, TASK_WAIT_SOCKET);
}

/* ---- reading ---- */

ssize_t socket_read_some(struct casgi_stream *stream, void *data, size_t size)
{
    while (stream->fd >= 0) {
        uint32_t wants = 0;
        ssize_t n = stream->transport->read(stream, data, size, &wants);
        if (n != CASGI_EAGAIN) {
            fd_watch_fair(&stream->watch);
            return n;
        }
        int rc = socket_wait(stream, wants);
        if (rc) {
            return rc;
        }
    }
    return CASGI_ECLOSED;
}

/* Undoes what read_until left in the read-ahead, and gives memory back that is not needed. */
static void tidy(struct casgi_stream *stream)
{
    if (stream->hidden) {
        *stream->hidden = stream->hidden_byte;
        stream->hidden = NULL;
    }
    if (!buf_len(&stream->in) && stream->in.capacity > KEPT_CAPACITY) {
        buf_release(&stream->in);
    }
}

static size_t take_read_ahead(struct casgi_stream *stream, void *data, size_t size)
{
    size_t there = buf_len(&stream->in);
    size_t taken = there < size ? there : size;
    if (taken) {
        memcpy(data, buf_bytes(&stream->in), taken);
        buf_consume(&stream->in, taken);
    }
    return taken;
}

static int read_any(struct casgi_stream *stream, void *data, size_t size, size_t *out_size)
{
    size_t taken = take_read_ahead(stream, data, size);
    if (!taken && size) {
        ssize_t n = socket_read_some(stream, data, size);
        if (n <= 0) {
            return n ? (int)n : CASGI_EEOF;
        }
        taken = (size_t)n;
    }
    *out_size = taken;
    return 0;
}

int socket_read(struct casgi_stream *stream, void *data, size_t size, size_t *out_size)
{
    int rc = socket_enter(stream, true, false);
    if (rc) {
        return rc;
    }
    tidy(stream);
    rc = read_any(stream, data, size, out_size);
    socket_leave(stream, true, false);
    return rc;
}

/* Bytes that were read for a call that failed. The read-ahead is empty. */
static void put_back(struct casgi_stream *stream, const void *data, size_t size)
{
    char *to = stream->fd >= 0 && size ? buf_reserve(&stream->in, size + 1) : NULL;
    if (to) {
        memcpy(to, data, size);
        buf_commit(&stream->in, size);
    }
}

int socket_read_exactly(struct casgi_stream *stream, void *data, size_t size)
{
    int rc = socket_enter(stream, true, false);
    if (rc) {
        return rc;
    }
    tidy(stream);
    size_t done = take_read_ahead(stream, data, size);
    while (!rc && done < size) {
        ssize_t n = socket_read_some(stream, (char *)data + done, size - done);
        done += n > 0 ? (size_t)n : 0;
        rc = n > 0 ? 0 : n ? (int)n : CASGI_EEOF;
    }
    if (rc) {
        put_back(stream, data, done);
    }
    socket_leave(stream, true, false);
    return rc;
}

static int read_ahead(struct casgi_stream *stream)
{
    char *to = buf_reserve(&stream->in, CHUNK + 1); /* one more: for read_until's NUL */
    if (!to) {
        return CASGI_ENOMEM;
    }
    ssize_t n = socket_read_some(stream, to, CHUNK);
    if (n <= 0) {
        return n ? (int)n : CASGI_EEOF;
    }
    buf_commit(&stream->in, (size_t)n);
    return 0;
}

/* The length up to and with `end`; 0: it is not there. `searched` bytes need not be looked at again. */
static size_t find_end(const struct buf *in, size_t searched, const char *end, size_t end_size)
{
    size_t from = searched >= end_size ? searched - end_size + 1 : 0;
    if (buf_len(in) <= from) {
        return 0;
    }
    const char *found = memmem(buf_bytes(in) + from, buf_len(in) - from, end, end_size);
    return found ? (size_t)(found - buf_bytes(in)) + end_size : 0;
}

static void hand_out(struct casgi_stream *stream, size_t size, casgi_str_t *out_text)
{
    *out_text = (casgi_str_t){ buf_bytes(&stream->in), size };
    stream->hidden = buf_bytes(&stream->in) + size;
    stream->hidden_byte = *stream->hidden;
    *stream->hidden = '\0';
    buf_consume(&stream->in, size);
}

static int search(struct casgi_stream *stream, const char *end, size_t end_size, size_t limit, casgi_str_t *out_text)
{
    size_t searched = 0;
    for (;;) {
        size_t size = find_end(&stream->in, searched, end, end_size);
        if (size && size <= limit) {
            hand_out(stream, size, out_text);
            return 0;
        }
        searched = buf_len(&stream->in);
        if (size || searched >= limit) {
            return CASGI_ETOOBIG;
        }
        int rc = read_ahead(stream);
        if (rc) {
            return rc;
        }
    }
}

int socket_read_until(struct casgi_stream *stream, const char *end, size_t end_size, size_t limit,
                      casgi_str_t *out_text)
{
    int rc = end_size ? socket_enter(stream, true, false) : CASGI_EINVAL;
    if (rc) {
        return rc;
    }
    tidy(stream);
    rc = search(stream, end, end_size, limit ? limit : UNTIL_DEFAULT, out_text);
    socket_leave(stream, true, false);
    return rc;
}

/* ---- writing ---- */

/* Where a write of several pieces has got to. */
struct progress {
    const casgi_str_t *pieces;
    size_t count;
    size_t skip; /* bytes of the first that are gone */
};

static int gather(const struct progress *at, struct iovec iov[static PIECES_MAX])
{
    int count = 0;
    for (size_t i = 0; i < at->count && count < PIECES_MAX; i++) {
        size_t skip = i ? 0 : at->skip;
        if (at->pieces[i].len > skip) {
            iov[count++] = (struct iovec){ (void *)(uintptr_t)(at->pieces[i].ptr + skip), at->pieces[i].len - skip };
        }
    }
    return count;
}

static void advance(struct progress *at, size_t size)
{
    size += at->skip;
    while (at->count && size >= at->pieces->len) {
        size -= at->pieces->len;
        at->pieces++;
        at->count--;
    }
    at->skip = size;
}

static int write_all(struct casgi_stream *stream, struct progress *at, bool *out_begun)
{
    struct iovec iov[PIECES_MAX];
    for (int count; (count = gather(at, iov));) {
        uint32_t wants = 0;
        ssize_t n = stream->transport->write(stream, iov, count, &wants);
        if (n >= 0) {
            *out_begun = true;
            advance(at, (size_t)n);
            fd_watch_fair(&stream->watch);
        }
        *out_begun |= n == CASGI_EAGAIN && stream->transport->gathers;
        int rc = n >= 0 ? 0 : n != CASGI_EAGAIN ? (int)n : socket_wait(stream, wants);
        if (rc || stream->fd < 0) {
            return rc ? rc : CASGI_ECLOSED; /* closed while others had their turn */
        }
    }
    return 0;
}

int socket_write_pieces(struct casgi_stream *stream, const casgi_str_t *pieces, size_t count)
{
    struct progress at = { .pieces = pieces, .count = count };
    bool begun = false;
    int rc = socket_enter(stream, false, true);
    if (rc) {
        return rc;
    }
    rc = write_all(stream, &at, &begun);
    stream->cut |= rc && begun;
    socket_leave(stream, false, true);
    return rc;
}

int socket_write(struct casgi_stream *stream, const void *data, size_t size)
{
    casgi_str_t piece = { data, size };
    return socket_write_pieces(stream, &piece, 1);
}

int socket_shutdown(struct casgi_stream *stream)
{
    int rc = socket_enter(stream, false, true);
    if (rc) {
        return rc;
    }
    stream->ended = true;
    for (uint32_t wants = 0; (rc = stream->transport->shutdown(stream, &wants)) == CASGI_EAGAIN;) {
        rc = socket_wait(stream, wants);
        if (rc) {
            break;
        }
    }
    socket_leave(stream, false, true);
    return rc;
}

int socket_descriptor(const struct casgi_stream *stream)
{
    return stream->fd;
}
