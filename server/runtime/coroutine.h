/* runtime/coroutine.h: the switch between stacks, and what must be told of it: C++ (its exceptions in flight are kept
 * per thread), AddressSanitizer, ThreadSanitizer. The registers are saved by Boost.Context's assembly. Everything is
 * [loop]. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define COROUTINE_CXX_MAX 2 /* C++ runtimes in one process: libstdc++ and libc++ */

/* The words a C++ runtime keeps per thread (Itanium ABI, 2.2.2: __cxa_eh_globals). */
struct coroutine_cxx {
    void *caught;
    unsigned uncaught;
};

/* A place to switch from and to. Zeroed, it can stand for the thread's own stack. */
struct coroutine {
    void *context;          /* where it was left: Boost's fcontext_t; meaningless while it runs */
    struct coroutine *peer; /* whom it switched to */
    void (*entry)(void *arg);
    void *arg;
    const void *stack; /* lowest byte; for AddressSanitizer */
    size_t stack_size;
    void *fake_stack; /* AddressSanitizer's */
    void *fiber;      /* ThreadSanitizer's */
    struct coroutine_cxx cxx[COROUTINE_CXX_MAX];
};

/* Looks once in the process for the sanitizers and a C++ runtime. Called by loop_new. */
void coroutine_setup(void);

/* Looks for a C++ runtime among what `handle` (dlopen's; NULL: the program) brought. After each load of a module. */
void coroutine_find_cxx(void *handle);

/* Makes `self` run entry(arg) on the bytes [stack, stack + size) at the first switch to it. `entry` never returns: when
 * it is done it calls coroutine_rest. */
void coroutine_init(struct coroutine *self, void *stack, size_t size, void (*entry)(void *arg), void *arg);

/* Whether a coroutine that rests may simply be switched to again. Not so where a sanitizer must see a new one: there it
 * is made anew by coroutine_init. */
bool coroutine_can_rest(void);

/* After its last coroutine_rest, before its stack is used otherwise. */
void coroutine_release(struct coroutine *self);

struct coroutine_transfer {
    void *context; /* of who switched here */
    void *data;
};

#ifdef __x86_64__
/* Boost.Context's jump_fcontext with the same frame, so that contexts made by make_fcontext and the debugger's script
 * do not notice, but inline: a call into it is never returned from, and all returns up the stack from there would be
 * foretold wrongly by the processor. The frame lies in what would be the red zone (-mno-red-zone), so the stack pointer
 * changes in one step. */
static inline __attribute__((always_inline)) struct coroutine_transfer coroutine_jump(void *to, void *data)
{
    struct coroutine_transfer got;
    __asm__ volatile("leaq 1f(%%rip), %%rcx\n\t"
                     "leaq -0x40(%%rsp), %%rax\n\t"
                     "stmxcsr (%%rax)\n\t"
                     "fnstcw 0x4(%%rax)\n\t"
                     "movq %%r12, 0x08(%%rax)\n\t"
                     "movq %%r13, 0x10(%%rax)\n\t"
                     "movq %%r14, 0x18(%%rax)\n\t"
                     "movq %%r15, 0x20(%%rax)\n\t"
                     "movq %%rbx, 0x28(%%rax)\n\t"
                     "movq %%rbp, 0x30(%%rax)\n\t"
                     "movq %%rcx, 0x38(%%rax)\n\t"
                     "ldmxcsr (%%rdi)\n\t"
                     "fldcw 0x4(%%rdi)\n\t"
                     "movq 0x08(%%rdi), %%r12\n\t"
                     "movq 0x10(%%rdi), %%r13\n\t"
                     "movq 0x18(%%rdi), %%r14\n\t"
                     "movq 0x20(%%rdi), %%r15\n\t"
                     "movq 0x28(%%rdi), %%rbx\n\t"
                     "movq 0x30(%%rdi), %%rbp\n\t"
                     "movq 0x38(%%rdi), %%rcx\n\t"
                     "leaq 0x40(%%rdi), %%rsp\n\t"
                     "movq %%rsi, %%rdx\n\t" /* who was inside coroutine_jump gets both in rax and rdx, */
                     "movq %%rax, %%rdi\n\t" /* who begins, as arguments in rdi and rsi */
                     "jmpq *%%rcx\n"
                     "1:"
                     : "=a"(got.context), "=d"(got.data), "+D"(to), "+S"(data)
                     :
                     : "rcx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
    return got;
}
#else
/* Boost.Context's (boost/context/detail/fcontext.hpp declares it for C++). */
extern struct coroutine_transfer jump_fcontext(void *to, void *data);

static inline struct coroutine_transfer coroutine_jump(void *to, void *data)
{
    return jump_fcontext(to, data);
}
#endif

extern bool coroutine_observed; /* by a sanitizer or a C++ runtime: the plain switch pays one test for all of them */
void coroutine_switch_observed(struct coroutine *from, struct coroutine *to);

/* Goes on in `to`; returns when somebody switches back. */
static inline void coroutine_switch(struct coroutine *from, struct coroutine *to)
{
    if (__builtin_expect(coroutine_observed, false)) {
        coroutine_switch_observed(from, to);
        return;
    }
    from->peer = to;
    struct coroutine_transfer transfer = coroutine_jump(to->context, from);
    ((struct coroutine *)transfer.data)->context = transfer.context; /* where that one was left is known only now */
}

/* The same when `from` is done with what it had to do; returns if it is used again. */
void coroutine_rest(struct coroutine *from, struct coroutine *to);
