#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/env_file.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/casgi-env-XXXXXX";

static int set_up(void **state)
{
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    int fd = mkstemp(path);
    if (fd < 0) {
        return -1;
    }
    (void)close(fd);
    (void)unsetenv("ENV_TEST_A");
    (void)unsetenv("ENV_TEST_B");
    return clear_environment(state);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text, size_t size)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

#define WRITE_FILE(literal) write_file((literal), sizeof(literal) - 1)

/* ---- variables ---- */

static void test_environment__gives_what_the_command_line_does_not(void **state)
{
    (void)state;
    struct config config;
    (void)setenv("CASGI_PORT", "81", 1);
    (void)setenv("CASGI_RELOAD", "1", 1);
    (void)setenv("CASGI_HOST", "::", 1);
    PARSE(&config, "a.so", "--host", "0.0.0.0");
    assert_int_equal(config.port, 81);
    assert_true(config.reload);
    assert_string_equal(config.host, "0.0.0.0");
    config_release(&config);
}

static void test_environment__the_command_line_can_switch_off(void **state)
{
    (void)state;
    struct config config;
    (void)setenv("CASGI_RELOAD", "1", 1);
    PARSE(&config, "a.so", "--no-reload");
    assert_false(config.reload);
    config_release(&config);
}

static void test_environment__an_empty_variable_is_none(void **state)
{
    (void)state;
    struct config config;
    (void)setenv("CASGI_PORT", "", 1);
    PARSE(&config, "a.so");
    assert_int_equal(config.port, 8000);
    config_release(&config);
}

static void test_environment__lists_stand_between_blanks_and_headers_between_newlines(void **state)
{
    (void)state;
    struct config config;
    (void)setenv("CASGI_BIND", " 0.0.0.0:80  [::]:80\nunix:/x", 1);
    (void)setenv("CASGI_HEADER", "X-A: one two\nX-B: three", 1);
    PARSE(&config, "a.so");
    assert_int_equal(config.bind.count, 3);
    assert_string_equal(config.bind.items[2], "unix:/x");
    assert_int_equal(config.header.count, 2);
    assert_string_equal(config.header.items[0], "X-A: one two");
    config_release(&config);
}

static void test_environment__a_list_of_the_command_line_replaces_it(void **state)
{
    (void)state;
    struct config config;
    (void)setenv("CASGI_BIND", "a:1 b:2", 1);
    PARSE(&config, "a.so", "--bind", "c:3");
    assert_int_equal(config.bind.count, 1);
    config_release(&config);
}

static void test_environment__the_message_names_the_variable(void **state)
{
    (void)state;
    (void)setenv("CASGI_PORT", "70000", 1);
    assert_refused("the environment variable CASGI_PORT: \"70000\" is too large; at most 65535", "a.so");
}

static void test_environment__a_variable_does_not_clash_with_the_command_line(void **state)
{
    (void)state;
    struct config config;
    (void)setenv("CASGI_PORT", "81", 1);
    PARSE(&config, "a.so", "--bind", "c:3");
    config_release(&config);
}

static void test_environment__can_name_the_app(void **state)
{
    (void)state;
    struct config config;
    (void)setenv("CASGI_APP", "env.so", 1);
    PARSE(&config, "--port", "1");
    assert_string_equal(config.app, "env.so");
    config_release(&config);
    PARSE(&config, "own.so");
    assert_string_equal(config.app, "own.so");
    config_release(&config);
}

static void test_environment__is_not_read_for_help(void **state)
{
    (void)state;
    struct config config;
    (void)setenv("CASGI_PORT", "nonsense", 1);
    PARSE(&config, "--help");
    config_release(&config);
}

/* ---- slips ---- */

static void assert_slip(char *entry, const char *expected)
{
    char *const entries[] = { "HOME=/", entry, "CASGI_PORT=1", NULL };
    const char *option = NULL;
    char *const *found = config_find_slip(entries, &option);
    assert_ptr_equal(found, expected ? &entries[1] : NULL);
    if (expected) {
        assert_string_equal(option, expected);
        assert_null(config_find_slip(found + 1, &option));
    }
}

static void test_environment__a_slip_of_a_variable_is_found(void **state)
{
    (void)state;
    assert_slip("CASGI_PROT=80", "port");
    assert_slip("CASGI_LOG_LEVLE=debug", "log-level");
    assert_slip("CASGI_HEADERS=a: b", "header");
    assert_slip("CASGI_TIMEOUT_KEEPALIVE=5", "timeout-keep-alive");
}

static void test_environment__what_casgi_or_others_read_is_no_slip(void **state)
{
    (void)state;
    assert_slip("CASGI_PORT=80", NULL);
    assert_slip("CASGI_APP=a.so", NULL);
    assert_slip("CASGI_APP_PATH=/apps", NULL);
    assert_slip("CASGI_BIN=/usr/bin/casgi", NULL);
    assert_slip("CASGI_BUILD=/build", NULL);
    assert_slip("CASGI_LOG=1", NULL);
    assert_slip("CASGI_DATABASE=postgres", NULL);
    assert_slip("CASGI_", NULL);
    assert_slip("MY_CASGI_PROT=80", NULL);
    assert_slip("CASGI_AN_EXCEEDINGLY_LONG_NAME_THAT_NO_OPTION_OF_THIS_PROGRAM_HAS_OR_WILL_EVER_HAVE=1", NULL);
}

/* ---- --env-file ---- */

struct row {
    const char *line;
    const char *name; /* NULL: says nothing, or is refused */
    const char *value;
    const char *wrong;
};

static const struct row rows[] = {
    { "", NULL, NULL, NULL },
    { "   ", NULL, NULL, NULL },
    { "# A=1", NULL, NULL, NULL },
    { "  # A=1", NULL, NULL, NULL },
    { "A=1", "A", "1", NULL },
    { "A=", "A", "", NULL },
    { "A= ", "A", "", NULL },
    { "  A = 1  ", "A", "1", NULL },
    { "_a9=x y", "_a9", "x y", NULL },
    { "export A=1", "A", "1", NULL },
    { "export\t A=1", "A", "1", NULL },
    { "export=1", "export", "1", NULL },
    { "exported=1", "exported", "1", NULL },
    { "A=b # c", "A", "b", NULL },
    { "A=b#c", "A", "b#c", NULL },
    { "A=#c", "A", "", NULL },
    { "A=b=c", "A", "b=c", NULL },
    { "A=\"b # c\" # d", "A", "b # c", NULL },
    { "A=\"\"", "A", "", NULL },
    { "A=\" b \"", "A", " b ", NULL },
    { "A=\"x\\\"y\\\\z\\n\\t\\$\\q\"", "A", "x\"y\\z\n\t$\\q", NULL },
    { "A='x\\n\"$y # z'", "A", "x\\n\"$y # z", NULL },
    { "A='it''s'", NULL, NULL, "there is something after the closing quote" },
    { "A='x' y", NULL, NULL, "there is something after the closing quote" },
    { "A='x'#y", NULL, NULL, "there is something after the closing quote" },
    { "A=\"x", NULL, NULL, "the quote is not closed" },
    { "A=\"x\\\"", NULL, NULL, "the quote is not closed" },
    { "A=\"x\\", NULL, NULL, "the quote is not closed" },
    { "A='", NULL, NULL, "the quote is not closed" },
    { "A=x'y", "A", "x'y", NULL },
    { "A", NULL, NULL, "NAME=VALUE is expected: there is no \"=\" after the name" },
    { "A B=1", NULL, NULL, "NAME=VALUE is expected: there is no \"=\" after the name" },
    { "export", NULL, NULL, "NAME=VALUE is expected: there is no \"=\" after the name" },
    { "9A=1", NULL, NULL, "NAME=VALUE is expected: a name is of letters, digits and _" },
    { "A-B=1", NULL, NULL, "NAME=VALUE is expected: there is no \"=\" after the name" },
    { "=1", NULL, NULL, "there is no name before the \"=\"" },
};

static void test_env_file__each_line_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *line = strdup(rows[i].line), *name = NULL, *value = NULL;
        const char *wrong = NULL;
        int rc = env_line_parse(line, &name, &value, &wrong);
        assert_int_equal(rc, rows[i].wrong ? CASGI_EINVAL : 0);
        if (rows[i].wrong) {
            assert_string_equal(wrong, rows[i].wrong);
        } else if (rows[i].name) {
            assert_string_equal(name, rows[i].name);
            assert_string_equal(value, rows[i].value);
        } else {
            assert_null(name);
        }
        free(line);
    }
}

static void test_env_file__random_lines_are_taken_or_refused(void **state)
{
    (void)state;
    static const char letters[] = "A=\"'\\# \tnx9$";
    uint32_t seed = 5;
    for (int round = 0; round < 50000; round++) {
        seed = seed * 1664525u + 1013904223u;
        size_t len = (seed >> 20) % 12;
        char *line = malloc(len + 1), *name = NULL, *value = NULL;
        assert_non_null(line);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            line[i] = letters[(seed >> 16) % (sizeof(letters) - 1)];
        }
        line[len] = '\0';
        const char *wrong = NULL;
        if (env_line_parse(line, &name, &value, &wrong)) {
            assert_non_null(wrong);
        } else if (name) {
            assert_true(name[0] && strlen(value) <= len);
        }
        free(line);
    }
}

static void test_env_file__is_read_before_the_variables(void **state)
{
    (void)state;
    struct config config;
    WRITE_FILE("CASGI_PORT=99\r\nENV_TEST_A=\"for the app\"");
    PARSE(&config, "a.so", "--env-file", path);
    assert_int_equal(config.port, 99);
    assert_string_equal(getenv("ENV_TEST_A"), "for the app");
    config_release(&config);
}

static void test_env_file__what_is_set_already_stays(void **state)
{
    (void)state;
    (void)setenv("ENV_TEST_A", "old", 1);
    WRITE_FILE("ENV_TEST_A=new\nENV_TEST_B=new\n");
    assert_int_equal(env_file_load(path, NULL), 0);
    assert_string_equal(getenv("ENV_TEST_A"), "old");
    assert_string_equal(getenv("ENV_TEST_B"), "new");
}

static void test_env_file__can_be_named_by_a_variable(void **state)
{
    (void)state;
    struct config config;
    WRITE_FILE("CASGI_PORT=98\n");
    (void)setenv("CASGI_ENV_FILE", path, 1);
    PARSE(&config, "a.so");
    assert_int_equal(config.port, 98);
    assert_string_equal(config.env_file, path);
    config_release(&config);
}

static void test_env_file__an_error_names_file_and_line(void **state)
{
    (void)state;
    char expected[200];
    WRITE_FILE("A=1\n\nB='\n");
    (void)snprintf(expected, sizeof(expected), "--env-file: %s:3: the quote is not closed", path);
    assert_refused(expected, "a.so", "--env-file", path);
    WRITE_FILE("A=1\0\n");
    (void)snprintf(expected, sizeof(expected), "--env-file: %s:1: there is a NUL byte", path);
    assert_refused(expected, "a.so", "--env-file", path);
}

static void test_env_file__that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    assert_refused("--env-file: /nonexistent/env: cannot be opened: No such file or directory", "a.so", "--env-file",
                   "/nonexistent/env");
    assert_refused("--env-file: /: cannot be read: Is a directory", "a.so", "--env-file", "/");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_environment__gives_what_the_command_line_does_not),
        TEST(test_environment__the_command_line_can_switch_off),
        TEST(test_environment__an_empty_variable_is_none),
        TEST(test_environment__lists_stand_between_blanks_and_headers_between_newlines),
        TEST(test_environment__a_list_of_the_command_line_replaces_it),
        TEST(test_environment__the_message_names_the_variable),
        TEST(test_environment__a_variable_does_not_clash_with_the_command_line),
        TEST(test_environment__can_name_the_app),
        TEST(test_environment__is_not_read_for_help),
        TEST(test_environment__a_slip_of_a_variable_is_found),
        TEST(test_environment__what_casgi_or_others_read_is_no_slip),
        TEST(test_env_file__each_line_of_the_table),
        TEST(test_env_file__random_lines_are_taken_or_refused),
        TEST(test_env_file__is_read_before_the_variables),
        TEST(test_env_file__what_is_set_already_stays),
        TEST(test_env_file__can_be_named_by_a_variable),
        TEST(test_env_file__an_error_names_file_and_line),
        TEST(test_env_file__that_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
