#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "supervisor/artifact.h"
#include "supervisor/build.h"

#include <errno.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The compiler is a script that copies the source, names its headers, and counts how often it was asked. */
static const char script[] = "#!/bin/sh\n"
                             "here=$(dirname \"$0\")\n"
                             "echo x >> \"$here/calls\"\n"
                             "out= dep= source=\n"
                             "while [ $# -gt 0 ]; do\n"
                             "  case $1 in\n"
                             "  -o) out=$2; shift ;;\n"
                             "  -MF) dep=$2; shift ;;\n"
                             "  *.c) source=$1 ;;\n"
                             "  esac\n"
                             "  shift\n"
                             "done\n"
                             "if [ -n \"$out\" ] && grep -q broken \"$source\"; then\n"
                             "  echo \"$source:1:1: error: broken\" >&2; exit 1\n"
                             "fi\n"
                             "echo \"out: $source $here/a.h\" > \"$dep\"\n"
                             "[ -z \"$out\" ] || cat \"$source\" > \"$out\"\n";

static casgi_error_t error;
static struct build *build;
static char source[256];

/* Files are dated a minute back, so that none counts as changed while the compiler runs. */
static void write_old(const char *name, const char *text)
{
    struct timespec times[2];
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
    times[0].tv_sec -= 60;
    times[1] = times[0];
    write_file(in_folder(name), text);
    assert_int_equal(utimensat(AT_FDCWD, in_folder(name), times, 0), 0);
}

static int set_up(void **state)
{
    if (folder_set_up(state)) {
        return -1;
    }
    write_file(in_folder("compiler"), script);
    chmod(in_folder("compiler"), 0700);
    snprintf(source, sizeof(source), "%s", in_folder("app.c"));
    write_old("app.c", "first");
    write_old("a.h", "header");
    setenv("CC", in_folder("compiler"), 1);
    setenv("XDG_CACHE_HOME", in_folder("cache"), 1);
    return 0;
}

static int tear_down(void **state)
{
    build_free(build);
    build = NULL;
    return folder_tear_down(state);
}

static long calls(void)
{
    struct stat st;
    return stat(in_folder("calls"), &st) ? 0 : (long)st.st_size / 2;
}

/* As the supervisor does: what the compiler prints is read while it runs. */
static void run_to_end(const struct build_options *options)
{
    build_free(build);
    build = NULL;
    assert_int_equal(build_start(options, &build, &error), 0);
    while (!build_done(build)) {
        int status;
        while (build_fd(build) >= 0) {
            struct pollfd poll_fd = { .fd = build_fd(build), .events = POLLIN };
            assert_int_equal(poll(&poll_fd, 1, 30000), 1);
            build_read(build);
        }
        assert_int_equal(waitpid(build_pid(build), &status, 0), build_pid(build));
        build_exited(build, status);
    }
}

static void compile(void)
{
    const struct build_options options = { .source = source, .debug = true };
    run_to_end(&options);
}

static void test_build__gives_a_module_and_what_it_was_made_from(void **state)
{
    (void)state;
    compile();
    assert_non_null(build_artifact(build));
    assert_string_equal(build_output(build), "");
    assert_int_equal(build_dependencies(build)->count, 2);
    assert_string_equal(build_dependencies(build)->items[0], source);
    assert_string_equal(build_dependencies(build)->items[1], in_folder("a.h"));
}

static void test_build__the_same_again_is_not_compiled_again(void **state)
{
    (void)state;
    compile();
    compile();
    assert_int_equal(calls(), 1);
    assert_non_null(build_artifact(build));
    assert_int_equal(build_dependencies(build)->count, 2);
}

static void test_build__another_source_is_compiled(void **state)
{
    (void)state;
    compile();
    write_old("app.c", "second");
    compile();
    assert_int_equal(calls(), 2);
    write_old("app.c", "first");
    compile();
    assert_int_equal(calls(), 2);
}

static void test_build__another_header_is_compiled(void **state)
{
    (void)state;
    compile();
    write_old("a.h", "changed");
    compile();
    assert_int_equal(calls(), 2);
}

static void test_build__other_flags_are_compiled(void **state)
{
    const struct build_options options = { .source = source, .debug = true, .cflags = "-DX=1" };
    (void)state;
    compile();
    run_to_end(&options);
    assert_int_equal(calls(), 2);
}

static void test_build__another_compiler_is_asked(void **state)
{
    (void)state;
    compile();
    write_file(in_folder("new"), script);
    FILE *file = fopen(in_folder("new"), "ae");
    fputs("# version 2\n", file);
    fclose(file);
    chmod(in_folder("new"), 0700);
    assert_int_equal(rename(in_folder("new"), in_folder("compiler")), 0);
    compile();
    assert_int_equal(calls(), 2);
}

static void test_build__a_failure_has_the_compilers_words_and_the_headers(void **state)
{
    (void)state;
    write_old("app.c", "broken");
    compile();
    assert_null(build_artifact(build));
    assert_non_null(strstr(build_output(build), "app.c:1:1: error: broken"));
    assert_int_equal(build_dependencies(build)->count, 2);
}

static void test_build__a_failure_is_not_kept(void **state)
{
    (void)state;
    write_old("app.c", "broken");
    compile();
    long before = calls();
    compile();
    assert_true(calls() > before);
}

/* It may be in the result or not: the next build is to find out. */
static void test_build__a_header_saved_while_compiling_is_not_kept(void **state)
{
    (void)state;
    const struct build_options options = { .source = source, .debug = true };
    assert_int_equal(build_start(&options, &build, &error), 0);
    write_file(in_folder("a.h"), "saved meanwhile");
    int status;
    assert_int_equal(waitpid(build_pid(build), &status, 0), build_pid(build));
    build_exited(build, status);
    assert_non_null(build_artifact(build));
    write_old("a.h", "saved meanwhile");
    compile();
    assert_int_equal(calls(), 2);
}

static void test_build__a_missing_compiler_is_said(void **state)
{
    const struct build_options options = { .source = source };
    (void)state;
    setenv("CC", "no-such-compiler", 1);
    assert_int_equal(build_start(&options, &build, &error), CASGI_ENOENT);
    assert_non_null(strstr(error.message, "no-such-compiler"));
    assert_non_null(strstr(error.message, "$CC"));
}

static void test_build__a_missing_compiler_of_cxx_is_said(void **state)
{
    const struct build_options options = { .source = source, .cxx = true };
    (void)state;
    setenv("CXX", "no-such-compiler", 1);
    assert_int_equal(build_start(&options, &build, &error), CASGI_ENOENT);
    assert_non_null(strstr(error.message, "no compiler \"no-such-compiler\"; install g++, or name one in $CXX"));
    unsetenv("CXX");
}

static void test_build__flags_that_cannot_be_read_are_said(void **state)
{
    const struct build_options options = { .source = source, .cflags = "-DX='" };
    (void)state;
    assert_int_equal(build_start(&options, &build, &error), CASGI_EINVAL);
    assert_non_null(strstr(error.message, "--cflags is not written as for a shell (a quote is not closed"));
}

static void test_build__a_missing_source_is_said(void **state)
{
    const struct build_options options = { .source = "/no/such.c" };
    (void)state;
    assert_int_equal(build_start(&options, &build, &error), CASGI_ENOENT);
    assert_string_equal(error.message, "/no/such.c: there is no such file");
}

static void test_build__giving_up_ends_the_compiler_and_its_children(void **state)
{
    const struct build_options options = { .source = source };
    int status;
    (void)state;
    write_file(in_folder("compiler"), "#!/bin/sh\nsleep 600\n");
    assert_int_equal(build_start(&options, &build, &error), 0);
    pid_t pid = build_pid(build);
    build_free(build);
    build = NULL;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (kill(-pid, 0) == 0) { /* the group is empty once its last member is reaped */
        usleep(1000);
    }
    assert_int_equal(errno, ESRCH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_build__gives_a_module_and_what_it_was_made_from),
        TEST(test_build__the_same_again_is_not_compiled_again),
        TEST(test_build__another_source_is_compiled),
        TEST(test_build__another_header_is_compiled),
        TEST(test_build__other_flags_are_compiled),
        TEST(test_build__another_compiler_is_asked),
        TEST(test_build__a_failure_has_the_compilers_words_and_the_headers),
        TEST(test_build__a_failure_is_not_kept),
        TEST(test_build__a_header_saved_while_compiling_is_not_kept),
        TEST(test_build__a_missing_compiler_is_said),
        TEST(test_build__a_missing_compiler_of_cxx_is_said),
        TEST(test_build__flags_that_cannot_be_read_are_said),
        TEST(test_build__a_missing_source_is_said),
        TEST(test_build__giving_up_ends_the_compiler_and_its_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
