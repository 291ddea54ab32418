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

/* Lets go of what the common part holds; for close. */
void stream_release(struct stream *stream);
