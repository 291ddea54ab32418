/* Who is told of each run of a task. */
#include "runtime/internal.h"

void task_observe(struct loop *loop, struct task_observer *observer)
{
    observer->next = loop->observers;
    loop->observers = observer;
}

void task_unobserve(struct loop *loop, struct task_observer *observer)
{
    for (struct task_observer **at = &loop->observers; *at; at = &(*at)->next) {
        if (*at == observer) {
            *at = observer->next;
            return;
        }
    }
}

void observers_run(struct task *task)
{
    for (struct task_observer *observer = task->loop->observers; observer; observer = observer->next) {
        observer->on_run(observer, task);
    }
}

void observers_leave(struct task *task)
{
    for (struct task_observer *observer = task->loop->observers; observer; observer = observer->next) {
        observer->on_leave(observer, task);
    }
}

uint64_t task_serial(const struct task *task)
{
    return task->serial;
}

const struct task *task_parent(const struct task *task)
{
    return task->parent;
}

enum task_wait task_last_wait(const struct task *task)
{
    return (enum task_wait)task->wait;
}

casgi_str_t task_request_id(const struct task *task)
{
    casgi_str_t nothing = { NULL, 0 };
    return task->request_id ? task->request_id(task->owner) : nothing;
}

uint64_t *task_note(struct task *task)
{
    return &task->note;
}
