/* Streams over a socketpair, over TCP on the loopback, and in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS_AT_MOST = 30 };

/* A stream and what its owner heard; the peer is a plain socket (fd) or another stream. */
struct fixture {
    struct loop *loop;
    struct stream *stream;
    int peer;             /* -1: closed */
    struct stream *other; /* of a pair */
    unsigned readable;
    unsigned writable;
    unsigned failed;
    int failed_code;
    char got[4096]; /* what readable received */
    size_t got_size;
    ssize_t last_recv;
    bool leave_unread;   /* readable receives nothing */
    bool close_in_event; /* readable closes the stream */
};

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

static const struct stream_events events = { .readable = on_readable, .writable = on_writable, .failed = on_failed };

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

static int setup_socketpair(void **state)
{
    int fds[2];
    if (setup_loop(state) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)) {
        return -1;
    }
    return adopt(*state, fds[0], fds[1]);
}

static int setup_tcp(void **state)
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

static int setup_pair(void **state)
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

static int teardown(void **state)
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

#define SOCKET_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_socketpair, teardown)
#define TCP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_tcp, teardown)
#define PAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_pair, teardown)

static void turns(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        (void)loop_turn(f->loop, false);
    }
}

/* Turns the loop until the count is reached. */
static void wait_until(struct fixture *f, const unsigned *counter, unsigned count)
{
    time_t end = time(NULL) + SECONDS_AT_MOST;
    while (*counter < count) {
        assert_true(time(NULL) < end);
        (void)loop_turn(f->loop, false);
    }
}

static void wait_for_bytes(struct fixture *f, size_t size)
{
    time_t end = time(NULL) + SECONDS_AT_MOST;
    while (f->got_size < size) {
        assert_true(time(NULL) < end);
        (void)loop_turn(f->loop, false);
    }
}

static int write_text(struct stream *stream, const char *text)
{
    struct iovec iov = { (char *)(uintptr_t)text, strlen(text) };
    return stream_write(stream, &iov, 1);
}

static ssize_t write_some_text(struct stream *stream, const char *text)
{
    struct iovec iov = { (char *)(uintptr_t)text, strlen(text) };
    return stream_write_some(stream, &iov, 1);
}

/* What the peer can receive now; the size. */
static size_t drain_peer(struct fixture *f, char *out, size_t capacity)
{
    size_t size = 0;
    ssize_t got;
    while (size < capacity && (got = recv(f->peer, out + size, capacity - size, 0)) > 0) {
        size += (size_t)got;
    }
    return size;
}

static void small_buffers(struct fixture *f)
{
    int size = 4096;
    setsockopt(stream_fd(f->stream), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(f->peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

/* ---- reading ---- */

static void test_stream__bytes_are_received_when_readable(void **state)
{
    struct fixture *f = *state;
    stream_read(f->stream, true);
    assert_int_equal(send(f->peer, "hello", 5, 0), 5);
    wait_for_bytes(f, 5);
    assert_memory_equal(f->got, "hello", 5);
}

static void test_stream__reading_off_is_not_told(void **state)
{
    struct fixture *f = *state;
    stream_read(f->stream, true);
    assert_int_equal(send(f->peer, "one", 3, 0), 3);
    wait_for_bytes(f, 3);
    stream_read(f->stream, false);
    assert_int_equal(send(f->peer, "two", 3, 0), 3);
    turns(f, 10);
    assert_int_equal(f->got_size, 3);
    stream_read(f->stream, true);
    wait_for_bytes(f, 6);
    assert_memory_equal(f->got, "onetwo", 6);
}

static void test_stream__what_is_left_unread_is_told_again(void **state)
{
    struct fixture *f = *state;
    f->leave_unread = true;
    stream_read(f->stream, true);
    assert_int_equal(send(f->peer, "x", 1, 0), 1);
    wait_until(f, &f->readable, 3);
}

static void test_stream__end_of_the_peer_is_zero(void **state)
{
    struct fixture *f = *state;
    stream_read(f->stream, true);
    f->last_recv = 1;
    shutdown(f->peer, SHUT_WR);
    wait_until(f, &f->readable, 1);
    assert_int_equal(f->last_recv, 0);
}

static void test_stream__nothing_there_is_eagain(void **state)
{
    struct fixture *f = *state;
    char byte;
    assert_int_equal(stream_recv(f->stream, &byte, 1), CASGI_EAGAIN);
}

static void test_stream__closing_in_an_event_is_safe(void **state)
{
    struct fixture *f = *state;
    f->close_in_event = true;
    stream_read(f->stream, true);
    assert_int_equal(send(f->peer, "x", 1, 0), 1);
    wait_until(f, &f->readable, 1);
    turns(f, 5);
    assert_int_equal(f->readable, 1);
}

/* ---- writing ---- */

static void test_stream__write_goes_straight_out(void **state)
{
    struct fixture *f = *state;
    char got[16];
    struct iovec iov[2] = { { (char *)(uintptr_t) "ab", 2 }, { (char *)(uintptr_t) "cde", 3 } };
    assert_int_equal(stream_write(f->stream, iov, 2), 0);
    assert_int_equal(drain_peer(f, got, sizeof(got)), 5);
    assert_memory_equal(got, "abcde", 5);
    assert_int_equal(stream_queued(f->stream), 0);
}

static void test_stream__write_takes_all_and_the_queue_follows(void **state)
{
    struct fixture *f = *state;
    size_t total = 300000, received = 0;
    char *data = malloc(total), *got = malloc(total);
    for (size_t i = 0; i < total; i++) {
        data[i] = (char)(i * 7 % 251);
    }
    small_buffers(f);
    struct iovec iov[2] = { { data, 1000 }, { data + 1000, total - 1000 } };
    assert_int_equal(stream_write(f->stream, iov, 2), 0);
    assert_true(stream_queued(f->stream) > 0);
    assert_int_equal(stream_fd(f->stream), -1); /* cannot be handed over now */
    time_t end = time(NULL) + SECONDS_AT_MOST;
    while (received < total && time(NULL) < end) {
        received += drain_peer(f, got + received, total - received);
        turns(f, 1);
    }
    assert_int_equal(received, total);
    assert_memory_equal(got, data, total);
    wait_until(f, &f->writable, 1);
    assert_int_equal(stream_queued(f->stream), 0);
    free(data);
    free(got);
}

static void test_stream__write_some_copies_nothing(void **state)
{
    struct fixture *f = *state;
    size_t total = 300000;
    char *data = calloc(1, total);
    small_buffers(f);
    struct iovec iov = { data, total };
    ssize_t taken = stream_write_some(f->stream, &iov, 1);
    assert_true(taken > 0 && (size_t)taken < total);
    assert_int_equal(stream_queued(f->stream), 0);
    while (stream_write_some(f->stream, &iov, 1) > 0) {
    }
    assert_int_equal(stream_write_some(f->stream, &iov, 1), 0);
    unsigned before = f->writable;
    time_t end = time(NULL) + SECONDS_AT_MOST;
    while (f->writable == before && time(NULL) < end) {
        (void)drain_peer(f, data, total);
        turns(f, 1);
    }
    assert_true(f->writable > before);
    free(data);
}

static void test_stream__writable_is_not_told_without_need(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write_text(f->stream, "x"), 0);
    turns(f, 10);
    assert_int_equal(f->writable, 0);
}

static void test_stream__order_is_kept_behind_the_queue(void **state)
{
    struct fixture *f = *state;
    size_t total = 200000, received = 0;
    char *data = malloc(total + 4), *got = malloc(total + 4);
    memset(data, 'a', total);
    small_buffers(f);
    struct iovec iov = { data, total };
    assert_int_equal(stream_write(f->stream, &iov, 1), 0);
    assert_int_equal(write_some_text(f->stream, "no"), 0);
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "tail"), 0);
    assert_int_equal(stream_uncork(f->stream), 0);
    time_t end = time(NULL) + SECONDS_AT_MOST;
    while (received < total + 4 && time(NULL) < end) {
        received += drain_peer(f, got + received, total + 4 - received);
        turns(f, 1);
    }
    assert_int_equal(received, total + 4);
    assert_memory_equal(got + total, "tail", 4);
    free(data);
    free(got);
}

static void test_stream__shutdown_follows_the_queue(void **state)
{
    struct fixture *f = *state;
    size_t total = 200000, received = 0;
    char *data = calloc(1, total), *got = malloc(total + 1);
    small_buffers(f);
    struct iovec iov = { data, total };
    assert_int_equal(stream_write(f->stream, &iov, 1), 0);
    assert_int_equal(stream_shutdown(f->stream), 0);
    time_t end = time(NULL) + SECONDS_AT_MOST;
    ssize_t n = -1;
    while (n != 0 && time(NULL) < end) {
        turns(f, 1);
        n = recv(f->peer, got, total, 0);
        received += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(n, 0);
    assert_int_equal(received, total);
    free(data);
    free(got);
}

/* ---- corking ---- */

static void test_cork__small_writes_leave_in_one_piece_at_uncork(void **state)
{
    struct fixture *f = *state;
    char got[64];
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "one"), 0);
    assert_int_equal(write_some_text(f->stream, "two"), 3);
    assert_int_equal(recv(f->peer, got, sizeof(got), 0), -1);
    assert_int_equal(stream_queued(f->stream), 6);
    assert_int_equal(stream_uncork(f->stream), 0);
    assert_int_equal(stream_queued(f->stream), 0);
    assert_int_equal(recv(f->peer, got, sizeof(got), 0), 6);
    assert_memory_equal(got, "onetwo", 6);
}

static void test_cork__bytes_can_be_written_where_they_gather(void **state)
{
    struct fixture *f = *state;
    char got[16];
    assert_null(stream_reserve(f->stream, 1));
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "one"), 0);
    char *room = stream_reserve(f->stream, 100);
    assert_non_null(room);
    memcpy(room, "two", 3);
    stream_commit(f->stream, 3);
    assert_null(stream_reserve(f->stream, 1 << 20));
    assert_int_equal(stream_uncork(f->stream), 0);
    assert_int_equal(recv(f->peer, got, sizeof(got), 0), 6);
    assert_memory_equal(got, "onetwo", 6);
}

static void test_cork__large_piece_leaves_with_what_was_gathered_before(void **state)
{
    struct fixture *f = *state;
    static char large[20000], got[30000];
    memset(large, 'L', sizeof(large));
    struct iovec iov = { large, sizeof(large) };
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "head"), 0);
    assert_int_equal(stream_write_some(f->stream, &iov, 1), sizeof(large));
    assert_int_equal(drain_peer(f, got, sizeof(got)), 4 + sizeof(large));
    assert_memory_equal(got, "headL", 5);
    assert_int_equal(stream_uncork(f->stream), 0);
}

static void test_cork__more_than_the_batch_holds_keeps_its_order(void **state)
{
    struct fixture *f = *state;
    static char got[200000];
    char line[32];
    size_t total = 0, received;
    stream_cork(f->stream);
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof(line), "line %05d\n", i);
        assert_int_equal(write_text(f->stream, line), 0);
        total += strlen(line);
    }
    assert_int_equal(stream_uncork(f->stream), 0);
    received = drain_peer(f, got, sizeof(got));
    assert_int_equal(received, total);
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof(line), "line %05d\n", i);
        assert_memory_equal(got + (size_t)i * 11, line, 11);
    }
}

static void test_cork__what_the_kernel_does_not_take_is_queued(void **state)
{
    struct fixture *f = *state;
    static char fill[300000];
    small_buffers(f);
    struct iovec iov = { fill, sizeof(fill) };
    while (stream_write_some(f->stream, &iov, 1) > 0) {
    }
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "corked"), 0);
    assert_int_equal(stream_uncork(f->stream), 0);
    assert_int_equal(stream_queued(f->stream), 6);
    wait_for_bytes(f, 0);
}

static void test_cork__closed_while_corked_frees_the_batch(void **state)
{
    struct fixture *f = *state;
    struct stream *a, *b;
    char got[8];
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "lost"), 0);
    stream_close(f->stream, false);
    f->stream = NULL;
    assert_int_equal(stream_open_pair(f->loop, 100, &a, &b), 0);
    stream_cork(a);
    assert_int_equal(write_text(a, "kept"), 0);
    assert_int_equal(stream_recv(b, got, sizeof(got)), CASGI_EAGAIN);
    assert_int_equal(stream_uncork(a), 0);
    assert_int_equal(stream_recv(b, got, sizeof(got)), 4);
    assert_memory_equal(got, "kept", 4);
    stream_close(a, false);
    stream_close(b, false);
}

static void test_cork__second_stream_goes_straight_out_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct stream *a, *b;
    char got[8];
    assert_int_equal(stream_open_pair(f->loop, 100, &a, &b), 0);
    stream_cork(f->stream);
    stream_cork(a);
    assert_int_equal(write_text(f->stream, "mine"), 0);
    assert_int_equal(write_text(a, "other"), 0);
    assert_int_equal(stream_recv(b, got, sizeof(got)), 5);
    assert_int_equal(stream_uncork(a), 0);
    assert_int_equal(recv(f->peer, got, sizeof(got), 0), -1);
    assert_int_equal(stream_uncork(f->stream), 0);
    assert_int_equal(recv(f->peer, got, sizeof(got), 0), 4);
    stream_close(a, false);
    stream_close(b, false);
}

/* ---- ends ---- */

static void test_stream__reset_is_told_by_recv_while_reading(void **state)
{
    struct fixture *f = *state;
    struct linger now = { .l_onoff = 1 };
    stream_read(f->stream, true);
    setsockopt(f->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(f->peer);
    f->peer = -1;
    wait_until(f, &f->readable, 1);
    assert_int_equal(f->last_recv, CASGI_EDISCONNECTED);
    assert_int_equal(f->failed, 0);
}

static void test_stream__reset_is_noticed_while_reading_is_off(void **state)
{
    struct fixture *f = *state;
    struct linger now = { .l_onoff = 1 };
    stream_read(f->stream, true);
    assert_int_equal(send(f->peer, "x", 1, 0), 1);
    wait_for_bytes(f, 1);
    stream_read(f->stream, false);
    assert_int_equal(send(f->peer, "y", 1, 0), 1);
    turns(f, 5);
    setsockopt(f->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(f->peer);
    f->peer = -1;
    wait_until(f, &f->failed, 1);
    assert_int_equal(f->failed_code, CASGI_EDISCONNECTED);
    turns(f, 5);
    assert_int_equal(f->failed, 1);
    assert_int_equal(write_text(f->stream, "z"), CASGI_EDISCONNECTED);
}

static void test_stream__writing_to_one_who_left_is_a_disconnect(void **state)
{
    struct fixture *f = *state;
    close(f->peer);
    f->peer = -1;
    assert_int_equal(write_text(f->stream, "x"), CASGI_EDISCONNECTED);
    assert_int_equal(write_text(f->stream, "x"), CASGI_EDISCONNECTED);
    assert_int_equal(stream_recv(f->stream, f->got, 1), CASGI_EDISCONNECTED);
}

static void test_stream__close_with_reset_is_seen_as_a_reset(void **state)
{
    struct fixture *f = *state;
    char byte;
    stream_close(f->stream, true);
    f->stream = NULL;
    time_t end = time(NULL) + SECONDS_AT_MOST;
    ssize_t n;
    while ((n = recv(f->peer, &byte, 1, 0)) < 0 && errno == EAGAIN && time(NULL) < end) {
    }
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
}

static void test_stream__close_without_reset_is_an_end(void **state)
{
    struct fixture *f = *state;
    char got[8];
    assert_int_equal(write_text(f->stream, "bye"), 0);
    stream_close(f->stream, false);
    f->stream = NULL;
    time_t end = time(NULL) + SECONDS_AT_MOST;
    ssize_t n;
    while ((n = recv(f->peer, got, sizeof(got), 0)) < 0 && errno == EAGAIN && time(NULL) < end) {
    }
    assert_int_equal(n, 3);
    while ((n = recv(f->peer, got, sizeof(got), 0)) < 0 && errno == EAGAIN && time(NULL) < end) {
    }
    assert_int_equal(n, 0);
}

static void test_stream__copy_of_the_descriptor_outlives_the_close(void **state)
{
    struct fixture *f = *state;
    char byte;
    int copy = dup(stream_fd(f->stream));
    stream_read(f->stream, true);
    turns(f, 2);
    stream_close(f->stream, false);
    f->stream = NULL;
    turns(f, 3);
    assert_int_equal(send(f->peer, "x", 1, 0), 1);
    turns(f, 3); /* nobody here is told */
    assert_int_equal(recv(copy, &byte, 1, 0), 1);
    assert_int_equal(send(copy, "y", 1, 0), 1);
    assert_int_equal(recv(f->peer, &byte, 1, 0), 1);
    close(copy);
}

/* ---- files ---- */

static int open_file(const char *text)
{
    char name[] = "/tmp/casgi-stream-XXXXXX";
    int file = mkstemp(name);
    assert_true(file >= 0);
    unlink(name);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    return file;
}

static void test_sendfile__sends_from_the_offset_behind_what_is_corked(void **state)
{
    struct fixture *f = *state;
    char got[64];
    int64_t offset = 2;
    int file = open_file("0123456789");
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "head:"), 0);
    assert_int_equal(stream_sendfile(f->stream, file, &offset, 5), 5);
    assert_int_equal(offset, 7);
    assert_int_equal(stream_uncork(f->stream), 0);
    assert_int_equal(drain_peer(f, got, sizeof(got)), 10);
    assert_memory_equal(got, "head:23456", 10);
    close(file);
}

static void test_sendfile__end_of_the_file_is_told(void **state)
{
    struct fixture *f = *state;
    int64_t offset = 10;
    int file = open_file("0123456789");
    assert_int_equal(stream_sendfile(f->stream, file, &offset, 5), CASGI_EEOF);
    close(file);
}

static void test_sendfile__full_kernel_takes_none_and_tells_when_writable(void **state)
{
    struct fixture *f = *state;
    static char fill[300000];
    int64_t offset = 0;
    int file = open_file("0123456789");
    small_buffers(f);
    struct iovec iov = { fill, sizeof(fill) };
    while (stream_write_some(f->stream, &iov, 1) > 0) {
    }
    assert_int_equal(stream_sendfile(f->stream, file, &offset, 5), 0);
    assert_int_equal(offset, 0);
    unsigned before = f->writable;
    time_t end = time(NULL) + SECONDS_AT_MOST;
    while (f->writable == before && time(NULL) < end) {
        (void)drain_peer(f, fill, sizeof(fill));
        turns(f, 1);
    }
    assert_int_equal(stream_sendfile(f->stream, file, &offset, 5), 5);
    close(file);
}

/* ---- pairs ---- */

static void test_pair__carries_bytes_both_ways(void **state)
{
    struct fixture *f = *state;
    char got[8];
    stream_read(f->stream, true);
    assert_int_equal(write_text(f->other, "ping"), 0);
    wait_for_bytes(f, 4);
    assert_memory_equal(f->got, "ping", 4);
    assert_int_equal(write_text(f->stream, "pong"), 0);
    assert_int_equal(stream_recv(f->other, got, sizeof(got)), 4);
    assert_memory_equal(got, "pong", 4);
}

static void test_stream__unsent_counts_what_the_peer_has_not_taken(void **state)
{
    struct fixture *f = *state;
    char got[8];
    assert_int_equal(stream_unsent(f->stream), 0);
    assert_int_equal(write_text(f->stream, "12345678"), 0);
    assert_true(stream_unsent(f->stream) >= 8);
    if (f->other) {
        assert_int_equal(stream_recv(f->other, got, 8), 8);
    } else {
        assert_int_equal(recv(f->peer, got, 8, 0), 8);
    }
    assert_int_equal(stream_unsent(f->stream), 0);
}

static void test_pair__capacity_is_exact_and_room_is_told(void **state)
{
    struct fixture *f = *state;
    char data[150] = { 0 };
    struct iovec iov = { data, sizeof(data) };
    assert_int_equal(stream_write_some(f->stream, &iov, 1), 100);
    assert_int_equal(stream_write_some(f->stream, &iov, 1), 0);
    turns(f, 5);
    assert_int_equal(f->writable, 0);
    assert_int_equal(stream_recv(f->other, data, 1), 1);
    turns(f, 2);
    assert_int_equal(f->writable, 1);
}

static void test_pair__queue_flows_as_the_peer_reads(void **state)
{
    struct fixture *f = *state;
    char data[250], got[250];
    size_t received = 0;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (char)i;
    }
    struct iovec iov = { data, sizeof(data) };
    assert_int_equal(stream_write(f->stream, &iov, 1), 0);
    assert_int_equal(stream_queued(f->stream), 150);
    for (int i = 0; i < 10; i++) {
        ssize_t n = stream_recv(f->other, got + received, 40);
        received += n > 0 ? (size_t)n : 0;
        turns(f, 2);
    }
    assert_int_equal(received, 250);
    assert_memory_equal(got, data, 250);
}

static void test_pair__end_and_reset_differ(void **state)
{
    struct fixture *f = *state;
    stream_read(f->stream, true);
    assert_int_equal(write_text(f->other, "last"), 0);
    stream_close(f->other, false);
    f->other = NULL;
    f->last_recv = 1;
    wait_until(f, &f->readable, 2);
    assert_memory_equal(f->got, "last", 4);
    assert_int_equal(f->last_recv, 0);
    assert_int_equal(write_text(f->stream, "x"), CASGI_EDISCONNECTED);
}

static void test_pair__reset_is_an_error_at_once(void **state)
{
    struct fixture *f = *state;
    stream_read(f->stream, true);
    assert_int_equal(write_text(f->other, "lost"), 0);
    stream_close(f->other, true);
    f->other = NULL;
    wait_until(f, &f->readable, 1);
    assert_int_equal(f->last_recv, CASGI_EDISCONNECTED);
}

static void test_pair__reset_is_noticed_while_reading_is_off(void **state)
{
    struct fixture *f = *state;
    stream_close(f->other, true);
    f->other = NULL;
    wait_until(f, &f->failed, 1);
    assert_int_equal(f->failed_code, CASGI_EDISCONNECTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SOCKET_TEST(test_stream__bytes_are_received_when_readable),
        SOCKET_TEST(test_stream__reading_off_is_not_told),
        SOCKET_TEST(test_stream__what_is_left_unread_is_told_again),
        SOCKET_TEST(test_stream__end_of_the_peer_is_zero),
        SOCKET_TEST(test_stream__nothing_there_is_eagain),
        SOCKET_TEST(test_stream__closing_in_an_event_is_safe),
        SOCKET_TEST(test_stream__write_goes_straight_out),
        SOCKET_TEST(test_stream__write_takes_all_and_the_queue_follows),
        TCP_TEST(test_stream__write_takes_all_and_the_queue_follows),
        SOCKET_TEST(test_stream__write_some_copies_nothing),
        SOCKET_TEST(test_stream__writable_is_not_told_without_need),
        SOCKET_TEST(test_stream__order_is_kept_behind_the_queue),
        SOCKET_TEST(test_stream__shutdown_follows_the_queue),
        SOCKET_TEST(test_cork__small_writes_leave_in_one_piece_at_uncork),
        SOCKET_TEST(test_cork__bytes_can_be_written_where_they_gather),
        SOCKET_TEST(test_cork__large_piece_leaves_with_what_was_gathered_before),
        SOCKET_TEST(test_cork__more_than_the_batch_holds_keeps_its_order),
        SOCKET_TEST(test_cork__what_the_kernel_does_not_take_is_queued),
        SOCKET_TEST(test_cork__closed_while_corked_frees_the_batch),
        SOCKET_TEST(test_cork__second_stream_goes_straight_out_meanwhile),
        TCP_TEST(test_stream__reset_is_told_by_recv_while_reading),
        TCP_TEST(test_stream__reset_is_noticed_while_reading_is_off),
        SOCKET_TEST(test_stream__writing_to_one_who_left_is_a_disconnect),
        TCP_TEST(test_stream__close_with_reset_is_seen_as_a_reset),
        TCP_TEST(test_stream__close_without_reset_is_an_end),
        SOCKET_TEST(test_stream__copy_of_the_descriptor_outlives_the_close),
        SOCKET_TEST(test_sendfile__sends_from_the_offset_behind_what_is_corked),
        SOCKET_TEST(test_sendfile__end_of_the_file_is_told),
        SOCKET_TEST(test_sendfile__full_kernel_takes_none_and_tells_when_writable),
        SOCKET_TEST(test_stream__unsent_counts_what_the_peer_has_not_taken),
        PAIR_TEST(test_stream__unsent_counts_what_the_peer_has_not_taken),
        PAIR_TEST(test_pair__carries_bytes_both_ways),
        PAIR_TEST(test_pair__capacity_is_exact_and_room_is_told),
        PAIR_TEST(test_pair__queue_flows_as_the_peer_reads),
        PAIR_TEST(test_pair__end_and_reset_differ),
        PAIR_TEST(test_pair__reset_is_an_error_at_once),
        PAIR_TEST(test_pair__reset_is_noticed_while_reading_is_off),
    };
    return cmocka_run_group_tests_name("net/stream", tests, NULL, NULL);
}
