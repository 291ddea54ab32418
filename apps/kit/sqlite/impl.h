/* sqlite/impl.h: what the files of this folder share. The pool (pool.c) is on the loop's side; a connection (conn.c) is
 * touched by one thread at a time, the one whose job has it. */
#pragma once

#include "casgi/kit/sqlite.h"
#include "common/cache.h"

#include <stdbool.h>

struct sqlite3_stmt;

/* What a pool was told; constant, so that jobs may read it. */
struct kit_sqlite_settings {
    char *path;
    char *setup; /* NULL: none */
    uint32_t max_connections;
    uint32_t statement_cache;
    uint32_t busy_timeout_ms;
    uint32_t flags;
    size_t result_limit;
    bool memory; /* no file */
};

struct casgi_sqlite_conn {
    const struct kit_sqlite_settings *settings; /* lives longer */
    struct sqlite3 *handle;                     /* NULL: not open yet */
    struct kit_cache statements;
    struct casgi_sqlite_conn *next; /* idle */
    bool masked;                    /* what runs is not to be interrupted: commit, rollback */
    bool broken;                    /* to be closed */
};

/* [any] Fills *error (NULL allowed); returns `code`. */
int kit_sqlite_fail(casgi_sqlite_error_t *error, int code, const char *format, ...) CASGI_PRINTF(3, 4);

/* [thread] Fills *error with what SQLite says of `number`, and of the handle's last call (NULL: nothing); returns the
 * code. */
int kit_sqlite_fail_number(casgi_sqlite_error_t *error, struct sqlite3 *handle, int number);

/* [loop] A connection, to be opened by its first job; NULL: out of memory. */
struct casgi_sqlite_conn *kit_sqlite_conn_new(const struct kit_sqlite_settings *settings);

/* [thread] Opens it, if it is not open. */
int kit_sqlite_conn_open(struct casgi_sqlite_conn *conn, casgi_sqlite_error_t *error);

/* [thread] Runs fn(conn, arg), in a transaction if `transaction`; afterwards none is open. */
int kit_sqlite_conn_call(struct casgi_sqlite_conn *conn, bool transaction, casgi_sqlite_fn_t fn, void *arg,
                         casgi_sqlite_error_t *error);

/* [thread] Statements separated by ";". */
int kit_sqlite_conn_script(struct casgi_sqlite_conn *conn, const char *sql, casgi_sqlite_error_t *error);

/* [thread] Closes and frees it. */
void kit_sqlite_conn_free(struct casgi_sqlite_conn *conn);

/* [thread] Steps `statement` through all its rows and keeps them, if out_result is not NULL. SQLite's code, or
 * SQLITE_NOMEM or SQLITE_TOOBIG of our own. */
int kit_sqlite_collect(struct sqlite3_stmt *statement, size_t limit, casgi_sqlite_result_t **out_result);
