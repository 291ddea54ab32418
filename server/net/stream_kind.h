/* net/stream_kind.h: for the kinds of stream (fd, pair, TLS): what they report to the common part. */
#pragma once

#include "net/stream.h"

/* The kernel has room: flushes the queue, then tells the owner. The stream may be closed when this returns. */
void stream_on_room(struct stream *stream);

/* The stream has died with `code` and the owner may not be looking: tells it in the way it waits for. The stream may be
 * closed when this returns. */
void stream_on_death(struct stream *stream, int code);

/* The peer has ended its side while reading is off: tells the owner, once. The stream may be closed when this returns.
 */
void stream_on_departure(struct stream *stream);

/* Whether the peer's end would not be seen: what lies before it is not received now. */
static inline bool stream_looks_away(const struct stream *stream)
{
    return !stream->reading && !stream->departed;
}

/* Lets go of what the common part holds; for close. */
void stream_release(struct stream *stream);
