/* Values of a task. They form a list, newest first, which a child takes over as it is: the part it shares belongs to
 * the parent's arena, and the parent outlives it. While children live the list only grows at its head, so that what
 * they see does not change; else a value is set in its place. */
#include "runtime/internal.h"

static struct local *find(struct local *from, const struct local *end, const void *key)
{
    while (from != end && from->key != key) {
        from = from->next;
    }
    return from != end ? from : NULL;
}

int local_set(struct task *task, const void *key, void *value)
{
    struct local *local = list_empty(&task->children) ? find(task->locals, task->inherited, key) : NULL;
    if (local) {
        local->value = value;
        return 0;
    }
    local = arena_alloc(task->arena, sizeof(*local));
    if (!local) {
        return CASGI_ENOMEM;
    }
    *local = (struct local){ .next = task->locals, .key = key, .value = value };
    task->locals = local;
    return 0;
}

void *local_get(const struct task *task, const void *key)
{
    const struct local *local = find(task->locals, NULL /* to its end */, key);
    return local ? local->value : NULL;
}
