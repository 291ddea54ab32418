/* What the log does when its descriptors do not take lines: it never blocks, and tells how many were lost. A test that
 * blocks is ended by ctest's time limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/log_sink.h"

#include "support/capture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum { FLOOD = 10000 }; /* lines: more than a pipe and the log's buffer hold */

static char text[1 << 21];

static void setup_log(void)
{
    struct log_options options = { .level = CASGI_LOG_INFO, .format = LOG_FORMAT_TEXT, .colors = -1 };
    log_setup(&options);
}

/* After a test that left lines in the buffer: the next starts with none and nothing to tell of. */
static void settle(void)
{
    struct capture err, out;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    capture_to(&err, 2, null);
    capture_to(&out, 1, null);
    setup_log();
    log_print(CASGI_LOG_WARNING, "end");
    log_access("end", 3);
    log_flush();
    capture_end(&err);
    capture_end(&out);
    (void)close(null);
}

static int tear_down(void **state)
{
    (void)state;
    log_gather(false);
    settle();
    return 0;
}

struct count {
    size_t lines;
    size_t lost; /* as notices tell */
};

static struct count count_lines(const char *all, const char *mark)
{
    struct count count = { 0, 0 };
    for (const char *line = all; *line; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        const char *notice = memmem(line, (size_t)(end - line), " log lines lost", 15);
        if (notice) {
            const char *number = notice;
            while (number[-1] != ' ' && number > line) {
                number--;
            }
            count.lost += strtoul(number, NULL, 10);
        } else {
            assert_non_null(memmem(line, (size_t)(end - line), mark, strlen(mark)));
            count.lines++;
        }
    }
    return count;
}

/* Reads and flushes until nothing more comes; then one more line, so that a last notice comes with it. */
static struct count drain(struct capture *capture, const char *mark)
{
    size_t at = 0;
    for (int round = 0; round < 1000 && (log_pending() || round < 2); round++) {
        at += capture_read(capture, text + at, sizeof(text) - at);
        log_flush();
    }
    log_print(CASGI_LOG_WARNING, "%s", mark);
    at += capture_read(capture, text + at, sizeof(text) - at);
    return count_lines(text, mark);
}

static void test_log__a_pipe_nobody_reads_loses_lines_and_tells(void **state)
{
    (void)state;
    struct capture err;
    capture_pipe(&err, 2);
    setup_log();
    for (int i = 0; i < FLOOD; i++) {
        log_print(CASGI_LOG_WARNING, "flood %d of a line that is not so very short, so that it fills", i);
    }
    assert_true(log_pending());
    struct count count = drain(&err, "flood");
    capture_end(&err);
    assert_true(count.lost > 0);
    assert_int_equal(count.lines + count.lost, FLOOD + 1);
}

static void test_log__a_pipe_stays_blocking_for_its_other_users(void **state)
{
    (void)state;
    struct capture err;
    capture_pipe(&err, 2);
    setup_log();
    log_print(CASGI_LOG_INFO, "x");
    int flags = fcntl(2, F_GETFL);
    capture_end(&err);
    assert_false(flags & O_NONBLOCK);
}

static void test_log__a_socket_nobody_reads_loses_lines_and_tells(void **state)
{
    (void)state;
    int ends[2];
    struct capture err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    capture_to(&err, 2, ends[1]);
    err.read = ends[0];
    setup_log();
    for (int i = 0; i < FLOOD; i++) {
        log_print(CASGI_LOG_WARNING, "flood %d of a line that is not so very short, so that it fills", i);
    }
    struct count count = drain(&err, "flood");
    capture_end(&err);
    (void)close(ends[1]);
    assert_true(count.lost > 0);
    assert_int_equal(count.lines + count.lost, FLOOD + 1);
}

static void test_log__lost_access_lines_are_told_on_stderr(void **state)
{
    (void)state;
    struct capture err, out;
    capture_pipe(&err, 2);
    capture_pipe(&out, 1);
    setup_log();
    log_gather(true);
    static char line[1000];
    memset(line, 'a', sizeof(line));
    for (int i = 0; i < 1000; i++) {
        log_access(line, sizeof(line));
        log_flush();
    }
    size_t at = 0;
    for (int round = 0; round < 1000 && (log_pending() || round < 2); round++) {
        at += capture_read(&out, text + at, sizeof(text) - at);
        log_flush();
    }
    at += capture_read(&out, text + at, sizeof(text) - at);
    size_t lines = count_lines(text, "aaaa").lines;
    (void)capture_read(&err, text, sizeof(text));
    capture_end(&out);
    capture_end(&err);
    const char *notice = strstr(text, "WARNING:  ");
    assert_non_null(notice);
    assert_non_null(strstr(notice, " access log lines lost\n"));
    assert_int_equal(lines + strtoul(notice + 10, NULL, 10), 1000);
}

static void test_log__a_full_disk_loses_lines_and_tells_later(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct capture err;
    assert_true(full >= 0);
    capture_to(&err, 2, full);
    setup_log();
    for (int i = 0; i < 7; i++) {
        log_print(CASGI_LOG_WARNING, "lost");
    }
    capture_end(&err);
    capture_pipe(&err, 2);
    setup_log();
    log_print(CASGI_LOG_WARNING, "kept");
    (void)capture_read(&err, text, sizeof(text));
    capture_end(&err);
    (void)close(full);
    assert_non_null(strstr(text, "WARNING:  7 log lines lost\n"));
    assert_non_null(strstr(text, "kept\n"));
}

static void test_log__a_line_after_half_a_line_begins_anew(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    struct capture err;
    struct rlimit limit, before;
    assert_non_null(file);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    capture_to(&err, 2, fileno(file));
    setup_log();
    limit = (struct rlimit){ .rlim_cur = 50, .rlim_max = before.rlim_max };
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    log_print(CASGI_LOG_WARNING, "this line does not fit into fifty bytes of file");
    (void)setrlimit(RLIMIT_FSIZE, &before);
    log_print(CASGI_LOG_WARNING, "kept");
    ssize_t size = pread(fileno(file), text, sizeof(text) - 1, 0);
    capture_end(&err);
    (void)fclose(file);
    assert_true(size > 50);
    text[size] = '\0';
    assert_int_equal(text[50], '\n');
    assert_non_null(strstr(text + 51, "1 log lines lost\n"));
    assert_non_null(strstr(text + 51, "kept\n"));
}

static void test_log__a_reader_that_left_does_not_end_the_process(void **state)
{
    (void)state;
    struct capture err;
    capture_pipe(&err, 2);
    setup_log();
    (void)close(err.read);
    err.read = -1;
    log_print(CASGI_LOG_ERROR, "nobody hears");
    capture_end(&err);
    assert_false(log_pending());
}

static void test_log__closed_descriptors_are_filled_with_null(void **state)
{
    (void)state;
    struct capture err;
    capture_pipe(&err, 2);
    (void)close(2);
    setup_log();
    int flags = fcntl(2, F_GETFD), other = open("/dev/null", O_RDONLY);
    log_print(CASGI_LOG_ERROR, "nobody hears");
    (void)close(other);
    capture_end(&err);
    assert_true(flags >= 0);
    assert_true(other > 2);
}

/* The two ends of a terminal of our own; false: none to be had here. */
static bool open_terminal(int *out_master, int *out_slave)
{
    *out_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*out_master < 0 || grantpt(*out_master) || unlockpt(*out_master)) {
        return false;
    }
    *out_slave = open(ptsname(*out_master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    return *out_slave >= 0;
}

static void test_log__a_terminal_gets_colors_and_no_time(void **state)
{
    (void)state;
    int master, slave;
    struct capture err;
    if (!open_terminal(&master, &slave)) {
        skip();
    }
    (void)unsetenv("NO_COLOR");
    (void)setenv("TERM", "xterm", 1);
    capture_to(&err, 2, slave);
    err.read = master;
    setup_log();
    log_print(CASGI_LOG_INFO, "x");
    (void)capture_read(&err, text, sizeof(text));
    (void)setenv("NO_COLOR", "1", 1);
    setup_log();
    bool colors = log_colors(LOG_STDERR);
    (void)unsetenv("NO_COLOR");
    capture_end(&err);
    (void)close(slave);
    assert_string_equal(text, "\x1b[32mINFO\x1b[0m:     x\r\n");
    assert_false(colors);
}

static void test_log__a_stopped_terminal_does_not_block(void **state)
{
    (void)state;
    int master, slave;
    struct capture err;
    if (!open_terminal(&master, &slave)) {
        skip();
    }
    capture_to(&err, 2, slave);
    err.read = master;
    setup_log();
    (void)tcflow(slave, TCOOFF);
    for (int i = 0; i < FLOOD; i++) {
        log_print(CASGI_LOG_WARNING, "flood");
    }
    bool pending = log_pending();
    (void)tcflow(slave, TCOON);
    log_flush();
    (void)capture_read(&err, text, sizeof(text));
    capture_end(&err);
    (void)close(slave);
    assert_true(pending);
    assert_non_null(strstr(text, "flood"));
}

static void test_log__finish_waits_for_a_slow_reader_only_so_long(void **state)
{
    (void)state;
    struct capture err;
    capture_pipe(&err, 2);
    setup_log();
    for (int i = 0; i < FLOOD; i++) {
        log_print(CASGI_LOG_WARNING, "flood");
    }
    log_finish();
    bool pending = log_pending();
    (void)capture_read(&err, text, sizeof(text));
    log_finish();
    capture_end(&err);
    assert_true(pending);
}

static void test_log__finish_tells_of_what_was_lost(void **state)
{
    (void)state;
    struct capture err;
    capture_pipe(&err, 2);
    setup_log();
    for (int i = 0; i < FLOOD; i++) {
        log_print(CASGI_LOG_WARNING, "flood %d of a line that is not so very short, so that it fills", i);
    }
    size_t at = 0;
    while (log_pending()) {
        at += capture_read(&err, text + at, sizeof(text) - at);
        log_flush();
    }
    log_finish();
    (void)capture_read(&err, text + at, sizeof(text) - at);
    capture_end(&err);
    struct count count = count_lines(text, "flood");
    assert_true(count.lost > 0);
    assert_int_equal(count.lines + count.lost, FLOOD);
}

/* The way of last resort, where a pipe cannot be opened a second time. */
static void test_log_sink__a_polled_pipe_does_not_block(void **state)
{
    (void)state;
    static struct log_sink sink = { .lock = PTHREAD_MUTEX_INITIALIZER };
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    sink.kind = SINK_POLLED;
    sink.fd = ends[1];
    size_t sent = 0;
    for (int i = 0; i < FLOOD; i++) {
        char *line = log_sink_reserve(&sink, 100);
        if (line) {
            memset(line, 'x', 99);
            line[99] = '\n';
            log_sink_commit(&sink, 100);
            sent += 100;
        }
        log_sink_flush(&sink);
    }
    size_t received = 0;
    struct capture pipe_end = { .fd = -1, .saved = -1, .read = ends[0] };
    while (sink.start != sink.end) {
        received += capture_read(&pipe_end, text, sizeof(text));
        log_sink_flush(&sink);
    }
    received += capture_read(&pipe_end, text, sizeof(text));
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(received, sent);
    assert_int_equal(sink.lost, FLOOD - sent / 100);
    assert_true(sink.lost > 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_log__a_pipe_nobody_reads_loses_lines_and_tells),
        TEST(test_log__a_pipe_stays_blocking_for_its_other_users),
        TEST(test_log__a_socket_nobody_reads_loses_lines_and_tells),
        TEST(test_log__lost_access_lines_are_told_on_stderr),
        TEST(test_log__a_full_disk_loses_lines_and_tells_later),
        TEST(test_log__a_line_after_half_a_line_begins_anew),
        TEST(test_log__a_reader_that_left_does_not_end_the_process),
        TEST(test_log__closed_descriptors_are_filled_with_null),
        TEST(test_log__a_terminal_gets_colors_and_no_time),
        TEST(test_log__a_stopped_terminal_does_not_block),
        TEST(test_log__finish_waits_for_a_slow_reader_only_so_long),
        TEST(test_log__finish_tells_of_what_was_lost),
        TEST(test_log_sink__a_polled_pipe_does_not_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
