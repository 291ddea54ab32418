#include "stream_support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>

static void on_readable(void *owner)
{
    struct fixture *f = owner;
    f->readable++;
    if (f->close_in_event) {
        stream_close(f->stream, false);
        f->stream = NULL;
        return;
    }
    if (f->leave_unread) {
        return;
    }
    f->last_recv = stream_recv(f->stream, f->got + f->got_size, sizeof(f->got) - f->got_size);
    if (f->last_recv > 0) {
        f->got_size += (size_t)f->last_recv;
    } else if (f->last_recv != CASGI_EAGAIN) {
        stream_read(f->stream, false);
    }
}

static void on_writable(void *owner)
{
    ((struct fixture *)owner)->writable++;
}

static void on_failed(void *owner, int code)
{
    struct fixture *f = owner;
    f->failed++;
    f->failed_code = code;
}

static void on_departed(void *owner)
{
    ((struct fixture *)owner)->departed++;
}

static const struct stream_events events = {
    .readable = on_readable,
    .writable = on_writable,
    .failed = on_failed,
    .departed = on_departed,
};

static int setup_loop(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct loop_options options = { .stack_size = 0 };
    if (!f || loop_new(&options, &f->loop)) {
        free(f);
        return -1;
    }
    f->peer = -1;
    *state = f;
    return 0;
}

static int adopt(struct fixture *f, int mine, int peer)
{
    f->peer = peer;
    if (stream_open_fd(f->loop, mine, &f->stream)) {
        return -1;
    }
    stream_set_owner(f->stream, &events, f);
    return 0;
}

int setup_socketpair(void **state)
{
    int fds[2];
    if (setup_loop(state) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)) {
        return -1;
    }
    return adopt(*state, fds[0], fds[1]);
}

int setup_tcp(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (setup_loop(state) || listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&address, &size) || connect(peer, (struct sockaddr *)&address, size) ||
        fcntl(peer, F_SETFL, O_NONBLOCK)) {
        return -1;
    }
    int mine = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    close(listener);
    return adopt(*state, mine, peer);
}

int setup_pair(void **state)
{
    if (setup_loop(state)) {
        return -1;
    }
    struct fixture *f = *state;
    if (stream_open_pair(f->loop, 100, &f->stream, &f->other)) {
        return -1;
    }
    stream_set_owner(f->stream, &events, f);
    return 0;
}

int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->stream) {
        stream_close(f->stream, false);
    }
    if (f->other) {
        stream_close(f->other, false);
    }
    if (f->peer >= 0) {
        close(f->peer);
    }
    loop_free(f->loop);
    free(f);
    return 0;
}

void turns(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        (void)loop_turn(f->loop, false);
    }
}

void wait_until(struct fixture *f, const unsigned *counter, unsigned count)
{
    time_t end = time(NULL) + SECONDS_AT_MOST;
    while (*counter < count) {
        assert_true(time(NULL) < end);
        (void)loop_turn(f->loop, false);
    }
}

void wait_for_bytes(struct fixture *f, size_t size)
{
    time_t end = time(NULL) + SECONDS_AT_MOST;
    while (f->got_size < size) {
        assert_true(time(NULL) < end);
        (void)loop_turn(f->loop, false);
    }
}

int write_text(struct stream *stream, const char *text)
{
    struct iovec iov = { (char *)(uintptr_t)text, strlen(text) };
    return stream_write(stream, &iov, 1);
}

ssize_t write_some_text(struct stream *stream, const char *text)
{
    struct iovec iov = { (char *)(uintptr_t)text, strlen(text) };
    return stream_write_some(stream, &iov, 1);
}

size_t drain_peer(struct fixture *f, char *out, size_t capacity)
{
    size_t size = 0;
    ssize_t got;
    while (size < capacity && (got = recv(f->peer, out + size, capacity - size, 0)) > 0) {
        size += (size_t)got;
    }
    return size;
}

void small_buffers(struct fixture *f)
{
    int size = 4096;
    setsockopt(stream_fd(f->stream), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(f->peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}
