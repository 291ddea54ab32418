#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/nearest.h"

#include <string.h>

static void test_nearest__distances(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } rows[] = { { "", "", 0 },         { "", "abc", 3 },    { "abc", "abc", 0 },        { "abc", "abd", 1 },
                 { "abc", "acb", 1 },   { "abc", "ab", 1 },  { "abc", "xabc", 1 },       { "ca", "abc", 3 },
                 { "port", "prot", 1 }, { "abc", "xyz", 3 }, { "kitten", "sitting", 3 }, { "ab", "ba", 1 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(word_distance(rows[i].a, rows[i].b), rows[i].distance);
        assert_int_equal(word_distance(rows[i].b, rows[i].a), rows[i].distance);
    }
}

static void test_nearest__long_words_are_far_apart(void **state)
{
    (void)state;
    char longest[65] = { 0 }, longer[66] = { 0 };
    memset(longest, 'a', 64);
    memset(longer, 'a', 65);
    assert_int_equal(word_distance(longest, longest), 0);
    assert_int_equal(word_distance(longest, longer), 65);
    assert_int_equal(word_distance(longer, "a"), 65);
}

static void test_nearest__a_slip_is_near_and_another_word_is_not(void **state)
{
    (void)state;
    assert_true(word_is_near("relod", "reload"));
    assert_true(word_is_near("tiem", "time"));
    assert_true(word_is_near("time", "timeout-head"));
    assert_false(word_is_near("ti", "timeout-head"));
    assert_false(word_is_near("workers", "header"));
    assert_false(word_is_near("", "fd"));
    assert_false(word_is_near("hello", "help"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest__distances),
        cmocka_unit_test(test_nearest__long_words_are_far_apart),
        cmocka_unit_test(test_nearest__a_slip_is_near_and_another_word_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
