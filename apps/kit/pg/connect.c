/* Connecting blocks in places that libpq's non-blocking interface cannot avoid: names are looked up, files are read,
 * Kerberos asks its servers; and passwords and TLS compute for milliseconds. So each step of PQconnectPoll runs on a
 * thread, one after another, and only the waits in between are the loop's. An attempt that is given up while a step
 * runs is finished by that step's thread. */
#include "pg/impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct attempt {
    PGconn *handle; /* NULL: not begun */
    PostgresPollingStatusType status;
    char conninfo[];
};

static struct attempt *attempt_new(const char *conninfo)
{
    size_t size = strlen(conninfo) + 1;
    struct attempt *attempt = malloc(sizeof(*attempt) + size);
    if (attempt) {
        attempt->handle = NULL;
        memcpy(attempt->conninfo, conninfo, size);
    }
    return attempt;
}

static void attempt_free(void *arg)
{
    struct attempt *attempt = arg;
    PQfinish(attempt->handle);
    free(attempt);
}

/* What the conninfo says itself comes after these, and counts. */
static PGconn *begin(const char *conninfo)
{
    static const char *const names[] = { "fallback_application_name", "client_encoding", "tcp_user_timeout", "dbname",
                                         NULL };
    const char *values[] = { "casgi", "UTF8", "30000", conninfo, NULL };
    return PQconnectStartParams(names, values, 1 /* dbname is a conninfo */);
}

/* [thread] */
static int step(void *arg)
{
    struct attempt *attempt = arg;
    if (attempt->handle) {
        attempt->status = PQconnectPoll(attempt->handle);
        return 0;
    }
    attempt->handle = begin(attempt->conninfo);
    attempt->status =
        attempt->handle && PQstatus(attempt->handle) != CONNECTION_BAD ? PGRES_POLLING_WRITING : PGRES_POLLING_FAILED;
    return attempt->handle ? 0 : CASGI_ENOMEM;
}

static int wait_socket(struct attempt *attempt)
{
    uint32_t events = attempt->status == PGRES_POLLING_READING ? CASGI_FD_READABLE : CASGI_FD_WRITABLE;
    return casgi_wait_fd(PQsocket(attempt->handle), events, NULL /* out_events */);
}

/* Consumes the attempt. */
static int attempt_run(struct attempt *attempt, PGconn **out_handle, casgi_pg_error_t *error)
{
    int rc, result = 0;
    for (;;) {
        rc = casgi_to_thread_owned(step, attempt, attempt_free, &result);
        if (rc) {
            return kit_pg_fail(error, rc, "connecting: %s", casgi_strerror(rc));
        }
        if (result || attempt->status == PGRES_POLLING_FAILED || attempt->status == PGRES_POLLING_OK) {
            break;
        }
        rc = wait_socket(attempt);
        if (rc) {
            attempt_free(attempt);
            return kit_pg_fail(error, rc, "connecting: %s", casgi_strerror(rc));
        }
    }
    if (attempt->status == PGRES_POLLING_OK) {
        *out_handle = attempt->handle;
        attempt->handle = NULL;
    } else {
        rc = result ? kit_pg_fail(error, result, "out of memory")
                    : kit_pg_fail_handle(error, CASGI_EIO, attempt->handle);
    }
    attempt_free(attempt);
    return rc;
}

/* Also what the server says when nobody asked: a fatal error is its last word. */
static void on_notice(void *arg, const PGresult *result)
{
    struct casgi_pg_conn *conn = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    conn->broken = conn->broken || (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0));
    casgi_log(CASGI_LOG_DEBUG, "PostgreSQL: %s", PQresultErrorMessage(result));
}

static int set_up(struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    (void)PQsetNoticeReceiver(conn->handle, on_notice, conn);
    if (PQsetnonblocking(conn->handle, 1)) {
        return kit_pg_fail_handle(error, CASGI_EIO, conn->handle);
    }
    return conn->pool->setup ? casgi_pg_conn_script(conn, conn->pool->setup, error) : 0;
}

static int open_conn(struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    struct attempt *attempt = attempt_new(conn->pool->conninfo);
    if (!attempt) {
        return kit_pg_fail(error, CASGI_ENOMEM, "out of memory");
    }
    int rc = attempt_run(attempt, &conn->handle, error);
    return rc ? rc : set_up(conn, error);
}

static int open_in_time(struct casgi_pg_conn *conn, casgi_pg_error_t *error)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, conn->pool->connect_timeout_ms);
    if (rc) {
        return kit_pg_fail(error, rc, "connecting: %s", casgi_strerror(rc));
    }
    rc = open_conn(conn, error);
    if (casgi_deadline_end(&deadline) == CASGI_ETIMEDOUT && rc == CASGI_ETIMEDOUT) {
        (void)kit_pg_fail(error, rc, "no connection within %u ms", conn->pool->connect_timeout_ms);
    }
    return rc;
}

int kit_pg_conn_open(casgi_pg_t *pg, struct casgi_pg_conn **out_conn, casgi_pg_error_t *error)
{
    struct casgi_pg_conn *conn = calloc(1, sizeof(*conn));
    if (!conn) {
        return kit_pg_fail(error, CASGI_ENOMEM, "out of memory");
    }
    conn->pool = pg;
    kit_cache_init(&conn->statements, pg->statement_cache);
    pg->stats.open++;
    int rc = open_in_time(conn, error);
    if (rc) {
        kit_pg_conn_close(conn);
        return rc;
    }
    pg->stats.connected++;
    *out_conn = conn;
    return 0;
}

void kit_pg_conn_close(struct casgi_pg_conn *conn)
{
    conn->pool->stats.open--;
    conn->pool->stats.dropped += conn->broken;
    PQfreemem(conn->notification);
    PQfinish(conn->handle); /* NULL: it was not made */
    kit_cache_release(&conn->statements);
    free(conn);
}
