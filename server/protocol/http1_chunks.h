/* protocol/http1_chunks.h: the chunked transfer coding (RFC 9112, section 7.1), decoded over any split of the input.
 *
 * Our own and not llhttp's: llhttp 8.1 reads extensions and trailers more generously than a server behind a proxy can
 * afford, and tells neither how many such bytes it threw away. Here every byte of a chunk line is checked, a chunk size
 * has at most 16 digits, and extensions and trailers together have a ceiling. Trailers are validated and dropped. */
#pragma once

#include "casgi/base.h"

/* Most bytes of extensions and trailers in one message. */
#define HTTP1_CHUNKS_OVERHEAD 16384

struct http1_chunks {
    uint64_t left;     /* of the chunk being read */
    uint32_t overhead; /* extension and trailer bytes so far */
    uint8_t state;
    uint8_t digits; /* of the chunk size so far */
};

enum http1_chunks_found {
    CHUNKS_BAD = -1, /* *out_reason; *out_used: the byte at fault */
    CHUNKS_MORE = 0, /* everything was used */
    CHUNKS_DATA = 1, /* *out_body, a part of the input */
    CHUNKS_END = 2,  /* what follows is not of this message */
};

/* For a new message. */
void http1_chunks_init(struct http1_chunks *chunks);

/* Reads on, up to and including the next body bytes. `out_used` is always set. Call again with what was not used. */
enum http1_chunks_found http1_chunks_next(struct http1_chunks *chunks, const char *data, size_t size, size_t *out_used,
                                          casgi_str_t *out_body, const char **out_reason);

/* How many body bytes are sure to come next, before any other byte; 0: not known. */
uint64_t http1_chunks_sure(const struct http1_chunks *chunks);

/* So many of those were received past http1_chunks_next. */
void http1_chunks_skip(struct http1_chunks *chunks, uint64_t size);
