#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static bool valid(const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    bool result = utf8_valid((casgi_str_t){ copy, len });
    free(copy);
    return result;
}

/* RFC 3629 by arithmetic: another way than the ranges of the part under test. */
static size_t encode(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6) {
        out[i] = (char)(0x80 | (code & 0x3f));
    }
    static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    out[0] = (char)(marks[len] | code);
    return len;
}

static void test_utf8__every_code_point_is_valid_but_surrogates(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char bytes[4];
        size_t len = encode(bytes, code);
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        casgi_str_t text = { bytes, len };
        assert_int_equal(utf8_char_len(text), surrogate ? 0 : len);
        assert_int_equal(utf8_valid(text), !surrogate);
    }
}

static void test_utf8__what_lies_above_the_last_code_point_is_invalid(void **state)
{
    (void)state;
    for (uint32_t code = 0x110000; code < 0x200000; code += 0x1111) {
        char bytes[4];
        assert_false(valid(bytes, encode(bytes, code)));
    }
}

static void test_utf8__malformed_sequences_are_invalid(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc3",
        "\xc3(",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xe2\x82",
        "\xe2(\xa1",
        "\xe2\x82(",
        "\xed\xa0\x80",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x9f\x98",
        "\xf0(\x8c\xbc",
        "\xf0\x90(\xbc",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xf8\x88\x80\x80\x80",
        "\xc3\xc3\xa9",
        "abcdefgh\xff",
        "abcdefghijklmno\xc3",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(valid(rows[i], strlen(rows[i])));
    }
}

static void test_utf8__an_invalid_byte_is_found_at_every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++) {
        for (size_t at = 0; at < len; at++) {
            char bytes[40];
            memset(bytes, 'a', sizeof(bytes));
            assert_true(valid(bytes, len));
            bytes[at] = '\xff';
            assert_false(valid(bytes, len));
        }
    }
}

static void test_utf8__a_cut_character_is_invalid_at_every_place(void **state)
{
    (void)state;
    const char *text = "aaaa\xc3\xa9"
                       "bbbb\xe2\x82\xac"
                       "cccc\xf0\x9f\x98\x80"
                       "dddd";
    for (size_t len = 0; len <= strlen(text); len++) {
        bool whole = (text[len] & 0xc0) != 0x80;
        assert_int_equal(valid(text, len), whole);
    }
}

static void test_utf8__nothing_is_valid_and_has_no_character(void **state)
{
    (void)state;
    casgi_str_t none = { NULL, 0 };
    assert_true(utf8_valid(none));
    assert_int_equal(utf8_char_len(none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8__every_code_point_is_valid_but_surrogates),
        cmocka_unit_test(test_utf8__what_lies_above_the_last_code_point_is_invalid),
        cmocka_unit_test(test_utf8__malformed_sequences_are_invalid),
        cmocka_unit_test(test_utf8__an_invalid_byte_is_found_at_every_place),
        cmocka_unit_test(test_utf8__a_cut_character_is_invalid_at_every_place),
        cmocka_unit_test(test_utf8__nothing_is_valid_and_has_no_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
