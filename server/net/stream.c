#include "net/stream.h"

#include "base/buf.h"
#include "net/stream_kind.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_SIZE = 32768, /* of what gathers while a stream is corked */
    SMALL_SIZE =
        8192, /* stream_write_some copies pieces up to here into the batch; larger ones go from where they lie */
    PARTS_MAX = 1 + STREAM_PIECES_MAX, /* in one send: the batch and the caller's */
    FILE_SLICE = 512 << 10             /* of one sendfile, so that a fast client does not hold up the loop */
};

/* What the kernel did not take. */
struct stream_queue {
    struct buf bytes;
};

/* One for all streams of a loop, as only one of them is corked at a time. */
struct stream_batch {
    bool taken;
    size_t size;
    char data[BATCH_SIZE];
};

static size_t iov_size(const struct iovec *iov, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += iov[i].iov_len;
    }
    return size;
}

static int fail(struct stream *stream, int code)
{
    if (!stream->error) {
        stream->error = code;
    }
    return stream->error;
}

static int wait_for_room(struct stream *stream)
{
    if (stream->writing) {
        return 0;
    }
    stream->writing = true;
    int rc = stream->ops->watch(stream);
    return rc ? fail(stream, rc) : 0;
}

static void queue_free(struct stream *stream)
{
    if (stream->queue) {
        buf_release(&stream->queue->bytes);
        free(stream->queue);
        stream->queue = NULL;
    }
}

/* Appends a copy of what lies behind the first `skip` bytes of iov. */
static int queue_append(struct stream *stream, const struct iovec *iov, int count, size_t skip)
{
    if (!stream->queue) {
        stream->queue = calloc(1, sizeof(*stream->queue));
        if (!stream->queue) {
            return fail(stream, CASGI_ENOMEM);
        }
    }
    for (int i = 0; i < count; i++) {
        size_t size = iov[i].iov_len;
        if (skip >= size) {
            skip -= size;
            continue;
        }
        int rc = buf_append(&stream->queue->bytes, (const char *)iov[i].iov_base + skip, size - skip);
        skip = 0;
        if (rc) {
            return fail(stream, rc);
        }
    }
    return wait_for_room(stream);
}

static size_t batch_held(const struct stream *stream)
{
    return stream->batch ? stream->batch->size : 0;
}

char *stream_reserve(struct stream *stream, size_t size)
{
    struct stream_batch *batch = stream->batch;
    bool fits = batch && !stream->queue && size <= sizeof(batch->data) - batch->size;
    return fits ? batch->data + batch->size : NULL;
}

void stream_commit(struct stream *stream, size_t size)
{
    stream->batch->size += size;
}

/* Copies a small piece into the batch. false: it does not belong there. */
static bool batch_take(struct stream *stream, const struct iovec *iov, int count, size_t size)
{
    char *at = stream_reserve(stream, size);
    if (!at) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len) {
            memcpy(at, iov[i].iov_base, iov[i].iov_len);
            at += iov[i].iov_len;
        }
    }
    stream_commit(stream, size);
    return true;
}

/* What of the batch the kernel did not take goes to the queue. */
static int batch_spill(struct stream *stream, size_t sent)
{
    struct iovec rest = { stream->batch->data, stream->batch->size };
    stream->batch->size = 0;
    return queue_append(stream, &rest, 1, sent);
}

/* Sends the batch and iov behind it. Returns how many bytes of iov the kernel took, or a code. */
static ssize_t send_gathered(struct stream *stream, const struct iovec *iov, int count)
{
    struct iovec parts[PARTS_MAX];
    size_t held = batch_held(stream);
    int used = 0;
    if (held) {
        parts[used++] = (struct iovec){ stream->batch->data, held };
    }
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len) {
            parts[used++] = iov[i];
        }
    }
    if (!used) {
        return 0;
    }
    ssize_t sent = stream->ops->send(stream, parts, used);
    if (sent < 0 && sent != CASGI_EAGAIN) {
        return fail(stream, (int)sent);
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < held) {
        return batch_spill(stream, done);
    }
    if (held) {
        stream->batch->size = 0;
    }
    return (ssize_t)(done - held);
}

void stream_set_owner(struct stream *stream, const struct stream_events *events, void *owner)
{
    stream->events = events;
    stream->owner = owner;
}

void stream_read(struct stream *stream, bool on)
{
    bool was = stream->reading;
    stream->reading = on;
    if (on && !was) {
        int rc = stream->ops->watch(stream);
        if (rc) {
            (void)fail(stream, rc);
        }
    }
}

ssize_t stream_recv(struct stream *stream, void *data, size_t size)
{
    ssize_t got = stream->error ? stream->error : stream->ops->recv(stream, data, size);
    if (got == 0) {
        stream->departed = true;
    } else if (got < 0 && got != CASGI_EAGAIN) {
        (void)fail(stream, (int)got);
    }
    return got;
}

/* The loop's. NULL: out of memory. */
static struct stream_batch *batch_of(struct loop *loop)
{
    struct stream_batch *batch = loop_part(loop, LOOP_PART_BATCH);
    if (!batch) {
        batch = malloc(sizeof(*batch));
        if (batch) {
            batch->taken = false;
            loop_set_part(loop, LOOP_PART_BATCH, batch, free);
        }
    }
    return batch;
}

/* Without a batch, as it is another's or memory is short, all works as well, in more sends. */
void stream_cork(struct stream *stream)
{
    struct stream_batch *batch = batch_of(stream->loop);
    if (batch && !batch->taken) {
        batch->taken = true;
        batch->size = 0;
        stream->batch = batch;
        stream->corked = true;
    }
}

static void batch_leave(struct stream *stream)
{
    if (stream->batch) {
        stream->batch->taken = false;
        stream->batch = NULL;
        stream->corked = false;
    }
}

int stream_uncork(struct stream *stream)
{
    if (!stream->corked) {
        return stream->error;
    }
    ssize_t rc = stream->error ? stream->error : send_gathered(stream, NULL, 0);
    batch_leave(stream);
    if (!rc && stream->ending && !stream->queue) {
        rc = stream_shutdown(stream);
    }
    return (int)rc;
}

int stream_write(struct stream *stream, const struct iovec *iov, int count)
{
    assert(count <= STREAM_PIECES_MAX);
    size_t size = iov_size(iov, count);
    if (stream->error) {
        return stream->error;
    }
    if (batch_take(stream, iov, count, size)) {
        return 0;
    }
    ssize_t taken = stream->queue ? 0 : send_gathered(stream, iov, count);
    if (taken < 0) {
        return (int)taken;
    }
    return (size_t)taken < size ? queue_append(stream, iov, count, (size_t)taken) : 0;
}

ssize_t stream_write_some(struct stream *stream, const struct iovec *iov, int count)
{
    assert(count <= STREAM_PIECES_MAX);
    size_t size = iov_size(iov, count);
    if (stream->error) {
        return stream->error;
    }
    if (size <= SMALL_SIZE && batch_take(stream, iov, count, size)) {
        return (ssize_t)size;
    }
    ssize_t taken = stream->queue ? 0 : send_gathered(stream, iov, count);
    if (taken >= 0 && (size_t)taken < size) {
        int rc = wait_for_room(stream);
        return rc ? rc : taken;
    }
    return taken;
}

ssize_t stream_sendfile(struct stream *stream, int file, int64_t *offset, size_t count)
{
    if (stream->error) {
        return stream->error;
    }
    if (!stream->ops->sendfile) {
        return CASGI_ENOTSUP;
    }
    ssize_t rc = stream->queue ? 0 : send_gathered(stream, NULL, 0);
    if (rc < 0 || !count) {
        return rc;
    }
    ssize_t sent = stream->queue ? CASGI_EAGAIN
                                 : stream->ops->sendfile(stream, file, offset, count < FILE_SLICE ? count : FILE_SLICE);
    if (sent == CASGI_EAGAIN) {
        return wait_for_room(stream);
    }
    return sent == CASGI_EDISCONNECTED ? fail(stream, CASGI_EDISCONNECTED) : sent;
}

size_t stream_queued(const struct stream *stream)
{
    return (stream->queue ? buf_len(&stream->queue->bytes) : 0) + batch_held(stream);
}

size_t stream_unsent(const struct stream *stream)
{
    return stream_queued(stream) + (stream->error ? 0 : stream->ops->unsent(stream));
}

int stream_shutdown(struct stream *stream)
{
    stream->ending = true;
    if (stream->error || stream_queued(stream)) {
        return stream->error;
    }
    int rc = stream->ops->shutdown(stream);
    return rc ? fail(stream, rc) : 0;
}

void stream_release(struct stream *stream)
{
    queue_free(stream);
    batch_leave(stream);
}

void stream_close(struct stream *stream, bool reset)
{
    stream_release(stream);
    stream->events = NULL;
    stream->ops->close(stream, reset);
}

int stream_fd(const struct stream *stream)
{
    return stream->error || stream_queued(stream) ? -1 : stream->ops->fd(stream);
}

/* Sends what is queued. 0: it is empty now. */
static int queue_flush(struct stream *stream)
{
    struct buf *bytes = &stream->queue->bytes;
    while (buf_len(bytes)) {
        struct iovec part = { buf_bytes(bytes), buf_len(bytes) };
        ssize_t sent = stream->ops->send(stream, &part, 1);
        if (sent < 0) {
            return sent == CASGI_EAGAIN ? CASGI_EAGAIN : fail(stream, (int)sent);
        }
        buf_consume(bytes, (size_t)sent);
    }
    queue_free(stream);
    return stream->ending ? stream_shutdown(stream) : 0;
}

void stream_on_room(struct stream *stream)
{
    int rc = stream->queue ? queue_flush(stream) : stream->error;
    if (rc == CASGI_EAGAIN) {
        return;
    }
    if (rc) {
        stream_on_death(stream, rc);
        return;
    }
    stream->writing = false;
    if (stream->events && stream->events->writable) {
        stream->events->writable(stream->owner);
    }
}

void stream_on_death(struct stream *stream, int code)
{
    (void)fail(stream, code);
    bool wrote = stream->writing;
    stream->writing = false;
    if (!stream->events) {
        return;
    }
    if (stream->reading) {
        stream->events->readable(stream->owner); /* its recv returns the code */
    } else if (stream->events->failed) {
        stream->events->failed(stream->owner, code);
    } else if (wrote && stream->events->writable) {
        stream->events->writable(stream->owner); /* its next write returns the code */
    }
}

void stream_on_departure(struct stream *stream)
{
    stream->departed = true;
    if (stream->events && stream->events->departed) {
        stream->events->departed(stream->owner);
    }
}
