/* supervisor/crew.h: the worker processes: started (fork and exec of this program), spoken to, ended. Who is to be
 * started or ended when is decided by others (reload.h).
 *
 *   crew_start --> STARTING --READY--> SERVING --crew_drain, crew_stop--> LEAVING --exit--> (gone)
 */
#pragma once

#include "base/list.h"
#include "casgi/base.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct artifact;
struct listen_set;

enum member_state { MEMBER_STARTING, MEMBER_SERVING, MEMBER_LEAVING };

struct member {
    struct list node;
    pid_t pid;
    int control; /* -1: closed */
    enum member_state state;
    unsigned generation;
    bool placeholder;          /* answers 503 with a text; runs no application code */
    struct artifact *artifact; /* held; NULL for a placeholder */
    uint64_t since;            /* when the state began */
    uint64_t kill_at;          /* when patience ends; 0: never */
};

struct crew {
    struct list members;
    char *const *argv; /* of this program */
    char *const *environment;
    const struct listen_set *sockets;
    uint64_t patience; /* what a leaving member may take; 0: any time */
};

void crew_init(struct crew *crew, char *const *argv, char *const *environment, const struct listen_set *sockets,
               uint64_t patience);

/* Starts a worker that loads `artifact`, or, without one, a placeholder that answers with `text`. *out is the crew's.
 */
int crew_start(struct crew *crew, struct artifact *artifact, const char *text, unsigned generation, struct member **out,
               casgi_error_t *error) __attribute__((warn_unused_result));

/* It accepts no more and ends; its idle connections go to `successor` (NULL: they are closed). */
void crew_drain(struct crew *crew, struct member *member, struct member *successor);

/* As a SIGTERM would: it ends its connections and itself. */
void crew_stop(struct crew *crew, struct member *member);

/* Ends it at once. */
void crew_kill(struct member *member);

struct member *crew_find(const struct crew *crew, pid_t pid); /* NULL: none of ours */

/* Forgets a member whose process has ended. */
void crew_remove(struct member *member);

/* Kills who has had time enough; returns when to call again, 0: there is no such time. */
uint64_t crew_enforce(struct crew *crew, uint64_t now);
