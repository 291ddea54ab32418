/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Every allocation of a parse fails in turn. */
#include "config/config.h"

#include "support.h"
#include "support/allocations.h"

#include <stdlib.h>
#include <string.h>

static void test_config__each_failing_allocation_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    static const char *const words[] = { "a.so", "--host",      "h",  "--header", "a: b", "--header",
                                         "c: d", "--root-path", "/x", "--",       "word", NULL };
    (void)setenv("CASGI_BIND", "a:1 b:2", 1);
    (void)setenv("CASGI_CFLAGS", "-O2", 1);
    for (int i = 0; i < 100; i++) {
        struct config config;
        casgi_error_t error = { 0 };
        allocations_fail_at(i + 1);
        int rc = parse(&config, &error, words);
        allocations_suffice();
        if (!rc) {
            config_release(&config);
            assert_true(i > 10);
            assert_false(allocations_failed()); /* none failed: all have had their turn */
            return;
        }
        assert_int_equal(rc, CASGI_ENOMEM);
        assert_non_null(strstr(error.message, "out of memory"));
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_config__each_failing_allocation_is_told_and_leaks_nothing, clear_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
