#include "support.h"

#include "runtime/process.h"
#include "runtime/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A shell command to run, and what came of it. */
struct command {
    const char *argv[4];
    casgi_spawn_t spawn;
    casgi_str_t input;
    size_t limit;
    casgi_run_t run;
    char output[4096];
    size_t output_size;
    char error[256];
    casgi_process_t *process;
    casgi_exit_t exit;
    int rc;
    _Atomic bool started;
};

static void command_init(struct command *command, const char *script)
{
    *command = (struct command){ .argv = { "sh", "-c", script, NULL }, .limit = 1 << 20 };
    command->spawn.argv = command->argv;
}

static int run_command(void *arg)
{
    struct command *command = arg;
    int rc = casgi_run(&command->spawn, command->input, command->limit, &command->run);
    if (!rc) {
        (void)snprintf(command->output, sizeof(command->output), "%s", command->run.output.ptr);
        (void)snprintf(command->error, sizeof(command->error), "%s", command->run.error.ptr);
        command->output_size = command->run.output.len;
    }
    return rc;
}

/* No child is left, neither running nor dead. */
static void assert_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static int number_in(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

/* ---- run ---- */

static void test_process__run_gathers_output_error_and_code(void **state)
{
    struct command command;
    command_init(&command, "echo out; echo err >&2; exit 3");
    assert_int_equal(run_task(*state, run_command, &command), 0);
    assert_string_equal(command.output, "out\n");
    assert_string_equal(command.error, "err\n");
    assert_int_equal(command.run.exit.code, 3);
    assert_int_equal(command.run.exit.signal, 0);
    assert_no_child();
}

static void test_process__run_feeds_the_input(void **state)
{
    struct command command;
    command_init(&command, "tr a-z A-Z");
    command.input = casgi_str("hello");
    assert_int_equal(run_task(*state, run_command, &command), 0);
    assert_string_equal(command.output, "HELLO");
}

static void test_process__without_input_there_is_an_end_at_once(void **state)
{
    struct command command;
    command_init(&command, "cat; echo over");
    assert_int_equal(run_task(*state, run_command, &command), 0);
    assert_string_equal(command.output, "over\n");
}

static int run_cat(void *arg)
{
    struct command *command = arg;
    size_t size = 3 * 1000 * 1000;
    char *data = malloc(size);
    if (!data) {
        return CASGI_ENOMEM;
    }
    for (size_t i = 0; i < size; i++) {
        data[i] = (char)('a' + i % 26);
    }
    command->input = (casgi_str_t){ data, size };
    command->limit = size;
    int rc = run_command(command);
    rc = rc ? rc : command->run.output.len == size && !memcmp(command->run.output.ptr, data, size) ? 0 : -100;
    free(data);
    return rc;
}

static void test_process__run_feeds_and_gathers_at_the_same_time(void **state)
{
    struct command command;
    command_init(&command, "cat");
    assert_int_equal(run_task(*state, run_cat, &command), 0);
}

static int run_head(void *arg)
{
    int rc = run_cat(arg);
    return rc == -100 ? 0 : -200; /* not all of it came back */
}

static void test_process__input_that_nobody_reads_is_no_error(void **state)
{
    struct command command;
    command_init(&command, "head -c 5");
    assert_int_equal(run_task(*state, run_head, &command), 0);
    assert_string_equal(command.output, "abcde");
    assert_int_equal(command.run.exit.code, 0);
}

static void test_process__more_output_than_the_limit_ends_it(void **state)
{
    struct command command;
    command_init(&command, "yes");
    command.limit = 1000;
    assert_int_equal(run_task(*state, run_command, &command), CASGI_ETOOBIG);
    assert_no_child();
}

static void test_process__a_signal_is_told(void **state)
{
    struct command command;
    command_init(&command, "kill -9 $$");
    assert_int_equal(run_task(*state, run_command, &command), 0);
    assert_int_equal(command.run.exit.code, -1);
    assert_int_equal(command.run.exit.signal, SIGKILL);
}

static void test_process__what_a_grandchild_keeps_open_is_not_waited_for(void **state)
{
    struct command command;
    command_init(&command, "sleep 1000 & echo $!");
    assert_int_equal(run_task(*state, run_command, &command), 0);
    assert_int_equal(kill(number_in(command.output), SIGKILL), 0);
}

/* ---- how it is started ---- */

static void test_process__a_program_that_is_not_there_is_not_found(void **state)
{
    struct command command;
    command_init(&command, NULL);
    command.argv[0] = "no-such-program-anywhere";
    assert_int_equal(run_task(*state, run_command, &command), CASGI_ENOENT);
    assert_no_child();
}

static void test_process__no_program_is_invalid(void **state)
{
    struct command command;
    command_init(&command, NULL);
    command.argv[0] = NULL;
    assert_int_equal(run_task(*state, run_command, &command), CASGI_EINVAL);
}

static void test_process__a_folder_cannot_be_executed(void **state)
{
    struct command command;
    command_init(&command, NULL);
    command.argv[0] = "/";
    assert_int_equal(run_task(*state, run_command, &command), CASGI_EACCES);
}

static void test_process__the_environment_is_the_one_given(void **state)
{
    static const char *const env[] = { "COLOUR=green", NULL };
    struct command command;
    command_init(&command, "echo $COLOUR $HOME");
    command.spawn.env = env;
    assert_int_equal(run_task(*state, run_command, &command), 0);
    assert_string_equal(command.output, "green\n");
}

static void test_process__it_starts_in_the_folder_given(void **state)
{
    struct command command;
    command_init(&command, "pwd");
    command.spawn.cwd = "/";
    assert_int_equal(run_task(*state, run_command, &command), 0);
    assert_string_equal(command.output, "/\n");
}

static void test_process__a_folder_that_is_not_there_is_an_error(void **state)
{
    struct command command;
    command_init(&command, "pwd");
    command.spawn.cwd = "/no/such/folder";
    assert_int_equal(run_task(*state, run_command, &command), CASGI_ENOENT);
}

static void test_process__it_inherits_no_other_descriptor(void **state)
{
    int fd = dup(1); /* not close-on-exec */
    struct command command;
    command_init(&command, "ls /proc/self/fd | wc -l");
    assert_int_equal(run_task(*state, run_command, &command), 0);
    assert_int_equal(number_in(command.output), 4); /* three, and the folder that ls reads */
    (void)close(fd);
}

static void test_process__it_has_the_default_signals(void **state)
{
    struct command command;
    command_init(&command, "sed -n 's/^Sig\\(Blk\\|Ign\\):\t//p' /proc/self/status");
    assert_int_equal(run_task(*state, run_command, &command), 0);
    char *rest = command.output;
    unsigned long long blocked = strtoull(rest, &rest, 16), ignored = strtoull(rest, &rest, 16);
    assert_int_equal(command.output_size, 34);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & 0x7fffffff, 0); /* the tests ignore SIGPIPE; 32 and 33 are the C library's own */
}

/* ---- spawn, streams, wait ---- */

static int talk(void *arg)
{
    struct command *command = arg;
    casgi_str_t line;
    command->spawn.stdio[0] = command->spawn.stdio[1] = CASGI_STDIO_PIPE;
    int rc = casgi_process_spawn(&command->spawn, &command->process);
    if (rc) {
        return rc;
    }
    casgi_stream_t *in = casgi_process_stream(command->process, 0), *out = casgi_process_stream(command->process, 1);
    for (int i = 0; !rc && i < 3; i++) {
        rc = casgi_stream_write(in, "ping\n", 5);
        rc = rc ? rc : casgi_stream_read_until(out, "\n", 1, 0, &line);
        rc = rc ? rc : strcmp(line.ptr, "got ping\n") ? -100 : 0;
    }
    rc = rc ? rc : casgi_stream_shutdown(in);
    rc = rc ? rc : casgi_process_wait(command->process, &command->exit);
    rc = rc ? rc : casgi_process_wait(command->process, &command->exit); /* the answer stays */
    bool no_stream = !casgi_process_stream(command->process, 2) && !casgi_process_stream(command->process, 7);
    (void)casgi_process_close(command->process);
    return rc ? rc : no_stream ? 0 : -200;
}

static void test_process__a_conversation_through_pipes(void **state)
{
    struct command command;
    command_init(&command, "while read word; do echo got $word; done; exit 5");
    assert_int_equal(run_task(*state, talk, &command), 0);
    assert_int_equal(command.exit.code, 5);
    assert_no_child();
}

static int spawn_and_kill(void *arg)
{
    struct command *command = arg;
    int rc = casgi_process_spawn(&command->spawn, &command->process);
    rc = rc ? rc : casgi_process_kill(command->process, SIGUSR1);
    rc = rc ? rc : casgi_process_wait(command->process, &command->exit);
    command->rc = casgi_process_kill(command->process, SIGUSR1);
    (void)casgi_process_close(command->process);
    return rc;
}

static void test_process__a_signal_can_be_sent_while_it_runs(void **state)
{
    struct command command;
    command_init(&command, "sleep 1000");
    assert_int_equal(run_task(*state, spawn_and_kill, &command), 0);
    assert_int_equal(command.exit.signal, SIGUSR1);
    assert_int_equal(command.rc, CASGI_ENOENT);
}

static int spawn_and_close(void *arg)
{
    struct command *command = arg;
    int rc = casgi_process_spawn(&command->spawn, &command->process);
    return rc ? rc : casgi_process_close(command->process);
}

static void test_process__closing_ends_what_still_runs(void **state)
{
    struct command command;
    command_init(&command, "sleep 1000");
    assert_int_equal(run_task(*state, spawn_and_close, &command), 0);
    assert_no_child();
}

static int spawn_hear_and_close(void *arg)
{
    struct command *command = arg;
    casgi_str_t line;
    command->spawn.stdio[1] = CASGI_STDIO_PIPE;
    int rc = casgi_process_spawn(&command->spawn, &command->process);
    rc = rc ? rc : casgi_stream_read_until(casgi_process_stream(command->process, 1), "\n", 1, 0, &line);
    int closed = casgi_process_close(command->process);
    return rc ? rc : closed;
}

static void test_process__one_that_has_left_its_group_is_ended_too(void **state)
{
    struct command command;
    command_init(&command, NULL);
    command.argv[0] = "perl";
    command.argv[1] = "-e";
    command.argv[2] = "$| = 1; setpgrp(0, getpgrp(getppid())); print \"gone\\n\"; sleep(1000)";
    assert_int_equal(run_task(*state, spawn_hear_and_close, &command), 0);
    assert_no_child();
}

/* It ends when it is waited for, not before. */
static int spawn_end_input_and_wait(void *arg)
{
    struct command *command = arg;
    command->spawn.stdio[0] = CASGI_STDIO_PIPE;
    int rc = casgi_process_spawn(&command->spawn, &command->process);
    rc = rc ? rc : casgi_stream_shutdown(casgi_process_stream(command->process, 0));
    rc = rc ? rc : casgi_process_wait(command->process, &command->exit);
    int closed = casgi_process_close(command->process);
    return rc ? rc : closed;
}

/* Its parent, or the application, has told the kernel that nobody waits for children. */
static void test_process__of_one_that_was_reaped_by_somebody_else_only_the_end_is_known(void **state)
{
    struct command command;
    command_init(&command, "read word; exit 3");
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    int rc = run_task(*state, spawn_end_input_and_wait, &command);
    (void)signal(SIGCHLD, before);
    assert_int_equal(rc, 0);
    assert_int_equal(command.exit.code, -1);
    assert_int_equal(command.exit.signal, 0);
}

static int to_a_descriptor(void *arg)
{
    struct command *command = arg;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC)) {
        return -100;
    }
    command->spawn.stdio[1] = CASGI_STDIO_FD;
    command->spawn.stdio_fd[1] = fds[1];
    command->spawn.stdio[2] = CASGI_STDIO_OUTPUT;
    int rc = casgi_process_spawn(&command->spawn, &command->process);
    rc = rc ? rc : casgi_process_wait(command->process, NULL);
    (void)casgi_process_close(command->process);
    (void)close(fds[1]);
    ssize_t n = read(fds[0], command->output, sizeof(command->output) - 1);
    (void)close(fds[0]);
    command->output[n > 0 ? n : 0] = '\0';
    return rc;
}

static void test_process__output_and_error_may_go_to_one_descriptor(void **state)
{
    struct command command;
    command_init(&command, "echo a; echo b >&2; echo c");
    assert_int_equal(run_task(*state, to_a_descriptor, &command), 0);
    assert_string_equal(command.output, "a\nb\nc\n");
}

static void test_process__input_cannot_go_where_output_goes(void **state)
{
    struct command command;
    command_init(&command, "true");
    command.spawn.stdio[0] = CASGI_STDIO_OUTPUT;
    assert_int_equal(run_task(*state, spawn_and_close, &command), CASGI_EINVAL);
}

/* ---- cancellation ---- */

static int spawn_and_wait(void *arg)
{
    struct command *command = arg;
    casgi_str_t line;
    command->spawn.stdio[1] = CASGI_STDIO_PIPE;
    int rc = casgi_process_spawn(&command->spawn, &command->process);
    if (rc) {
        return rc;
    }
    rc = casgi_stream_read_until(casgi_process_stream(command->process, 1), "\n", 1, 0, &line);
    command->started = true;
    rc = rc ? rc : casgi_process_wait(command->process, NULL);
    (void)casgi_uncancel();
    command->rc = casgi_process_wait(command->process, &command->exit);
    (void)casgi_process_close(command->process);
    return rc;
}

static int cancel_wait(void *arg)
{
    struct command *command = arg;
    casgi_task_t *task = NULL;
    int rc = casgi_create_task(spawn_and_wait, command, NULL, &task);
    rc = rc ? rc : yield_until(&command->started);
    rc = rc ? rc : casgi_sleep(1);
    rc = rc ? rc : casgi_cancel(task);
    return rc ? rc : join(task);
}

static void test_process__a_cancelled_wait_kills_it(void **state)
{
    struct command command;
    command_init(&command, "trap '' TERM; echo ready; while true; do sleep 1000; done");
    assert_int_equal(run_task(*state, cancel_wait, &command), CASGI_ECANCELED);
    assert_int_equal(command.rc, 0);
    assert_int_equal(command.exit.signal, SIGKILL);
    assert_no_child();
}

static void test_process__with_grace_it_may_end_by_itself(void **state)
{
    struct command command;
    command_init(&command, "trap 'exit 9' TERM; echo ready; while true; do sleep 1000 & wait; done");
    command.spawn.grace_ms = 60000;
    assert_int_equal(run_task(*state, cancel_wait, &command), CASGI_ECANCELED);
    assert_int_equal(command.exit.code, 9);
}

static void test_process__when_grace_is_over_it_is_killed(void **state)
{
    struct command command;
    command_init(&command, "trap '' TERM; echo ready; while true; do sleep 1000; done");
    command.spawn.grace_ms = 10;
    assert_int_equal(run_task(*state, cancel_wait, &command), CASGI_ECANCELED);
    assert_int_equal(command.exit.signal, SIGKILL);
}

static int run_with_deadline(void *arg)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, 50);
    rc = rc ? rc : run_command(arg);
    (void)casgi_deadline_end(&deadline);
    return rc;
}

/* Ended, though whoever inherits orphans here may not have reaped it. */
static bool is_gone(int pid)
{
    char path[64], text[256] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    const char *state = n > 0 ? strrchr(text, ')') : NULL;
    return !state || state[2] == 'Z';
}

static void test_process__a_deadline_ends_a_run_and_all_it_started(void **state)
{
    struct command command;
    char script[128], path[64], text[16] = "";
    (void)snprintf(path, sizeof(path), P_tmpdir "/casgi-test-%d.pid", getpid());
    (void)snprintf(script, sizeof(script), "sleep 1000 & echo $! >%s; wait", path);
    command_init(&command, script);
    int rc = run_task(*state, run_with_deadline, &command);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(rc, CASGI_ETIMEDOUT);
    assert_no_child();
    assert_true(n <= 0 || number_in(text) > 1); /* it may have had no time to start one */
    for (int i = 0; n > 0 && i < 30000 && !is_gone(number_in(text)); i++) {
        (void)usleep(1000);
    }
    assert_true(n <= 0 || is_gone(number_in(text)));
}

static int spawn_when_cancelled(void *arg)
{
    int rc = casgi_cancel((casgi_task_t *)(void *)task_current());
    return rc ? rc : spawn_and_close(arg);
}

static void test_process__a_cancelled_task_starts_nothing(void **state)
{
    struct command command;
    command_init(&command, "sleep 1000");
    assert_int_equal(run_task(*state, spawn_when_cancelled, &command), CASGI_ECANCELED);
    assert_no_child();
}

static void test_process__outside_of_a_task_it_is_refused(void **state)
{
    struct command command;
    (void)state;
    command_init(&command, "true");
    assert_int_equal(spawn_and_close(&command), CASGI_EWRONGTHREAD);
}

/* valgrind 3.19 does not know pidfd_open. */
static bool is_possible(void)
{
    int fd = pidfd_open(getpid(), 0);
    bool possible = fd >= 0 || errno != ENOSYS;
    if (fd >= 0) {
        (void)close(fd);
    }
    return possible;
}

int main(void)
{
    if (!is_possible()) {
        print_message("skipped: no pidfd_open here\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_process__run_gathers_output_error_and_code),
        WORLD_TEST(test_process__run_feeds_the_input),
        WORLD_TEST(test_process__without_input_there_is_an_end_at_once),
        WORLD_TEST(test_process__run_feeds_and_gathers_at_the_same_time),
        WORLD_TEST(test_process__input_that_nobody_reads_is_no_error),
        WORLD_TEST(test_process__more_output_than_the_limit_ends_it),
        WORLD_TEST(test_process__a_signal_is_told),
        WORLD_TEST(test_process__what_a_grandchild_keeps_open_is_not_waited_for),
        WORLD_TEST(test_process__a_program_that_is_not_there_is_not_found),
        WORLD_TEST(test_process__no_program_is_invalid),
        WORLD_TEST(test_process__a_folder_cannot_be_executed),
        WORLD_TEST(test_process__the_environment_is_the_one_given),
        WORLD_TEST(test_process__it_starts_in_the_folder_given),
        WORLD_TEST(test_process__a_folder_that_is_not_there_is_an_error),
        WORLD_TEST(test_process__it_inherits_no_other_descriptor),
        WORLD_TEST(test_process__it_has_the_default_signals),
        WORLD_TEST(test_process__a_conversation_through_pipes),
        WORLD_TEST(test_process__a_signal_can_be_sent_while_it_runs),
        WORLD_TEST(test_process__closing_ends_what_still_runs),
        WORLD_TEST(test_process__one_that_has_left_its_group_is_ended_too),
        WORLD_TEST(test_process__of_one_that_was_reaped_by_somebody_else_only_the_end_is_known),
        WORLD_TEST(test_process__output_and_error_may_go_to_one_descriptor),
        WORLD_TEST(test_process__input_cannot_go_where_output_goes),
        WORLD_TEST(test_process__a_cancelled_wait_kills_it),
        WORLD_TEST(test_process__with_grace_it_may_end_by_itself),
        WORLD_TEST(test_process__when_grace_is_over_it_is_killed),
        WORLD_TEST(test_process__a_deadline_ends_a_run_and_all_it_started),
        WORLD_TEST(test_process__a_cancelled_task_starts_nothing),
        WORLD_TEST(test_process__outside_of_a_task_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
