#include "pg/impl.h"

#include <stdio.h>

enum { COMMAND_SIZE = 64 };

/* In the outermost transaction `outer`, in one inside it `inner` with the depth as the savepoint's name. */
static const char *command(const struct casgi_pg_conn *conn, const char *outer, const char *inner,
                           char text[COMMAND_SIZE])
{
    if (conn->depth == 0) {
        return outer;
    }
    (void)snprintf(text, COMMAND_SIZE, "%s casgi%u", inner, conn->depth);
    return text;
}

static int roll_back(struct casgi_pg_conn *conn)
{
    char text[COMMAND_SIZE];
    if (conn->broken) {
        return CASGI_EIO;
    }
    const char *sql = command(conn, "rollback", "rollback to savepoint", text);
    int rc = kit_pg_command_shielded(conn, sql, /* bounded */ true, NULL /* error */);
    conn->broken = conn->broken || rc;
    return rc;
}

/* A statement of it failed and fn has not said so: the server would answer a commit with a rollback. */
static int refuse(struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    (void)roll_back(conn);
    return kit_pg_fail(error, CASGI_EFAILED, "a statement of the transaction had failed: it was rolled back");
}

static int end(struct casgi_pg_conn *conn, int rc, casgi_pg_error_t *error)
{
    char text[COMMAND_SIZE];
    if (rc) {
        (void)roll_back(conn);
        return rc;
    }
    if (conn->broken) {
        return kit_pg_fail(error, CASGI_EIO, "this connection has been lost");
    }
    if (PQtransactionStatus(conn->handle) == PQTRANS_INERROR) {
        return refuse(conn, error);
    }
    rc = kit_pg_command_shielded(conn, command(conn, "commit", "release savepoint", text), /* bounded */ false, error);
    if (rc && conn->depth) {
        (void)roll_back(conn);
    }
    return rc;
}

int casgi_pg_conn_transaction(casgi_pg_conn_t *conn, const char *begin, int (*fn)(casgi_pg_conn_t *conn, void *arg),
                              void *arg, casgi_pg_error_t *out_error)
{
    char text[COMMAND_SIZE];
    int rc = kit_pg_command(conn, command(conn, begin ? begin : "begin", "savepoint", text), out_error);
    if (rc) {
        return rc;
    }
    conn->depth++;
    rc = fn(conn, arg);
    conn->depth--;
    return end(conn, rc, out_error);
}

int casgi_pg_transaction(casgi_pg_t *pg, const char *begin, int (*fn)(casgi_pg_conn_t *conn, void *arg), void *arg,
                         casgi_pg_error_t *out_error)
{
    casgi_pg_conn_t *conn;
    int rc = casgi_pg_acquire(pg, &conn, out_error);
    if (rc) {
        return rc;
    }
    rc = casgi_pg_conn_transaction(conn, begin, fn, arg, out_error);
    casgi_pg_release(conn);
    return rc;
}
