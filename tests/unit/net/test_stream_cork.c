/* Streams that are corked, and files. */
#include "stream_support.h"

#include <stdio.h>
#include <stdlib.h>

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
    while (stream_sendfile(f->stream, file, &offset, 5) > 0) {
        offset = 0; /* Linux 6.1: a full Unix socket still takes a few pieces of files */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        SOCKET_TEST(test_cork__small_writes_leave_in_one_piece_at_uncork),
        SOCKET_TEST(test_cork__bytes_can_be_written_where_they_gather),
        SOCKET_TEST(test_cork__large_piece_leaves_with_what_was_gathered_before),
        SOCKET_TEST(test_cork__more_than_the_batch_holds_keeps_its_order),
        SOCKET_TEST(test_cork__what_the_kernel_does_not_take_is_queued),
        SOCKET_TEST(test_cork__closed_while_corked_frees_the_batch),
        SOCKET_TEST(test_cork__second_stream_goes_straight_out_meanwhile),
        SOCKET_TEST(test_sendfile__sends_from_the_offset_behind_what_is_corked),
        SOCKET_TEST(test_sendfile__end_of_the_file_is_told),
        SOCKET_TEST(test_sendfile__full_kernel_takes_none_and_tells_when_writable),
    };
    return cmocka_run_group_tests_name("net/stream_cork", tests, NULL, NULL);
}
