/* Modules from frozen headers, under a host that is not the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fake_host.h"

#include <string.h>

#define GOLDEN "golden/1.0/"

static struct fake_exchange exchange;

static int setup(void **state)
{
    memset(&exchange, 0, sizeof(exchange));
    *state = fake_host_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    fake_host_free(*state);
    return 0;
}

static casgi_app_t *load(void **state, const char *path)
{
    char *argv[] = { (char[]){ "app" }, NULL };
    casgi_error_t error = { 0 };
    uint32_t flags = 0;
    casgi_app_t *app = fake_host_load(*state, path, NULL, 1, argv, &flags, &error);
    if (!app) {
        fail_msg("%s", error.message);
    }
    return app;
}

static void assert_answer(int status, const char *body)
{
    exchange.body[exchange.body_size] = '\0';
    assert_string_equal(exchange.body, body);
    assert_int_equal(exchange.status, status);
    assert_int_equal(exchange.result, 0);
    assert_true(exchange.complete);
}

static void test_golden__hello(void **state)
{
    fake_host_request(*state, load(state, GOLDEN "hello.so"), &exchange);
    assert_answer(200, "golden hello\n");
}

static void test_golden__every_key_of_the_scope(void **state)
{
    exchange.method = "PUT";
    exchange.path = "/a";
    exchange.query = "b=c";
    exchange.header_name = "x-golden";
    exchange.header_value = "yes";
    fake_host_request(*state, load(state, GOLDEN "scope.so"), &exchange);
    assert_answer(200, "type=1\ntype_name=http\nasgi_version=3.0\nasgi_spec_version=2.5\nhttp_version=1.1\nmethod=PUT\n"
                       "scheme=http\npath=/a\nraw_path=/a\nquery_string=b=c\nroot_path=\nx-golden=yes\n"
                       "client_has_port=1\nsubprotocols=0\nstate=0\nhas_request_id=1\nunknown_extension=0\n");
}

static void test_golden__events_both_ways(void **state)
{
    exchange.pieces[0] = "one, ";
    exchange.pieces[1] = "two";
    fake_host_request(*state, load(state, GOLDEN "body.so"), &exchange);
    assert_answer(201, "one, two");
    assert_string_equal(exchange.headers, "content-type: text/plain\nx-golden: 1\n");
}

static void test_golden__a_body_gathered(void **state)
{
    exchange.path = "/gather";
    exchange.pieces[0] = "one, ";
    exchange.pieces[1] = "two";
    fake_host_request(*state, load(state, GOLDEN "body.so"), &exchange);
    assert_answer(200, "one, two");
}

static void test_golden__a_body_over_its_limit(void **state)
{
    exchange.path = "/gather";
    exchange.pieces[0] = "0123456789";
    exchange.pieces[1] = "0123456";
    fake_host_request(*state, load(state, GOLDEN "body.so"), &exchange);
    assert_answer(413, "larger than the limit");
}

static void test_golden__middleware(void **state)
{
    exchange.pieces[0] = "12345";
    fake_host_request(*state, load(state, GOLDEN "middleware.so"), &exchange);
    assert_answer(200, "/golden");
    assert_string_equal(exchange.headers, "content-type: text/plain\nx-counted: five\n");
}

static void test_golden__lifespan_and_state(void **state)
{
    uint32_t events[2] = { 0, 0 };
    casgi_app_t *app = load(state, GOLDEN "lifespan.so");
    assert_int_equal(fake_host_lifespan(*state, app, fake_host_state(*state), events), 0);
    assert_int_equal(events[0], CASGI_LIFESPAN_STARTUP_COMPLETE);
    assert_int_equal(events[1], CASGI_LIFESPAN_SHUTDOWN_COMPLETE);
    assert_string_equal(fake_host_log(*state), "golden: lifespan.shutdown\n");
    exchange.state = fake_host_state(*state);
    fake_host_request(*state, app, &exchange);
    assert_answer(200, "from startup\n");
}

static void test_golden__callbacks(void **state)
{
    fake_host_request(*state, load(state, GOLDEN "callback.so"), &exchange);
    assert_answer(200, "golden callback\n");
}

#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(test_golden__hello),
        HOST_TEST(test_golden__every_key_of_the_scope),
        HOST_TEST(test_golden__events_both_ways),
        HOST_TEST(test_golden__a_body_gathered),
        HOST_TEST(test_golden__a_body_over_its_limit),
        HOST_TEST(test_golden__middleware),
        HOST_TEST(test_golden__lifespan_and_state),
        HOST_TEST(test_golden__callbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
