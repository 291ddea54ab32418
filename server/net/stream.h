/* net/stream.h: a byte stream: TCP, Unix, TLS over either, in-memory for tests. The caller never asks which.
 *
 * Reading is by readiness: the owner is told "readable" and calls stream_recv with a buffer it lends for the call; an
 * idle stream holds no buffer. Writing goes straight to the kernel; what the kernel does not take is queued here (a
 * copy, up to the owner's high water) or left to the caller, as it chooses. While the owner handles a read batch it
 * corks the stream: small writes gather in the loop's batch buffer and leave in one send at uncork.
 *
 * All [loop]. Errors are casgi codes; CASGI_EAGAIN: would block; any other: the stream is dead, close it. */
#pragma once

#include "casgi/base.h"
#include "runtime/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

struct stream;

#define STREAM_PIECES_MAX 15 /* in one iov */

/* What the owner hears. None is called from inside one of the functions below. */
struct stream_events {
    void (*readable)(void *owner); /* while reading is on: recv now (also for end and error) */
    void (*writable)(
        void *owner); /* the queue is empty and the kernel has room again, after a write that was not taken whole */
    void (*failed)(void *owner, int code); /* reset by the peer, noticed while reading is off; may be NULL */
    /* The peer has ended its side, noticed while reading is off: what it sent before may still be there, and behind it
     * recv tells the end. At most once; may be NULL. */
    void (*departed)(void *owner);
};

/* What a kind of stream does. Bytes, or CASGI_EAGAIN, or another code: never 0 but for recv's end. */
struct stream_ops {
    ssize_t (*recv)(struct stream *stream, void *data, size_t size);
    ssize_t (*send)(struct stream *stream, const struct iovec *iov, int count);
    ssize_t (*sendfile)(struct stream *stream, int file, int64_t *offset, size_t count); /* NULL: not supported */
    int (*watch)(struct stream *stream); /* `reading` or `writing` was switched on */
    int (*shutdown)(struct stream *stream);
    size_t (*unsent)(const struct stream *stream);    /* what the kernel holds and the peer has not acknowledged */
    void (*close)(struct stream *stream, bool reset); /* frees, now or later */
    int (*fd)(const struct stream *stream);           /* -1: none, or not to be handed over */
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events;
    void *owner;
    struct loop *loop;
    struct stream_queue *queue; /* bytes the kernel did not take; NULL: none */
    struct stream_batch *batch; /* while corked: the loop's */
    bool reading;
    bool writing; /* the owner or the queue waits for room */
    bool corked;
    bool ending;   /* our end of stream is to follow the queue */
    bool departed; /* the owner has heard that the peer has ended its side */
    int error;     /* the code that ended it */
};

/* A stream over a connected, non-blocking socket, which it owns on success. */
int stream_open_fd(struct loop *loop, int fd, struct stream **out_stream) __attribute__((warn_unused_result));

/* Two streams in memory, each the other's peer, with `capacity` bytes of "kernel" each way. For tests. */
int stream_open_pair(struct loop *loop, size_t capacity, struct stream **out_a, struct stream **out_b)
    __attribute__((warn_unused_result));

void stream_set_owner(struct stream *stream, const struct stream_events *events, void *owner);

/* Switches `readable` on or off. */
void stream_read(struct stream *stream, bool on);

/* Bytes into data: > 0; 0: the peer has ended its side; CASGI_EAGAIN; another code. */
ssize_t stream_recv(struct stream *stream, void *data, size_t size);

/* From here to uncork, stream_write and small stream_write_some gather. Nests not. */
void stream_cork(struct stream *stream);
int stream_uncork(struct stream *stream);

/* Takes all of it: sent, or copied to the queue. 0 or a code. */
int stream_write(struct stream *stream, const struct iovec *iov, int count) __attribute__((warn_unused_result));

/* While corked: where up to `size` bytes may be written straight into what gathers; then commit what was written,
 * before anything else is written. NULL: not corked, or no room; use stream_write. */
char *stream_reserve(struct stream *stream, size_t size);
void stream_commit(struct stream *stream, size_t size);

/* Takes what it can without copying to the queue; returns how many bytes; 0: none now, `writable` will follow. Sends
 * what is queued or corked first. */
ssize_t stream_write_some(struct stream *stream, const struct iovec *iov, int count)
    __attribute__((warn_unused_result));

/* As stream_write_some, from a file at *offset, which it advances; at most `count` bytes. CASGI_EEOF at the file's end.
 */
ssize_t stream_sendfile(struct stream *stream, int file, int64_t *offset, size_t count)
    __attribute__((warn_unused_result));

/* Bytes corked or queued. */
size_t stream_queued(const struct stream *stream);

/* The same and what the kernel holds that the peer has not acknowledged: tells a slow reader, for whom it shrinks, from
 * a dead one. A system call. */
size_t stream_unsent(const struct stream *stream);

/* Sends our end of stream after what is queued. */
int stream_shutdown(struct stream *stream);

/* Ends it now; what is queued is lost. `reset`: with a TCP reset, so that a cut response is not taken for whole.
 * The pointer is dead afterwards; no event follows. Safe inside an event. */
void stream_close(struct stream *stream, bool reset);

/* The descriptor, for handing an idle connection over; -1 if that cannot be done. It stays the stream's: the receiver
 * gets a copy, and stream_close does not end the connection for it. */
int stream_fd(const struct stream *stream);
