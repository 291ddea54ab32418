/* net/address.h: a socket address as the scope and the log show it. libc only; [any] thread. */
#pragma once

#include "casgi/scope.h"

#include <sys/socket.h>

/* Room for the text of a host: an IP address, or a Unix socket's path. */
struct address {
    casgi_address_t view; /* points into `text`: do not copy the struct around its view, use address_from again */
    char text[112];
};

/* Fills *out from what accept4, getsockname or getpeername gave. An IPv4 address mapped into IPv6 is shown as IPv4. A
 * Unix socket: its path with port -1; the nameless end of one: host.ptr NULL. */
void address_from(struct address *out, const struct sockaddr_storage *from, socklen_t size);
