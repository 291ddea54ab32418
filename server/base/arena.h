/* base/arena.h: memory that is freed together: a request's life. Blocks come from a pool and go back to it, so that
 * after warm-up a request costs no malloc. Larger pieces than a block get a malloc of their own, freed at reset. */
#pragma once

#include "base/poison.h"
#include "casgi/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;

/* Blocks kept for reuse. One per loop; not thread-safe. Zeroed is a valid empty pool. */
struct arena_pool {
    struct arena_block *free;
    size_t count;
    size_t keep; /* at most this many are kept; 0: 256 */
};

struct arena {
    struct arena_pool *pool;
    struct arena_block *blocks; /* newest first */
    char *next;
    char *end;
};

#define ARENA_BLOCK_SIZE 4096 /* of one pooled block, its header included */

/* Holds nothing until the first allocation. */
void arena_init(struct arena *arena, struct arena_pool *pool);

/* As arena_init, but its first bytes are these, aligned for any type, which are the caller's and outlive it.
 * arena_reset forgets them: set it up again before it is used again. */
void arena_init_with(struct arena *arena, struct arena_pool *pool, void *first, size_t size);

/* Gives everything back to the pool; the arena can be used again. */
void arena_reset(struct arena *arena);

/* A piece that the newest block has no room for: in another one. */
void *arena_alloc_slow(struct arena *arena, size_t size);

/* `size` bytes at `at`, which lies in the newest block, or in the first bytes lent, or just behind. */
static inline void *arena_alloc_at(struct arena *arena, char *at, size_t size)
{
    if (__builtin_expect(!at || at > arena->end || size > (size_t)(arena->end - at), false)) {
        return arena_alloc_slow(arena, size);
    }
    arena->next = at + size;
    memory_unpoison(at, size);
    return at;
}

/* `size` bytes aligned for any type; not zeroed. NULL: out of memory. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
    const uintptr_t mask = _Alignof(max_align_t) - 1;
    return arena_alloc_at(arena, (char *)(((uintptr_t)arena->next + mask) & ~mask), size);
}

/* The bytes, copied and NUL-terminated. ptr NULL: out of memory. */
casgi_str_t arena_copy(struct arena *arena, casgi_str_t text);

/* Frees the kept blocks. */
void arena_pool_release(struct arena_pool *pool);
