/* runtime/stack.h: stacks for tasks. Each has a fixed room of address space, carved from large mappings that take
 * memory only where they are touched; below it a guard; at its top a header and room for its owner's struct, so that a
 * parked task costs about one page.
 *
 *   low address                                                           high address
 *   | guard | .................. stack, grows down <---- | owner's bytes | struct stack | colour |
 *
 * `colour` differs from stack to stack: tops that all lay at the same offset of a page would fight for the same lines
 * of the processor's cache. Everything is [loop]. */
#pragma once

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STACK_SIZE_DEFAULT (256u * 1024u)
#define STACK_SIZE_MIN (16u * 1024u)
#define STACK_GUARD_SIZE (16u * 1024u) /* costs address space only; a large frame does not jump over it */
#define STACK_WATERMARK (16u * 1024u)  /* a stack used deeper than this gives pages back when it returns */

enum stack_guard {
    STACK_GUARD_NONE,    /* not chosen yet */
    STACK_GUARD_MARKER,  /* MADV_GUARD_INSTALL: no mapping of its own */
    STACK_GUARD_PROTECT, /* mprotect: two mappings more per stack, as long as vm.max_map_count allows */
    STACK_GUARD_CANARY,  /* zeros that must still be zeros when the stack returns */
};

struct stack_region;
struct stack_cold;

struct stack {
    struct list node; /* in pool->free */
    struct stack_pool *pool;
    char *low; /* first usable byte; the guard ends here */
    uint32_t valgrind_id;
    uint8_t guard; /* enum stack_guard */
    uint8_t puts;  /* counts round */
    bool used;     /* the owner's bytes and the top of the stack are as they were left; false: new, or all zeros */
};

/* Stacks of one size. */
struct stack_pool {
    struct stack_pool *next; /* the loop's next size */
    struct list free;        /* last returned first */
    size_t free_count;
    size_t least_free;       /* since the last stack_pool_cool */
    struct stack_cold *cold; /* free, and without memory */
    size_t cold_count;
    size_t cold_capacity;
    struct stack_region *regions; /* newest first; the newest is carved */
    size_t size;                  /* usable bytes of one, owner and header included */
    size_t owner_size;
    bool on_valgrind;
    enum stack_guard guard; /* the best kind that works here; forced by tests */
    size_t protected;       /* guards of the PROTECT kind */
    size_t protect_budget;  /* how many the process may have; 0: not read yet */
};

/* `owner_size`: bytes for the owner at the top of each. */
void stack_pool_init(struct stack_pool *pool, size_t size, size_t owner_size);

/* Unmaps everything; every stack must have been put back. */
void stack_pool_release(struct stack_pool *pool);

/* Gives back the memory of at most `most` stacks that have not been needed since the last call, but of `keep`. */
void stack_pool_cool(struct stack_pool *pool, size_t keep, size_t most);

/* A stack, not zeroed. NULL: out of memory or address space. */
struct stack *stack_get(struct stack_pool *pool);

/* Gives it back. The owner's bytes stay readable until the next stack_get. */
void stack_put(struct stack *stack);

/* Frees the pages below the watermark if it was used deeper. */
void stack_trim(struct stack *stack);

/* Whether a stack guarded by a canary has run over it. */
bool stack_canary_dead(const struct stack *stack);
static inline bool stack_overrun(const struct stack *stack)
{
    return stack->guard == STACK_GUARD_CANARY && stack_canary_dead(stack);
}

/* The owner's bytes; the stack proper ends where they begin. */
static inline void *stack_owner(struct stack *stack)
{
    return (char *)stack - stack->pool->owner_size;
}

static inline size_t stack_usable(struct stack *stack)
{
    return (size_t)((char *)stack_owner(stack) - stack->low);
}

/* [any], async-signal-safe: whether `address` lies in its guard. */
static inline bool stack_guards(const struct stack *stack, const void *address)
{
    const char *at = address;
    return at < stack->low && at >= stack->low - STACK_GUARD_SIZE;
}
