/* net/listen.h: the addresses a server listens on: read, bound, shown. libc only: the supervisor uses it as well as the
 * worker. Sockets are non-blocking, close-on-exec, and have TCP_NODELAY and SO_KEEPALIVE, which accepted connections
 * inherit (a system call less for each): a client that vanished without a word while its request runs is noticed.
 *
 * Every failure is a sentence for the person at the terminal, with the errno's name in it. */
#pragma once

#include "casgi/base.h"
#include "net/address.h"

#include <sys/types.h>

struct config;

/* ---- what was written ---- */

enum listen_kind { LISTEN_TCP, LISTEN_UNIX, LISTEN_FD };

/* One address as given; borrows nothing. */
struct listen_spec {
    enum listen_kind kind;
    char host[256]; /* LISTEN_TCP: name or address, without brackets; "": every address of this machine */
    uint16_t port;
    char path[108]; /* LISTEN_UNIX */
    int fd;         /* LISTEN_FD */
};

/* Reads "host:port", "[v6]:port", ":port", "unix:path", "fd://N". CASGI_EINVAL with the sentence. */
int listen_spec_parse(struct listen_spec *out, const char *text, casgi_error_t *error)
    __attribute__((warn_unused_result));

/* ---- what was bound ---- */

struct listen_socket {
    int fd;
    int family;             /* AF_INET, AF_INET6, AF_UNIX */
    bool wildcard;          /* bound to every address: the local end of a connection is known only per connection */
    struct address address; /* of this end */
    char *url;              /* "http://127.0.0.1:8000", "unix:/run/app.sock"; owned by the set */
    char *path;             /* a Unix socket's file made here: removed by listen_unlink; NULL; owned by the set */
    dev_t device;           /* of that file, so that another's is never removed */
    ino_t inode;
};

/* Zeroed is a valid empty set. */
struct listen_set {
    struct listen_socket **items;
    size_t count;
};

struct listen_options {
    const char *host;  /* a name may stand for several addresses: all are bound */
    uint16_t port;     /* 0: any free one, the same for all addresses of the name */
    const char *uds;   /* over host and port; NULL */
    int fd;            /* over both; -1 */
    char *const *bind; /* over all three, if there are any */
    size_t bind_count;
    int backlog;
};

/* What the command line says: borrowed from `config`. */
struct listen_options listen_options_of(const struct config *config);

/* Binds and listens on all of it, or on nothing. */
int listen_open(struct listen_set *set, const struct listen_options *options, casgi_error_t *error)
    __attribute__((warn_unused_result));

/* Adds a socket that exists: inherited, received, --fd. A bound one that does not listen yet is made to. Owns `fd` on
 * success. */
int listen_adopt(struct listen_set *set, int fd, int backlog, casgi_error_t *error) __attribute__((warn_unused_result));

/* Closes and frees; connections waiting on the sockets are lost unless another process holds them too. */
void listen_close(struct listen_set *set);

/* Removes the files of Unix sockets bound here, unless somebody has put another there. */
void listen_unlink(struct listen_set *set);
