#include "runtime/coroutine.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

extern void *make_fcontext(void *top, size_t size, void (*fn)(struct coroutine_transfer));

/* Weak: there in a program built with the sanitizer, NULL elsewhere. */
#define WEAK __attribute__((weak))
WEAK void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
WEAK void __sanitizer_finish_switch_fiber(void *save, const void **old_bottom, size_t *old_size);
WEAK void *__tsan_get_current_fiber(void);
WEAK void *__tsan_create_fiber(unsigned flags);
WEAK void __tsan_destroy_fiber(void *fiber);
WEAK void __tsan_switch_to_fiber(void *fiber, unsigned flags);

bool coroutine_observed;
static bool has_asan;
static bool has_tsan;
static struct coroutine_cxx *(*cxx_globals[COROUTINE_CXX_MAX])(void);
static size_t cxx_count;

/* A runtime that is unloaded would leave a pointer into nothing. */
static void pin_library(void *symbol)
{
    Dl_info info;
    if (dladdr(symbol, &info) && info.dli_fname) {
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

void coroutine_find_cxx(void *handle)
{
    void *symbol = dlsym(handle ? handle : RTLD_DEFAULT, "__cxa_get_globals");
    struct coroutine_cxx *(*globals)(void);
    if (!symbol) {
        return;
    }
    memcpy(&globals, &symbol, sizeof(globals)); /* ISO C has no cast from object to function */
    for (size_t i = 0; i < cxx_count; i++) {
        if (cxx_globals[i] == globals) {
            return;
        }
    }
    if (cxx_count < COROUTINE_CXX_MAX) {
        pin_library(symbol);
        cxx_globals[cxx_count++] = globals;
        coroutine_observed = true;
    }
}

static void look_around(void)
{
    has_asan = __sanitizer_start_switch_fiber && __sanitizer_finish_switch_fiber;
    has_tsan = __tsan_create_fiber && __tsan_switch_to_fiber && __tsan_get_current_fiber;
    coroutine_observed = has_asan || has_tsan || cxx_count;
    coroutine_find_cxx(NULL /* the program */);
}

void coroutine_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, look_around);
}

static void swap_cxx(struct coroutine *from, const struct coroutine *to)
{
    for (size_t i = 0; i < cxx_count; i++) {
        struct coroutine_cxx *live = cxx_globals[i]();
        from->cxx[i].caught = live->caught;
        from->cxx[i].uncaught = live->uncaught;
        live->caught = to->cxx[i].caught;
        live->uncaught = to->cxx[i].uncaught;
    }
}

static void tell_departure(struct coroutine *from, struct coroutine *to, bool last)
{
    swap_cxx(from, to);
    if (has_asan) {
        __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->stack, to->stack_size);
    }
    if (has_tsan) {
        if (!from->fiber) {
            from->fiber = __tsan_get_current_fiber();
        }
        __tsan_switch_to_fiber(to->fiber, 0);
    }
}

/* On `self`'s stack again (or for the first time): where the other was left is known only now. */
static inline void arrive(struct coroutine *self, struct coroutine_transfer transfer)
{
    struct coroutine *from = transfer.data;
    from->context = transfer.context;
    if (__builtin_expect(has_asan, false)) {
        const void *stack;
        size_t size;
        __sanitizer_finish_switch_fiber(self->fake_stack, &stack, &size);
        if (!from->stack) {
            from->stack = stack; /* the thread's own, learnt at its first switch */
            from->stack_size = size;
        }
    }
}

static void enter(struct coroutine_transfer transfer)
{
    struct coroutine *from = transfer.data;
    struct coroutine *self = from->peer;
    arrive(self, transfer);
    self->entry(self->arg);
    __builtin_trap();
}

void coroutine_init(struct coroutine *self, void *stack, size_t size, void (*entry)(void *arg), void *arg)
{
    memset(self->cxx, 0, sizeof(self->cxx));
    self->context = make_fcontext((char *)stack + size, size, enter);
    self->entry = entry;
    self->arg = arg;
    self->stack = stack;
    self->stack_size = size;
    self->fake_stack = NULL;
    self->fiber = has_tsan ? __tsan_create_fiber(0) : NULL;
}

void coroutine_release(struct coroutine *self)
{
    if (self->fiber && __tsan_destroy_fiber) {
        __tsan_destroy_fiber(self->fiber);
        self->fiber = NULL;
    }
}

void coroutine_switch_observed(struct coroutine *from, struct coroutine *to)
{
    tell_departure(from, to, false);
    from->peer = to;
    arrive(from, coroutine_jump(to->context, from));
}

bool coroutine_can_rest(void)
{
    return !has_asan && !has_tsan;
}

void coroutine_rest(struct coroutine *from, struct coroutine *to)
{
    if (__builtin_expect(coroutine_observed, false)) {
        tell_departure(from, to, !coroutine_can_rest());
        memset(from->cxx, 0, sizeof(from->cxx));
    }
    from->peer = to;
    arrive(from, coroutine_jump(to->context, from));
}
