/* Streams in memory. */
#include "stream_support.h"

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

static void test_pair__corked_bytes_stay_behind_the_queue(void **state)
{
    struct fixture *f = *state;
    char data[150], got[200];
    size_t received = 0;
    memset(data, 'q', sizeof(data));
    struct iovec iov = { data, sizeof(data) };
    assert_int_equal(stream_write(f->stream, &iov, 1), 0);
    stream_cork(f->stream);
    assert_null(stream_reserve(f->stream, 4));
    assert_int_equal(write_text(f->stream, "tail"), 0);
    received += (size_t)stream_recv(f->other, got, 100); /* there is room again */
    assert_int_equal(stream_uncork(f->stream), 0);
    for (int i = 0; i < 5; i++) {
        ssize_t n = stream_recv(f->other, got + received, sizeof(got) - received);
        received += n > 0 ? (size_t)n : 0;
        turns(f, 2);
    }
    assert_int_equal(received, 154);
    assert_memory_equal(got + 146, "qqqqtail", 8);
}

static void test_pair__batch_that_is_taken_in_part_is_sent_once(void **state)
{
    struct fixture *f = *state;
    char large[9000], got[9100];
    size_t received = 0;
    memset(large, 'L', sizeof(large));
    struct iovec fill = { large, 98 }, iov = { large, sizeof(large) };
    assert_int_equal(stream_write(f->stream, &fill, 1), 0);
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "head"), 0); /* two bytes of it fit */
    assert_int_equal(stream_write_some(f->stream, &iov, 1), 0);
    assert_int_equal(stream_queued(f->stream), 2);
    assert_int_equal(stream_uncork(f->stream), 0);
    for (int i = 0; i < 5; i++) {
        ssize_t n = stream_recv(f->other, got + received, sizeof(got) - received);
        received += n > 0 ? (size_t)n : 0;
        turns(f, 2);
    }
    assert_int_equal(received, 102);
    assert_memory_equal(got + 98, "head", 4);
}

static void test_pair__shutdown_while_corked_follows_what_is_gathered(void **state)
{
    struct fixture *f = *state;
    char got[8];
    stream_cork(f->stream);
    assert_int_equal(write_text(f->stream, "last"), 0);
    assert_int_equal(stream_shutdown(f->stream), 0);
    assert_int_equal(stream_recv(f->other, got, sizeof(got)), CASGI_EAGAIN);
    assert_int_equal(stream_uncork(f->stream), 0);
    assert_int_equal(stream_recv(f->other, got, sizeof(got)), 4);
    assert_int_equal(stream_recv(f->other, got, sizeof(got)), 0);
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

static ssize_t write_peer(struct fixture *f, const char *text)
{
    return f->other ? (write_text(f->other, text) ? -1 : (ssize_t)strlen(text)) : send(f->peer, text, strlen(text), 0);
}

static void end_peer(struct fixture *f)
{
    assert_int_equal(f->other ? stream_shutdown(f->other) : shutdown(f->peer, SHUT_WR), 0);
}

/* Behind bytes that are received later, and only then is it told by recv. */
static void test_stream__end_of_the_peer_is_noticed_while_reading_is_off(void **state)
{
    struct fixture *f = *state;
    stream_read(f->stream, true);
    assert_int_equal(write_peer(f, "one"), 3);
    wait_for_bytes(f, 3);
    stream_read(f->stream, false);
    assert_int_equal(write_peer(f, "two"), 3);
    turns(f, 5);
    assert_int_equal(f->departed, 0);
    end_peer(f);
    wait_until(f, &f->departed, 1);
    turns(f, 5);
    assert_int_equal(f->departed, 1);
    assert_int_equal(f->got_size, 3);
    assert_int_equal(write_text(f->stream, "answer"), 0);
    f->last_recv = 1;
    stream_read(f->stream, true);
    wait_for_bytes(f, 6);
    while (f->last_recv != 0) {
        turns(f, 1);
    }
    assert_memory_equal(f->got, "onetwo", 6);
    turns(f, 5);
    assert_int_equal(f->departed, 1);
    assert_int_equal(f->failed, 0);
}

static void test_stream__end_of_the_peer_that_recv_has_told_is_not_told_again(void **state)
{
    struct fixture *f = *state;
    f->last_recv = 1;
    stream_read(f->stream, true);
    end_peer(f);
    wait_until(f, &f->readable, 1);
    assert_int_equal(f->last_recv, 0);
    assert_false(f->stream->reading);
    turns(f, 5);
    assert_int_equal(f->departed, 0);
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
        SOCKET_TEST(test_stream__unsent_counts_what_the_peer_has_not_taken),
        PAIR_TEST(test_stream__unsent_counts_what_the_peer_has_not_taken),
        TCP_TEST(test_stream__end_of_the_peer_is_noticed_while_reading_is_off),
        SOCKET_TEST(test_stream__end_of_the_peer_is_noticed_while_reading_is_off),
        PAIR_TEST(test_stream__end_of_the_peer_is_noticed_while_reading_is_off),
        TCP_TEST(test_stream__end_of_the_peer_that_recv_has_told_is_not_told_again),
        SOCKET_TEST(test_stream__end_of_the_peer_that_recv_has_told_is_not_told_again),
        PAIR_TEST(test_stream__end_of_the_peer_that_recv_has_told_is_not_told_again),
        PAIR_TEST(test_pair__carries_bytes_both_ways),
        PAIR_TEST(test_pair__capacity_is_exact_and_room_is_told),
        PAIR_TEST(test_pair__queue_flows_as_the_peer_reads),
        PAIR_TEST(test_pair__corked_bytes_stay_behind_the_queue),
        PAIR_TEST(test_pair__batch_that_is_taken_in_part_is_sent_once),
        PAIR_TEST(test_pair__shutdown_while_corked_follows_what_is_gathered),
        PAIR_TEST(test_pair__end_and_reset_differ),
        PAIR_TEST(test_pair__reset_is_an_error_at_once),
        PAIR_TEST(test_pair__reset_is_noticed_while_reading_is_off),
    };
    return cmocka_run_group_tests_name("net/stream_pair", tests, NULL, NULL);
}
