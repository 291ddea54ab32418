/* net/listen_set.h: what the files of listen share; not for others. */
#pragma once

#include "net/listen.h"

/* Adds a listening socket, which the set owns on success; *out_item is the set's. */
int listen_set_add(struct listen_set *set, int fd, struct listen_socket **out_item, casgi_error_t *error);

/* Moves what `from` holds to the end of `to`. CASGI_ENOMEM: nothing moved. */
int listen_set_join(struct listen_set *to, struct listen_set *from);

/* What accepted TCP connections inherit. Other kinds of socket ignore it. */
void listen_set_options(int fd);

/* Binds every address of a host name, on one port. */
int listen_set_open_tcp(struct listen_set *set, const struct listen_spec *spec, bool v6_only, int backlog,
                        casgi_error_t *error);

/* Replaces what a server that is no more has left at the path. */
int listen_set_open_unix(struct listen_set *set, const char *path, int backlog, casgi_error_t *error);
