#include "protocol/http1_text.h"

char *http1_put_unnamed(char *at, int status)
{
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

char *http1_put_large(char *at, uint64_t number)
{
    return put_in_base(at, number, 10);
}

char *http1_put_chunk_size(char *at, uint64_t size)
{
    at = put_in_base(at, size, 16);
    return PUT(at, "\r\n");
}

char *http1_put_fields(char *at, const casgi_header_t *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at = put_piece(at, fields[i].name.ptr, fields[i].name.len);
        at = PUT(at, ": ");
        at = put_piece(at, fields[i].value.ptr, fields[i].value.len);
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
