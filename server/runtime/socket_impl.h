/* runtime/socket_impl.h: what the files of sockets share. Nobody else includes it. All [loop]. */
#pragma once

#include "base/buf.h"
#include "runtime/fdwatch.h"
#include "runtime/socket.h"

#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>

struct socket_tls;

enum socket_kind {
    SOCKET_TCP,
    SOCKET_OTHER, /* another stream socket */
    SOCKET_PIPE,  /* no socket: read and write */
};

/* Both ends as text, made when asked for. */
struct socket_names {
    casgi_address_t local;
    casgi_address_t remote;
    char local_text[NAME_TEXT_MAX];
    char remote_text[NAME_TEXT_MAX];
};

struct casgi_stream {
    struct fd_watch watch;
    int fd; /* -1: closed, or a pipe that is shut down */
    enum socket_kind kind;
    const struct socket_transport *transport;
    bool closed;  /* by socket_close: freed when the last call has left */
    bool reading; /* a call reads */
    bool writing;
    bool cut;       /* a write was cancelled in the middle */
    bool ended;     /* our side is shut down */
    uint32_t users; /* calls under way */
    struct buf in;  /* read ahead */
    char *hidden;   /* where in `in` read_until put a NUL; NULL: nowhere */
    char hidden_byte;
    char *host; /* what connect was asked for; NULL: nothing */
    struct socket_names *names;
    struct socket_tls *tls;
};

/* How bytes pass: plain, or TLS. */
struct socket_transport {
    /* Tries. The count of bytes (read: 0 is the end); CASGI_EAGAIN: wait until it is ready for one of *out_wants (enum
     * casgi_fd_event) and try again; another code. */
    ssize_t (*read)(struct casgi_stream *stream, void *data, size_t size, uint32_t *out_wants);
    ssize_t (*write)(struct casgi_stream *stream, const struct iovec *pieces, int count, uint32_t *out_wants);
    /* The same for ending our side: 0 is done. */
    int (*shutdown)(struct casgi_stream *stream, uint32_t *out_wants);
    void (*close)(struct casgi_stream *stream);                              /* before the descriptor is; may be NULL */
    void (*free)(struct casgi_stream *stream);                               /* what belongs to it; may be NULL */
    const char *(*get)(const struct casgi_stream *stream, const char *name); /* a fact; may be NULL */
    bool gathers; /* a write that is to be tried again may have sent a part */
};

/* The code of a failed call on a socket. */
int socket_error(int number);

/* A non-blocking socket; -1 and errno. */
int socket_new(int family);

/* A Unix socket's address from a path, or "@name". CASGI_EINVAL: too long, or empty. */
int socket_unix_address(const char *path, struct sockaddr_un *out_address, socklen_t *out_size)
    __attribute__((warn_unused_result));

/* [task] A TCP stream to the first of these that answers. */
int socket_connect_any(struct loop *loop, const struct name_addresses *addresses, struct casgi_stream **out_stream)
    __attribute__((warn_unused_result));

/* A stream over a socket of ours; `fd` moves on success. `ready`: enum casgi_fd_event, what may be tried at once. */
int socket_adopt(struct loop *loop, int fd, enum socket_kind kind, uint32_t ready, struct casgi_stream **out_stream)
    __attribute__((warn_unused_result));

/* [task] Every call on a stream is between these. */
int socket_enter(struct casgi_stream *stream, bool read, bool write) __attribute__((warn_unused_result));
void socket_leave(struct casgi_stream *stream, bool read, bool write);

/* [task] What was tried would have blocked: waits until it is ready for one of `wants`. */
int socket_wait(struct casgi_stream *stream, uint32_t wants) __attribute__((warn_unused_result));

/* [task] Waits for some bytes; 0 at the end. Between enter and leave. */
ssize_t socket_read_some(struct casgi_stream *stream, void *data, size_t size) __attribute__((warn_unused_result));
