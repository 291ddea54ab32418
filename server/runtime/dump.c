/* What tasks are doing, in words. */
#include "runtime/internal.h"

#include "base/log.h"

#include <stdio.h>

const char *task_wait_name(enum task_wait wait)
{
    static const char *const names[] = {
        [TASK_WAIT_NONE] = "nothing",  [TASK_WAIT_TIMER] = "timer",   [TASK_WAIT_RECEIVE] = "receive",
        [TASK_WAIT_SEND] = "send",     [TASK_WAIT_JOIN] = "task",     [TASK_WAIT_WAITER] = "waiter",
        [TASK_WAIT_TURN] = "its turn", [TASK_WAIT_SOCKET] = "socket", [TASK_WAIT_FILE] = "file",
        [TASK_WAIT_THREAD] = "thread", [TASK_WAIT_QUEUE] = "queue",   [TASK_WAIT_PROCESS] = "process",
        [TASK_WAIT_DNS] = "name",      [TASK_WAIT_LOCK] = "lock",
    };
    bool known = (size_t)wait < sizeof(names) / sizeof(*names) && names[wait];
    return known ? names[wait] : "something";
}

uint64_t task_waiting_since(const struct task *task)
{
    return task->since;
}

static int print_state(const struct task *task, char *out, size_t capacity)
{
    if (task->state != TASK_PARKED) {
        static const char *const names[] = { "is ready", "runs", "", "has ended" };
        return snprintf(out, capacity, "%s: %s", task->name, names[task->state]);
    }
    uint64_t now = loop_now(task->loop), since = task->since < now ? now - task->since : 0;
    return snprintf(out, capacity, "%s: waits for %s since %u.%03u s", task->name,
                    task_wait_name((enum task_wait)task->wait), (unsigned)(since / 1000000),
                    (unsigned)(since / 1000 % 1000));
}

size_t task_print(const struct task *task, char *out, size_t capacity)
{
    casgi_str_t what = task_describe(task);
    int length = print_state(task, out, capacity);
    size_t used = length < 0 ? 0 : (size_t)length < capacity ? (size_t)length : capacity - 1;
    if (what.ptr && used + 3 < capacity) {
        out[used++] = ',';
        out[used++] = ' ';
        used += log_escape(out + used, capacity - used, what);
    }
    return used;
}
