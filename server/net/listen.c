#include "net/listen_set.h"

#include "base/error.h"
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void socket_free(struct listen_socket *item)
{
    if (item) {
        if (item->fd >= 0) {
            close(item->fd);
        }
        free(item->url);
        free(item->path);
        free(item);
    }
}

/* ---- describing a bound socket ---- */

static bool is_wildcard(const struct sockaddr_storage *name)
{
    if (name->ss_family == AF_INET) {
        return ((const struct sockaddr_in *)(const void *)name)->sin_addr.s_addr == htonl(INADDR_ANY);
    }
    return name->ss_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)name)->sin6_addr);
}

static char *make_url(const struct listen_socket *item)
{
    char *url = NULL;
    const char *host = item->address.view.host.ptr ? item->address.view.host.ptr : "";
    int length;
    if (item->family == AF_UNIX) {
        length = asprintf(&url, "unix:%s", host);
    } else {
        const char *format = item->family == AF_INET6 && strchr(host, ':') ? "http://[%s]:%d" : "http://%s:%d";
        length = asprintf(&url, format, host, (int)item->address.view.port);
    }
    return length < 0 ? NULL : url;
}

static int describe(struct listen_socket *item)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    memset(&name, 0, sizeof(name));
    if (getsockname(item->fd, (struct sockaddr *)&name, &size)) {
        return error_from_errno(errno);
    }
    item->family = name.ss_family;
    item->wildcard = is_wildcard(&name);
    address_from(&item->address, &name, size);
    item->url = make_url(item);
    return item->url ? 0 : CASGI_ENOMEM;
}

int listen_set_add(struct listen_set *set, int fd, struct listen_socket **out_item, casgi_error_t *error)
{
    struct listen_socket *item = calloc(1, sizeof(*item));
    struct listen_socket **items = item ? realloc(set->items, (set->count + 1) * sizeof(*items)) : NULL;
    int rc = CASGI_ENOMEM;
    if (items) {
        set->items = items;
        item->fd = fd;
        rc = describe(item);
    }
    if (rc) {
        if (item) {
            item->fd = -1;
        }
        socket_free(item);
        return error_set(error, rc, "cannot keep a listening socket: %s", error_text(rc));
    }
    set->items[set->count++] = item;
    *out_item = item;
    return 0;
}

int listen_set_join(struct listen_set *to, struct listen_set *from)
{
    struct listen_socket **items = realloc(to->items, (to->count + from->count + 1) * sizeof(*items));
    if (!items) {
        return CASGI_ENOMEM;
    }
    memcpy(items + to->count, from->items, from->count * sizeof(*items));
    to->items = items;
    to->count += from->count;
    free(from->items);
    *from = (struct listen_set){ 0 };
    return 0;
}

/* ---- sockets that exist ---- */

/* Where the kernel would choose a port that nobody knows, on every address. */
static bool is_unbound(int fd)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    struct address address;
    if (getsockname(fd, (struct sockaddr *)&name, &size)) {
        return false;
    }
    address_from(&address, &name, size);
    return address.view.port == 0;
}

static int check_socket(int fd, int backlog, casgi_error_t *error)
{
    int type, listening;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size)) {
        const char *why = errno == ENOTSOCK ? "is not a socket" : "is not open";
        return error_set(error, error_from_errno(errno), "descriptor %d %s (%s)", fd, why, strerrorname_np(errno));
    }
    if (type != SOCK_STREAM) {
        return error_set(error, CASGI_EINVAL, "descriptor %d is a socket, but not one of the stream kind", fd);
    }
    size = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening) {
        return 0;
    }
    if (is_unbound(fd)) {
        return error_set(error, CASGI_EINVAL, "descriptor %d is a socket, but bound to no address", fd);
    }
    if (listen(fd, backlog)) {
        return error_set(error, error_from_errno(errno), "cannot listen on descriptor %d: %s (%s)", fd, strerror(errno),
                         strerrorname_np(errno));
    }
    return 0;
}

static bool has_fd(const struct listen_set *set, int fd)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i]->fd == fd) {
            return true;
        }
    }
    return false;
}

int listen_adopt(struct listen_set *set, int fd, int backlog, casgi_error_t *error)
{
    struct listen_socket *item;
    if (has_fd(set, fd)) {
        return error_set(error, CASGI_EINVAL, "descriptor %d is given twice", fd);
    }
    int rc = check_socket(fd, backlog, error);
    if (rc) {
        return rc;
    }
    listen_set_options(fd);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return error_set(error, error_from_errno(errno), "cannot use descriptor %d: %s", fd, strerror(errno));
    }
    return listen_set_add(set, fd, &item, error);
}

/* ---- all of them ---- */

/* "::" serves IPv4 as well, unless that port is also asked for by an IPv4 address. */
static bool wants_v6_only(const struct listen_spec *specs, size_t count, const struct listen_spec *spec)
{
    for (size_t i = 0; i < count; i++) {
        if (&specs[i] != spec && specs[i].kind == LISTEN_TCP && specs[i].port == spec->port) {
            return true;
        }
    }
    return false;
}

static int open_specs(struct listen_set *set, const struct listen_spec *specs, size_t count, int backlog,
                      casgi_error_t *error)
{
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        switch (specs[i].kind) {
        case LISTEN_TCP:
            rc = listen_set_open_tcp(set, &specs[i], wants_v6_only(specs, count, &specs[i]), backlog, error);
            break;
        case LISTEN_UNIX:
            rc = listen_set_open_unix(set, specs[i].path, backlog, error);
            break;
        case LISTEN_FD:
            rc = listen_adopt(set, specs[i].fd, backlog, error);
            break;
        }
    }
    if (rc) {
        listen_unlink(set);
        listen_close(set);
    }
    return rc;
}

/* --fd, --uds, --host and --port, in this order. */
static int spec_from_options(struct listen_spec *out, const struct listen_options *options, casgi_error_t *error)
{
    if (options->fd >= 0) {
        *out = (struct listen_spec){ .kind = LISTEN_FD, .fd = options->fd };
    } else if (options->uds) {
        if (strlen(options->uds) >= sizeof(out->path)) {
            return error_set(error, CASGI_EINVAL, "the path of a Unix socket has at most %zu bytes: %s",
                             sizeof(out->path) - 1, options->uds);
        }
        *out = (struct listen_spec){ .kind = LISTEN_UNIX, .fd = -1 };
        memcpy(out->path, options->uds, strlen(options->uds) + 1);
    } else {
        *out = (struct listen_spec){ .kind = LISTEN_TCP, .port = options->port, .fd = -1 };
        if (strlen(options->host) >= sizeof(out->host)) {
            return error_set(error, CASGI_EINVAL, "\"%s\" is too long for a host name", options->host);
        }
        memcpy(out->host, options->host, strlen(options->host) + 1);
    }
    return 0;
}

static int parse_all(struct listen_spec *specs, const struct listen_options *options, casgi_error_t *error)
{
    if (!options->bind_count) {
        return spec_from_options(&specs[0], options, error);
    }
    int rc = 0;
    for (size_t i = 0; i < options->bind_count && !rc; i++) {
        rc = listen_spec_parse(&specs[i], options->bind[i], error);
    }
    return rc;
}

struct listen_options listen_options_of(const struct config *config)
{
    return (struct listen_options){ .host = config->host,
                                    .port = config->port,
                                    .uds = config->uds,
                                    .fd = config->fd,
                                    .bind = config->bind.items,
                                    .bind_count = config->bind.count,
                                    .backlog = config->backlog };
}

int listen_open(struct listen_set *set, const struct listen_options *options, casgi_error_t *error)
{
    size_t count = options->bind_count ? options->bind_count : 1;
    struct listen_spec *specs = calloc(count, sizeof(*specs));
    if (!specs) {
        return error_set(error, CASGI_ENOMEM, "out of memory");
    }
    struct listen_set bound = { 0 };
    int rc = parse_all(specs, options, error);
    if (!rc) {
        rc = open_specs(&bound, specs, count, options->backlog, error);
    }
    if (!rc) {
        rc = listen_set_join(set, &bound);
    }
    listen_close(&bound);
    free(specs);
    return rc;
}

void listen_close(struct listen_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        socket_free(set->items[i]);
    }
    free(set->items);
    *set = (struct listen_set){ 0 };
}

void listen_unlink(struct listen_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct listen_socket *item = set->items[i];
        struct stat st;
        if (item->path && lstat(item->path, &st) == 0 && st.st_dev == item->device && st.st_ino == item->inode) {
            unlink(item->path);
        }
    }
}
