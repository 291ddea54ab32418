/* runtime/dns.h: names of hosts, and addresses as text. */
#pragma once

#include "casgi/scope.h"

#include <netinet/in.h>
#include <sys/socket.h>

union socket_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

#define NAME_ADDRESSES_MAX 16
#define NAME_TEXT_MAX 128 /* an address as text, with its NUL */

struct name_addresses {
    size_t count; /* at least 1 */
    union socket_address items[NAME_ADDRESSES_MAX];
};

/* [task] The addresses of a host, in the order in which to try them, with `port` in each. A numeric one is not asked
 * for. CASGI_ENOENT, CASGI_EAGAIN (no answer), CASGI_ECANCELED, CASGI_ETIMEDOUT (at once: the question goes on alone).
 */
int name_resolve(const char *host, int port, struct name_addresses *out_addresses) __attribute__((warn_unused_result));

/* [any] An IP address as text; *out_address points into `text`. */
void name_format(const struct sockaddr *address, char text[static NAME_TEXT_MAX], casgi_address_t *out_address);

static inline socklen_t socket_address_size(const union socket_address *address)
{
    return address->any.sa_family == AF_INET ? sizeof(address->ipv4) : sizeof(address->ipv6);
}

/* [task] casgi_resolve: in the task's arena. */
int name_resolve_texts(const char *host, casgi_address_t **out_addresses, size_t *out_count);
