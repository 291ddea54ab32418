/* base/list.h: an intrusive, circular, doubly linked list. A node is in at most one list; a node that is in none
 * points to itself (list_init) so that list_remove may be called at any time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

/* Puts `node` last. */
static inline void list_append(struct list *list, struct list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* Takes `node` out of the list it is in; it is for list_append only, from here on. */
static inline void list_unlink(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
}

/* Takes `node` out of the list it is in, if any. */
static inline void list_remove(struct list *node)
{
    list_unlink(node);
    list_init(node);
}

/* The first node, taken out; NULL if the list is empty. */
static inline struct list *list_pop(struct list *list)
{
    struct list *node = list->next;
    if (node == list) {
        return NULL;
    }
    list_remove(node);
    return node;
}
