#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/percent.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *text;
    const char *decoded; /* NULL: refused */
};

static const struct row rows[] = {
    { "", "" },
    { "/", "/" },
    { "/one%2Ftwo", "/one/two" },
    { "/one%2ftwo", "/one/two" },
    { "%41%42%43", "ABC" },
    { "a+b", "a+b" },
    { "%25", "%" },
    { "%2541", "%41" },
    { "%c3%A9", "\xc3\xa9" },
    { "%ff", "\xff" },
    { "x%", NULL },
    { "x%4", NULL },
    { "x%4g", NULL },
    { "x%g4", NULL },
    { "%%41", NULL },
    { "% 41", NULL },
    { "%-1", NULL },
    { "%0x41", NULL },
    { "%u0041", NULL },
};

/* The text in memory of just its size, so that a sanitizer sees a byte read too far. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static void test_percent__decodes_each_row_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].text), out_len = 99;
        char *text = exact_copy(rows[i].text, len);
        char *out = malloc(len + 1);
        int rc = percent_decode(out, (casgi_str_t){ text, len }, &out_len);
        if (rows[i].decoded) {
            assert_int_equal(rc, 0);
            assert_string_equal(out, rows[i].decoded);
            assert_int_equal(out_len, strlen(rows[i].decoded));
        } else {
            assert_int_equal(rc, CASGI_EINVAL);
            assert_int_equal(out_len, 99);
        }
        free(text);
        free(out);
    }
}

static void test_percent__decodes_in_place(void **state)
{
    (void)state;
    char text[] = "/a%20b%2Fc";
    size_t len;
    assert_int_equal(percent_decode(text, casgi_str(text), &len), 0);
    assert_string_equal(text, "/a b/c");
    assert_int_equal(len, 6);
}

static void test_percent__a_nul_byte_is_decoded_for_the_caller_to_refuse(void **state)
{
    (void)state;
    char out[8];
    size_t len;
    assert_int_equal(percent_decode(out, casgi_str("a%00b"), &len), 0);
    assert_int_equal(len, 3);
    assert_memory_equal(out, "a\0b", 4);
}

static void test_percent__every_byte_survives_encoding_and_decoding(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        static const char upper[] = "0123456789ABCDEF";
        char text[4] = { '%', upper[byte >> 4], upper[byte & 15], '\0' };
        char out[4];
        size_t len;
        assert_int_equal(percent_decode(out, casgi_str(text), &len), 0);
        assert_int_equal(len, 1);
        assert_int_equal((unsigned char)out[0], byte);
    }
}

static void test_percent__only_hexadecimal_digits_have_a_value(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char *digits = "0123456789abcdef";
        char lower = (char)(byte >= 'A' && byte <= 'F' ? byte + 32 : byte);
        const char *found = byte ? strchr(digits, lower) : NULL;
        assert_int_equal(percent_hex_value((char)byte), found ? (int)(found - digits) : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent__decodes_each_row_of_the_table),
        cmocka_unit_test(test_percent__decodes_in_place),
        cmocka_unit_test(test_percent__a_nul_byte_is_decoded_for_the_caller_to_refuse),
        cmocka_unit_test(test_percent__every_byte_survives_encoding_and_decoding),
        cmocka_unit_test(test_percent__only_hexadecimal_digits_have_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
