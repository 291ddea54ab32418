/* The same .so files that the server serves, under a host that is not the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fake_host.h"

#include <stdlib.h>
#include <string.h>

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

static casgi_app_t *load_with(void **state, const char *path, const char *word)
{
    char *argv[] = { (char[]){ "app" }, (char *)(uintptr_t)word, NULL };
    casgi_error_t error = { 0 };
    uint32_t flags = 0;
    casgi_app_t *app = fake_host_load(*state, path, NULL, word ? 2 : 1, argv, &flags, &error);
    if (!app) {
        fail_msg("%s", error.message);
    }
    return app;
}

static void ask(void **state, const char *path)
{
    casgi_app_t *app = load_with(state, path, NULL);
    fake_host_request(*state, app, &exchange);
}

static void assert_answer(int status, const char *body)
{
    assert_int_equal(exchange.result, 0);
    assert_int_equal(exchange.status, status);
    assert_true(exchange.complete);
    exchange.body[exchange.body_size] = '\0';
    assert_string_equal(exchange.body, body);
}

static void test_fake_host__hello(void **state)
{
    ask(state, "examples/hello.so");
    assert_answer(200, "Hello, World!");
    assert_string_equal(exchange.headers, "content-type: text/plain\n");
}

static void test_fake_host__echo(void **state)
{
    exchange.method = "POST";
    exchange.pieces[0] = "one ";
    exchange.pieces[1] = "two ";
    exchange.pieces[2] = "three";
    ask(state, "examples/echo.so");
    assert_answer(200, "one two three");
    assert_int_equal(exchange.events, 4); /* as they came */
}

static void test_fake_host__json(void **state)
{
    exchange.pieces[0] = "{\"a\": [1,";
    exchange.pieces[1] = " 2]}";
    ask(state, "examples/json.so");
    assert_answer(200, "{\"a\":[1,2]}");
}

static void test_fake_host__stream(void **state)
{
    uint64_t began = fake_host_clock(*state);
    exchange.query = "lines=3";
    ask(state, "examples/stream.so");
    assert_answer(200, "line 1\nline 2\nline 3\n");
    assert_int_equal(fake_host_clock(*state) - began, 300000);
}

static void test_fake_host__callback(void **state)
{
    uint64_t began = fake_host_clock(*state);
    exchange.query = "lines=3";
    ask(state, "examples/callback.so");
    assert_answer(200, "line 1\nline 2\nline 3\n");
    assert_int_equal(fake_host_clock(*state) - began, 300000);
}

static void test_fake_host__middleware_around_another(void **state)
{
    casgi_app_t *app = load_with(state, "examples/middleware.so", "examples/hello.so");
    fake_host_request(*state, app, &exchange);
    assert_answer(200, "Hello, World!");
    assert_non_null(strstr(exchange.headers, "content-type: text/plain\nx-process-time: 0.000\n"));
    assert_non_null(strstr(fake_host_log(*state), "GET / took 0.000 ms\n"));
}

static void test_fake_host__state(void **state)
{
    uint32_t events[2] = { 0, 0 };
    casgi_app_t *app = load_with(state, "examples/state.so", NULL);
    assert_int_equal(fake_host_lifespan(*state, app, fake_host_state(*state), events), 0);
    assert_int_equal(events[0], CASGI_LIFESPAN_STARTUP_COMPLETE);
    assert_int_equal(events[1], CASGI_LIFESPAN_SHUTDOWN_COMPLETE);
    assert_non_null(fake_host_state(*state)->get(fake_host_state(*state), "counter"));
}

static void test_fake_host__cpp(void **state)
{
    exchange.query = "name=fake";
    ask(state, "examples/cpp.so");
    assert_answer(200, "Hello, fake!\n");
}

static void test_fake_host__an_exception_is_an_error_code(void **state)
{
    exchange.query = "throw=1";
    ask(state, "examples/cpp.so");
    assert_int_equal(exchange.result, CASGI_EFAILED);
    assert_int_equal(exchange.events, 0);
}

static void test_fake_host__inspect(void **state)
{
    exchange.header_name = "x-one";
    exchange.header_value = "1";
    ask(state, "apps/inspect.so");
    assert_int_equal(exchange.status, 200);
    exchange.body[exchange.body_size] = '\0';
    assert_non_null(strstr(exchange.body, "\"headers\":[[\"x-one\",\"1\"]]"));
}

#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(test_fake_host__hello),
        HOST_TEST(test_fake_host__echo),
        HOST_TEST(test_fake_host__json),
        HOST_TEST(test_fake_host__stream),
        HOST_TEST(test_fake_host__callback),
        HOST_TEST(test_fake_host__middleware_around_another),
        HOST_TEST(test_fake_host__state),
        HOST_TEST(test_fake_host__cpp),
        HOST_TEST(test_fake_host__an_exception_is_an_error_code),
        HOST_TEST(test_fake_host__inspect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
