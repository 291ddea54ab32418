/* Answers without the application. */
#include "fixture.h"

HANDLER(never)
{
    (void)f, (void)scope, (void)receive, (void)send;
    fail();
    return 0;
}

static void refuse_with(struct fixture *f, int status)
{
    exchange_refuse(fixture_exchange(f, never, "GET", "/"), status, "because");
}

static void test_refuse__answers_without_the_application(void **state)
{
    struct fixture *f = *state;
    refuse_with(f, 503);
    assert_int_equal(f->calls, 0);
    assert_int_equal(f->driver.status, 503);
    assert_memory_equal(f->driver.body, "Service Unavailable", 19);
    assert_int_equal(f->driver.content_length, 19);
    assert_true(f->driver.close);
    assert_int_equal(f->driver.ends, 1);
}

static void test_refuse__a_bad_request_is_told_in_a_sentence(void **state)
{
    struct fixture *f = *state;
    refuse_with(f, 400);
    assert_memory_equal(f->driver.body, "Invalid HTTP request received.", 30);
    assert_string_equal(fake_driver_field(&f->driver, "content-type"), "text/plain; charset=utf-8");
}

static void test_refuse__is_observed(void **state)
{
    struct fixture *f = *state;
    refuse_with(f, 431);
    assert_int_equal(f->begun, 1);
    assert_int_equal(f->ended, 1);
    assert_int_equal(f->record.status, 431);
    assert_string_equal(f->record.why, "because");
    assert_false(f->record.failed);
    assert_int_equal(f->idle, 1);
}

static void test_refuse__head_gets_no_body(void **state)
{
    struct fixture *f = *state;
    exchange_refuse(fixture_exchange(f, never, "HEAD", "/"), 503, NULL);
    assert_int_equal(f->driver.body_size, 0);
    assert_int_equal(f->driver.content_length, 19);
    assert_int_equal(f->driver.ends, 1);
}

static void test_refuse__works_before_the_scope_is_filled(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = exchange_new(&f->host, &f->driver.table, &f->driver);
    f->driver.ex = ex;
    exchange_refuse(ex, 400, "nothing was understood");
    assert_int_equal(f->driver.status, 400);
    assert_int_equal(f->driver.ends, 1);
}

static void test_refuse__write_error_ends_it(void **state)
{
    struct fixture *f = *state;
    f->driver.data_error = CASGI_EDISCONNECTED;
    refuse_with(f, 503);
    assert_int_equal(f->driver.aborts, 1);
    assert_int_equal(f->host.running, 0);
}

static void test_refuse__waits_for_room(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 0;
    refuse_with(f, 503);
    assert_int_equal(f->driver.ends, 0);
    assert_int_equal(f->host.running, 1);
    f->driver.room = SIZE_MAX;
    exchange_writable(f->driver.ex);
    fixture_run(f);
    assert_int_equal(f->driver.body_size, 19);
    assert_int_equal(f->driver.ends, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_refuse__answers_without_the_application),
        FIXTURE_TEST(test_refuse__a_bad_request_is_told_in_a_sentence),
        FIXTURE_TEST(test_refuse__is_observed),
        FIXTURE_TEST(test_refuse__head_gets_no_body),
        FIXTURE_TEST(test_refuse__works_before_the_scope_is_filled),
        FIXTURE_TEST(test_refuse__write_error_ends_it),
        FIXTURE_TEST(test_refuse__waits_for_room),
    };
    return cmocka_run_group_tests_name("exchange/refuse", tests, NULL, NULL);
}
