/* runtime/socket.h: streams and listening sockets for applications: the interface "casgi.net/1". (The server's own
 * connections are net/stream.h's.) casgi_stream_t is struct casgi_stream. The rules are those of casgi/net.h. A read or
 * write is tried at once and waits only if it must; nothing is queued here. */
#pragma once

#include "casgi/net.h"
#include "runtime/dns.h"
#include "runtime/loop.h"

struct casgi_stream;
struct casgi_listener;

/* [loop] A stream over a connected socket, a pipe or a terminal, which becomes non-blocking; `fd` moves on success. */
int socket_open(struct loop *loop, int fd, struct casgi_stream **out_stream) __attribute__((warn_unused_result));

/* [loop] */
void socket_close(struct casgi_stream *stream);
int socket_descriptor(const struct casgi_stream *stream);

/* [task] */
int socket_read(struct casgi_stream *stream, void *data, size_t size, size_t *out_size)
    __attribute__((warn_unused_result));
int socket_read_exactly(struct casgi_stream *stream, void *data, size_t size) __attribute__((warn_unused_result));
int socket_read_until(struct casgi_stream *stream, const char *end, size_t end_size, size_t limit,
                      casgi_str_t *out_text) __attribute__((warn_unused_result));
int socket_write(struct casgi_stream *stream, const void *data, size_t size) __attribute__((warn_unused_result));
int socket_write_pieces(struct casgi_stream *stream, const casgi_str_t *pieces, size_t count)
    __attribute__((warn_unused_result));
int socket_shutdown(struct casgi_stream *stream);

/* [task] socket_connect.c */
int socket_connect(const char *host, int port, struct casgi_stream **out_stream) __attribute__((warn_unused_result));
int socket_connect_unix(const char *path, struct casgi_stream **out_stream) __attribute__((warn_unused_result));

/* [task] socket_listen.c */
int socket_listen(const char *host, int port, struct casgi_listener **out_listener) __attribute__((warn_unused_result));
int socket_listen_unix(const char *path, struct casgi_listener **out_listener) __attribute__((warn_unused_result));
int socket_accept(struct casgi_listener *listener, struct casgi_stream **out_stream)
    __attribute__((warn_unused_result));

/* [loop] */
int socket_listener_address(const struct casgi_listener *listener, casgi_address_t *out_address);
void socket_listener_close(struct casgi_listener *listener);

/* The table behind "casgi.net/1". */
extern const casgi_net_1_t net_interface;
