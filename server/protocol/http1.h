/* protocol/http1.h: HTTP/1.1 and 1.0 (RFC 9110, RFC 9112) on one connection: bytes in, exchanges out. */
#pragma once

#include "exchange/exchange.h"
#include "net/stream.h"

struct http1;

/* What all connections of a listener share. Made by the worker; outlives them. Zero disables a limit. */
struct http1_host {
    struct exchange_host *exchanges;
    size_t head_limit;         /* bytes of a request head: 431 */
    size_t header_count_limit; /* 431 */
    uint64_t body_rate;        /* bytes a second at least, after body_grace, counted only while a task waits for body: 408 */
    uint64_t body_grace;       /* microseconds */
    size_t drain_limit;        /* of an unread body, read and thrown away before the connection is reused; else closed */
    struct expiry_list head_deadline;  /* from the first byte of a head (from the connection's begin for the first) to its end: 408 */
    struct expiry_list idle_deadline;  /* keep-alive */
    struct expiry_list write_deadline; /* no progress with bytes queued: reset */
    struct expiry_list body_deadline;  /* a tick for the body rate */
    casgi_str_t scheme;                /* "http", "https" */
    casgi_address_t server;            /* of the listener; used where the connection has none of its own */
    casgi_str_t root_path;
    /* Asked before a request begins; 0: go on; else the status to refuse with (503). */
    int (*admit)(struct http1_host *host);
    /* The connection is over; its memory goes when this returns. */
    void (*closed)(struct http1_host *host, struct http1 *connection);
    /* A refused request: one log line. `offset`: of the byte in the request; reason: static text. */
    void (*refused)(struct http1_host *host, casgi_address_t client, int status, size_t offset, const char *reason);
    void *data; /* the worker's */
};

/* Sets up the parts that http1 owns (the expiry lists' callbacks). Durations in microseconds. */
void http1_host_init(struct http1_host *host, struct loop *loop, uint64_t head_timeout, uint64_t idle_timeout,
                     uint64_t write_timeout);
void http1_host_release(struct http1_host *host);

/* A connection over `stream`, which it owns on success; `client` is copied. `early`: bytes already received (a handed-over
 * connection has none). CASGI_ENOMEM. */
int http1_open(struct http1_host *host, struct stream *stream, casgi_address_t client, struct list *node_list,
               struct http1 **out) __attribute__((warn_unused_result));

/* Whether it is between requests with nothing read: it may be handed to another process. */
bool http1_idle(const struct http1 *connection);

/* Takes the socket out of an idle connection, for handing over: the descriptor is duplicated by the message; the connection
 * is closed here without ending it for the peer. */
int http1_fd(const struct http1 *connection);

/* No further request on it: idle connections close now, busy ones after their response ("connection: close"). */
void http1_drain(struct http1 *connection);

/* Ends it at once. */
void http1_close(struct http1 *connection);

/* Walks the list given to http1_open. */
struct http1 *http1_from_node(struct list *node);
