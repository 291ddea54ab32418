/* protocol/http1_buffer.h: what was received and cannot be used yet: an incomplete head, or requests that wait for the
 * one before them. A connection holds one only while that is so; three sizes are kept for reuse. */
#pragma once

#include "protocol/http1.h"
#include "protocol/http1_scan.h"

struct http1_buffer {
    struct http1_buffer *next; /* among the kept ones */
    size_t start;              /* unused bytes are start..end */
    size_t end;
    size_t capacity;
    struct http1_scan scan; /* of the head that begins at start */
    char data[];
};

/* Empty, room for at least `size` bytes. NULL: out of memory. */
struct http1_buffer *http1_buffer_new(struct http1_buffers *buffers, size_t size);

/* NULL does nothing. */
void http1_buffer_free(struct http1_buffers *buffers, struct http1_buffer *buffer);

/* Room behind the bytes of *buffer, whose size may grow up to `most` unused bytes; it may move. Where to write, and how
 * much in *out_room; NULL: no room below `most`, or out of memory (*out_room is 0 then). */
char *http1_buffer_room(struct http1_buffers *buffers, struct http1_buffer **buffer, size_t most, size_t *out_room);

void http1_buffers_release(struct http1_buffers *buffers);

static inline size_t http1_buffer_len(const struct http1_buffer *buffer)
{
    return buffer ? buffer->end - buffer->start : 0;
}
