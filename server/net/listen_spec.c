#include "net/listen.h"

#include "base/error.h"

#include <limits.h>
#include <string.h>

/* A decimal number of at most `limit`, alone in the text; -1: it is not. */
static long number(const char *text, long limit)
{
    long value = 0;
    if (!*text) {
        return -1;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > limit) {
            return -1;
        }
        value = value * 10 + (*text - '0');
    }
    return value <= limit ? value : -1;
}

static int parse_path(struct listen_spec *out, const char *path, casgi_error_t *error)
{
    size_t length = strlen(path);
    if (length == 0) {
        return error_set(error, CASGI_EINVAL, "\"unix:\" needs a path: unix:/run/app.sock");
    }
    if (length >= sizeof(out->path)) {
        return error_set(error, CASGI_EINVAL, "the path of a Unix socket has at most %zu bytes: %s",
                         sizeof(out->path) - 1, path);
    }
    out->kind = LISTEN_UNIX;
    memcpy(out->path, path, length + 1);
    return 0;
}

static int parse_fd(struct listen_spec *out, const char *text, casgi_error_t *error)
{
    long value = number(text, INT_MAX);
    if (value < 0) {
        return error_set(error, CASGI_EINVAL, "\"fd://%s\": the number of a descriptor is expected, as in fd://3",
                         text);
    }
    out->kind = LISTEN_FD;
    out->fd = (int)value;
    return 0;
}

/* Where the host ends: at the bracket of "[v6]:port", at the colon of "host:port". NULL: there is no such place. */
static const char *host_end(const char *text, const char **out_host)
{
    if (*text == '[') {
        const char *bracket = strchr(text, ']');
        *out_host = text + 1;
        return bracket && bracket[1] == ':' ? bracket : NULL;
    }
    const char *colon = strrchr(text, ':');
    *out_host = text;
    return colon && colon == strchr(text, ':') ? colon : NULL;
}

static int parse_host_port(struct listen_spec *out, const char *text, casgi_error_t *error)
{
    const char *host;
    const char *end = host_end(text, &host);
    if (!end) {
        return error_set(error, CASGI_EINVAL,
                         "\"%s\" is not an address to listen on: write HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N",
                         text);
    }
    const char *port_text = strchr(end, ':') + 1;
    long port = number(port_text, UINT16_MAX);
    if (port < 0) {
        return error_set(error, CASGI_EINVAL, "\"%s\": \"%s\" is not a port (0 to 65535)", text, port_text);
    }
    size_t length = (size_t)(end - host);
    if (length >= sizeof(out->host)) {
        return error_set(error, CASGI_EINVAL, "the host name of an address has at most %zu bytes",
                         sizeof(out->host) - 1);
    }
    out->kind = LISTEN_TCP;
    memcpy(out->host, host, length);
    out->host[length] = '\0';
    out->port = (uint16_t)port;
    return 0;
}

int listen_spec_parse(struct listen_spec *out, const char *text, casgi_error_t *error)
{
    struct listen_spec spec = { .fd = -1 };
    int rc;
    if (strncmp(text, "unix:", 5) == 0) {
        rc = parse_path(&spec, text + 5, error);
    } else if (strncmp(text, "fd://", 5) == 0) {
        rc = parse_fd(&spec, text + 5, error);
    } else {
        rc = parse_host_port(&spec, text, error);
    }
    if (!rc) {
        *out = spec;
    }
    return rc;
}
