#include "protocol/http1_field.h"

#include "base/percent.h"

#include <arpa/inet.h>
#include <string.h>

/* RFC 3986: unreserved and sub-delims, of which reg-name is made, percent-encoded bytes aside. What ends a text is none
 * of them, so that the loops need not count. */
static const bool name_chars[256] = {
    ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['-'] = true, ['.'] = true,  ['_'] = true,
    ['~'] = true,         ['!'] = true,         ['$'] = true,         ['&'] = true, ['\''] = true, ['('] = true,
    [')'] = true,         ['*'] = true,         ['+'] = true,         [','] = true, [';'] = true,  ['='] = true,
};

static const char *behind_chars(const char *at)
{
    while (name_chars[(unsigned char)*at]) {
        at++;
    }
    return at;
}

static const char *behind_name(const char *at)
{
    at = behind_chars(at);
    while (*at == '%' && percent_hex_value(at[1]) >= 0 && percent_hex_value(at[2]) >= 0) {
        at = behind_chars(at + 3);
    }
    return at;
}

static bool is_ipv6(casgi_str_t text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

/* Of a later kind: "v1.x". */
static bool is_later_literal(casgi_str_t text)
{
    const char *at = text.ptr + 1;
    if (*text.ptr != 'v' && *text.ptr != 'V') {
        return false;
    }
    while (percent_hex_value(*at) >= 0) {
        at++;
    }
    return at > text.ptr + 1 && *at == '.' && at + 1 < text.ptr + text.len;
}

/* "[...]": IPv6 or a later kind. NULL: it is not one. */
static const char *behind_literal(const char *at)
{
    const char *begin = ++at;
    while (*at == ':' || name_chars[(unsigned char)*at]) {
        at++;
    }
    casgi_str_t text = { begin, (size_t)(at - begin) };
    return *at == ']' && (is_ipv6(text) || is_later_literal(text)) ? at + 1 : NULL;
}

/* Digits, up to what a port may be; of leading zeros so many that nothing overflows. NULL: it is larger. */
static const char *behind_port(const char *at)
{
    enum { DIGITS_MOST = 19 };
    const char *begin = at;
    uint64_t port = 0;
    for (unsigned digit; (digit = (unsigned)(unsigned char)*at - '0') <= 9; at++) {
        port = port * 10 + digit;
    }
    return port <= UINT16_MAX && at - begin <= DIGITS_MOST ? at : NULL;
}

bool http1_field_host(casgi_str_t value)
{
    const char *at = *value.ptr == '[' ? behind_literal(value.ptr) : behind_name(value.ptr);
    if (at && at != value.ptr && *at == ':') {
        at = behind_port(at + 1);
    }
    return at == value.ptr + value.len;
}
