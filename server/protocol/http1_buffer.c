#include "protocol/http1_buffer.h"

#include <stdlib.h>
#include <string.h>

/* Of allocations: the whole of a page, what one recv may bring, and what one where a large body is expected may. */
static const size_t sizes[HTTP1_BUFFER_SIZES] = { 4096, 16384 + sizeof(struct http1_buffer),
                                                  EXCHANGE_INPUT_SIZE + sizeof(struct http1_buffer) };
static const size_t kept_most[HTTP1_BUFFER_SIZES] = { 256, 64, 4 };

struct http1_buffer *http1_buffer_new(struct http1_buffers *buffers, size_t size)
{
    size_t whole = size + sizeof(struct http1_buffer);
    for (int i = 0; i < HTTP1_BUFFER_SIZES; i++) {
        if (whole > sizes[i]) {
            continue;
        }
        struct http1_buffer *kept = buffers->free[i];
        if (kept) {
            buffers->free[i] = kept->next;
            buffers->count[i]--;
            kept->start = kept->end = 0;
            kept->scan = (struct http1_scan){ 0 };
            return kept;
        }
        whole = sizes[i];
        break;
    }
    struct http1_buffer *buffer = malloc(whole);
    if (buffer) {
        *buffer = (struct http1_buffer){ .capacity = whole - sizeof(struct http1_buffer) };
    }
    return buffer;
}

void http1_buffer_free(struct http1_buffers *buffers, struct http1_buffer *buffer)
{
    if (!buffer) {
        return;
    }
    for (int i = 0; i < HTTP1_BUFFER_SIZES; i++) {
        if (buffer->capacity + sizeof(struct http1_buffer) == sizes[i] && buffers->count[i] < kept_most[i]) {
            buffer->next = buffers->free[i];
            buffers->free[i] = buffer;
            buffers->count[i]++;
            return;
        }
    }
    free(buffer);
}

/* Doubles it, up to `most`. */
static int grow(struct http1_buffers *buffers, struct http1_buffer **buffer, size_t most)
{
    struct http1_buffer *old = *buffer;
    size_t wanted = old->capacity * 2 < most ? old->capacity * 2 : most;
    struct http1_buffer *larger = http1_buffer_new(buffers, wanted);
    if (!larger) {
        return CASGI_ENOMEM;
    }
    larger->end = http1_buffer_len(old);
    larger->scan = old->scan;
    memcpy(larger->data, old->data + old->start, larger->end);
    http1_buffer_free(buffers, old);
    *buffer = larger;
    return 0;
}

char *http1_buffer_room(struct http1_buffers *buffers, struct http1_buffer **buffer, size_t most, size_t *out_room)
{
    struct http1_buffer *b = *buffer;
    size_t len = http1_buffer_len(b);
    *out_room = 0;
    if (len >= most) {
        return NULL;
    }
    if (len >= b->capacity) {
        if (grow(buffers, buffer, most) != 0) {
            return NULL;
        }
        b = *buffer;
    } else if (b->end == b->capacity) {
        memmove(b->data, b->data + b->start, len);
        b->start = 0;
        b->end = len;
    }
    size_t room = b->capacity - b->end;
    *out_room = room < most - len ? room : most - len;
    return b->data + b->end;
}

void http1_buffers_release(struct http1_buffers *buffers)
{
    for (int i = 0; i < HTTP1_BUFFER_SIZES; i++) {
        while (buffers->free[i]) {
            struct http1_buffer *next = buffers->free[i]->next;
            free(buffers->free[i]);
            buffers->free[i] = next;
        }
        buffers->count[i] = 0;
    }
}
