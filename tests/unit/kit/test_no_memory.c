/* link: -lssl -lcrypto -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
/* Every allocation of the kit's and the runtime's fails once, in turn: the call says so, nothing leaks, nothing hangs,
 * and the same client, asked again, works. */
#include "support.h"

#include "pg_peer.h"
#include "support/certificate.h"
#include "support/no_memory.h"

#include <casgi/kit/http.h>
#include <casgi/kit/pg.h>
#include <casgi/kit/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a use gave; if it failed, it is tried again, and must work. */
static int use_twice(int (*use)(void *client), void *client)
{
    int rc = use(client);
    if (rc) {
        allocations_suffice();
        assert_int_equal(use(client), 0);
    }
    return rc;
}

/* ---- SQLite ---- */

static char path[128];

static int setup_file(void **state)
{
    (void)snprintf(path, sizeof(path), "%s/db", make_folder());
    return setup_kit(state);
}

static int teardown_file(void **state)
{
    int rc = teardown_kit(state);
    forget_folder();
    return rc;
}

static int insert_two(casgi_sqlite_conn_t *conn, void *arg)
{
    casgi_sqlite_value_t value = casgi_sqlite_text("a text");
    (void)arg;
    int rc = casgi_sqlite_conn_query(conn, "insert into t values (?)", &value, 1, NULL, NULL);
    return rc ? rc : casgi_sqlite_conn_query(conn, "insert into t values (2)", NULL, 0, NULL, NULL);
}

static int select_all(casgi_sqlite_t *db, casgi_sqlite_error_t *error)
{
    casgi_sqlite_result_t *result;
    int rc = casgi_sqlite_query(db,
                                "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20)"
                                " select i, printf('%.*c', 2000, 'x') as text from n",
                                NULL, 0, &result, error);
    if (!rc) {
        assert_int_equal(casgi_sqlite_rows(result), 20);
        casgi_sqlite_result_free(result);
    }
    return rc;
}

static int use_pool(void *db)
{
    casgi_sqlite_error_t error = { 0 };
    int rc = casgi_sqlite_script(db, "create table if not exists t (a)", &error);
    rc = rc ? rc : casgi_sqlite_transaction(db, insert_two, NULL, NULL);
    rc = rc ? rc : select_all(db, &error);
    rc = rc ? rc : casgi_sqlite_execute(db, "delete from t", NULL, 0, NULL, &error);
    assert_true(rc == 0 || error.code == 0 || error.code == rc);
    return rc;
}

static int use_sqlite(void *arg)
{
    casgi_sqlite_options_t options = { .path = path, .setup = "pragma foreign_keys = on", .statement_cache = 2 };
    casgi_sqlite_t *db;
    (void)arg;
    int rc = casgi_sqlite_new(&options, &db, NULL);
    if (rc) {
        return rc;
    }
    rc = use_twice(use_pool, db);
    casgi_sqlite_free(db);
    return rc;
}

static void test_no_memory__sqlite(void **state)
{
    (void)state;
    try_each_allocation(use_sqlite, setup_file, teardown_file);
}

/* ---- PostgreSQL ---- */

static struct peer peer;

static int setup_pg(void **state)
{
    int rc = setup_kit(state);
    peer_start(&peer, pg_peer_serve, NULL);
    return rc;
}

static int teardown_peer(void **state)
{
    peer_stop(&peer);
    return teardown_kit(state);
}

static int select_in_transaction(casgi_pg_conn_t *conn, void *arg)
{
    return casgi_pg_conn_query(conn, "select in transaction", CASGI_PG_PARAMS("x"), NULL, arg);
}

static int count_row(casgi_pg_result_t *row, void *arg)
{
    ++*(int *)arg;
    return casgi_pg_rows(row) == 1 ? 0 : CASGI_EPROTO;
}

static int select_each(casgi_pg_t *pg, casgi_pg_error_t *error)
{
    casgi_pg_conn_t *conn;
    int rows = 0;
    int rc = casgi_pg_acquire(pg, &conn, error);
    if (rc) {
        return rc;
    }
    rc = casgi_pg_conn_each(conn, "select each", CASGI_PG_NONE, count_row, &rows, error);
    casgi_pg_release(conn);
    return rc;
}

static int select_many(casgi_pg_t *pg, casgi_pg_error_t *error)
{
    casgi_pg_query_t queries[20] = { 0 };
    for (size_t i = 0; i < 20; i++) {
        queries[i].sql = i % 2 ? "select odd" : "select even";
    }
    int rc = casgi_pg_batch(pg, queries, 20, error);
    for (size_t i = 0; i < 20; i++) {
        assert_true(!rc == !!queries[i].result);
        casgi_pg_result_free(queries[i].result);
    }
    return rc;
}

static int use_connections(void *pg)
{
    casgi_pg_error_t error = { 0 };
    int rc = casgi_pg_query(pg, "select 1", CASGI_PG_NONE, NULL, &error);
    rc = rc ? rc : casgi_pg_transaction(pg, NULL, select_in_transaction, &error, &error);
    rc = rc ? rc : select_each(pg, &error);
    rc = rc ? rc : select_many(pg, &error);
    assert_int_equal(error.code, rc);
    return rc;
}

static int use_pg(void *arg)
{
    char conninfo[160];
    casgi_pg_options_t options = { .conninfo = conninfo, .setup = "set a to b", .statement_cache = 3 };
    casgi_pg_t *pg;
    (void)arg;
    pg_peer_conninfo(&peer, conninfo, sizeof(conninfo));
    int rc = casgi_pg_new(&options, &pg, NULL);
    if (rc) {
        return rc;
    }
    rc = use_twice(use_connections, pg);
    casgi_pg_free(pg);
    return rc;
}

static void test_no_memory__pg(void **state)
{
    (void)state;
    try_each_allocation(use_pg, setup_pg, teardown_peer);
}

/* ---- HTTP ---- */

static const char response[] = "HTTP/1.1 200 OK\r\nX-Field: value\r\nContent-Length: 5\r\n\r\nhello";

/* A request ends with its head, or with its last chunk. */
static bool is_complete(const char *request)
{
    return strstr(request, "chunked") ? strstr(request, "\r\n0\r\n\r\n") != NULL : strstr(request, "\r\n\r\n") != NULL;
}

static void serve_http(int fd, void *arg)
{
    char request[4096] = "";
    size_t size = 0;
    (void)arg;
    for (ssize_t n; size < sizeof(request) - 1 && (n = read(fd, request + size, sizeof(request) - 1 - size)) > 0;) {
        size += (size_t)n;
        request[size] = '\0';
        if (is_complete(request)) {
            (void)!write(fd, response, sizeof(response) - 1);
            size = 0;
        }
    }
}

static int setup_http(void **state)
{
    int rc = setup_kit(state);
    peer_start(&peer, serve_http, NULL);
    return rc;
}

static int make_body(void *arg, casgi_str_t *out_piece)
{
    unsigned *pieces = arg;
    *out_piece = casgi_str((*pieces)++ < 3 ? "a piece of the body" : "");
    return casgi_yield();
}

static int fetch(casgi_fetch_client_t *client, const casgi_fetch_request_t *request)
{
    casgi_fetch_response_t *one;
    casgi_error_t error = { 0 };
    casgi_str_t body;
    int rc = casgi_fetch(client, request, &one, &error);
    assert_int_equal(error.code, rc);
    if (rc) {
        return rc;
    }
    rc = casgi_fetch_body(one, 100, &body);
    if (!rc) {
        assert_string_equal(body.ptr, "hello");
        assert_string_equal(casgi_fetch_header(one, "x-field").ptr, "value");
    }
    casgi_fetch_free(one);
    return rc;
}

static char url[64];

static int fetch_both(void *client)
{
    static char value[2000];
    casgi_header_t field = casgi_header("x-long", memset(value, 'x', sizeof(value) - 1));
    unsigned pieces = 0;
    casgi_fetch_request_t plain = { .url = url, .headers = &field, .header_count = 1 };
    casgi_fetch_request_t upload = { .url = url, .read_body = make_body, .read_arg = &pieces };
    int rc = fetch(client, &plain);
    return rc ? rc : fetch(client, &upload);
}

/* The driver sees that there is no more to do. */
static void wait_for_driver(void)
{
    while (task_count(loop_current()) > 1) {
        (void)casgi_sleep(1);
    }
}

static int use_http(void *arg)
{
    casgi_fetch_options_t options = { .proxy = "", .user_agent = "test" };
    casgi_fetch_client_t *client;
    (void)arg;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", peer.port);
    int rc = casgi_fetch_client_new(&options, &client, NULL);
    if (rc) {
        return rc;
    }
    rc = use_twice(fetch_both, client);
    casgi_fetch_client_free(client);
    wait_for_driver();
    return rc;
}

static void test_no_memory__http(void **state)
{
    (void)state;
    try_each_allocation(use_http, setup_http, teardown_peer);
}

/* ---- HTTP over TLS ---- */

static struct certificate certificate;
static SSL_CTX *context;

static void serve_tls(int fd, void *arg)
{
    char request[4096];
    SSL *ssl = SSL_new(arg);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        while (SSL_read(ssl, request, sizeof(request)) > 0) {
            SSL_write(ssl, response, sizeof(response) - 1);
        }
    }
    SSL_free(ssl);
}

static int setup_tls(void **state)
{
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, certificate.x509);
    SSL_CTX_use_PrivateKey(context, certificate.key);
    int rc = setup_kit(state);
    peer_start(&peer, serve_tls, context);
    return rc;
}

static int teardown_tls(void **state)
{
    int rc = teardown_peer(state);
    SSL_CTX_free(context);
    return rc;
}

static int fetch_one(void *client)
{
    casgi_fetch_request_t request = { .url = url };
    return fetch(client, &request);
}

static int use_tls(void *arg)
{
    casgi_fetch_options_t options = { .proxy = "", .ca_file = certificate.path };
    casgi_fetch_client_t *client;
    (void)arg;
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", peer.port);
    int rc = casgi_fetch_client_new(&options, &client, NULL);
    if (rc) {
        return rc;
    }
    rc = use_twice(fetch_one, client);
    casgi_fetch_client_free(client);
    wait_for_driver();
    return rc;
}

static void test_no_memory__http_over_tls(void **state)
{
    (void)state;
    assert_int_equal(certificate_make(&certificate), 0);
    try_each_allocation(use_tls, setup_tls, teardown_tls);
    assert_int_equal(certificate_remove(&certificate), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory__sqlite),
        cmocka_unit_test(test_no_memory__pg),
        cmocka_unit_test(test_no_memory__http),
        cmocka_unit_test(test_no_memory__http_over_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
