#include "pg/impl.h"

#include "common/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PRUNE_EVERY = 1000000 }; /* microseconds */

/* ---- making and freeing ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static void pool_unref(casgi_pg_t *pg)
{
    if (--pg->references == 0) {
        free(pg->conninfo);
        free(pg->setup);
        free(pg);
    }
}

static int check_conninfo(const char *conninfo, casgi_pg_error_t *error)
{
    char *message = NULL;
    PQconninfoOption *parsed = PQconninfoParse(conninfo, &message);
    int rc = parsed ? 0 : kit_pg_fail(error, CASGI_EINVAL, "%s", message ? message : "out of memory");
    PQconninfoFree(parsed);
    PQfreemem(message);
    return rc;
}

static int take_options(casgi_pg_t *pg, const casgi_pg_options_t *options)
{
    *pg = (casgi_pg_t){
        .conninfo = strdup(options->conninfo ? options->conninfo : ""),
        .setup = options->setup ? strdup(options->setup) : NULL,
        .max_connections = or_default(options->max_connections, 10),
        .statement_cache = options->flags & CASGI_PG_UNPREPARED ? 0 : or_default(options->statement_cache, 256),
        .connect_timeout_ms = or_default(options->connect_timeout_ms, 10000),
        .cancel_timeout_ms = or_default(options->cancel_timeout_ms, 2000),
        .idle_timeout_ms = or_default(options->idle_timeout_ms, 600000),
        .references = 1,
    };
    pg->free = (casgi_semaphore_t)CASGI_SEMAPHORE_INIT(pg->max_connections);
    return pg->conninfo && (pg->setup || !options->setup) ? 0 : CASGI_ENOMEM;
}

int casgi_pg_new(const casgi_pg_options_t *options, casgi_pg_t **out_pg, casgi_pg_error_t *out_error)
{
    int rc = check_conninfo(options->conninfo ? options->conninfo : "", out_error);
    if (rc) {
        return rc;
    }
    kit_keep_library((void (*)(void))PQconnectPoll);
    casgi_pg_t *pg = malloc(sizeof(*pg));
    if (!pg) {
        return kit_pg_fail(out_error, CASGI_ENOMEM, "out of memory");
    }
    if (take_options(pg, options)) {
        pool_unref(pg);
        return kit_pg_fail(out_error, CASGI_ENOMEM, "out of memory");
    }
    *out_pg = pg;
    return 0;
}

/* ---- idle connections ---- */

static struct casgi_pg_conn *pop_idle(casgi_pg_t *pg)
{
    struct casgi_pg_conn *conn = pg->idle;
    if (conn) {
        pg->idle = conn->next;
        pg->stats.idle--;
    }
    return conn;
}

static void push_idle(casgi_pg_t *pg, struct casgi_pg_conn *conn)
{
    conn->idle_since = casgi_now();
    conn->next = pg->idle;
    pg->idle = conn;
    pg->stats.idle++;
}

/* Reads what came while nobody asked: notices, and the last words of a server that went away. Twice, as the end of the
 * connection is only seen by the read after them. */
static bool read_unasked(struct casgi_pg_conn *conn)
{
    bool alive = true;
    for (int reads = 0; alive && reads < 2; reads++) {
        alive = PQconsumeInput(conn->handle) && !PQisBusy(conn->handle) && !conn->broken;
    }
    for (PGnotify *notify; alive && (notify = PQnotifies(conn->handle));) {
        PQfreemem(notify); /* nobody listens any more */
    }
    return alive && PQstatus(conn->handle) == CONNECTION_OK;
}

/* In the common case one system call: nothing came. */
static bool is_alive(struct casgi_pg_conn *conn)
{
    char byte;
    ssize_t size = recv(PQsocket(conn->handle), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    bool alive = size < 0 ? errno == EAGAIN : size > 0 && read_unasked(conn);
    conn->broken = !alive;
    return alive;
}

static struct casgi_pg_conn *take_living(casgi_pg_t *pg)
{
    struct casgi_pg_conn *conn;
    while ((conn = pop_idle(pg)) && !is_alive(conn)) {
        kit_pg_conn_close(conn);
    }
    return conn;
}

/* The list is by the time of use: behind one that is idle for too long all are. */
static void prune(casgi_pg_t *pg)
{
    uint64_t now = casgi_now(), limit = (uint64_t)pg->idle_timeout_ms * 1000;
    struct casgi_pg_conn **link = &pg->idle, *conn;
    if (now < pg->next_prune) {
        return;
    }
    pg->next_prune = now + PRUNE_EVERY;
    while (*link && now - (*link)->idle_since <= limit) {
        link = &(*link)->next;
    }
    while ((conn = *link)) {
        *link = conn->next;
        pg->stats.idle--;
        kit_pg_conn_close(conn);
    }
}

void casgi_pg_free(casgi_pg_t *pg)
{
    if (!pg) {
        return;
    }
    pg->closed = true;
    for (struct casgi_pg_conn *conn; (conn = pop_idle(pg));) {
        kit_pg_conn_close(conn);
    }
    (void)casgi_semaphore_release(&pg->free); /* who waits sees that it is closed, and hands this on */
    pool_unref(pg);
}

void casgi_pg_stats(const casgi_pg_t *pg, casgi_pg_stats_t *out_stats)
{
    *out_stats = pg->stats;
}

/* ---- lending ---- */

static int wait_turn(casgi_pg_t *pg, casgi_pg_error_t *error)
{
    pg->stats.waiting++;
    int rc = casgi_semaphore_acquire(&pg->free);
    pg->stats.waiting--;
    if (rc) {
        return kit_pg_fail(error, rc, "no connection became free (%u in use): %s", pg->stats.open - pg->stats.idle,
                           casgi_strerror(rc));
    }
    return 0;
}

static int take(casgi_pg_t *pg, struct casgi_pg_conn **out_conn, casgi_pg_error_t *error)
{
    int rc = wait_turn(pg, error);
    if (rc) {
        return rc;
    }
    struct casgi_pg_conn *conn = pg->closed ? NULL : take_living(pg);
    if (pg->closed) {
        rc = kit_pg_fail(error, CASGI_ECLOSED, "the pool has been freed");
    } else if (!conn) {
        rc = kit_pg_conn_open(pg, &conn, error);
    }
    if (rc) {
        (void)casgi_semaphore_release(&pg->free);
        return rc;
    }
    *out_conn = conn;
    return 0;
}

int casgi_pg_acquire(casgi_pg_t *pg, casgi_pg_conn_t **out_conn, casgi_pg_error_t *out_error)
{
    pg->references++;
    int rc = take(pg, out_conn, out_error);
    if (rc) {
        pool_unref(pg);
    }
    return rc;
}

static bool leave_transaction(struct casgi_pg_conn *conn)
{
    conn->depth = 0;
    switch (PQtransactionStatus(conn->handle)) {
    case PQTRANS_IDLE:
        return true;
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR:
        return !kit_pg_command_shielded(conn, "rollback", /* bounded */ true, NULL /* error */);
    default:
        return false;
    }
}

void casgi_pg_release(casgi_pg_conn_t *conn)
{
    if (!conn) {
        return;
    }
    casgi_pg_t *pg = conn->pool;
    if (!conn->broken && !leave_transaction(conn)) {
        conn->broken = true;
    }
    if (conn->broken || conn->listening || pg->closed) {
        kit_pg_conn_close(conn);
    } else {
        push_idle(pg, conn);
        prune(pg);
    }
    (void)casgi_semaphore_release(&pg->free);
    pool_unref(pg);
}
