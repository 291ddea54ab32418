#include "config/check.h"

#include "base/error.h"
#include "base/httpchars.h"
#include "base/log.h"
#include "config/config.h"

#include <string.h>
#include <strings.h>
#include <sys/un.h>

const char *check_quoted(char out[static CHECK_QUOTED_SIZE], const char *text)
{
    out[0] = '"';
    size_t len = log_escape(out + 1, CHECK_QUOTED_SIZE - 2, casgi_str(text));
    out[1 + len] = '"';
    out[2 + len] = '\0';
    return out;
}

int check_not_empty(const char *text, casgi_error_t *error)
{
    return *text ? 0 : error_set(error, CASGI_EINVAL, "the value is empty");
}

int check_socket_path(const char *text, casgi_error_t *error)
{
    struct sockaddr_un address;
    if (strlen(text) >= sizeof(address.sun_path)) {
        return error_set(error, CASGI_EINVAL, "the path of a Unix socket has at most %zu bytes, this one %zu",
                         sizeof(address.sun_path) - 1, strlen(text));
    }
    return check_not_empty(text, error);
}

/* Whether it is digits, at most `most`. */
static bool is_number_up_to(const char *text, unsigned long most)
{
    unsigned long value = 0;
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > most) {
            return false;
        }
        value = value * 10 + (unsigned long)(text[i] - '0');
    }
    return len > 0 && value <= most;
}

static int check_host_port(const char *text, casgi_error_t *error)
{
    char shown[CHECK_QUOTED_SIZE];
    const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
    const char *colon = bracket ? bracket + 1 : strrchr(text, ':');
    bool one_colon = bracket || (colon && colon == strchr(text, ':'));
    if (!colon || *colon != ':' || !one_colon) {
        return error_set(error, CASGI_EINVAL, "%s is not an address; write HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N",
                         check_quoted(shown, text));
    }
    if (!is_number_up_to(colon + 1, UINT16_MAX)) {
        return error_set(error, CASGI_EINVAL, "%s does not end in a port, a number from 0 to 65535",
                         check_quoted(shown, text));
    }
    return 0;
}

int check_bind(const char *text, casgi_error_t *error)
{
    char shown[CHECK_QUOTED_SIZE];
    if (strncmp(text, "unix:", 5) == 0) {
        return check_socket_path(text + 5, error);
    }
    if (strncmp(text, "fd://", 5) != 0) {
        return check_host_port(text, error);
    }
    if (!is_number_up_to(text + 5, INT32_MAX)) {
        return error_set(error, CASGI_EINVAL, "%s does not end in the number of a descriptor",
                         check_quoted(shown, text));
    }
    return 0;
}

int check_root_path(const char *text, casgi_error_t *error)
{
    char shown[CHECK_QUOTED_SIZE];
    bool good = !*text || *text == '/';
    if (!good || strpbrk(text, "?#%") || !http_chars_all(casgi_str(text), HTTP_VISIBLE)) {
        return error_set(error, CASGI_EINVAL, "%s is not a path such as /api", check_quoted(shown, text));
    }
    return 0;
}

int check_excluded_path(const char *text, casgi_error_t *error)
{
    char shown[CHECK_QUOTED_SIZE];
    if (*text != '/') {
        return error_set(error, CASGI_EINVAL, "%s does not begin with a /", check_quoted(shown, text));
    }
    return 0;
}

static casgi_str_t trimmed(const char *from, const char *end)
{
    while (from < end && (*from == ' ' || *from == '\t')) {
        from++;
    }
    while (end > from && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return (casgi_str_t){ from, (size_t)(end - from) };
}

void config_split_header(const char *text, casgi_str_t *out_name, casgi_str_t *out_value)
{
    const char *end = text + strlen(text), *colon = strchr(text, ':');
    *out_name = trimmed(text, colon ? colon : end);
    *out_value = trimmed(colon ? colon + 1 : end, end);
}

/* Fields that frame the message: the server writes them. */
static bool is_servers_own(casgi_str_t name)
{
    static const char *const names[] = { "connection",        "content-length", "keep-alive",
                                         "transfer-encoding", "trailer",        "upgrade" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == name.len && strncasecmp(names[i], name.ptr, name.len) == 0) {
            return true;
        }
    }
    return false;
}

int check_header(const char *text, casgi_error_t *error)
{
    char shown[CHECK_QUOTED_SIZE];
    casgi_str_t name, value;
    config_split_header(text, &name, &value);
    if (!strchr(text, ':')) {
        return error_set(error, CASGI_EINVAL, "%s has no colon; write \"Name: value\"", check_quoted(shown, text));
    }
    if (!http_is_token(name)) {
        return error_set(error, CASGI_EINVAL,
                         "the name of %s has characters that a field name may not have, or is empty",
                         check_quoted(shown, text));
    }
    if (!http_is_field_value(value)) {
        return error_set(error, CASGI_EINVAL, "the value of %s has control characters", check_quoted(shown, text));
    }
    if (is_servers_own(name)) {
        return error_set(error, CASGI_EINVAL, "\"%.*s\" is set by the server itself", (int)name.len, name.ptr);
    }
    return 0;
}
