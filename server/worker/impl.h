/* worker/impl.h: what the files of this room share; not for others. */
#pragma once

#include "casgi/app.h"
#include "exchange/exchange.h"
#include "protocol/http1.h"
#include "runtime/loop.h"
#include "worker/worker.h"

struct acceptor;
struct handover;
struct lifespan;
struct observers;
struct orders;
struct placeholder;
struct signals;

enum worker_phase { PHASE_STARTING, PHASE_SERVING, PHASE_DRAINING, PHASE_CLOSING, PHASE_ENDED };

/* The newest of the tasks that were asked to end (task_serial). */
struct asked {
    uint64_t background;
    uint64_t other;
};

struct worker {
    const struct worker_options *options;
    const struct config *config;
    struct loop *loop;
    enum worker_phase phase;
    int exit_code;

    casgi_app_t *app;
    uint32_t app_flags;
    struct placeholder *placeholder; /* the application, if nothing is loaded */
    struct state_base *state;
    struct lifespan *lifespan; /* NULL: it was not begun */
    bool lifespan_stopping;    /* it was told to end */
    bool lifespan_over;        /* its task has ended */
    bool started;              /* it served, or serves */

    struct exchange_host exchanges;
    casgi_header_t *headers; /* the default ones; texts owned */
    size_t header_count;
    struct acceptor **acceptors; /* one for each listening socket */
    size_t acceptor_count;
    struct list connections; /* struct http1, of all acceptors */
    size_t connection_count;
    uint64_t requests; /* begun */
    bool full;         /* the last request was refused: too many at a time */

    struct observers *observers;
    struct signals *signals;
    struct orders *orders;     /* the supervisor's; NULL */
    struct handover *handover; /* to the next worker; NULL */

    struct timer deadline;  /* of the draining, then of the closing */
    bool cancelled;         /* the deadline has passed: tasks were cancelled */
    struct asked asked;     /* as the application is closed */
    struct loop_late check; /* whether there is anything left to wait for */
    struct timer recheck;   /* ... is asked again soon: tasks that belong to no request are waited for */
};

/* ---- life.c: phases ---- */

/* Stops accepting and ends: idle connections close, or go to the next worker if there is a handover. Again does
 * nothing. */
void worker_stop(struct worker *worker);

/* Something ended: looks whether all has. */
void worker_check(struct worker *worker);

/* The timers' and the late call's functions. */
void worker_on_deadline(struct timer *timer);
void worker_on_recheck(struct timer *timer);
void worker_on_check(struct loop_late *late);

/* Ends the process at once, naming what still runs. */
_Noreturn void worker_give_up(struct worker *worker, int exit_code);

/* ---- worker.c ---- */

/* Whether the lifespan is nobody's concern: it is off, or there is no application. */
bool worker_is_quiet(const struct worker *worker);

/* ---- accept.c ---- */

/* For `socket`, whose descriptor it takes; its texts are borrowed. */
int acceptor_new(struct worker *worker, struct listen_socket *socket, struct acceptor **out)
    __attribute__((warn_unused_result));
int acceptor_start(struct acceptor *acceptor) __attribute__((warn_unused_result));
void acceptor_stop(struct acceptor *acceptor); /* accepts no more; its connections go on */
void acceptor_free(struct acceptor *acceptor); /* its connections must be over */

/* Serves a connected, non-blocking socket, which it owns. */
void acceptor_adopt(struct acceptor *acceptor, int fd);

/* ---- setup.c ---- */

/* Everything up to the lifespan's startup. A failure has its sentence in *error; the exit code is returned. */
int worker_set_up(struct worker *worker, casgi_error_t *error);
void worker_tear_down(struct worker *worker);

/* ---- observers.c ---- */

/* The access log, the trace, the application's failures, --limit-max-requests. */
int observers_new(struct worker *worker, struct observers **out) __attribute__((warn_unused_result));
void observers_free(struct observers *observers);

/* The process ends without observers_free: the file of --trace is made whole. NULL does nothing. */
void observers_end_timeline(struct observers *observers);

/* The application has started: from here on a task that holds up the loop is reported. */
void observers_start(struct observers *observers);
