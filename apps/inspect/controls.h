/* What a request asks the probe to do, in its query string. README.md explains each. */
#pragma once

#include <casgi/casgi.h>

#define RECEIVE_ALL (-1)
#define HEADERS_MAX 16

enum fault {
    FAULT_NONE,
    FAULT_RETURN,        /* returns 0 without a response */
    FAULT_ERROR,         /* returns CASGI_EFAILED without a response */
    FAULT_START_ONLY,    /* sends only the start, returns 0 */
    FAULT_PARTIAL,       /* leaves the body open, returns 0 */
    FAULT_PARTIAL_ERROR, /* leaves the body open, returns CASGI_EFAILED */
    FAULT_TWO_STARTS,
    FAULT_BODY_FIRST,
    FAULT_BODY_AFTER,    /* one more body event after the last */
    FAULT_UNKNOWN_EVENT, /* an event type nobody knows, then the response */
    FAULT_HANG,          /* waits for an hour instead of answering, whatever receive says */
};

struct controls {
    int64_t receive;          /* how many events, or RECEIVE_ALL */
    int64_t receive_pause_ms; /* before each event */
    int64_t sleep_ms;         /* before the start */
    int64_t pause_ms;         /* between pieces of the body */
    int64_t after;            /* events to receive after the response */
    int64_t status;
    int64_t body_bytes; /* -1: the inspection as JSON */
    int64_t piece_bytes;
    casgi_str_t content_length; /* ptr NULL: none */
    casgi_header_t headers[HEADERS_MAX];
    size_t header_count;
    bool trailers;
    bool early_hint;
    bool set_state;
    enum fault fault;
    casgi_str_t keep;   /* the name under which what happened is kept; ptr NULL: not kept */
    casgi_str_t recall; /* answer what was kept under this name; ptr NULL: no */
};

/* Fills *out from the query string; texts are in the request's arena. 0; CASGI_EINVAL with the sentence in *error;
 * CASGI_ENOMEM. [task] */
int controls_parse(casgi_str_t query, struct controls *out, casgi_error_t *error);
