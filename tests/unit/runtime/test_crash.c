/* What a dying process says. Each case dies in a child process; the parent reads its stderr and how it ended. */
#include "runtime/crash.h"
#include "runtime/internal.h"
#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[4096];

static casgi_str_t describe(void *owner)
{
    return casgi_str(owner);
}

static void run_child(casgi_task_fn_t fn, enum stack_guard guard)
{
    static char request[] = "GET /y\n1f3a";
    struct rlimit no_core = { 0, 0 };
    struct loop_options options = { .fake_clock = true };
    struct task_options task_options = { .name = "handler", .describe = describe, .owner = request };
    struct loop *loop;
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (loop_new(&options, &loop) || crash_install()) {
        _exit(1);
    }
    loop->stacks.guard = guard;
    int rc = task_start(loop, fn, NULL, &task_options, NULL);
    _exit(rc ? 2 : 0);
}

/* Returns the child's wait status; what it wrote is in `said`. */
static int die(casgi_task_fn_t fn, enum stack_guard guard)
{
    int ends[2], status = 0;
    size_t length = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        run_child(fn, guard);
    }
    close(ends[1]);
    for (ssize_t count; (count = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0;) {
        length += (size_t)count;
    }
    said[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_said(const char *text)
{
    if (!strstr(said, text)) {
        fail_msg("\"%s\" is not in \"%s\"", text, said);
    }
}

static void assert_died_of(int status, int number)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
}

static volatile int endless = 1;

static int recurse(volatile char *above)
{
    volatile char frame[1024];
    frame[0] = above ? above[0] : 0;
    return endless ? recurse(frame) + frame[0] : 0;
}

static int overflow(void *arg)
{
    (void)arg;
    return recurse(NULL);
}

static void test_crash__a_stack_overflow_is_named_with_task_and_request(void **state)
{
    (void)state;
    if (UNDER_ASAN) {
        skip();
    }
    assert_died_of(die(overflow, STACK_GUARD_NONE), SIGSEGV);
    assert_said(
        "casgi: stack overflow in task handler while handling GET /y?1f3a; raise --stack-size or put less on the "
        "stack\n");
}

static void test_crash__likewise_with_a_guard_by_mprotect(void **state)
{
    (void)state;
    if (UNDER_ASAN) {
        skip();
    }
    assert_died_of(die(overflow, STACK_GUARD_PROTECT), SIGSEGV);
    assert_said("casgi: stack overflow in task handler");
}

static int overrun(void *arg)
{
    (void)arg;
    task_current()->stack->low[-8] = 1;
    return 0;
}

static void test_crash__a_dead_canary_is_an_overflow(void **state)
{
    (void)state;
    assert_died_of(die(overrun, STACK_GUARD_CANARY), SIGABRT);
    assert_said("casgi: stack overflow in task handler");
}

static volatile int *volatile nowhere = (int *)16;

static int touch_nothing(void *arg)
{
    (void)arg;
    return *nowhere;
}

static void test_crash__an_invalid_access_is_named_with_its_address(void **state)
{
    (void)state;
    if (UNDER_ASAN) {
        skip();
    }
    assert_died_of(die(touch_nothing, STACK_GUARD_NONE), SIGSEGV);
    assert_said("casgi: crash by SIGSEGV (invalid memory access) at 0x10 in task handler while handling GET /y");
}

static int abort_now(void *arg)
{
    (void)arg;
    abort();
}

static void test_crash__an_abort_is_named(void **state)
{
    (void)state;
    if (UNDER_ASAN) {
        skip();
    }
    assert_died_of(die(abort_now, STACK_GUARD_NONE), SIGABRT);
    assert_said("casgi: crash by SIGABRT (abort)");
    assert_said("in task handler");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash__a_stack_overflow_is_named_with_task_and_request),
        cmocka_unit_test(test_crash__likewise_with_a_guard_by_mprotect),
        cmocka_unit_test(test_crash__a_dead_canary_is_an_overflow),
        cmocka_unit_test(test_crash__an_invalid_access_is_named_with_its_address),
        cmocka_unit_test(test_crash__an_abort_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
