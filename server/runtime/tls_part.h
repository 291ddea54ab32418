/* runtime/tls_part.h: what the part "tls" offers: TLS by OpenSSL, in a shared object of its own (tls.so) that is loaded
 * on first use, so that a server without TLS does not carry OpenSSL. The part uses nothing of the server's but ABI
 * headers, and knows neither loop nor tasks: what would block says so (CASGI_EAGAIN and what to wait for). */
#pragma once

#include "casgi/fd.h"
#include "casgi/net.h"

#include <sys/types.h>

struct tls_context; /* certificates and settings; shared by sessions */
struct tls_session; /* one connection */

#define TLS_PART_VERSION 1u

struct tls_part {
    uint32_t version;

    /* [any] Reads files: may block. The reason for a failure goes to *out_error. */
    int (*context_new)(const casgi_tls_options_t *options, struct tls_context **out_context, casgi_error_t *out_error);
    void (*context_free)(struct tls_context *context); /* its sessions live on; NULL does nothing */

    /* A client session on a connected socket, which stays the caller's. `name`: whom the certificate must name, a host
     * or an address; NULL: nobody in particular. */
    int (*session_new)(struct tls_context *context, int fd, const char *name, struct tls_session **out_session);
    void (*session_free)(struct tls_session *session); /* NULL does nothing */

    /* Each tries. CASGI_EAGAIN: wait until the socket is ready for *out_wants (enum casgi_fd_event). */
    int (*handshake)(struct tls_session *session, uint32_t *out_wants, casgi_error_t *out_error);
    ssize_t (*read)(struct tls_session *session, void *data, size_t size, uint32_t *out_wants);
    ssize_t (*write)(struct tls_session *session, const void *data, size_t size, uint32_t *out_wants);
    int (*shutdown)(struct tls_session *session, uint32_t *out_wants);

    /* "tls.version", "tls.cipher", "tls.alpn"; NULL: unknown, or not so. Lives as long as the session. */
    const char *(*get)(struct tls_session *session, const char *name);
};

/* The symbol of the part. */
#define TLS_PART_SYMBOL "casgi_part_tls"
