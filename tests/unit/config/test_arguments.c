#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/options.h"

#include "casgi/host.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static void test_config__defaults_are_the_designs(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "hello.so");
    assert_int_equal(config.command, COMMAND_RUN);
    assert_string_equal(config.app, "hello.so");
    assert_string_equal(config.host, "127.0.0.1");
    assert_int_equal(config.port, 8000);
    assert_null(config.uds);
    assert_int_equal(config.fd, -1);
    assert_int_equal(config.bind.count, 0);
    assert_int_equal(config.backlog, 2048);
    assert_false(config.reload);
    assert_int_equal(config.reload_delay, 10000);
    assert_int_equal(config.lifespan, CONFIG_LIFESPAN_AUTO);
    assert_int_equal(config.log_level, CASGI_LOG_INFO);
    assert_true(config.access_log && config.access_log_query && !config.log_json);
    assert_int_equal(config.colors, CONFIG_COLORS_AUTO);
    assert_string_equal(config.root_path, "");
    assert_true(config.server_header && config.date_header);
    config_release(&config);
}

static void test_config__limits_and_timeouts_are_the_designs(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "hello.so");
    assert_int_equal(config.limit_concurrency, 0);
    assert_int_equal(config.limit_max_requests, 0);
    assert_int_equal(config.limit_head_size, 65536);
    assert_int_equal(config.limit_header_count, 100);
    assert_int_equal(config.limit_body_size, 0);
    assert_int_equal(config.limit_body_rate, 240);
    assert_int_equal(config.timeout_head, 20000000);
    assert_int_equal(config.timeout_keep_alive, 75000000);
    assert_int_equal(config.timeout_write, 60000000);
    assert_int_equal(config.timeout_graceful_shutdown, 25000000);
    assert_int_equal(config.timeout_cleanup, 5000000);
    assert_int_equal(config.stack_size, 262144);
    config_release(&config);
}

static void test_config__shutdown_is_shorter_under_reload(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "hello.so", "--reload");
    assert_true(config.reload);
    assert_int_equal(config.timeout_graceful_shutdown, 3000000);
    config_release(&config);
    PARSE(&config, "hello.so", "--reload", "--timeout-graceful-shutdown", "9");
    assert_int_equal(config.timeout_graceful_shutdown, 9000000);
    config_release(&config);
}

static void test_config__options_stand_before_and_after_the_app(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "--port", "81", "hello.so", "--host=::");
    assert_string_equal(config.app, "hello.so");
    assert_int_equal(config.port, 81);
    assert_string_equal(config.host, "::");
    config_release(&config);
}

static void test_config__the_last_of_two_wins(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "a.so", "--port=1", "--port=2", "--host", "x", "--host", "y", "--reload", "--no-reload");
    assert_int_equal(config.port, 2);
    assert_string_equal(config.host, "y");
    assert_false(config.reload);
    config_release(&config);
}

static void test_config__lists_gather(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "a.so", "--bind", "0.0.0.0:80", "--bind=[::]:80", "--bind", "unix:/run/x", "--bind", "fd://3");
    assert_int_equal(config.bind.count, 4);
    assert_string_equal(config.bind.items[1], "[::]:80");
    assert_string_equal(config.bind.items[3], "fd://3");
    config_release(&config);
}

static void test_config__switches_have_a_negation(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "a.so", "--no-access-log", "--no-server-header", "--no-date-header", "--no-use-colors",
          "--access-log-no-query");
    assert_false(config.access_log || config.server_header || config.date_header || config.access_log_query);
    assert_int_equal(config.colors, CONFIG_COLORS_OFF);
    config_release(&config);
    PARSE(&config, "a.so", "--use-colors");
    assert_int_equal(config.colors, CONFIG_COLORS_ON);
    config_release(&config);
}

static void test_config__words_after_dashes_go_to_the_app(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "mount", "--port", "1", "--", "/a=a.so", "--port", "2", "--");
    assert_int_equal(config.port, 1);
    assert_int_equal(config.app_argc, 5);
    assert_string_equal(config.app_argv[0], "mount");
    assert_string_equal(config.app_argv[1], "/a=a.so");
    assert_string_equal(config.app_argv[2], "--port");
    assert_string_equal(config.app_argv[4], "--");
    assert_null(config.app_argv[5]);
    config_release(&config);
}

static void test_config__without_words_the_app_has_its_name(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "a.so");
    assert_int_equal(config.app_argc, 1);
    assert_string_equal(config.app_argv[0], "a.so");
    assert_null(config.app_argv[1]);
    config_release(&config);
}

static enum config_command command_of(const char *const *words)
{
    struct config config;
    assert_int_equal(parse(&config, NULL, words), 0);
    enum config_command command = config.command;
    config_release(&config);
    return command;
}
#define COMMAND(...) command_of((const char *const[]){ __VA_ARGS__, NULL })

static void test_config__subcommands(void **state)
{
    (void)state;
    assert_int_equal(COMMAND("run", "a.so"), COMMAND_RUN);
    assert_int_equal(COMMAND("check", "a.so"), COMMAND_CHECK);
    assert_int_equal(COMMAND("--port", "1", "check", "a.so"), COMMAND_CHECK);
    assert_int_equal(COMMAND("version"), COMMAND_VERSION);
    assert_int_equal(COMMAND("--version"), COMMAND_VERSION);
    assert_int_equal(COMMAND("help"), COMMAND_HELP);
    assert_int_equal(COMMAND("--help"), COMMAND_HELP);
    assert_int_equal(COMMAND("-h"), COMMAND_HELP);
    assert_int_equal(COMMAND("a.so", "--port", "1", "--help"), COMMAND_HELP);
    assert_int_equal(COMMAND("help", "check", "--nonsense"), COMMAND_HELP);
}

static void test_config__after_run_a_subcommands_name_is_an_app(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "run", "check");
    assert_int_equal(config.command, COMMAND_RUN);
    assert_string_equal(config.app, "check");
    config_release(&config);
}

static void test_config__help_after_the_dashes_is_the_apps(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "a.so", "--", "--help");
    assert_int_equal(config.command, COMMAND_RUN);
    config_release(&config);
}

static void test_config__the_root_path_loses_its_last_slash(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "a.so", "--root-path", "/api/");
    assert_string_equal(config.root_path, "/api");
    config_release(&config);
    PARSE(&config, "a.so", "--root-path=/");
    assert_string_equal(config.root_path, "");
    config_release(&config);
}

static void test_config__no_value_is_taken_that_is_an_option(void **state)
{
    (void)state;
    assert_refused("--host needs a value: --host HOST", "a.so", "--host", "--reload");
    assert_refused("--host needs a value: --host HOST", "a.so", "--host", "--port=3");
    assert_refused("--host needs a value: --host HOST", "a.so", "--host", "--");
    assert_refused("--host needs a value: --host HOST", "a.so", "--host");
    struct config config;
    PARSE(&config, "a.c", "--cflags", "-O2", "--libs", "--whole");
    assert_string_equal(config.cflags, "-O2");
    assert_string_equal(config.libs, "--whole");
    config_release(&config);
}

static void test_config__slips_are_understood(void **state)
{
    (void)state;
    assert_refused("there is no option --relod; did you mean --reload?", "a.so", "--relod");
    assert_refused("there is no option --prot; did you mean --port?", "a.so", "--prot=1");
    assert_refused("there is no option -port; did you mean --port?", "a.so", "-port", "1");
    assert_refused("there is no option --no-acces-log; did you mean --no-access-log?", "a.so", "--no-acces-log");
    assert_refused("there is no option --timeout-keepalive; did you mean --timeout-keep-alive?", "a.so",
                   "--timeout-keepalive", "5");
    assert_refused("there is no option --time; did you mean --timeout-head?", "a.so", "--time");
    assert_refused("there is no command \"chekc\"; did you mean casgi check?", "chekc", "a.so");
}

static void test_config__what_resembles_nothing_gets_no_guess(void **state)
{
    (void)state;
    assert_refused("there is no option --workerss; `casgi --help` lists them", "a.so", "--workerss");
    assert_refused("there is no option -p; `casgi --help` lists them", "a.so", "-p", "1");
    assert_refused("there is no option -; `casgi --help` lists them", "a.so", "-");
    assert_refused("there is no option --\\x1b[31m; `casgi --help` lists them", "a.so", "--\x1b[31m");
}

static void test_config__usage_errors_say_what_to_do(void **state)
{
    (void)state;
    assert_refused("no application given; write casgi APP, such as casgi hello.so (casgi --help says more)", "--port",
                   "1");
    assert_refused("no application given; write casgi check APP, such as casgi check hello.so (casgi --help says more)",
                   "check");
    assert_refused("the name of the application is empty", "");
    assert_refused("\"b.so\" is one word too many: the application is \"a.so\"; words for it stand after --", "a.so",
                   "b.so");
    assert_refused("\"x.so\" is one word too many: the application is \"chek\"; words for it stand after --", "run",
                   "chek", "x.so");
    assert_refused("--reload takes no value; write --reload or --no-reload", "a.so", "--reload=yes");
    assert_refused("--access-log-no-query takes no value; write --access-log-no-query", "a.so",
                   "--access-log-no-query=1");
    assert_refused("there is no option --no-port: --port cannot be switched off", "a.so", "--no-port");
    assert_refused("--bind and --port cannot be used together", "a.so", "--bind", "a:1", "--port", "2");
    assert_refused("--uds and --fd cannot be used together", "a.so", "--uds", "x", "--fd", "3");
}

static void test_config__nothing_at_all_is_a_usage_error(void **state)
{
    (void)state;
    struct config config;
    casgi_error_t error;
    assert_int_equal(config_parse(&config, 0, (char *[]){ NULL }, &error), CASGI_EINVAL);
    assert_int_equal(config_parse(&config, 1, (char *[]){ (char *)"casgi", NULL }, NULL), CASGI_EINVAL);
}

static void test_config__a_released_one_can_be_released_again(void **state)
{
    (void)state;
    struct config config;
    PARSE(&config, "a.so", "--bind", "a:1", "--header", "a: b");
    config_release(&config);
    config_release(&config);
    memset(&config, 0, sizeof(config));
    config_release(&config);
}

static void test_config__a_slip_for_a_subcommand_is_recognised(void **state)
{
    (void)state;
    assert_string_equal(config_nearest_command("chek"), "check");
    assert_string_equal(config_nearest_command("vers"), "version");
    assert_null(config_nearest_command("hello"));
    assert_null(config_nearest_command("inspect"));
}

/* Seeded random words out of the grammar's own parts: never a crash or a leak, always a sentence or an app. */
static void test_config__random_words_are_taken_or_refused(void **state)
{
    (void)state;
    static const char *const parts[] = { "a.so",
                                         "--port",
                                         "80",
                                         "--",
                                         "--no-reload",
                                         "--reload=1",
                                         "-x",
                                         "",
                                         "=",
                                         "--=",
                                         "--port=",
                                         "--bind",
                                         "fd://9",
                                         "unix:",
                                         "[::1]:1",
                                         "--header",
                                         "a:b",
                                         ":",
                                         "--no-",
                                         "--no-no-reload",
                                         "99999999999999999999",
                                         "1.5s",
                                         "check",
                                         "--timeout-head",
                                         "--log-level",
                                         "--uds",
                                         "%",
                                         "---",
                                         "--env-file=" };
    uint32_t seed = 11;
    for (int round = 0; round < 20000; round++) {
        const char *words[10] = { NULL };
        for (size_t i = 0; i < 9; i++) {
            seed = seed * 1664525u + 1013904223u;
            words[i] = (seed >> 28) == 0 ? NULL : parts[(seed >> 12) % (sizeof(parts) / sizeof(parts[0]))];
        }
        struct config config;
        casgi_error_t error = { 0 };
        int rc = parse(&config, &error, words);
        if (!rc) {
            assert_true(config.app || config.command >= COMMAND_VERSION);
            config_release(&config);
        } else {
            assert_int_equal(rc, CASGI_EINVAL);
            assert_true(error.message[0] != '\0');
        }
    }
}

#define TEST(name) cmocka_unit_test_setup(name, clear_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_config__defaults_are_the_designs),
        TEST(test_config__limits_and_timeouts_are_the_designs),
        TEST(test_config__shutdown_is_shorter_under_reload),
        TEST(test_config__options_stand_before_and_after_the_app),
        TEST(test_config__the_last_of_two_wins),
        TEST(test_config__lists_gather),
        TEST(test_config__switches_have_a_negation),
        TEST(test_config__words_after_dashes_go_to_the_app),
        TEST(test_config__without_words_the_app_has_its_name),
        TEST(test_config__subcommands),
        TEST(test_config__after_run_a_subcommands_name_is_an_app),
        TEST(test_config__help_after_the_dashes_is_the_apps),
        TEST(test_config__the_root_path_loses_its_last_slash),
        TEST(test_config__no_value_is_taken_that_is_an_option),
        TEST(test_config__slips_are_understood),
        TEST(test_config__what_resembles_nothing_gets_no_guess),
        TEST(test_config__usage_errors_say_what_to_do),
        TEST(test_config__nothing_at_all_is_a_usage_error),
        TEST(test_config__a_released_one_can_be_released_again),
        TEST(test_config__a_slip_for_a_subcommand_is_recognised),
        TEST(test_config__random_words_are_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
