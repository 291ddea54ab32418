/* worker/worker.h: one process that serves an application.
 *
 *   STARTING --startup complete--> SERVING --signal, order, limit--> DRAINING --connections over--> CLOSING --> exit
 *      |                                                                |           lifespan.shutdown
 *      +-- could not be loaded: 4; startup failed: 3                    +-- deadline: tasks are cancelled
 *
 * With --reload it is a supervisor's child, with a control channel (net/control.h): its sockets and what to load come
 * with the first message. Without, it is the whole program. */
#pragma once

#include "casgi/base.h"
#include "net/listen.h"

struct config;

enum worker_exit {
    WORKER_EXIT_OK = 0,
    WORKER_EXIT_UNCLEAN = 1, /* tasks did not end in time; the shutdown failed */
    WORKER_EXIT_START = 3,   /* could not listen, startup failed */
    WORKER_EXIT_LOAD = 4,    /* the application could not be loaded */
    WORKER_EXIT_SIGNAL = 128 /* and the number of the second signal */
};

struct worker_options {
    const struct config *config;
    const char *path;           /* of the shared object to load */
    const char *shown;          /* what messages call it; NULL: path */
    const char *app_name;       /* NULL: the one called "app", or the only one */
    struct listen_set *sockets; /* listening; the worker closes them when it stops accepting */
    int control;                /* the channel to the supervisor, which the worker closes; -1: there is none */
    const char *placeholder;    /* load nothing: answer every request with 503 and this text; NULL: no */
    unsigned generation;        /* counts the workers of a supervisor; 0: there is none */
};

/* Serves until told to end. Returns the exit code. */
int worker_run(const struct worker_options *options);

/* The same for a supervisor's child: waits for its first message, which fills in path, placeholder, sockets and
 * generation. */
int worker_run_supervised(struct worker_options *options);
