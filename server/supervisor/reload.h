/* supervisor/reload.h: from a saved file to the worker that serves it.
 *
 *            saved             quiet for the delay       module made           READY
 *   QUIET ----------> SETTLING -----------------> BUILDING -------> STARTING --------> the old worker drains into
 *     ^                  ^  ^                        |                 |               the new one; HANDED_OVER:
 *     |                  |  +------- saved ----------+---- saved ------+               "Reloaded"
 *     +------------------+---- the build, the load or the startup failed: the old worker goes on serving; if there is
 *                              none, a placeholder answers 503 with the reason
 *
 * The newest save wins: a build or a startup that it overtakes is ended and not reported. A worker that dies while
 * serving is started again, from the module that served last, after a pause that grows with its deaths.
 *
 * One slot is one worker at a time; several workers are several slots, rolled through one after the other. */
#pragma once

#include "casgi/base.h"
#include "supervisor/crew.h"

#include <stdbool.h>
#include <stdint.h>

struct build;
struct config;
struct control_message;
struct path_list;
struct watch;

/* The place of one worker. */
struct slot {
    struct member *current;  /* serves (perhaps a placeholder); NULL: none */
    struct member *next;     /* is starting; NULL: none */
    struct member *previous; /* hands over to `current` */
    struct artifact *good;   /* what served last, to be started again; held */
    uint64_t retry_at;       /* 0: not */
    unsigned deaths;         /* in quick succession */
    uint64_t retire_at;      /* when a successor is to be started for `current`, which asked for one; 0: it did not */
};

struct reload_options {
    const struct config *config;
    const char *path; /* as supervisor_options */
    bool source;
    bool cxx;
};

struct reload {
    struct reload_options options;
    struct crew *crew;
    struct watch *watch;
    struct slot slot;
    unsigned generation; /* of the newest worker */
    uint64_t saved_at;   /* of the first save that is not yet served; 0: all are */
    uint64_t due;        /* when it is acted upon; 0: not settling */
    uint64_t writing;    /* since when a file is being written; 0: none is */
    struct build *build; /* the compiler runs */
    bool ending;
};

void reload_init(struct reload *reload, const struct reload_options *options, struct crew *crew, struct watch *watch);
void reload_release(struct reload *reload);

/* Watches these files, instead of those before, and the modules that the application's words name. */
int reload_watch_files(struct watch *watch, const struct config *config, const struct path_list *files);

/* Makes the module and starts the first worker. */
void reload_first(struct reload *reload);

/* `path` was saved (NULL: a reload is asked for: SIGHUP); acted upon after the delay. */
void reload_saved(struct reload *reload, const char *path);
void reload_writing(struct reload *reload);

void reload_compiler_exited(struct reload *reload, int wait_status);
void reload_message(struct reload *reload, struct member *member, const struct control_message *message);

/* `member`'s process has ended; it is removed by the caller afterwards. */
void reload_worker_exited(struct reload *reload, struct member *member, int wait_status);

/* What is due now; returns when to call again, 0: there is no such time. */
uint64_t reload_tick(struct reload *reload, uint64_t now);

/* Nothing is started from now on. */
void reload_end(struct reload *reload);
