/* httpfield: lengths and lists in field values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/httpfield.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- case ---- */

static void test_httpfield__case_does_not_matter(void **state)
{
    (void)state;
    assert_true(http_field_is(casgi_str("Keep-ALIVE"), casgi_str("keep-alive")));
    assert_true(http_field_is((casgi_str_t){ NULL, 0 }, casgi_str("")));
    assert_false(http_field_is(casgi_str("keep-alive"), casgi_str("keep-aliv")));
    assert_false(http_field_is(casgi_str("keep_alive"), casgi_str("keep-alive")));
}

static void test_httpfield__only_letters_have_a_case(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char text = (char)c;
        for (int l = 0; l < 256; l++) {
            const char lower = (char)l;
            bool same = c == l || (c >= 'A' && c <= 'Z' && c + 32 == l);
            bool capital = l >= 'A' && l <= 'Z'; /* nobody may ask for one */
            assert_true(capital || http_field_is((casgi_str_t){ &text, 1 }, (casgi_str_t){ &lower, 1 }) == same);
        }
    }
}

/* ---- lengths ---- */

static void test_httpfield__lengths_up_to_the_largest_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t length;
    } rows[] = {
        { "0", 0 },
        { "7", 7 },
        { "42", 42 },
        { "007", 7 },
        { "999999999999999999", 999999999999999999 },
        { "1000000000000000000", 1000000000000000000 },
        { "9223372036854775807", INT64_MAX },
        { "000000000000000000000000000009223372036854775807", INT64_MAX },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t length = -1;
        assert_true(http_field_length(casgi_str(rows[i].text), &length));
        assert_int_equal(length, rows[i].length);
    }
}

static void test_httpfield__what_is_no_length_is_refused_and_sets_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "-1",
        "+1",
        "1 ",
        " 1",
        "1,1",
        "1, 1",
        "0x10",
        "1e3",
        "1.0",
        "9223372036854775808",
        "9999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "/",
        ":",
        "\xb2",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t length = -77;
        assert_false(http_field_length(casgi_str(bad[i]), &length));
        assert_int_equal(length, -77);
    }
}

static void test_httpfield__a_length_ends_with_its_text(void **state)
{
    (void)state;
    int64_t length;
    assert_true(http_field_length((casgi_str_t){ "12345", 2 }, &length));
    assert_int_equal(length, 12);
}

/* ---- lists ---- */

/* The members, each in angle brackets. */
static void members_of(casgi_str_t list, char *out, size_t room)
{
    casgi_str_t member;
    size_t used = 0;
    *out = '\0';
    while (http_field_next(&list, &member)) {
        used += (size_t)snprintf(out + used, room - used, "<%.*s>", (int)member.len, member.ptr);
        assert_true(used < room);
    }
    assert_int_equal(list.len, 0);
}

static void test_httpfield__lists_have_their_members_without_blanks_and_empty_ones(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *members;
    } rows[] = {
        { "", "" },
        { ",", "" },
        { " \t", "" },
        { ", \t,, ", "" },
        { "a", "<a>" },
        { "a,b", "<a><b>" },
        { " a\t,\t b ", "<a><b>" },
        { "a,,b", "<a><b>" },
        { ",a b,", "<a b>" },
        { "a;q=1, b", "<a;q=1><b>" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char members[64];
        members_of(casgi_str(rows[i].list), members, sizeof(members));
        assert_string_equal(members, rows[i].members);
    }
}

/* In memory of its own size, so that the sanitizer sees a step too far. */
static void test_httpfield__lists_end_with_their_text(void **state)
{
    (void)state;
    static const char text[] = " a , b ,";
    for (size_t size = 0; size < sizeof(text); size++) {
        char members[64], *list = malloc(size ? size : 1);
        assert_non_null(list);
        memcpy(list, text, size);
        members_of((casgi_str_t){ size ? list : NULL, size }, members, sizeof(members));
        assert_string_equal(members, size < 2 ? "" : size < 6 ? "<a>" : "<a><b>");
        free(list);
    }
}

static void test_httpfield__tokens_are_found_among_the_members_only(void **state)
{
    (void)state;
    casgi_str_t close = casgi_str("close");
    assert_true(http_field_has_token(casgi_str("close"), close));
    assert_true(http_field_has_token(casgi_str("Close"), close));
    assert_true(http_field_has_token(casgi_str("upgrade , CLOSE\t, x"), close));
    assert_true(http_field_has_token(casgi_str(",,close"), close));
    assert_false(http_field_has_token(casgi_str(""), close));
    assert_false(http_field_has_token((casgi_str_t){ NULL, 0 }, close));
    assert_false(http_field_has_token(casgi_str("closed"), close));
    assert_false(http_field_has_token(casgi_str("not close"), close));
    assert_false(http_field_has_token(casgi_str("close;x"), close));
    assert_false(http_field_has_token(casgi_str("\"close\""), close));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_httpfield__case_does_not_matter),
        cmocka_unit_test(test_httpfield__only_letters_have_a_case),
        cmocka_unit_test(test_httpfield__lengths_up_to_the_largest_are_read),
        cmocka_unit_test(test_httpfield__what_is_no_length_is_refused_and_sets_nothing),
        cmocka_unit_test(test_httpfield__a_length_ends_with_its_text),
        cmocka_unit_test(test_httpfield__lists_have_their_members_without_blanks_and_empty_ones),
        cmocka_unit_test(test_httpfield__lists_end_with_their_text),
        cmocka_unit_test(test_httpfield__tokens_are_found_among_the_members_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
