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

/* ---- notifications ---- */

static int next(casgi_pg_conn_t *conn, const char *payload)
{
    casgi_pg_notification_t one;
    int rc = casgi_pg_conn_next_notification(conn, &one, &test.error);
    if (!rc) {
        assert_string_equal(one.channel, "news");
        assert_string_equal(one.payload, payload);
        assert_int_equal(one.sender, 7);
    }
    return rc;
}

static int tell(casgi_pg_conn_t *conn, const char *sql)
{
    return casgi_pg_conn_script(conn, sql, &test.error);
}

/* fn with a connection of its own. */
static int with_connection(void *arg)
{
    int (**fn)(casgi_pg_conn_t * conn) = arg;
    casgi_pg_conn_t *conn;
    int rc = casgi_pg_acquire(test.pg, &conn, &test.error);
    if (rc) {
        return rc;
    }
    rc = (*fn)(conn);
    casgi_pg_release(conn);
    return rc;
}

static int hear_both(casgi_pg_conn_t *conn)
{
    int rc = tell(conn, "notify one");
    rc = rc ? rc : tell(conn, "notify ");
    rc = rc ? rc : casgi_pg_conn_query(conn, "select 1", CASGI_PG_NONE, NULL, &test.error);
    rc = rc ? rc : next(conn, "one");
    return rc ? rc : next(conn, "");
}

static void test_pg__notifications_between_statements_are_kept_in_order(void **state)
{
    int (*fn)(casgi_pg_conn_t * conn) = hear_both;
    assert_int_equal(run_task(*state, with_connection, &fn), 0);
}

static int hear_late(casgi_pg_conn_t *conn)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, 20);
    rc = rc ? rc : next(conn, "never");
    (void)casgi_deadline_end(&deadline);
    assert_int_equal(rc, CASGI_ETIMEDOUT);
    rc = tell(conn, "notify later");
    return rc ? rc : next(conn, "later");
}

static void test_pg__a_wait_for_a_notification_that_is_given_up_loses_none(void **state)
{
    int (*fn)(casgi_pg_conn_t * conn) = hear_late;
    assert_int_equal(run_task(*state, with_connection, &fn), 0);
}

static int hear_in_transaction(casgi_pg_conn_t *conn)
{
    int rc = tell(conn, "begin");
    return rc ? rc : next(conn, "never");
}

static void test_pg__inside_a_transaction_a_wait_for_notifications_is_refused(void **state)
{
    int (*fn)(casgi_pg_conn_t * conn) = hear_in_transaction;
    assert_int_equal(run_task(*state, with_connection, &fn), CASGI_EINVAL);
}

static int wait_for_ever(void *conn)
{
    return next(conn, "never");
}

static int hear_twice(casgi_pg_conn_t *conn)
{
    casgi_task_t *first = start(wait_for_ever, conn);
    int rc = casgi_yield();
    assert_int_equal(next(conn, "never"), CASGI_EBUSY);
    (void)casgi_cancel(first);
    assert_int_equal(join(first), CASGI_ECANCELED);
    return rc;
}

static void test_pg__two_tasks_do_not_wait_on_one_connection(void **state)
{
    int (*fn)(casgi_pg_conn_t * conn) = hear_twice;
    assert_int_equal(run_task(*state, with_connection, &fn), 0);
}

static int hear_the_end(casgi_pg_conn_t *conn)
{
    assert_int_equal(tell(conn, "quit"), CASGI_EIO);
    return next(conn, "never");
}

static void test_pg__a_lost_connection_has_no_more_notifications(void **state)
{
    int (*fn)(casgi_pg_conn_t * conn) = hear_the_end;
    assert_int_equal(run_task(*state, with_connection, &fn), CASGI_EIO);
}

static int hear_and_ask(void *arg)
{
    int rc = with_connection(arg);
    return rc ? rc : query(NULL);
}

static void test_pg__who_listened_is_not_lent_again(void **state)
{
    int (*fn)(casgi_pg_conn_t * conn) = hear_both;
    assert_int_equal(run_task(*state, hear_and_ask, &fn), 0);
    assert_int_equal(test.peer.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(test_pg__a_query_is_answered),
        PG_TEST(test_pg__connections_are_made_side_by_side_and_no_more_than_allowed),
        PG_TEST(test_pg__who_is_cancelled_while_connecting_leaves_a_pool_that_works),
        PG_TEST(test_pg__notifications_between_statements_are_kept_in_order),
        PG_TEST(test_pg__a_wait_for_a_notification_that_is_given_up_loses_none),
        PG_TEST(test_pg__inside_a_transaction_a_wait_for_notifications_is_refused),
        PG_TEST(test_pg__two_tasks_do_not_wait_on_one_connection),
        PG_TEST(test_pg__a_lost_connection_has_no_more_notifications),
        PG_TEST(test_pg__who_listened_is_not_lent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
