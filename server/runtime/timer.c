#include "runtime/internal.h"

#include <stdlib.h>

#define ARITY 4u
#define FIRST_CAPACITY 64u

static inline bool before(const struct timer_slot *a, const struct timer_slot *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static inline void place(struct timer_heap *heap, size_t index, struct timer_slot slot)
{
    heap->slots[index] = slot;
    slot.timer->index = index;
}

/* The children of i are 4i-2 .. 4i+1, the root being 1. */
static void sift_up(struct timer_heap *heap, size_t index, struct timer_slot slot)
{
    while (index > 1) {
        size_t parent = (index + ARITY - 2) / ARITY;
        if (!before(&slot, &heap->slots[parent])) {
            break;
        }
        place(heap, index, heap->slots[parent]);
        index = parent;
    }
    place(heap, index, slot);
}

static size_t least_child(const struct timer_heap *heap, size_t first)
{
    size_t end = first + ARITY <= heap->count + 1 ? first + ARITY : heap->count + 1;
    size_t least = first;
    for (size_t child = first + 1; child < end; child++) {
        if (before(&heap->slots[child], &heap->slots[least])) {
            least = child;
        }
    }
    return least;
}

static void sift_down(struct timer_heap *heap, size_t index, struct timer_slot slot)
{
    for (;;) {
        size_t first = index * ARITY - (ARITY - 2);
        if (first > heap->count) {
            break;
        }
        size_t least = least_child(heap, first);
        if (!before(&heap->slots[least], &slot)) {
            break;
        }
        place(heap, index, heap->slots[least]);
        index = least;
    }
    place(heap, index, slot);
}

static int make_room(struct timer_heap *heap)
{
    if (heap->count + 1 < heap->capacity) {
        return 0;
    }
    size_t capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
    struct timer_slot *slots = realloc(heap->slots, capacity * sizeof(*slots));
    if (!slots) {
        return CASGI_ENOMEM;
    }
    heap->slots = slots;
    heap->capacity = capacity;
    return 0;
}

static void take_out(struct timer_heap *heap, struct timer *timer)
{
    size_t index = timer->index;
    struct timer_slot last = heap->slots[heap->count--];
    timer->index = 0;
    if (last.timer == timer) {
        return;
    }
    if (index > 1 && before(&last, &heap->slots[(index + ARITY - 2) / ARITY])) {
        sift_up(heap, index, last);
    } else {
        sift_down(heap, index, last);
    }
}

int timer_set_at(struct loop *loop, struct timer *timer, uint64_t due)
{
    struct timer_heap *heap = &loop->timers;
    if (timer->index) {
        take_out(heap, timer);
    } else if (make_room(heap)) {
        return CASGI_ENOMEM;
    }
    struct timer_slot slot = { .due = due, .order = heap->order++, .timer = timer };
    timer->due = due;
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
        take_out(&loop->timers, timer);
    }
}

uint64_t timers_first(const struct loop *loop)
{
    return loop->timers.count ? loop->timers.slots[1].due : UINT64_MAX;
}

void timers_fire(struct loop *loop, uint64_t now)
{
    struct timer_heap *heap = &loop->timers;
    uint64_t order = heap->order;
    while (heap->count && heap->slots[1].due <= now && heap->slots[1].order < order) {
        struct timer *timer = heap->slots[1].timer;
        take_out(heap, timer);
        timer->fn(timer);
    }
}

void timers_release(struct loop *loop)
{
    free(loop->timers.slots);
    loop->timers = (struct timer_heap){ 0 };
}
