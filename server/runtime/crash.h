/* runtime/crash.h: what a process says before it dies of a signal. */
#pragma once

struct task;

/* Reports SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT (on arm64 SIGTRAP, too) on stderr: the signal, the address, the
 * task and its request; an overflow of a task's stack in words of its own. Then the signal takes its course. The
 * handler has a stack of its own; call this on the loop's thread. Does nothing under AddressSanitizer, which reports
 * better. 0, CASGI_ENOMEM, or the system's error. */
int crash_install(void) __attribute__((warn_unused_result));

/* From now on the report ends with the stack of the thread, which `program --stack-of PROCESS:THREAD` writes on its
 * stdout (stack_of.h): it is waited for, but no longer than 2 s. `program` is borrowed for good; NULL: no stack, as
 * before. */
void crash_set_helper(const char *program);

/* [any] Gives the calling thread a stack for the handler, too. It lasts as long as the process. CASGI_ENOMEM, or the
 * system's error: a crash there is then reported by nobody. */
int crash_install_thread(void);

/* Reports that `task` has written below its stack where no guard could be set, and aborts. */
_Noreturn void crash_overrun(const struct task *task);
