/* Whom a client trusts. Reading a system's certificates takes tens of milliseconds, and libcurl would do it on the
 * loop, where a folder is set for every connection. So they are read here, on a thread, by the first request that may
 * need them, and libcurl is told to read none: its callback for each TLS context hands over ours.
 *
 * A libcurl with another TLS library than OpenSSL cannot be told so, and reads them itself. */
#include "http/impl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* They are read again by the first request that is a day later (libcurl's own cache has that age, too). */
#define TRUST_AGE ((uint64_t)24 * 3600 * 1000000)

/* A folder with nothing in it. With no folder at all some builds of libcurl would add the system's certificates. */
#define NO_FOLDER "/dev/null"

/* ---- reading, on a thread ---- */

struct reading {
    const char *file; /* NULL: the system's */
    X509_STORE *store;
    casgi_error_t *error;
    bool done; /* rc says how it went */
    int rc;
};

/* The first error is the cause, those after it are its echo. */
static int refuse(const char *path, casgi_error_t *error)
{
    unsigned long why = ERR_peek_error();
    const char *text = ERR_SYSTEM_ERROR(why) ? strerrordesc_np(ERR_GET_REASON(why)) : ERR_reason_error_string(why);
    ERR_clear_error();
    return casgi_error_set(error, CASGI_EACCES, "no trusted certificates can be read from %s: %s", path,
                           text ? text : "it has none");
}

static int read_file(X509_STORE *store, const char *path, casgi_error_t *error)
{
    return X509_STORE_load_file(store, path) == 1 ? 0 : refuse(path, error);
}

/* Where libcurl looks, and where it names no place where OpenSSL looks. */
static int read_system(X509_STORE *store, casgi_error_t *error)
{
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);
    const char *named = getenv(X509_get_default_cert_file_env());
    const char *file = named ? named : built->cainfo;
    if (file) {
        return read_file(store, file, error);
    }
    if (built->capath) { /* one small file each, when it is needed */
        return X509_STORE_load_path(store, built->capath) == 1 ? 0 : refuse(built->capath, error);
    }
    return X509_STORE_set_default_paths(store) == 1 ? 0 : refuse("OpenSSL's folder", error);
}

/* It also trusts a certificate in it that is not its own issuer: a server's, or one in between. libcurl sees to that
 * for the store a context has, but a newer one does before it asks for ours. */
static X509_STORE *make_store(void)
{
    X509_STORE *store = X509_STORE_new();
    if (store) {
        (void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    }
    return store;
}

/* [thread] */
static int read_certificates(void *arg)
{
    struct reading *reading = arg;
    ERR_clear_error();
    reading->store = make_store();
    if (!reading->store) {
        ERR_clear_error();
        reading->rc = casgi_error_set(reading->error, CASGI_ENOMEM, "out of memory");
    } else {
        reading->rc = reading->file ? read_file(reading->store, reading->file, reading->error)
                                    : read_system(reading->store, reading->error);
    }
    reading->done = true;
    return 0;
}

/* ---- who needs them ---- */

static bool begins_with(const char *text, const char *scheme)
{
    return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

/* Of those that libcurl asks for requests of http://; for others certificates are needed anyway, unless their servers
 * are not verified: proxies are. */
static bool environment_has_tls_proxy(bool insecure)
{
    static const char *const names[] = { "http_proxy", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY" };
    for (size_t i = 0; i < (insecure ? 5 : 3); i++) {
        const char *proxy = getenv(names[i]);
        if (proxy && begins_with(proxy, "https://")) {
            return true;
        }
    }
    return false;
}

static bool may_need(const casgi_fetch_client_t *client, const casgi_fetch_request_t *request)
{
    if (client->trust.tls_proxy) {
        return true;
    }
    bool plain = begins_with(request->url, "http://") && !request->redirects;
    return !plain && !(client->flags & CASGI_FETCH_INSECURE);
}

/* A request that may never come to TLS is not refused for want of certificates. If it does, nobody is trusted. */
static bool must_have(const casgi_fetch_client_t *client, const casgi_fetch_request_t *request)
{
    return client->trust.tls_proxy || begins_with(request->url, "https://");
}

static bool is_fresh(const struct kit_trust *trust)
{
    return trust->store && casgi_now() - trust->since < TRUST_AGE;
}

/* ---- what the other files call ---- */

/* If they cannot be read again those from before stay; the next request tries again. Who is cancelled while the thread
 * reads has not read in vain. */
static int renew(casgi_fetch_client_t *client, casgi_error_t *error)
{
    struct kit_trust *trust = &client->trust;
    struct reading reading = { .file = client->ca_file, .error = trust->store ? NULL : error };
    int rc = casgi_to_thread(read_certificates, &reading);
    if (!reading.done) {
        return casgi_error_set(error, rc, "the trusted certificates were not read: %s", casgi_strerror(rc));
    }
    if (reading.rc) {
        X509_STORE_free(reading.store);
        return trust->store ? 0 : reading.rc;
    }
    X509_STORE_free(trust->store);
    trust->store = reading.store;
    trust->since = casgi_now();
    return 0;
}

int kit_trust_prepare(casgi_fetch_client_t *client, const casgi_fetch_request_t *request, casgi_error_t *error)
{
    struct kit_trust *trust = &client->trust;
    if (!trust->ours || is_fresh(trust) || !may_need(client, request)) {
        return 0;
    }
    int rc = casgi_lock_acquire(&trust->lock);
    if (rc) {
        return casgi_error_set(error, rc, "waiting for the trusted certificates: %s", casgi_strerror(rc));
    }
    rc = is_fresh(trust) ? 0 : renew(client, error); /* somebody else may have read them meanwhile */
    (void)casgi_lock_release(&trust->lock);
    if (rc == CASGI_EACCES && !must_have(client, request)) {
        return casgi_error_set(error, 0, "%s", "");
    }
    return rc;
}

/* A context with no store of ours has an empty one: nobody is trusted. */
static CURLcode on_context(CURL *easy, void *context, void *arg)
{
    const casgi_fetch_client_t *client = arg;
    (void)easy;
    if (client->trust.store) {
        SSL_CTX_set1_cert_store(context, client->trust.store);
    }
    return CURLE_OK;
}

CURLcode kit_trust_set(casgi_fetch_client_t *client, CURL *easy)
{
    if (!client->trust.ours) {
        return client->ca_file ? curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file) : CURLE_OK;
    }
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_CAPATH, NO_FOLDER);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, NULL);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NO_FOLDER);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
    return rc ? rc : curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, client);
}

void kit_trust_init(casgi_fetch_client_t *client)
{
    const char *library = curl_version_info(CURLVERSION_NOW)->ssl_version;
    client->trust = (struct kit_trust){
        .ours = library && begins_with(library, "OpenSSL/"),
        .tls_proxy = client->proxy ? begins_with(client->proxy, "https://")
                                   : environment_has_tls_proxy(client->flags & CASGI_FETCH_INSECURE),
        .lock = CASGI_LOCK_INIT,
    };
}

void kit_trust_release(casgi_fetch_client_t *client)
{
    X509_STORE_free(client->trust.store);
}
