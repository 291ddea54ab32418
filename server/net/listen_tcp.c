#include "net/listen_set.h"

#include "base/error.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum { PORT_ATTEMPTS = 16 };

/* An option that the kernel lacks is no reason not to serve. */
static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

/* Later than an idle connection is closed: who is asked whether he is still there has a request running. */
enum { ALIVE_IDLE = 120, ALIVE_INTERVAL = 30, ALIVE_PROBES = 4 };

void listen_set_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, ALIVE_IDLE);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, ALIVE_INTERVAL);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, ALIVE_PROBES);
}

static void set_tcp_options(int fd)
{
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    listen_set_options(fd);
}

static int tcp_error(casgi_error_t *error, int number, const char *host, unsigned port)
{
    int code = error_from_errno(number);
    switch (number) {
    case EADDRINUSE:
        return error_set(
            error, code,
            "port %u on %s is already in use (EADDRINUSE); stop what uses it or choose another with --port", port,
            host);
    case EACCES:
    case EPERM:
        return error_set(
            error, code,
            "no permission to listen on port %u of %s (%s); ports below 1024 are for root or CAP_NET_BIND_SERVICE",
            port, host, strerrorname_np(number));
    case EADDRNOTAVAIL:
        return error_set(error, code, "%s is not an address of this machine (EADDRNOTAVAIL)", host);
    default:
        return error_set(error, code, "cannot listen on port %u of %s: %s (%s)", port, host, error_text(code),
                         error_name(code));
    }
}

static void set_port(struct sockaddr *address, uint16_t port)
{
    if (address->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
    }
}

/* A listening socket, or -errno. */
static int bind_tcp(const struct addrinfo *address, bool v6_only, int backlog)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    const int only = v6_only;
    set_tcp_options(fd);
    if (address->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    }
    if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, backlog)) {
        int number = errno;
        close(fd);
        return -number;
    }
    return fd;
}

/* One name's addresses, all on one port. */
struct tcp_bind {
    struct listen_set *set;
    const struct addrinfo *list;
    const char *host;
    uint16_t port;
    bool v6_only; /* something else listens on IPv4 here */
    int backlog;
};

/* Of several addresses of a name, one that this machine does not have is left out: "localhost" without IPv6. */
static bool may_be_left_out(const struct tcp_bind *job, int number)
{
    return job->list->ai_next && (number == EADDRNOTAVAIL || number == EAFNOSUPPORT);
}

/* Binds every address to job->port; 0, or -errno of the one that failed. */
static int bind_all(const struct tcp_bind *job, struct listen_set *out, casgi_error_t *error)
{
    uint16_t port = job->port;
    int left_out = 0;
    for (const struct addrinfo *address = job->list; address; address = address->ai_next) {
        struct listen_socket *item;
        set_port(address->ai_addr, port);
        int fd = bind_tcp(address, job->v6_only || job->list->ai_next, job->backlog);
        if (fd < 0 && may_be_left_out(job, -fd)) {
            left_out = fd;
            continue;
        }
        if (fd < 0) {
            (void)tcp_error(error, -fd, job->host, port);
            return fd;
        }
        if (listen_set_add(out, fd, &item, error)) {
            close(fd);
            return -ENOMEM;
        }
        port = (uint16_t)item->address.view.port;
    }
    if (!out->count) {
        (void)tcp_error(error, -left_out, job->host, port);
        return left_out;
    }
    return 0;
}

/* With port 0 the first address chooses; where the second cannot have that port, the choice is made again. */
static int bind_addresses(const struct tcp_bind *job, casgi_error_t *error)
{
    struct listen_set bound = { 0 };
    int rc = -EADDRINUSE;
    for (int i = 0; i < PORT_ATTEMPTS && rc == -EADDRINUSE; i++) {
        listen_close(&bound);
        rc = bind_all(job, &bound, error);
        if (job->port) {
            break;
        }
    }
    if (rc || listen_set_join(job->set, &bound)) {
        listen_close(&bound);
        return rc ? error_from_errno(-rc) : error_set(error, CASGI_ENOMEM, "out of memory");
    }
    return 0;
}

/* The host of a URL as it is written there is also understood. */
static const char *without_brackets(const char *host, char *buffer, size_t size)
{
    size_t length = strlen(host);
    if (length < 2 || host[0] != '[' || host[length - 1] != ']' || length - 1 > size) {
        return host;
    }
    memcpy(buffer, host + 1, length - 2);
    buffer[length - 2] = '\0';
    return buffer;
}

static int resolve(const char *host, struct addrinfo **out_list, casgi_error_t *error)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    int rc = getaddrinfo(*host ? host : NULL, "0", &hints, out_list);
    if (rc) {
        const char *why = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
        return error_set(error, CASGI_ENOENT, "\"%s\" is no address and no known host name (%s)", host, why);
    }
    return 0;
}

int listen_set_open_tcp(struct listen_set *set, const struct listen_spec *spec, bool v6_only, int backlog,
                        casgi_error_t *error)
{
    char buffer[sizeof(spec->host)];
    struct addrinfo *list;
    const char *host = without_brackets(spec->host, buffer, sizeof(buffer));
    int rc = resolve(host, &list, error);
    if (!rc) {
        const struct tcp_bind job = { set, list, *host ? host : "every address", spec->port, v6_only, backlog };
        rc = bind_addresses(&job, error);
        freeaddrinfo(list);
    }
    return rc;
}
