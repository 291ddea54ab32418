/* base/buf.h: a growable byte buffer with a ceiling. Bytes are appended at the end and consumed at the front.
 * A zeroed struct is a valid empty buffer without a ceiling. */
#pragma once

#include "casgi/base.h"

#include <stddef.h>

struct buf {
    char *data;
    size_t start; /* the first unconsumed byte */
    size_t end;
    size_t capacity;
    size_t ceiling; /* most unconsumed bytes; 0: no ceiling */
};

void buf_init(struct buf *buf, size_t ceiling);
void buf_release(struct buf *buf); /* frees; the buffer is empty and usable again */

static inline size_t buf_len(const struct buf *buf)
{
    return buf->end - buf->start;
}

static inline char *buf_bytes(const struct buf *buf)
{
    return buf->data + buf->start;
}

/* Appends a copy. CASGI_ETOOBIG above the ceiling, CASGI_ENOMEM: nothing appended. */
int buf_append(struct buf *buf, const void *data, size_t size) __attribute__((warn_unused_result));

/* Room for at least `size` bytes at the end: where to write them; then buf_commit. NULL: as buf_append. */
char *buf_reserve(struct buf *buf, size_t size);
void buf_commit(struct buf *buf, size_t size);

/* Drops `size` bytes at the front. */
void buf_consume(struct buf *buf, size_t size);
