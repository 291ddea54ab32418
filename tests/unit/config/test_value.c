#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Values: every kind of option with good and bad text, by table. */
#include "config/config.h"
#include "config/options.h"
#include "config/value.h"

#include "casgi/host.h"
#include "support.h"

#include <string.h>

struct row {
    const char *option;
    const char *text;
    uint64_t value;      /* what the member holds */
    const char *refused; /* the sentence behind the option's name; NULL: accepted */
};

static const struct row rows[] = {
    { "port", "0", 0, NULL },
    { "port", "65535", 65535, NULL },
    { "port", "080", 80, NULL },
    { "port", "65536", 0, "\"65536\" is too large; at most 65535" },
    { "port", "99999999999999999999999", 0, "\"99999999999999999999999\" is too large; at most 65535" },
    { "port", "-1", 0, "\"-1\" is not a whole number" },
    { "port", "+1", 0, "\"+1\" is not a whole number" },
    { "port", " 1", 0, "\" 1\" is not a whole number" },
    { "port", "1 ", 0, "\"1 \" is not a whole number" },
    { "port", "0x50", 0, "\"0x50\" is not a whole number" },
    { "port", "8.0", 0, "\"8.0\" is not a whole number" },
    { "port", "", 0, "\"\" is not a whole number" },
    { "port", "eighty", 0, "\"eighty\" is not a whole number" },
    { "port", "80\n", 0, "\"80\\x0a\" is not a whole number" },
    { "fd", "3", 3, NULL },
    { "fd", "2147483648", 0, "\"2147483648\" is too large; at most 2147483647" },
    { "backlog", "1", 1, NULL },
    { "backlog", "0", 0, "\"0\" is too small; at least 1" },
    { "limit-concurrency", "18446744073709551615", UINT64_MAX, NULL },
    { "limit-concurrency", "18446744073709551616", 0,
      "\"18446744073709551616\" is too large; at most 18446744073709551615" },
    { "limit-concurrency", "184467440737095516160", 0,
      "\"184467440737095516160\" is too large; at most 18446744073709551615" },
    { "limit-head-size", "0", 0, NULL },
    { "limit-head-size", "1000", 1000, NULL },
    { "limit-head-size", "8k", 8192, NULL },
    { "limit-head-size", "8K", 8192, NULL },
    { "limit-head-size", "8kb", 8192, NULL },
    { "limit-head-size", "8KiB", 8192, NULL },
    { "limit-head-size", "4096b", 4096, NULL },
    { "limit-head-size", "255", 0, "\"255\" is too small; at least 256 bytes, or 0 to switch it off" },
    { "limit-head-size", "2g", 0, "\"2g\" is too large; at most 1073741824 bytes" },
    { "limit-head-size", "1.5k", 0, "\"1.5k\" is not a size; write bytes, or 64k, 8m, 1g" },
    { "limit-head-size", "k", 0, "\"k\" is not a size; write bytes, or 64k, 8m, 1g" },
    { "limit-head-size", "1t", 0, "\"1t\" is not a size; write bytes, or 64k, 8m, 1g" },
    { "limit-body-size", "1m", 1048576, NULL },
    { "limit-body-size", "3g", 3221225472, NULL },
    { "limit-body-size", "9999999999g", 0, "\"9999999999g\" is too large; at most 9223372036854775807 bytes" },
    { "limit-body-size", "99999999999g", 0, "\"99999999999g\" is too large; at most 9223372036854775807 bytes" },
    { "stack-size", "32k", 32768, NULL },
    { "stack-size", "1k", 0, "\"1k\" is too small; at least 32768 bytes" },
    { "stack-size", "0", 0, "\"0\" is too small; at least 32768 bytes" },
    { "timeout-keep-alive", "5", 5000000, NULL },
    { "timeout-keep-alive", "0", 0, NULL },
    { "timeout-keep-alive", "0.25", 250000, NULL },
    { "timeout-keep-alive", "2.5s", 2500000, NULL },
    { "timeout-keep-alive", "500ms", 500000, NULL },
    { "timeout-keep-alive", "7us", 7, NULL },
    { "timeout-keep-alive", "2m", 120000000, NULL },
    { "timeout-keep-alive", "1.5h", 5400000000, NULL },
    { "timeout-keep-alive", "1d", 86400000000, NULL },
    { "timeout-keep-alive", "0.000001", 1, NULL },
    { "timeout-keep-alive", "0.0000001", 0, NULL },
    { "timeout-keep-alive", "1.123456789", 1123456, NULL },
    { "timeout-keep-alive", "5x", 0, "\"5x\" is not a duration; write seconds, or 500ms, 5s, 2m, 1h" },
    { "timeout-keep-alive", "5.", 0, "\"5.\" is not a duration; write seconds, or 500ms, 5s, 2m, 1h" },
    { "timeout-keep-alive", ".5", 0, "\".5\" is not a duration; write seconds, or 500ms, 5s, 2m, 1h" },
    { "timeout-keep-alive", "1.2.3", 0, "\"1.2.3\" is not a duration; write seconds, or 500ms, 5s, 2m, 1h" },
    { "timeout-keep-alive", "1.1234567890", 0,
      "\"1.1234567890\" is not a duration; write seconds, or 500ms, 5s, 2m, 1h" },
    { "timeout-keep-alive", "1e3", 0, "\"1e3\" is not a duration; write seconds, or 500ms, 5s, 2m, 1h" },
    { "timeout-keep-alive", "inf", 0, "\"inf\" is not a duration; write seconds, or 500ms, 5s, 2m, 1h" },
    { "timeout-keep-alive", "367d", 0, "\"367d\" is too large; at most 31622400 s" },
    { "timeout-keep-alive", "99999999999999d", 0, "\"99999999999999d\" is too large; at most 31622400 s" },
    { "lifespan", "on", CONFIG_LIFESPAN_ON, NULL },
    { "lifespan", "OFF", CONFIG_LIFESPAN_OFF, NULL },
    { "lifespan", "yes", 0, "\"yes\" is not one of auto, on, off" },
    { "lifespan", "", 0, "\"\" is not one of auto, on, off" },
    { "lifespan", "auto, on", 0, "\"auto, on\" is not one of auto, on, off" },
    { "log-level", "trace", CASGI_LOG_TRACE, NULL },
    { "log-level", "critical", CASGI_LOG_CRITICAL, NULL },
    { "log-level", "warn", 0,
      "\"warn\" is not one of trace, debug, info, warning, error, critical; did you mean warning?" },
    { "log-format", "json", 1, NULL },
    { "log-format", "text", 0, NULL },
    { "log-format", "xml", 0, "\"xml\" is not one of text, json" },
    { "reload", "1", 1, NULL },
    { "reload", "Yes", 1, NULL },
    { "reload", "off", 0, NULL },
    { "reload", "auto", 0, "\"auto\" is neither yes nor no; write 1 or 0" },
    { "reload", "2", 0, "\"2\" is neither yes nor no; write 1 or 0" },
    { "access-log-no-query", "1", 0, NULL },
    { "access-log-no-query", "no", 1, NULL },
};

static uint64_t member_value(const struct config *config, const struct option *option)
{
    const char *at = (const char *)config + option->offset;
    switch (option->size) {
    case sizeof(bool):
        return *(const bool *)at;
    case sizeof(uint16_t):
        return *(const uint16_t *)(const void *)at;
    case sizeof(uint32_t):
        return *(const uint32_t *)(const void *)at;
    default:
        return *(const uint64_t *)(const void *)at;
    }
}

static void test_value__each_row_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config config = { 0 };
        casgi_error_t error = { 0 };
        const struct option *option = option_find(casgi_str(rows[i].option));
        assert_non_null(option);
        int rc = value_set(&config, option, rows[i].text, "x", &error);
        if (rows[i].refused) {
            assert_int_equal(rc, CASGI_EINVAL);
            assert_string_equal(error.message + 3, rows[i].refused);
        } else {
            assert_int_equal(rc, 0);
            assert_int_equal(member_value(&config, option), rows[i].value);
        }
    }
}

static void test_value__the_message_begins_with_where_it_stood(void **state)
{
    (void)state;
    assert_refused("--port: \"x\" is not a whole number", "a.so", "--port", "x");
}

static void test_value__texts_are_checked(void **state)
{
    (void)state;
    char path[200];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_refused("--host: the value is empty", "a.so", "--host", "");
    assert_refused("--uds: the value is empty", "a.so", "--uds=");
    assert_refused("--uds: the path of a Unix socket has at most 107 bytes, this one 199", "a.so", "--uds", path);
    assert_refused("--root-path: \"api\" is not a path such as /api", "a.so", "--root-path", "api");
    assert_refused("--root-path: \"/a?b\" is not a path such as /api", "a.so", "--root-path", "/a?b");
    assert_refused("--access-log-exclude: \"health\" does not begin with a /", "a.so", "--access-log-exclude",
                   "health");
}

static void test_value__addresses_are_checked(void **state)
{
    (void)state;
#define NO_ADDRESS " is not an address; write HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N"
    assert_refused("--bind: \"localhost\"" NO_ADDRESS, "a.so", "--bind", "localhost");
    assert_refused("--bind: \"::1\"" NO_ADDRESS, "a.so", "--bind", "::1");
    assert_refused("--bind: \"[::1]\"" NO_ADDRESS, "a.so", "--bind", "[::1]");
    assert_refused("--bind: \"[::1\"" NO_ADDRESS, "a.so", "--bind", "[::1");
    assert_refused("--bind: \"a:\" does not end in a port, a number from 0 to 65535", "a.so", "--bind", "a:");
    assert_refused("--bind: \"a:70000\" does not end in a port, a number from 0 to 65535", "a.so", "--bind", "a:70000");
    assert_refused("--bind: \"a:18446744073709551696\" does not end in a port, a number from 0 to 65535", "a.so",
                   "--bind", "a:18446744073709551696");
    assert_refused("--bind: \"[::1]:x\" does not end in a port, a number from 0 to 65535", "a.so", "--bind", "[::1]:x");
    assert_refused("--bind: \"fd://x\" does not end in the number of a descriptor", "a.so", "--bind", "fd://x");
    assert_refused("--bind: \"fd://\" does not end in the number of a descriptor", "a.so", "--bind", "fd://");
    assert_refused("--bind: the value is empty", "a.so", "--bind", "unix:");
}

static void test_value__header_fields_are_checked(void **state)
{
    (void)state;
    assert_refused("--header: \"x\" has no colon; write \"Name: value\"", "a.so", "--header", "x");
    assert_refused("--header: the name of \": x\" has characters that a field name may not have, or is empty", "a.so",
                   "--header", ": x");
    assert_refused("--header: the name of \"a b: x\" has characters that a field name may not have, or is empty",
                   "a.so", "--header", "a b: x");
    assert_refused("--header: the value of \"a: b\\x0d\\x0ac: d\" has control characters", "a.so", "--header",
                   "a: b\r\nc: d");
    assert_refused("--header: \"Content-Length\" is set by the server itself", "a.so", "--header", "Content-Length: 1");
    struct config config;
    PARSE(&config, "a.so", "--header", "X-Empty:", "--header", "a:b:c", "--header", "x: caf\xc3\xa9");
    assert_int_equal(config.header.count, 3);
    config_release(&config);
}

static void test_value__a_header_field_is_split_at_the_first_colon(void **state)
{
    (void)state;
    casgi_str_t name, value;
    config_split_header("X-Name: \ta: b \t", &name, &value);
    assert_int_equal(name.len, 6);
    assert_memory_equal(name.ptr, "X-Name", 6);
    assert_int_equal(value.len, 4);
    assert_memory_equal(value.ptr, "a: b", 4);
    config_split_header("x:", &name, &value);
    assert_int_equal(value.len, 0);
}

static void test_options__every_default_can_be_parsed_and_every_option_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_count; i++) {
        struct config config = { 0 };
        const struct option *option = &options[i];
        assert_ptr_equal(option_find(casgi_str(option->name)), option);
        assert_int_equal(option->metavar == NULL, option->kind == OPTION_FLAG || option->kind == OPTION_CLEAR);
        assert_int_equal(option->help[strlen(option->help) - 1], '.');
        if (option->fallback) {
            assert_int_equal(value_set(&config, option, option->fallback, "x", NULL), 0);
        }
        value_release(&config, option);
    }
}

static void test_options__environment_names_are_derived(void **state)
{
    (void)state;
    char name[OPTION_ENV_SIZE];
    option_env_name(option_find(casgi_str("timeout-graceful-shutdown")), name);
    assert_string_equal(name, "CASGI_TIMEOUT_GRACEFUL_SHUTDOWN");
}

#define TEST(name) cmocka_unit_test_setup(name, clear_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_value__each_row_of_the_table),
        TEST(test_value__the_message_begins_with_where_it_stood),
        TEST(test_value__texts_are_checked),
        TEST(test_value__addresses_are_checked),
        TEST(test_value__header_fields_are_checked),
        TEST(test_value__a_header_field_is_split_at_the_first_colon),
        TEST(test_options__every_default_can_be_parsed_and_every_option_explained),
        TEST(test_options__environment_names_are_derived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
