/* casgi/kit/sqlite.h: SQLite, the database in a file, inside handlers.
 *
 *     casgi_sqlite_value_t id = casgi_sqlite_int(7);
 *     casgi_sqlite_result_t *result;
 *     int rc = casgi_sqlite_query(db, "select name from users where id = ?", &id, 1, &result, &error);
 *     for (size_t i = 0; i < casgi_sqlite_rows(result); i++) {
 *         ... casgi_sqlite_value(result, i, 0)->text.ptr ...
 *     }
 *     casgi_sqlite_result_free(result);
 *
 * SQLite blocks, so each call runs on a thread (casgi_to_thread) while the task waits. A casgi_sqlite_t is a bounded
 * pool of connections to one file, opened when they are needed. The file is in WAL mode: readers and the one writer
 * that SQLite allows do not wait for each other. Writers of this worker (casgi_sqlite_execute,
 * casgi_sqlite_transaction) line up before they take a connection or a thread; a writer of another process is waited
 * for up to busy_timeout_ms.
 *
 * Statements are prepared once per connection and kept.
 *
 * Cancellation and deadlines work in every [task] call: a running statement is interrupted within about a thousand
 * steps of SQLite's machine, and undone.
 *
 * Errors, with a sentence in *out_error (NULL allowed):
 *
 *   CASGI_EFAILED   SQLite refused or failed it; `number` is its extended result code (2067: a unique constraint)
 *   CASGI_EBUSY     another process held the file locked for busy_timeout_ms
 *   CASGI_ENOENT, CASGI_EACCES, CASGI_EIO
 *                   the file cannot be opened; it may not be written; the disk fails
 *   CASGI_ETOOBIG   the result is larger than result_limit
 *   CASGI_ECLOSED   the pool has been freed
 *   CASGI_ECANCELED, CASGI_ETIMEDOUT, CASGI_EINVAL, CASGI_ENOMEM, CASGI_EWRONGTHREAD
 *
 * Needs SQLite 3; link with what `pkg-config --libs casgi-kit` says. */
#pragma once

#include <casgi/casgi.h>

CASGI_EXTERN_C_BEGIN

struct sqlite3;

/* A pool. */
typedef struct casgi_sqlite casgi_sqlite_t;

/* A connection, while a function runs on it. */
typedef struct casgi_sqlite_conn casgi_sqlite_conn_t;

/* The rows of a statement. */
typedef struct casgi_sqlite_result casgi_sqlite_result_t;

typedef struct casgi_sqlite_error {
    int32_t code;   /* what the call returned */
    int32_t number; /* SQLite's extended result code; 0: the error is not SQLite's */
    char message[504];
} casgi_sqlite_error_t;

/* Zero it first. */
typedef struct casgi_sqlite_options {
    const char *path;         /* of the file; NULL or ":memory:": a database in memory, on one connection */
    const char *setup;        /* SQL run on each new connection, such as "pragma foreign_keys = on"; NULL: none */
    uint32_t max_connections; /* 0: 4 */
    uint32_t statement_cache; /* prepared statements kept per connection; 0: 64 */
    uint32_t busy_timeout_ms; /* 0: 5 s */
    uint32_t flags;           /* enum casgi_sqlite_flag */
    size_t result_limit;      /* bytes of one result; 0: 64 MiB */
    uintptr_t reserved[8];
} casgi_sqlite_options_t;

enum casgi_sqlite_flag {
    CASGI_SQLITE_READONLY = 1, /* the file is not made, nor written */
    CASGI_SQLITE_NO_WAL = 2    /* the file's journal mode stays what it is */
};

/* ---- values ---- */

enum casgi_sqlite_type {
    CASGI_SQLITE_NULL = 0,
    CASGI_SQLITE_INT = 1,
    CASGI_SQLITE_DOUBLE = 2,
    CASGI_SQLITE_TEXT = 3, /* UTF-8; in results NUL-terminated */
    CASGI_SQLITE_BLOB = 4
};

/* A value, given or got. */
typedef struct casgi_sqlite_value_s {
    uint32_t type; /* enum casgi_sqlite_type */
    uint32_t reserved;
    union {
        int64_t integer;
        double number;
        casgi_str_t text; /* TEXT and BLOB */
    };
} casgi_sqlite_value_t;

/* [any] Values to give; texts are borrowed until the call that gets them returns. A text with ptr NULL is SQL's NULL.
 */
static inline casgi_sqlite_value_t casgi_sqlite_null(void)
{
    casgi_sqlite_value_t value = { CASGI_SQLITE_NULL, 0, { 0 } };
    return value;
}

static inline casgi_sqlite_value_t casgi_sqlite_int(int64_t integer)
{
    casgi_sqlite_value_t value = { CASGI_SQLITE_INT, 0, { 0 } };
    value.integer = integer;
    return value;
}

static inline casgi_sqlite_value_t casgi_sqlite_double(double number)
{
    casgi_sqlite_value_t value = { CASGI_SQLITE_DOUBLE, 0, { 0 } };
    value.number = number;
    return value;
}

static inline casgi_sqlite_value_t casgi_sqlite_str(casgi_str_t text)
{
    casgi_sqlite_value_t value = { (uint32_t)(text.ptr ? CASGI_SQLITE_TEXT : CASGI_SQLITE_NULL), 0, { 0 } };
    value.text = text;
    return value;
}

static inline casgi_sqlite_value_t casgi_sqlite_text(const char *text)
{
    return casgi_sqlite_str(casgi_str(text));
}

static inline casgi_sqlite_value_t casgi_sqlite_blob(const void *data, size_t size)
{
    casgi_sqlite_value_t value = { CASGI_SQLITE_BLOB, 0, { 0 } };
    value.text.ptr = (const char *)data;
    value.text.len = size;
    return value;
}

/* ---- the pool ---- */

/* [loop] Makes a pool; opens nothing yet. Copies the options. *out_db is yours: casgi_sqlite_free. */
int casgi_sqlite_new(const casgi_sqlite_options_t *options, casgi_sqlite_t **out_db, casgi_sqlite_error_t *out_error);

/* [loop] Closes it: idle connections now, those in use when they are given back; tasks that wait for one get
 * CASGI_ECLOSED. In a task it waits on a thread for the file to be closed. NULL does nothing. */
void casgi_sqlite_free(casgi_sqlite_t *db);

/* [task] Runs one statement that reads. `params` (the values of ?, ?1, ?2 ...) are borrowed until this returns.
 * *out_result (NULL: it is not wanted) is yours: casgi_sqlite_result_free. */
int casgi_sqlite_query(casgi_sqlite_t *db, const char *sql, const casgi_sqlite_value_t *params, size_t param_count,
                       casgi_sqlite_result_t **out_result, casgi_sqlite_error_t *out_error);

/* [task] The same for one that writes: waits for the other writers of this worker first. */
int casgi_sqlite_execute(casgi_sqlite_t *db, const char *sql, const casgi_sqlite_value_t *params, size_t param_count,
                         casgi_sqlite_result_t **out_result, casgi_sqlite_error_t *out_error);

/* [task] Runs statements separated by ";", without values and without results, in one transaction: a schema. */
int casgi_sqlite_script(casgi_sqlite_t *db, const char *sql, casgi_sqlite_error_t *out_error);

/* [thread] Several statements on one connection, without coming back to the loop in between. */
typedef int (*casgi_sqlite_fn_t)(casgi_sqlite_conn_t *conn, void *arg);

/* [task] Runs fn(conn, arg) on a thread with a connection, and returns what it returned. */
int casgi_sqlite_run(casgi_sqlite_t *db, casgi_sqlite_fn_t fn, void *arg, casgi_sqlite_error_t *out_error);

/* [task] The same in a transaction that may write: committed if fn returns 0, else rolled back. */
int casgi_sqlite_transaction(casgi_sqlite_t *db, casgi_sqlite_fn_t fn, void *arg, casgi_sqlite_error_t *out_error);

/* [thread] Inside such an fn: one statement. */
int casgi_sqlite_conn_query(casgi_sqlite_conn_t *conn, const char *sql, const casgi_sqlite_value_t *params,
                            size_t param_count, casgi_sqlite_result_t **out_result, casgi_sqlite_error_t *out_error);

/* [thread] Inside such an fn: SQLite's own, for what is missing here. */
struct sqlite3 *casgi_sqlite_conn_raw(casgi_sqlite_conn_t *conn);

/* ---- results ----
 * Rows and columns count from 0. All [any]; borrowed until the result is freed. */

/* NULL does nothing. */
void casgi_sqlite_result_free(casgi_sqlite_result_t *result);

size_t casgi_sqlite_rows(const casgi_sqlite_result_t *result);
size_t casgi_sqlite_columns(const casgi_sqlite_result_t *result);

/* NULL: there is no such column. */
const char *casgi_sqlite_column_name(const casgi_sqlite_result_t *result, size_t column);

/* Never NULL: where there is none, it is SQL's NULL. */
const casgi_sqlite_value_t *casgi_sqlite_value(const casgi_sqlite_result_t *result, size_t row, size_t column);

/* How many rows the statement inserted, changed or deleted, and the rowid of the last it inserted. */
int64_t casgi_sqlite_changes(const casgi_sqlite_result_t *result);
int64_t casgi_sqlite_last_rowid(const casgi_sqlite_result_t *result);

CASGI_EXTERN_C_END
