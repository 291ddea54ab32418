/* link: -Wl,--no-as-needed -lssl -lcrypto */
#include "support.h"

#include "runtime/socket.h"
#include "support/certificate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a server on a thread: one connection of a socket pair, echoed line by line ---- */

enum behaviour {
    SERVER_ECHO,    /* until the client ends */
    SERVER_RENEW,   /* echoes, and changes keys after each line */
    SERVER_GARBAGE, /* speaks no TLS */
    SERVER_CUT,     /* echoes one line and closes without a goodbye */
    SERVER_SILENT,  /* never answers */
};

struct server {
    int fd;
    enum behaviour behaviour;
    SSL_CTX *context;
    pthread_t thread;
    bool said_goodbye; /* the client */
};

static struct certificate certificate;

static int make_certificate(void **state)
{
    (void)state;
    return certificate_make(&certificate);
}

static int remove_certificate(void **state)
{
    (void)state;
    return certificate_remove(&certificate);
}

static void echo(struct server *server, SSL *ssl)
{
    char data[4096];
    int n;
    while ((n = SSL_read(ssl, data, sizeof(data))) > 0) {
        if (SSL_write(ssl, data, n) != n || server->behaviour == SERVER_CUT) {
            return;
        }
        if (server->behaviour == SERVER_RENEW) {
            SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
        }
    }
    server->said_goodbye = SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN;
    if (server->said_goodbye) {
        SSL_shutdown(ssl);
    }
}

static void *serve(void *arg)
{
    struct server *server = arg;
    char byte;
    if (server->behaviour == SERVER_GARBAGE) {
        (void)!write(server->fd, "this is no TLS at all\r\n\r\n", 25);
    }
    if (server->behaviour == SERVER_GARBAGE || server->behaviour == SERVER_SILENT) {
        while (read(server->fd, &byte, 1) > 0) {
        }
    } else {
        SSL *ssl = SSL_new(server->context);
        SSL_set_fd(ssl, server->fd);
        if (SSL_accept(ssl) == 1) {
            echo(server, ssl);
        }
        SSL_free(ssl);
    }
    (void)close(server->fd);
    return NULL;
}

static int pick_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                     unsigned size, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *picked;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&picked, out_size, ours, sizeof(ours) - 1, in, size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = picked;
    return SSL_TLSEXT_ERR_OK;
}

static void server_start(struct server *server, enum behaviour behaviour, int version, int fd)
{
    *server = (struct server){ .fd = fd, .behaviour = behaviour, .context = SSL_CTX_new(TLS_server_method()) };
    SSL_CTX_use_certificate(server->context, certificate.x509);
    SSL_CTX_use_PrivateKey(server->context, certificate.key);
    SSL_CTX_set_alpn_select_cb(server->context, pick_alpn, NULL);
    SSL_CTX_set_max_proto_version(server->context, version);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    pthread_join(server->thread, NULL);
    SSL_CTX_free(server->context);
}

/* ---- a client ---- */

struct client {
    int fd;
    casgi_stream_t *stream;
    casgi_tls_options_t options;
    int (*fn)(struct client *client);
    casgi_error_t error;
    char text[128];
    int rc;
};

static int run_client(void *arg)
{
    struct client *client = arg;
    int rc = casgi_stream_open(client->fd, &client->stream);
    rc = rc ? rc : casgi_stream_start_tls(client->stream, &client->options, &client->error);
    rc = rc ? rc : client->fn ? client->fn(client) : 0;
    casgi_stream_close(client->stream);
    return rc;
}

/* A client that trusts our certificate, with a server that behaves so. */
static int with_server(struct loop *loop, enum behaviour behaviour, int version, struct client *client,
                       struct server *server)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    client->fd = fds[0];
    server_start(server, behaviour, version, fds[1]);
    int rc = run_task(loop, run_client, client);
    server_stop(server);
    return rc;
}

static struct client client_of(int (*fn)(struct client *client))
{
    return (struct client){ .fn = fn, .options = { .server_name = "server.test", .ca_file = certificate.path } };
}

static int greet(struct client *client)
{
    casgi_str_t pieces[] = { CASGI_STR("hello"), CASGI_STR(", "), CASGI_STR("world\n") };
    casgi_str_t line;
    int rc = casgi_stream_write_pieces(client->stream, pieces, 3);
    rc = rc ? rc : casgi_stream_read_until(client->stream, "\n", 1, 0, &line);
    if (!rc) {
        (void)snprintf(client->text, sizeof(client->text), "%s", line.ptr);
    }
    return rc;
}

static void test_tls__bytes_pass_both_ways(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), 0);
    assert_string_equal(client.text, "hello, world\n");
}

static void test_tls__version_1_2_will_do(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_2_VERSION, &client, &server), 0);
    assert_string_equal(client.text, "hello, world\n");
}

static void test_tls__closing_says_goodbye(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), 0);
    assert_true(server.said_goodbye);
}

/* Both directions at once, far more than fits. */
enum { MUCH = 2 * 1024 * 1024 };

static int write_much(void *arg)
{
    struct client *client = arg;
    char *data = malloc(MUCH);
    for (size_t i = 0; data && i < MUCH; i++) {
        data[i] = (char)(i * 7 % 251);
    }
    int rc = data ? casgi_stream_write(client->stream, data, MUCH) : CASGI_ENOMEM;
    free(data);
    return rc;
}

static int read_much(struct client *client)
{
    char piece[8192];
    for (size_t done = 0, n = 0; done < MUCH; done += n) {
        int rc = casgi_stream_read(client->stream, piece, sizeof(piece), &n);
        for (size_t i = 0; !rc && i < n; i++) {
            rc = piece[i] == (char)((done + i) * 7 % 251) ? 0 : -200;
        }
        if (rc) {
            return rc;
        }
    }
    return 0;
}

static int pass_much(struct client *client)
{
    casgi_task_t *writer;
    int rc = casgi_create_task(write_much, client, NULL, &writer);
    rc = rc ? rc : read_much(client);
    return rc ? rc : join(writer);
}

static void test_tls__one_task_reads_while_another_writes(void **state)
{
    struct server server;
    struct client client = client_of(pass_much);
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), 0);
}

static int greet_often(struct client *client)
{
    int rc = 0;
    for (int i = 0; !rc && i < 10; i++) {
        rc = greet(client);
    }
    return rc;
}

static void test_tls__keys_may_change_meanwhile(void **state)
{
    struct server server;
    struct client client = client_of(greet_often);
    assert_int_equal(with_server(*state, SERVER_RENEW, TLS1_3_VERSION, &client, &server), 0);
}

static int end_politely(struct client *client)
{
    size_t n;
    int rc = greet(client);
    rc = rc ? rc : casgi_stream_shutdown(client->stream);
    return rc ? rc : casgi_stream_read(client->stream, client->text, 1, &n);
}

static void test_tls__after_a_goodbye_comes_the_end(void **state)
{
    struct server server;
    struct client client = client_of(end_politely);
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), CASGI_EEOF);
}

static int read_after_cut(struct client *client)
{
    size_t n;
    int rc = greet(client);
    return rc ? rc : casgi_stream_read(client->stream, client->text, 1, &n);
}

static void test_tls__an_end_without_goodbye_is_no_end(void **state)
{
    struct server server;
    struct client client = client_of(read_after_cut);
    assert_int_equal(with_server(*state, SERVER_CUT, TLS1_3_VERSION, &client, &server), CASGI_EDISCONNECTED);
}

static int tell_facts(struct client *client)
{
    const char *alpn = casgi_stream_get(client->stream, "tls.alpn");
    (void)snprintf(client->text, sizeof(client->text), "%s %s %s", casgi_stream_get(client->stream, "tls.version"),
                   alpn ? alpn : "-", casgi_stream_get(client->stream, "tls.other") ? "other" : "-");
    return 0;
}

static void test_tls__the_protocol_agreed_on_is_known(void **state)
{
    struct server server;
    struct client client = client_of(tell_facts);
    client.options.alpn = "h2,http/1.1";
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), 0);
    assert_string_equal(client.text, "TLSv1.3 http/1.1 -");
}

/* ---- whom to trust ---- */

static void test_tls__a_certificate_nobody_vouches_for_is_refused(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    client.options.ca_file = NULL;
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), CASGI_EACCES);
    assert_non_null(strstr(client.error.message, "not trusted"));
    assert_string_equal(client.text, "");
}

static void test_tls__a_certificate_of_another_host_is_refused(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    client.options.server_name = "other.test";
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), CASGI_EACCES);
}

static void test_tls__a_certificate_may_name_an_address(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    client.options.server_name = "127.0.0.1";
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), 0);
}

static void test_tls__a_certificate_of_another_address_is_refused(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    client.options.server_name = "127.0.0.2";
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), CASGI_EACCES);
}

static void test_tls__without_verification_any_certificate_will_do(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    client.options = (casgi_tls_options_t){ .flags = CASGI_TLS_NO_VERIFY };
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), 0);
}

static void test_tls__without_a_name_nothing_can_be_verified(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    client.options.server_name = NULL;
    assert_int_equal(with_server(*state, SERVER_SILENT, TLS1_3_VERSION, &client, &server), CASGI_EINVAL);
}

static void test_tls__a_file_of_certificates_that_is_not_there_is_named(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    client.options.ca_file = "./no-such-file.pem";
    assert_int_equal(with_server(*state, SERVER_SILENT, TLS1_3_VERSION, &client, &server), CASGI_EINVAL);
    assert_non_null(strstr(client.error.message, "no-such-file.pem"));
}

static void test_tls__our_own_certificate_can_be_shown(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    client.options.cert_file = certificate.path;
    assert_int_equal(with_server(*state, SERVER_ECHO, TLS1_3_VERSION, &client, &server), 0);
}

/* ---- what can go wrong ---- */

static void test_tls__what_is_no_tls_is_a_protocol_error(void **state)
{
    struct server server;
    struct client client = client_of(greet);
    assert_int_equal(with_server(*state, SERVER_GARBAGE, TLS1_3_VERSION, &client, &server), CASGI_EPROTO);
    assert_true(client.error.message[0] != '\0');
}

static int run_client_with_deadline(void *arg)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, 200);
    rc = rc ? rc : run_client(arg);
    (void)casgi_deadline_end(&deadline);
    return rc;
}

static void test_tls__a_deadline_ends_a_handshake(void **state)
{
    int fds[2];
    struct server server;
    struct client client = client_of(greet);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    client.fd = fds[0];
    server_start(&server, SERVER_SILENT, TLS1_3_VERSION, fds[1]);
    assert_int_equal(run_task(*state, run_client_with_deadline, &client), CASGI_ETIMEDOUT);
    server_stop(&server);
}

static int open_and_start(void *arg)
{
    struct client *client = arg;
    int rc = casgi_stream_open(client->fd, &client->stream);
    return rc ? rc : casgi_stream_start_tls(client->stream, &client->options, &client->error);
}

static int close_while_it_starts(void *arg)
{
    struct client *client = arg;
    casgi_task_t *task;
    int result = 0;
    int rc = casgi_create_task(open_and_start, client, "start", &task);
    rc = rc ? rc : casgi_sleep(0); /* it waits for the certificates */
    casgi_stream_close(client->stream);
    rc = rc ? rc : casgi_join(task, &result);
    return rc ? rc : result;
}

/* The leak checker sees what is left. */
static void test_tls__closing_while_the_certificates_are_read_leaves_nothing(void **state)
{
    struct client client = client_of(NULL);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    client.fd = fds[0];
    assert_int_equal(run_task(*state, close_while_it_starts, &client), CASGI_ECLOSED);
    (void)close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_tls__bytes_pass_both_ways),
        WORLD_TEST(test_tls__version_1_2_will_do),
        WORLD_TEST(test_tls__closing_says_goodbye),
        WORLD_TEST(test_tls__one_task_reads_while_another_writes),
        WORLD_TEST(test_tls__keys_may_change_meanwhile),
        WORLD_TEST(test_tls__after_a_goodbye_comes_the_end),
        WORLD_TEST(test_tls__an_end_without_goodbye_is_no_end),
        WORLD_TEST(test_tls__the_protocol_agreed_on_is_known),
        WORLD_TEST(test_tls__a_certificate_nobody_vouches_for_is_refused),
        WORLD_TEST(test_tls__a_certificate_of_another_host_is_refused),
        WORLD_TEST(test_tls__a_certificate_may_name_an_address),
        WORLD_TEST(test_tls__a_certificate_of_another_address_is_refused),
        WORLD_TEST(test_tls__without_verification_any_certificate_will_do),
        WORLD_TEST(test_tls__without_a_name_nothing_can_be_verified),
        WORLD_TEST(test_tls__a_file_of_certificates_that_is_not_there_is_named),
        WORLD_TEST(test_tls__our_own_certificate_can_be_shown),
        WORLD_TEST(test_tls__what_is_no_tls_is_a_protocol_error),
        WORLD_TEST(test_tls__a_deadline_ends_a_handshake),
        WORLD_TEST(test_tls__closing_while_the_certificates_are_read_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
