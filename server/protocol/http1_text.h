/* protocol/http1_text.h: writing heads. Each function writes at `at` and returns what is behind it; the caller has made
 * room. */
#pragma once

#include "casgi/base.h"

#include <string.h>

#define HTTP1_STATUS_LINE_MOST 64
#define HTTP1_NUMBER_MOST 20

static inline char *put_text(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

#define PUT(at, literal) put_text((at), "" literal, sizeof(literal) - 1)

/* "HTTP/1.1 200 OK" and its CRLF. */
char *http1_put_status(char *at, int status);

/* In decimal. */
char *http1_put_number(char *at, uint64_t number);

/* A chunk's size line. */
char *http1_put_chunk_size(char *at, uint64_t size);

/* Each "name: value" and CRLF. */
char *http1_put_fields(char *at, const casgi_header_t *fields, size_t count);

/* How many bytes that takes. */
size_t http1_fields_size(const casgi_header_t *fields, size_t count);
