/* PostgreSQL: a guest book. Handlers wait for their queries in straight lines, and hold nothing up meanwhile.
 *
 *   casgi pg.c --libs "$(pkg-config --libs casgi-kit)" -- "host=localhost dbname=guests"
 *   GET /            the last 20 entries          POST /?name=ann   adds the body as an entry of ann's
 *   GET /statistics  two counts in one round trip
 *
 * Without an argument the PG* environment says where the database is. */
#include <casgi/kit/pg.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct book {
    casgi_app_t base;
    casgi_pg_t *pg;
};

#define SCHEMA                                                                        \
    "create table if not exists guests (name text primary key, count int default 0);" \
    "create table if not exists entries (id bigserial primary key, name text references guests, said text)"
#define COUNT_GUEST "insert into guests values ($1, 1) on conflict (name) do update set count = guests.count + 1"
#define ADD_ENTRY "insert into entries (name, said) values ($1, $2)"

/* An answer for what went wrong. */
static int refuse(casgi_send_t *send, const casgi_pg_error_t *error)
{
    casgi_log(CASGI_LOG_ERROR, "the database: %s %s", error->sqlstate, error->message);
    return casgi_respond(send, error->code == CASGI_EIO ? 503 : 500, "text/plain", "The guest book is closed.\n");
}

static int list(struct book *book, casgi_send_t *send)
{
    char line[512];
    casgi_pg_error_t error;
    casgi_pg_result_t *rows;
    if (casgi_pg_query(book->pg, "select name, said from entries order by id desc limit $1", CASGI_PG_PARAMS("20"),
                       &rows, &error)) {
        return refuse(send, &error);
    }
    casgi_header_t type = CASGI_HEADER("content-type", "text/plain; charset=utf-8");
    int rc = casgi_send_start(send, 200, &type, 1);
    for (int i = 0; !rc && i < casgi_pg_rows(rows); i++) {
        (void)snprintf(line, sizeof(line), "%.60s: %s\n", casgi_pg_value(rows, i, 0), casgi_pg_value(rows, i, 1));
        rc = casgi_send_body(send, line, strlen(line), true);
    }
    casgi_pg_result_free(rows);
    return rc ? rc : casgi_send_body(send, NULL, 0, false);
}

struct entry {
    const char *values[2]; /* name, text */
    casgi_pg_error_t error;
};

/* Both, or neither: an entry, and its guest's count. */
static int add_entry(casgi_pg_conn_t *conn, void *arg)
{
    struct entry *entry = arg;
    int rc = casgi_pg_conn_query(conn, COUNT_GUEST, entry->values, 1, NULL, &entry->error);
    return rc ? rc : casgi_pg_conn_query(conn, ADD_ENTRY, entry->values, 2, NULL, &entry->error);
}

static int add(struct book *book, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_str_t body;
    if (strncmp(scope->query_string.ptr, "name=", 5) != 0) {
        return casgi_respond(send, 400, "text/plain", "Who is it? POST /?name=...\n");
    }
    int rc = casgi_receive_body(receive, 400, &body);
    if (rc) {
        return rc == CASGI_ETOOBIG ? casgi_respond(send, 413, "text/plain", "At most 400 bytes.\n") : rc;
    }
    struct entry entry = { .values = { scope->query_string.ptr + 5, body.ptr } };
    rc = casgi_pg_transaction(book->pg, NULL, add_entry, &entry, &entry.error);
    return rc ? refuse(send, &entry.error) : casgi_respond(send, 201, "text/plain", "Thank you.\n");
}

static int count(struct book *book, casgi_send_t *send)
{
    char text[128];
    casgi_pg_error_t error;
    casgi_pg_query_t queries[] = {
        { .sql = "select count(*) from entries" },
        { .sql = "select count(*) from guests" },
    };
    if (casgi_pg_batch(book->pg, queries, 2, &error)) {
        return refuse(send, &error);
    }
    (void)snprintf(text, sizeof(text), "%s entries by %s guests\n", casgi_pg_value(queries[0].result, 0, 0),
                   casgi_pg_value(queries[1].result, 0, 0));
    casgi_pg_result_free(queries[0].result);
    casgi_pg_result_free(queries[1].result);
    return casgi_respond(send, 200, "text/plain", text);
}

/* The tables are made before the first request; without a database the server says why and does not start. */
static int lifespan(struct book *book, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_pg_error_t error;
    casgi_pg_conn_t *conn = NULL;
    casgi_event_t event, answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    int rc = casgi_receive(receive, &event);
    if (!rc && (casgi_pg_acquire(book->pg, &conn, &error) || casgi_pg_conn_script(conn, SCHEMA, &error))) {
        answer.type = CASGI_LIFESPAN_STARTUP_FAILED;
        answer.lifespan_failed.message = casgi_str(error.message);
    }
    casgi_pg_release(conn);
    return rc ? rc : casgi_send(send, &answer);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct book *book = (struct book *)self;
    if (scope->type == CASGI_SCOPE_LIFESPAN) {
        return lifespan(book, receive, send);
    }
    if (strcmp(scope->method.ptr, "POST") == 0) {
        return add(book, scope, receive, send);
    }
    return strcmp(scope->path.ptr, "/statistics") == 0 ? count(book, send) : list(book, send);
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    struct book *book = calloc(1, sizeof(*book));
    casgi_pg_options_t options = { .conninfo = argc > 1 ? argv[1] : NULL };
    casgi_pg_error_t error = { .message = "out of memory" };
    (void)host;
    if (!book || casgi_pg_new(&options, &book->pg, &error)) {
        (void)casgi_error_set(out_error, CASGI_EFAILED, "%s", error.message);
        free(book);
        return NULL;
    }
    book->base.call = handle;
    return &book->base;
}

static void destroy(casgi_app_t *app)
{
    casgi_pg_free(((struct book *)app)->pg);
    free(app);
}

static const casgi_app_record_t record = {
    "app", "a guest book in PostgreSQL", create, destroy, CASGI_APP_HTTP | CASGI_APP_LIFESPAN, 0, { 0 },
};
CASGI_MODULE("pg", "1.0", &record);
