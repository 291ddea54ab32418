/* pg/impl.h: what the files of this folder share. All of it lives on the loop's thread, but for the steps of connecting
 * and the cancel request, which block and run on threads.
 *
 *   pool.c         who has which connection
 *   connect.c      making one
 *   statements.c   the names of prepared statements
 *   batch.c        queries sent and results taken: every query is a batch in libpq's pipeline mode
 *   query.c        what an author calls, on top of it
 *   notify.c       notifications
 *   transaction.c  begin, commit, savepoints
 *   result.c, error.c */
#pragma once

#include "casgi/kit/pg.h"
#include "common/cache.h"

#include <libpq-fe.h>

struct casgi_pg {
    char *conninfo;
    char *setup; /* NULL: none */
    uint32_t max_connections;
    uint32_t statement_cache; /* 0: none are kept */
    uint32_t connect_timeout_ms;
    uint32_t cancel_timeout_ms;
    uint32_t idle_timeout_ms;
    casgi_semaphore_t free;
    struct casgi_pg_conn *idle; /* the last used first */
    uint64_t next_prune;
    size_t references; /* its owner's, and one for each connection that is lent or waited for */
    bool closed;
    casgi_pg_stats_t stats;
};

struct casgi_pg_conn {
    casgi_pg_t *pool;
    PGconn *handle;
    struct kit_cache statements; /* SQL -> the number in the statement's name */
    uint64_t last_statement;
    uint64_t idle_since;
    struct casgi_pg_conn *next; /* idle */
    unsigned depth;             /* of transactions */
    bool busy;                  /* a task is using it */
    bool broken;                /* to be closed, not used again */
    bool listening;             /* the same, when it is given back */
    PGnotify *notification;     /* the last one given out; NULL: none */
};

/* What is sent for one query besides itself. */
struct kit_pg_plan {
    uint64_t statement; /* the number in the name it is executed by; 0: unprepared */
    uint64_t evicted;   /* one that is deallocated before; 0: none */
    bool prepare;       /* it is prepared before */
    bool prepared;      /* and that has succeeded */
};

enum kit_pg_phase { KIT_PG_EVICT, KIT_PG_PREPARE, KIT_PG_EXECUTE };

/* Queries under way. Results arrive in the order of what was sent: for each query the answer to its deallocation, if
 * there is one, to its preparation, if there is one, and its own; each answer ends with a NULL; after all of them comes
 * the one of the synchronisation. `at` and `phase` say whose answer is next, so that taking results can stop in the
 * middle (a cancellation) and go on later. */
struct kit_pg_batch {
    casgi_pg_query_t *queries;
    struct kit_pg_plan *plans;
    size_t count;
    bool unprepared;                                  /* nothing of it is worth keeping */
    bool simple;                                      /* one text of several statements: no plans, no synchronisation */
    int (*on_row)(casgi_pg_result_t *row, void *arg); /* rows one by one; NULL: whole results */
    void *arg;
    /* how far it is */
    size_t at;
    enum kit_pg_phase phase;
    bool complete;
    bool stopped; /* on_row wants no more */
    bool stale;   /* it failed because a kept statement is not what it was */
    size_t failed_at;
    int rc; /* of the first query that failed, or of on_row */
    casgi_pg_error_t error;
};

/* ---- error.c: [any]; fill *error (NULL allowed) and return `code` ---- */

int kit_pg_fail(casgi_pg_error_t *error, int code, const char *format, ...) CASGI_PRINTF(3, 4);
int kit_pg_fail_handle(casgi_pg_error_t *error, int code, const PGconn *handle); /* what libpq says */
int kit_pg_fail_result(casgi_pg_error_t *error, int code, const PGresult *result);

/* ---- connect.c ---- */

/* [task] A new connection, set up; *out_conn belongs to the pool. */
int kit_pg_conn_open(casgi_pg_t *pg, struct casgi_pg_conn **out_conn, casgi_pg_error_t *error)
    __attribute__((warn_unused_result));

/* [loop] */
void kit_pg_conn_close(struct casgi_pg_conn *conn);

/* ---- statements.c ---- */

enum { KIT_PG_NAME_SIZE = 24 };

/* [loop] The name of statement `number`. */
void kit_pg_statement_name(uint64_t number, char name[KIT_PG_NAME_SIZE]);

/* [loop] Decides how `sql` is executed. CASGI_ENOMEM. */
int kit_pg_plan_make(struct casgi_pg_conn *conn, const char *sql, struct kit_pg_plan *out_plan)
    __attribute__((warn_unused_result));

/* [loop] Forgets the statement of `sql`, if it still is the plan's. */
void kit_pg_plan_forget(struct casgi_pg_conn *conn, const char *sql, const struct kit_pg_plan *plan);

/* ---- batch.c ---- */

/* [task] Runs it: results in queries[i].result, or an error and none. Afterwards the connection is idle, or broken. */
int kit_pg_batch_run(struct casgi_pg_conn *conn, struct kit_pg_batch *batch, casgi_pg_error_t *error)
    __attribute__((warn_unused_result));

/* [loop] Reads what has come, without waiting. CASGI_EIO: the connection is lost. */
int kit_pg_consume(struct casgi_pg_conn *conn, casgi_pg_error_t *error) __attribute__((warn_unused_result));

/* [task] Runs one statement without values that is not worth keeping: begin, commit. */
int kit_pg_command(struct casgi_pg_conn *conn, const char *sql, casgi_pg_error_t *error)
    __attribute__((warn_unused_result));

/* [task] The same, not to be cancelled, within cancel_timeout_ms if `bounded`. */
int kit_pg_command_shielded(struct casgi_pg_conn *conn, const char *sql, bool bounded, casgi_pg_error_t *error)
    __attribute__((warn_unused_result));
