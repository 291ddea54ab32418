#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Every test has an empty set and a folder of its own. */
static struct listen_set set;
static casgi_error_t error;
static char folder[64];
static char path[96];

static int set_up(void **state)
{
    (void)state;
    memset(&error, 0, sizeof(error));
    set = (struct listen_set){ 0 };
    memcpy(folder, "/tmp/casgi-listen-XXXXXX", 25);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/sock", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    listen_unlink(&set);
    listen_close(&set);
    unlink(path);
    rmdir(folder);
    return 0;
}

static int open_with(const struct listen_options *options)
{
    return listen_open(&set, options, &error);
}

static int open_host(const char *host, uint16_t port)
{
    const struct listen_options options = { .host = host, .port = port, .fd = -1, .backlog = 16 };
    return open_with(&options);
}

static int open_uds(const char *where)
{
    const struct listen_options options = { .host = "127.0.0.1", .uds = where, .fd = -1, .backlog = 16 };
    return open_with(&options);
}

static int open_bind(char *first, char *second)
{
    char *bind[] = { first, second };
    const struct listen_options options = { .fd = -1, .bind = bind, .bind_count = second ? 2 : 1, .backlog = 16 };
    return open_with(&options);
}

static int connect_to(const struct listen_socket *item)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    assert_int_equal(getsockname(item->fd, (struct sockaddr *)&name, &size), 0);
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (const struct sockaddr *)&name, size);
    if (rc) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool ipv6_works(void)
{
    struct sockaddr_in6 name = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && bind(fd, (const struct sockaddr *)&name, sizeof(name)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return works;
}

static int int_option(int fd, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);
    assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

/* ---- TCP ---- */

static void test_listen__port_0_is_replaced_by_the_real_one(void **state)
{
    char url[64];
    (void)state;
    assert_int_equal(open_host("127.0.0.1", 0), 0);
    assert_int_equal(set.count, 1);
    assert_true(set.items[0]->address.view.port > 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", (int)set.items[0]->address.view.port);
    assert_string_equal(set.items[0]->url, url);
}

static void test_listen__a_client_can_connect(void **state)
{
    (void)state;
    assert_int_equal(open_host("127.0.0.1", 0), 0);
    int fd = connect_to(set.items[0]);
    assert_true(fd >= 0);
    close(fd);
}

static void test_listen__sockets_are_non_blocking_and_not_inherited(void **state)
{
    (void)state;
    assert_int_equal(open_host("127.0.0.1", 0), 0);
    assert_true(fcntl(set.items[0]->fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(set.items[0]->fd, F_GETFD) & FD_CLOEXEC);
}

static void test_listen__accepted_connections_inherit_no_delay(void **state)
{
    (void)state;
    assert_int_equal(open_host("127.0.0.1", 0), 0);
    int client = connect_to(set.items[0]);
    int accepted = accept4(set.items[0]->fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_not_equal(int_option(accepted, IPPROTO_TCP, TCP_NODELAY), 0);
    close(accepted);
    close(client);
}

static void test_listen__accepted_connections_notice_a_client_that_vanished(void **state)
{
    (void)state;
    assert_int_equal(open_host("127.0.0.1", 0), 0);
    int client = connect_to(set.items[0]);
    int accepted = accept4(set.items[0]->fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_not_equal(int_option(accepted, SOL_SOCKET, SO_KEEPALIVE), 0);
    /* Idle connections, which end after 75 s, are not asked; the others within minutes, not hours. */
    assert_in_range(int_option(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 76, 300);
    close(accepted);
    close(client);
}

static void test_listen__an_ipv6_url_has_brackets(void **state)
{
    (void)state;
    if (!ipv6_works()) {
        skip();
    }
    assert_int_equal(open_host("::1", 0), 0);
    assert_int_equal(strncmp(set.items[0]->url, "http://[::1]:", 13), 0);
}

static void test_listen__brackets_around_host_are_understood(void **state)
{
    (void)state;
    if (!ipv6_works()) {
        skip();
    }
    assert_int_equal(open_host("[::1]", 0), 0);
    assert_string_equal(set.items[0]->address.text, "::1");
}

static void test_listen__every_address_of_a_name_has_the_same_port(void **state)
{
    (void)state;
    assert_int_equal(open_host("localhost", 0), 0);
    for (size_t i = 1; i < set.count; i++) {
        assert_int_equal(set.items[i]->address.view.port, set.items[0]->address.view.port);
    }
}

static void test_listen__knows_when_it_listens_on_every_address(void **state)
{
    (void)state;
    assert_int_equal(open_host("0.0.0.0", 0), 0);
    assert_true(set.items[0]->wildcard);
}

static void test_listen__a_port_in_use_is_said_with_its_number(void **state)
{
    char said[64];
    (void)state;
    assert_int_equal(open_host("127.0.0.1", 0), 0);
    struct listen_set second = { 0 };
    const struct listen_options options = {
        .host = "127.0.0.1", .port = (uint16_t)set.items[0]->address.view.port, .fd = -1, .backlog = 16
    };
    assert_int_equal(listen_open(&second, &options, &error), CASGI_ESYSTEM(EADDRINUSE));
    snprintf(said, sizeof(said), "port %d on 127.0.0.1 is already in use (EADDRINUSE)",
             (int)set.items[0]->address.view.port);
    assert_non_null(strstr(error.message, said));
    assert_int_equal(second.count, 0);
}

static void test_listen__an_address_of_another_machine_is_refused(void **state)
{
    (void)state;
    assert_int_not_equal(open_host("192.0.2.1", 0), 0);
    assert_non_null(strstr(error.message, "192.0.2.1 is not an address of this machine (EADDRNOTAVAIL)"));
}

static void test_listen__a_name_nobody_knows_is_refused(void **state)
{
    (void)state;
    assert_int_not_equal(open_host("no-such-host.invalid", 0), 0);
    assert_non_null(strstr(error.message, "\"no-such-host.invalid\""));
}

/* ---- Unix sockets ---- */

static void test_listen__a_unix_socket_may_be_used_by_everyone(void **state)
{
    struct stat st;
    (void)state;
    mode_t before = umask(077);
    int rc = open_uds(path);
    umask(before);
    assert_int_equal(rc, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    assert_int_equal(set.items[0]->address.view.port, -1);
    assert_string_equal(set.items[0]->url + strlen("unix:"), path);
}

static void test_listen__a_dead_servers_unix_socket_is_replaced(void **state)
{
    (void)state;
    assert_int_equal(open_uds(path), 0);
    listen_close(&set); /* as if it had been killed: the file stays */
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(open_uds(path), 0);
    int fd = connect_to(set.items[0]);
    assert_true(fd >= 0);
    close(fd);
}

static void test_listen__the_permissions_of_a_replaced_unix_socket_stay(void **state)
{
    struct stat st;
    (void)state;
    assert_int_equal(open_uds(path), 0);
    listen_close(&set);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(open_uds(path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_listen__a_living_servers_unix_socket_is_not_replaced(void **state)
{
    struct listen_set second = { 0 };
    const struct listen_options options = { .uds = path, .fd = -1, .backlog = 16 };
    (void)state;
    assert_int_equal(open_uds(path), 0);
    assert_int_equal(listen_open(&second, &options, &error), CASGI_ESYSTEM(EADDRINUSE));
    assert_non_null(strstr(error.message, "already in use"));
}

/* As a system's log has: connecting to it as we would listen fails, though it is alive. */
static void test_listen__a_living_socket_of_another_kind_is_not_replaced(void **state)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct stat before, after;
    (void)state;
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(open_uds(path), CASGI_ESYSTEM(EADDRINUSE));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    close(fd);
}

static void test_listen__a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_not_equal(open_uds(path), 0);
    assert_non_null(strstr(error.message, "is not a socket"));
    assert_int_equal(access(path, F_OK), 0);
}

static void test_listen__a_missing_folder_is_said(void **state)
{
    (void)state;
    assert_int_not_equal(open_uds("/no-such-folder-here/x.sock"), 0);
    assert_non_null(strstr(error.message, "/no-such-folder-here/x.sock"));
    assert_non_null(strstr(error.message, "ENOENT"));
}

static void test_listen__unlink_removes_the_socket_made_here(void **state)
{
    (void)state;
    assert_int_equal(open_uds(path), 0);
    listen_unlink(&set);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_listen__unlink_leaves_anothers_socket(void **state)
{
    (void)state;
    assert_int_equal(open_uds(path), 0);
    unlink(path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    listen_unlink(&set);
    assert_int_equal(access(path, F_OK), 0);
    close(fd);
}

/* ---- descriptors ---- */

static void test_listen__a_descriptor_that_is_no_socket_is_refused(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct listen_options options = { .host = "127.0.0.1", .fd = fd, .backlog = 16 };
    assert_int_not_equal(open_with(&options), 0);
    assert_non_null(strstr(error.message, "is not a socket (ENOTSOCK)"));
    close(fd);
}

static void test_listen__a_descriptor_that_is_not_open_is_refused(void **state)
{
    (void)state;
    const struct listen_options options = { .host = "127.0.0.1", .fd = 987, .backlog = 16 };
    assert_int_not_equal(open_with(&options), 0);
    assert_non_null(strstr(error.message, "descriptor 987 is not open"));
}

static void test_listen__a_descriptor_of_another_kind_is_refused(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const struct listen_options options = { .fd = fd, .backlog = 16 };
    assert_int_not_equal(open_with(&options), 0);
    assert_non_null(strstr(error.message, "not one of the stream kind"));
    close(fd);
}

static void test_listen__a_descriptor_that_is_not_bound_is_refused(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct listen_options options = { .fd = fd, .backlog = 16 };
    assert_int_not_equal(open_with(&options), 0);
    assert_non_null(strstr(error.message, "bound to no address"));
    close(fd);
}

static void test_listen__a_connected_descriptor_is_refused(void **state)
{
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const struct listen_options options = { .fd = pair[0], .backlog = 16 };
    assert_int_not_equal(open_with(&options), 0);
    assert_non_null(strstr(error.message, "cannot listen on descriptor"));
    close(pair[0]);
    close(pair[1]);
}

static void test_listen__a_descriptor_that_is_given_twice_is_refused(void **state)
{
    char first[32], second[32], said[64];
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(listen(fd, 16), 0);
    snprintf(first, sizeof(first), "fd://%d", fd);
    snprintf(second, sizeof(second), "fd://%d", fd);
    assert_int_not_equal(open_bind(first, second), 0);
    snprintf(said, sizeof(said), "descriptor %d is given twice", fd);
    assert_non_null(strstr(error.message, said));
    assert_int_equal(set.count, 0);
}

static void test_listen__a_bound_socket_is_made_to_listen(void **state)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen_adopt(&set, fd, 16, &error), 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    int client = connect_to(set.items[0]);
    assert_true(client >= 0);
    assert_int_not_equal(int_option(fd, SOL_SOCKET, SO_KEEPALIVE), 0); /* and what others inherit */
    close(client);
}

/* ---- several ---- */

static void test_listen__several_binds_are_all_open(void **state)
{
    char unix_bind[128];
    char tcp_bind[] = "127.0.0.1:0";
    (void)state;
    snprintf(unix_bind, sizeof(unix_bind), "unix:%s", path);
    assert_int_equal(open_bind(tcp_bind, unix_bind), 0);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.items[0]->family, AF_INET);
    assert_int_equal(set.items[1]->family, AF_UNIX);
}

static void test_listen__if_one_fails_none_is_left(void **state)
{
    char unix_bind[128];
    char bad_bind[] = "192.0.2.1:0";
    (void)state;
    snprintf(unix_bind, sizeof(unix_bind), "unix:%s", path);
    assert_int_not_equal(open_bind(unix_bind, bad_bind), 0);
    assert_int_equal(set.count, 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_listen__ipv4_and_ipv6_wildcards_can_share_a_port(void **state)
{
    char v6[64], v4[64];
    (void)state;
    if (!ipv6_works()) {
        skip();
    }
    assert_int_equal(open_host("0.0.0.0", 0), 0);
    int port = (int)set.items[0]->address.view.port;
    listen_close(&set);
    snprintf(v6, sizeof(v6), "[::]:%d", port);
    snprintf(v4, sizeof(v4), "0.0.0.0:%d", port);
    assert_int_equal(open_bind(v6, v4), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_listen__port_0_is_replaced_by_the_real_one),
        TEST(test_listen__a_client_can_connect),
        TEST(test_listen__sockets_are_non_blocking_and_not_inherited),
        TEST(test_listen__accepted_connections_inherit_no_delay),
        TEST(test_listen__accepted_connections_notice_a_client_that_vanished),
        TEST(test_listen__an_ipv6_url_has_brackets),
        TEST(test_listen__brackets_around_host_are_understood),
        TEST(test_listen__every_address_of_a_name_has_the_same_port),
        TEST(test_listen__knows_when_it_listens_on_every_address),
        TEST(test_listen__a_port_in_use_is_said_with_its_number),
        TEST(test_listen__an_address_of_another_machine_is_refused),
        TEST(test_listen__a_name_nobody_knows_is_refused),
        TEST(test_listen__a_unix_socket_may_be_used_by_everyone),
        TEST(test_listen__a_dead_servers_unix_socket_is_replaced),
        TEST(test_listen__the_permissions_of_a_replaced_unix_socket_stay),
        TEST(test_listen__a_living_servers_unix_socket_is_not_replaced),
        TEST(test_listen__a_living_socket_of_another_kind_is_not_replaced),
        TEST(test_listen__a_file_that_is_no_socket_is_left_alone),
        TEST(test_listen__a_missing_folder_is_said),
        TEST(test_listen__unlink_removes_the_socket_made_here),
        TEST(test_listen__unlink_leaves_anothers_socket),
        TEST(test_listen__a_descriptor_that_is_no_socket_is_refused),
        TEST(test_listen__a_descriptor_that_is_not_open_is_refused),
        TEST(test_listen__a_descriptor_of_another_kind_is_refused),
        TEST(test_listen__a_descriptor_that_is_not_bound_is_refused),
        TEST(test_listen__a_connected_descriptor_is_refused),
        TEST(test_listen__a_descriptor_that_is_given_twice_is_refused),
        TEST(test_listen__a_bound_socket_is_made_to_listen),
        TEST(test_listen__several_binds_are_all_open),
        TEST(test_listen__if_one_fails_none_is_left),
        TEST(test_listen__ipv4_and_ipv6_wildcards_can_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
