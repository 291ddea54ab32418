#include "support.h"

#include "common/cache.h"

#include <stdio.h>

static struct kit_cache cache;

static int setup(void **state)
{
    (void)state;
    kit_cache_init(&cache, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_cache_release(&cache);
    return 0;
}

static void add(const char *text, uint64_t number)
{
    assert_non_null(kit_cache_add(&cache, text, (union kit_cached){ .number = number }));
}

static void test_cache__what_was_added_is_found(void **state)
{
    (void)state;
    add("select 1", 1);
    add("select 2", 2);
    assert_int_equal(kit_cache_find(&cache, "select 1")->value.number, 1);
    assert_int_equal(kit_cache_find(&cache, "select 2")->value.number, 2);
}

static void test_cache__what_was_not_added_is_not_found(void **state)
{
    (void)state;
    assert_null(kit_cache_find(&cache, "select 1"));
    add("select 1", 1);
    assert_null(kit_cache_find(&cache, "select"));
    assert_null(kit_cache_find(&cache, "select 1 "));
}

static void test_cache__the_surplus_is_what_was_not_used_for_longest(void **state)
{
    (void)state;
    add("a", 1);
    add("b", 2);
    assert_null(kit_cache_surplus(&cache));
    add("c", 3);
    assert_string_equal(kit_cache_surplus(&cache)->text, "a");
    (void)kit_cache_find(&cache, "a");
    assert_string_equal(kit_cache_surplus(&cache)->text, "b");
}

static void test_cache__what_was_removed_is_gone(void **state)
{
    (void)state;
    add("a", 1);
    add("b", 2);
    add("c", 3);
    kit_cache_remove(&cache, kit_cache_find(&cache, "b"));
    assert_null(kit_cache_find(&cache, "b"));
    assert_int_equal(kit_cache_find(&cache, "a")->value.number, 1);
    assert_int_equal(kit_cache_find(&cache, "c")->value.number, 3);
    assert_int_equal(cache.count, 2);
}

static void test_cache__many_come_and_go_in_order(void **state)
{
    (void)state;
    char text[32];
    kit_cache_init(&cache, 50);
    for (unsigned i = 0; i < 1000; i++) {
        struct kit_cache_entry *surplus = kit_cache_surplus(&cache);
        if (surplus) {
            assert_int_equal(surplus->value.number, i - 50);
            kit_cache_remove(&cache, surplus);
        }
        (void)snprintf(text, sizeof(text), "select %u", i);
        add(text, i);
    }
    for (unsigned i = 950; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "select %u", i);
        assert_int_equal(kit_cache_find(&cache, text)->value.number, i);
    }
    assert_int_equal(cache.count, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cache__what_was_added_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache__what_was_not_added_is_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache__the_surplus_is_what_was_not_used_for_longest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache__what_was_removed_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache__many_come_and_go_in_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
