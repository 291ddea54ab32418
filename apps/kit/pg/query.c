#include "pg/impl.h"

#include <stdlib.h>

/* ---- on a connection ---- */

int casgi_pg_conn_batch(casgi_pg_conn_t *conn, casgi_pg_query_t *queries, size_t count, casgi_pg_error_t *out_error)
{
    struct kit_pg_batch batch = { .queries = queries, .count = count };
    for (size_t i = 0; i < count; i++) {
        queries[i].result = NULL;
    }
    return kit_pg_batch_run(conn, &batch, out_error);
}

int casgi_pg_conn_query(casgi_pg_conn_t *conn, const char *sql, const char *const *params, size_t param_count,
                        casgi_pg_result_t **out_result, casgi_pg_error_t *out_error)
{
    casgi_pg_query_t query = { .sql = sql, .params = params, .param_count = param_count };
    int rc = casgi_pg_conn_batch(conn, &query, 1, out_error);
    if (!rc && out_result) {
        *out_result = query.result;
    } else {
        PQclear(query.result);
    }
    return rc;
}

int casgi_pg_conn_each(casgi_pg_conn_t *conn, const char *sql, const char *const *params, size_t param_count,
                       int (*on_row)(casgi_pg_result_t *row, void *arg), void *arg, casgi_pg_error_t *out_error)
{
    casgi_pg_query_t query = { .sql = sql, .params = params, .param_count = param_count };
    struct kit_pg_batch batch = { .queries = &query, .count = 1, .on_row = on_row, .arg = arg };
    return kit_pg_batch_run(conn, &batch, out_error);
}

int casgi_pg_conn_script(casgi_pg_conn_t *conn, const char *sql, casgi_pg_error_t *out_error)
{
    casgi_pg_query_t query = { .sql = sql };
    struct kit_pg_batch batch = { .queries = &query, .count = 1, .unprepared = true, .simple = true };
    int rc = kit_pg_batch_run(conn, &batch, out_error);
    PQclear(query.result);
    return rc;
}

struct pg_conn *casgi_pg_conn_raw(casgi_pg_conn_t *conn)
{
    return conn->handle;
}

void casgi_pg_conn_discard(casgi_pg_conn_t *conn)
{
    conn->broken = true;
}

/* ---- on any connection ---- */

int casgi_pg_query(casgi_pg_t *pg, const char *sql, const char *const *params, size_t param_count,
                   casgi_pg_result_t **out_result, casgi_pg_error_t *out_error)
{
    casgi_pg_conn_t *conn;
    int rc = casgi_pg_acquire(pg, &conn, out_error);
    if (rc) {
        return rc;
    }
    rc = casgi_pg_conn_query(conn, sql, params, param_count, out_result, out_error);
    casgi_pg_release(conn);
    return rc;
}

int casgi_pg_batch(casgi_pg_t *pg, casgi_pg_query_t *queries, size_t count, casgi_pg_error_t *out_error)
{
    casgi_pg_conn_t *conn;
    int rc = casgi_pg_acquire(pg, &conn, out_error);
    if (rc) {
        return rc;
    }
    rc = casgi_pg_conn_batch(conn, queries, count, out_error);
    casgi_pg_release(conn);
    return rc;
}
