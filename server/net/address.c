#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static void set_text(struct address *out, int port)
{
    out->view.host.ptr = out->text;
    out->view.host.len = strlen(out->text);
    out->view.port = port;
}

static void from_ipv4(struct address *out, const struct in_addr *host, in_port_t port)
{
    if (inet_ntop(AF_INET, host, out->text, sizeof(out->text))) {
        set_text(out, ntohs(port));
    }
}

static void from_ipv6(struct address *out, const struct sockaddr_in6 *from)
{
    if (IN6_IS_ADDR_V4MAPPED(&from->sin6_addr)) {
        struct in_addr host;
        memcpy(&host, from->sin6_addr.s6_addr + 12, sizeof(host));
        from_ipv4(out, &host, from->sin6_port);
    } else if (inet_ntop(AF_INET6, &from->sin6_addr, out->text, sizeof(out->text))) {
        set_text(out, ntohs(from->sin6_port));
    }
}

static void from_unix(struct address *out, const struct sockaddr_un *from, socklen_t size)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    if (size <= start || from->sun_path[0] == '\0') {
        return;
    }
    size_t length = strnlen(from->sun_path, size - start);
    memcpy(out->text, from->sun_path, length);
    out->text[length] = '\0';
    set_text(out, -1);
}

void address_from(struct address *out, const struct sockaddr_storage *from, socklen_t size)
{
    out->view = (casgi_address_t){ .port = -1 };
    out->text[0] = '\0';
    switch (from->ss_family) {
    case AF_INET: {
        const struct sockaddr_in *ipv4 = (const void *)from;
        from_ipv4(out, &ipv4->sin_addr, ipv4->sin_port);
        break;
    }
    case AF_INET6:
        from_ipv6(out, (const void *)from);
        break;
    case AF_UNIX:
        from_unix(out, (const void *)from, size);
        break;
    default:
        break;
    }
}
