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

/* Boost.Context's (boost/context/detail/fcontext.hpp declares it for C++). */
struct coroutine_transfer {
    void *context; /* of who switched here */
    void *data;
};
extern struct coroutine_transfer jump_fcontext(void *to, void *data);

extern bool coroutine_observed; /* by a sanitizer or a C++ runtime: the plain switch pays one test for all of them */
void coroutine_switch_observed(struct coroutine *from, struct coroutine *to);

/* Goes on in `to`; returns when somebody switches back. Inline, as the processor foretells the returns behind a switch
 * wrongly: the fewer, the better. */
static inline void coroutine_switch(struct coroutine *from, struct coroutine *to)
{
    if (__builtin_expect(coroutine_observed, false)) {
        coroutine_switch_observed(from, to);
        return;
    }
    from->peer = to;
    struct coroutine_transfer transfer = jump_fcontext(to->context, from);
    ((struct coroutine *)transfer.data)->context = transfer.context; /* where that one was left is known only now */
}

/* The same when `from` is done with what it had to do; returns if it is used again. */
void coroutine_rest(struct coroutine *from, struct coroutine *to);
