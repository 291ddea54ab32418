/* protocol/http1.h: HTTP/1.1 and 1.0 (RFC 9110, RFC 9112) on one connection: bytes in, exchanges out.
 *
 * Parsing is strict: what RFC 9112 lets a recipient tolerate and an attacker use (bare LF, folded lines, spaces before
 * a colon, two framings) is refused with a 4xx, the connection is closed so that the client can read the answer, and
 * `refused` is called once. Requests of one connection are served one at a time, in order. Everything is [loop]. */
#pragma once

#include "exchange/exchange.h"
#include "net/stream.h"

struct http1;
struct http1_buffer;

enum { HTTP1_BUFFER_SIZES = 3 };

/* Buffers for what was received and cannot be used yet; kept for reuse. Zeroed is empty. */
struct http1_buffers {
    struct http1_buffer *free[HTTP1_BUFFER_SIZES]; /* by size */
    size_t count[HTTP1_BUFFER_SIZES];
};

/* Header sections that came twice (http1_section.h). Zeroed is empty. */
#define HTTP1_SECTION_SLOTS 64
struct http1_section;
struct http1_sections {
    struct http1_section *slots[HTTP1_SECTION_SLOTS];
    uint64_t noted[HTTP1_SECTION_SLOTS]; /* hash of the last one that came once */
    uint64_t seed;
};

/* The default fields as text, behind a date line. Zeroed is empty. */
struct http1_defaults {
    char *text;
    size_t size;
    uint64_t dated; /* loop_now of when the date was looked at last */
};

/* What all connections of a listener share. Made by the worker (zeroed, then the public members, then http1_host_init);
 * outlives them. Zero disables a limit. */
struct http1_host {
    struct exchange_host *exchanges;
    size_t head_limit;         /* bytes of a request head: 431; of its first line alone: 414 */
    size_t header_count_limit; /* 431 */
    uint64_t body_rate;        /* bytes a second at least, after body_grace, counted only while a task waits: 408 */
    uint64_t body_grace;       /* microseconds */
    size_t drain_limit;        /* bytes of a body nobody read: so much is thrown away for the connection's sake, else it
                                  is closed; 0: none */
    casgi_str_t scheme;        /* "http", "https" */
    casgi_address_t server;    /* of the listener; used where a connection has none of its own */
    casgi_str_t root_path;
    /* Asked before a request begins; 0: go on; else the status to refuse with (503). May be NULL. */
    int (*admit)(struct http1_host *host);
    /* The connection is over; its memory goes when this returns. May be NULL. */
    void (*closed)(struct http1_host *host, struct http1 *connection);
    /* A connection that was told http1_drain has become idle, with nothing of a next request read, and its last
     * response did not announce "connection: close": hand it over or close it, now or later. NULL: http1 closes it. */
    void (*on_drained)(struct http1_host *host, struct http1 *connection);
    /* A refused request: one log line. `offset`: of the byte at fault, from the request's first; reason: static text.
     * status 0: there was no answer, the connection was reset. May be NULL. */
    void (*refused)(struct http1_host *host, casgi_address_t client, int status, size_t offset, const char *reason);
    void *data; /* the worker's */

    /* http1's own, set up by http1_host_init */
    struct expiry_list head_deadline;   /* from the first byte of a head (from the connection's begin for the first) to
                                           its end: 408, or nothing if not a byte came */
    struct expiry_list idle_deadline;   /* keep-alive */
    struct expiry_list write_deadline;  /* no progress with bytes queued: reset */
    struct expiry_list body_deadline;   /* a tick for the body rate */
    struct expiry_list linger_deadline; /* how long a closed connection's last bytes are awaited */
    struct http1_buffers buffers;
    struct http1_defaults defaults;
    struct http1_sections sections;
};

/* Durations in microseconds; 0: never. */
void http1_host_init(struct http1_host *host, struct loop *loop, uint64_t head_timeout, uint64_t idle_timeout,
                     uint64_t write_timeout);

/* All its connections must be closed. */
void http1_host_release(struct http1_host *host);

/* A connection over `stream`, which it owns on success. `client` and `server` (host.ptr NULL: the host's) are copied.
 * It appends itself to `node_list` and leaves it when closed. CASGI_ENOMEM. */
int http1_open(struct http1_host *host, struct stream *stream, casgi_address_t client, casgi_address_t server,
               struct list *node_list, struct http1 **out) __attribute__((warn_unused_result));

/* Right after http1_open, of a connection that was handed over by another process: it waits for its next request, not
 * for its first. */
void http1_resume(struct http1 *connection);

/* Whether it is between requests with nothing read and nothing left to write: it may be handed to another process. */
bool http1_idle(const struct http1 *connection);

/* The socket of an idle connection, for handing over: send it, then http1_close, which does not end it for the peer.
 * -1: this one cannot be handed over. */
int http1_fd(const struct http1 *connection);

/* No further request on it: idle connections close now (after a last look for a request already received), busy ones
 * after their response ("connection: close"), or see on_drained. */
void http1_drain(struct http1 *connection);

/* Ends it at once; a request in progress sees its client gone. The pointer is dead afterwards. */
void http1_close(struct http1 *connection);

/* Walks the list given to http1_open. */
struct http1 *http1_from_node(struct list *node);
