/* The part "tls": see runtime/tls_part.h. */
#include "runtime/tls_part.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { ALPN_MAX = 256, PROTOCOL_MAX = 255 };

struct tls_context {
    SSL_CTX *ssl;
    bool verify;
};

struct tls_session {
    SSL *ssl;
    char alpn[PROTOCOL_MAX + 1];
};

/* ---- errors ---- */

/* OpenSSL's own words for the first error in its queue; "" if there is none. */
static const char *reason(void)
{
    unsigned long error = ERR_peek_error();
    const char *text = error ? ERR_reason_error_string(error) : "";
    return text ? text : "unknown error";
}

static int code_of_errno(int number)
{
    return number == ECONNRESET || number == EPIPE || number == 0 ? CASGI_EDISCONNECTED : CASGI_ESYSTEM(number);
}

/* What SSL_get_error means here. 0: the peer has ended the session. */
static int code_of(const struct tls_session *session, int rc, uint32_t *out_wants)
{
    int number = errno;
    switch (SSL_get_error(session->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        *out_wants = CASGI_FD_READABLE;
        return CASGI_EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *out_wants = CASGI_FD_WRITABLE;
        return CASGI_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return code_of_errno(number);
    default:
        return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? CASGI_EDISCONNECTED
                                                                                      : CASGI_EPROTO;
    }
}

/* ---- contexts ---- */

/* "h2,http/1.1" as the protocol has it: each with its length in front. */
static int set_alpn(SSL_CTX *ssl, const char *names)
{
    unsigned char wire[ALPN_MAX];
    unsigned size = 0;
    while (*names) {
        size_t length = strcspn(names, ",");
        if (!length || length > PROTOCOL_MAX || size + length + 1 > sizeof(wire)) {
            return CASGI_EINVAL;
        }
        wire[size++] = (unsigned char)length;
        memcpy(wire + size, names, length);
        size += (unsigned)length;
        names += length + (names[length] == ',');
    }
    return size && SSL_CTX_set_alpn_protos(ssl, wire, size) ? CASGI_ENOMEM : 0;
}

static int set_trust(SSL_CTX *ssl, const casgi_tls_options_t *options, casgi_error_t *out_error)
{
    bool verify = !(options->flags & CASGI_TLS_NO_VERIFY);
    SSL_CTX_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL /* callback */);
    if (options->ca_file && SSL_CTX_load_verify_file(ssl, options->ca_file) != 1) {
        return casgi_error_set(out_error, CASGI_EINVAL, "%s: %s", options->ca_file, reason());
    }
    if (!options->ca_file && verify && SSL_CTX_set_default_verify_paths(ssl) != 1) {
        return casgi_error_set(out_error, CASGI_EIO, "the system's certificates: %s", reason());
    }
    return 0;
}

static int set_identity(SSL_CTX *ssl, const casgi_tls_options_t *options, casgi_error_t *out_error)
{
    const char *key = options->key_file ? options->key_file : options->cert_file;
    if (!options->cert_file) {
        return 0;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, options->cert_file) != 1) {
        return casgi_error_set(out_error, CASGI_EINVAL, "%s: %s", options->cert_file, reason());
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ssl) != 1) {
        return casgi_error_set(out_error, CASGI_EINVAL, "%s: %s", key, reason());
    }
    return 0;
}

static int set_up(SSL_CTX *ssl, const casgi_tls_options_t *options, casgi_error_t *out_error)
{
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ssl,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    int rc = set_trust(ssl, options, out_error);
    rc = rc ? rc : set_identity(ssl, options, out_error);
    if (!rc && options->alpn && set_alpn(ssl, options->alpn)) {
        rc = casgi_error_set(out_error, CASGI_EINVAL, "not a list of protocols: \"%s\"", options->alpn);
    }
    return rc;
}

static int context_new(const casgi_tls_options_t *options, struct tls_context **out_context, casgi_error_t *out_error)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    ERR_clear_error();
    SSL_CTX *ssl = context ? SSL_CTX_new(TLS_client_method()) : NULL;
    int rc = ssl ? set_up(ssl, options, out_error)
                 : casgi_error_set(out_error, CASGI_ENOMEM, "%s", casgi_strerror(CASGI_ENOMEM));
    if (rc) {
        SSL_CTX_free(ssl);
        free(context);
        return rc;
    }
    context->ssl = ssl;
    context->verify = !(options->flags & CASGI_TLS_NO_VERIFY);
    *out_context = context;
    return 0;
}

static void context_free(struct tls_context *context)
{
    if (context) {
        SSL_CTX_free(context->ssl);
        free(context);
    }
}

/* ---- sessions ---- */

static bool is_address(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* An address is verified but not asked for (RFC 6066, section 3). */
static bool set_name(SSL *ssl, const char *name, bool verify)
{
    if (is_address(name)) {
        return !verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && (!verify || SSL_set1_host(ssl, name) == 1);
}

static int session_new(struct tls_context *context, int fd, const char *name, struct tls_session **out_session)
{
    struct tls_session *session = calloc(1, sizeof(*session));
    ERR_clear_error();
    SSL *ssl = session ? SSL_new(context->ssl) : NULL;
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || (name && !set_name(ssl, name, context->verify))) {
        SSL_free(ssl);
        free(session);
        return CASGI_ENOMEM;
    }
    SSL_set_connect_state(ssl);
    session->ssl = ssl;
    *out_session = session;
    return 0;
}

static void session_free(struct tls_session *session)
{
    if (session) {
        SSL_free(session->ssl);
        free(session);
    }
}

static int explain(const struct tls_session *session, int code, casgi_error_t *out_error)
{
    long verdict = SSL_get_verify_result(session->ssl);
    if (code == CASGI_EPROTO && verdict != X509_V_OK) {
        return casgi_error_set(out_error, CASGI_EACCES, "the certificate is not trusted: %s",
                               X509_verify_cert_error_string(verdict));
    }
    if (code == CASGI_EPROTO) {
        return casgi_error_set(out_error, code, "no TLS session: %s", reason());
    }
    return casgi_error_set(out_error, code, "no TLS session: %s", casgi_strerror(code));
}

static int handshake(struct tls_session *session, uint32_t *out_wants, casgi_error_t *out_error)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(session->ssl);
    if (rc == 1) {
        return 0;
    }
    int code = code_of(session, rc, out_wants);
    return code == CASGI_EAGAIN ? code : explain(session, code ? code : CASGI_EDISCONNECTED, out_error);
}

static ssize_t session_read(struct tls_session *session, void *data, size_t size, uint32_t *out_wants)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_read(session->ssl, data, size < INT_MAX ? (int)size : INT_MAX);
    return rc > 0 ? rc : code_of(session, rc, out_wants);
}

static ssize_t session_write(struct tls_session *session, const void *data, size_t size, uint32_t *out_wants)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write(session->ssl, data, size < INT_MAX ? (int)size : INT_MAX);
    if (rc > 0) {
        return rc;
    }
    int code = code_of(session, rc, out_wants);
    return code ? code : CASGI_EDISCONNECTED;
}

/* 0 from SSL_shutdown: ours is sent, the peer's has not come; it is not waited for. */
static int session_shutdown(struct tls_session *session, uint32_t *out_wants)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_shutdown(session->ssl);
    return rc >= 0 ? 0 : code_of(session, rc, out_wants);
}

static const char *get_alpn(struct tls_session *session)
{
    const unsigned char *name;
    unsigned length;
    SSL_get0_alpn_selected(session->ssl, &name, &length);
    if (!length) {
        return NULL;
    }
    memcpy(session->alpn, name, length);
    session->alpn[length] = '\0';
    return session->alpn;
}

static const char *get(struct tls_session *session, const char *name)
{
    if (!strcmp(name, "tls.version")) {
        return SSL_get_version(session->ssl);
    }
    if (!strcmp(name, "tls.cipher")) {
        return SSL_get_cipher_name(session->ssl);
    }
    return !strcmp(name, "tls.alpn") ? get_alpn(session) : NULL;
}

extern CASGI_EXPORT const struct tls_part casgi_part_tls;
const struct tls_part casgi_part_tls = {
    .version = TLS_PART_VERSION,
    .context_new = context_new,
    .context_free = context_free,
    .session_new = session_new,
    .session_free = session_free,
    .handshake = handshake,
    .read = session_read,
    .write = session_write,
    .shutdown = session_shutdown,
    .get = get,
};
