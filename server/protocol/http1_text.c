#include "protocol/http1_text.h"

#include "base/httpstatus.h"

char *http1_put_status(char *at, int status)
{
    casgi_str_t line = http_status_line(status);
    if (line.ptr) {
        return put_text(at, line.ptr, line.len);
    }
    at = PUT(at, "HTTP/1.1 ");
    at = http1_put_number(at, (uint64_t)status);
    return PUT(at, " \r\n"); /* the space stays also before an empty reason (RFC 9112, section 4) */
}

static char *put_in_base(char *at, uint64_t number, unsigned base)
{
    char digits[HTTP1_NUMBER_MOST];
    char *end = digits + sizeof digits;
    char *begin = end;
    do {
        *--begin = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    return put_text(at, begin, (size_t)(end - begin));
}

char *http1_put_number(char *at, uint64_t number)
{
    if (number < 100) {
        if (number >= 10) {
            *at++ = (char)('0' + number / 10);
        }
        *at++ = (char)('0' + number % 10);
        return at;
    }
    return put_in_base(at, number, 10);
}

char *http1_put_chunk_size(char *at, uint64_t size)
{
    at = put_in_base(at, size, 16);
    return PUT(at, "\r\n");
}

/* Names and values are mostly of 8 to 32 bytes: two copies of a fixed size that may overlap are cheaper than a call. */
static inline char *put_short(char *at, casgi_str_t text)
{
    if (text.len >= 16 && text.len <= 32) {
        memcpy(at, text.ptr, 16);
        memcpy(at + text.len - 16, text.ptr + text.len - 16, 16);
    } else if (text.len >= 8 && text.len < 16) {
        memcpy(at, text.ptr, 8);
        memcpy(at + text.len - 8, text.ptr + text.len - 8, 8);
    } else {
        memcpy(at, text.ptr, text.len);
    }
    return at + text.len;
}

char *http1_put_fields(char *at, const casgi_header_t *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at = put_short(at, fields[i].name);
        at = PUT(at, ": ");
        at = put_short(at, fields[i].value);
        at = PUT(at, "\r\n");
    }
    return at;
}

size_t http1_fields_size(const casgi_header_t *fields, size_t count)
{
    size_t size = count * (sizeof ": \r\n" - 1);
    for (size_t i = 0; i < count; i++) {
        size += fields[i].name.len + fields[i].value.len;
    }
    return size;
}
