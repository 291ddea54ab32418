/* Groups and gather. A group belongs to the task that began it; its members are that task's children, whoever created
 * them. A failure aborts the group: its members are cancelled, and the stretch of its owner's calls is cut off. */
#include "runtime/internal.h"

#include "casgi/group.h"

#include <stdlib.h>

static struct group *take_spare(struct loop *loop)
{
    struct group *group = loop->spare_groups;
    if (!group) {
        return malloc(sizeof(*group));
    }
    loop->spare_groups = group->outer;
    return group;
}

static void give_back(struct loop *loop, struct group *group)
{
    group->serial = 0;
    group->outer = loop->spare_groups;
    loop->spare_groups = group;
}

int group_begin(struct task *task, uint32_t flags, struct group **out_group)
{
    struct cutoff *cutoff;
    struct group *group = take_spare(task->loop);
    if (!group) {
        return CASGI_ENOMEM;
    }
    int rc = cutoff_begin(task, &cutoff);
    if (rc) {
        give_back(task->loop, group);
        return rc;
    }
    *group = (struct group){
        .task = task,
        .cutoff = cutoff,
        .serial = ++task->loop->serial,
        .depth = task->depth,
        .flags = flags,
        .outer = task->groups,
    };
    cutoff->group = group;
    task->groups = group;
    *out_group = group;
    return 0;
}

/* While the owner joins everything at this depth, a member could only come too late. */
static bool takes_members(const struct group *group)
{
    const struct task *owner = group->task;
    return !group->aborting && !(owner->waited && group->depth >= owner->waited_depth);
}

int group_create(struct group *group, int (*fn)(void *arg), void *arg, const char *name, struct task **out_task)
{
    struct task *owner = group->task;
    struct task_options options = {
        .name = name ? name : owner->name,
        .describe = owner->describe,
        .request_id = owner->request_id,
        .owner = owner->owner,
        .parent = owner,
    };
    if (!takes_members(group)) {
        return CASGI_ECANCELED;
    }
    int rc = task_spawn(owner->loop, fn, arg, &options, out_task);
    if (rc) {
        return rc;
    }
    (*out_task)->group = group;
    (*out_task)->at_depth = group->depth;
    group->running++;
    return 0;
}

void group_abort(struct group *group)
{
    struct task *owner = group->task;
    group->aborting = true;
    for (struct list *node = owner->children.next; node != &owner->children; node = node->next) {
        struct task *child = LIST_ENTRY(node, struct task, sibling);
        if (child->group == group) {
            task_cancel(child, CASGI_ECANCELED);
        }
    }
    if (group->cutoff) {
        cutoff_fire(group->cutoff, CASGI_ECANCELED);
    }
}

static bool is_failure(const struct group *group, int result)
{
    return result < 0 && (result != CASGI_ECANCELED || group->flags & GROUP_STRICT);
}

void group_child_ended(struct task *child)
{
    struct group *group = child->group;
    group->running--;
    if (child->out_result) {
        *child->out_result = child->result;
    }
    if (!group->aborting && !(group->flags & GROUP_KEEPS_GOING) && is_failure(group, child->result)) {
        group->failure = child->result;
        group_abort(group);
    }
    if (group->waiting && !group->running) {
        task_wake(group->task);
    }
}

/* The owner's own calls are not cut off any more: its wait here ends by a cancellation from outside only. */
static void end_cutoff(struct group *group)
{
    if (group->cutoff) {
        (void)deadline_end(group->task, group->cutoff);
    }
}

static int end_innermost(struct group *group, bool abort)
{
    struct task *task = group->task;
    int rc = 0;
    end_cutoff(group);
    group->waiting = true;
    while (group->running && !rc && !abort) {
        rc = task_park(TASK_WAIT_JOIN);
    }
    if (group->running && !group->aborting) {
        group_abort(group); /* once: a member that refused is not asked again */
    }
    while (group->running) {
        task_park_uncancelable(TASK_WAIT_JOIN);
    }
    int failure = group->failure;
    task->groups = group->outer;
    give_back(task->loop, group);
    return failure ? failure : rc;
}

void groups_end(struct task *task, const struct group *outer)
{
    while (task->groups && task->groups != outer) {
        (void)end_innermost(task->groups, true);
    }
}

int group_end(struct group *group)
{
    groups_end(group->task, group);
    return end_innermost(group, false);
}

void groups_release(struct loop *loop)
{
    while (loop->spare_groups) {
        struct group *group = loop->spare_groups;
        loop->spare_groups = group->outer;
        free(group);
    }
}

/* ---- gather ---- */

/* Starts them all, or as many as can be. */
static int start_works(struct group *group, casgi_work_t *works, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        struct task *task;
        if (!rc) {
            rc = group_create(group, works[i].fn, works[i].arg, works[i].name, &task);
        }
        works[i].result = rc;
        if (!rc) {
            task->out_result = &works[i].result;
        }
    }
    return rc;
}

static void refuse_works(casgi_work_t *works, size_t count, int rc)
{
    for (size_t i = 0; i < count; i++) {
        works[i].result = rc;
    }
}

int task_gather(struct task *self, casgi_work_t *works, size_t count, uint32_t flags)
{
    struct group *group;
    int rc = task_enter(self);
    rc = rc ? rc : group_begin(self, flags & CASGI_GATHER_ALL ? GROUP_KEEPS_GOING : GROUP_STRICT, &group);
    if (rc) {
        refuse_works(works, count, rc);
        return rc;
    }
    rc = start_works(group, works, count);
    if (rc) {
        group_abort(group);
    }
    int end_rc = group_end(group);
    return rc ? rc : end_rc;
}
