#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/named.h"

static struct path_list list;

static int tear_down(void **state)
{
    (void)state;
    path_list_release(&list);
    return 0;
}

static void assert_named(char *word, const char *path)
{
    path_list_release(&list);
    assert_int_equal(named_modules(&word, 1, &list), 0);
    assert_int_equal(list.count, path ? 1 : 0);
    if (path) {
        assert_string_equal(list.items[0], path);
    }
}

static void test_named__a_module_is_a_word_of_its_own_or_follows_an_equals_sign(void **state)
{
    (void)state;
    assert_named("inner.so", "inner.so");
    assert_named("/a=a.so", "a.so");
    assert_named("--inner=../lib/b.so", "../lib/b.so");
}

static void test_named__the_application_in_it_is_left_out(void **state)
{
    (void)state;
    assert_named("/b=b.so:admin", "b.so");
    assert_named("a:b/c.so", "a:b/c.so");
}

static void test_named__other_words_name_none(void **state)
{
    (void)state;
    assert_named("", NULL);
    assert_named("Hello", NULL);
    assert_named("/a=inspect", NULL);
    assert_named(".so", NULL);
    assert_named("/a=", NULL);
}

static void test_named__the_words_keep_their_order(void **state)
{
    (void)state;
    char *words[] = { "/b=b.so", "verbose", "/a=a.so:x" };
    assert_int_equal(named_modules(words, 3, &list), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "b.so");
    assert_string_equal(list.items[1], "a.so");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_named__a_module_is_a_word_of_its_own_or_follows_an_equals_sign),
        TEST(test_named__the_application_in_it_is_left_out),
        TEST(test_named__other_words_name_none),
        TEST(test_named__the_words_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
