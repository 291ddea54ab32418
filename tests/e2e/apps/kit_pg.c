/* The probe of the kit's PostgreSQL client. `-- CONNINFO [MAX [CACHE]]`. The body of a request has SQL and values:
 *
 *   POST /query        the first line is the statement, each other one a value ("\N": NULL)
 *   POST /batch        such queries, with an empty line between them, in one round trip
 *   POST /transaction  statements, one a line, in a transaction: "fail" ends it with a failure, "ignore" does not
 *                      look at what the next one returns, "(" and ")" are a transaction inside
 *   POST /rows?N       the statement's rows one by one; after N rows it wants no more
 *   POST /listen?N     runs the first line, and waits for N notifications
 *   POST /script       statements separated by ";"
 *   POST /hold         runs the lines on one connection and keeps it until GET /let
 *   GET /discard       throws a connection away
 *   GET /stats, GET /free (the pool), GET /types
 *
 * A header x-deadline: MS sets a deadline around it. The answer's lines: "ok ROWS" and the rows, values separated by
 * "|"; "CHANNEL=PAYLOAD" of a notification; or "error CODE SQLSTATE constraint: message (detail)". */
#include "kit_probe.h"

#include <casgi/kit/pg.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 512, ANSWER = 262144 };

static struct {
    casgi_pg_t *pg;
    casgi_flag_t let;
    unsigned held; /* requests that wait for it */
} probe;

struct call {
    char *lines[LINES];
    size_t count;
    size_t next;
    long enough;
    long rows;
    casgi_pg_error_t error;
    char answer[ANSWER];
    size_t size;
};

static void say(struct call *call, const char *text)
{
    size_t size = strlen(text);
    if (size < ANSWER - call->size) {
        memcpy(call->answer + call->size, text, size + 1);
        call->size += size;
    }
}

static void say_row(struct call *call, const casgi_pg_result_t *result, int row)
{
    for (int i = 0; i < casgi_pg_columns(result); i++) {
        const char *value = casgi_pg_value(result, row, i);
        say(call, i ? "|" : "");
        say(call, value ? value : "\\N");
    }
    say(call, "\n");
}

static void say_result(struct call *call, const casgi_pg_result_t *result)
{
    char line[64];
    (void)snprintf(line, sizeof(line), "ok %lld\n", (long long)casgi_pg_affected(result));
    say(call, line);
    for (int i = 0; i < casgi_pg_rows(result); i++) {
        say_row(call, result, i);
    }
}

static void say_error(struct call *call, int rc)
{
    char line[1200];
    (void)snprintf(line, sizeof(line), "error %s %s %s: %s (%s)\n", name_of(rc),
                   call->error.sqlstate[0] ? call->error.sqlstate : "-", call->error.constraint, call->error.message,
                   call->error.detail);
    say(call, line);
}

static int split(struct call *call, casgi_str_t body)
{
    char *text = casgi_alloc(body.len + 1), *end;
    if (!text) {
        return CASGI_ENOMEM;
    }
    memcpy(text, body.ptr, body.len + 1);
    for (; text && *text && call->count < LINES; text = end ? end + 1 : NULL) {
        end = strchr(text, '\n');
        if (end) {
            *end = '\0';
        }
        call->lines[call->count++] = text;
    }
    return 0;
}

static const char *const *values_of(struct call *call, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (strcmp(call->lines[i], "\\N") == 0) {
            call->lines[i] = NULL;
        }
    }
    return (const char *const *)&call->lines[from];
}

static int run_query(struct call *call)
{
    casgi_pg_result_t *result;
    int rc = casgi_pg_query(probe.pg, call->lines[0], values_of(call, 1, call->count), call->count - 1, &result,
                            &call->error);
    if (!rc) {
        say_result(call, result);
        casgi_pg_result_free(result);
    }
    return rc;
}

static int run_batch(struct call *call)
{
    static casgi_pg_query_t all[LINES];
    casgi_pg_query_t *queries = casgi_alloc(sizeof(all));
    size_t count = 0;
    memset(queries, 0, sizeof(all));
    for (size_t i = 0, end; i < call->count; i = end + 1) {
        for (end = i; end < call->count && *call->lines[end]; end++) {
        }
        queries[count].sql = call->lines[i];
        queries[count].params = values_of(call, i + 1, end);
        queries[count++].param_count = end - i - 1;
    }
    int rc = casgi_pg_batch(probe.pg, queries, count, &call->error);
    for (size_t i = 0; i < count; i++) {
        if (queries[i].result) {
            say_result(call, queries[i].result);
        }
        casgi_pg_result_free(queries[i].result);
    }
    return rc;
}

static int run_lines(casgi_pg_conn_t *conn, void *arg)
{
    struct call *call = arg;
    bool ignore = false;
    while (call->next < call->count) {
        const char *line = call->lines[call->next++];
        casgi_pg_result_t *result = NULL;
        int rc;
        if (strcmp(line, "fail") == 0) {
            return CASGI_EFAILED;
        }
        if (strcmp(line, ")") == 0) {
            return 0;
        }
        if (strcmp(line, "ignore") == 0) {
            ignore = true;
            continue;
        }
        if (strcmp(line, "(") == 0) {
            rc = casgi_pg_conn_transaction(conn, NULL, run_lines, call, &call->error);
            while (rc && call->next < call->count && strcmp(call->lines[call->next++], ")") != 0) {
            }
        } else {
            rc = casgi_pg_conn_query(conn, line, CASGI_PG_NONE, &result, &call->error);
            if (!rc) {
                say_result(call, result);
            }
            casgi_pg_result_free(result);
        }
        if (rc && !ignore) {
            return rc;
        }
        ignore = false;
    }
    return 0;
}

static int on_row(casgi_pg_result_t *row, void *arg)
{
    struct call *call = arg;
    say_row(call, row, 0);
    return ++call->rows == call->enough ? CASGI_EEOF : casgi_yield();
}

static int run_held(struct call *call, int (*fn)(casgi_pg_conn_t *conn, struct call *call))
{
    casgi_pg_conn_t *conn;
    int rc = casgi_pg_acquire(probe.pg, &conn, &call->error);
    if (!rc) {
        rc = fn(conn, call);
        casgi_pg_release(conn);
    }
    return rc;
}

static int rows(casgi_pg_conn_t *conn, struct call *call)
{
    return casgi_pg_conn_each(conn, call->lines[0], values_of(call, 1, call->count), call->count - 1, on_row, call,
                              &call->error);
}

static int script(casgi_pg_conn_t *conn, struct call *call)
{
    return casgi_pg_conn_script(conn, call->lines[0], &call->error);
}

static int hold(casgi_pg_conn_t *conn, struct call *call)
{
    int rc = run_lines(conn, call);
    probe.held++;
    rc = rc ? rc : casgi_flag_wait(&probe.let);
    probe.held--;
    return rc;
}

static int discard(casgi_pg_conn_t *conn, struct call *call)
{
    (void)call;
    casgi_pg_conn_discard(conn);
    return 0;
}

static int say_types(struct call *call)
{
    casgi_pg_result_t *result;
    int64_t number = 0;
    double real = 0;
    bool truth = false;
    char line[256];
    int rc =
        casgi_pg_query(probe.pg, "select -42::bigint a, 1.5::float8 b, true c, null d, 'x' e, 99999999999999999999 f",
                       CASGI_PG_NONE, &result, &call->error);
    if (rc) {
        return rc;
    }
    int codes[] = { casgi_pg_int(result, 0, casgi_pg_column(result, "a"), &number),
                    casgi_pg_double(result, 0, 1, &real),
                    casgi_pg_bool(result, 0, 2, &truth),
                    casgi_pg_int(result, 0, 3, &number),
                    casgi_pg_int(result, 0, 4, &number),
                    casgi_pg_int(result, 0, 5, &number),
                    casgi_pg_double(result, 0, 4, &real),
                    casgi_pg_bool(result, 0, 4, &truth),
                    casgi_pg_int(result, 1, 0, &number),
                    casgi_pg_column(result, "z"),
                    casgi_pg_column_name(result, 6) != NULL };
    (void)snprintf(line, sizeof(line), "%lld %g %d:", (long long)number, real, truth);
    say(call, line);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        (void)snprintf(line, sizeof(line), " %d", codes[i]);
        say(call, line);
    }
    casgi_pg_result_free(result);
    return 0;
}

static int say_stats(struct call *call)
{
    char line[256];
    casgi_pg_stats_t stats;
    casgi_pg_stats(probe.pg, &stats);
    (void)snprintf(line, sizeof(line),
                   "{\"open\":%u,\"idle\":%u,\"waiting\":%u,\"connected\":%llu,\"prepared\":%llu,\"cancelled\":%llu,"
                   "\"dropped\":%llu,\"held\":%u}\n",
                   stats.open, stats.idle, stats.waiting, (unsigned long long)stats.connected,
                   (unsigned long long)stats.prepared, (unsigned long long)stats.cancelled,
                   (unsigned long long)stats.dropped, probe.held);
    say(call, line);
    return 0;
}

/* The first line listens; as many notifications as the query says are waited for. */
static int listen(casgi_pg_conn_t *conn, struct call *call)
{
    casgi_pg_notification_t one;
    int rc = casgi_pg_conn_script(conn, call->lines[0], &call->error);
    probe.held++;
    for (long i = 0; !rc && i < call->enough; i++) {
        rc = casgi_pg_conn_next_notification(conn, &one, &call->error);
        if (!rc) {
            say(call, one.channel);
            say(call, "=");
            say(call, one.payload);
            say(call, "\n");
        }
    }
    probe.held--;
    return rc;
}

static int route(const char *path, const char *query, struct call *call)
{
    if (strcmp(path, "/query") == 0) {
        return run_query(call);
    }
    if (strcmp(path, "/batch") == 0) {
        return run_batch(call);
    }
    if (strcmp(path, "/transaction") == 0) {
        return casgi_pg_transaction(probe.pg, NULL, run_lines, call, &call->error);
    }
    if (strcmp(path, "/rows") == 0) {
        call->enough = strtol(query, NULL, 10);
        return run_held(call, rows);
    }
    if (strcmp(path, "/listen") == 0) {
        call->enough = strtol(query, NULL, 10);
        return run_held(call, listen);
    }
    if (strcmp(path, "/script") == 0) {
        return run_held(call, script);
    }
    if (strcmp(path, "/hold") == 0) {
        return run_held(call, hold);
    }
    if (strcmp(path, "/discard") == 0) {
        return run_held(call, discard);
    }
    if (strcmp(path, "/let") == 0) {
        (void)casgi_flag_set(&probe.let);
        return casgi_flag_clear(&probe.let);
    }
    if (strcmp(path, "/free") == 0) {
        casgi_pg_free(probe.pg);
        probe.pg = NULL;
        return 0;
    }
    return strcmp(path, "/types") == 0 ? say_types(call) : say_stats(call);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct call *call = casgi_alloc(sizeof(*call));
    casgi_str_t body, limit = casgi_scope_header(scope, "x-deadline");
    casgi_deadline_t deadline;
    (void)self;
    memset(call, 0, sizeof(*call));
    int rc = casgi_receive_body(receive, 1 << 20, &body);
    rc = rc ? rc : split(call, body);
    rc = rc || !limit.ptr ? rc : casgi_deadline_begin(&deadline, strtoul(limit.ptr, NULL, 10));
    if (rc) {
        return rc;
    }
    rc = route(scope->path.ptr, scope->query_string.ptr, call);
    if (limit.ptr) {
        (void)casgi_deadline_end(&deadline);
    }
    if (rc) {
        say_error(call, rc);
    }
    rc = casgi_respond(send, 200, "text/plain", call->answer);
    casgi_log(CASGI_LOG_INFO, "probe: %s", call->answer);
    return rc;
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    static casgi_app_t app = { handle, NULL, { 0, 0 } };
    casgi_pg_error_t error;
    casgi_pg_options_t options = { 0 };
    (void)host;
    options.conninfo = argc > 1 ? argv[1] : "";
    options.max_connections = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    options.statement_cache = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    options.connect_timeout_ms = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
    options.setup = "set application_name = 'probe'; set statement_timeout = '60s'";
    if (casgi_pg_new(&options, &probe.pg, &error)) {
        (void)casgi_error_set(out_error, error.code, "%s", error.message);
        return NULL;
    }
    return &app;
}

static void destroy(casgi_app_t *app)
{
    (void)app;
    casgi_pg_free(probe.pg);
}

CASGI_MODULE("kit_pg", "1.0", &record, &cancelled);
