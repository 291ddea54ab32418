/* link: -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=strdup */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Every allocation of a parse fails in turn. */
#include "config/config.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);
char *__wrap_strdup(const char *text);

static int until_failure = -1; /* allocations that still succeed; -1: all do */

static int fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
    return fails() ? NULL : __real_realloc(data, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

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
        until_failure = i;
        int rc = parse(&config, &error, words);
        int left = until_failure;
        until_failure = -1;
        if (!rc) {
            config_release(&config);
            assert_true(i > 10);
            assert_true(left >= 0); /* none failed: all have had their turn */
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
