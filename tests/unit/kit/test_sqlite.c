/* link: -lsqlite3 */
#include "support.h"

#include <casgi/kit/sqlite.h>

#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define COUNT_FOR_EVER "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"

static struct {
    casgi_sqlite_t *db;
    casgi_sqlite_error_t error;
    char path[128];
} test;

/* ---- a database in a file ---- */

static void open_db(uint32_t connections)
{
    casgi_sqlite_options_t options = { .path = test.path, .max_connections = connections };
    assert_int_equal(casgi_sqlite_new(&options, &test.db, &test.error), 0);
}

static int create_table(void *arg)
{
    (void)arg;
    return casgi_sqlite_script(test.db, "create table t (a integer primary key, b text unique); create table u (c)",
                               &test.error);
}

static int setup(void **state)
{
    int rc = setup_kit(state);
    test.error = (casgi_sqlite_error_t){ 0 };
    (void)snprintf(test.path, sizeof(test.path), "%s/db", make_folder());
    open_db(/* connections */ 3);
    return rc ? rc : run_task(*state, create_table, NULL);
}

static int free_db(void *arg)
{
    (void)arg;
    casgi_sqlite_free(test.db);
    return 0;
}

static int teardown(void **state)
{
    (void)run_task(*state, free_db, NULL);
    int rc = teardown_kit(state);
    forget_folder();
    return rc;
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- helpers, in tasks ---- */

static int execute(const char *sql)
{
    return casgi_sqlite_execute(test.db, sql, NULL, 0, NULL, &test.error);
}

/* The first value of the first row; -1000000 if there is none. */
static int64_t ask(const char *sql)
{
    casgi_sqlite_result_t *result;
    if (casgi_sqlite_query(test.db, sql, NULL, 0, &result, &test.error)) {
        return -1000000;
    }
    int64_t number = casgi_sqlite_rows(result) ? casgi_sqlite_value(result, 0, 0)->integer : -1000000;
    casgi_sqlite_result_free(result);
    return number;
}

/* ---- statements ---- */

static int values_there_and_back(void *arg)
{
    casgi_sqlite_result_t *result;
    const casgi_sqlite_value_t values[] = {
        casgi_sqlite_int(INT64_MIN),  casgi_sqlite_double(0.5),   casgi_sqlite_text("\xc3\xa9"),
        casgi_sqlite_blob("a\0b", 3), casgi_sqlite_null(),        casgi_sqlite_text(NULL),
        casgi_sqlite_text(""),        casgi_sqlite_blob(NULL, 0),
    };
    (void)arg;
    int rc = casgi_sqlite_query(test.db, "select ?, ?, ? as name, ?, ?, ?, ?, ?", values, 8, &result, &test.error);
    if (rc) {
        return rc;
    }
    assert_int_equal(casgi_sqlite_rows(result), 1);
    assert_int_equal(casgi_sqlite_columns(result), 8);
    assert_string_equal(casgi_sqlite_column_name(result, 2), "name");
    assert_true(casgi_sqlite_value(result, 0, 0)->integer == INT64_MIN);
    assert_true(casgi_sqlite_value(result, 0, 1)->number > 0.49);
    assert_string_equal(casgi_sqlite_value(result, 0, 2)->text.ptr, "\xc3\xa9");
    assert_memory_equal(casgi_sqlite_value(result, 0, 3)->text.ptr, "a\0b", 3);
    for (size_t i = 0; i < 8; i++) {
        static const uint32_t types[] = { 1, 2, 3, 4, 0, 0, 3, 4 };
        assert_int_equal(casgi_sqlite_value(result, 0, i)->type, types[i]);
    }
    assert_int_equal(casgi_sqlite_value(result, 0, 8)->type, CASGI_SQLITE_NULL);
    assert_int_equal(casgi_sqlite_value(result, 1, 0)->type, CASGI_SQLITE_NULL);
    assert_null(casgi_sqlite_column_name(result, 8));
    casgi_sqlite_result_free(result);
    return 0;
}

static void test_sqlite__values_of_every_type_come_back(void **state)
{
    assert_int_equal(run_task(*state, values_there_and_back, NULL), 0);
}

static int insert_and_count(void *arg)
{
    casgi_sqlite_result_t *result;
    (void)arg;
    int rc = casgi_sqlite_execute(test.db, "insert into t values (7, 'x'), (9, 'y')", NULL, 0, &result, &test.error);
    if (rc) {
        return rc;
    }
    assert_int_equal(casgi_sqlite_changes(result), 2);
    assert_int_equal(casgi_sqlite_last_rowid(result), 9);
    casgi_sqlite_result_free(result);
    return (int)ask("select count(*) from t");
}

static void test_sqlite__what_was_changed_is_counted(void **state)
{
    assert_int_equal(run_task(*state, insert_and_count, NULL), 2);
}

static int many_rows(void *arg)
{
    casgi_sqlite_result_t *result;
    (void)arg;
    int rc = casgi_sqlite_query(test.db,
                                "with recursive n(i) as (select 0 union all select i + 1 from n where i < 9999)"
                                " select i, 'row ' || i from n",
                                NULL, 0, &result, &test.error);
    if (rc) {
        return rc;
    }
    assert_int_equal(casgi_sqlite_rows(result), 10000);
    for (size_t i = 0; i < 10000; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "row %zu", i);
        assert_int_equal(casgi_sqlite_value(result, i, 0)->integer, i);
        assert_string_equal(casgi_sqlite_value(result, i, 1)->text.ptr, text);
    }
    casgi_sqlite_result_free(result);
    return 0;
}

static void test_sqlite__many_rows_come_in_order(void **state)
{
    assert_int_equal(run_task(*state, many_rows, NULL), 0);
}

static int bad_statements(void *arg)
{
    const casgi_sqlite_value_t bad = { 99, 0, { 0 } };
    (void)arg;
    assert_int_equal(casgi_sqlite_query(test.db, "select ?", NULL, 0, NULL, &test.error), CASGI_EINVAL);
    assert_string_equal(test.error.message, "the statement takes 1 value(s), not 0");
    assert_int_equal(casgi_sqlite_query(test.db, "select ?", &bad, 1, NULL, &test.error), CASGI_EINVAL);
    assert_int_equal(execute("select 1; select 2"), CASGI_EINVAL);
    assert_non_null(strstr(test.error.message, "one statement at a time"));
    assert_int_equal(execute("  -- nothing"), CASGI_EINVAL);
    assert_int_equal(execute("selec 1"), CASGI_EFAILED);
    assert_int_equal(test.error.number, SQLITE_ERROR);
    assert_non_null(strstr(test.error.message, "syntax error"));
    return execute("select 1; -- and no more");
}

static void test_sqlite__what_is_no_statement_is_refused_with_a_sentence(void **state)
{
    assert_int_equal(run_task(*state, bad_statements, NULL), 0);
}

static int insert_twice(void *arg)
{
    (void)arg;
    int rc = execute("insert into t (b) values ('same')");
    return rc ? rc : execute("insert into t (b) values ('same')");
}

static void test_sqlite__a_violated_constraint_has_its_number(void **state)
{
    assert_int_equal(run_task(*state, insert_twice, NULL), CASGI_EFAILED);
    assert_int_equal(test.error.code, CASGI_EFAILED);
    assert_int_equal(test.error.number, SQLITE_CONSTRAINT_UNIQUE);
    assert_string_equal(test.error.message, "UNIQUE constraint failed: t.b");
}

static int count_statements(casgi_sqlite_conn_t *conn, void *arg)
{
    int *count = arg;
    for (sqlite3_stmt *one = NULL; (one = sqlite3_next_stmt(casgi_sqlite_conn_raw(conn), one));) {
        ++*count;
    }
    return 0;
}

static int use_many_statements(casgi_sqlite_conn_t *conn, void *arg)
{
    for (int i = 0; i < 100; i++) {
        char sql[32];
        (void)snprintf(sql, sizeof(sql), "select %d", i / 2);
        int rc = casgi_sqlite_conn_query(conn, sql, NULL, 0, NULL, &test.error);
        if (rc) {
            return rc;
        }
    }
    return count_statements(conn, arg);
}

static int run_many_statements(void *arg)
{
    casgi_sqlite_options_t options = { .statement_cache = 10 };
    casgi_sqlite_t *db;
    int rc = casgi_sqlite_new(&options, &db, &test.error);
    if (rc) {
        return rc;
    }
    rc = casgi_sqlite_run(db, use_many_statements, arg, &test.error);
    casgi_sqlite_free(db);
    return rc;
}

static void test_sqlite__statements_are_kept_up_to_the_limit(void **state)
{
    int count = 0;
    assert_int_equal(run_task(*state, run_many_statements, &count), 0);
    assert_int_equal(count, 10);
}

static int large_result(void *arg)
{
    casgi_sqlite_options_t options = { .result_limit = 100000 };
    casgi_sqlite_result_t *result = arg;
    casgi_sqlite_t *db;
    int rc = casgi_sqlite_new(&options, &db, &test.error);
    if (rc) {
        return rc;
    }
    assert_int_equal(casgi_sqlite_query(db, "select zeroblob(90000)", NULL, 0, &result, &test.error), 0);
    casgi_sqlite_result_free(result);
    rc = casgi_sqlite_query(db, "select zeroblob(100001)", NULL, 0, &result, &test.error);
    casgi_sqlite_free(db);
    return rc;
}

static void test_sqlite__a_result_beyond_the_limit_is_refused(void **state)
{
    assert_int_equal(run_task(*state, large_result, NULL), CASGI_ETOOBIG);
}

/* ---- transactions ---- */

static int insert_two(casgi_sqlite_conn_t *conn, void *arg)
{
    int *result = arg;
    int rc = casgi_sqlite_conn_query(conn, "insert into u values (1)", NULL, 0, NULL, &test.error);
    rc = rc ? rc : casgi_sqlite_conn_query(conn, "insert into u values (2)", NULL, 0, NULL, &test.error);
    return rc ? rc : *result;
}

static int transact(void *arg)
{
    int rc = casgi_sqlite_transaction(test.db, insert_two, arg, &test.error);
    return rc == *(int *)arg ? (int)ask("select count(*) from u") : rc;
}

static void test_sqlite__a_transaction_that_succeeds_is_committed(void **state)
{
    int result = 0;
    assert_int_equal(run_task(*state, transact, &result), 2);
}

static void test_sqlite__a_transaction_that_fails_is_rolled_back(void **state)
{
    int result = CASGI_EFAILED;
    assert_int_equal(run_task(*state, transact, &result), 0);
}

static int begin_only(casgi_sqlite_conn_t *conn, void *arg)
{
    (void)arg;
    return casgi_sqlite_conn_query(conn, "begin immediate", NULL, 0, NULL, &test.error);
}

static int leave_transaction_open(void *arg)
{
    (void)arg;
    int rc = casgi_sqlite_run(test.db, begin_only, NULL, &test.error);
    return rc ? rc : execute("insert into u values (1)");
}

static void test_sqlite__a_function_leaves_no_transaction_behind(void **state)
{
    assert_int_equal(run_task(*state, leave_transaction_open, NULL), 0);
}

static int half_script(void *arg)
{
    (void)arg;
    int rc = casgi_sqlite_script(test.db, "insert into u values (1); insert into nowhere values (1)", &test.error);
    return rc == CASGI_EFAILED ? (int)ask("select count(*) from u") : -1;
}

static void test_sqlite__a_script_that_fails_leaves_nothing(void **state)
{
    assert_int_equal(run_task(*state, half_script, NULL), 0);
}

static int add_one(casgi_sqlite_conn_t *conn, void *arg)
{
    casgi_sqlite_result_t *result;
    (void)arg;
    int rc = casgi_sqlite_conn_query(conn, "select coalesce(max(c), 0) from u", NULL, 0, &result, &test.error);
    if (rc) {
        return rc;
    }
    casgi_sqlite_value_t next = casgi_sqlite_int(casgi_sqlite_value(result, 0, 0)->integer + 1);
    casgi_sqlite_result_free(result);
    return casgi_sqlite_conn_query(conn, "insert into u values (?)", &next, 1, NULL, &test.error);
}

static int add_one_task(void *arg)
{
    (void)arg;
    return casgi_sqlite_transaction(test.db, add_one, NULL, &test.error);
}

static int add_at_once(void *arg)
{
    casgi_task_t *tasks[30];
    int rc = 0;
    (void)arg;
    for (size_t i = 0; i < 30; i++) {
        tasks[i] = start(add_one_task, NULL);
    }
    for (size_t i = 0; i < 30; i++) {
        int result = join(tasks[i]);
        rc = rc ? rc : result;
    }
    return rc ? rc : (int)ask("select max(c) from u");
}

static void test_sqlite__writers_at_the_same_time_lose_nothing(void **state)
{
    assert_int_equal(run_task(*state, add_at_once, NULL), 30);
}

/* ---- at the same time ---- */

struct gate {
    _Atomic bool entered;
    sem_t open;
};

static int insert_and_wait(casgi_sqlite_conn_t *conn, void *arg)
{
    struct gate *gate = arg;
    int rc = casgi_sqlite_conn_query(conn, "insert into u values (1)", NULL, 0, NULL, &test.error);
    gate->entered = true;
    sem_wait(&gate->open);
    return rc;
}

static int hold_transaction(void *arg)
{
    return casgi_sqlite_transaction(test.db, insert_and_wait, arg, &test.error);
}

static int read_beside_writer(void *arg)
{
    struct gate *gate = arg;
    casgi_task_t *writer = start(hold_transaction, gate);
    int rc = yield_until(&gate->entered);
    int64_t before = ask("select count(*) from u");
    sem_post(&gate->open);
    rc = rc ? rc : join(writer);
    return rc ? rc : (int)(before * 10 + ask("select count(*) from u"));
}

static void test_sqlite__readers_do_not_wait_for_the_writer(void **state)
{
    struct gate gate = { 0 };
    sem_init(&gate.open, 0, 0);
    assert_int_equal(run_task(*state, read_beside_writer, &gate), 1); /* 0 before, 1 after */
}

static int just_wait(casgi_sqlite_conn_t *conn, void *arg)
{
    struct gate *gate = arg;
    (void)conn;
    gate->entered = true;
    sem_wait(&gate->open);
    return 0;
}

static int hold_connection(void *arg)
{
    return casgi_sqlite_run(test.db, just_wait, arg, NULL /* error */);
}

static int ask_with_deadline(void *arg)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, 20);
    rc = rc ? rc : casgi_sqlite_query(test.db, "select 1", NULL, 0, NULL, arg);
    (void)casgi_deadline_end(&deadline);
    return rc;
}

static int exhaust(void *arg)
{
    struct gate *gates = arg;
    casgi_task_t *holders[3];
    int rc = 0;
    for (size_t i = 0; i < 3; i++) {
        holders[i] = start(hold_connection, &gates[i]);
        rc = rc ? rc : yield_until(&gates[i].entered);
    }
    int refused = ask_with_deadline(&test.error);
    casgi_task_t *waiter = start(ask_with_deadline, NULL);
    sem_post(&gates[0].open);
    rc = rc ? rc : join(waiter);
    sem_post(&gates[1].open);
    sem_post(&gates[2].open);
    for (size_t i = 0; i < 3; i++) {
        rc = rc ? rc : join(holders[i]);
    }
    return rc && rc != CASGI_ETIMEDOUT ? rc : refused;
}

static void test_sqlite__when_all_connections_are_in_use_a_deadline_ends_the_wait(void **state)
{
    struct gate gates[3] = { 0 };
    for (size_t i = 0; i < 3; i++) {
        sem_init(&gates[i].open, 0, 0);
    }
    assert_int_equal(run_task(*state, exhaust, gates), CASGI_ETIMEDOUT);
    assert_non_null(strstr(test.error.message, "no connection became free"));
}

static int free_while_waiting(void *arg)
{
    struct gate *gates = arg;
    casgi_task_t *holders[3], *waiters[2];
    int rc = 0;
    for (size_t i = 0; i < 3; i++) {
        holders[i] = start(hold_connection, &gates[i]);
        rc = rc ? rc : yield_until(&gates[i].entered);
    }
    for (size_t i = 0; i < 2; i++) {
        waiters[i] = start(ask_with_deadline, NULL);
    }
    rc = rc ? rc : casgi_yield();
    casgi_sqlite_free(test.db);
    test.db = NULL;
    int first = join(waiters[0]), second = join(waiters[1]);
    for (size_t i = 0; i < 3; i++) {
        sem_post(&gates[i].open);
        rc = rc ? rc : join(holders[i]);
    }
    return rc ? rc : first == CASGI_ECLOSED ? second : first;
}

static void test_sqlite__who_waits_when_it_is_freed_is_told(void **state)
{
    struct gate gates[3] = { 0 };
    for (size_t i = 0; i < 3; i++) {
        sem_init(&gates[i].open, 0, 0);
    }
    assert_int_equal(run_task(*state, free_while_waiting, gates), CASGI_ECLOSED);
}

/* ---- cancellation ---- */

static int count_for_ever(void *arg)
{
    casgi_deadline_t deadline;
    (void)arg;
    int rc = casgi_deadline_begin(&deadline, 20);
    rc = rc ? rc : casgi_sqlite_query(test.db, COUNT_FOR_EVER, NULL, 0, NULL, &test.error);
    (void)casgi_deadline_end(&deadline);
    return rc ? (int)(rc + ask("select 1000")) : 0; /* the connection works */
}

static void test_sqlite__a_statement_without_end_is_ended_by_a_deadline(void **state)
{
    assert_int_equal(run_task(*state, count_for_ever, NULL), 1000 + CASGI_ETIMEDOUT);
    assert_int_equal(test.error.code, CASGI_ETIMEDOUT);
    assert_int_equal(test.error.number, SQLITE_INTERRUPT);
}

static int write_for_ever(casgi_sqlite_conn_t *conn, void *arg)
{
    atomic_bool *entered = arg;
    int rc = casgi_sqlite_conn_query(conn, "insert into u values (1)", NULL, 0, NULL, &test.error);
    *entered = true;
    return rc ? rc : casgi_sqlite_conn_query(conn, COUNT_FOR_EVER, NULL, 0, NULL, &test.error);
}

static int transact_for_ever(void *arg)
{
    return casgi_sqlite_transaction(test.db, write_for_ever, arg, &test.error);
}

static int cancel_transaction(void *arg)
{
    atomic_bool *entered = arg;
    casgi_task_t *task = start(transact_for_ever, arg);
    int rc = yield_until(entered);
    (void)casgi_cancel(task);
    int result = join(task);
    return rc ? rc : result == CASGI_ECANCELED ? (int)ask("select count(*) from u") : result;
}

static void test_sqlite__a_cancelled_transaction_is_rolled_back(void **state)
{
    atomic_bool entered = false;
    assert_int_equal(run_task(*state, cancel_transaction, &entered), 0);
}

/* ---- the world ---- */

static int write_beside(void *arg)
{
    casgi_sqlite_options_t options = { .path = test.path, .busy_timeout_ms = 30 };
    casgi_sqlite_t *db;
    (void)arg;
    int rc = casgi_sqlite_new(&options, &db, &test.error);
    rc = rc ? rc : casgi_sqlite_execute(db, "insert into u values (1)", NULL, 0, NULL, &test.error);
    casgi_sqlite_free(db);
    return rc;
}

static void test_sqlite__another_writer_is_waited_for_until_the_timeout(void **state)
{
    sqlite3 *other;
    assert_int_equal(sqlite3_open(test.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(run_task(*state, write_beside, NULL), CASGI_EBUSY);
    assert_int_equal(sqlite3_exec(other, "commit", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(run_task(*state, write_beside, NULL), 0);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

static int open_folder(void *arg)
{
    casgi_sqlite_options_t options = { .path = "/" };
    casgi_sqlite_t *db;
    (void)arg;
    int rc = casgi_sqlite_new(&options, &db, &test.error);
    rc = rc ? rc : casgi_sqlite_query(db, "select 1", NULL, 0, NULL, &test.error);
    casgi_sqlite_free(db);
    return rc;
}

static void test_sqlite__a_file_that_cannot_be_opened_is_named(void **state)
{
    assert_int_equal(run_task(*state, open_folder, NULL), CASGI_ENOENT);
    assert_string_equal(test.error.message, "cannot open /: unable to open database file");
}

static int write_readonly(void *arg)
{
    casgi_sqlite_options_t options = { .path = test.path, .flags = CASGI_SQLITE_READONLY };
    casgi_sqlite_t *db;
    (void)arg;
    int rc = casgi_sqlite_new(&options, &db, &test.error);
    rc = rc ? rc : casgi_sqlite_query(db, "select count(*) from u", NULL, 0, NULL, &test.error);
    rc = rc ? rc : casgi_sqlite_execute(db, "insert into u values (1)", NULL, 0, NULL, &test.error);
    casgi_sqlite_free(db);
    return rc;
}

static void test_sqlite__what_was_opened_for_reading_is_not_written(void **state)
{
    assert_int_equal(run_task(*state, write_readonly, NULL), CASGI_EACCES);
}

static int bad_setup(void *arg)
{
    casgi_sqlite_options_t options = { .setup = "pragma foreign_keys = on; nonsense" };
    casgi_sqlite_t *db;
    (void)arg;
    int rc = casgi_sqlite_new(&options, &db, &test.error);
    rc = rc ? rc : casgi_sqlite_query(db, "select 1", NULL, 0, NULL, &test.error);
    casgi_sqlite_free(db);
    return rc;
}

static void test_sqlite__a_setup_that_fails_fails_the_call(void **state)
{
    assert_int_equal(run_task(*state, bad_setup, NULL), CASGI_EFAILED);
    assert_string_equal(test.error.message, "near \"nonsense\": syntax error");
}

static void test_sqlite__outside_of_a_task_it_is_refused(void **state)
{
    (void)state;
    assert_int_equal(execute("select 1"), CASGI_EWRONGTHREAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_sqlite__values_of_every_type_come_back),
        DB_TEST(test_sqlite__what_was_changed_is_counted),
        DB_TEST(test_sqlite__many_rows_come_in_order),
        DB_TEST(test_sqlite__what_is_no_statement_is_refused_with_a_sentence),
        DB_TEST(test_sqlite__a_violated_constraint_has_its_number),
        DB_TEST(test_sqlite__statements_are_kept_up_to_the_limit),
        DB_TEST(test_sqlite__a_result_beyond_the_limit_is_refused),
        DB_TEST(test_sqlite__a_transaction_that_succeeds_is_committed),
        DB_TEST(test_sqlite__a_transaction_that_fails_is_rolled_back),
        DB_TEST(test_sqlite__a_function_leaves_no_transaction_behind),
        DB_TEST(test_sqlite__a_script_that_fails_leaves_nothing),
        DB_TEST(test_sqlite__writers_at_the_same_time_lose_nothing),
        DB_TEST(test_sqlite__readers_do_not_wait_for_the_writer),
        DB_TEST(test_sqlite__when_all_connections_are_in_use_a_deadline_ends_the_wait),
        DB_TEST(test_sqlite__who_waits_when_it_is_freed_is_told),
        DB_TEST(test_sqlite__a_statement_without_end_is_ended_by_a_deadline),
        DB_TEST(test_sqlite__a_cancelled_transaction_is_rolled_back),
        DB_TEST(test_sqlite__another_writer_is_waited_for_until_the_timeout),
        DB_TEST(test_sqlite__a_file_that_cannot_be_opened_is_named),
        DB_TEST(test_sqlite__what_was_opened_for_reading_is_not_written),
        DB_TEST(test_sqlite__a_setup_that_fails_fails_the_call),
        DB_TEST(test_sqlite__outside_of_a_task_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
