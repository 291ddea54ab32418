/* The lifespans of the mounted applications. Each runs in a task of its own with a receive and a send of its own; the
 * mount's own lifespan starts them one after another and ends them in reverse. */
#include "mount.h"

#include <stdio.h>
#include <stdlib.h>

enum step {
    STARTING,
    RUNNING,
    STOPPING,
    ENDED,
};

struct life {
    casgi_receive_t receive;
    casgi_send_t send;
    const struct mount *mount;
    casgi_scope_t scope;
    struct mount_state state;
    casgi_task_t *task;
    casgi_waiter_t *event;   /* wakes its receive */
    casgi_waiter_t *changed; /* wakes the mount's own lifespan; shared */
    enum step step;
    bool delivered; /* the event of this step was received */
    bool failed;
    char message[1024];
};

struct lives {
    struct life *items;
    size_t count; /* begun */
    casgi_waiter_t *changed;
};

static void enter(struct life *life, enum step step)
{
    life->step = step;
    life->delivered = false;
    (void)casgi_waiter_wake(life->event);
    (void)casgi_waiter_wake(life->changed);
}

static void fail(struct life *life, const char *text)
{
    life->failed = true;
    (void)snprintf(life->message, sizeof(life->message), "%s/ (%s): %s", life->mount->prefix, life->mount->spec, text);
}

/* ---- what the inner application sees ---- */

/* What comes to nothing at once gives the others a turn: who goes on calling all the same would hold the loop. */
static int refused(int code)
{
    (void)casgi_yield();
    return code;
}

static int receive_event(casgi_receive_t *self, casgi_event_t *out_event)
{
    struct life *life = (struct life *)self;
    for (;;) {
        bool due = (life->step == STARTING || life->step == STOPPING) && !life->delivered;
        if (due) {
            casgi_event_t event = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP);
            event.type = life->step == STARTING ? CASGI_LIFESPAN_STARTUP : CASGI_LIFESPAN_SHUTDOWN;
            life->delivered = true;
            *out_event = event;
            return 0;
        }
        if (life->step == STOPPING || life->step == ENDED) {
            return refused(CASGI_ECLOSED);
        }
        int rc = casgi_waiter_wait(life->event);
        if (rc) {
            return rc;
        }
    }
}

static int send_event(casgi_send_t *self, const casgi_event_t *event)
{
    struct life *life = (struct life *)(void *)((char *)self - offsetof(struct life, send));
    bool failed = event->type == CASGI_LIFESPAN_STARTUP_FAILED || event->type == CASGI_LIFESPAN_SHUTDOWN_FAILED;
    bool startup = event->type == CASGI_LIFESPAN_STARTUP_COMPLETE || event->type == CASGI_LIFESPAN_STARTUP_FAILED;
    bool shutdown = event->type == CASGI_LIFESPAN_SHUTDOWN_COMPLETE || event->type == CASGI_LIFESPAN_SHUTDOWN_FAILED;
    bool allowed = (startup && life->step == STARTING) || (shutdown && life->step == STOPPING);
    if (!allowed || !life->delivered) {
        return refused(CASGI_EPROTO);
    }
    if (failed) {
        const char *text = event->lifespan_failed.message.ptr;
        int size = text ? (int)event->lifespan_failed.message.len : 0;
        char copy[512];
        (void)snprintf(copy, sizeof(copy), "%.*s", size, text ? text : "");
        fail(life, size ? copy : startup ? "startup failed" : "shutdown failed");
    }
    enter(life, startup && !failed ? RUNNING : ENDED);
    return 0;
}

/* The task of one lifespan. One that does not know the scope has none; one that returns while it runs is let go. */
static int live(void *arg)
{
    struct life *life = arg;
    int rc = casgi_call(life->mount->app, &life->scope, &life->receive, &life->send);
    bool none = life->step == STARTING && rc == CASGI_ENOTSUP;
    bool told = life->step == ENDED && rc == CASGI_ECLOSED; /* by receive, after its last answer */
    if (rc < 0 && !none && !told && !life->failed) {
        fail(life, casgi_strerror(rc));
    } else if (rc == 0 && life->step == STARTING) {
        fail(life, "its handler returned without lifespan.startup.complete");
    }
    enter(life, ENDED);
    return 0;
}

/* ---- the mount's own ---- */

/* Waits until its step is no longer `step`. */
static int await(struct life *life, enum step step)
{
    int rc = 0;
    while (rc == 0 && life->step == step) {
        rc = casgi_waiter_wait(life->changed);
    }
    return rc;
}

static int start(struct lives *lives, const struct mount *mount, const casgi_scope_t *scope,
                 const struct life **out_failed)
{
    struct life *life = &lives->items[lives->count];
    life->receive.call = receive_event;
    life->send.call = send_event;
    life->mount = mount;
    life->changed = lives->changed;
    life->scope = *scope;
    life->scope.state = mount_state_init(&life->state, mount, scope->state);
    int rc = casgi_waiter_new(&life->event);
    if (rc) {
        return rc;
    }
    lives->count++;
    rc = casgi_create_task(live, life, "mounted lifespan", &life->task);
    rc = rc ? rc : await(life, STARTING);
    *out_failed = rc == 0 && life->failed ? life : NULL;
    return rc;
}

/* Starts all of them, or up to the first that fails, which is in *out_failed. */
static int start_all(struct lives *lives, const struct mounts *mounts, const casgi_scope_t *scope,
                     const struct life **out_failed)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < mounts->count && !*out_failed; i++) {
        if (mounts->order[i]->flags & CASGI_APP_LIFESPAN) {
            rc = start(lives, mounts->order[i], scope, out_failed);
        }
    }
    return rc;
}

/* Ends those that run, the last started first; the first failure is in *out_failed. */
static int stop_all(struct lives *lives, const struct life **out_failed)
{
    int rc = 0;
    for (size_t i = lives->count; rc == 0 && i > 0; i--) {
        struct life *life = &lives->items[i - 1];
        if (life->step == RUNNING) {
            enter(life, STOPPING);
            rc = await(life, STOPPING);
        }
        if (life->failed && !*out_failed) {
            *out_failed = life;
        }
    }
    return rc;
}

static int answer(casgi_send_t *send, uint32_t complete, const struct life *failed)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_EVENT_NONE);
    event.type = complete;
    if (failed) {
        event.type = complete + 1; /* each failed follows its complete */
        event.lifespan_failed.message = casgi_str(failed->message);
    }
    return casgi_send(send, &event);
}

static int run(struct lives *lives, struct mounts *mounts, const casgi_scope_t *scope, casgi_receive_t *receive,
               casgi_send_t *send)
{
    const struct life *failed = NULL, *ignored = NULL;
    casgi_event_t event;
    int rc = casgi_receive(receive, &event);
    rc = rc ? rc : start_all(lives, mounts, scope, &failed);
    if (rc == 0 && failed) {
        rc = stop_all(lives, &ignored);
        return rc ? rc : answer(send, CASGI_LIFESPAN_STARTUP_COMPLETE, failed);
    }
    rc = rc ? rc : answer(send, CASGI_LIFESPAN_STARTUP_COMPLETE, NULL);
    rc = rc ? rc : casgi_receive(receive, &event);
    rc = rc ? rc : stop_all(lives, &failed);
    return rc ? rc : answer(send, CASGI_LIFESPAN_SHUTDOWN_COMPLETE, failed);
}

static void lives_release(struct lives *lives)
{
    for (size_t i = 0; i < lives->count; i++) {
        casgi_release(lives->items[i].task);
        casgi_waiter_unref(lives->items[i].event);
    }
    casgi_waiter_unref(lives->changed);
    free(lives->items);
}

int mounts_lifespan(struct mounts *mounts, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct lives lives = { .items = calloc(mounts->count, sizeof(struct life)) };
    casgi_children_t children;
    if (!lives.items) {
        return CASGI_ENOMEM;
    }
    int rc = casgi_waiter_new(&lives.changed);
    rc = rc ? rc : casgi_children_begin(&children);
    if (rc == 0) {
        rc = run(&lives, mounts, scope, receive, send);
        int joined = casgi_children_end(&children);
        rc = rc ? rc : joined;
    }
    lives_release(&lives);
    return rc;
}
