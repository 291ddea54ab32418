/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/* What streams do when memory is short, and that a stream which the kernel keeps up with allocates nothing. */
#include "stream_support.h"

#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);

static unsigned long allocations;
static bool failing;

void *__wrap_malloc(size_t size)
{
    allocations++;
    return failing ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return failing ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
    allocations++;
    return failing ? NULL : __real_realloc(data, size);
}

static void test_memory__stream_that_cannot_be_opened_leaves_the_descriptor(void **state)
{
    struct fixture *f = *state;
    struct stream *other = NULL;
    int copy = dup(f->peer);
    failing = true;
    assert_int_equal(stream_open_fd(f->loop, copy, &other), CASGI_ENOMEM);
    assert_int_equal(stream_open_pair(f->loop, 100, &other, &f->other), CASGI_ENOMEM);
    failing = false;
    assert_null(other);
    assert_int_equal(close(copy), 0);
}

static void test_memory__cork_works_without_a_batch(void **state)
{
    struct fixture *f = *state;
    char got[8];
    failing = true;
    stream_cork(f->stream);
    failing = false;
    assert_null(stream_reserve(f->stream, 1));
    assert_int_equal(write_text(f->stream, "one"), 0);
    assert_int_equal(recv(f->peer, got, sizeof(got), 0), 3);
    assert_int_equal(stream_uncork(f->stream), 0);
}

static void test_memory__queue_that_cannot_be_kept_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    static char fill[300000];
    small_buffers(f);
    struct iovec iov = { fill, sizeof(fill) };
    failing = true;
    int rc = stream_write(f->stream, &iov, 1);
    failing = false;
    assert_int_equal(rc, CASGI_ENOMEM);
    assert_int_equal(write_text(f->stream, "x"), CASGI_ENOMEM);
}

static void test_memory__writes_allocate_nothing_after_warm_up(void **state)
{
    struct fixture *f = *state;
    char got[64];
    for (int i = 0; i < 2; i++) {
        stream_cork(f->stream);
        assert_int_equal(write_text(f->stream, "warm"), 0);
        assert_int_equal(stream_uncork(f->stream), 0);
        turns(f, 2);
    }
    unsigned long before = allocations;
    for (int i = 0; i < 100; i++) {
        stream_cork(f->stream);
        assert_int_equal(write_text(f->stream, "head"), 0);
        assert_int_equal(write_some_text(f->stream, "body"), 4);
        assert_int_equal(stream_uncork(f->stream), 0);
        assert_true(drain_peer(f, got, sizeof(got)) > 0);
    }
    assert_int_equal(allocations, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SOCKET_TEST(test_memory__stream_that_cannot_be_opened_leaves_the_descriptor),
        SOCKET_TEST(test_memory__cork_works_without_a_batch),
        SOCKET_TEST(test_memory__queue_that_cannot_be_kept_ends_the_stream),
        SOCKET_TEST(test_memory__writes_allocate_nothing_after_warm_up),
    };
    return cmocka_run_group_tests_name("net/stream_memory", tests, NULL, NULL);
}
