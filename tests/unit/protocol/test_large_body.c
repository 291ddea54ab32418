/* link: -Wl,--wrap=stream_recv */
/* What a large body costs: how often is received, and whether it is copied. */
#include "wire.h"

#include <stdio.h>
#include <string.h>

ssize_t __real_stream_recv(struct stream *stream, void *data, size_t size);
ssize_t __wrap_stream_recv(struct stream *stream, void *data, size_t size);

static struct stream *client;
static size_t received; /* how often something was, but by the client */

ssize_t __wrap_stream_recv(struct stream *stream, void *data, size_t size)
{
    ssize_t got = __real_stream_recv(stream, data, size);
    received += got > 0 && stream != client;
    return got;
}

static void post(struct wire *w, size_t size)
{
    static char body[200000];
    char head[128];
    int length = snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", size);
    w->seen_size = 0;
    received = 0;
    wire_send(w, head, (size_t)length);
    wire_send(w, body, size);
    wire_settle(w);
}

static void connect_pieces(struct wire *w)
{
    wire_connect(w, app_pieces);
    client = w->client;
}

static void test_large_body__the_second_of_a_connection_comes_in_one_recv_and_one_piece(void **state)
{
    struct wire *w = *state;
    connect_pieces(w);
    post(w, 65536);
    assert_saw(w, "65536 ");
    post(w, 65536);
    assert_saw(w, "65536 ");
    assert_int_equal(received, 1);
    post(w, 20000);
    assert_saw(w, "20000 ");
    assert_int_equal(received, 1);
}

static void test_large_body__a_small_one_goes_back_to_usual_reads(void **state)
{
    struct wire *w = *state;
    connect_pieces(w);
    post(w, 65536);
    post(w, 100);
    assert_int_equal(received, 1);
    post(w, 65536);
    assert_int_equal(received, 2);
    assert_saw(w, "65536 ");
}

static void test_large_body__one_of_more_than_the_buffer_follows_in_large_pieces(void **state)
{
    struct wire *w = *state;
    connect_pieces(w);
    post(w, 200000);
    post(w, 200000);
    assert_true(received <= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_large_body__the_second_of_a_connection_comes_in_one_recv_and_one_piece),
        WIRE_TEST(test_large_body__a_small_one_goes_back_to_usual_reads),
        WIRE_TEST(test_large_body__one_of_more_than_the_buffer_follows_in_large_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
