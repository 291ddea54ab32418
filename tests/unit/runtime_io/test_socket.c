#include "support.h"

#include "runtime/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Both ends of a connection, and what calls on them gave. */
struct ends {
    casgi_stream_t *a;
    casgi_stream_t *b;
    char data[256];
    size_t size;
    int rc;
    casgi_str_t text;
};

static int open_pair(struct ends *ends)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
        return -100;
    }
    int rc = casgi_stream_open(fds[0], &ends->a);
    return rc ? rc : casgi_stream_open(fds[1], &ends->b);
}

static void close_pair(struct ends *ends)
{
    casgi_stream_close(ends->a);
    casgi_stream_close(ends->b);
}

typedef int (*pair_fn)(struct ends *ends);

struct pair_test {
    pair_fn fn;
    struct ends *ends;
};

static int with_pair_task(void *arg)
{
    struct pair_test *test = arg;
    int rc = open_pair(test->ends);
    rc = rc ? rc : test->fn(test->ends);
    close_pair(test->ends);
    return rc;
}

/* Runs fn as a task, on a fresh pair. */
static int with_pair(struct loop *loop, pair_fn fn, struct ends *ends)
{
    struct pair_test test = { fn, ends };
    return run_task(loop, with_pair_task, &test);
}

static int spawn(casgi_task_fn_t fn, void *arg, casgi_task_t **out_task)
{
    int rc = casgi_create_task(fn, arg, NULL, out_task);
    return rc ? rc : casgi_sleep(1); /* it is in its call by now, if that waits */
}

/* ---- reading ---- */

static int read_b(void *arg)
{
    struct ends *ends = arg;
    ends->rc = casgi_stream_read(ends->b, ends->data, sizeof(ends->data), &ends->size);
    return ends->rc;
}

static int write_then_read(struct ends *ends)
{
    int rc = casgi_stream_write(ends->a, "hello", 5);
    return rc ? rc : read_b(ends);
}

static void test_stream__a_read_gives_what_was_written(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, write_then_read, &ends), 0);
    assert_int_equal(ends.size, 5);
    assert_memory_equal(ends.data, "hello", 5);
}

static int read_then_write(struct ends *ends)
{
    casgi_task_t *reader;
    int rc = spawn(read_b, ends, &reader);
    rc = rc ? rc : casgi_stream_write(ends->a, "later", 5);
    return rc ? rc : join(reader);
}

static void test_stream__a_read_waits_for_bytes(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, read_then_write, &ends), 0);
    assert_memory_equal(ends.data, "later", 5);
}

static int shutdown_then_read(struct ends *ends)
{
    int rc = casgi_stream_write(ends->a, "x", 1);
    rc = rc ? rc : casgi_stream_shutdown(ends->a);
    rc = rc ? rc : read_b(ends);
    return rc ? rc : read_b(ends);
}

static void test_stream__after_the_last_byte_comes_the_end(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, shutdown_then_read, &ends), CASGI_EEOF);
    assert_int_equal(ends.size, 1);
}

static int write_after_shutdown(struct ends *ends)
{
    int rc = casgi_stream_shutdown(ends->a);
    return rc ? rc : casgi_stream_write(ends->a, "x", 1);
}

static void test_stream__after_shutdown_nothing_can_be_written(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, write_after_shutdown, &ends), CASGI_ECLOSED);
}

static int read_after_our_shutdown(struct ends *ends)
{
    int rc = casgi_stream_shutdown(ends->b);
    return rc ? rc : write_then_read(ends);
}

static void test_stream__after_shutdown_reading_goes_on(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, read_after_our_shutdown, &ends), 0);
    assert_int_equal(ends.size, 5);
}

static int read_exactly(struct ends *ends)
{
    return casgi_stream_read_exactly(ends->b, ends->data, ends->size);
}

static int read_exactly_task(void *arg)
{
    return read_exactly(arg);
}

static int read_exactly_from_pieces(struct ends *ends)
{
    casgi_task_t *reader;
    ends->size = 9;
    int rc = spawn(read_exactly_task, ends, &reader);
    for (const char *piece = "one;two;three"; !rc && *piece; piece++) {
        rc = casgi_stream_write(ends->a, piece, 1);
        rc = rc ? rc : casgi_yield();
    }
    rc = rc ? rc : join(reader);
    return rc ? rc : casgi_stream_read(ends->b, ends->data + 9, 100, &ends->size);
}

static void test_stream__read_exactly_gathers_pieces(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, read_exactly_from_pieces, &ends), 0);
    assert_memory_equal(ends.data, "one;two;t", 9);
    assert_memory_equal(ends.data + 9, "hree", 4);
}

static int read_more_than_there_is(struct ends *ends)
{
    ends->size = 9;
    int rc = casgi_stream_write(ends->a, "short", 5);
    rc = rc ? rc : casgi_stream_shutdown(ends->a);
    ends->rc = rc ? rc : read_exactly(ends);
    memset(ends->data, 0, sizeof(ends->data));
    return casgi_stream_read(ends->b, ends->data, sizeof(ends->data), &ends->size);
}

static void test_stream__an_end_before_all_bytes_loses_none(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, read_more_than_there_is, &ends), 0);
    assert_int_equal(ends.rc, CASGI_EEOF);
    assert_int_equal(ends.size, 5);
    assert_memory_equal(ends.data, "short", 5);
}

static int cancel_read_exactly(struct ends *ends)
{
    casgi_task_t *reader;
    ends->size = 9;
    int rc = casgi_stream_write(ends->a, "five.", 5);
    rc = rc ? rc : spawn(read_exactly_task, ends, &reader);
    rc = rc ? rc : casgi_cancel(reader);
    ends->rc = rc ? rc : join(reader);
    rc = casgi_stream_write(ends->a, "four", 4);
    memset(ends->data, 0, sizeof(ends->data));
    return rc ? rc : read_exactly(ends);
}

static void test_stream__a_cancelled_read_exactly_loses_no_byte(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, cancel_read_exactly, &ends), 0);
    assert_int_equal(ends.rc, CASGI_ECANCELED);
    assert_memory_equal(ends.data, "five.four", 9);
}

/* ---- read_until ---- */

static int read_lines(struct ends *ends)
{
    int rc = casgi_stream_write(ends->a, "first\r\nsecond\r\n\r\nrest", 21);
    for (int i = 0; !rc && i < 3; i++) {
        rc = casgi_stream_read_until(ends->b, "\r\n", 2, 0, &ends->text);
        ends->size +=
            (size_t)snprintf(ends->data + ends->size, sizeof(ends->data) - ends->size, "[%s]", ends->text.ptr);
    }
    size_t n = 0;
    rc = rc ? rc : casgi_stream_read(ends->b, ends->data + ends->size, 4, &n);
    return rc;
}

static void test_stream__read_until_gives_one_line_after_another(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, read_lines, &ends), 0);
    assert_string_equal(ends.data, "[first\r\n][second\r\n][\r\n]rest");
}

static int until_task(void *arg)
{
    struct ends *ends = arg;
    int rc = casgi_stream_read_until(ends->b, "END", 3, ends->size, &ends->text);
    if (!rc) {
        memcpy(ends->data, ends->text.ptr, ends->text.len + 1);
    }
    return rc;
}

static int until_byte_by_byte(struct ends *ends)
{
    casgi_task_t *reader;
    int rc = spawn(until_task, ends, &reader);
    for (const char *piece = "aENbENDc"; !rc && *piece; piece++) {
        rc = casgi_stream_write(ends->a, piece, 1);
        rc = rc ? rc : casgi_yield();
    }
    return rc ? rc : join(reader);
}

static void test_stream__read_until_finds_an_end_that_comes_in_pieces(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, until_byte_by_byte, &ends), 0);
    assert_string_equal(ends.data, "aENbEND");
}

static int until_limit(struct ends *ends)
{
    ends->size = 8;
    int rc = casgi_stream_write(ends->a, "1234567END", 10);
    ends->rc = rc ? rc : until_task(ends);
    ends->size = 10;
    return until_task(ends);
}

static void test_stream__read_until_stops_at_its_limit_and_loses_nothing(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, until_limit, &ends), 0);
    assert_int_equal(ends.rc, CASGI_ETOOBIG);
    assert_string_equal(ends.data, "1234567END");
}

static int until_long(struct ends *ends)
{
    char *line = casgi_alloc(60000);
    memset(line, 'x', 60000);
    memcpy(line + 59997, "END", 3);
    int rc = casgi_stream_write(ends->a, line, 60000);
    rc = rc ? rc : casgi_stream_read_until(ends->b, "END", 3, 0, &ends->text);
    return rc                                                                                          ? rc
           : ends->text.len == 60000 && !memcmp(ends->text.ptr, line, 60000) && !ends->text.ptr[60000] ? 0
                                                                                                       : -100;
}

static void test_stream__read_until_takes_long_lines(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, until_long, &ends), 0);
}

static int until_cancelled(struct ends *ends)
{
    casgi_task_t *reader;
    int rc = casgi_stream_write(ends->a, "abcE", 4);
    rc = rc ? rc : spawn(until_task, ends, &reader);
    rc = rc ? rc : casgi_cancel(reader);
    ends->rc = rc ? rc : join(reader);
    rc = casgi_stream_write(ends->a, "ND", 2);
    return rc ? rc : until_task(ends);
}

static void test_stream__a_cancelled_read_until_loses_no_byte(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, until_cancelled, &ends), 0);
    assert_int_equal(ends.rc, CASGI_ECANCELED);
    assert_string_equal(ends.data, "abcEND");
}

/* ---- writing ---- */

enum { MUCH = 8 * 1024 * 1024 };

static int write_much(void *arg)
{
    struct ends *ends = arg;
    char *data = malloc(MUCH);
    for (size_t i = 0; data && i < MUCH; i++) {
        data[i] = (char)(i * 7 % 251);
    }
    ends->rc = data ? casgi_stream_write(ends->a, data, MUCH) : CASGI_ENOMEM;
    free(data);
    return ends->rc;
}

static int read_much(struct ends *ends)
{
    static char piece[10000];
    size_t done = 0;
    while (done < MUCH) {
        size_t n = 0;
        int rc = casgi_stream_read(ends->b, piece, sizeof(piece), &n);
        for (size_t i = 0; !rc && i < n; i++) {
            rc = piece[i] == (char)((done + i) * 7 % 251) ? 0 : -200;
        }
        if (rc) {
            return rc;
        }
        done += n;
    }
    return 0;
}

static int pass_much(struct ends *ends)
{
    casgi_task_t *writer;
    int rc = spawn(write_much, ends, &writer);
    rc = rc ? rc : read_much(ends);
    return rc ? rc : join(writer);
}

static void test_stream__a_large_write_waits_for_the_reader(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, pass_much, &ends), 0);
}

static int write_pieces(struct ends *ends)
{
    static const char letters[] = "abcdefghijklmnopqrst";
    casgi_str_t pieces[20];
    for (int i = 0; i < 20; i++) {
        pieces[i] = (casgi_str_t){ &letters[i], i % 3 ? 1 : 0 };
    }
    int rc = casgi_stream_write_pieces(ends->a, pieces, 20);
    return rc ? rc : read_b(ends);
}

static void test_stream__pieces_leave_in_order(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, write_pieces, &ends), 0);
    assert_int_equal(ends.size, 13);
    assert_memory_equal(ends.data, "bcefhiklnoqrt", 13);
}

static int cancel_write(struct ends *ends)
{
    casgi_task_t *writer;
    int rc = spawn(write_much, ends, &writer);
    rc = rc ? rc : casgi_cancel(writer);
    rc = rc ? rc : join(writer);
    return rc == CASGI_ECANCELED ? casgi_stream_write(ends->a, "x", 1) : -100;
}

static void test_stream__after_a_write_cut_short_nothing_can_be_written(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, cancel_write, &ends), CASGI_ECLOSED);
    assert_int_equal(ends.rc, CASGI_ECANCELED);
}

static int write_when_cancelled(void *arg)
{
    struct ends *ends = arg;
    (void)casgi_cancel((casgi_task_t *)(void *)task_current());
    ends->rc = casgi_stream_write(ends->a, "lost?", 5);
    return 0;
}

static int cancelled_before_the_first_byte(struct ends *ends)
{
    casgi_task_t *writer;
    int rc = casgi_create_task(write_when_cancelled, ends, NULL, &writer);
    rc = rc ? rc : join(writer);
    return rc ? rc : write_then_read(ends);
}

static void test_stream__a_write_that_never_began_can_be_repeated(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, cancelled_before_the_first_byte, &ends), 0);
    assert_memory_equal(ends.data, "hello", 5);
}

static int write_to_nobody(struct ends *ends)
{
    casgi_stream_close(ends->b);
    ends->b = NULL;
    return casgi_stream_write(ends->a, "x", 1);
}

static void test_stream__a_write_to_a_closed_end_fails(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, write_to_nobody, &ends), CASGI_EDISCONNECTED);
}

/* ---- two at once, closing, cancelling ---- */

static int second_reader(struct ends *ends)
{
    casgi_task_t *reader;
    char c;
    size_t n;
    int rc = spawn(read_b, ends, &reader);
    int second = casgi_stream_read(ends->b, &c, 1, &n);
    rc = rc ? rc : casgi_stream_write(ends->a, "x", 1);
    rc = rc ? rc : join(reader);
    return rc ? rc : second;
}

static void test_stream__a_second_reader_is_refused(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, second_reader, &ends), CASGI_EBUSY);
}

static int close_under_reader(struct ends *ends)
{
    casgi_task_t *reader;
    int rc = spawn(read_b, ends, &reader);
    casgi_stream_close(ends->b);
    ends->b = NULL;
    return rc ? rc : join(reader);
}

static void test_stream__closing_it_ends_a_read(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, close_under_reader, &ends), CASGI_ECLOSED);
}

static int close_under_writer(struct ends *ends)
{
    casgi_task_t *writer;
    int rc = spawn(write_much, ends, &writer);
    casgi_stream_close(ends->a);
    ends->a = NULL;
    return rc ? rc : join(writer);
}

static void test_stream__closing_it_ends_a_write(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, close_under_writer, &ends), CASGI_ECLOSED);
}

static int cancel_read(struct ends *ends)
{
    casgi_task_t *reader;
    int rc = spawn(read_b, ends, &reader);
    rc = rc ? rc : casgi_cancel(reader);
    ends->size = 0;
    rc = rc ? rc : join(reader);
    int again = write_then_read(ends);
    return rc == CASGI_ECANCELED ? again : -100;
}

static void test_stream__a_read_can_be_cancelled_and_repeated(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, cancel_read, &ends), 0);
    assert_int_equal(ends.size, 5);
}

static int read_with_deadline(struct ends *ends)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, 1);
    rc = rc ? rc : read_b(ends);
    int ended = casgi_deadline_end(&deadline);
    return rc == ended ? rc : -100;
}

static void test_stream__a_deadline_ends_a_read(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, read_with_deadline, &ends), CASGI_ETIMEDOUT);
}

/* A reader that always finds bytes must not keep the loop from others. */
struct flood {
    struct ends *ends;
    _Atomic bool stop;
    size_t turns;
};

static int count_turns(void *arg)
{
    struct flood *flood = arg;
    while (!flood->stop) {
        int rc = casgi_yield();
        if (rc) {
            return rc;
        }
        flood->turns++;
    }
    return 0;
}

static int read_bytewise(struct ends *ends)
{
    struct flood flood = { .ends = ends };
    casgi_task_t *other;
    int rc = casgi_stream_write(ends->a, ends->data, sizeof(ends->data));
    rc = rc ? rc : casgi_create_task(count_turns, &flood, NULL, &other);
    for (size_t i = 0; !rc && i < sizeof(ends->data); i++) {
        size_t n;
        rc = casgi_stream_read(ends->b, &(char){ 0 }, 1, &n);
    }
    flood.stop = true;
    ends->size = flood.turns;
    return rc ? rc : join(other);
}

static void test_stream__a_reader_that_never_waits_lets_others_run(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(with_pair(*state, read_bytewise, &ends), 0);
    assert_true(ends.size >= 2);
}

/* ---- other descriptors ---- */

static int through_a_pipe(void *arg)
{
    struct ends *ends = arg;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC)) {
        return -100;
    }
    int rc = casgi_stream_open(fds[0], &ends->b);
    rc = rc ? rc : casgi_stream_open(fds[1], &ends->a);
    rc = rc ? rc : pass_much(ends);
    rc = rc ? rc : casgi_stream_shutdown(ends->a);
    ends->rc = rc ? rc : read_b(ends);
    close_pair(ends);
    return rc;
}

static void test_stream__pipes_are_streams(void **state)
{
    struct ends ends = { .rc = -1 };
    assert_int_equal(run_task(*state, through_a_pipe, &ends), 0);
    assert_int_equal(ends.rc, CASGI_EEOF);
}

static void test_stream__a_file_is_none(void **state)
{
    casgi_stream_t *stream;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    (void)state;
    assert_int_equal(casgi_stream_open(fd, &stream), CASGI_EINVAL);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_stream__a_read_gives_what_was_written),
        WORLD_TEST(test_stream__a_read_waits_for_bytes),
        WORLD_TEST(test_stream__after_the_last_byte_comes_the_end),
        WORLD_TEST(test_stream__after_shutdown_nothing_can_be_written),
        WORLD_TEST(test_stream__after_shutdown_reading_goes_on),
        WORLD_TEST(test_stream__read_exactly_gathers_pieces),
        WORLD_TEST(test_stream__an_end_before_all_bytes_loses_none),
        WORLD_TEST(test_stream__a_cancelled_read_exactly_loses_no_byte),
        WORLD_TEST(test_stream__read_until_gives_one_line_after_another),
        WORLD_TEST(test_stream__read_until_finds_an_end_that_comes_in_pieces),
        WORLD_TEST(test_stream__read_until_stops_at_its_limit_and_loses_nothing),
        WORLD_TEST(test_stream__read_until_takes_long_lines),
        WORLD_TEST(test_stream__a_cancelled_read_until_loses_no_byte),
        WORLD_TEST(test_stream__a_large_write_waits_for_the_reader),
        WORLD_TEST(test_stream__pieces_leave_in_order),
        WORLD_TEST(test_stream__after_a_write_cut_short_nothing_can_be_written),
        WORLD_TEST(test_stream__a_write_that_never_began_can_be_repeated),
        WORLD_TEST(test_stream__a_write_to_a_closed_end_fails),
        WORLD_TEST(test_stream__a_second_reader_is_refused),
        WORLD_TEST(test_stream__closing_it_ends_a_read),
        WORLD_TEST(test_stream__closing_it_ends_a_write),
        WORLD_TEST(test_stream__a_read_can_be_cancelled_and_repeated),
        WORLD_TEST(test_stream__a_deadline_ends_a_read),
        WORLD_TEST(test_stream__a_reader_that_never_waits_lets_others_run),
        WORLD_TEST(test_stream__pipes_are_streams),
        WORLD_TEST(test_stream__a_file_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
