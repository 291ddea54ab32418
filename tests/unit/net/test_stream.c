/* Streams over sockets: reading, writing, ends. */
#include "stream_support.h"

#include <errno.h>
#include <stdlib.h>

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
        TCP_TEST(test_stream__reset_is_told_by_recv_while_reading),
        TCP_TEST(test_stream__reset_is_noticed_while_reading_is_off),
        SOCKET_TEST(test_stream__writing_to_one_who_left_is_a_disconnect),
        TCP_TEST(test_stream__close_with_reset_is_seen_as_a_reset),
        TCP_TEST(test_stream__close_without_reset_is_an_end),
        SOCKET_TEST(test_stream__copy_of_the_descriptor_outlives_the_close),
    };
    return cmocka_run_group_tests_name("net/stream", tests, NULL, NULL);
}
