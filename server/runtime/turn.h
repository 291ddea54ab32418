/* runtime/turn.h: tasks that wait in line for something; what is given goes to the first of them directly. A line that
 * is all zeros is empty. Everything is [loop]; turn_wait is [task]. */
#pragma once

#include "runtime/internal.h"

struct turn {
    struct list node;
    struct task *task;
    void *item; /* what is handed over, either way */
    int code;   /* what the wait returns once served */
    bool served;
};

static inline bool line_empty(const struct list *line)
{
    return !line->next || list_empty(line);
}

/* Waits until served. 0 or turn->code; or CASGI_ECANCELED, CASGI_ETIMEDOUT: not served, out of the line. */
int turn_wait(struct list *line, struct turn *turn, struct task *self, enum task_wait why);

/* Takes the first out of the line and lets it go on; NULL: nobody waits. The turn stays valid until its task runs. */
struct turn *turn_serve(struct list *line, int code);
