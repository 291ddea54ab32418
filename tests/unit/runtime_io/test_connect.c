#include "support.h"

#include "runtime/dns.h"
#include "runtime/socket.h"
#include "runtime/socket_impl.h"
#include "runtime/threads.h"

#include <errno.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A listening socket and a connection to it. */
struct net {
    const char *host;
    const char *path;
    casgi_listener_t *listener;
    casgi_stream_t *client;
    casgi_stream_t *served;
    casgi_address_t address;
    int rc;
    char text[256];
};

static int accept_task(void *arg)
{
    struct net *net = arg;
    net->rc = casgi_accept(net->listener, &net->served);
    return net->rc;
}

static int listen_on(struct net *net)
{
    int rc = net->path ? casgi_listen_unix(net->path, &net->listener) : casgi_listen(net->host, 0, &net->listener);
    return rc ? rc : casgi_listener_address(net->listener, &net->address);
}

static int connect_to(struct net *net)
{
    return net->path ? casgi_connect_unix(net->path, &net->client)
                     : casgi_connect(net->host, net->address.port, &net->client);
}

static void close_all(struct net *net)
{
    casgi_stream_close(net->client);
    casgi_stream_close(net->served);
    casgi_listener_close(net->listener);
}

static int greet(struct net *net)
{
    casgi_str_t line;
    int rc = casgi_stream_write(net->client, "hello\n", 6);
    rc = rc ? rc : casgi_stream_read_until(net->served, "\n", 1, 0, &line);
    if (!rc) {
        (void)snprintf(net->text, sizeof(net->text), "%s", line.ptr);
    }
    return rc;
}

static int listen_connect_greet(void *arg)
{
    struct net *net = arg;
    casgi_task_t *acceptor = NULL;
    int rc = listen_on(net);
    rc = rc ? rc : casgi_create_task(accept_task, net, NULL, &acceptor);
    rc = rc ? rc : connect_to(net);
    rc = rc ? rc : join(acceptor);
    rc = rc ? rc : greet(net);
    close_all(net);
    return rc;
}

static void test_net__a_client_reaches_a_server_by_address(void **state)
{
    struct net net = { .host = "127.0.0.1" };
    assert_int_equal(run_task(*state, listen_connect_greet, &net), 0);
    assert_string_equal(net.text, "hello\n");
}

static void test_net__a_client_reaches_a_server_by_name(void **state)
{
    struct net net = { .host = "localhost" };
    assert_int_equal(run_task(*state, listen_connect_greet, &net), 0);
    assert_string_equal(net.text, "hello\n");
}

static void test_net__a_client_reaches_a_server_by_an_abstract_name(void **state)
{
    char path[64];
    struct net net = { .path = path };
    (void)snprintf(path, sizeof(path), "@casgi-test-%d", getpid());
    assert_int_equal(run_task(*state, listen_connect_greet, &net), 0);
    assert_string_equal(net.text, "hello\n");
}

static int addresses_of_both(void *arg)
{
    struct net *net = arg;
    casgi_address_t local, remote, back;
    int rc = listen_on(net);
    rc = rc ? rc : connect_to(net);
    rc = rc ? rc : accept_task(net);
    rc = rc ? rc : casgi_stream_addresses(net->client, &local, &remote);
    rc = rc ? rc : casgi_stream_addresses(net->served, NULL, &back);
    bool right = !rc && remote.port == net->address.port && back.port == local.port &&
                 !strcmp(remote.host.ptr, "127.0.0.1") && !strcmp(back.host.ptr, "127.0.0.1");
    close_all(net);
    return rc ? rc : right ? 0 : -100;
}

static void test_net__both_ends_know_the_addresses(void **state)
{
    struct net net = { .host = "127.0.0.1" };
    assert_int_equal(run_task(*state, addresses_of_both, &net), 0);
}

/* ---- many ---- */

enum { MANY = 50 };

static int connect_many(void *arg)
{
    struct net *net = arg;
    casgi_stream_t *clients[MANY] = { NULL }, *served[MANY] = { NULL };
    int rc = listen_on(net);
    for (int i = 0; !rc && i < MANY; i++) {
        rc = casgi_connect(net->host, net->address.port, &clients[i]);
    }
    for (int i = 0; !rc && i < MANY; i++) {
        rc = casgi_accept(net->listener, &served[i]);
    }
    for (int i = 0; i < MANY; i++) {
        casgi_stream_close(clients[i]);
        casgi_stream_close(served[i]);
    }
    casgi_listener_close(net->listener);
    return rc;
}

static void test_net__connections_that_came_together_are_accepted_one_by_one(void **state)
{
    struct net net = { .host = "127.0.0.1" };
    assert_int_equal(run_task(*state, connect_many, &net), 0);
}

/* ---- nobody there ---- */

/* A port on which nobody listens: bound, so that nobody else takes it. */
static int bound_port(int *out_fd)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    *out_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*out_fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(*out_fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

static int connect_only(void *arg)
{
    struct net *net = arg;
    int rc = connect_to(net);
    casgi_stream_close(net->client);
    return rc;
}

static void test_net__nobody_listening_is_refused(void **state)
{
    int fd;
    struct net net = { .host = "127.0.0.1", .address.port = bound_port(&fd) };
    assert_int_equal(run_task(*state, connect_only, &net), CASGI_EREFUSED);
    (void)close(fd);
}

static void test_net__a_unix_socket_that_is_not_there_is_not_found(void **state)
{
    struct net net = { .path = "./no-such-socket" };
    assert_int_equal(run_task(*state, connect_only, &net), CASGI_ENOENT);
}

static void test_net__a_name_that_does_not_exist_is_not_found(void **state)
{
    struct net net = { .host = "no.such.host.invalid", .address.port = 1 };
    int rc = run_task(*state, connect_only, &net);
    assert_true(rc == CASGI_ENOENT || rc == CASGI_EAGAIN); /* the latter without a name server */
}

static void test_net__a_port_out_of_range_is_invalid(void **state)
{
    struct net net = { .host = "127.0.0.1", .address.port = 65536 };
    assert_int_equal(run_task(*state, connect_only, &net), CASGI_EINVAL);
}

static void test_net__a_path_too_long_is_invalid(void **state)
{
    char path[200];
    struct net net = { .path = path };
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(run_task(*state, connect_only, &net), CASGI_EINVAL);
}

/* A server whose queue is full answers no more connections: a client waits. */
struct silent {
    int fd;
    int fillers[64];
    size_t filled;
    struct net net;
};

static void silent_open(struct silent *silent)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    *silent = (struct silent){ .net.host = "127.0.0.1" };
    silent->net.address.port = bound_port(&silent->fd);
    address.sin_port = htons((uint16_t)silent->net.address.port);
    assert_int_equal(listen(silent->fd, 0), 0);
    for (; silent->filled < 4; silent->filled++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        silent->fillers[silent->filled] = fd;
        assert_true(!connect(fd, (struct sockaddr *)&address, sizeof(address)) || errno == EINPROGRESS);
    }
}

static void silent_close(struct silent *silent)
{
    for (size_t i = 0; i < silent->filled; i++) {
        (void)close(silent->fillers[i]);
    }
    (void)close(silent->fd);
}

static int connect_with_deadline(void *arg)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, 20);
    rc = rc ? rc : connect_only(arg);
    (void)casgi_deadline_end(&deadline);
    return rc;
}

static void test_net__a_deadline_ends_a_connect(void **state)
{
    struct silent silent;
    silent_open(&silent);
    assert_int_equal(run_task(*state, connect_with_deadline, &silent.net), CASGI_ETIMEDOUT);
    silent_close(&silent);
}

static int cancel_connect(void *arg)
{
    casgi_task_t *task = NULL;
    int rc = casgi_create_task(connect_only, arg, NULL, &task);
    rc = rc ? rc : casgi_sleep(2);
    rc = rc ? rc : casgi_cancel(task);
    return rc ? rc : join(task);
}

static void test_net__a_connect_can_be_cancelled(void **state)
{
    struct silent silent;
    silent_open(&silent);
    assert_int_equal(run_task(*state, cancel_connect, &silent.net), CASGI_ECANCELED);
    silent_close(&silent);
}

/* ---- several addresses ---- */

struct several {
    struct net net; /* that answers */
    struct name_addresses addresses;
};

static void add_address(struct several *several, int port)
{
    several->addresses.items[several->addresses.count++].ipv4 = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
}

static int connect_to_any(void *arg)
{
    struct several *several = arg;
    int rc = listen_on(&several->net);
    add_address(several, several->net.address.port);
    rc = rc ? rc : socket_connect_any(loop_current(), &several->addresses, &several->net.client);
    rc = rc ? rc : accept_task(&several->net);
    rc = rc ? rc : greet(&several->net);
    close_all(&several->net);
    return rc;
}

static void test_net__where_one_address_refuses_the_next_is_tried(void **state)
{
    int fds[2];
    struct several several = { .net.host = "127.0.0.1" };
    add_address(&several, bound_port(&fds[0]));
    add_address(&several, bound_port(&fds[1]));
    assert_int_equal(run_task(*state, connect_to_any, &several), 0);
    assert_string_equal(several.net.text, "hello\n");
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void test_net__while_one_address_is_silent_the_next_is_tried(void **state)
{
    struct silent silent;
    struct several several = { .net.host = "127.0.0.1" };
    silent_open(&silent);
    add_address(&several, silent.net.address.port);
    assert_int_equal(run_task(*state, connect_to_any, &several), 0);
    assert_string_equal(several.net.text, "hello\n");
    silent_close(&silent);
}

static int connect_to_none(void *arg)
{
    struct several *several = arg;
    return socket_connect_any(loop_current(), &several->addresses, &several->net.client);
}

static void test_net__where_all_addresses_refuse_the_connect_is_refused(void **state)
{
    int fds[2];
    struct several several = { .net.host = "127.0.0.1" };
    add_address(&several, bound_port(&fds[0]));
    add_address(&several, bound_port(&fds[1]));
    assert_int_equal(run_task(*state, connect_to_none, &several), CASGI_EREFUSED);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* ---- listening ---- */

static int listen_twice(void *arg)
{
    struct net *net = arg;
    casgi_listener_t *second;
    int rc = listen_on(net);
    rc = rc          ? rc
         : net->path ? casgi_listen_unix(net->path, &second)
                     : casgi_listen(net->host, net->address.port, &second);
    casgi_listener_close(net->listener);
    return rc;
}

static void test_net__an_address_in_use_is_refused(void **state)
{
    struct net net = { .host = "127.0.0.1" };
    assert_int_equal(run_task(*state, listen_twice, &net), CASGI_ESYSTEM(EADDRINUSE));
}

static char *socket_path(char path[64])
{
    (void)snprintf(path, 64, P_tmpdir "/casgi-test-%d.sock", getpid());
    return path;
}

static void test_net__a_unix_socket_in_use_is_refused(void **state)
{
    char path[64];
    struct net net = { .path = socket_path(path) };
    assert_int_equal(run_task(*state, listen_twice, &net), CASGI_ESYSTEM(EADDRINUSE));
}

static void test_net__a_unix_socket_s_file_goes_with_its_listener(void **state)
{
    char path[64];
    struct net net = { .path = socket_path(path) };
    assert_int_equal(run_task(*state, listen_connect_greet, &net), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static int leave_a_file(void *arg)
{
    struct net *net = arg;
    int rc = listen_on(net);
    char kept[80];
    (void)snprintf(kept, sizeof(kept), "%s.kept", net->path);
    rc = rc ? rc : link(net->path, kept) ? -100 : 0; /* as a process that died leaves it */
    casgi_listener_close(net->listener);
    net->listener = NULL;
    return rc ? rc : rename(kept, net->path) ? -101 : 0;
}

static int listen_over_a_stale_file(void *arg)
{
    int rc = leave_a_file(arg);
    return rc ? rc : listen_connect_greet(arg);
}

static void test_net__a_stale_unix_socket_is_replaced(void **state)
{
    char path[64];
    struct net net = { .path = socket_path(path) };
    assert_int_equal(run_task(*state, listen_over_a_stale_file, &net), 0);
    assert_string_equal(net.text, "hello\n");
}

static int accept_under_close(void *arg)
{
    struct net *net = arg;
    casgi_task_t *acceptor = NULL;
    int rc = listen_on(net);
    rc = rc ? rc : casgi_create_task(accept_task, net, NULL, &acceptor);
    rc = rc ? rc : casgi_sleep(1);
    casgi_listener_close(net->listener);
    return rc ? rc : join(acceptor);
}

static void test_net__closing_a_listener_ends_an_accept(void **state)
{
    struct net net = { .host = "127.0.0.1" };
    assert_int_equal(run_task(*state, accept_under_close, &net), CASGI_ECLOSED);
}

static int cancel_accept(void *arg)
{
    struct net *net = arg;
    casgi_task_t *acceptor = NULL;
    int rc = listen_on(net);
    rc = rc ? rc : casgi_create_task(accept_task, net, NULL, &acceptor);
    rc = rc ? rc : casgi_sleep(1);
    rc = rc ? rc : casgi_cancel(acceptor);
    int canceled = join(acceptor);
    rc = rc ? rc : connect_to(net);
    rc = rc ? rc : accept_task(net); /* the next is not lost */
    close_all(net);
    return rc ? rc : canceled;
}

static void test_net__an_accept_can_be_cancelled(void **state)
{
    struct net net = { .host = "127.0.0.1" };
    assert_int_equal(run_task(*state, cancel_accept, &net), CASGI_ECANCELED);
    assert_int_equal(net.rc, 0);
}

static int second_accept(void *arg)
{
    struct net *net = arg;
    casgi_task_t *acceptor = NULL;
    casgi_stream_t *stream;
    int rc = listen_on(net);
    rc = rc ? rc : casgi_create_task(accept_task, net, NULL, &acceptor);
    rc = rc ? rc : casgi_sleep(1);
    int second = casgi_accept(net->listener, &stream);
    rc = rc ? rc : casgi_cancel(acceptor);
    (void)join(acceptor);
    casgi_listener_close(net->listener);
    return rc ? rc : second;
}

static void test_net__a_second_accept_is_refused(void **state)
{
    struct net net = { .host = "127.0.0.1" };
    assert_int_equal(run_task(*state, second_accept, &net), CASGI_EBUSY);
}

/* ---- names ---- */

static int resolve(void *arg)
{
    struct net *net = arg;
    casgi_address_t *addresses;
    size_t count = 0, size = 0;
    int rc = casgi_resolve(net->host, &addresses, &count);
    for (size_t i = 0; !rc && i < count; i++) {
        int n = snprintf(net->text + size, sizeof(net->text) - size, "%s ", addresses[i].host.ptr);
        size += (size_t)n;
    }
    return rc;
}

static void test_net__localhost_is_the_loopback_address(void **state)
{
    struct net net = { .host = "localhost" };
    assert_int_equal(run_task(*state, resolve, &net), 0);
    assert_non_null(strstr(net.text, "127.0.0.1 "));
}

static void test_net__an_address_resolves_to_itself(void **state)
{
    struct net net = { .host = "::1" };
    assert_int_equal(run_task(*state, resolve, &net), 0);
    assert_string_equal(net.text, "::1 ");
}

static int resolve_when_cancelled(void *arg)
{
    int rc = casgi_cancel((casgi_task_t *)(void *)task_current());
    return rc ? rc : resolve(arg);
}

static void test_net__a_cancelled_task_asks_for_no_name(void **state)
{
    struct net net = { .host = "localhost" };
    assert_int_equal(run_task(*state, resolve_when_cancelled, &net), CASGI_ECANCELED);
}

/* The only thread that asks for names is held, so the question waits. */
struct question {
    sem_t go;
    _Atomic bool begun;
    int rc;
};

static int hold_thread(void *arg)
{
    struct question *question = arg;
    question->begun = true;
    sem_wait(&question->go);
    return 0;
}

static int hold_task(void *arg)
{
    return thread_run(THREAD_NAMES, hold_thread, arg, NULL);
}

static int ask_under_deadline(void *arg)
{
    struct question *question = arg;
    struct net net = { .host = "localhost" };
    casgi_task_t *holder = NULL;
    casgi_deadline_t deadline;
    int rc = casgi_create_task(hold_task, question, NULL, &holder);
    rc = rc ? rc : yield_until(&question->begun);
    rc = rc ? rc : casgi_deadline_begin(&deadline, 1);
    question->rc = resolve(&net);
    (void)casgi_deadline_end(&deadline);
    sem_post(&question->go);
    return rc ? rc : join(holder);
}

static void test_net__a_deadline_ends_a_question(void **state)
{
    struct question question = { .rc = 0 };
    sem_init(&question.go, 0, 0);
    thread_limit(*state, THREAD_NAMES, 1);
    assert_int_equal(run_task(*state, ask_under_deadline, &question), 0);
    assert_int_equal(question.rc, CASGI_ETIMEDOUT);
}

static void test_net__outside_of_a_task_it_is_refused(void **state)
{
    casgi_stream_t *stream;
    (void)state;
    assert_int_equal(casgi_connect("127.0.0.1", 1, &stream), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_connect_unix("x", &stream), CASGI_EWRONGTHREAD);
}

static void *ask_elsewhere(void *arg)
{
    struct net *net = arg;
    casgi_address_t address, remote;
    bool refused = casgi_stream_descriptor(net->client) == CASGI_EWRONGTHREAD &&
                   casgi_stream_addresses(net->client, &address, &remote) == CASGI_EWRONGTHREAD &&
                   casgi_listener_address(net->listener, &address) == CASGI_EWRONGTHREAD;
    return refused ? net : NULL;
}

static int ask_on_a_thread(void *arg)
{
    struct net *net = arg;
    pthread_t thread;
    void *refused = NULL;
    int rc = listen_on(net);
    rc = rc ? rc : connect_to(net);
    rc = rc ? rc : accept_task(net);
    if (!rc && !pthread_create(&thread, NULL, ask_elsewhere, net)) {
        pthread_join(thread, &refused);
    }
    close_all(net);
    return rc ? rc : refused ? 0 : -100;
}

static void test_net__on_another_thread_it_is_refused(void **state)
{
    struct net net = { .host = "127.0.0.1" };
    assert_int_equal(run_task(*state, ask_on_a_thread, &net), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_net__a_client_reaches_a_server_by_address),
        WORLD_TEST(test_net__a_client_reaches_a_server_by_name),
        WORLD_TEST(test_net__a_client_reaches_a_server_by_an_abstract_name),
        WORLD_TEST(test_net__both_ends_know_the_addresses),
        WORLD_TEST(test_net__connections_that_came_together_are_accepted_one_by_one),
        WORLD_TEST(test_net__nobody_listening_is_refused),
        WORLD_TEST(test_net__a_unix_socket_that_is_not_there_is_not_found),
        WORLD_TEST(test_net__a_name_that_does_not_exist_is_not_found),
        WORLD_TEST(test_net__a_port_out_of_range_is_invalid),
        WORLD_TEST(test_net__a_path_too_long_is_invalid),
        WORLD_TEST(test_net__a_deadline_ends_a_connect),
        WORLD_TEST(test_net__a_connect_can_be_cancelled),
        WORLD_TEST(test_net__where_one_address_refuses_the_next_is_tried),
        WORLD_TEST(test_net__while_one_address_is_silent_the_next_is_tried),
        WORLD_TEST(test_net__where_all_addresses_refuse_the_connect_is_refused),
        WORLD_TEST(test_net__an_address_in_use_is_refused),
        WORLD_TEST(test_net__a_unix_socket_in_use_is_refused),
        WORLD_TEST(test_net__a_unix_socket_s_file_goes_with_its_listener),
        WORLD_TEST(test_net__a_stale_unix_socket_is_replaced),
        WORLD_TEST(test_net__closing_a_listener_ends_an_accept),
        WORLD_TEST(test_net__an_accept_can_be_cancelled),
        WORLD_TEST(test_net__a_second_accept_is_refused),
        WORLD_TEST(test_net__localhost_is_the_loopback_address),
        WORLD_TEST(test_net__an_address_resolves_to_itself),
        WORLD_TEST(test_net__a_cancelled_task_asks_for_no_name),
        WORLD_TEST(test_net__a_deadline_ends_a_question),
        WORLD_TEST(test_net__outside_of_a_task_it_is_refused),
        WORLD_TEST(test_net__on_another_thread_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
