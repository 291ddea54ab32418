/* The lifespan's state: tables that are never changed once shared, so that a view costs a reference. */
#include "exchange/exchange.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    char *key; /* owned */
    void *value;
};

struct state_table {
    size_t refs; /* counted atomically: a blocking handler uses its view on a thread */
    size_t count;
    struct entry entries[];
};

struct state_base {
    struct state_view view; /* the lifespan's own */
};

static void table_unref(struct state_table *table)
{
    if (!table || __atomic_sub_fetch(&table->refs, 1, __ATOMIC_ACQ_REL)) {
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        free(table->entries[i].key);
    }
    free(table);
}

static size_t find(const struct state_table *table, const char *key)
{
    size_t count = table ? table->count : 0, i = 0;
    while (i < count && strcmp(table->entries[i].key, key) != 0) {
        i++;
    }
    return i;
}

/* A copy with room for one more. NULL: out of memory. */
static struct state_table *table_copy(const struct state_table *from)
{
    size_t count = from ? from->count : 0;
    struct state_table *table = calloc(1, sizeof(*table) + (count + 1) * sizeof(struct entry));
    if (!table) {
        return NULL;
    }
    table->refs = 1;
    for (size_t i = 0; i < count; i++) {
        table->entries[i] = (struct entry){ strdup(from->entries[i].key), from->entries[i].value };
        table->count++;
        if (!table->entries[i].key) {
            table_unref(table);
            return NULL;
        }
    }
    return table;
}

static void table_remove(struct state_table *table, size_t at)
{
    if (at < table->count) {
        free(table->entries[at].key);
        table->entries[at] = table->entries[--table->count];
    }
}

/* `table` has room for one more. */
static int table_put(struct state_table *table, const char *key, void *value)
{
    size_t at = find(table, key);
    if (!value) {
        table_remove(table, at);
        return 0;
    }
    if (at == table->count) {
        table->entries[at].key = strdup(key);
        if (!table->entries[at].key) {
            return CASGI_ENOMEM;
        }
        table->count++;
    }
    table->entries[at].value = value;
    return 0;
}

static void *view_get(casgi_state_t *self, const char *key)
{
    const struct state_view *view = (struct state_view *)self;
    size_t at = find(view->table, key);
    return view->table && at < view->table->count ? view->table->entries[at].value : NULL;
}

/* A changed copy takes the table's place. */
static int view_set(casgi_state_t *self, const char *key, void *value)
{
    struct state_view *view = (struct state_view *)self;
    struct state_table *changed = table_copy(view->table);
    if (!changed) {
        return CASGI_ENOMEM;
    }
    int rc = table_put(changed, key, value);
    if (rc) {
        table_unref(changed);
        return rc;
    }
    table_unref(view->table);
    view->table = changed;
    return 0;
}

static const casgi_state_t view_calls = { .get = view_get, .set = view_set };

struct state_base *state_base_new(void)
{
    struct state_base *base = calloc(1, sizeof(*base));
    if (base) {
        base->view.base = view_calls;
    }
    return base;
}

void state_base_free(struct state_base *base)
{
    if (base) {
        table_unref(base->view.table);
        free(base);
    }
}

casgi_state_t *state_base_view(struct state_base *base)
{
    return &base->view.base;
}

void state_view_init(struct state_view *view, struct state_base *base)
{
    view->base = view_calls;
    view->table = base->view.table;
    if (view->table) {
        (void)__atomic_add_fetch(&view->table->refs, 1, __ATOMIC_RELAXED);
    }
}

void state_view_release(struct state_view *view)
{
    table_unref(view->table);
    view->table = NULL;
}
