/* The handler calls only what is async-signal-safe: memory may be broken, locks may be held. */
#include "runtime/crash.h"

#include "base/stderr.h"
#include "runtime/internal.h"
#include "runtime/stack_of.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANDLER_STACK (64u * 1024u)
#define LINE_SIZE 1024u
#define STDERR_TIME 500 /* ms that a reader of stderr may take */
#define STACK_TIME 2000 /* ms that its helper may take */
#define STACK_PAUSE 5

/* A line under construction; what does not fit is cut. */
struct line {
    char text[LINE_SIZE];
    size_t length;
};

static void put_bytes(struct line *line, const char *text, size_t size)
{
    for (size_t i = 0; i < size && line->length < LINE_SIZE - 1; i++) {
        unsigned char c = (unsigned char)text[i];
        line->text[line->length++] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static void put(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

static void put_number(struct line *line, uintptr_t number, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    put_bytes(line, digits + at, sizeof(digits) - at);
}

static void put_task(struct line *line, const struct task *task)
{
    casgi_str_t what = task_describe(task);
    put(line, " in task ");
    put(line, task->name);
    if (what.ptr) {
        put(line, " while handling ");
        put_bytes(line, what.ptr, what.len);
    }
}

static void write_out(struct line *line)
{
    line->text[line->length++] = '\n';
    (void)stderr_write(line->text, line->length, STDERR_TIME);
}

static void put_overflow(struct line *line, const struct task *task)
{
    put(line, "casgi: stack overflow");
    put_task(line, task);
    put(line, "; raise --stack-size or put less on the stack");
}

static const char *name_of(int number)
{
    switch (number) {
    case SIGSEGV:
        return "SIGSEGV (invalid memory access)";
    case SIGBUS:
        return "SIGBUS (bus error)";
    case SIGFPE:
        return "SIGFPE (arithmetic error)";
    case SIGILL:
        return "SIGILL (illegal instruction)";
    case SIGTRAP:
        return "SIGTRAP (trap)";
    default:
        return "SIGABRT (abort)";
    }
}

static void put_crash(struct line *line, const siginfo_t *info, const struct task *task)
{
    put(line, "casgi: crash by ");
    put(line, name_of(info->si_signo));
    if (info->si_code <= 0 && info->si_pid != getpid()) {
        put(line, ", sent by process ");
        put_number(line, (uintptr_t)info->si_pid, 10);
    } else if (info->si_code > 0) {
        put(line, " at 0x");
        put_number(line, (uintptr_t)info->si_addr, 16);
    }
    if (task) {
        put_task(line, task);
    }
    put(line, ", process ");
    put_number(line, (uintptr_t)getpid(), 10);
}

/* ---- the stack ---- */

static const char *helper; /* NULL: there is none */

/* "PROCESS:THREAD" */
static void put_here(struct line *line)
{
    put_number(line, (uintptr_t)getpid(), 10);
    put(line, ":");
    put_number(line, (uintptr_t)gettid(), 10);
    line->text[line->length] = '\0';
}

static _Noreturn void become_helper(char *where)
{
    char option[] = STACK_OF_OPTION, name[] = "casgi";
    char *arguments[] = { name, option, where, NULL };
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL /* the old one */);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO);
    (void)execv(helper, arguments);
    _exit(1);
}

static void wait_for_helper(pid_t child)
{
    const struct timespec pause = { .tv_nsec = STACK_PAUSE * 1000000L };
    for (int waited = 0; waited < STACK_TIME; waited += STACK_PAUSE) {
        pid_t found = waitpid(child, NULL /* how it ended */, WNOHANG);
        if (found == child || (found < 0 && errno != EINTR)) {
            return;
        }
        (void)nanosleep(&pause, NULL /* what is left */);
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL /* how it ended */, 0);
}

/* Symbolising allocates: another process does it, and looks at this one from outside. */
static void write_stack(void)
{
    struct line where;
    where.length = 0;
    if (!helper) {
        return;
    }
    put_here(&where);
    pid_t child = _Fork();
    if (child == 0) {
        become_helper(where.text);
    }
    if (child > 0) {
        (void)prctl(PR_SET_PTRACER, child, 0, 0, 0); /* a child may otherwise not look at its parent everywhere */
        wait_for_helper(child);
    }
}

/* SA_RESETHAND has put the default action back. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    struct line line;
    struct task *task = task_running();
    line.length = 0;
    if (task && number == SIGSEGV && stack_guards(task->stack, info->si_addr)) {
        put_overflow(&line, task);
    } else {
        put_crash(&line, info, task);
    }
    write_out(&line);
    write_stack();
    (void)raise(number); /* blocked until the handler returns */
}

int crash_install_thread(void)
{
    stack_t stack = { .ss_size = HANDLER_STACK };
    stack.ss_sp = mmap(NULL, HANDLER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack.ss_sp == MAP_FAILED) {
        return CASGI_ENOMEM;
    }
    return sigaltstack(&stack, NULL /* the old one */) ? CASGI_ESYSTEM(errno) : 0;
}

void crash_set_helper(const char *program)
{
    helper = program;
}

int crash_install(void)
{
    static const int signals[] = {
        SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT,
#ifdef __aarch64__
        SIGTRAP, /* __builtin_trap; on x86-64 it is an illegal instruction */
#endif
    };
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND) };
    if (UNDER_ASAN) {
        return 0;
    }
    int rc = crash_install_thread();
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; !rc && i < sizeof(signals) / sizeof(*signals); i++) {
        if (sigaction(signals[i], &action, NULL /* the old one */)) {
            rc = CASGI_ESYSTEM(errno);
        }
    }
    return rc;
}

_Noreturn void crash_overrun(const struct task *task)
{
    struct line line;
    line.length = 0;
    put_overflow(&line, task);
    write_out(&line);
    write_stack();
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}
