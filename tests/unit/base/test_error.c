#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

#include <errno.h>
#include <string.h>

static void test_error__our_codes_have_text_and_name(void **state)
{
    (void)state;
    assert_string_equal(error_text(CASGI_EDISCONNECTED), "the client has gone");
    assert_string_equal(error_name(CASGI_EDISCONNECTED), "EDISCONNECTED");
    assert_string_equal(error_text(0), "success");
    assert_string_equal(error_name(0), "OK");
}

static void test_error__system_codes_have_the_systems_text_and_name(void **state)
{
    (void)state;
    assert_string_equal(error_text(CASGI_ESYSTEM(ENOSPC)), "No space left on device");
    assert_string_equal(error_name(CASGI_ESYSTEM(ENOSPC)), "ENOSPC");
}

static void test_error__numbers_without_meaning_have_a_text_too(void **state)
{
    (void)state;
    static const int codes[] = { 1, -999, CASGI_ESYSTEM(99999), INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_non_null(error_text(codes[i]));
        assert_string_equal(error_name(codes[i]), "EUNKNOWN");
    }
}

static void test_error__every_errno_becomes_a_negative_code(void **state)
{
    (void)state;
    for (int number = -1; number < 200; number++) {
        assert_true(error_from_errno(number) < 0);
    }
    assert_int_equal(error_from_errno(EAGAIN), CASGI_EAGAIN);
    assert_int_equal(error_from_errno(ECONNRESET), CASGI_EDISCONNECTED);
    assert_int_equal(error_from_errno(EPERM), CASGI_EACCES);
    assert_int_equal(error_from_errno(EADDRINUSE), CASGI_ESYSTEM(EADDRINUSE));
}

static void test_error__set_fills_code_and_sentence(void **state)
{
    (void)state;
    casgi_error_t error = { .reserved = 7 };
    assert_int_equal(error_set(&error, CASGI_EINVAL, "bad %s %d", "port", 70000), CASGI_EINVAL);
    assert_int_equal(error.code, CASGI_EINVAL);
    assert_int_equal(error.reserved, 0);
    assert_string_equal(error.message, "bad port 70000");
}

static void test_error__set_cuts_what_is_too_long(void **state)
{
    (void)state;
    casgi_error_t error;
    assert_int_equal(error_set(&error, CASGI_EIO, "%5000d", 1), CASGI_EIO);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

static void test_error__set_without_a_place_returns_the_code(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, CASGI_EIO, "x"), CASGI_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error__our_codes_have_text_and_name),
        cmocka_unit_test(test_error__system_codes_have_the_systems_text_and_name),
        cmocka_unit_test(test_error__numbers_without_meaning_have_a_text_too),
        cmocka_unit_test(test_error__every_errno_becomes_a_negative_code),
        cmocka_unit_test(test_error__set_fills_code_and_sentence),
        cmocka_unit_test(test_error__set_cuts_what_is_too_long),
        cmocka_unit_test(test_error__set_without_a_place_returns_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
