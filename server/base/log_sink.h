/* base/log_sink.h: one descriptor the log writes to, with a bounded buffer in front, never waiting for it. log.c's own.
 *
 * What keeps a write from blocking: a pipe or a terminal is opened a second time, without blocking (its other users
 * keep their own mode); a socket is sent to with MSG_DONTWAIT; if neither can be done, poll asks before each small
 * write. To a pipe no more than PIPE_BUF bytes of whole lines are written at once, so that the lines of several
 * processes do not mix. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_SINK_SIZE (256 * 1024)

enum log_sink_kind { SINK_NONE, SINK_FILE, SINK_STREAM, SINK_SOCKET, SINK_POLLED };

struct log_sink {
    pthread_mutex_t lock; /* guards what follows */
    enum log_sink_kind kind;
    int fd; /* our own */
    bool terminal;
    bool broken_line; /* a line was cut by an error: the next begins with a newline */
    size_t start;     /* the first byte not yet written */
    size_t end;
    uint64_t lost;      /* lines not yet told of */
    uint64_t told;      /* lines that a notice in the buffer tells of */
    atomic_bool filled; /* there are bytes in the buffer; may be read without the lock */
    char data[LOG_SINK_SIZE];
};

/* Looks at what `fd` is; it stays the caller's. */
void log_sink_open(struct log_sink *sink, int fd);

/* ---- with the lock held ---- */

/* Where a line of at most `size` bytes may be written, then log_sink_commit; NULL: no room, the line is lost. */
char *log_sink_reserve(struct log_sink *sink, size_t size);
void log_sink_commit(struct log_sink *sink, size_t size);

/* Writes what can be written now. What an error keeps from being written is lost. */
void log_sink_flush(struct log_sink *sink);

/* Writes everything, waiting at most so long. */
void log_sink_drain(struct log_sink *sink, int milliseconds);
