#include "support.h"

#include "runtime/part.h"
#include "runtime/tls_part.h"

#include <string.h>

static void test_part__the_part_of_this_build_is_found(void **state)
{
    const void *symbol = NULL;
    casgi_error_t error;
    (void)state;
    assert_int_equal(part_load("tls", TLS_PART_SYMBOL, &symbol, &error), 0);
    assert_int_equal(((const struct tls_part *)symbol)->version, TLS_PART_VERSION);
}

static void test_part__one_that_is_not_there_is_named(void **state)
{
    const void *symbol = NULL;
    casgi_error_t error;
    (void)state;
    assert_int_equal(part_load("teleport", "casgi_part_teleport", &symbol, &error), CASGI_ENOTSUP);
    assert_non_null(strstr(error.message, "teleport.so"));
    assert_null(symbol);
}

static void test_part__one_without_the_symbol_is_not_ours(void **state)
{
    const void *symbol = NULL;
    casgi_error_t error;
    (void)state;
    assert_int_equal(part_load("tls", "casgi_part_teleport", &symbol, &error), CASGI_EABI);
    assert_non_null(strstr(error.message, "casgi_part_teleport"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_part__the_part_of_this_build_is_found),
        cmocka_unit_test(test_part__one_that_is_not_there_is_named),
        cmocka_unit_test(test_part__one_without_the_symbol_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
