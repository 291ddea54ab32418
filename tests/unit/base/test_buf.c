#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The part under test is compiled into this program with a malloc that counts and can be made to fail. */
static size_t malloc_calls;
static bool malloc_fails;

static void *test_malloc_counted(size_t size)
{
    malloc_calls++;
    return malloc_fails ? NULL : malloc(size);
}

#define malloc test_malloc_counted
#include "base/buf.c"
#undef malloc

static struct buf buf;

static int set_up(void **state)
{
    (void)state;
    malloc_calls = 0;
    malloc_fails = false;
    buf_init(&buf, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_release(&buf);
    return 0;
}

static void assert_holds(const char *text)
{
    assert_int_equal(buf_len(&buf), strlen(text));
    assert_memory_equal(buf_bytes(&buf), text, strlen(text));
}

static void append(const char *text)
{
    assert_int_equal(buf_append(&buf, text, strlen(text)), 0);
}

static void test_buf__a_zeroed_one_is_empty_and_usable(void **state)
{
    (void)state;
    memset(&buf, 0, sizeof(buf));
    assert_int_equal(buf_len(&buf), 0);
    append("abc");
    assert_holds("abc");
}

static void test_buf__appended_is_consumed_in_order(void **state)
{
    (void)state;
    append("hello ");
    append("world");
    buf_consume(&buf, 3);
    assert_holds("lo world");
    append("!");
    assert_holds("lo world!");
}

static void test_buf__appending_nothing_allocates_nothing(void **state)
{
    (void)state;
    assert_int_equal(buf_append(&buf, NULL, 0), 0);
    assert_int_equal(malloc_calls, 0);
}

static void test_buf__emptied_starts_at_the_front_again(void **state)
{
    (void)state;
    append("hello");
    buf_consume(&buf, 5);
    assert_int_equal(buf.start, 0);
    assert_int_equal(buf.end, 0);
}

static void test_buf__reserve_and_commit(void **state)
{
    (void)state;
    append("a");
    char *room = buf_reserve(&buf, 1000);
    assert_non_null(room);
    memset(room, 'b', 1000);
    buf_commit(&buf, 2);
    assert_holds("abb");
}

static void test_buf__the_ceiling_holds(void **state)
{
    (void)state;
    buf_init(&buf, 8);
    append("12345678");
    assert_int_equal(buf_append(&buf, "9", 1), CASGI_ETOOBIG);
    assert_null(buf_reserve(&buf, 1));
    assert_holds("12345678");
    buf_consume(&buf, 1);
    append("9");
    assert_holds("23456789");
}

static void test_buf__the_ceiling_bounds_the_memory_too(void **state)
{
    (void)state;
    static char block[1000];
    buf_init(&buf, 10000);
    for (int i = 0; i < 10000; i++) {
        while (buf_append(&buf, block, 1 + (size_t)i % sizeof(block)) == 0) {
        }
        buf_consume(&buf, 1 + (size_t)i * 7 % buf_len(&buf));
    }
    assert_true(buf.capacity <= 15000);
}

static void test_buf__a_steady_flow_allocates_once(void **state)
{
    (void)state;
    append("12345678");
    for (int i = 0; i < 100000; i++) {
        append("12345678");
        buf_consume(&buf, 8);
    }
    assert_int_equal(malloc_calls, 1);
    assert_holds("12345678");
}

static void test_buf__absurd_sizes_are_refused(void **state)
{
    (void)state;
    volatile size_t absurd = SIZE_MAX; /* else the compiler sees it, too, and warns */
    append("x");
    assert_null(buf_reserve(&buf, absurd));
    assert_null(buf_reserve(&buf, absurd - 1));
    assert_int_equal(buf_append(&buf, "x", absurd), CASGI_ENOMEM);
    assert_holds("x");
}

static void test_buf__out_of_memory_appends_nothing(void **state)
{
    (void)state;
    append("before");
    malloc_fails = true;
    static char block[100000];
    assert_int_equal(buf_append(&buf, block, sizeof(block)), CASGI_ENOMEM);
    assert_null(buf_reserve(&buf, sizeof(block)));
    assert_holds("before");
    malloc_fails = false;
    append(" after");
    assert_holds("before after");
}

static void test_buf__released_is_usable_and_keeps_its_ceiling(void **state)
{
    (void)state;
    buf_init(&buf, 4);
    append("1234");
    buf_release(&buf);
    assert_int_equal(buf_len(&buf), 0);
    append("1234");
    assert_int_equal(buf_append(&buf, "5", 1), CASGI_ETOOBIG);
}

/* Against a model: a plain array with everything ever appended. */
static void test_buf__behaves_as_a_queue_of_bytes(void **state)
{
    (void)state;
    static char all[200000];
    size_t in = 0, out = 0;
    uint32_t seed = 7;
    buf_init(&buf, 5000);
    while (in < sizeof(all) - 1000) {
        seed = seed * 1664525u + 1013904223u;
        size_t size = (seed >> 8) % 700;
        for (size_t i = 0; i < size; i++) {
            all[in + i] = (char)(seed >> (i % 24));
        }
        if (buf_append(&buf, all + in, size) == 0) {
            in += size;
        } else {
            assert_true(in - out + size > 5000);
        }
        size_t drop = (seed >> 16) % (buf_len(&buf) + 1);
        buf_consume(&buf, drop);
        out += drop;
        assert_int_equal(buf_len(&buf), in - out);
        assert_true(in == out || memcmp(buf_bytes(&buf), all + out, in - out) == 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_buf__a_zeroed_one_is_empty_and_usable),
        TEST(test_buf__appended_is_consumed_in_order),
        TEST(test_buf__appending_nothing_allocates_nothing),
        TEST(test_buf__emptied_starts_at_the_front_again),
        TEST(test_buf__reserve_and_commit),
        TEST(test_buf__the_ceiling_holds),
        TEST(test_buf__the_ceiling_bounds_the_memory_too),
        TEST(test_buf__a_steady_flow_allocates_once),
        TEST(test_buf__absurd_sizes_are_refused),
        TEST(test_buf__out_of_memory_appends_nothing),
        TEST(test_buf__released_is_usable_and_keeps_its_ceiling),
        TEST(test_buf__behaves_as_a_queue_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
