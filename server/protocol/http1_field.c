#include "protocol/http1_field.h"

#include "base/percent.h"

#include <string.h>

static char lower_case(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool http1_field_is(casgi_str_t value, casgi_str_t lower)
{
    if (value.len != lower.len) {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (lower_case(value.ptr[i]) != lower.ptr[i]) {
            return false;
        }
    }
    return true;
}

bool http1_field_length(casgi_str_t value, int64_t *out_length)
{
    uint64_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned digit = (unsigned)(unsigned char)value.ptr[i] - '0';
        if (digit > 9 || length > ((uint64_t)INT64_MAX - digit) / 10) {
            return false;
        }
        length = length * 10 + digit;
    }
    *out_length = (int64_t)length;
    return value.len > 0;
}

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

bool http1_field_has_token(casgi_str_t value, casgi_str_t token)
{
    size_t begin = 0;
    while (begin <= value.len) {
        const char *comma = begin < value.len ? memchr(value.ptr + begin, ',', value.len - begin) : NULL;
        size_t next = comma ? (size_t)(comma - value.ptr) : value.len;
        size_t end = next;
        while (begin < end && (value.ptr[begin] == ' ' || value.ptr[begin] == '\t')) {
            begin++;
        }
        while (end > begin && (value.ptr[end - 1] == ' ' || value.ptr[end - 1] == '\t')) {
            end--;
        }
        if (http1_field_is((casgi_str_t){ value.ptr + begin, end - begin }, token)) {
            return true;
        }
        begin = next + 1;
    }
    return false;
}
