/* casgi/net.h: streams over TCP, Unix sockets, pipes and TLS, listening sockets, names. The interface "casgi.net/1" and
 * the calls an author writes.
 *
 *     casgi_stream_t *stream;
 *     int rc = casgi_connect("localhost", 6379, &stream);
 *     if (!rc) {
 *         casgi_str_t line;
 *         rc = casgi_stream_write(stream, "PING\r\n", 6);
 *         rc = rc ? rc : casgi_stream_read_until(stream, "\r\n", 2, 65536, &line);
 *         casgi_stream_close(stream);
 *     }
 *
 * No call has a timeout of its own: casgi_deadline_begin bounds whatever is called inside it. One task may read from a
 * stream while another writes to it; a second reader or writer gets CASGI_EBUSY. Memory given to a call is borrowed
 * until it returns. A stream belongs to who opened it, not to the request: close it, or casgi_defer its closing.
 *
 * Errors: CASGI_EEOF the other side has ended; CASGI_EDISCONNECTED it is gone (reset, or a write after its end);
 * CASGI_EREFUSED nobody listens there; CASGI_ENOENT no such name or socket; CASGI_ECLOSED closed here, by another task
 * during the call or by a write that was cut short; CASGI_ECANCELED, CASGI_ETIMEDOUT; else CASGI_ESYSTEM(errno). */
#pragma once

#include "base.h"
#include "imports.h"
#include "scope.h"

CASGI_EXTERN_C_BEGIN

typedef struct casgi_stream casgi_stream_t;
typedef struct casgi_listener casgi_listener_t;

enum casgi_tls_flag {
    CASGI_TLS_NO_VERIFY = 1, /* accept any certificate: for tests only */
};

/* How a client stream is made secure. Zero it first; all may stay zero. Borrowed for the call. */
typedef struct casgi_tls_options {
    const char
        *server_name;      /* whom the certificate must name, and what is asked for; NULL: the host given to connect */
    const char *ca_file;   /* PEM: whom to trust instead of the system's; NULL: the system's */
    const char *cert_file; /* PEM: our own certificate, with its chain; NULL: none */
    const char *key_file;  /* PEM: its key; NULL: it is in cert_file */
    const char *alpn;      /* protocols offered, best first, as "h2,http/1.1"; NULL: none */
    uint32_t flags;        /* enum casgi_tls_flag */
    uint32_t reserved0;
    uintptr_t reserved[10];
} casgi_tls_options_t;

/* "casgi.net/1". The inline calls below say what each does. A later minor adds calls in reserved words, in order. */
typedef struct casgi_net_1 {
    int (*resolve)(const char *host, casgi_address_t **out_addresses, size_t *out_count);
    int (*connect)(const char *host, int port, casgi_stream_t **out_stream);
    int (*connect_unix)(const char *path, casgi_stream_t **out_stream);
    int (*open)(int fd, casgi_stream_t **out_stream);
    int (*start_tls)(casgi_stream_t *stream, const casgi_tls_options_t *options, casgi_error_t *out_error);
    int (*read)(casgi_stream_t *stream, void *data, size_t size, size_t *out_size);
    int (*read_exactly)(casgi_stream_t *stream, void *data, size_t size);
    int (*read_until)(casgi_stream_t *stream, const char *end, size_t end_size, size_t limit, casgi_str_t *out_text);
    int (*write)(casgi_stream_t *stream, const void *data, size_t size);
    int (*write_pieces)(casgi_stream_t *stream, const casgi_str_t *pieces, size_t count);
    int (*shutdown)(casgi_stream_t *stream);
    void (*close)(casgi_stream_t *stream);
    int (*descriptor)(const casgi_stream_t *stream);
    int (*addresses)(const casgi_stream_t *stream, casgi_address_t *out_local, casgi_address_t *out_remote);
    const char *(*get)(const casgi_stream_t *stream, const char *name);
    int (*listen)(const char *host, int port, casgi_listener_t **out_listener);
    int (*listen_unix)(const char *path, casgi_listener_t **out_listener);
    int (*accept)(casgi_listener_t *listener, casgi_stream_t **out_stream);
    int (*listener_address)(const casgi_listener_t *listener, casgi_address_t *out_address);
    void (*listener_close)(casgi_listener_t *listener);
    const void *reserved[12];
} casgi_net_1_t;

#define CASGI_NET_ (casgi_imports_.net)

/* [task] The addresses of a host's name, in the order in which to try them, in the task's arena; port is -1 in each. A
 * numeric address ("192.0.2.1", "::1") gives itself. Asked on a thread; a caller that is cancelled does not wait for
 * the answer. CASGI_ENOENT: no such name. CASGI_EAGAIN: the name server does not answer. */
static inline int casgi_resolve(const char *host, casgi_address_t **out_addresses, size_t *out_count)
{
    return CASGI_NET_ ? CASGI_NET_->resolve(host, out_addresses, out_count) : CASGI_ENOTSUP;
}

/* [task] A TCP stream to a host by name or address, with TCP_NODELAY. The host's addresses are tried one after another,
 * the next one also when one has not answered for 250 ms; the first that answers wins. *out_stream is yours:
 * casgi_stream_close. The error is that of the last address. */
static inline int casgi_connect(const char *host, int port, casgi_stream_t **out_stream)
{
    return CASGI_NET_ ? CASGI_NET_->connect(host, port, out_stream) : CASGI_ENOTSUP;
}

/* [task] A stream to a Unix socket; a path that begins with "@" is in the abstract namespace. */
static inline int casgi_connect_unix(const char *path, casgi_stream_t **out_stream)
{
    return CASGI_NET_ ? CASGI_NET_->connect_unix(path, out_stream) : CASGI_ENOTSUP;
}

/* [loop] A stream over a descriptor you have: a connected socket, a pipe, a terminal. `fd` moves on success and becomes
 * non-blocking. CASGI_EINVAL: a file. */
static inline int casgi_stream_open(int fd, casgi_stream_t **out_stream)
{
    return CASGI_NET_ ? CASGI_NET_->open(fd, out_stream) : CASGI_ENOTSUP;
}

/* [task] Makes a client stream secure (TLS 1.2 or later): shakes hands and verifies the certificate; `options` NULL: as
 * all zeros. Nothing may have been read ahead. After a failure the stream can only be closed. The sentence goes to
 * *out_error (NULL allowed). CASGI_EACCES: the certificate is not trusted or names another host; CASGI_EPROTO: not TLS
 * there, or nothing in common; CASGI_ENOTSUP: this server has no TLS. */
static inline int casgi_stream_start_tls(casgi_stream_t *stream, const casgi_tls_options_t *options,
                                         casgi_error_t *out_error)
{
    return CASGI_NET_ ? CASGI_NET_->start_tls(stream, options, out_error) : CASGI_ENOTSUP;
}

/* [task] Waits for bytes and stores up to `size` of them; *out_size >= 1. CASGI_EEOF at the end. Cancelled: nothing is
 * lost. */
static inline int casgi_stream_read(casgi_stream_t *stream, void *data, size_t size, size_t *out_size)
{
    return CASGI_NET_ ? CASGI_NET_->read(stream, data, size, out_size) : CASGI_ENOTSUP;
}

/* [task] Exactly `size` bytes. CASGI_EEOF: the end came before; CASGI_ECANCELED, CASGI_ETIMEDOUT: in both cases what
 * had come can still be read. */
static inline int casgi_stream_read_exactly(casgi_stream_t *stream, void *data, size_t size)
{
    return CASGI_NET_ ? CASGI_NET_->read_exactly(stream, data, size) : CASGI_ENOTSUP;
}

/* [task] The bytes up to and including `end` ("\r\n"), NUL-terminated; borrowed until the next read of this stream, or
 * its close. CASGI_ETOOBIG: no `end` in the first `limit` bytes (0: 65536); CASGI_EEOF: the stream ended before; these
 * and a cancellation lose nothing: what had come can still be read. */
static inline int casgi_stream_read_until(casgi_stream_t *stream, const char *end, size_t end_size, size_t limit,
                                          casgi_str_t *out_text)
{
    return CASGI_NET_ ? CASGI_NET_->read_until(stream, end, end_size, limit, out_text) : CASGI_ENOTSUP;
}

/* [task] Writes all of it; suspends while the other side reads slowly. If it is cancelled after the first byte the
 * stream takes no more writes (CASGI_ECLOSED): half a message cannot be taken back. */
static inline int casgi_stream_write(casgi_stream_t *stream, const void *data, size_t size)
{
    return CASGI_NET_ ? CASGI_NET_->write(stream, data, size) : CASGI_ENOTSUP;
}

/* [task] The same for several pieces, which leave together. */
static inline int casgi_stream_write_pieces(casgi_stream_t *stream, const casgi_str_t *pieces, size_t count)
{
    return CASGI_NET_ ? CASGI_NET_->write_pieces(stream, pieces, count) : CASGI_ENOTSUP;
}

/* [task] Ends our side: the other reads its end of stream; reading goes on. */
static inline int casgi_stream_shutdown(casgi_stream_t *stream)
{
    return CASGI_NET_ ? CASGI_NET_->shutdown(stream) : CASGI_ENOTSUP;
}

/* [loop] Closes it now and frees it; a task that waits in it gets CASGI_ECLOSED. NULL does nothing. */
static inline void casgi_stream_close(casgi_stream_t *stream)
{
    if (CASGI_NET_) {
        CASGI_NET_->close(stream);
    }
}

/* [loop] Its descriptor, for socket options; borrowed, never to be closed or read. */
static inline int casgi_stream_descriptor(const casgi_stream_t *stream)
{
    return CASGI_NET_ ? CASGI_NET_->descriptor(stream) : CASGI_ENOTSUP;
}

/* [loop] Both ends (each may be NULL); the texts are borrowed until the stream is closed. */
static inline int casgi_stream_addresses(const casgi_stream_t *stream, casgi_address_t *out_local,
                                         casgi_address_t *out_remote)
{
    return CASGI_NET_ ? CASGI_NET_->addresses(stream, out_local, out_remote) : CASGI_ENOTSUP;
}

/* [loop] A fact by name: "tls.version" ("TLSv1.3"), "tls.cipher", "tls.alpn" (the protocol agreed on). NULL: unknown,
 * or not so. Borrowed until the stream is closed. */
static inline const char *casgi_stream_get(const casgi_stream_t *stream, const char *name)
{
    return CASGI_NET_ ? CASGI_NET_->get(stream, name) : NULL;
}

/* [task] A listening TCP socket on the first address of `host` ("127.0.0.1", "localhost", "::"); port 0: a free one,
 * see casgi_listener_address. *out_listener is yours: casgi_listener_close. CASGI_ESYSTEM(EADDRINUSE), CASGI_EACCES. */
static inline int casgi_listen(const char *host, int port, casgi_listener_t **out_listener)
{
    return CASGI_NET_ ? CASGI_NET_->listen(host, port, out_listener) : CASGI_ENOTSUP;
}

/* [task] A listening Unix socket; "@name" is in the abstract namespace. A socket file that nobody listens on any more
 * is replaced; the file is removed at close. CASGI_ESYSTEM(EADDRINUSE). */
static inline int casgi_listen_unix(const char *path, casgi_listener_t **out_listener)
{
    return CASGI_NET_ ? CASGI_NET_->listen_unix(path, out_listener) : CASGI_ENOTSUP;
}

/* [task] The next connection; *out_stream is yours. One task at a time: CASGI_EBUSY. Cancelled: no connection is lost.
 */
static inline int casgi_accept(casgi_listener_t *listener, casgi_stream_t **out_stream)
{
    return CASGI_NET_ ? CASGI_NET_->accept(listener, out_stream) : CASGI_ENOTSUP;
}

/* [loop] Where it listens; the text is borrowed until it is closed. */
static inline int casgi_listener_address(const casgi_listener_t *listener, casgi_address_t *out_address)
{
    return CASGI_NET_ ? CASGI_NET_->listener_address(listener, out_address) : CASGI_ENOTSUP;
}

/* [loop] Closes it and frees it; a task in casgi_accept gets CASGI_ECLOSED. NULL does nothing. */
static inline void casgi_listener_close(casgi_listener_t *listener)
{
    if (CASGI_NET_) {
        CASGI_NET_->listener_close(listener);
    }
}

CASGI_STATIC_ASSERT(sizeof(casgi_tls_options_t) == 128, "casgi_tls_options_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_net_1_t) == 256, "casgi_net_1_t is frozen");

CASGI_EXTERN_C_END
