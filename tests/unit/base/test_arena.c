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
static size_t free_calls;
static bool malloc_fails;

static void *test_malloc_counted(size_t size)
{
    malloc_calls++;
    return malloc_fails ? NULL : malloc(size);
}

static void test_free_counted(void *data)
{
    free_calls++;
    free(data);
}

#define malloc test_malloc_counted
#define free test_free_counted
#include "base/arena.c"
#undef malloc
#undef free

static struct arena_pool pool;
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    malloc_calls = free_calls = 0;
    malloc_fails = false;
    pool = (struct arena_pool){ 0 };
    arena_init(&arena, &pool);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    malloc_fails = false;
    arena_reset(&arena);
    arena_pool_release(&pool);
    return 0;
}

static void test_arena__holds_nothing_until_the_first_allocation(void **state)
{
    (void)state;
    assert_int_equal(malloc_calls, 0);
    assert_null(arena.blocks);
}

static void test_arena__pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    unsigned char *pieces[200];
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_alloc(&arena, i + 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t at = 0; at <= i; at++) {
            assert_int_equal(pieces[i][at], i);
        }
    }
}

static void test_arena__a_piece_of_size_zero_is_not_null(void **state)
{
    (void)state;
    assert_non_null(arena_alloc(&arena, 0));
    assert_non_null(arena_alloc(&arena, 0));
}

static void test_arena__copy_is_terminated_and_packed(void **state)
{
    (void)state;
    casgi_str_t one = arena_copy(&arena, casgi_str("hello"));
    casgi_str_t two = arena_copy(&arena, casgi_str("x"));
    assert_string_equal(one.ptr, "hello");
    assert_int_equal(one.len, 5);
    assert_string_equal(two.ptr, "x");
    assert_ptr_equal(two.ptr, one.ptr + 6);
}

static void test_arena__copy_of_nothing_is_the_empty_text(void **state)
{
    (void)state;
    casgi_str_t none = { NULL, 0 };
    casgi_str_t copy = arena_copy(&arena, none);
    assert_non_null(copy.ptr);
    assert_int_equal(copy.len, 0);
    assert_string_equal(copy.ptr, "");
}

static void test_arena__aligned_pieces_follow_a_copy(void **state)
{
    (void)state;
    (void)arena_copy(&arena, casgi_str("odd"));
    void *piece = arena_alloc(&arena, 8);
    assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
}

static void fill_blocks(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_non_null(arena_alloc(&arena, BLOCK_ROOM));
    }
}

static void test_arena__blocks_are_reused_after_reset(void **state)
{
    (void)state;
    fill_blocks(5);
    arena_reset(&arena);
    size_t before = malloc_calls;
    fill_blocks(5);
    assert_int_equal(malloc_calls, before);
    assert_int_equal(free_calls, 0);
}

static void test_arena__pool_keeps_no_more_than_it_may(void **state)
{
    (void)state;
    pool.keep = 2;
    fill_blocks(5);
    arena_reset(&arena);
    assert_int_equal(pool.count, 2);
    assert_int_equal(free_calls, 3);
}

static void test_arena__a_large_piece_has_a_block_of_its_own(void **state)
{
    (void)state;
    char *small = arena_alloc(&arena, 16);
    char *large = arena_alloc(&arena, 100000);
    assert_non_null(large);
    memset(large, 1, 100000);
    char *next = arena_alloc(&arena, 16);
    assert_ptr_equal(next, small + 16);
    arena_reset(&arena);
    assert_int_equal(pool.count, 1);
    assert_int_equal(free_calls, 1);
}

static void test_arena__a_large_piece_may_be_the_first(void **state)
{
    (void)state;
    assert_non_null(arena_alloc(&arena, 100000));
    assert_non_null(arena_alloc(&arena, 1));
    assert_non_null(arena_copy(&arena, casgi_str("after")).ptr);
}

static void test_arena__absurd_sizes_are_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - sizeof(struct arena_block) + 1, SIZE_MAX / 2 };
    malloc_fails = true; /* malloc(SIZE_MAX / 2) is asked; sanitizers end the program for less */
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_null(arena_alloc(&arena, sizes[i]));
        casgi_str_t text = { "x", sizes[i] };
        assert_null(arena_copy(&arena, text).ptr);
    }
}

static void test_arena__out_of_memory_leaves_it_usable(void **state)
{
    (void)state;
    char *small = arena_alloc(&arena, 16);
    malloc_fails = true;
    assert_null(arena_alloc(&arena, 100000));
    assert_null(arena_alloc(&arena, BLOCK_ROOM));
    assert_ptr_equal(arena_alloc(&arena, 16), small + 16);
    malloc_fails = false;
    assert_non_null(arena_alloc(&arena, BLOCK_ROOM));
}

static void test_arena__out_of_memory_at_first(void **state)
{
    (void)state;
    malloc_fails = true;
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_copy(&arena, casgi_str("x")).ptr);
}

static void test_arena__first_bytes_lent_are_used_before_any_block(void **state)
{
    (void)state;
    _Alignas(max_align_t) char first[128];
    arena_init_with(&arena, &pool, first, sizeof(first));
    char *inside = arena_alloc(&arena, 100);
    assert_ptr_equal(inside, first);
    assert_int_equal(malloc_calls, 0);
    char *outside = arena_alloc(&arena, 100);
    assert_int_equal(malloc_calls, 1);
    assert_false(outside >= first && outside < first + sizeof(first));
    memset(inside, 1, 100);
    memset(outside, 2, 100);
    arena_reset(&arena);
    assert_int_equal(pool.count, 1);
    assert_ptr_not_equal(arena_alloc(&arena, 8), first);
}

static void test_arena__large_piece_leaves_the_first_bytes_in_use(void **state)
{
    (void)state;
    _Alignas(max_align_t) char first[128];
    arena_init_with(&arena, &pool, first, sizeof(first));
    assert_ptr_not_equal(arena_alloc(&arena, 3 * ARENA_BLOCK_SIZE), first);
    assert_ptr_equal(arena_alloc(&arena, 64), first);
    arena_reset(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_arena__holds_nothing_until_the_first_allocation),
        TEST(test_arena__pieces_are_aligned_and_apart),
        TEST(test_arena__a_piece_of_size_zero_is_not_null),
        TEST(test_arena__copy_is_terminated_and_packed),
        TEST(test_arena__copy_of_nothing_is_the_empty_text),
        TEST(test_arena__aligned_pieces_follow_a_copy),
        TEST(test_arena__blocks_are_reused_after_reset),
        TEST(test_arena__pool_keeps_no_more_than_it_may),
        TEST(test_arena__a_large_piece_has_a_block_of_its_own),
        TEST(test_arena__a_large_piece_may_be_the_first),
        TEST(test_arena__absurd_sizes_are_refused),
        TEST(test_arena__out_of_memory_leaves_it_usable),
        TEST(test_arena__out_of_memory_at_first),
        TEST(test_arena__first_bytes_lent_are_used_before_any_block),
        TEST(test_arena__large_piece_leaves_the_first_bytes_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
