#include "pg/impl.h"

#include <stdlib.h>
#include <string.h>

enum {
    PLANS_ON_STACK = 8,
    PARAMS_MAX = 65535,    /* of the protocol */
    CANCEL_AGAIN_MS = 250, /* a cancel request that came between two statements had no effect */
    TLS_READS = 2,         /* libpq reads at most half a TLS record at once; the rest no epoll tells of */
};

/* ---- reading and writing ---- */

static int lost(struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    conn->broken = true;
    return kit_pg_fail_handle(error, CASGI_EIO, conn->handle);
}

int kit_pg_consume(struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    int reads = PQsslInUse(conn->handle) ? TLS_READS : 1;
    for (int i = 0; i < reads; i++) {
        if (!PQconsumeInput(conn->handle)) {
            return lost(conn, error);
        }
    }
    return 0;
}

/* Until the next result can be taken without blocking. */
static int wait_result(struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    int unsent = 1;
    while (PQisBusy(conn->handle)) {
        unsent = unsent ? PQflush(conn->handle) : 0;
        if (unsent < 0) {
            return lost(conn, error);
        }
        uint32_t events = unsent ? CASGI_FD_READABLE | CASGI_FD_WRITABLE : CASGI_FD_READABLE;
        int rc = casgi_wait_fd(PQsocket(conn->handle), events, &events);
        if (rc) {
            return kit_pg_fail(error, rc, "waiting for the answer: %s", casgi_strerror(rc));
        }
        rc = events & CASGI_FD_READABLE ? kit_pg_consume(conn, error) : 0;
        if (rc) {
            return rc;
        }
    }
    return 0;
}

/* ---- taking results ---- */

/* The next answer that will come: the first from (at, phase) on that was asked for. */
static void find_answer(struct casgi_pg_conn *conn, struct kit_pg_batch *batch)
{
    for (; batch->at < batch->count; batch->at++, batch->phase = KIT_PG_EVICT) {
        const struct kit_pg_plan *plan = &batch->plans[batch->at];
        if (batch->phase == KIT_PG_EVICT && plan->evicted) {
            return;
        }
        if (batch->phase <= KIT_PG_PREPARE && plan->prepare) {
            batch->phase = KIT_PG_PREPARE;
            return;
        }
        if (batch->phase <= KIT_PG_EXECUTE) {
            batch->phase = KIT_PG_EXECUTE;
            if (batch->on_row) {
                (void)PQsetSingleRowMode(conn->handle);
            }
            return;
        }
    }
}

/* The statement was prepared for tables that have changed since, or is not there any more (a pooler in between has
 * changed servers). It failed before it began. */
static bool is_stale(const struct kit_pg_batch *batch)
{
    const struct kit_pg_plan *plan = batch->at < batch->count && !batch->simple ? &batch->plans[batch->at] : NULL;
    if (!plan || !plan->statement) {
        return false;
    }
    bool missing = strcmp(batch->error.sqlstate, "26000") == 0;
    bool changed = strcmp(batch->error.sqlstate, "0A000") == 0;
    return batch->phase == KIT_PG_EVICT ? missing : !plan->prepare && (missing || changed);
}

/* The first failure counts; those that follow are its echo. After a fatal one the server closes the connection. */
static void fail(struct casgi_pg_conn *conn, struct kit_pg_batch *batch, const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    bool over = PQstatus(conn->handle) == CONNECTION_BAD || (severity && strcmp(severity, "ERROR") != 0);
    conn->broken = conn->broken || over;
    if (!batch->rc) {
        batch->rc = kit_pg_fail_result(&batch->error, over ? CASGI_EIO : CASGI_EFAILED, result);
        batch->stale = is_stale(batch);
        batch->failed_at = batch->at;
    }
}

/* Copying needs a conversation of its own, which this is not. */
static void refuse_copy(struct casgi_pg_conn *conn, struct kit_pg_batch *batch)
{
    conn->broken = true;
    if (!batch->rc) {
        batch->rc = kit_pg_fail(&batch->error, CASGI_ENOTSUP, "copy from or to the client is not supported");
    }
}

static void keep_result(struct kit_pg_batch *batch, PGresult *result)
{
    if (batch->at < batch->count && batch->phase == KIT_PG_EXECUTE && !batch->rc && !batch->on_row) {
        PQclear(batch->queries[batch->at].result);
        batch->queries[batch->at].result = result;
    } else {
        PQclear(result);
    }
}

/* Rows one by one; what has no rows ends without a result. */
static void give_row(struct kit_pg_batch *batch, PGresult *result)
{
    if (!batch->rc) {
        batch->rc = batch->on_row(result, batch->arg);
        batch->stopped = batch->rc != 0;
    }
    PQclear(result);
}

static void take_result(struct casgi_pg_conn *conn, struct kit_pg_batch *batch, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
        if (batch->at < batch->count && batch->phase == KIT_PG_PREPARE) {
            batch->plans[batch->at].prepared = true;
            conn->pool->stats.prepared++;
        }
        keep_result(batch, result);
        return;
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        keep_result(batch, result);
        return;
    case PGRES_SINGLE_TUPLE:
        give_row(batch, result);
        return;
    case PGRES_PIPELINE_SYNC:
        batch->complete = true;
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        refuse_copy(conn, batch);
        break;
    default:
        fail(conn, batch, result);
        break;
    }
    PQclear(result);
}

/* The end of an answer. */
static int take_end(struct casgi_pg_conn *conn, struct kit_pg_batch *batch)
{
    if (PQstatus(conn->handle) == CONNECTION_BAD) {
        return lost(conn, batch->rc ? NULL : &batch->error);
    }
    if (batch->simple) {
        batch->complete = true;
    } else if (batch->at == batch->count) {
        conn->broken = true; /* more ends than answers: we have lost count */
        return kit_pg_fail(batch->rc ? NULL : &batch->error, CASGI_EIO, "an answer that was not asked for");
    } else {
        batch->phase = (enum kit_pg_phase)(batch->phase + 1);
        find_answer(conn, batch);
    }
    return 0;
}

/* Until the batch is complete, on_row has had enough, or the connection is lost. */
static int take_results(struct casgi_pg_conn *conn, struct kit_pg_batch *batch)
{
    int rc = 0;
    bool stopped = batch->stopped;
    while (!rc && !batch->complete && batch->stopped == stopped) {
        rc = wait_result(conn, batch->rc ? NULL : &batch->error);
        PGresult *result = rc ? NULL : PQgetResult(conn->handle);
        if (result) {
            take_result(conn, batch, result);
        } else if (!rc) {
            rc = take_end(conn, batch);
        }
        if (conn->broken && !rc) {
            rc = batch->rc;
        }
    }
    return rc;
}

/* ---- cancelling what runs ---- */

static void free_cancel(void *arg)
{
    PQfreeCancel(arg);
}

/* [thread] Connects, says which session is meant, waits until the server has closed: blocking. */
static int send_cancel(void *arg)
{
    char text[256];
    return PQcancel(arg, text, sizeof(text)) ? 0 : CASGI_EIO;
}

static int request_cancel(struct casgi_pg_conn *conn)
{
    int result = 0;
    PGcancel *cancel = PQgetCancel(conn->handle);
    if (!cancel) {
        return CASGI_ENOMEM;
    }
    int rc = casgi_to_thread_owned(send_cancel, cancel, free_cancel, &result);
    if (!rc) {
        free_cancel(cancel);
    }
    return rc ? rc : result;
}

static int cancel_once(struct casgi_pg_conn *conn, struct kit_pg_batch *batch, uint64_t milliseconds)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, milliseconds < CANCEL_AGAIN_MS ? milliseconds : CANCEL_AGAIN_MS);
    if (rc) {
        return rc;
    }
    rc = request_cancel(conn);
    rc = rc ? rc : take_results(conn, batch);
    (void)casgi_deadline_end(&deadline);
    return rc;
}

/* Ends what the server is still doing for us, and takes what is left of its answers, so that the connection can be used
 * again; if that cannot be done in time it is broken. */
static void recover(struct casgi_pg_conn *conn, struct kit_pg_batch *batch, int reason)
{
    uint64_t end = casgi_now() + (uint64_t)conn->pool->cancel_timeout_ms * 1000, now;
    int rc = CASGI_ETIMEDOUT;
    conn->pool->stats.cancelled++;
    batch->rc = batch->rc ? batch->rc : reason;
    (void)casgi_shield_begin();
    while (rc == CASGI_ETIMEDOUT && !conn->broken && (now = casgi_now()) < end) {
        rc = cancel_once(conn, batch, (end - now) / 1000 + 1);
    }
    (void)casgi_shield_end();
    conn->broken = conn->broken || !batch->complete;
}

/* ---- sending ---- */

static int send_one(struct casgi_pg_conn *conn, const casgi_pg_query_t *query, const struct kit_pg_plan *plan)
{
    char name[KIT_PG_NAME_SIZE], text[KIT_PG_NAME_SIZE + 16] = "deallocate ";
    const int count = (int)query->param_count;
    int sent = 1;
    if (plan->evicted) {
        kit_pg_statement_name(plan->evicted, text + strlen(text));
        sent = PQsendQueryParams(conn->handle, text, 0, NULL, NULL, NULL, NULL, 0);
    }
    if (!plan->statement) {
        return sent && PQsendQueryParams(conn->handle, query->sql, count, NULL /* types */, query->params,
                                         NULL /* lengths */, NULL /* formats */, 0 /* text */);
    }
    kit_pg_statement_name(plan->statement, name);
    if (sent && plan->prepare) {
        sent = PQsendPrepare(conn->handle, name, query->sql, 0, NULL /* types */);
    }
    return sent && PQsendQueryPrepared(conn->handle, name, count, query->params, NULL /* lengths */, NULL /* formats */,
                                       0 /* text */);
}

/* What fails here has been sent in part: the connection cannot be used any more. */
static int send_all(struct casgi_pg_conn *conn, struct kit_pg_batch *batch)
{
    if (batch->simple) {
        return PQsendQuery(conn->handle, batch->queries->sql) ? 0 : lost(conn, &batch->error);
    }
    if (!PQenterPipelineMode(conn->handle)) {
        return lost(conn, &batch->error);
    }
    for (size_t i = 0; i < batch->count; i++) {
        int rc = batch->unprepared ? 0 : kit_pg_plan_make(conn, batch->queries[i].sql, &batch->plans[i]);
        if (rc) {
            conn->broken = true;
            return kit_pg_fail(&batch->error, rc, "out of memory");
        }
        if (!send_one(conn, &batch->queries[i], &batch->plans[i])) {
            return lost(conn, &batch->error);
        }
    }
    return PQpipelineSync(conn->handle) ? 0 : lost(conn, &batch->error);
}

/* ---- a batch ---- */

static int check(struct kit_pg_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->queries[i].sql || batch->queries[i].param_count > PARAMS_MAX) {
            return kit_pg_fail(&batch->error, CASGI_EINVAL, "query %zu has %s", i,
                               batch->queries[i].sql ? "more than 65535 values" : "no text");
        }
    }
    return 0;
}

static void settle_plans(struct casgi_pg_conn *conn, const struct kit_pg_batch *batch)
{
    for (size_t i = 0; i < batch->count && !batch->simple; i++) {
        if (batch->plans[i].prepare && !batch->plans[i].prepared) {
            kit_pg_plan_forget(conn, batch->queries[i].sql, &batch->plans[i]);
        }
    }
}

static void drop_results(struct kit_pg_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        PQclear(batch->queries[i].result);
        batch->queries[i].result = NULL;
    }
}

static int exchange(struct casgi_pg_conn *conn, struct kit_pg_batch *batch)
{
    int rc = send_all(conn, batch);
    if (!rc) {
        find_answer(conn, batch);
        rc = take_results(conn, batch);
        if (!batch->complete && !conn->broken) {
            recover(conn, batch, rc);
        }
    }
    settle_plans(conn, batch);
    if (!conn->broken && !batch->simple && !PQexitPipelineMode(conn->handle)) {
        conn->broken = true;
    }
    batch->rc = batch->rc ? batch->rc : rc;
    if (batch->rc) {
        drop_results(batch);
    }
    return batch->rc;
}

static void forget_all(struct casgi_pg_conn *conn, const struct kit_pg_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        kit_pg_plan_forget(conn, batch->queries[i].sql, &batch->plans[i]);
    }
}

/* What failed at its first statement because of a stale name, outside of transactions, has done nothing yet and is done
 * again with a new one. */
static int exchange_twice(struct casgi_pg_conn *conn, struct kit_pg_batch *batch)
{
    bool idle = PQtransactionStatus(conn->handle) == PQTRANS_IDLE;
    struct kit_pg_batch again = *batch;
    int rc = exchange(conn, batch);
    if (!rc || !batch->stale || conn->broken) {
        return rc;
    }
    forget_all(conn, batch);
    if (!idle || batch->failed_at) {
        return rc;
    }
    memset(batch->plans, 0, batch->count * sizeof(*batch->plans));
    *batch = again;
    return exchange(conn, batch);
}

static int with_plans(struct casgi_pg_conn *conn, struct kit_pg_batch *batch)
{
    struct kit_pg_plan few[PLANS_ON_STACK] = { 0 };
    bool many = batch->count > PLANS_ON_STACK;
    int rc = check(batch);
    if (rc) {
        return rc;
    }
    batch->plans = many ? calloc(batch->count, sizeof(*batch->plans)) : few;
    if (!batch->plans) {
        return kit_pg_fail(&batch->error, CASGI_ENOMEM, "out of memory");
    }
    rc = exchange_twice(conn, batch);
    if (many) {
        free(batch->plans);
    }
    batch->plans = NULL;
    return rc;
}

int kit_pg_batch_run(struct casgi_pg_conn *conn, struct kit_pg_batch *batch, casgi_pg_error_t *error)
{
    if (conn->busy) {
        return kit_pg_fail(error, CASGI_EBUSY, "another task is using this connection");
    }
    if (conn->broken) {
        return kit_pg_fail(error, CASGI_EIO, "this connection has been lost");
    }
    conn->busy = true;
    batch->unprepared = batch->unprepared || !conn->pool->statement_cache;
    int rc = with_plans(conn, batch);
    conn->busy = false;
    if (rc && error && !batch->stopped) {
        *error = batch->error;
    }
    return rc;
}

int kit_pg_command(struct casgi_pg_conn *conn, const char *sql, casgi_pg_error_t *error)
{
    casgi_pg_query_t query = { .sql = sql };
    struct kit_pg_batch batch = { .queries = &query, .count = 1, .unprepared = true };
    int rc = kit_pg_batch_run(conn, &batch, error);
    PQclear(query.result);
    return rc;
}

int kit_pg_command_shielded(struct casgi_pg_conn *conn, const char *sql, bool bounded, casgi_pg_error_t *error)
{
    casgi_deadline_t deadline;
    (void)casgi_shield_begin();
    bounded = bounded && casgi_deadline_begin(&deadline, conn->pool->cancel_timeout_ms) == 0;
    int rc = kit_pg_command(conn, sql, error);
    if (bounded) {
        (void)casgi_deadline_end(&deadline);
    }
    (void)casgi_shield_end();
    return rc;
}
