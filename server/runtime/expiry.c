/* Expiry lists. The tick is one timer for all lists. It is never later than any list's first item by more than that
 * list's coarseness: an item set later in the same list is due later, so only a list that was empty can need an
 * earlier tick, and an idle server sleeps until something is due. */
#include "runtime/internal.h"

#define COARSEST 250000u

static uint64_t coarseness(const struct expiry_list *list)
{
    uint64_t quarter = list->duration / 4;
    return quarter < COARSEST ? quarter : COARSEST;
}

static struct expiry *first(const struct expiry_list *list)
{
    return LIST_ENTRY(list->items.next, struct expiry, node);
}

static void tick_no_later_than(struct loop *loop, uint64_t due)
{
    if (loop->tick.index && loop->tick.due <= due) {
        return;
    }
    if (timer_set_at(loop, &loop->tick, due)) {
        loop->tick.index = 0; /* out of memory: the next expiry_set tries again */
    }
}

static void fire_due(struct expiry_list *list, uint64_t now)
{
    while (!list_empty(&list->items) && first(list)->due <= now) {
        struct expiry *item = first(list);
        list_remove(&item->node);
        list->fn(item);
    }
}

/* A callback may release lists, this one and others: the lists are taken one by one from a list of their own. */
static void on_tick(struct timer *timer)
{
    struct loop *loop = LIST_ENTRY(timer, struct loop, tick);
    uint64_t now = loop_now(loop);
    struct list todo;
    list_init(&todo);
    for (struct list *node; (node = list_pop(&loop->expiry_lists));) {
        list_append(&todo, node);
    }
    for (struct list *node; (node = list_pop(&todo));) {
        struct expiry_list *list = LIST_ENTRY(node, struct expiry_list, in_loop);
        list_append(&loop->expiry_lists, node);
        fire_due(list, now);
    }
    for (struct list *node = loop->expiry_lists.next, *next; node != &loop->expiry_lists; node = next) {
        struct expiry_list *list = LIST_ENTRY(node, struct expiry_list, in_loop);
        next = node->next;
        if (list_empty(&list->items)) {
            list_remove(node);
            continue;
        }
        uint64_t soonest = now + coarseness(list), due = first(list)->due;
        tick_no_later_than(loop, due > soonest ? due : soonest);
    }
}

void expiry_setup(struct loop *loop)
{
    list_init(&loop->expiry_lists);
    loop->tick.fn = on_tick;
}

void expiry_list_init(struct expiry_list *list, struct loop *loop, uint64_t duration, void (*fn)(struct expiry *item))
{
    list_init(&list->items);
    list_init(&list->in_loop);
    list->loop = loop;
    list->duration = duration;
    list->fn = fn;
}

void expiry_list_release(struct expiry_list *list)
{
    while (list_pop(&list->items)) {
    }
    list_remove(&list->in_loop);
}

void expiry_set(struct expiry_list *list, struct expiry *item)
{
    list_remove(&item->node);
    if (!list->duration) {
        return;
    }
    bool was_empty = list_empty(&list->items);
    item->due = loop_now(list->loop) + list->duration;
    list_append(&list->items, &item->node);
    if (was_empty || !list->loop->tick.index) {
        if (list_empty(&list->in_loop)) {
            list_append(&list->loop->expiry_lists, &list->in_loop);
        }
        tick_no_later_than(list->loop, item->due);
    }
}
