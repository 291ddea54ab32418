/* httpdate, httpchars, httpstatus: the small tables of HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/httpchars.h"
#include "base/httpdate.h"
#include "base/httpstatus.h"

#include <string.h>
#include <time.h>

static void test_httpdate__formats_each_row_of_the_table(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 1709251199, "Thu, 29 Feb 2024 23:59:59 GMT" },
        { 2147483647, "Tue, 19 Jan 2038 03:14:07 GMT" },
        { 4102444800, "Fri, 01 Jan 2100 00:00:00 GMT" },
        { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[HTTP_DATE_LEN + 1];
        http_date_format(out, rows[i].seconds);
        assert_string_equal(out, rows[i].text);
    }
}

static void test_httpdate__a_year_of_five_digits_is_the_first_day(void **state)
{
    (void)state;
    char out[HTTP_DATE_LEN + 1];
    http_date_format(out, 253402300800);
    assert_string_equal(out, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date_format(out, INT64_MAX);
    assert_string_equal(out, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void test_httpdate__now_lies_between_before_and_after(void **state)
{
    (void)state;
    time_t before = time(NULL) - 1; /* the coarse clock may be a tick behind */
    casgi_str_t now = http_date();
    time_t after = time(NULL);
    struct tm tm = { 0 };
    assert_int_equal(now.len, HTTP_DATE_LEN);
    assert_non_null(strptime(now.ptr, "%a, %d %b %Y %H:%M:%S GMT", &tm));
    time_t seconds = timegm(&tm);
    assert_true(seconds >= before && seconds <= after);
}

static void test_httpdate__within_a_second_the_text_is_the_same_memory(void **state)
{
    (void)state;
    assert_ptr_equal(http_date().ptr, http_date().ptr);
}

static bool is_tchar(int c)
{
    bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return alnum || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void test_httpchars__the_table_agrees_with_the_rfc_for_every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool visible = c > 0x20 && c < 0x7f;
        assert_int_equal(http_char_is((char)c, HTTP_TCHAR), is_tchar(c));
        assert_int_equal(http_char_is((char)c, HTTP_VISIBLE), visible);
        assert_int_equal(http_char_is((char)c, HTTP_TARGET), visible && c != '#');
        assert_int_equal(http_char_is((char)c, HTTP_FIELD), visible || c == ' ' || c == '\t' || c >= 0x80);
        bool lower = c >= 'A' && c <= 'Z';
        assert_int_equal(http_token_lower[c], is_tchar(c) ? (lower ? c + 32 : c) : 0);
    }
}

static void test_httpchars__ids_are_letters_digits_and_a_few_marks(void **state)
{
    (void)state;
    assert_true(http_chars_all(casgi_str("Root=1-67891233-abcdef/x_y.z:9+@"), HTTP_ID));
    for (int c = 0; c < 256; c++) {
        if (http_char_is((char)c, HTTP_ID)) {
            assert_true(http_char_is((char)c, HTTP_VISIBLE));
            assert_null(strchr("\"\\<>{}[]()|;&$`'", c));
        }
    }
}

static void test_httpchars__tokens(void **state)
{
    (void)state;
    assert_true(http_is_token(casgi_str("GET")));
    assert_true(http_is_token(casgi_str("x-a_b.1")));
    assert_false(http_is_token(casgi_str("")));
    assert_false(http_is_token(casgi_str("a b")));
    assert_false(http_is_token(casgi_str("a:")));
    assert_false(http_is_token((casgi_str_t){ "a\0b", 3 }));
}

static void test_httpchars__field_values(void **state)
{
    (void)state;
    assert_true(http_is_field_value(casgi_str("")));
    assert_true(http_is_field_value(casgi_str(" a\tb \xc3\xa9\xff ")));
    assert_false(http_is_field_value(casgi_str("a\rb")));
    assert_false(http_is_field_value(casgi_str("a\nb")));
    assert_false(http_is_field_value(casgi_str("a\x7f")));
    assert_false(http_is_field_value((casgi_str_t){ "\0", 1 }));
}

static void test_httpchars__names_are_lowered_and_checked(void **state)
{
    (void)state;
    char out[12];
    assert_true(http_lower_name(out, casgi_str("Content-TYPE")));
    assert_memory_equal(out, "content-type", 12);
    assert_false(http_lower_name(out, casgi_str("a b")));
    assert_false(http_lower_name(out, casgi_str("")));
}

static void test_httpstatus__known_numbers_have_their_phrase(void **state)
{
    (void)state;
    assert_string_equal(http_reason(100).ptr, "Continue");
    assert_string_equal(http_reason(200).ptr, "OK");
    assert_string_equal(http_reason(404).ptr, "Not Found");
    assert_string_equal(http_reason(431).ptr, "Request Header Fields Too Large");
    assert_string_equal(http_reason(511).ptr, "Network Authentication Required");
    assert_int_equal(http_reason(503).len, strlen("Service Unavailable"));
}

static void test_httpstatus__unknown_numbers_have_the_empty_phrase(void **state)
{
    (void)state;
    static const int numbers[] = { INT32_MIN, -1, 0, 99, 104, 299, 499, 512, 599, 600, 999, INT32_MAX };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_string_equal(http_reason(numbers[i]).ptr, "");
        assert_int_equal(http_reason(numbers[i]).len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_httpdate__formats_each_row_of_the_table),
        cmocka_unit_test(test_httpdate__a_year_of_five_digits_is_the_first_day),
        cmocka_unit_test(test_httpdate__now_lies_between_before_and_after),
        cmocka_unit_test(test_httpdate__within_a_second_the_text_is_the_same_memory),
        cmocka_unit_test(test_httpchars__the_table_agrees_with_the_rfc_for_every_byte),
        cmocka_unit_test(test_httpchars__ids_are_letters_digits_and_a_few_marks),
        cmocka_unit_test(test_httpchars__tokens),
        cmocka_unit_test(test_httpchars__field_values),
        cmocka_unit_test(test_httpchars__names_are_lowered_and_checked),
        cmocka_unit_test(test_httpstatus__known_numbers_have_their_phrase),
        cmocka_unit_test(test_httpstatus__unknown_numbers_have_the_empty_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
