#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "folder.h"
#include "supervisor/pattern.h"

#include <stdio.h>

static struct pattern_set set;

static void make(char *include, char *exclude)
{
    char *includes[] = { include }, *excludes[] = { exclude };
    const struct config_list include_list = { includes, include != NULL }, exclude_list = { excludes, exclude != NULL };
    assert_int_equal(pattern_set_init(&set, &include_list, &exclude_list), 0);
}

static int tear_down(void **state)
{
    pattern_set_release(&set);
    return folder_tear_down(state);
}

static void test_pattern__sources_and_modules_matter(void **state)
{
    (void)state;
    make(NULL, NULL);
    assert_true(pattern_set_wants(&set, "/srv/app.c"));
    assert_true(pattern_set_wants(&set, "/srv/app.hpp"));
    assert_true(pattern_set_wants(&set, "/srv/app.so"));
    assert_false(pattern_set_wants(&set, "/srv/notes.txt"));
    assert_false(pattern_set_wants(&set, "/srv/app.c.orig"));
}

static void test_pattern__hidden_files_and_editors_leftovers_do_not(void **state)
{
    (void)state;
    make(NULL, NULL);
    assert_false(pattern_set_wants(&set, "/srv/.app.c"));
    assert_false(pattern_set_wants(&set, "/srv/.app.so.12"));
    assert_false(pattern_set_wants(&set, "/srv/app.c~"));
    assert_false(pattern_set_wants(&set, "/srv/.app.c.swp"));
    assert_false(pattern_set_wants(&set, "/srv/#app.c#"));
}

static void test_pattern__what_is_included_is_added(void **state)
{
    (void)state;
    make("*.html", NULL);
    assert_true(pattern_set_wants(&set, "/srv/a.html"));
    assert_true(pattern_set_wants(&set, "/srv/app.c"));
}

static void test_pattern__what_is_excluded_wins(void **state)
{
    (void)state;
    make(NULL, "test_*.c");
    assert_false(pattern_set_wants(&set, "/srv/test_x.c"));
    assert_true(pattern_set_wants(&set, "/srv/x.c"));
}

static void test_pattern__a_default_given_on_the_other_side_is_dropped(void **state)
{
    (void)state;
    make(".*", "*.so");
    assert_false(pattern_set_wants(&set, "/srv/app.so"));
    assert_true(pattern_set_wants(&set, "/srv/.hidden.c"));
}

static void test_pattern__slashes_match_from_the_right(void **state)
{
    (void)state;
    assert_true(pattern_match("src/*.c", "/home/me/src/a.c"));
    assert_false(pattern_match("src/*.c", "/home/me/lib/a.c"));
    assert_false(pattern_match("src/*.c", "/home/src/lib/a.c"));
}

static void test_pattern__an_absolute_one_is_compared_whole(void **state)
{
    (void)state;
    assert_true(pattern_match("/home/*/a.c", "/home/me/a.c"));
    assert_false(pattern_match("/home/*/a.c", "/srv/home/me/a.c"));
}

static void test_pattern__a_folder_stands_for_all_below_it(void **state)
{
    char excluded[256];
    (void)state;
    make_folder(in_folder("gen"));
    snprintf(excluded, sizeof(excluded), "%s", in_folder("gen"));
    make(NULL, excluded);
    assert_false(pattern_set_wants(&set, in_folder("gen/deep/a.c")));
    assert_false(pattern_set_enters(&set, in_folder("gen")));
    assert_true(pattern_set_wants(&set, in_folder("general/a.c")));
}

static void test_pattern__hidden_folders_are_not_entered(void **state)
{
    (void)state;
    make(NULL, NULL);
    assert_false(pattern_set_enters(&set, "/srv/.git"));
    assert_true(pattern_set_enters(&set, "/srv/src"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pattern__sources_and_modules_matter),
        TEST(test_pattern__hidden_files_and_editors_leftovers_do_not),
        TEST(test_pattern__what_is_included_is_added),
        TEST(test_pattern__what_is_excluded_wins),
        TEST(test_pattern__a_default_given_on_the_other_side_is_dropped),
        TEST(test_pattern__slashes_match_from_the_right),
        TEST(test_pattern__an_absolute_one_is_compared_whole),
        TEST(test_pattern__a_folder_stands_for_all_below_it),
        TEST(test_pattern__hidden_folders_are_not_entered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
