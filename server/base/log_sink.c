#include "base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { POLLED_CHUNK = 512 };

/* The same pipe or terminal, not blocking, for us alone; -1: not possible. */
static int reopen(int fd)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static enum log_sink_kind open_own(int fd, int *out_fd)
{
    struct stat status;
    if (fstat(fd, &status)) {
        return SINK_NONE;
    }
    if (S_ISFIFO(status.st_mode) || isatty(fd)) {
        *out_fd = reopen(fd);
        if (*out_fd >= 0) {
            return SINK_STREAM;
        }
    }
    *out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (*out_fd < 0) {
        return SINK_NONE;
    }
    if (S_ISSOCK(status.st_mode)) {
        return SINK_SOCKET;
    }
    return S_ISFIFO(status.st_mode) || isatty(fd) ? SINK_POLLED : SINK_FILE;
}

void log_sink_open(struct log_sink *sink, int fd)
{
    int own = -1;
    enum log_sink_kind kind = open_own(fd, &own);
    if (sink->kind != SINK_NONE) {
        log_sink_flush(sink);
        (void)close(sink->fd);
    }
    sink->kind = kind;
    sink->fd = own;
    sink->terminal = own >= 0 && isatty(own);
}

static uint64_t count_lines(const char *data, size_t size)
{
    uint64_t count = 0;
    const char *end = data + size;
    for (const char *at = data; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
        count++;
    }
    return count;
}

static void empty(struct log_sink *sink)
{
    sink->start = sink->end = 0;
    sink->told = 0;
    atomic_store_explicit(&sink->filled, false, memory_order_relaxed);
}

/* The descriptor does not take it: all lines are lost, and with them what notices told of. */
static void lose_all(struct log_sink *sink)
{
    uint64_t lines = count_lines(sink->data + sink->start, sink->end - sink->start);
    sink->lost += sink->told ? lines + sink->told - 1 : lines;
    empty(sink);
}

static void move_to_front(struct log_sink *sink)
{
    size_t size = sink->end - sink->start;
    memmove(sink->data, sink->data + sink->start, size);
    sink->start = 0;
    sink->end = size;
}

static bool has_room(struct log_sink *sink, size_t size)
{
    if (LOG_SINK_SIZE - sink->end < size && sink->start >= LOG_SINK_SIZE / 4) {
        move_to_front(sink);
    }
    return LOG_SINK_SIZE - sink->end >= size;
}

char *log_sink_reserve(struct log_sink *sink, size_t size)
{
    if (sink->kind == SINK_NONE || !has_room(sink, size + 1)) {
        sink->lost++;
        return NULL;
    }
    if (sink->broken_line && sink->start == sink->end) {
        sink->data[sink->end++] = '\n';
        sink->broken_line = false;
    }
    return sink->data + sink->end;
}

void log_sink_commit(struct log_sink *sink, size_t size)
{
    sink->end += size;
    atomic_store_explicit(&sink->filled, true, memory_order_relaxed);
}

/* How much to write at once: whole lines, as many as fit into `limit`; a single line that does not, in parts. */
static size_t chunk(const struct log_sink *sink, size_t limit)
{
    size_t size = sink->end - sink->start;
    if (size <= limit) {
        return size;
    }
    const char *data = sink->data + sink->start;
    const char *last = memrchr(data, '\n', limit);
    return last ? (size_t)(last - data) + 1 : limit;
}

static bool writable(int fd, int milliseconds)
{
    struct pollfd item = { .fd = fd, .events = POLLOUT };
    return poll(&item, 1, milliseconds) > 0;
}

static ssize_t write_some(struct log_sink *sink)
{
    const char *data = sink->data + sink->start;
    switch (sink->kind) {
    case SINK_SOCKET:
        return send(sink->fd, data, sink->end - sink->start, MSG_DONTWAIT | MSG_NOSIGNAL);
    case SINK_STREAM:
        return write(sink->fd, data, chunk(sink, PIPE_BUF));
    case SINK_POLLED:
        if (!writable(sink->fd, 0)) {
            errno = EAGAIN;
            return -1;
        }
        return write(sink->fd, data, chunk(sink, POLLED_CHUNK));
    default:
        return write(sink->fd, data, sink->end - sink->start);
    }
}

void log_sink_flush(struct log_sink *sink)
{
    int saved = errno;
    while (sink->start < sink->end) {
        ssize_t written = write_some(sink);
        if (written > 0) {
            sink->start += (size_t)written;
            sink->broken_line = sink->data[sink->start - 1] != '\n';
        } else if (written < 0 && errno != EAGAIN && errno != EINTR) {
            lose_all(sink);
        } else if (written == 0 || errno == EAGAIN) {
            break;
        }
    }
    if (sink->start == sink->end) {
        empty(sink);
    }
    errno = saved;
}

void log_sink_drain(struct log_sink *sink, int milliseconds)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + milliseconds;
    for (;;) {
        log_sink_flush(sink);
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t left = end - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
        if (sink->start == sink->end || left <= 0) {
            return;
        }
        (void)writable(sink->fd, (int)left);
    }
}
