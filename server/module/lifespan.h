/* module/lifespan.h: the lifespan of an application (ASGI specs/lifespan): one task per worker that lives as long as it
 * serves.
 *
 *   lifespan_start --startup--> STARTING --complete--> RUNNING --lifespan_stop--> STOPPING --complete--> ENDED
 *                                  |                      |                          |
 *                                  +--failed, returned----+--returned: tolerated-----+--> ENDED
 *
 * Everything is [loop]. */
#pragma once

#include "casgi/app.h"
#include "exchange/exchange.h"
#include "runtime/loop.h"

struct lifespan;

enum lifespan_mode {
    LIFESPAN_AUTO, /* exact: the application is called if its record has CASGI_APP_LIFESPAN */
    LIFESPAN_ON,   /* one without the flag, or that does not take part, is a failed startup */
    LIFESPAN_OFF,  /* never called */
};

struct lifespan_options {
    casgi_app_t *app;   /* borrowed, as are the next ones, until lifespan_free */
    uint32_t app_flags; /* enum casgi_app_flag */
    enum lifespan_mode mode;
    struct state_base *state; /* scope.state is its own view; may be NULL */
    /* Both are called from the loop, never inside lifespan_start, lifespan_stop or the application's task.
     *
     * Once: startup is complete (code 0), or it failed and the application's task has ended: a code and the reason,
     * borrowed for the call: the application's own words if it gave any. */
    void (*on_started)(void *data, int code, const char *message);
    /* Once after lifespan_stop, when the application's task has ended: 0, or the shutdown (or the handler, before it)
     * failed. */
    void (*on_stopped)(void *data, int code, const char *message);
    void *data;
};

/* Begins it. *out_lifespan is yours (also if the startup fails): lifespan_free. CASGI_ENOMEM: no callback follows. */
int lifespan_start(struct loop *loop, const struct lifespan_options *options, struct lifespan **out_lifespan)
    __attribute__((warn_unused_result));

/* Says lifespan.shutdown, once all connections are closed; on_stopped follows. Also while the startup still runs: its
 * task is then cancelled. */
void lifespan_stop(struct lifespan *lifespan);

/* Asks the application's task to stop (a deadline passed): on_stopped follows once it has returned. */
void lifespan_cancel(struct lifespan *lifespan);

/* Frees it; its task must have ended: in or after on_stopped, or an on_started with a code. NULL does nothing. */
void lifespan_free(struct lifespan *lifespan);
