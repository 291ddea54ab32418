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

/* RFC 3986: unreserved and sub-delims, of which reg-name is made; percent-encoded bytes aside. */
static const bool host_chars[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,  ['_'] = true,
    ['~'] = true,         ['!'] = true,         ['$'] = true,         ['&'] = true, ['\''] = true, ['('] = true,
    [')'] = true,         ['*'] = true,         ['+'] = true,         [','] = true, [';'] = true,  ['='] = true,
};

/* Where the name ends. */
static size_t name_length(casgi_str_t value)
{
    const unsigned char *name = (const unsigned char *)value.ptr;
    size_t i = 0;
    for (;;) {
        while (i < value.len && host_chars[name[i]]) {
            i++;
        }
        if (value.len - i < 3 || name[i] != '%' || percent_hex_value((char)name[i + 1]) < 0 ||
            percent_hex_value((char)name[i + 2]) < 0) {
            return i;
        }
        i += 3;
    }
}

/* "[...]": IPv6 in hexadecimal digits, colons and dots, or a later kind ("v1.…"). 0: it is not one. */
static size_t literal_length(casgi_str_t value)
{
    const char *end = memchr(value.ptr, ']', value.len);
    if (!end || end - value.ptr < 3) {
        return 0;
    }
    for (const char *c = value.ptr + 1; c < end; c++) {
        if (!host_chars[(unsigned char)*c] && *c != ':') {
            return 0;
        }
    }
    return (size_t)(end - value.ptr) + 1;
}

bool http1_field_host(casgi_str_t value)
{
    size_t i;
    if (value.len && value.ptr[0] == '[') {
        i = literal_length(value);
        if (i == 0) {
            return false;
        }
    } else {
        i = name_length(value);
    }
    if (i == value.len) {
        return true;
    }
    if (value.ptr[i] != ':' || i == 0) {
        return false;
    }
    for (i++; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return false;
        }
    }
    return true;
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
