/* protocol/http1_text.h: writing heads. Each function writes at `at` and returns what is behind it; the caller has made
 * room. */
#pragma once

#include "base/httpstatus.h"
#include "casgi/base.h"

#include <string.h>

#define HTTP1_STATUS_LINE_MOST 64
#define HTTP1_NUMBER_MOST 20

static inline char *put_text(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

/* The same for what is mostly of 8 to 64 bytes: two copies of a fixed size that may overlap are cheaper than a call. */
static inline char *put_piece(char *at, const char *text, size_t size)
{
    if (size >= 16 && size <= 32) {
        memcpy(at, text, 16);
        memcpy(at + size - 16, text + size - 16, 16);
    } else if (size > 32 && size <= 64) {
        memcpy(at, text, 32);
        memcpy(at + size - 32, text + size - 32, 32);
    } else if (size >= 8 && size < 16) {
        memcpy(at, text, 8);
        memcpy(at + size - 8, text + size - 8, 8);
    } else {
        memcpy(at, text, size);
    }
    return at + size;
}

#define PUT(at, literal) put_text((at), "" literal, sizeof(literal) - 1)

/* "HTTP/1.1 200 OK" and its CRLF; the first for a number without a phrase. */
char *http1_put_unnamed(char *at, int status);

static inline char *http1_put_status(char *at, int status)
{
    casgi_str_t line = http_status_line(status);
    return line.ptr ? put_piece(at, line.ptr, line.len) : http1_put_unnamed(at, status);
}

/* In decimal; the first for 100 and more. */
char *http1_put_large(char *at, uint64_t number);

static inline char *http1_put_number(char *at, uint64_t number)
{
    if (number >= 100) {
        return http1_put_large(at, number);
    }
    if (number >= 10) {
        *at++ = (char)('0' + (unsigned)number / 10);
    }
    *at++ = (char)('0' + (unsigned)number % 10);
    return at;
}

/* A chunk's size line. */
char *http1_put_chunk_size(char *at, uint64_t size);

/* Each "name: value" and CRLF. */
char *http1_put_fields(char *at, const casgi_header_t *fields, size_t count);

/* How many bytes that takes. */
size_t http1_fields_size(const casgi_header_t *fields, size_t count);
