/* The table "casgi.net/1", and what is known of a stream. */
#include "base/error.h"
#include "runtime/internal.h"
#include "runtime/socket_impl.h"
#include "runtime/socket_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A Unix socket's name; port -1. */
static void format_unix(const struct sockaddr_un *address, socklen_t size, char text[static NAME_TEXT_MAX],
                        casgi_address_t *out_address)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    *out_address = (casgi_address_t){ .port = -1 };
    if (size <= start) {
        return;
    }
    bool abstract = address->sun_path[0] == '\0';
    size_t length = abstract ? size - start : strnlen(address->sun_path, size - start);
    memcpy(text, address->sun_path, length);
    text[0] = abstract ? '@' : text[0];
    text[length] = '\0';
    out_address->host = (casgi_str_t){ text, length };
}

union any_address {
    struct sockaddr any;
    struct sockaddr_un local;
    union socket_address ip;
};

static void format(const union any_address *address, socklen_t size, char text[static NAME_TEXT_MAX],
                   casgi_address_t *out_address)
{
    if (address->any.sa_family == AF_UNIX) {
        format_unix(&address->local, size, text, out_address);
    } else {
        name_format(&address->any, text, out_address);
    }
}

static int make_names(struct casgi_stream *stream)
{
    union any_address local, remote;
    socklen_t local_size = sizeof(local), remote_size = sizeof(remote);
    if (getsockname(stream->fd, &local.any, &local_size) || getpeername(stream->fd, &remote.any, &remote_size)) {
        return socket_error(errno);
    }
    stream->names = calloc(1, sizeof(*stream->names));
    if (!stream->names) {
        return CASGI_ENOMEM;
    }
    format(&local, local_size, stream->names->local_text, &stream->names->local);
    format(&remote, remote_size, stream->names->remote_text, &stream->names->remote);
    return 0;
}

static int descriptor(const casgi_stream_t *stream)
{
    return loop_of_thread ? socket_descriptor(stream) : CASGI_EWRONGTHREAD;
}

static int listener_address(const casgi_listener_t *listener, casgi_address_t *out_address)
{
    return loop_of_thread ? socket_listener_address(listener, out_address) : CASGI_EWRONGTHREAD;
}

static int addresses(const casgi_stream_t *handle, casgi_address_t *out_local, casgi_address_t *out_remote)
{
    struct casgi_stream *stream = (struct casgi_stream *)(uintptr_t)handle;
    if (!loop_of_thread) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = stream->names ? 0 : make_names(stream);
    if (!rc && out_local) {
        *out_local = stream->names->local;
    }
    if (!rc && out_remote) {
        *out_remote = stream->names->remote;
    }
    return rc;
}

static const char *get(const casgi_stream_t *stream, const char *name)
{
    return stream->transport->get ? stream->transport->get(stream, name) : NULL;
}

static int open_descriptor(int fd, casgi_stream_t **out_stream)
{
    struct loop *loop = loop_of_thread;
    return loop ? socket_open(loop, fd, out_stream) : CASGI_EWRONGTHREAD;
}

static void close_here(casgi_stream_t *stream)
{
    if (loop_of_thread) {
        socket_close(stream);
    }
}

static void close_listener_here(casgi_listener_t *listener)
{
    if (loop_of_thread) {
        socket_listener_close(listener);
    }
}

const casgi_net_1_t net_interface = {
    .resolve = name_resolve_texts,
    .connect = socket_connect,
    .connect_unix = socket_connect_unix,
    .open = open_descriptor,
    .start_tls = socket_start_tls,
    .read = socket_read,
    .read_exactly = socket_read_exactly,
    .read_until = socket_read_until,
    .write = socket_write,
    .write_pieces = socket_write_pieces,
    .shutdown = socket_shutdown,
    .close = close_here,
    .descriptor = descriptor,
    .addresses = addresses,
    .get = get,
    .listen = socket_listen,
    .listen_unix = socket_listen_unix,
    .accept = socket_accept,
    .listener_address = listener_address,
    .listener_close = close_listener_here,
};
