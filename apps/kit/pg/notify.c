/* libpq keeps notifications that came between the results of statements; others are read here. */
#include "pg/impl.h"

static int check(const struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    if (conn->busy) {
        return kit_pg_fail(error, CASGI_EBUSY, "another task is using this connection");
    }
    if (conn->broken) {
        return kit_pg_fail(error, CASGI_EIO, "this connection has been lost");
    }
    if (PQtransactionStatus(conn->handle) != PQTRANS_IDLE) {
        return kit_pg_fail(error, CASGI_EINVAL, "inside a transaction no notifications come");
    }
    return 0;
}

static int wait_readable(struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    int rc = casgi_wait_fd(PQsocket(conn->handle), CASGI_FD_READABLE, NULL /* out_events */);
    return rc ? kit_pg_fail(error, rc, "waiting for a notification: %s", casgi_strerror(rc)) : 0;
}

/* Reads before it waits: what TLS has taken from the socket already does not make it readable. */
static int await(struct casgi_pg_conn *conn, PGnotify **out_notify, casgi_pg_error_t *error)
{
    bool all_read = false;
    while (!(*out_notify = PQnotifies(conn->handle))) {
        int rc = all_read ? wait_readable(conn, error) : 0;
        rc = rc ? rc : kit_pg_consume(conn, error);
        if (rc) {
            return rc;
        }
        all_read = true;
    }
    return 0;
}

int casgi_pg_conn_next_notification(casgi_pg_conn_t *conn, casgi_pg_notification_t *out_notification,
                                    casgi_pg_error_t *out_error)
{
    PGnotify *notify = NULL;
    int rc = check(conn, out_error);
    if (rc) {
        return rc;
    }
    conn->busy = conn->listening = true;
    rc = await(conn, &notify, out_error);
    conn->busy = false;
    if (rc) {
        return rc;
    }
    PQfreemem(conn->notification);
    conn->notification = notify;
    *out_notification = (casgi_pg_notification_t){ notify->relname, notify->extra, notify->be_pid, 0, { 0 } };
    return 0;
}
