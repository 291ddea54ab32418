/* support/fake_host.h: a host that is not the server. It loads a module as the server does and calls its applications
 * with receive and send objects of its own; nothing of server/ is in it. Its tasks are the simplest that keep the
 * contract: a task runs to its end when it is created, the clock goes on only when somebody sleeps, and a wait for what
 * will never come is a cancellation. */
#pragma once

#include "casgi/app.h"

struct fake_host; /* one at a time */

/* NULL: out of memory. */
struct fake_host *fake_host_new(void);

/* Frees it; its applications are destroyed, its modules unloaded. */
void fake_host_free(struct fake_host *host);

/* Microseconds on its clock. */
uint64_t fake_host_clock(const struct fake_host *host);

/* What was logged: lines, each ended by a newline. */
const char *fake_host_log(const struct fake_host *host);

/* Loads the module at `path`, fills its imports and makes its application called `app_name` (NULL: the first). NULL,
 * with the reason in *out_error. */
casgi_app_t *fake_host_load(struct fake_host *host, const char *path, const char *app_name, int argc, char **argv,
                            uint32_t *out_flags, casgi_error_t *out_error);

#define FAKE_PIECES_MAX 8
#define FAKE_BODY_SIZE 65536

/* A request, and what was answered. */
struct fake_exchange {
    /* what the test gives; texts NUL-terminated; NULL: the default */
    const char *method;                  /* GET */
    const char *path;                    /* "/" */
    const char *query;                   /* "" */
    const char *pieces[FAKE_PIECES_MAX]; /* of the body, NULL-terminated */
    const char *header_name;             /* one header field */
    const char *header_value;
    casgi_state_t *state;
    /* what happened */
    int result; /* what the application returned */
    int status;
    char headers[2048]; /* "name: value\n" each */
    char body[FAKE_BODY_SIZE];
    size_t body_size;
    bool complete;
    unsigned events; /* sent */
    /* its own */
    casgi_receive_t receive;
    casgi_send_t send;
    size_t next_piece;
};

/* Calls the application with an http scope, until it returns. */
void fake_host_request(struct fake_host *host, casgi_app_t *app, struct fake_exchange *exchange);

/* Calls it with a lifespan scope: startup, then shutdown. Returns what it returned; *out_events are its answers, in
 * order, at most two. `state` may be NULL. */
int fake_host_lifespan(struct fake_host *host, casgi_app_t *app, casgi_state_t *state, uint32_t out_events[2]);

/* A state with a few keys, for both; static. */
casgi_state_t *fake_host_state(struct fake_host *host);
