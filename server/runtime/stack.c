#include "runtime/stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_DEFINED(from, size) ((void)(from), (void)(size))
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

#define WEAK __attribute__((weak))
WEAK void __asan_unpoison_memory_region(const volatile void *from, size_t size);
WEAK void __lsan_register_root_region(const void *from, size_t size);
WEAK void __lsan_unregister_root_region(const void *from, size_t size);

#define REGION_MAX (256u * 1024u * 1024u) /* of address space */
#define REGION_FIRST_SLOTS 16u
#define COLOURS 16u
#define COLOUR_STEP 64u
#define LINE_SIZE (8u * sizeof(uintptr_t))

/* What is to be known of a stack whose header is gone with its memory. */
struct stack_cold {
    struct stack *at;
    char *low;
    uint32_t valgrind_id;
    uint8_t guard;
};

struct stack_region {
    struct stack_region *next;
    char *base;
    size_t slots;
    size_t carved;
};

static size_t slot_size(const struct stack_pool *pool)
{
    return pool->size + STACK_GUARD_SIZE;
}

void stack_pool_init(struct stack_pool *pool, size_t size, size_t owner_size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = size < STACK_SIZE_MIN ? STACK_SIZE_MIN : size;
    *pool = (struct stack_pool){
        .size = (size + page - 1) / page * page,
        .owner_size = (owner_size + 15) & ~(size_t)15,
    };
    pool->on_valgrind = RUNNING_ON_VALGRIND;
    /* LeakSanitizer reads every mapping that looks readable; a marker does not show. */
    pool->guard = __lsan_register_root_region ? STACK_GUARD_PROTECT : STACK_GUARD_NONE;
    list_init(&pool->free);
}

static size_t next_region_slots(const struct stack_pool *pool)
{
    size_t most = REGION_MAX / slot_size(pool);
    size_t wanted = pool->regions ? pool->regions->slots * 2 : REGION_FIRST_SLOTS;
    size_t slots = wanted < most ? wanted : most;
    return slots ? slots : 1;
}

/* NORESERVE: address space without a promise of memory. NOHUGEPAGE: else each parked stack held a huge page. */
static char *map_region(size_t size)
{
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(base, size, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses: fine */
    if (__lsan_register_root_region) {
        __lsan_register_root_region(base, size);
    }
    return base;
}

static struct stack_region *region_new(struct stack_pool *pool)
{
    struct stack_region *region = malloc(sizeof(*region));
    if (!region) {
        return NULL;
    }
    *region = (struct stack_region){ .next = pool->regions, .slots = next_region_slots(pool) };
    region->base = map_region(region->slots * slot_size(pool));
    if (!region->base && region->slots > 1) {
        region->slots = 1; /* address space is short: take what is needed */
        region->base = map_region(slot_size(pool));
    }
    if (!region->base) {
        free(region);
        return NULL;
    }
    pool->regions = region;
    return region;
}

/* Half of what the kernel allows stays for the rest of the process. */
static size_t read_protect_budget(void)
{
    unsigned long most = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    if (file) {
        if (fscanf(file, "%lu", &most) != 1) {
            most = 65530;
        }
        (void)fclose(file);
    }
    return most / 4; /* two mappings each, half of the limit */
}

static _Atomic size_t protected_total; /* of the process: its loops share the kernel's limit */

static bool protect(struct stack_pool *pool, char *guard)
{
    if (!pool->protect_budget) {
        pool->protect_budget = read_protect_budget();
    }
    if (protected_total >= pool->protect_budget || mprotect(guard, STACK_GUARD_SIZE, PROT_NONE)) {
        return false;
    }
    protected_total++;
    pool->protected ++;
    return true;
}

static enum stack_guard install_guard(struct stack_pool *pool, char *guard)
{
    if (pool->guard <= STACK_GUARD_MARKER) {
        if (!madvise(guard, STACK_GUARD_SIZE, MADV_GUARD_INSTALL)) {
            return STACK_GUARD_MARKER;
        }
        pool->guard = STACK_GUARD_PROTECT;
    }
    if (pool->guard == STACK_GUARD_PROTECT) {
        if (protect(pool, guard)) {
            return STACK_GUARD_PROTECT;
        }
        pool->guard = STACK_GUARD_CANARY;
    }
    return STACK_GUARD_CANARY;
}

static struct stack *carve(struct stack_pool *pool)
{
    struct stack_region *region = pool->regions;
    if (!region || region->carved == region->slots) {
        region = region_new(pool);
        if (!region) {
            return NULL;
        }
    }
    size_t index = region->carved++;
    char *guard = region->base + index * slot_size(pool);
    char *low = guard + STACK_GUARD_SIZE;
    size_t colour = index % COLOURS * COLOUR_STEP;
    struct stack *stack = (struct stack *)(void *)(low + pool->size - colour - COLOUR_STEP);
    _Static_assert(sizeof(struct stack) <= COLOUR_STEP, "the header takes one step");
    *stack = (struct stack){
        .pool = pool,
        .low = low,
        .guard = (uint8_t)install_guard(pool, guard),
        .valgrind_id = (uint32_t)VALGRIND_STACK_REGISTER(low, low + pool->size),
    };
    return stack;
}

static struct stack *warm_up(struct stack_pool *pool)
{
    const struct stack_cold *cold = &pool->cold[--pool->cold_count];
    *cold->at =
        (struct stack){ .pool = pool, .low = cold->low, .valgrind_id = cold->valgrind_id, .guard = cold->guard };
    return cold->at;
}

static struct stack *take_free(struct stack_pool *pool)
{
    struct stack *stack = LIST_ENTRY(list_pop(&pool->free), struct stack, node);
    pool->free_count--;
    if (pool->free_count < pool->least_free) {
        pool->least_free = pool->free_count;
    }
    return stack;
}

struct stack *stack_get(struct stack_pool *pool)
{
    struct stack *stack;
    if (pool->free_count) {
        stack = take_free(pool);
    } else if (pool->cold_count) {
        stack = warm_up(pool);
    } else {
        return carve(pool);
    }
    if (__asan_unpoison_memory_region) {
        /* The last frames on it were left, not returned from. */
        __asan_unpoison_memory_region(stack->low, (size_t)((char *)stack - stack->low));
    }
    return stack;
}

void stack_put(struct stack *stack)
{
    struct stack_pool *pool = stack->pool;
    stack->used = true;
    list_append(pool->free.next, &stack->node); /* before the first */
    pool->free_count++;
}

static bool room_for_cold(struct stack_pool *pool)
{
    if (pool->cold_count < pool->cold_capacity) {
        return true;
    }
    size_t capacity = pool->cold_capacity ? pool->cold_capacity * 2 : 64;
    struct stack_cold *cold = realloc(pool->cold, capacity * sizeof(*cold));
    if (!cold) {
        return false;
    }
    pool->cold = cold;
    pool->cold_capacity = capacity;
    return true;
}

/* The one that has been free for longest. */
static void cool_last(struct stack_pool *pool)
{
    struct stack *stack = LIST_ENTRY(pool->free.prev, struct stack, node);
    list_remove(&stack->node);
    pool->free_count--;
    pool->cold[pool->cold_count++] = (struct stack_cold){ stack, stack->low, stack->valgrind_id, stack->guard };
    (void)madvise(stack->low, pool->size, MADV_DONTNEED);
}

void stack_pool_cool(struct stack_pool *pool, size_t keep, size_t most)
{
    size_t idle = pool->least_free;
    for (; idle > keep && most && room_for_cold(pool); idle--, most--) {
        cool_last(pool);
    }
    pool->least_free = pool->free_count;
}

/* One line of the cache; written out, as it stands on the path of every task. */
static inline bool all_zero(const char *line)
{
    const uintptr_t *w = (const uintptr_t *)(const void *)line;
    return (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]) == 0;
}

/* Memory that was never touched, or was given back, reads as zeros. */
__attribute__((no_sanitize("address"))) void stack_trim(struct stack *stack)
{
    char *mark = stack->low + stack->pool->size - STACK_WATERMARK;
    if (mark <= stack->low) {
        return;
    }
    if (stack->pool->on_valgrind) {
        VALGRIND_MAKE_MEM_DEFINED(mark, LINE_SIZE); /* it takes what frames left for gone */
    }
    /* A deep frame can skip the watermark's line: every 256th time the pages go unasked. */
    if (++stack->puts && all_zero(mark)) {
        return;
    }
    (void)madvise(stack->low, (size_t)(mark - stack->low) + LINE_SIZE, MADV_DONTNEED);
}

bool stack_canary_dead(const struct stack *stack)
{
    for (size_t at = 256; at <= STACK_GUARD_SIZE / 4; at *= 2) {
        if (!all_zero(stack->low - at)) {
            return true;
        }
    }
    return !all_zero(stack->low - LINE_SIZE);
}

void stack_pool_release(struct stack_pool *pool)
{
    while (pool->free_count) {
        VALGRIND_STACK_DEREGISTER(take_free(pool)->valgrind_id);
    }
    while (pool->cold_count) {
        VALGRIND_STACK_DEREGISTER(pool->cold[--pool->cold_count].valgrind_id);
    }
    free(pool->cold);
    pool->cold = NULL;
    pool->cold_capacity = 0;
    while (pool->regions) {
        struct stack_region *region = pool->regions;
        size_t size = region->slots * slot_size(pool);
        pool->regions = region->next;
        if (__lsan_unregister_root_region) {
            __lsan_unregister_root_region(region->base, size);
        }
        if (__asan_unpoison_memory_region) {
            __asan_unpoison_memory_region(region->base, size);
        }
        (void)munmap(region->base, size);
        free(region);
    }
    protected_total -= pool->protected;
    pool->protected = 0;
}
