/* link: -lcurl -lssl -lcrypto */
/* Who reads the certificates that an HTTP client trusts, when, and what if they cannot be read. */
#include "support.h"

#include "http/impl.h"
#include "peer.h"
#include "support/certificate.h"

#include <casgi/kit/http.h>

#include <dlfcn.h>
#include <openssl/pem.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MANY = 10 };

static struct certificate certificate, stranger;

/* ---- who reads: ours in front of OpenSSL's, for the kit and for libcurl ---- */

static struct {
    atomic_int count;
    atomic_bool begun;
    _Atomic pid_t thread;
    char path[256]; /* the last */
    bool held;      /* waits for `go` */
    sem_t go;
} readings;

int X509_STORE_load_file(X509_STORE *ctx, const char *file)
{
    int (*real)(X509_STORE *, const char *);
    void *address = dlsym(RTLD_NEXT, "X509_STORE_load_file");
    memcpy(&real, &address, sizeof(real));
    (void)snprintf(readings.path, sizeof(readings.path), "%s", file);
    readings.thread = gettid();
    readings.count++;
    readings.begun = true;
    if (readings.held) {
        sem_wait(&readings.go);
    }
    return real(ctx, file);
}

/* ---- a server: every request gets "hello", but /away gets a redirection ---- */

static struct {
    struct peer peer;
    struct peer plain;
    SSL_CTX *context;
    casgi_fetch_client_t *client;
    casgi_error_t error;
    char url[64];
} test;

static int answer(const char *request, char *response, size_t size)
{
    return strncmp(request, "GET /away ", 10) == 0
               ? snprintf(response, size, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", test.url)
               : snprintf(response, size, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

static void serve_tls(int fd, void *arg)
{
    char request[4096], response[256];
    SSL *ssl = SSL_new(arg);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        while (SSL_read(ssl, request, sizeof(request)) > 0) {
            SSL_write(ssl, response, answer(request, response, sizeof(response)));
        }
    }
    SSL_free(ssl);
}

static void serve_plain(int fd, void *arg)
{
    char request[4096], response[256];
    (void)arg;
    while (read(fd, request, sizeof(request)) > 0) {
        (void)!write(fd, response, (size_t)answer(request, response, sizeof(response)));
    }
}

/* ---- fixtures ---- */

static int setup(void **state)
{
    memset(&readings, 0, sizeof(readings));
    sem_init(&readings.go, 0, 0);
    test.error = (casgi_error_t){ 0 };
    test.client = NULL;
    test.context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(test.context, certificate.x509);
    SSL_CTX_use_PrivateKey(test.context, certificate.key);
    int rc = setup_kit(state);
    peer_start(&test.peer, serve_tls, test.context);
    peer_start(&test.plain, serve_plain, NULL);
    (void)snprintf(test.url, sizeof(test.url), "https://localhost:%d/", test.peer.port);
    return rc;
}

static int teardown(void **state)
{
    peer_stop(&test.peer);
    peer_stop(&test.plain);
    SSL_CTX_free(test.context);
    return teardown_kit(state);
}

#define TRUST_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int make_certificates(void **state)
{
    (void)state;
    int rc = certificate_make(&certificate);
    return rc ? rc : certificate_make(&stranger);
}

static int remove_certificates(void **state)
{
    (void)state;
    int rc = certificate_remove(&certificate);
    return rc ? rc : certificate_remove(&stranger);
}

/* ---- helpers, in tasks ---- */

static int fetch(const char *url, uint32_t redirects)
{
    casgi_fetch_request_t request = { .url = url, .redirects = redirects };
    casgi_fetch_response_t *response;
    casgi_str_t body;
    int rc = casgi_fetch(test.client, &request, &response, &test.error);
    if (rc) {
        return rc;
    }
    rc = casgi_fetch_body(response, 100, &body);
    casgi_fetch_free(response);
    return rc;
}

static int fetch_one(void *arg)
{
    (void)arg;
    return fetch(test.url, 0);
}

/* The driver sees that there is no more to do. */
static void wait_for_driver(void)
{
    while (task_count(loop_current()) > 1) {
        (void)casgi_sleep(1);
    }
}

/* fn with a client of these options. */
static int with_client(const casgi_fetch_options_t *options, casgi_task_fn_t fn)
{
    int rc = casgi_fetch_client_new(options, &test.client, &test.error);
    rc = rc ? rc : fn(NULL);
    casgi_fetch_client_free(test.client);
    wait_for_driver();
    return rc;
}

static int fetch_trusting(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .proxy = "" };
    return with_client(&options, fetch_one);
}

/* ---- who reads ---- */

static void test_trust__a_file_is_read_on_a_thread_and_by_nobody_else(void **state)
{
    assert_int_equal(run_task(*state, fetch_trusting, certificate.path), 0);
    assert_int_equal(readings.count, 1);
    assert_string_equal(readings.path, certificate.path);
    assert_int_not_equal(readings.thread, gettid());
}

static void test_trust__the_systems_file_is_read_on_a_thread(void **state)
{
    const char *file = curl_version_info(CURLVERSION_NOW)->cainfo;
    assert_int_equal(run_task(*state, fetch_trusting, NULL), CASGI_EACCES);
    assert_int_equal(readings.count, 1);
    assert_string_equal(readings.path, file ? file : X509_get_default_cert_file());
    assert_int_not_equal(readings.thread, gettid());
}

static void test_trust__the_environment_may_name_the_systems_file(void **state)
{
    assert_int_equal(setenv("SSL_CERT_FILE", certificate.path, 1), 0);
    int rc = run_task(*state, fetch_trusting, NULL);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
    assert_int_equal(rc, 0);
    assert_string_equal(readings.path, certificate.path);
}

static void test_trust__whom_the_file_does_not_name_is_refused(void **state)
{
    assert_int_equal(run_task(*state, fetch_trusting, stranger.path), CASGI_EACCES);
    assert_non_null(strstr(test.error.message, "self-signed certificate"));
}

/* The server's, but somebody who is not known vouches for it. */
static X509 *make_foreign(void)
{
    X509 *x509 = X509_dup(certificate.x509);
    X509_NAME *issuer = X509_NAME_new();
    X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_ASC, (const unsigned char *)"elsewhere", -1, -1, 0);
    X509_set_issuer_name(x509, issuer);
    X509_sign(x509, stranger.key, EVP_sha256());
    X509_NAME_free(issuer);
    return x509;
}

static void test_trust__a_certificate_of_the_file_needs_nobody_to_vouch_for_it(void **state)
{
    char path[] = P_tmpdir "/casgi-test-XXXXXX";
    X509 *foreign = make_foreign();
    FILE *file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    PEM_write_X509(file, foreign);
    assert_int_equal(fclose(file), 0);
    SSL_CTX_use_certificate(test.context, foreign);
    int rc = run_task(*state, fetch_trusting, path);
    (void)unlink(path);
    X509_free(foreign);
    assert_int_equal(rc, 0);
}

static int fetch_many(void *arg)
{
    casgi_task_t *tasks[MANY];
    int rc = 0;
    (void)arg;
    for (size_t i = 0; i < MANY; i++) {
        tasks[i] = start(fetch_one, NULL);
    }
    for (size_t i = 0; i < MANY; i++) {
        int result = join(tasks[i]);
        rc = rc ? rc : result;
    }
    return rc;
}

static int fetch_many_trusting(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .proxy = "" };
    return with_client(&options, fetch_many);
}

static void test_trust__requests_at_the_same_time_share_one_reading(void **state)
{
    assert_int_equal(run_task(*state, fetch_many_trusting, certificate.path), 0);
    assert_int_equal(readings.count, 1);
    assert_true(test.peer.count > 1);
}

static int fetch_plain(void *arg)
{
    char url[64];
    (void)arg;
    (void)snprintf(url, sizeof(url), "HTTP://localhost:%d/", test.plain.port);
    return fetch(url, 0);
}

static int fetch_plain_trusting(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .proxy = "" };
    return with_client(&options, fetch_plain);
}

static void test_trust__a_request_without_tls_reads_nothing(void **state)
{
    assert_int_equal(run_task(*state, fetch_plain_trusting, certificate.path), 0);
    assert_int_equal(readings.count, 0);
}

static int fetch_away(void *arg)
{
    char url[64];
    (void)arg;
    (void)snprintf(url, sizeof(url), "http://localhost:%d/away", test.plain.port);
    return fetch(url, 1);
}

static int fetch_away_trusting(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .proxy = "" };
    return with_client(&options, fetch_away);
}

static void test_trust__a_redirection_may_lead_to_tls(void **state)
{
    assert_int_equal(run_task(*state, fetch_away_trusting, certificate.path), 0);
    assert_int_equal(readings.count, 1);
    assert_int_not_equal(readings.thread, gettid());
}

static int fetch_insecure(void *arg)
{
    casgi_fetch_options_t options = { .flags = CASGI_FETCH_INSECURE, .proxy = "" };
    (void)arg;
    return with_client(&options, fetch_one);
}

static void test_trust__who_verifies_nothing_reads_nothing(void **state)
{
    assert_int_equal(run_task(*state, fetch_insecure, NULL), 0);
    assert_int_equal(readings.count, 0);
}

static int fetch_insecure_by_environment(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .flags = CASGI_FETCH_INSECURE };
    return with_client(&options, fetch_one);
}

static void test_trust__a_proxy_of_the_environment_is_verified_also_by_who_verifies_no_server(void **state)
{
    test.url[strlen(test.url) - 1] = '\0'; /* the server is the proxy, too, and answers what it should not */
    assert_int_equal(setenv("https_proxy", test.url, 1), 0);
    int rc = run_task(*state, fetch_insecure_by_environment, certificate.path);
    assert_int_equal(unsetenv("https_proxy"), 0);
    assert_int_not_equal(rc, 0);
    assert_int_equal(test.peer.count, 1);
    assert_int_equal(readings.count, 1);
}

/* ---- what cannot be read ---- */

static void test_trust__a_file_that_is_not_there_is_named(void **state)
{
    char path[] = "/no/such/file.pem";
    assert_int_equal(run_task(*state, fetch_trusting, path), CASGI_EACCES);
    assert_string_equal(test.error.message,
                        "no trusted certificates can be read from /no/such/file.pem: No such file or directory");
    assert_int_equal(test.peer.count, 0);
}

static void test_trust__a_file_without_certificates_is_named(void **state)
{
    char path[] = "/dev/null";
    assert_int_equal(run_task(*state, fetch_trusting, path), CASGI_EACCES);
    assert_string_equal(test.error.message,
                        "no trusted certificates can be read from /dev/null: no certificate or crl found");
}

static int fetch_before_and_after(void *arg)
{
    char path[] = P_tmpdir "/casgi-test-XXXXXX";
    casgi_fetch_options_t options = { .ca_file = path, .proxy = "" };
    (void)arg;
    assert_int_equal(close(mkstemp(path)), 0);
    assert_int_equal(casgi_fetch_client_new(&options, &test.client, &test.error), 0);
    assert_int_equal(fetch(test.url, 0), CASGI_EACCES);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(certificate.path, path), 0);
    int rc = fetch(test.url, 0);
    (void)unlink(path);
    casgi_fetch_client_free(test.client);
    wait_for_driver();
    return rc;
}

static void test_trust__once_the_file_is_there_the_next_request_works(void **state)
{
    assert_int_equal(run_task(*state, fetch_before_and_after, NULL), 0);
    assert_int_equal(readings.count, 2);
}

/* ---- how long it holds ---- */

static void pass_time(uint64_t hours)
{
    test.client->trust.since -= hours * 3600 * 1000000;
}

static int fetch_for_days(void *arg)
{
    (void)arg;
    assert_int_equal(fetch(test.url, 0), 0);
    pass_time(23);
    assert_int_equal(fetch(test.url, 0), 0);
    assert_int_equal(readings.count, 1);
    pass_time(2);
    assert_int_equal(fetch(test.url, 0), 0);
    assert_int_equal(readings.count, 2);
    return fetch(test.url, 0);
}

static int fetch_for_days_trusting(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .proxy = "" };
    return with_client(&options, fetch_for_days);
}

static void test_trust__after_a_day_the_file_is_read_again(void **state)
{
    assert_int_equal(run_task(*state, fetch_for_days_trusting, certificate.path), 0);
    assert_int_equal(readings.count, 2);
}

static int fetch_without_file(void *arg)
{
    char hidden[sizeof(certificate.path) + 8];
    (void)arg;
    (void)snprintf(hidden, sizeof(hidden), "%s.hidden", certificate.path);
    assert_int_equal(fetch(test.url, 0), 0);
    assert_int_equal(rename(certificate.path, hidden), 0);
    pass_time(25);
    int rc = fetch(test.url, 0);
    assert_int_equal(rename(hidden, certificate.path), 0);
    return rc;
}

static int fetch_without_file_trusting(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .proxy = "" };
    return with_client(&options, fetch_without_file);
}

static void test_trust__what_cannot_be_read_again_holds_on(void **state)
{
    assert_int_equal(run_task(*state, fetch_without_file_trusting, certificate.path), 0);
    assert_int_equal(readings.count, 2);
}

/* ---- cancellation ---- */

static int cancel_first(void *arg)
{
    const atomic_bool *begun = &readings.begun;
    (void)arg;
    casgi_task_t *first = start(fetch_one, NULL), *second = start(fetch_one, NULL);
    assert_int_equal(yield_until(begun), 0);
    (void)casgi_cancel(first);
    sem_post(&readings.go);
    assert_int_equal(join(first), CASGI_ECANCELED);
    return join(second);
}

static int cancel_first_trusting(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .proxy = "" };
    return with_client(&options, cancel_first);
}

static void test_trust__who_is_cancelled_has_read_for_the_others(void **state)
{
    readings.held = true;
    assert_int_equal(run_task(*state, cancel_first_trusting, certificate.path), 0);
    assert_int_equal(readings.count, 1);
}

static int free_meanwhile(void *arg)
{
    casgi_task_t *task = start(fetch_one, NULL);
    (void)arg;
    assert_int_equal(yield_until(&readings.begun), 0);
    casgi_fetch_client_free(test.client);
    sem_post(&readings.go);
    int rc = join(task);
    wait_for_driver();
    return rc;
}

static int free_meanwhile_trusting(void *file)
{
    casgi_fetch_options_t options = { .ca_file = file, .proxy = "" };
    int rc = casgi_fetch_client_new(&options, &test.client, &test.error);
    return rc ? rc : free_meanwhile(NULL);
}

static void test_trust__a_client_freed_meanwhile_lives_until_its_request_has_ended(void **state)
{
    readings.held = true;
    assert_int_equal(run_task(*state, free_meanwhile_trusting, certificate.path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRUST_TEST(test_trust__a_file_is_read_on_a_thread_and_by_nobody_else),
        TRUST_TEST(test_trust__the_systems_file_is_read_on_a_thread),
        TRUST_TEST(test_trust__the_environment_may_name_the_systems_file),
        TRUST_TEST(test_trust__whom_the_file_does_not_name_is_refused),
        TRUST_TEST(test_trust__a_certificate_of_the_file_needs_nobody_to_vouch_for_it),
        TRUST_TEST(test_trust__requests_at_the_same_time_share_one_reading),
        TRUST_TEST(test_trust__a_request_without_tls_reads_nothing),
        TRUST_TEST(test_trust__a_redirection_may_lead_to_tls),
        TRUST_TEST(test_trust__who_verifies_nothing_reads_nothing),
        TRUST_TEST(test_trust__a_proxy_of_the_environment_is_verified_also_by_who_verifies_no_server),
        TRUST_TEST(test_trust__a_file_that_is_not_there_is_named),
        TRUST_TEST(test_trust__a_file_without_certificates_is_named),
        TRUST_TEST(test_trust__once_the_file_is_there_the_next_request_works),
        TRUST_TEST(test_trust__after_a_day_the_file_is_read_again),
        TRUST_TEST(test_trust__what_cannot_be_read_again_holds_on),
        TRUST_TEST(test_trust__who_is_cancelled_has_read_for_the_others),
        TRUST_TEST(test_trust__a_client_freed_meanwhile_lives_until_its_request_has_ended),
    };
    (void)unsetenv("SSL_CERT_FILE");
    (void)unsetenv("no_proxy");
    (void)unsetenv("NO_PROXY");
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
