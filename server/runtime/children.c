/* Children and what is deferred. A task's children hang in one list, each with the depth of the scope it was created
 * in: nothing of a scope lives in the author's frames, so that a scope which was never ended does no harm. */
#include "runtime/internal.h"

void children_adopt(struct task *parent, struct task *child)
{
    child->parent = parent;
    child->at_depth = parent->depth;
    child->locals = child->inherited = parent->locals;
    list_append(&parent->children, &child->sibling);
}

void children_ended(struct task *child)
{
    struct task *parent = child->parent;
    list_remove(&child->sibling);
    if (parent->waited && child->at_depth >= parent->waited_depth && --parent->waited == 0) {
        task_wake(parent);
    }
}

/* A cancellation runs nothing at once: the list stays as it is. */
static uint32_t cancel_from(struct task *task, uint32_t depth)
{
    uint32_t count = 0;
    for (struct list *node = task->children.next; node != &task->children; node = node->next) {
        struct task *child = LIST_ENTRY(node, struct task, sibling);
        if (child->at_depth >= depth) {
            task_cancel(child, CASGI_ECANCELED);
            count++;
        }
    }
    return count;
}

void children_finish(struct task *task, uint32_t depth)
{
    task->waited_depth = depth;
    task->waited = cancel_from(task, depth);
    while (task->waited) {
        task_park_uncancelable(TASK_WAIT_JOIN);
    }
}

void scope_begin(struct task *task, struct scope *scope)
{
    scope->task = task;
    scope->depth = ++task->depth;
    scope->cutoffs = task->cutoffs;
    scope->groups = task->groups;
    scope->mask = task->mask;
}

/* What an application forgot to end (deadlines, shields, scopes of its own) ends here too: its caller gets the task
 * back as it lent it. */
int scope_end(struct task *task, struct scope *scope)
{
    if (scope->task != task || !scope->depth || scope->depth > task->depth) {
        return CASGI_EINVAL;
    }
    groups_end(task, scope->groups);
    cutoffs_end(task, scope->cutoffs);
    mask_restore(task, scope->mask);
    children_finish(task, scope->depth);
    task->depth = scope->depth - 1;
    scope->task = NULL;
    return 0;
}

int defer(struct task *task, void (*fn)(void *arg), void *arg)
{
    struct deferred *deferred = arena_alloc(task->arena, sizeof(*deferred));
    if (!deferred) {
        return CASGI_ENOMEM;
    }
    *deferred = (struct deferred){ .next = task->deferred, .fn = fn, .arg = arg };
    task->deferred = deferred;
    return 0;
}

/* Shielded, and bounded from the start: a clean-up that hangs must not hold the task for ever. */
void deferred_run(struct task *task)
{
    mask_begin(task);
    cleanup_begin(task);
    while (task->deferred) {
        struct deferred *deferred = task->deferred;
        task->deferred = deferred->next;
        deferred->fn(deferred->arg);
    }
    if (task->free_arg) {
        task->free_arg(task->arg);
    }
    mask_restore(task, 0);
}
