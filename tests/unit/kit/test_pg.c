/* PostgreSQL's client against a server of the test's own: what of it runs on threads, and what must not. The rest is
 * shown in a cluster, by tests/e2e/test_kit_pg.py. */
#include "support.h"

#include "pg_peer.h"

#include <casgi/kit/pg.h>

#include <stdio.h>
#include <string.h>

enum { CONNECTIONS = 5, TASKS = 20 };

static struct {
    struct peer peer;
    casgi_pg_t *pg;
    casgi_pg_error_t error;
} test;

static int setup(void **state)
{
    char conninfo[160];
    casgi_pg_options_t options = {
        .conninfo = conninfo, .setup = "set a to b", .max_connections = CONNECTIONS, .statement_cache = 2
    };
    int rc = setup_kit(state);
    peer_start(&test.peer, pg_peer_serve, NULL);
    pg_peer_conninfo(&test.peer, conninfo, sizeof(conninfo));
    return rc ? rc : casgi_pg_new(&options, &test.pg, &test.error);
}

static int teardown(void **state)
{
    casgi_pg_free(test.pg);
    peer_stop(&test.peer);
    return teardown_kit(state);
}

#define PG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int query(void *arg)
{
    casgi_pg_result_t *result;
    const char *sql = arg ? arg : "select $1";
    int rc = casgi_pg_query(test.pg, sql, CASGI_PG_PARAMS("x"), &result, &test.error);
    if (rc) {
        return rc;
    }
    rc = casgi_pg_rows(result) == 1 && strcmp(casgi_pg_value(result, 0, 0), "hello") == 0 ? 0 : CASGI_EPROTO;
    casgi_pg_result_free(result);
    return rc;
}

static void test_pg__a_query_is_answered(void **state)
{
    assert_int_equal(run_task(*state, query, NULL), 0);
}

static int query_often(void *arg)
{
    char sql[] = "select 0";
    (void)arg;
    for (int i = 0; i < 10; i++) {
        sql[7] = (char)('0' + i % 4);
        int rc = query(sql);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

static int query_at_once(void *arg)
{
    casgi_task_t *tasks[TASKS];
    int rc = 0;
    (void)arg;
    for (size_t i = 0; i < TASKS; i++) {
        tasks[i] = start(query_often, NULL);
    }
    for (size_t i = 0; i < TASKS; i++) {
        int result = join(tasks[i]);
        rc = rc ? rc : result;
    }
    return rc;
}

static void test_pg__connections_are_made_side_by_side_and_no_more_than_allowed(void **state)
{
    assert_int_equal(run_task(*state, query_at_once, NULL), 0);
    assert_int_equal(test.peer.count, CONNECTIONS);
}

static int query_late(void *arg)
{
    (void)arg;
    return query(NULL);
}

static int give_up(void *arg)
{
    int *made = arg;
    for (int i = 0; i < 20; i++) { /* each a little later: in the middle of connecting, or of a query */
        casgi_task_t *task = start(query_late, NULL);
        for (int turns = 0; turns < i; turns++) {
            (void)casgi_yield();
        }
        (void)casgi_cancel(task);
        int rc = join(task);
        *made += rc == 0;
        if (rc && rc != CASGI_ECANCELED) {
            return rc;
        }
    }
    return query(NULL);
}

static void test_pg__who_is_cancelled_while_connecting_leaves_a_pool_that_works(void **state)
{
    int made = 0;
    assert_int_equal(run_task(*state, give_up, &made), 0);
    assert_true(made < 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(test_pg__a_query_is_answered),
        PG_TEST(test_pg__connections_are_made_side_by_side_and_no_more_than_allowed),
        PG_TEST(test_pg__who_is_cancelled_while_connecting_leaves_a_pool_that_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
