/* Words past the log: whoever does not read them holds nobody up. Each in a child process, whose stderr it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/stderr.h"

enum { PATIENCE = 50, MUCH = 1 << 18, TOO_LONG = 30 };

enum outcome { WHOLE, CUT, BROKEN };

/* Writes `size` bytes in lines. A child that hangs is ended by its alarm. */
static enum outcome write_to(int fd, size_t size)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        static char text[MUCH];
        if (dup2(fd, STDERR_FILENO) < 0) {
            _exit(BROKEN);
        }
        memset(text, 'x', size);
        for (size_t at = 70; at < size; at += 71) {
            text[at] = '\n';
        }
        (void)alarm(TOO_LONG);
        _exit(stderr_write(text, size, PATIENCE) ? WHOLE : CUT);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return (enum outcome)WEXITSTATUS(status);
}

static void test_stderr__a_pipe_that_nobody_reads_holds_nobody_up(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write_to(fds[1], MUCH), CUT);
    close(fds[0]);
    close(fds[1]);
}

static void test_stderr__a_terminal_that_nobody_reads_holds_nobody_up(void **state)
{
    char name[64];
    (void)state;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal) || ptsname_r(terminal, name, sizeof(name))) {
        skip();
    }
    int fd = open(name, O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    assert_int_equal(write_to(fd, MUCH), CUT);
    close(fd);
    close(terminal);
}

static void test_stderr__in_a_file_it_stands_behind_what_was_there(void **state)
{
    char name[] = "/tmp/casgi_stderr_XXXXXX", text[8] = { 0 };
    (void)state;
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(write(fd, "ab", 2), 2);
    assert_int_equal(write_to(fd, 3), WHOLE);
    assert_int_equal(pread(fd, text, sizeof(text), 0), 5);
    assert_string_equal(text, "abxxx");
    close(fd);
}

static void test_stderr__whose_reader_is_gone_is_given_up(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(write_to(fds[1], 1), CUT);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stderr__a_pipe_that_nobody_reads_holds_nobody_up),
        cmocka_unit_test(test_stderr__a_terminal_that_nobody_reads_holds_nobody_up),
        cmocka_unit_test(test_stderr__in_a_file_it_stands_behind_what_was_there),
        cmocka_unit_test(test_stderr__whose_reader_is_gone_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
