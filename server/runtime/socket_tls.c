/* TLS on a client stream: the part does the protocol, this waits for the socket. */
#include "runtime/socket_tls.h"

#include "runtime/internal.h"
#include "runtime/part.h"
#include "runtime/socket_impl.h"
#include "runtime/threads.h"
#include "runtime/tls_part.h"

#include <stdlib.h>
#include <string.h>

enum {
    RECORD_MAX = 16384, /* RFC 8446, section 5.1: pieces up to that are gathered into one record */
};

struct socket_tls {
    const struct tls_part *part;
    struct tls_session *session;
};

/* ---- the part, and the context everybody uses ---- */

/* Loading takes milliseconds and reads files: on a thread. */
struct preparation {
    const casgi_tls_options_t *options;
    const struct tls_part *part;
    struct tls_context *context;
    casgi_error_t *error;
};

/* A context with the system's certificates reads a hundred of them: made once for the process. */
static struct {
    pthread_mutex_t mutex;
    const struct tls_part *part;
    struct tls_context *context;
} shared = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static bool is_usual(const casgi_tls_options_t *options)
{
    return !options->ca_file && !options->cert_file && !options->alpn && !options->flags;
}

static int find_part(struct preparation *preparation)
{
    const void *symbol = shared.part;
    int rc = symbol ? 0 : part_load("tls", TLS_PART_SYMBOL, &symbol, preparation->error);
    if (rc) {
        return rc;
    }
    preparation->part = symbol;
    if (preparation->part->version != TLS_PART_VERSION) {
        return casgi_error_set(preparation->error, CASGI_EABI, "tls.so is of another version");
    }
    shared.part = symbol;
    return 0;
}

static int prepare(void *arg)
{
    struct preparation *preparation = arg;
    bool usual = is_usual(preparation->options);
    pthread_mutex_lock(&shared.mutex);
    int rc = find_part(preparation);
    if (!rc && usual) {
        preparation->context = shared.context;
    }
    if (!rc && !preparation->context) {
        rc = preparation->part->context_new(preparation->options, &preparation->context, preparation->error);
    }
    if (!rc && usual) {
        shared.context = preparation->context;
    }
    pthread_mutex_unlock(&shared.mutex);
    return rc;
}

/* ---- how bytes pass ---- */

static ssize_t tls_read(struct casgi_stream *stream, void *data, size_t size, uint32_t *out_wants)
{
    return stream->tls->part->read(stream->tls->session, data, size, out_wants);
}

/* One record: a large piece as it lies, small ones gathered. Tried again it gathers the same bytes. */
static ssize_t tls_write(struct casgi_stream *stream, const struct iovec *pieces, int count, uint32_t *out_wants)
{
    char *scratch = loop_scratch(loop_of_thread);
    size_t size = 0;
    if (count == 1 || pieces[0].iov_len >= RECORD_MAX) {
        return stream->tls->part->write(stream->tls->session, pieces[0].iov_base, pieces[0].iov_len, out_wants);
    }
    for (int i = 0; i < count && size < RECORD_MAX; i++) {
        size_t room = RECORD_MAX - size;
        size_t taken = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        memcpy(scratch + size, pieces[i].iov_base, taken);
        size += taken;
    }
    return stream->tls->part->write(stream->tls->session, scratch, size, out_wants);
}

static int tls_shutdown(struct casgi_stream *stream, uint32_t *out_wants)
{
    return stream->tls->part->shutdown(stream->tls->session, out_wants);
}

/* The peer is told if that can be done without waiting. */
static void tls_close(struct casgi_stream *stream)
{
    uint32_t wants;
    (void)stream->tls->part->shutdown(stream->tls->session, &wants);
}

static void tls_free(struct casgi_stream *stream)
{
    stream->tls->part->session_free(stream->tls->session);
    free(stream->tls);
}

static const char *tls_get(const struct casgi_stream *stream, const char *name)
{
    return stream->tls->part->get(stream->tls->session, name);
}

static const struct socket_transport transport = {
    .read = tls_read,
    .write = tls_write,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .free = tls_free,
    .get = tls_get,
    .gathers = true,
};

/* ---- starting ---- */

static int shake_hands(struct casgi_stream *stream, casgi_error_t *out_error)
{
    struct socket_tls *tls = stream->tls;
    uint32_t wants = 0;
    int rc;
    while ((rc = tls->part->handshake(tls->session, &wants, out_error)) == CASGI_EAGAIN) {
        rc = socket_wait(stream, wants);
        if (rc) {
            return casgi_error_set(out_error, rc, "no TLS session: %s", casgi_strerror(rc));
        }
    }
    return rc;
}

/* Makes the session; the context is not needed any longer. */
static int attach(struct casgi_stream *stream, const struct preparation *preparation, const char *name)
{
    struct socket_tls *tls = calloc(1, sizeof(*tls));
    int rc = tls ? preparation->part->session_new(preparation->context, stream->fd, name, &tls->session) : CASGI_ENOMEM;
    if (!is_usual(preparation->options)) {
        preparation->part->context_free(preparation->context);
    }
    if (rc) {
        free(tls);
        return rc;
    }
    tls->part = preparation->part;
    stream->tls = tls;
    stream->transport = &transport;
    return 0;
}

static int start(struct casgi_stream *stream, const casgi_tls_options_t *options, casgi_error_t *out_error)
{
    struct preparation preparation = { .options = options, .error = out_error };
    const char *name = options->server_name ? options->server_name : stream->host;
    int result = 0;
    if (!name && !(options->flags & CASGI_TLS_NO_VERIFY)) {
        return casgi_error_set(out_error, CASGI_EINVAL, "whom the certificate must name is not known");
    }
    if (stream->tls || buf_len(&stream->in) || stream->kind == SOCKET_PIPE) {
        return casgi_error_set(out_error, CASGI_EINVAL, "TLS cannot begin in the middle of this stream");
    }
    int rc = thread_run(THREAD_FILES, prepare, &preparation, &result);
    rc = rc ? rc : result ? result : stream->fd < 0 ? CASGI_ECLOSED : 0;
    if (rc && preparation.context && !is_usual(options)) {
        preparation.part->context_free(preparation.context); /* cancelled or closed meanwhile */
    }
    if (rc && !result) {
        return casgi_error_set(out_error, rc, "no TLS session: %s", casgi_strerror(rc));
    }
    rc = rc ? rc : attach(stream, &preparation, name);
    return rc ? rc : shake_hands(stream, out_error);
}

int socket_start_tls(struct casgi_stream *stream, const casgi_tls_options_t *options, casgi_error_t *out_error)
{
    static const casgi_tls_options_t usual;
    int rc = socket_enter(stream, true, true);
    if (rc) {
        return casgi_error_set(out_error, rc, "no TLS session: %s", casgi_strerror(rc));
    }
    rc = start(stream, options ? options : &usual, out_error);
    stream->cut |= rc != 0;
    socket_leave(stream, true, true);
    return rc;
}
