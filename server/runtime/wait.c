/* Waiting for several tasks at once. */
#include "runtime/internal.h"

#include "casgi/group.h"

#include <stdlib.h>

#define WATCHES_HERE 16u /* more need a malloc */

/* What one casgi_wait waits for. */
struct wait {
    struct task *self;
    uint32_t flags;
    size_t left;
    bool over;
};

struct wait_watch {
    struct task_watch watch;
    struct wait *wait;
};

static void note_end(struct wait *wait, const struct task *task)
{
    wait->left--;
    wait->over = wait->over || wait->left == 0 || wait->flags & CASGI_WAIT_FIRST ||
                 (wait->flags & CASGI_WAIT_FIRST_FAILURE && task->result < 0);
}

static void on_ended(struct task_watch *watch, struct task *task)
{
    struct wait *wait = LIST_ENTRY(watch, struct wait_watch, watch)->wait;
    note_end(wait, task);
    if (wait->over) {
        task_wake(wait->self);
    }
}

static size_t count_present(struct task *const *tasks, size_t count)
{
    size_t present = 0;
    for (size_t i = 0; i < count; i++) {
        present += tasks[i] != NULL;
    }
    return present;
}

static void watch_all(struct wait *wait, struct wait_watch *watches, struct task *const *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        watches[i].wait = wait;
        list_init(&watches[i].watch.node);
        if (tasks[i] && tasks[i]->state == TASK_ENDED) {
            note_end(wait, tasks[i]);
        } else if (tasks[i]) {
            task_watch(tasks[i], &watches[i].watch, on_ended);
        }
    }
}

static int wait_until_over(struct wait *wait, struct wait_watch *watches, size_t count)
{
    int rc = 0;
    while (!wait->over && !rc) {
        rc = task_park(TASK_WAIT_JOIN);
    }
    for (size_t i = 0; i < count; i++) {
        list_remove(&watches[i].watch.node);
    }
    return wait->over ? 0 : rc;
}

static size_t find_ended(struct task *const *tasks, size_t count, uint32_t flags)
{
    for (size_t i = 0; i < count; i++) {
        bool ended = tasks[i] && tasks[i]->state == TASK_ENDED;
        if (ended && (!(flags & CASGI_WAIT_FIRST_FAILURE) || tasks[i]->result < 0)) {
            return i;
        }
    }
    return count;
}

int task_wait_many(struct task *self, struct task *const *tasks, size_t count, uint32_t flags, size_t *out_index)
{
    struct wait_watch here[WATCHES_HERE], *watches = here;
    struct wait wait = { .self = self, .flags = flags, .left = count_present(tasks, count) };
    if (!wait.left) {
        return CASGI_EINVAL;
    }
    int rc = task_enter(self);
    if (rc) {
        return rc;
    }
    if (count > WATCHES_HERE) {
        watches = malloc(count * sizeof(*watches));
        if (!watches) {
            return CASGI_ENOMEM;
        }
    }
    watch_all(&wait, watches, tasks, count);
    rc = wait_until_over(&wait, watches, count);
    if (!rc && out_index) {
        *out_index = find_ended(tasks, count, flags);
    }
    if (watches != here) {
        free(watches);
    }
    return rc;
}
