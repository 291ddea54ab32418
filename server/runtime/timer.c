#include "runtime/internal.h"

#include <stdlib.h>

#define ARITY 4u
#define FIRST_CAPACITY 64u
#define MOST_TIMERS (UINT32_MAX / 2)

static inline bool before(const struct timer_slot *a, const struct timer_slot *b)
{
    return a->due < b->due || (a->due == b->due && (int32_t)(a->order - b->order) < 0);
}

static inline void place(struct timer_heap *heap, uint32_t index, struct timer_slot slot)
{
    heap->slots[index] = slot;
    heap->entries[slot.entry].slot = index;
}

/* The children of i are 4i-2 .. 4i+1. */
static inline uint32_t parent_of(uint32_t index)
{
    return (index + ARITY - 2) / ARITY;
}

static void sift_up(struct timer_heap *heap, uint32_t index, struct timer_slot slot)
{
    while (index > 1 && before(&slot, &heap->slots[parent_of(index)])) {
        place(heap, index, heap->slots[parent_of(index)]);
        index = parent_of(index);
    }
    place(heap, index, slot);
}

static uint32_t least_child(const struct timer_heap *heap, uint32_t first)
{
    uint32_t end = first + ARITY <= heap->count + 1 ? first + ARITY : heap->count + 1;
    uint32_t least = first;
    for (uint32_t child = first + 1; child < end; child++) {
        if (before(&heap->slots[child], &heap->slots[least])) {
            least = child;
        }
    }
    return least;
}

static void sift_down(struct timer_heap *heap, uint32_t index, struct timer_slot slot)
{
    for (;;) {
        uint32_t first = index * ARITY - (ARITY - 2);
        if (first > heap->count) {
            break;
        }
        uint32_t least = least_child(heap, first);
        if (!before(&heap->slots[least], &slot)) {
            break;
        }
        place(heap, index, heap->slots[least]);
        index = least;
    }
    place(heap, index, slot);
}

static int grow(struct timer_heap *heap)
{
    uint32_t capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
    if (capacity > MOST_TIMERS) {
        return CASGI_ENOMEM;
    }
    struct timer_slot *slots = realloc(heap->slots, (capacity + 1u) * sizeof(*slots));
    if (!slots) {
        return CASGI_ENOMEM;
    }
    heap->slots = slots;
    struct timer_entry *entries = realloc(heap->entries, capacity * sizeof(*entries));
    if (!entries) {
        return CASGI_ENOMEM;
    }
    heap->entries = entries;
    for (uint32_t i = heap->capacity; i < capacity; i++) {
        entries[i].slot = i + 1 < capacity ? i + 2 : 0;
    }
    heap->free_entry = heap->capacity + 1;
    heap->capacity = capacity;
    return 0;
}

static void take_out(struct timer_heap *heap, uint32_t entry)
{
    uint32_t index = heap->entries[entry].slot;
    struct timer_slot last = heap->slots[heap->count--];
    if (last.entry == entry) {
        return;
    }
    if (index > 1 && before(&last, &heap->slots[parent_of(index)])) {
        sift_up(heap, index, last);
    } else {
        sift_down(heap, index, last);
    }
}

static int take_entry(struct timer_heap *heap, struct timer *timer)
{
    if (!heap->free_entry && grow(heap)) {
        return CASGI_ENOMEM;
    }
    uint32_t entry = heap->free_entry - 1;
    heap->free_entry = heap->entries[entry].slot;
    heap->entries[entry].timer = timer;
    timer->index = entry + 1;
    return 0;
}

static void give_entry_back(struct timer_heap *heap, struct timer *timer)
{
    uint32_t entry = (uint32_t)timer->index - 1;
    heap->entries[entry].slot = heap->free_entry;
    heap->free_entry = entry + 1;
    timer->index = 0;
}

int timer_set_at(struct loop *loop, struct timer *timer, uint64_t due)
{
    struct timer_heap *heap = &loop->timers;
    if (timer->index) {
        take_out(heap, (uint32_t)timer->index - 1);
    } else if (take_entry(heap, timer)) {
        return CASGI_ENOMEM;
    }
    struct timer_slot slot = { .due = due, .order = heap->order++, .entry = (uint32_t)timer->index - 1 };
    timer->due = due;
    heap->entries[slot.entry].batch = heap->batch;
    sift_up(heap, ++heap->count, slot);
    if (due < loop->alarm_due) {
        loop_set_alarm(loop);
    }
    return 0;
}

int timer_set(struct loop *loop, struct timer *timer, uint64_t microseconds)
{
    uint64_t now = loop_read_clock(loop);
    return timer_set_at(loop, timer, microseconds < UINT64_MAX / 2 ? now + microseconds : UINT64_MAX / 2);
}

/* The alarm is left as it is: one that rings for nothing costs less than setting it anew at each clear. */
void timer_clear(struct loop *loop, struct timer *timer)
{
    if (timer->index) {
        take_out(&loop->timers, (uint32_t)timer->index - 1);
        give_entry_back(&loop->timers, timer);
    }
}

uint64_t timers_first(const struct loop *loop)
{
    return loop->timers.count ? loop->timers.slots[1].due : UINT64_MAX;
}

/* One set meanwhile waits for the next batch, else a timer that sets itself to 0 would never let go. */
void timers_fire(struct loop *loop, uint64_t now)
{
    struct timer_heap *heap = &loop->timers;
    heap->batch++;
    while (heap->count && heap->slots[1].due <= now) {
        const struct timer_entry *entry = &heap->entries[heap->slots[1].entry];
        struct timer *timer = entry->timer;
        if (entry->batch == heap->batch) {
            break;
        }
        timer_clear(loop, timer);
        if (heap->count) { /* on another stack, likely not in the cache: let it come meanwhile */
            __builtin_prefetch(heap->entries[heap->slots[1].entry].timer, 1);
        }
        timer->fn(timer);
    }
}

void timers_release(struct loop *loop)
{
    free(loop->timers.slots);
    free(loop->timers.entries);
    loop->timers = (struct timer_heap){ 0 };
}
