#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/listen.h"

#include <string.h>

static struct listen_spec spec;
static casgi_error_t error;

static int parse(const char *text)
{
    memset(&spec, 0, sizeof(spec));
    memset(&error, 0, sizeof(error));
    return listen_spec_parse(&spec, text, &error);
}

static void test_listen_spec__reads_host_and_port(void **state)
{
    (void)state;
    assert_int_equal(parse("127.0.0.1:8000"), 0);
    assert_int_equal(spec.kind, LISTEN_TCP);
    assert_string_equal(spec.host, "127.0.0.1");
    assert_int_equal(spec.port, 8000);
}

static void test_listen_spec__reads_an_ipv6_address_in_brackets(void **state)
{
    (void)state;
    assert_int_equal(parse("[::1]:0"), 0);
    assert_int_equal(spec.kind, LISTEN_TCP);
    assert_string_equal(spec.host, "::1");
    assert_int_equal(spec.port, 0);
}

static void test_listen_spec__a_port_alone_means_every_address(void **state)
{
    (void)state;
    assert_int_equal(parse(":65535"), 0);
    assert_string_equal(spec.host, "");
    assert_int_equal(spec.port, 65535);
}

static void test_listen_spec__reads_a_unix_path(void **state)
{
    (void)state;
    assert_int_equal(parse("unix:/run/app.sock"), 0);
    assert_int_equal(spec.kind, LISTEN_UNIX);
    assert_string_equal(spec.path, "/run/app.sock");
}

static void test_listen_spec__reads_a_descriptor(void **state)
{
    (void)state;
    assert_int_equal(parse("fd://3"), 0);
    assert_int_equal(spec.kind, LISTEN_FD);
    assert_int_equal(spec.fd, 3);
}

static void refuses(const char *text, const char *said)
{
    assert_int_equal(parse(text), CASGI_EINVAL);
    assert_non_null(strstr(error.message, said));
    assert_int_equal(spec.kind, 0);
    assert_string_equal(spec.host, "");
}

static void test_listen_spec__refuses_a_host_without_a_port(void **state)
{
    (void)state;
    refuses("localhost", "HOST:PORT");
    refuses("", "HOST:PORT");
}

static void test_listen_spec__refuses_an_ipv6_address_without_brackets(void **state)
{
    (void)state;
    refuses("::1:8000", "[IPV6]:PORT");
    refuses("[::1]", "[IPV6]:PORT");
    refuses("[::1:8000", "[IPV6]:PORT");
}

static void test_listen_spec__refuses_what_is_no_port(void **state)
{
    (void)state;
    refuses("h:", "\"\" is not a port");
    refuses("h:65536", "\"65536\" is not a port");
    refuses("h:-1", "is not a port");
    refuses("h: 1", "is not a port");
    refuses("h:99999999999999999999", "is not a port");
}

static void test_listen_spec__refuses_a_unix_path_that_is_missing_or_too_long(void **state)
{
    char text[300] = "unix:";
    (void)state;
    refuses("unix:", "needs a path");
    memset(text + 5, 'x', 108);
    refuses(text, "at most 107 bytes");
    text[5 + 107] = '\0';
    assert_int_equal(parse(text), 0);
}

static void test_listen_spec__refuses_what_is_no_descriptor(void **state)
{
    (void)state;
    refuses("fd://", "number of a descriptor");
    refuses("fd://x", "number of a descriptor");
    refuses("fd://4294967296", "number of a descriptor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_spec__reads_host_and_port),
        cmocka_unit_test(test_listen_spec__reads_an_ipv6_address_in_brackets),
        cmocka_unit_test(test_listen_spec__a_port_alone_means_every_address),
        cmocka_unit_test(test_listen_spec__reads_a_unix_path),
        cmocka_unit_test(test_listen_spec__reads_a_descriptor),
        cmocka_unit_test(test_listen_spec__refuses_a_host_without_a_port),
        cmocka_unit_test(test_listen_spec__refuses_an_ipv6_address_without_brackets),
        cmocka_unit_test(test_listen_spec__refuses_what_is_no_port),
        cmocka_unit_test(test_listen_spec__refuses_a_unix_path_that_is_missing_or_too_long),
        cmocka_unit_test(test_listen_spec__refuses_what_is_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
