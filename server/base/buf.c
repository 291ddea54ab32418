#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 256 };

/* What stands between asking for `size` more bytes and having room for them. */
static int room_check(const struct buf *buf, size_t size)
{
    size_t len = buf_len(buf);
    if (size > SIZE_MAX / 4 - len) {
        return CASGI_ENOMEM;
    }
    return buf->ceiling && size > buf->ceiling - len ? CASGI_ETOOBIG : 0;
}

static void move_to_front(struct buf *buf)
{
    size_t len = buf_len(buf);
    memmove(buf->data, buf_bytes(buf), len);
    buf->start = 0;
    buf->end = len;
}

/* The capacity to grow to: twice what there is, but with a ceiling at most half more than that, so that moving to the
 * front at the top is paid for by as many bytes consumed. */
static size_t next_capacity(const struct buf *buf, size_t needed)
{
    size_t wanted = buf->capacity * 2;
    if (buf->ceiling && wanted > buf->ceiling + buf->ceiling / 2) {
        wanted = buf->ceiling + buf->ceiling / 2;
    }
    if (wanted < SMALLEST) {
        wanted = SMALLEST;
    }
    return wanted < needed ? needed : wanted;
}

static int grow(struct buf *buf, size_t needed)
{
    size_t capacity = next_capacity(buf, needed);
    char *data = malloc(capacity);
    if (!data) {
        return CASGI_ENOMEM;
    }
    size_t len = buf_len(buf);
    if (len) {
        memcpy(data, buf_bytes(buf), len);
    }
    free(buf->data);
    buf->data = data;
    buf->start = 0;
    buf->end = len;
    buf->capacity = capacity;
    return 0;
}

/* Makes room for `size` bytes behind the end. */
static int make_room(struct buf *buf, size_t size)
{
    int rc = room_check(buf, size);
    if (rc || size <= buf->capacity - buf->end) {
        return rc;
    }
    size_t needed = buf_len(buf) + size;
    bool worth_moving = buf->start >= buf_len(buf) / 2 || next_capacity(buf, needed) <= buf->capacity;
    if (needed > buf->capacity || !worth_moving) {
        return grow(buf, needed);
    }
    move_to_front(buf);
    return 0;
}

void buf_init(struct buf *buf, size_t ceiling)
{
    *buf = (struct buf){ .ceiling = ceiling };
}

void buf_release(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->ceiling);
}

char *buf_reserve(struct buf *buf, size_t size)
{
    if (make_room(buf, size)) {
        return NULL;
    }
    return buf->data ? buf->data + buf->end : NULL;
}

void buf_commit(struct buf *buf, size_t size)
{
    buf->end += size;
}

int buf_append(struct buf *buf, const void *data, size_t size)
{
    if (!size) {
        return 0;
    }
    int rc = make_room(buf, size);
    if (rc) {
        return rc;
    }
    memcpy(buf->data + buf->end, data, size);
    buf->end += size;
    return 0;
}

void buf_consume(struct buf *buf, size_t size)
{
    buf->start += size;
    if (buf->start == buf->end) {
        buf->start = buf->end = 0;
    }
}
