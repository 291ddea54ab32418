#include "protocol/http1_field.h"

#include "base/percent.h"

/* RFC 3986: unreserved and sub-delims, of which reg-name is made, percent-encoded bytes aside; and digits, for ports.
 * What ends a text is of no class, so that the loops need not count. */
enum { NAME = 1, DIGIT = 2 };

static const unsigned char host_chars[256] = {
    ['0' ... '9'] = NAME | DIGIT,
    ['a' ... 'z'] = NAME,
    ['A' ... 'Z'] = NAME,
    ['-'] = NAME,
    ['.'] = NAME,
    ['_'] = NAME,
    ['~'] = NAME,
    ['!'] = NAME,
    ['$'] = NAME,
    ['&'] = NAME,
    ['\''] = NAME,
    ['('] = NAME,
    [')'] = NAME,
    ['*'] = NAME,
    ['+'] = NAME,
    [','] = NAME,
    [';'] = NAME,
    ['='] = NAME,
};

static const char *behind(const char *at, int class)
{
    while (host_chars[(unsigned char)*at] & class) {
        at++;
    }
    return at;
}

static const char *behind_name(const char *at)
{
    at = behind(at, NAME);
    while (*at == '%' && percent_hex_value(at[1]) >= 0 && percent_hex_value(at[2]) >= 0) {
        at = behind(at + 3, NAME);
    }
    return at;
}

/* "[...]": IPv6 in hexadecimal digits, colons and dots, or a later kind ("v1.x"). NULL: it is not one. */
static const char *behind_literal(const char *at)
{
    const char *begin = ++at;
    while (*at == ':' || (host_chars[(unsigned char)*at] & NAME)) {
        at++;
    }
    return *at == ']' && at > begin ? at + 1 : NULL;
}

bool http1_field_host(casgi_str_t value)
{
    const char *at = *value.ptr == '[' ? behind_literal(value.ptr) : behind_name(value.ptr);
    if (at && at != value.ptr && *at == ':') {
        at = behind(at + 1, DIGIT);
    }
    return at == value.ptr + value.len;
}
