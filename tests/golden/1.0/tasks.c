/* Golden module: every call of "casgi.tasks/1" that 1.0 began with. Answers "ok", or the number of the step that
 * failed. */
#include <casgi/casgi.h>

#include <stdio.h>

struct notes {
    int deferred;
    int freed;
};

static struct notes notes;

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

static int sleeper(void *arg)
{
    (void)arg;
    return casgi_sleep(3600000);
}

static int waker(void *arg)
{
    return casgi_waiter_wake(arg);
}

static void on_defer(void *arg)
{
    ((struct notes *)arg)->deferred++;
}

static void on_free(void *arg)
{
    ((struct notes *)arg)->freed++;
}

static int background(void *arg)
{
    (void)arg;
    return 0;
}

static bool step_join(void)
{
    casgi_task_t *task = NULL;
    int result = 0;
    return casgi_create_task(seven, NULL, "seven", &task) == 0 && casgi_join(task, &result) == 0 && result == 7;
}

static bool step_cancel(void)
{
    casgi_task_t *task = NULL;
    int result = 0;
    return casgi_create_task(sleeper, NULL, NULL, &task) == 0 && casgi_yield() == 0 && casgi_cancel(task) == 0 &&
           casgi_join(task, &result) == 0 && result == CASGI_ECANCELED;
}

static bool step_sleep(void)
{
    uint64_t began = casgi_now();
    return casgi_sleep(2) == 0 && casgi_now() >= began + 2000;
}

static bool step_deadline(void)
{
    casgi_deadline_t deadline;
    return casgi_deadline_begin(&deadline, 2) == 0 && casgi_sleep(3600000) == CASGI_ETIMEDOUT &&
           casgi_deadline_end(&deadline) == CASGI_ETIMEDOUT;
}

static bool step_shield(void)
{
    return casgi_shield_begin() == 0 && casgi_sleep(1) == 0 && casgi_shield_end() == 0 && casgi_uncancel() == 0;
}

static bool step_children(void)
{
    casgi_children_t children;
    casgi_task_t *task = NULL;
    bool good = casgi_children_begin(&children) == 0 && casgi_create_task(sleeper, NULL, "child", &task) == 0;
    casgi_release(task);
    return casgi_children_end(&children) == 0 && good;
}

static bool step_waiter(void)
{
    casgi_waiter_t *waiter = NULL;
    casgi_task_t *task = NULL;
    bool good = casgi_waiter_new(&waiter) == 0 && casgi_waiter_ref(waiter) == waiter &&
                casgi_create_task(waker, waiter, "waker", &task) == 0 && casgi_waiter_wait(waiter) == 0 &&
                casgi_join(task, NULL) == 0;
    casgi_waiter_unref(waiter);
    casgi_waiter_unref(waiter);
    return good;
}

static bool step_memory(void)
{
    char *memory = casgi_alloc(100000);
    if (!memory) {
        return false;
    }
    memory[99999] = 1;
    return casgi_defer(on_defer, &notes) == 0 && casgi_background(background, &notes, on_free, "background") == 0;
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    bool (*const steps[])(void) = { step_join,   step_cancel,   step_sleep,  step_deadline,
                                    step_shield, step_children, step_waiter, step_memory };
    char text[64];
    (void)self, (void)scope, (void)receive;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (!steps[i]()) {
            (void)snprintf(text, sizeof(text), "step %zu failed", i);
            return casgi_respond(send, 500, "text/plain", text);
        }
    }
    /* What the requests before deferred and gave away has been done since. */
    (void)snprintf(text, sizeof(text), "deferred %d, freed %d", notes.deferred, notes.freed);
    return casgi_respond(send, 200, "text/plain", text);
}
CASGI_APP(handle)
