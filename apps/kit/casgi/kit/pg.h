/* casgi/kit/pg.h: PostgreSQL inside handlers: queries that wait without holding anything up.
 *
 *     casgi_pg_result_t *result;
 *     int rc = casgi_pg_query(pg, "select name from users where id = $1", CASGI_PG_PARAMS(id), &result, &error);
 *     if (rc) {
 *         return rc; (error.sqlstate and error.message say why)
 *     }
 *     for (int i = 0; i < casgi_pg_rows(result); i++) {
 *         ... casgi_pg_value(result, i, 0) ...
 *     }
 *     casgi_pg_result_free(result);
 *
 * A casgi_pg_t is a bounded pool of connections of one worker. Connections are made when they are needed; who finds all
 * of them in use waits in the order of arrival; one that the server has closed meanwhile is replaced. Everything goes
 * through libpq's non-blocking interface: a waiting query costs no thread. Connecting (names, TLS, passwords) happens
 * on a thread, step by step.
 *
 * Each distinct SQL text is prepared once per connection and kept there (statement_cache), so text and values travel
 * apart: never build SQL out of values. Values are text both ways, as psql shows them; SQL's NULL is NULL.
 *
 * Cancellation and deadlines (casgi_deadline_begin) work in every [task] call. A query that is cancelled while it runs
 * is cancelled on the server, too, and the call returns when the connection is usable again, or has been dropped
 * because that took longer than cancel_timeout_ms: nothing of it runs on behind the caller's back, unless the server
 * cannot be reached any more.
 *
 * Errors. What returns an int returns 0 or a code, and with a code fills *out_error (NULL allowed):
 *
 *   CASGI_EFAILED                      the server refused or failed it: sqlstate and message are the server's
 *   CASGI_EIO                          no connection could be made, or it was lost; the query may have been done or not
 *   CASGI_ECANCELED, CASGI_ETIMEDOUT   as everywhere; CASGI_ETIMEDOUT also: no connection within connect_timeout_ms
 *   CASGI_EINVAL, CASGI_ENOMEM, CASGI_EWRONGTHREAD
 *   CASGI_EBUSY                        another task is using this connection
 *
 * Needs libpq; link with what `pkg-config --libs casgi-kit` says. */
#pragma once

#include <casgi/casgi.h>

CASGI_EXTERN_C_BEGIN

struct pg_conn;   /* libpq's PGconn */
struct pg_result; /* libpq's PGresult */

/* A pool. */
typedef struct casgi_pg casgi_pg_t;

/* A connection, lent by its pool to one task at a time. */
typedef struct casgi_pg_conn casgi_pg_conn_t;

/* What a query gave. It is libpq's PGresult: who includes libpq-fe.h may use the PQ functions on it. */
typedef struct pg_result casgi_pg_result_t;

/* Why something failed. Texts are NUL-terminated and cut if they are too long; "" where the server said nothing. */
typedef struct casgi_pg_error {
    int32_t code;        /* what the call returned */
    char sqlstate[8];    /* such as "23505"; "": the error is not the server's */
    char constraint[64]; /* the violated constraint's name */
    char message[440];   /* one line, in words */
    char detail[508];
} casgi_pg_error_t;

/* Zero it first. */
typedef struct casgi_pg_options {
    const char *conninfo;     /* "host=... dbname=..." or "postgresql://..."; "" or NULL: the PG* environment */
    const char *setup;        /* SQL run on each new connection, such as "set statement_timeout = '5s'"; NULL: none */
    uint32_t max_connections; /* 0: 10 */
    uint32_t statement_cache; /* prepared statements kept per connection; 0: 256 */
    uint32_t connect_timeout_ms; /* 0: 10 s */
    uint32_t cancel_timeout_ms;  /* 0: 2 s */
    uint32_t idle_timeout_ms;    /* one idle for longer is closed when another is given back; 0: 10 min */
    uint32_t flags;              /* enum casgi_pg_flag */
    uintptr_t reserved[8];
} casgi_pg_options_t;

enum casgi_pg_flag {
    CASGI_PG_UNPREPARED = 1 /* no statements are kept: for poolers such as pgbouncer that change servers in between */
};

/* One query of a batch. Zero it first. */
typedef struct casgi_pg_query_s {
    const char *sql;           /* one statement, with $1, $2 ... for its values */
    const char *const *params; /* their texts; NULL: SQL's NULL */
    size_t param_count;
    casgi_pg_result_t *result; /* out: yours, free with casgi_pg_result_free; NULL if the batch failed */
    uintptr_t reserved[4];
} casgi_pg_query_t;

/* Values as two arguments, array and count: casgi_pg_query(pg, sql, CASGI_PG_PARAMS(a, b), &result, &error). Each is a
 * const char *, NULL for SQL's NULL. Borrowed until the call returns. No values: CASGI_PG_NONE. (C only.) */
#define CASGI_PG_PARAMS(...) \
    (const char *const[]){ __VA_ARGS__ }, (sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
#define CASGI_PG_NONE NULL, 0

/* ---- the pool ---- */

/* [loop] Makes a pool; connects nothing yet. Copies the options. *out_pg is yours: casgi_pg_free. CASGI_EINVAL: the
 * conninfo cannot be read; CASGI_ENOMEM. */
int casgi_pg_new(const casgi_pg_options_t *options, casgi_pg_t **out_pg, casgi_pg_error_t *out_error);

/* [loop] Closes what is idle now, and each lent connection when it is given back. Tasks that wait for one get
 * CASGI_ECLOSED. NULL does nothing. */
void casgi_pg_free(casgi_pg_t *pg);

/* How a pool stands. */
typedef struct casgi_pg_stats_s {
    uint32_t open;      /* connections, also those being made */
    uint32_t idle;      /* of them */
    uint32_t waiting;   /* tasks that wait for one */
    uint32_t reserved0; /* zero */
    uint64_t connected; /* connections made since the beginning */
    uint64_t prepared;  /* statements prepared */
    uint64_t cancelled; /* queries cancelled on the server */
    uint64_t dropped;   /* connections closed because they were broken, or could not be recovered */
    uintptr_t reserved[4];
} casgi_pg_stats_t;

/* [loop] */
void casgi_pg_stats(const casgi_pg_t *pg, casgi_pg_stats_t *out_stats);

/* [task] Runs one statement on any connection. `params` are borrowed until this returns. *out_result (NULL: it is not
 * wanted) is yours: casgi_pg_result_free. */
int casgi_pg_query(casgi_pg_t *pg, const char *sql, const char *const *params, size_t param_count,
                   casgi_pg_result_t **out_result, casgi_pg_error_t *out_error);

/* [task] Runs several statements in one round trip (pipelined), in order, as one transaction: the first that fails ends
 * the batch, nothing of it stays, and no result is given. */
int casgi_pg_batch(casgi_pg_t *pg, casgi_pg_query_t *queries, size_t count, casgi_pg_error_t *out_error);

/* [task] Calls fn(conn, arg) inside a transaction on a connection of its own: commits if it returns 0, else rolls back.
 * `begin` is the statement that opens it (NULL: "begin"), such as "begin isolation level serializable". Returns what fn
 * returned, or why the commit failed. A commit, once sent, is waited for, also by a cancelled task. *out_error is about
 * the connection, the beginning and the commit; what fn's own statements said is fn's to keep. After the sqlstates
 * 40001 and 40P01 the whole may be tried again. */
int casgi_pg_transaction(casgi_pg_t *pg, const char *begin, int (*fn)(casgi_pg_conn_t *conn, void *arg), void *arg,
                         casgi_pg_error_t *out_error);

/* ---- one connection ---- */

/* [task] Lends a connection, waiting for one if need be. Give it back with casgi_pg_release, also when the task is
 * cancelled. */
int casgi_pg_acquire(casgi_pg_t *pg, casgi_pg_conn_t **out_conn, casgi_pg_error_t *out_error);

/* [task] Gives it back; an open transaction is rolled back. What else the session was told (set, listen, temporary
 * tables) stays: casgi_pg_conn_discard before, if that is not wanted. Works for a cancelled task. NULL does nothing. */
void casgi_pg_release(casgi_pg_conn_t *conn);

/* [loop] It will be closed, not used again, when it is given back. */
void casgi_pg_conn_discard(casgi_pg_conn_t *conn);

/* [task] As those of the pool, on this connection. Inside a transaction a batch is part of it. */
int casgi_pg_conn_query(casgi_pg_conn_t *conn, const char *sql, const char *const *params, size_t param_count,
                        casgi_pg_result_t **out_result, casgi_pg_error_t *out_error);
int casgi_pg_conn_batch(casgi_pg_conn_t *conn, casgi_pg_query_t *queries, size_t count, casgi_pg_error_t *out_error);

/* [task] The same as casgi_pg_transaction; inside a transaction a savepoint (`begin` is not used). */
int casgi_pg_conn_transaction(casgi_pg_conn_t *conn, const char *begin, int (*fn)(casgi_pg_conn_t *conn, void *arg),
                              void *arg, casgi_pg_error_t *out_error);

/* [task] Runs statements separated by ";", without values and without results: a schema, a migration. */
int casgi_pg_conn_script(casgi_pg_conn_t *conn, const char *sql, casgi_pg_error_t *out_error);

/* [task] Runs one statement and calls on_row(row, arg) for each row as it comes, the row being result row 0, borrowed
 * until on_row returns. It may suspend: meanwhile no more is read from the server, so that a result of any size passes
 * through constant memory. What it returns, other than 0, ends the query and is returned. */
int casgi_pg_conn_each(casgi_pg_conn_t *conn, const char *sql, const char *const *params, size_t param_count,
                       int (*on_row)(casgi_pg_result_t *row, void *arg), void *arg, casgi_pg_error_t *out_error);

/* What "notify" told. */
typedef struct casgi_pg_notification {
    const char *channel;
    const char *payload; /* "": none */
    int32_t sender;      /* the process of the server's whose session told it */
    uint32_t reserved0;  /* zero */
    uintptr_t reserved[4];
} casgi_pg_notification_t;

/* [task] Waits for the next notification of a channel that this connection listens to, which a statement says
 * (casgi_pg_conn_script(conn, "listen news", &error)). *out_notification is borrowed until the next call, or the
 * release, which closes such a connection: have a connection for it that the pool can spare. In the order in which they
 * came; those that came while other statements ran are kept. A wait that is cancelled has lost none. CASGI_EINVAL:
 * inside a transaction none comes. CASGI_EIO: the connection is lost: listen on another one, and read anew what the
 * notifications are about, as those in between are lost. The other side may vanish without a word: "keepalives_idle=60
 * keepalives_interval=10" in the conninfo finds that out. */
int casgi_pg_conn_next_notification(casgi_pg_conn_t *conn, casgi_pg_notification_t *out_notification,
                                    casgi_pg_error_t *out_error);

/* [loop] libpq's own, for what is missing here; borrowed until the release. Leave it as you found it: non-blocking, not
 * in pipeline mode, with no query running. */
struct pg_conn *casgi_pg_conn_raw(casgi_pg_conn_t *conn);

/* ---- results ----
 * Rows and columns count from 0. All [any]. */

/* NULL does nothing. */
void casgi_pg_result_free(casgi_pg_result_t *result);

int casgi_pg_rows(const casgi_pg_result_t *result);
int casgi_pg_columns(const casgi_pg_result_t *result);

/* The column called so; -1: there is none. */
int casgi_pg_column(const casgi_pg_result_t *result, const char *name);

/* The column's name; NULL: there is no such column. Borrowed, as the values, until the result is freed. */
const char *casgi_pg_column_name(const casgi_pg_result_t *result, int column);

/* The text of a value, NUL-terminated; NULL: it is SQL's NULL, or there is no such row or column. */
const char *casgi_pg_value(const casgi_pg_result_t *result, int row, int column);

/* The same with its length; ptr NULL for NULL. */
casgi_str_t casgi_pg_text(const casgi_pg_result_t *result, int row, int column);

/* A value as a number or a truth value. CASGI_ENOENT: it is NULL, or not there; CASGI_EINVAL: it is something else, or
 * does not fit. */
int casgi_pg_int(const casgi_pg_result_t *result, int row, int column, int64_t *out_value);
int casgi_pg_double(const casgi_pg_result_t *result, int row, int column, double *out_value);
int casgi_pg_bool(const casgi_pg_result_t *result, int row, int column, bool *out_value);

/* How many rows an insert, update, delete, select ... was about. */
int64_t casgi_pg_affected(const casgi_pg_result_t *result);

CASGI_EXTERN_C_END
