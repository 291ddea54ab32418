#include "runtime/stack.h"
#include "support.h"

#include <string.h>
#include <sys/mman.h>

static struct stack_pool pool;

static int setup(void **state)
{
    (void)state;
    stack_pool_init(&pool, 256u * 1024u, 400);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stack_pool_release(&pool);
    return 0;
}

static void test_stack__has_its_size_and_room_for_the_owner(void **state)
{
    struct stack *stack = stack_get(&pool);
    (void)state;
    assert_non_null(stack);
    assert_true(stack_usable(stack) > 256u * 1024u - 4096u);
    assert_true(stack_usable(stack) < 256u * 1024u);
    memset(stack_owner(stack), 1, 400);
    memset(stack->low, 1, stack_usable(stack));
    assert_ptr_equal(stack->pool, &pool);
    stack_put(stack);
}

static void test_stack__is_used_again_last_returned_first(void **state)
{
    struct stack *first = stack_get(&pool), *second = stack_get(&pool);
    (void)state;
    stack_put(first);
    stack_put(second);
    assert_ptr_equal(stack_get(&pool), second);
    assert_ptr_equal(stack_get(&pool), first);
    stack_put(first);
    stack_put(second);
}

static void test_stack__many_do_not_overlap(void **state)
{
    enum { COUNT = 1000 };
    static struct stack *all[COUNT];
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        all[i] = stack_get(&pool);
        assert_non_null(all[i]);
        memcpy(stack_owner(all[i]), &i, sizeof(i));
        memcpy(all[i]->low, &i, sizeof(i));
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_memory_equal(stack_owner(all[i]), &i, sizeof(i));
        assert_memory_equal(all[i]->low, &i, sizeof(i));
        stack_put(all[i]);
    }
}

static bool resident(char *address)
{
    unsigned char yes = 0;
    char *page = (char *)((uintptr_t)address & ~(uintptr_t)4095);
    assert_int_equal(mincore(page, 4096, &yes), 0);
    return yes & 1;
}

static void test_stack__used_deep_gives_its_pages_back(void **state)
{
    struct stack *stack = stack_get(&pool);
    char *deep = stack->low + 64 * 1024;
    (void)state;
    memset(deep, 1, stack_usable(stack) - 64 * 1024);
    assert_true(resident(deep));
    stack_trim(stack);
    assert_false(resident(deep));
    stack_put(stack);
}

static void test_stack__used_a_little_keeps_its_pages(void **state)
{
    struct stack *stack = stack_get(&pool);
    char *shallow = (char *)stack_owner(stack) - 8000;
    (void)state;
    memset(shallow, 1, 8000);
    stack_trim(stack);
    assert_int_equal(*shallow, 1);
    stack_put(stack);
}

static void test_stack__a_deep_frame_that_skips_the_watermark_is_found_in_the_end(void **state)
{
    struct stack *stack = stack_get(&pool);
    (void)state;
    stack->low[0] = 1;
    for (int i = 0; i < 256; i++) {
        stack_trim(stack);
    }
    assert_false(resident(stack->low));
    stack_put(stack);
}

/* ---- what a burst took ---- */

static void test_stack__what_was_not_needed_since_the_last_time_is_cooled(void **state)
{
    struct stack *all[10];
    (void)state;
    for (int i = 0; i < 10; i++) {
        all[i] = stack_get(&pool);
    }
    char *coldest = all[0]->low, *hottest = all[9]->low;
    for (int i = 0; i < 10; i++) {
        memset(all[i]->low + pool.size - 8192, 1, 100);
        stack_put(all[i]);
    }
    stack_pool_cool(&pool, 4, 100); /* all were in use meanwhile */
    assert_int_equal(pool.free_count, 10);
    stack_pool_cool(&pool, 4, 100);
    assert_int_equal(pool.free_count, 4);
    assert_false(resident(coldest + pool.size - 8192));
    assert_true(resident(hottest + pool.size - 8192));
}

static void test_stack__a_cold_one_is_used_before_a_new_one(void **state)
{
    struct stack *first = stack_get(&pool), *second = stack_get(&pool);
    char *low = first->low;
    int guard = first->guard;
    (void)state;
    stack_put(first);
    stack_pool_cool(&pool, 0, 100);
    stack_pool_cool(&pool, 0, 100);
    assert_int_equal(pool.free_count, 0);
    first = stack_get(&pool);
    assert_ptr_equal(first->low, low);
    assert_int_equal(first->guard, guard);
    assert_ptr_equal(first->pool, &pool);
    memset(first->low, 1, stack_usable(first));
    stack_put(first);
    stack_put(second);
}

static void test_stack__only_so_many_are_cooled_at_once(void **state)
{
    struct stack *all[10];
    (void)state;
    for (int i = 0; i < 10; i++) {
        all[i] = stack_get(&pool);
    }
    for (int i = 0; i < 10; i++) {
        stack_put(all[i]);
    }
    stack_pool_cool(&pool, 0, 3);
    stack_pool_cool(&pool, 0, 3);
    assert_int_equal(pool.free_count, 7);
}

/* ---- guards ---- */

static void test_stack__the_guard_lies_below(void **state)
{
    struct stack *stack = stack_get(&pool);
    (void)state;
    assert_true(stack_guards(stack, stack->low - 1));
    assert_true(stack_guards(stack, stack->low - STACK_GUARD_SIZE));
    assert_false(stack_guards(stack, stack->low));
    assert_false(stack_guards(stack, stack->low - STACK_GUARD_SIZE - 1));
    stack_put(stack);
}

static void test_stack__guards_by_mprotect_where_markers_do_not_exist(void **state)
{
    (void)state;
    pool.guard = STACK_GUARD_PROTECT;
    struct stack *stack = stack_get(&pool);
    assert_int_equal(stack->guard, STACK_GUARD_PROTECT);
    stack_put(stack);
}

static void test_stack__guards_by_a_canary_when_mappings_run_out(void **state)
{
    (void)state;
    pool.guard = STACK_GUARD_PROTECT;
    pool.protect_budget = 1;
    struct stack *first = stack_get(&pool), *second = stack_get(&pool);
    assert_int_equal(first->guard, STACK_GUARD_PROTECT);
    assert_int_equal(second->guard, STACK_GUARD_CANARY);
    assert_false(stack_overrun(second));
    second->low[-8] = 1;
    assert_true(stack_overrun(second));
    stack_put(first);
    stack_put(second);
}

static void test_stack__the_tops_lie_in_different_lines_of_the_cache(void **state)
{
    struct stack *first = stack_get(&pool), *second = stack_get(&pool);
    (void)state;
    assert_int_not_equal((uintptr_t)first % 4096, (uintptr_t)second % 4096);
    stack_put(first);
    stack_put(second);
}

#define STACK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STACK_TEST(test_stack__has_its_size_and_room_for_the_owner),
        STACK_TEST(test_stack__is_used_again_last_returned_first),
        STACK_TEST(test_stack__many_do_not_overlap),
        STACK_TEST(test_stack__used_deep_gives_its_pages_back),
        STACK_TEST(test_stack__used_a_little_keeps_its_pages),
        STACK_TEST(test_stack__a_deep_frame_that_skips_the_watermark_is_found_in_the_end),
        STACK_TEST(test_stack__what_was_not_needed_since_the_last_time_is_cooled),
        STACK_TEST(test_stack__a_cold_one_is_used_before_a_new_one),
        STACK_TEST(test_stack__only_so_many_are_cooled_at_once),
        STACK_TEST(test_stack__the_guard_lies_below),
        STACK_TEST(test_stack__guards_by_mprotect_where_markers_do_not_exist),
        STACK_TEST(test_stack__guards_by_a_canary_when_mappings_run_out),
        STACK_TEST(test_stack__the_tops_lie_in_different_lines_of_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
