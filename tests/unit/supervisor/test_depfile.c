#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "casgi/base.h"
#include "supervisor/depfile.h"

#include <string.h>

static struct path_list list;

static int parse(const char *text)
{
    list = (struct path_list){ 0 };
    return depfile_parse(text, strlen(text), &list);
}

static int tear_down(void **state)
{
    (void)state;
    path_list_release(&list);
    return 0;
}

static void test_depfile__names_every_file_of_the_rule(void **state)
{
    (void)state;
    assert_int_equal(parse("app.so: app.c /usr/include/casgi/casgi.h\n"), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "app.c");
    assert_string_equal(list.items[1], "/usr/include/casgi/casgi.h");
}

static void test_depfile__a_rule_goes_on_after_a_backslash(void **state)
{
    (void)state;
    assert_int_equal(parse("app.so: app.c \\\n  one.h\\\n two.h \\\r\n three.h\n"), 0);
    assert_int_equal(list.count, 4);
    assert_string_equal(list.items[1], "one.h");
    assert_string_equal(list.items[3], "three.h");
}

static void test_depfile__escapes_are_undone(void **state)
{
    (void)state;
    assert_int_equal(parse("a\\ b.so: my\\ app.c cost$$.h no\\#1.h back\\slash.h\n"), 0);
    assert_int_equal(list.count, 4);
    assert_string_equal(list.items[0], "my app.c");
    assert_string_equal(list.items[1], "cost$.h");
    assert_string_equal(list.items[2], "no#1.h");
    assert_string_equal(list.items[3], "back\\slash.h");
}

static void test_depfile__each_file_is_named_once(void **state)
{
    (void)state;
    assert_int_equal(parse("app.so: app.c a.h app.c a.h\n"), 0);
    assert_int_equal(list.count, 2);
}

static void test_depfile__further_rules_are_not_read(void **state)
{
    (void)state;
    assert_int_equal(parse("app.so: app.c a.h\n\na.h:\n"), 0);
    assert_int_equal(list.count, 2);
}

static void test_depfile__the_last_line_need_not_end(void **state)
{
    (void)state;
    assert_int_equal(parse("app.so: app.c"), 0);
    assert_int_equal(list.count, 1);
}

static void test_depfile__what_is_no_rule_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(""), CASGI_EINVAL);
    assert_int_equal(parse("app.so app.c\n"), CASGI_EINVAL);
    assert_int_equal(depfile_parse("a: b\0c", 6, &list), CASGI_EINVAL);
    assert_int_equal(list.count, 0);
}

static void test_depfile__no_prefix_of_a_rule_confuses_it(void **state)
{
    static const char text[] = "a\\ b.so: my\\ app.c \\\n cost$$.h \\\r\n no\\#1.h\n";
    (void)state;
    for (size_t size = 0; size < sizeof(text); size++) {
        list = (struct path_list){ 0 };
        int rc = depfile_parse(text, size, &list);
        assert_true(rc == 0 || rc == CASGI_EINVAL);
        path_list_release(&list);
    }
}

static void test_depfile__a_missing_file_is_said(void **state)
{
    (void)state;
    assert_int_equal(depfile_read("/no/such/file.d", &list), CASGI_ENOENT);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_depfile__names_every_file_of_the_rule), TEST(test_depfile__a_rule_goes_on_after_a_backslash),
        TEST(test_depfile__escapes_are_undone),           TEST(test_depfile__each_file_is_named_once),
        TEST(test_depfile__further_rules_are_not_read),   TEST(test_depfile__the_last_line_need_not_end),
        TEST(test_depfile__what_is_no_rule_is_refused),   TEST(test_depfile__no_prefix_of_a_rule_confuses_it),
        TEST(test_depfile__a_missing_file_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
