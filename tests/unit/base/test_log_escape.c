#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *text;
    const char *quoted;
    const char *message;
    const char *json;
};

static const struct row rows[] = {
    { "", "", "", "" },
    { "plain /path?x=1", "plain /path?x=1", "plain /path?x=1", "plain /path?x=1" },
    { "a\"b", "a\\\"b", "a\"b", "a\\\"b" },
    { "a\\b", "a\\\\b", "a\\b", "a\\\\b" },
    { "a\nb", "a\\x0ab", "a\\x0ab", "a\\nb" },
    { "\r\t", "\\x0d\\x09", "\\x0d\t", "\\r\\t" },
    { "\x1b[0m", "\\x1b[0m", "\\x1b[0m", "\\u001b[0m" },
    { "\x7f", "\\x7f", "\\x7f", "\\u007f" },
    { "\xc3\xa9", "\xc3\xa9", "\xc3\xa9", "\xc3\xa9" },
    { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
    { "\xc2\x9b", "\\xc2\\x9b", "\\xc2\\x9b", "\\u009b" },
    { "\xe2\x80\xa8", "\\xe2\\x80\\xa8", "\\xe2\\x80\\xa8", "\\u2028" },
    { "\xe2\x80\xa9.", "\\xe2\\x80\\xa9.", "\\xe2\\x80\\xa9.", "\\u2029." },
    { "a\xff", "a\\xff", "a\\xff", "a\xef\xbf\xbd" },
    { "\xc3", "\\xc3", "\\xc3", "\xef\xbf\xbd" },
    { "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
};

static void test_log_escape__each_row_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[100];
        assert_int_equal(log_escape(out, sizeof(out), casgi_str(rows[i].text)), strlen(rows[i].quoted));
        assert_string_equal(out, rows[i].quoted);
        (void)log_escape_message(out, sizeof(out), casgi_str(rows[i].text));
        assert_string_equal(out, rows[i].message);
        (void)log_escape_json(out, sizeof(out), casgi_str(rows[i].text));
        assert_string_equal(out, rows[i].json);
    }
}

static void test_log_escape__a_nul_byte_is_escaped(void **state)
{
    (void)state;
    char out[20];
    (void)log_escape(out, sizeof(out), (casgi_str_t){ "a\0b", 3 });
    assert_string_equal(out, "a\\x00b");
    (void)log_escape_json(out, sizeof(out), (casgi_str_t){ "a\0b", 3 });
    assert_string_equal(out, "a\\u0000b");
}

static void test_log_escape__what_just_fits_is_whole(void **state)
{
    (void)state;
    char out[7];
    assert_int_equal(log_escape(out, 7, casgi_str("abcdef")), 6);
    assert_string_equal(out, "abcdef");
    assert_int_equal(log_escape(out, 7, casgi_str("abcdefg")), 6);
    assert_string_equal(out, "abc...");
}

static void test_log_escape__an_escape_is_not_cut_in_the_middle(void **state)
{
    (void)state;
    char out[9];
    (void)log_escape(out, 9, casgi_str("abc\n\n"));
    assert_string_equal(out, "abc...");
    (void)log_escape(out, 9, casgi_str("a\n\n\n"));
    assert_string_equal(out, "a\\x0a...");
}

static void test_log_escape__tiny_places_hold_dots_or_nothing(void **state)
{
    (void)state;
    char out[4] = "zzz";
    assert_int_equal(log_escape(out, 0, casgi_str("abc")), 0);
    assert_string_equal(out, "zzz");
    assert_int_equal(log_escape(out, 1, casgi_str("abc")), 0);
    assert_string_equal(out, "");
    assert_int_equal(log_escape(out, 3, casgi_str("abc")), 2);
    assert_string_equal(out, "..");
}

/* Many bytes are looked at together; the result must be that of each by itself. */
static void test_log_escape__every_byte_at_every_place_of_a_text(void **state)
{
    (void)state;
    for (int byte = 0; byte < 128; byte++) {
        char c = (char)byte, alone[8], out[40];
        size_t alone_len = log_escape(alone, sizeof(alone), (casgi_str_t){ &c, 1 });
        for (size_t len = 1; len <= 20; len++) {
            for (size_t at = 0; at < len; at++) {
                char text[20];
                memset(text, 'a', len);
                text[at] = c;
                assert_int_equal(log_escape(out, sizeof(out), (casgi_str_t){ text, len }), len - 1 + alone_len);
                assert_memory_equal(out + at, alone, alone_len);
                assert_int_equal(strspn(out, "a"), byte == 'a' ? len : at);
            }
        }
    }
}

typedef size_t escape_fn(char *out, size_t capacity, casgi_str_t text);

/* Random bytes into places of every size: never more than fits, always terminated, always one printable line. */
static void torture(escape_fn *fn, bool tabs)
{
    static const char odd[] = "a\"\\\n\x7f\xc2\x9b\xe2\x80\xa8\xff\xf0\x9f\x98\x80 z\t";
    uint32_t seed = 3;
    for (int round = 0; round < 20000; round++) {
        char text[24];
        seed = seed * 1664525u + 1013904223u;
        size_t len = (seed >> 10) % sizeof(text), capacity = 1 + (seed >> 20) % 90;
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = seed & 0x8000 ? odd[(seed >> 16) % (sizeof(odd) - 1)] : (char)(seed >> 24);
        }
        char *out = malloc(capacity);
        assert_non_null(out);
        size_t written = fn(out, capacity, (casgi_str_t){ text, len });
        assert_true(written < capacity);
        assert_int_equal(strlen(out), written);
        assert_true(utf8_valid(casgi_str(out)));
        for (size_t i = 0; i < written; i++) {
            assert_true((unsigned char)out[i] >= ' ' || (tabs && out[i] == '\t'));
        }
        free(out);
    }
}

static void test_log_escape__random_bytes_become_one_line(void **state)
{
    (void)state;
    torture(log_escape, false);
    torture(log_escape_message, true);
    torture(log_escape_json, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_escape__each_row_of_the_table),
        cmocka_unit_test(test_log_escape__a_nul_byte_is_escaped),
        cmocka_unit_test(test_log_escape__what_just_fits_is_whole),
        cmocka_unit_test(test_log_escape__an_escape_is_not_cut_in_the_middle),
        cmocka_unit_test(test_log_escape__tiny_places_hold_dots_or_nothing),
        cmocka_unit_test(test_log_escape__every_byte_at_every_place_of_a_text),
        cmocka_unit_test(test_log_escape__random_bytes_become_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
