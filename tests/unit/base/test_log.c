#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

#include "support/capture.h"

#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

static struct capture err, out;
static char text[1 << 20];

static void setup_log(int level, enum log_format format, int colors)
{
    struct log_options options = { .level = level, .format = format, .colors = colors };
    log_setup(&options);
}

static int set_up(void **state)
{
    (void)state;
    capture_pipe(&err, 2);
    capture_pipe(&out, 1);
    setup_log(CASGI_LOG_INFO, LOG_FORMAT_TEXT, -1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_gather(false);
    log_set_request((casgi_str_t){ NULL, 0 });
    log_flush();
    capture_end(&err);
    capture_end(&out);
    return 0;
}

static const char *read_err(void)
{
    (void)capture_read(&err, text, sizeof(text));
    return text;
}

static const char *read_out(void)
{
    (void)capture_read(&out, text, sizeof(text));
    return text;
}

/* The whole text matches, from its first byte to its last. */
static void assert_matches(const char *subject, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int rc = regexec(&regex, subject, 0, NULL, 0);
    regfree(&regex);
    if (rc) {
        print_error("\"%s\" does not match %s\n", subject, pattern);
    }
    assert_int_equal(rc, 0);
}

static void test_log__a_text_line_has_time_level_and_message(void **state)
{
    (void)state;
    log_print(CASGI_LOG_INFO, "hello %d", 5);
    assert_matches(read_err(), "^" TIME " INFO:     hello 5\n$");
}

static void test_log__levels_are_padded_as_uvicorn_does(void **state)
{
    (void)state;
    setup_log(CASGI_LOG_TRACE, LOG_FORMAT_TEXT, 0);
    for (int level = CASGI_LOG_TRACE; level <= CASGI_LOG_CRITICAL; level++) {
        log_print(level, "x");
    }
    assert_matches(read_err(), "^" TIME " TRACE:    x\n" TIME " DEBUG:    x\n" TIME " INFO:     x\n" TIME
                               " WARNING:  x\n" TIME " ERROR:    x\n" TIME " CRITICAL: x\n$");
}

static void test_log__lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    setup_log(CASGI_LOG_WARNING, LOG_FORMAT_TEXT, 0);
    log_print(CASGI_LOG_INFO, "quiet");
    assert_false(log_enabled(CASGI_LOG_INFO));
    assert_true(log_enabled(CASGI_LOG_WARNING));
    assert_string_equal(read_err(), "");
}

static void test_log__a_level_out_of_range_is_taken_for_the_nearest(void **state)
{
    (void)state;
    setup_log(-5, LOG_FORMAT_TEXT, 0);
    log_print(-3, "low");
    log_print(99, "high");
    assert_matches(read_err(), "^" TIME " TRACE:    low\n" TIME " CRITICAL: high\n$");
}

static void test_log__a_message_stays_one_line(void **state)
{
    (void)state;
    log_print(CASGI_LOG_INFO, "a\nINFO: forged\r\x1b[31m");
    assert_matches(read_err(), "^" TIME " INFO:     a\\\\x0aINFO: forged\\\\x0d\\\\x1b\\[31m\n$");
}

static void test_log__the_request_is_named_in_front(void **state)
{
    (void)state;
    log_set_request(casgi_str("ab12\n"));
    log_print(CASGI_LOG_ERROR, "failed");
    assert_matches(read_err(), "^" TIME " ERROR:    \\[ab12\\\\x0a\\] failed\n$");
}

static casgi_str_t source(void)
{
    return casgi_str("from the source");
}

static void test_log__the_source_is_asked_where_no_request_is_set(void **state)
{
    (void)state;
    log_set_request_source(source);
    log_print(CASGI_LOG_INFO, "one");
    log_set_request(casgi_str("own"));
    log_print(CASGI_LOG_INFO, "two");
    log_set_request_source(NULL);
    assert_matches(read_err(), "^" TIME " INFO:     \\[from the source\\] one\n" TIME " INFO:     \\[own\\] two\n$");
}

static void test_log__json_lines_have_their_fields(void **state)
{
    (void)state;
    setup_log(CASGI_LOG_INFO, LOG_FORMAT_JSON, 1);
    log_set_request(casgi_str("ab\"12"));
    log_print(CASGI_LOG_WARNING, "a \"b\"\n\\c");
    assert_matches(read_err(), "^\\{\"time\":\"" TIME "\",\"level\":\"warning\",\"pid\":[0-9]+,"
                               "\"message\":\"a \\\\\"b\\\\\"\\\\n\\\\\\\\c\",\"request_id\":\"ab\\\\\"12\"\\}\n$");
}

static void test_log__json_without_a_request_has_no_request_id(void **state)
{
    (void)state;
    setup_log(CASGI_LOG_INFO, LOG_FORMAT_JSON, -1);
    log_print(CASGI_LOG_INFO, "x");
    assert_matches(read_err(), "^\\{\"time\":\"" TIME "\",\"level\":\"info\",\"pid\":[0-9]+,\"message\":\"x\"\\}\n$");
}

static void test_log__colors_when_wished(void **state)
{
    (void)state;
    setup_log(CASGI_LOG_INFO, LOG_FORMAT_TEXT, 1);
    log_print(CASGI_LOG_INFO, "x");
    assert_matches(read_err(), "^" TIME " \x1b\\[32mINFO\x1b\\[0m:     x\n$");
    assert_true(log_colors(LOG_STDERR) && log_colors(LOG_STDOUT));
}

static void test_log__a_pipe_gets_no_colors_of_itself(void **state)
{
    (void)state;
    assert_false(log_colors(LOG_STDERR) || log_colors(LOG_STDOUT));
}

static void test_log__access_lines_go_to_stdout(void **state)
{
    (void)state;
    log_access("1.2.3.4 - x", 11);
    assert_matches(read_out(), "^" TIME " INFO:     1.2.3.4 - x\n$");
    assert_string_equal(read_err(), "");
}

static void test_log__a_json_access_line_stands_as_it_is(void **state)
{
    (void)state;
    setup_log(CASGI_LOG_INFO, LOG_FORMAT_JSON, -1);
    log_access("{\"a\":1}", 7);
    assert_string_equal(read_out(), "{\"a\":1}\n");
}

/* One byte at a time, so that every length near the limit is met. */
static void assert_fits(enum log_format format, int character)
{
    static char message[LOG_LINE_MAX * 2];
    setup_log(CASGI_LOG_INFO, format, 1);
    log_set_request(casgi_str("0123456789"));
    for (size_t len = LOG_LINE_MAX - 300; len < LOG_LINE_MAX + 50; len++) {
        memset(message, character, len);
        message[len] = '\0';
        log_print(CASGI_LOG_INFO, "%s", message);
        const char *line = read_err();
        assert_true(strlen(line) <= LOG_LINE_MAX);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        assert_true(format != LOG_FORMAT_JSON || strcmp(line + strlen(line) - 3, "\"}\n") == 0);
    }
    assert_non_null(strstr(text, "..."));
}

static void test_log__a_long_text_line_is_cut(void **state)
{
    (void)state;
    assert_fits(LOG_FORMAT_TEXT, 'x');
    assert_fits(LOG_FORMAT_TEXT, '\1');
}

static void test_log__a_long_json_line_is_cut_and_whole(void **state)
{
    (void)state;
    assert_fits(LOG_FORMAT_JSON, 'x');
    assert_fits(LOG_FORMAT_JSON, '"');
    assert_fits(LOG_FORMAT_JSON, '\xff');
}

static void test_log__a_long_access_line_is_cut(void **state)
{
    (void)state;
    static char line[LOG_LINE_MAX * 2];
    memset(line, 'y', sizeof(line));
    log_access(line, sizeof(line));
    assert_int_equal(strlen(read_out()), LOG_LINE_MAX);
}

static void test_log__a_gathering_thread_writes_when_it_flushes(void **state)
{
    (void)state;
    log_gather(true);
    log_print(CASGI_LOG_INFO, "one");
    log_access("two", 3);
    assert_string_equal(read_err(), "");
    assert_string_equal(read_out(), "");
    assert_true(log_pending());
    log_flush();
    assert_matches(read_err(), "one\n$");
    assert_matches(read_out(), "two\n$");
    assert_false(log_pending());
}

static void test_log__a_warning_is_written_at_once(void **state)
{
    (void)state;
    log_gather(true);
    log_print(CASGI_LOG_INFO, "before");
    log_print(CASGI_LOG_WARNING, "now");
    assert_matches(read_err(), "before\n.*now\n$");
}

static void test_log__errno_is_left_as_it_was(void **state)
{
    (void)state;
    errno = ENOSPC;
    log_print(CASGI_LOG_INFO, "%m");
    assert_int_equal(errno, ENOSPC);
    assert_matches(read_err(), "No space left on device\n$");
    log_flush();
    assert_int_equal(errno, ENOSPC);
}

static void test_log__time_is_now(void **state)
{
    (void)state;
    char now[LOG_TIME_LEN + 1];
    log_time(now);
    assert_matches(now, "^" TIME "$");
}

static void *log_many(void *arg)
{
    const char *id = arg;
    log_set_request(casgi_str(id));
    for (int i = 0; i < 100; i++) {
        log_print(CASGI_LOG_INFO, "%s-%s-%d", id, id, i);
    }
    return NULL;
}

static void test_log__lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    static char *const ids[] = { "aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd" };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, ids[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    size_t lines = 0;
    for (const char *line = read_err(); *line; line = strchr(line, '\n') + 1) {
        char expected[64];
        const char *tag = strchr(line, '[');
        assert_non_null(tag);
        int len = snprintf(expected, sizeof(expected), "[%.8s] %.8s-%.8s-", tag + 1, tag + 1, tag + 1);
        assert_memory_equal(tag, expected, (size_t)len);
        assert_int_equal(strspn(tag + len, "0123456789"), strcspn(tag + len, "\n"));
        lines++;
    }
    assert_int_equal(lines, 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_log__a_text_line_has_time_level_and_message),
        TEST(test_log__levels_are_padded_as_uvicorn_does),
        TEST(test_log__lines_below_the_level_are_dropped),
        TEST(test_log__a_level_out_of_range_is_taken_for_the_nearest),
        TEST(test_log__a_message_stays_one_line),
        TEST(test_log__the_request_is_named_in_front),
        TEST(test_log__the_source_is_asked_where_no_request_is_set),
        TEST(test_log__json_lines_have_their_fields),
        TEST(test_log__json_without_a_request_has_no_request_id),
        TEST(test_log__colors_when_wished),
        TEST(test_log__a_pipe_gets_no_colors_of_itself),
        TEST(test_log__access_lines_go_to_stdout),
        TEST(test_log__a_json_access_line_stands_as_it_is),
        TEST(test_log__a_long_text_line_is_cut),
        TEST(test_log__a_long_json_line_is_cut_and_whole),
        TEST(test_log__a_long_access_line_is_cut),
        TEST(test_log__a_gathering_thread_writes_when_it_flushes),
        TEST(test_log__a_warning_is_written_at_once),
        TEST(test_log__errno_is_left_as_it_was),
        TEST(test_log__time_is_now),
        TEST(test_log__lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
