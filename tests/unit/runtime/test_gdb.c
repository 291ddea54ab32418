/* server/runtime/casgi-gdb.py on a program with parked tasks: this one, run by gdb. Skipped where there is no gdb. */
#include "runtime/internal.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

static char said[16384];

/* ---- the program that gdb looks at ---- */

__attribute__((noinline)) static int wait_long(void)
{
    int rc = casgi_sleep(3600 * 1000);
    return rc ? rc : 1;
}

static int handle(void *arg)
{
    (void)arg;
    return wait_long() + 1;
}

static int be_looked_at(void)
{
    struct loop_options options = { .fake_clock = true };
    struct task_options task_options = { .name = "handler" };
    struct loop *loop;
    casgi_imports_.tasks = &task_interface;
    if (loop_new(&options, &loop) || task_start(loop, handle, NULL, &task_options, NULL)) {
        return 1;
    }
    abort();
}

/* ---- gdb ---- */

static char program[4096];
static char script[4096];

static void find_script(void)
{
    const char *here = __FILE__;
    const char *tests = strstr(here, "tests/unit/runtime/");
    assert_non_null(tests);
    (void)snprintf(script, sizeof(script), "%.*sserver/runtime/casgi-gdb.py", (int)(tests - here), here);
}

static bool run_gdb(const char *command)
{
    char line[10000];
    find_script();
    (void)snprintf(line, sizeof(line),
                   "gdb -q -nx -batch -iex 'set debuginfod enabled off' -ex run -ex 'source %s' -ex '%s' "
                   "--args '%s' --be-looked-at 2>&1",
                   script, command, program);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    said[fread(said, 1, sizeof(said) - 1, pipe)] = '\0';
    return pclose(pipe) == 0 && strstr(said, "SIGABRT");
}

static void assert_said(const char *text)
{
    if (!strstr(said, text)) {
        fail_msg("\"%s\" is not in \"%s\"", text, said);
    }
}

static bool cannot_run(void)
{
    return RUNNING_ON_VALGRIND || UNDER_ASAN || system("gdb --version >/dev/null 2>&1") != 0;
}

static void test_gdb__lists_parked_tasks_with_their_stacks(void **state)
{
    (void)state;
    if (cannot_run() || !run_gdb("casgi stacks")) {
        skip();
    }
    assert_said("handler: parked for timer");
    assert_said("in wait_long");
    assert_said("in handle");
    assert_said("1 tasks");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gdb__lists_parked_tasks_with_their_stacks),
    };
    if (argc > 1 && strcmp(argv[1], "--be-looked-at") == 0) {
        return be_looked_at();
    }
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[length < 0 ? 0 : length] = '\0';
    return cmocka_run_group_tests(tests, NULL, NULL);
}
