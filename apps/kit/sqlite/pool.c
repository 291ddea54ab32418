/* The loop's side: who may use a connection, and the jobs that go to threads. Writers hold `writer` around the whole
 * call, so that they neither occupy threads nor keep connections from readers while they wait for each other. */
#include "sqlite/impl.h"

#include <stdlib.h>
#include <string.h>

struct casgi_sqlite {
    struct kit_sqlite_settings settings;
    casgi_semaphore_t free;
    casgi_lock_t writer;
    struct casgi_sqlite_conn *idle; /* the last used first */
    size_t references;              /* its owner's, and one of each call */
    bool closed;
};

/* One call, in the frame of its task. */
struct job {
    struct casgi_sqlite_conn *conn;
    casgi_sqlite_fn_t fn;
    void *arg;
    casgi_sqlite_error_t *error;
    bool transaction;
    bool done; /* rc is fn's */
    int rc;
};

/* ---- making and freeing ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static int take_settings(struct kit_sqlite_settings *settings, const casgi_sqlite_options_t *options)
{
    const char *path = options->path ? options->path : ":memory:";
    bool memory = strcmp(path, ":memory:") == 0;
    *settings = (struct kit_sqlite_settings){
        .path = strdup(path),
        .setup = options->setup ? strdup(options->setup) : NULL,
        .max_connections = memory ? 1 : or_default(options->max_connections, 4),
        .statement_cache = or_default(options->statement_cache, 64),
        .busy_timeout_ms = or_default(options->busy_timeout_ms, 5000),
        .flags = options->flags,
        .result_limit = options->result_limit ? options->result_limit : (size_t)64 << 20,
        .memory = memory,
    };
    return settings->path && (settings->setup || !options->setup) ? 0 : CASGI_ENOMEM;
}

static void pool_unref(casgi_sqlite_t *db)
{
    if (--db->references == 0) {
        free(db->settings.path);
        free(db->settings.setup);
        free(db);
    }
}

int casgi_sqlite_new(const casgi_sqlite_options_t *options, casgi_sqlite_t **out_db, casgi_sqlite_error_t *out_error)
{
    casgi_sqlite_t *db = calloc(1, sizeof(*db));
    if (!db) {
        return kit_sqlite_fail(out_error, CASGI_ENOMEM, "out of memory");
    }
    db->references = 1;
    if (take_settings(&db->settings, options)) {
        pool_unref(db);
        return kit_sqlite_fail(out_error, CASGI_ENOMEM, "out of memory");
    }
    db->free = (casgi_semaphore_t)CASGI_SEMAPHORE_INIT(db->settings.max_connections);
    *out_db = db;
    return 0;
}

static int close_all(void *arg)
{
    for (struct casgi_sqlite_conn *conn = arg, *next; conn; conn = next) {
        next = conn->next;
        kit_sqlite_conn_free(conn);
    }
    return 0;
}

/* Closing writes to the file: on a thread, where there is one to be had, even for a cancelled task. */
static void close_conns(struct casgi_sqlite_conn *first)
{
    if (!first) {
        return;
    }
    bool shielded = casgi_shield_begin() == 0;
    int rc = casgi_to_thread(close_all, first);
    if (shielded) {
        (void)casgi_shield_end();
    }
    if (rc) {
        (void)close_all(first);
    }
}

void casgi_sqlite_free(casgi_sqlite_t *db)
{
    if (!db) {
        return;
    }
    struct casgi_sqlite_conn *idle = db->idle;
    db->idle = NULL;
    db->closed = true;
    (void)casgi_semaphore_release(&db->free); /* who waits sees that it is closed, and hands this on */
    close_conns(idle);
    pool_unref(db);
}

/* ---- connections ---- */

static void give_back(casgi_sqlite_t *db, struct casgi_sqlite_conn *conn)
{
    if (db->closed || conn->broken || !conn->handle) {
        conn->next = NULL;
        close_conns(conn);
    } else {
        conn->next = db->idle;
        db->idle = conn;
    }
    (void)casgi_semaphore_release(&db->free);
}

static struct casgi_sqlite_conn *take_idle(casgi_sqlite_t *db)
{
    struct casgi_sqlite_conn *conn = db->idle;
    if (!conn) {
        return kit_sqlite_conn_new(&db->settings);
    }
    db->idle = conn->next;
    return conn;
}

static int take(casgi_sqlite_t *db, struct casgi_sqlite_conn **out_conn, casgi_sqlite_error_t *error)
{
    int rc = casgi_semaphore_acquire(&db->free);
    if (rc) {
        return kit_sqlite_fail(error, rc, "no connection became free: %s", casgi_strerror(rc));
    }
    struct casgi_sqlite_conn *conn = db->closed ? NULL : take_idle(db);
    if (!conn) {
        (void)casgi_semaphore_release(&db->free);
        return db->closed ? kit_sqlite_fail(error, CASGI_ECLOSED, "the pool has been freed")
                          : kit_sqlite_fail(error, CASGI_ENOMEM, "out of memory");
    }
    *out_conn = conn;
    return 0;
}

/* ---- calls ---- */

static int run_job(void *arg)
{
    struct job *job = arg;
    int rc = kit_sqlite_conn_open(job->conn, job->error);
    job->rc = rc ? rc : kit_sqlite_conn_call(job->conn, job->transaction, job->fn, job->arg, job->error);
    job->done = true;
    return job->rc;
}

/* What was cancelled while it ran, and had its way all the same, has succeeded. */
static int run_on_thread(struct job *job)
{
    int rc = casgi_to_thread(run_job, job);
    if (job->done) {
        return job->rc;
    }
    return rc ? kit_sqlite_fail(job->error, rc, "the statement was not begun: %s", casgi_strerror(rc)) : 0;
}

static int run_as_writer(casgi_sqlite_t *db, struct job *job, bool writes)
{
    int rc = writes ? casgi_lock_acquire(&db->writer) : 0;
    if (rc) {
        return kit_sqlite_fail(job->error, rc, "waiting for other writers: %s", casgi_strerror(rc));
    }
    rc = take(db, &job->conn, job->error);
    if (!rc) {
        rc = run_on_thread(job);
        give_back(db, job->conn);
    }
    if (writes) {
        (void)casgi_lock_release(&db->writer);
    }
    return rc;
}

static int run(casgi_sqlite_t *db, struct job *job, bool writes)
{
    db->references++;
    int rc = run_as_writer(db, job, writes);
    pool_unref(db);
    return rc;
}

int casgi_sqlite_run(casgi_sqlite_t *db, casgi_sqlite_fn_t fn, void *arg, casgi_sqlite_error_t *out_error)
{
    struct job job = { .fn = fn, .arg = arg, .error = out_error };
    return run(db, &job, /* writes */ false);
}

int casgi_sqlite_transaction(casgi_sqlite_t *db, casgi_sqlite_fn_t fn, void *arg, casgi_sqlite_error_t *out_error)
{
    struct job job = { .fn = fn, .arg = arg, .error = out_error, .transaction = true };
    return run(db, &job, /* writes */ true);
}

struct statement {
    const char *sql;
    const casgi_sqlite_value_t *params;
    size_t param_count;
    casgi_sqlite_result_t **out_result;
    casgi_sqlite_error_t *error;
};

static int run_statement(casgi_sqlite_conn_t *conn, void *arg)
{
    const struct statement *one = arg;
    return casgi_sqlite_conn_query(conn, one->sql, one->params, one->param_count, one->out_result, one->error);
}

int casgi_sqlite_query(casgi_sqlite_t *db, const char *sql, const casgi_sqlite_value_t *params, size_t param_count,
                       casgi_sqlite_result_t **out_result, casgi_sqlite_error_t *out_error)
{
    struct statement one = { sql, params, param_count, out_result, out_error };
    struct job job = { .fn = run_statement, .arg = &one, .error = out_error };
    return run(db, &job, /* writes */ false);
}

int casgi_sqlite_execute(casgi_sqlite_t *db, const char *sql, const casgi_sqlite_value_t *params, size_t param_count,
                         casgi_sqlite_result_t **out_result, casgi_sqlite_error_t *out_error)
{
    struct statement one = { sql, params, param_count, out_result, out_error };
    struct job job = { .fn = run_statement, .arg = &one, .error = out_error };
    return run(db, &job, /* writes */ true);
}

static int run_script(casgi_sqlite_conn_t *conn, void *arg)
{
    const struct statement *all = arg;
    return kit_sqlite_conn_script(conn, all->sql, all->error);
}

int casgi_sqlite_script(casgi_sqlite_t *db, const char *sql, casgi_sqlite_error_t *out_error)
{
    struct statement all = { .sql = sql, .error = out_error };
    struct job job = { .fn = run_script, .arg = &all, .error = out_error, .transaction = true };
    return run(db, &job, /* writes */ true);
}
