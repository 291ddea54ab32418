#include "sqlite/impl.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PROGRESS_STEPS = 1000, /* of SQLite's machine, between two questions whether the task was cancelled */
    BUSY_STEP_MAX = 25,    /* milliseconds between two tries for a locked file */
};

/* ---- what SQLite asks while it works ---- */

static bool cancelled(const struct casgi_sqlite_conn *conn)
{
    int rc = conn->masked ? 0 : casgi_thread_check();
    return rc == CASGI_ECANCELED || rc == CASGI_ETIMEDOUT;
}

static int on_progress(void *arg)
{
    return cancelled(arg);
}

/* The file is locked by another process, or by another connection that writes. 0 gives up. */
static int on_busy(void *arg, int tries)
{
    struct casgi_sqlite_conn *conn = arg;
    long step = tries < 5 ? 1L << tries : BUSY_STEP_MAX;
    long waited = tries < 5 ? (1L << tries) - 1 : 31 + (tries - 5L) * BUSY_STEP_MAX;
    if (cancelled(conn) || waited >= (long)conn->settings->busy_timeout_ms) {
        return 0;
    }
    struct timespec time = { .tv_nsec = step * 1000000 };
    (void)nanosleep(&time, NULL /* remaining */);
    return 1;
}

/* ---- statements ---- */

static int only_one(struct casgi_sqlite_conn *conn, const char *rest, casgi_sqlite_error_t *error)
{
    sqlite3_stmt *second = NULL;
    if (!*rest) {
        return 0;
    }
    int number = sqlite3_prepare_v2(conn->handle, rest, -1, &second, NULL /* rest */);
    (void)sqlite3_finalize(second);
    if (second || number != SQLITE_OK) {
        return kit_sqlite_fail(error, CASGI_EINVAL, "one statement at a time, not: %s", rest);
    }
    return 0;
}

static int prepare(struct casgi_sqlite_conn *conn, const char *sql, sqlite3_stmt **out_statement,
                   casgi_sqlite_error_t *error)
{
    sqlite3_stmt *statement = NULL;
    const char *rest = "";
    int number = sqlite3_prepare_v3(conn->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, &rest);
    if (number != SQLITE_OK) {
        return kit_sqlite_fail_number(error, conn->handle, number);
    }
    int rc = statement ? only_one(conn, rest, error) : kit_sqlite_fail(error, CASGI_EINVAL, "there is no statement");
    if (rc) {
        (void)sqlite3_finalize(statement);
        return rc;
    }
    *out_statement = statement;
    return 0;
}

static void forget(struct casgi_sqlite_conn *conn, struct kit_cache_entry *entry)
{
    sqlite3_stmt *statement = entry->value.pointer;
    kit_cache_remove(&conn->statements, entry);
    (void)sqlite3_finalize(statement);
}

static int find_statement(struct casgi_sqlite_conn *conn, const char *sql, sqlite3_stmt **out_statement,
                          casgi_sqlite_error_t *error)
{
    struct kit_cache_entry *entry = kit_cache_find(&conn->statements, sql);
    if (entry) {
        *out_statement = entry->value.pointer;
        return 0;
    }
    sqlite3_stmt *statement = NULL;
    int rc = prepare(conn, sql, &statement, error);
    if (rc) {
        return rc;
    }
    struct kit_cache_entry *surplus = kit_cache_surplus(&conn->statements);
    if (surplus) {
        forget(conn, surplus);
    }
    if (!kit_cache_add(&conn->statements, sql, (union kit_cached){ .pointer = statement })) {
        (void)sqlite3_finalize(statement);
        return kit_sqlite_fail(error, CASGI_ENOMEM, "out of memory");
    }
    *out_statement = statement;
    return 0;
}

static int bind_value(sqlite3_stmt *statement, int index, const casgi_sqlite_value_t *value)
{
    switch (value->type) {
    case CASGI_SQLITE_NULL:
        return sqlite3_bind_null(statement, index);
    case CASGI_SQLITE_INT:
        return sqlite3_bind_int64(statement, index, value->integer);
    case CASGI_SQLITE_DOUBLE:
        return sqlite3_bind_double(statement, index, value->number);
    case CASGI_SQLITE_TEXT:
        return sqlite3_bind_text64(statement, index, value->text.ptr, value->text.len, SQLITE_STATIC, SQLITE_UTF8);
    case CASGI_SQLITE_BLOB:
        return value->text.len ? sqlite3_bind_blob64(statement, index, value->text.ptr, value->text.len, SQLITE_STATIC)
                               : sqlite3_bind_zeroblob(statement, index, 0);
    default:
        return SQLITE_MISUSE;
    }
}

static int bind_all(struct casgi_sqlite_conn *conn, sqlite3_stmt *statement, const casgi_sqlite_value_t *params,
                    size_t param_count, casgi_sqlite_error_t *error)
{
    size_t wanted = (size_t)sqlite3_bind_parameter_count(statement);
    if (param_count != wanted) {
        return kit_sqlite_fail(error, CASGI_EINVAL, "the statement takes %zu value(s), not %zu", wanted, param_count);
    }
    for (size_t i = 0; i < param_count; i++) {
        int number = bind_value(statement, (int)i + 1, &params[i]);
        if (number == SQLITE_MISUSE) {
            return kit_sqlite_fail(error, CASGI_EINVAL, "value %zu has no known type", i + 1);
        }
        if (number != SQLITE_OK) {
            return kit_sqlite_fail_number(error, conn->handle, number);
        }
    }
    return 0;
}

static int collect(struct casgi_sqlite_conn *conn, sqlite3_stmt *statement, casgi_sqlite_result_t **out_result,
                   casgi_sqlite_error_t *error)
{
    size_t limit = conn->settings->result_limit;
    int number = kit_sqlite_collect(statement, limit, out_result);
    if (number == SQLITE_TOOBIG && sqlite3_errcode(conn->handle) != SQLITE_TOOBIG) {
        return kit_sqlite_fail(error, CASGI_ETOOBIG, "the result is larger than %zu bytes", limit);
    }
    return number == SQLITE_OK ? 0 : kit_sqlite_fail_number(error, conn->handle, number);
}

int casgi_sqlite_conn_query(casgi_sqlite_conn_t *conn, const char *sql, const casgi_sqlite_value_t *params,
                            size_t param_count, casgi_sqlite_result_t **out_result, casgi_sqlite_error_t *out_error)
{
    sqlite3_stmt *statement = NULL;
    if (cancelled(conn)) {
        return kit_sqlite_fail(out_error, casgi_thread_check(), "the statement was not begun");
    }
    int rc = find_statement(conn, sql, &statement, out_error);
    if (rc) {
        return rc;
    }
    rc = bind_all(conn, statement, params, param_count, out_error);
    rc = rc ? rc : collect(conn, statement, out_result, out_error);
    (void)sqlite3_reset(statement); /* gives the last step's code again */
    (void)sqlite3_clear_bindings(statement);
    return rc;
}

int kit_sqlite_conn_script(struct casgi_sqlite_conn *conn, const char *sql, casgi_sqlite_error_t *error)
{
    int number = sqlite3_exec(conn->handle, sql, NULL /* callback */, NULL /* its argument */, NULL /* message */);
    return number == SQLITE_OK ? 0 : kit_sqlite_fail_number(error, conn->handle, number);
}

struct sqlite3 *casgi_sqlite_conn_raw(casgi_sqlite_conn_t *conn)
{
    return conn->handle;
}

/* ---- a call ---- */

static void roll_back(struct casgi_sqlite_conn *conn)
{
    conn->masked = true;
    if (!sqlite3_get_autocommit(conn->handle) && kit_sqlite_conn_script(conn, "rollback", NULL /* error */)) {
        conn->broken = true;
    }
    conn->masked = false;
}

static int commit(struct casgi_sqlite_conn *conn, casgi_sqlite_error_t *error)
{
    conn->masked = true;
    int rc = kit_sqlite_conn_script(conn, "commit", error);
    conn->masked = false;
    return rc;
}

int kit_sqlite_conn_call(struct casgi_sqlite_conn *conn, bool transaction, casgi_sqlite_fn_t fn, void *arg,
                         casgi_sqlite_error_t *error)
{
    int rc = transaction ? kit_sqlite_conn_script(conn, "begin immediate", error) : 0;
    if (!rc) {
        rc = fn(conn, arg);
    }
    if (!rc && transaction) {
        rc = commit(conn, error);
    }
    roll_back(conn);
    return rc;
}

/* ---- opening and closing ---- */

struct casgi_sqlite_conn *kit_sqlite_conn_new(const struct kit_sqlite_settings *settings)
{
    struct casgi_sqlite_conn *conn = calloc(1, sizeof(*conn));
    if (conn) {
        conn->settings = settings;
        kit_cache_init(&conn->statements, settings->statement_cache);
    }
    return conn;
}

static void close_handle(struct casgi_sqlite_conn *conn)
{
    (void)sqlite3_close_v2(conn->handle);
    conn->handle = NULL;
}

static int set_up(struct casgi_sqlite_conn *conn, casgi_sqlite_error_t *error)
{
    const struct kit_sqlite_settings *settings = conn->settings;
    bool wal = !settings->memory && !(settings->flags & (CASGI_SQLITE_READONLY | CASGI_SQLITE_NO_WAL));
    (void)sqlite3_extended_result_codes(conn->handle, 1);
    (void)sqlite3_busy_handler(conn->handle, on_busy, conn);
    sqlite3_progress_handler(conn->handle, PROGRESS_STEPS, on_progress, conn);
    int rc = wal ? kit_sqlite_conn_script(conn, "pragma journal_mode = wal", error) : 0;
    return rc || !settings->setup ? rc : kit_sqlite_conn_script(conn, settings->setup, error);
}

int kit_sqlite_conn_open(struct casgi_sqlite_conn *conn, casgi_sqlite_error_t *error)
{
    const struct kit_sqlite_settings *settings = conn->settings;
    int flags =
        settings->flags & CASGI_SQLITE_READONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (conn->handle) {
        return 0;
    }
    int number = sqlite3_open_v2(settings->path, &conn->handle, flags | SQLITE_OPEN_NOMUTEX, NULL /* system */);
    int rc = number == SQLITE_OK ? set_up(conn, error) : kit_sqlite_fail_number(error, conn->handle, number);
    if (number != SQLITE_OK && error) {
        (void)snprintf(error->message, sizeof(error->message), "cannot open %s: %s", settings->path,
                       sqlite3_errstr(number));
    }
    if (rc) {
        close_handle(conn);
    }
    return rc;
}

void kit_sqlite_conn_free(struct casgi_sqlite_conn *conn)
{
    for (struct kit_cache_entry *entry; (entry = kit_cache_any(&conn->statements));) {
        forget(conn, entry);
    }
    kit_cache_release(&conn->statements);
    close_handle(conn);
    free(conn);
}
