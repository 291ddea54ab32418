#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t size; /* of the whole block; ARENA_BLOCK_SIZE: it goes back to the pool */
};

enum { ALIGNMENT = _Alignof(max_align_t), POOL_KEEP = 256 };

#define BLOCK_ROOM (ARENA_BLOCK_SIZE - sizeof(struct arena_block))

_Static_assert(sizeof(struct arena_block) % ALIGNMENT == 0, "what follows the header is aligned");

static char *block_data(struct arena_block *block)
{
    return (char *)(block + 1);
}

static struct arena_block *block_new(size_t size)
{
    struct arena_block *block = malloc(size);
    if (block) {
        block->size = size;
    }
    return block;
}

static struct arena_block *block_take(struct arena_pool *pool)
{
    struct arena_block *block = pool->free;
    if (!block) {
        return block_new(ARENA_BLOCK_SIZE);
    }
    pool->free = block->next;
    pool->count--;
    return block;
}

/* Gives back one block: to the pool while there is room, else to malloc. */
static void block_give(struct arena_pool *pool, struct arena_block *block)
{
    size_t keep = pool->keep ? pool->keep : POOL_KEEP;
    if (block->size != ARENA_BLOCK_SIZE || pool->count >= keep) {
        memory_unpoison(block_data(block), block->size - sizeof(*block));
        free(block);
        return;
    }
    memory_poison(block_data(block), BLOCK_ROOM);
    block->next = pool->free;
    pool->free = block;
    pool->count++;
}

/* A piece too large for a pooled block. It stands behind the newest block, which goes on being filled. */
static void *alloc_large(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - sizeof(struct arena_block)) {
        return NULL;
    }
    struct arena_block *block = block_new(size + sizeof(struct arena_block));
    if (!block) {
        return NULL;
    }
    struct arena_block **link = arena->blocks ? &arena->blocks->next : &arena->blocks;
    block->next = *link;
    *link = block;
    return block_data(block);
}

void *arena_alloc_slow(struct arena *arena, size_t size)
{
    if (size > BLOCK_ROOM) {
        return alloc_large(arena, size);
    }
    struct arena_block *block = block_take(arena->pool);
    if (!block) {
        return NULL;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    char *data = block_data(block);
    arena->next = data + size;
    arena->end = data + BLOCK_ROOM;
    memory_poison(arena->next, BLOCK_ROOM - size);
    memory_unpoison(data, size);
    return data;
}

void arena_init(struct arena *arena, struct arena_pool *pool)
{
    *arena = (struct arena){ .pool = pool };
}

void arena_init_with(struct arena *arena, struct arena_pool *pool, void *first, size_t size)
{
    *arena = (struct arena){ .pool = pool, .next = first, .end = (char *)first + size };
    memory_poison(first, size);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block) {
        struct arena_block *next = block->next;
        block_give(arena->pool, block);
        block = next;
    }
    arena_init(arena, arena->pool);
}

casgi_str_t arena_copy(struct arena *arena, casgi_str_t text)
{
    char *copy = text.len < SIZE_MAX ? arena_alloc_at(arena, arena->next, text.len + 1) : NULL;
    if (!copy) {
        return (casgi_str_t){ NULL, 0 };
    }
    if (text.len) {
        memcpy(copy, text.ptr, text.len);
    }
    copy[text.len] = '\0';
    return (casgi_str_t){ copy, text.len };
}

void arena_pool_release(struct arena_pool *pool)
{
    while (pool->free) {
        struct arena_block *block = pool->free;
        pool->free = block->next;
        memory_unpoison(block_data(block), BLOCK_ROOM);
        free(block);
    }
    pool->count = 0;
}
