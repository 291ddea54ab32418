/* casgi/event.h: the events that receive and send carry (ASGI 3.0: specs/www, specs/lifespan, docs/extensions).
 *
 * Every event is one casgi_event_t of fixed size: its type first, then the members of that type. All words an event
 * does not use are zero, and a zeroed member has ASGI's default where ASGI has one. Middleware passes a type it does
 * not know on untouched, by pointer; an application ignores it. */
#pragma once

#include "base.h"

CASGI_EXTERN_C_BEGIN

/* Every event type: name, number, ASGI's own name. Numbers never change. */
#define CASGI_EVENT_MAP(X)                                                \
    X(HTTP_REQUEST, 1, "http.request")                                    \
    X(HTTP_DISCONNECT, 2, "http.disconnect")                              \
    X(HTTP_RESPONSE_START, 3, "http.response.start")                      \
    X(HTTP_RESPONSE_BODY, 4, "http.response.body")                        \
    X(HTTP_RESPONSE_TRAILERS, 5, "http.response.trailers")                \
    X(HTTP_RESPONSE_PUSH, 6, "http.response.push")                        \
    X(HTTP_RESPONSE_ZEROCOPYSEND, 7, "http.response.zerocopysend")        \
    X(HTTP_RESPONSE_PATHSEND, 8, "http.response.pathsend")                \
    X(HTTP_RESPONSE_EARLY_HINT, 9, "http.response.early_hint")            \
    X(HTTP_RESPONSE_DEBUG, 10, "http.response.debug")                     \
    X(WEBSOCKET_CONNECT, 32, "websocket.connect")                         \
    X(WEBSOCKET_ACCEPT, 33, "websocket.accept")                           \
    X(WEBSOCKET_RECEIVE, 34, "websocket.receive")                         \
    X(WEBSOCKET_SEND, 35, "websocket.send")                               \
    X(WEBSOCKET_DISCONNECT, 36, "websocket.disconnect")                   \
    X(WEBSOCKET_CLOSE, 37, "websocket.close")                             \
    X(WEBSOCKET_HTTP_RESPONSE_START, 38, "websocket.http.response.start") \
    X(WEBSOCKET_HTTP_RESPONSE_BODY, 39, "websocket.http.response.body")   \
    X(LIFESPAN_STARTUP, 64, "lifespan.startup")                           \
    X(LIFESPAN_STARTUP_COMPLETE, 65, "lifespan.startup.complete")         \
    X(LIFESPAN_STARTUP_FAILED, 66, "lifespan.startup.failed")             \
    X(LIFESPAN_SHUTDOWN, 67, "lifespan.shutdown")                         \
    X(LIFESPAN_SHUTDOWN_COMPLETE, 68, "lifespan.shutdown.complete")       \
    X(LIFESPAN_SHUTDOWN_FAILED, 69, "lifespan.shutdown.failed")

enum casgi_event_type {
    CASGI_EVENT_NONE = 0,
#define CASGI_EVENT_ENUM(name, number, text) CASGI_##name = (number),
    CASGI_EVENT_MAP(CASGI_EVENT_ENUM)
#undef CASGI_EVENT_ENUM
};

/* http.request: a piece of the request's body, decoded from its transfer coding. */
typedef struct casgi_http_request {
    casgi_str_t body;
    bool more_body;
} casgi_http_request_t;

/* http.response.start, websocket.http.response.start. `status` is 200 to 599. */
typedef struct casgi_http_response_start {
    const casgi_header_t *headers;
    size_t header_count;
    int32_t status;
    bool trailers;
} casgi_http_response_start_t;

/* http.response.body, websocket.http.response.body. more_body false ends the response. */
typedef struct casgi_http_response_body {
    casgi_str_t body;
    bool more_body;
} casgi_http_response_body_t;

/* http.response.trailers */
typedef struct casgi_http_response_trailers {
    const casgi_header_t *headers;
    size_t header_count;
    bool more_trailers;
} casgi_http_response_trailers_t;

/* http.response.push */
typedef struct casgi_http_response_push {
    const casgi_header_t *headers;
    size_t header_count;
    casgi_str_t path;
} casgi_http_response_push_t;

/* http.response.zerocopysend. The file stays the application's to close. has_offset false: from the descriptor's
 * own position; has_count false: up to the end of the file. */
typedef struct casgi_http_response_zerocopysend {
    int64_t offset;
    int64_t count;
    int32_t file;
    bool has_offset;
    bool has_count;
    bool more_body;
} casgi_http_response_zerocopysend_t;

/* http.response.pathsend: an absolute path. */
typedef struct casgi_http_response_pathsend {
    casgi_str_t path;
} casgi_http_response_pathsend_t;

/* http.response.early_hint: values of Link fields for a 103. */
typedef struct casgi_http_response_early_hint {
    const casgi_str_t *links;
    size_t link_count;
} casgi_http_response_early_hint_t;

/* http.response.debug: for test clients; JSON text. */
typedef struct casgi_http_response_debug {
    casgi_str_t info;
} casgi_http_response_debug_t;

/* websocket.accept. subprotocol.ptr NULL: none. */
typedef struct casgi_websocket_accept {
    const casgi_header_t *headers;
    size_t header_count;
    casgi_str_t subprotocol;
} casgi_websocket_accept_t;

/* websocket.receive, websocket.send: exactly one of the two has a ptr. */
typedef struct casgi_websocket_message {
    casgi_str_t bytes;
    casgi_str_t text;
} casgi_websocket_message_t;

/* websocket.close (code 0 means 1000), websocket.disconnect. */
typedef struct casgi_websocket_close {
    casgi_str_t reason;
    int32_t code;
} casgi_websocket_close_t;

/* lifespan.startup.failed, lifespan.shutdown.failed. */
typedef struct casgi_lifespan_failed {
    casgi_str_t message;
} casgi_lifespan_failed_t;

/* An event. What its pointers borrow: from receive, until the next receive of this request or the handler's return;
 * to send, until send returns. */
typedef struct casgi_event {
    uint32_t type; /* enum casgi_event_type */
    uint32_t reserved0;
    union {
        uintptr_t words[12]; /* first, so that an initialiser zeroes all of it */
        casgi_http_request_t http_request;
        casgi_http_response_start_t http_response_start;
        casgi_http_response_body_t http_response_body;
        casgi_http_response_trailers_t http_response_trailers;
        casgi_http_response_push_t http_response_push;
        casgi_http_response_zerocopysend_t http_response_zerocopysend;
        casgi_http_response_pathsend_t http_response_pathsend;
        casgi_http_response_early_hint_t http_response_early_hint;
        casgi_http_response_debug_t http_response_debug;
        casgi_websocket_accept_t websocket_accept;
        casgi_websocket_message_t websocket_message;
        casgi_websocket_close_t websocket_close;
        casgi_lifespan_failed_t lifespan_failed;
    };
    uintptr_t reserved[3];
} casgi_event_t;

/* A zeroed event of a type, as initialiser: casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_BODY); */
/* clang-format off */
#define CASGI_EVENT_INIT(event_type) { (event_type), 0, { { 0 } }, { 0, 0, 0 } }
/* clang-format on */

/* [any] Makes *event a zeroed one of a type: the same, and faster where it matters. In halves, because gcc zeroes 128
 * bytes at once by an instruction that is slow to start. */
static inline void casgi_event_init(casgi_event_t *event, uint32_t type)
{
    __builtin_memset(event, 0, 64);
    __builtin_memset((char *)event + 64, 0, 64);
    event->type = type;
}

/* [any] ASGI's name of an event type, "http.response.start"; "unknown" for a number without one. */
static inline const char *casgi_event_name(uint32_t type)
{
    switch (type) {
#define CASGI_EVENT_TEXT(name, number, text) \
    case (number):                           \
        return text;
        CASGI_EVENT_MAP(CASGI_EVENT_TEXT)
#undef CASGI_EVENT_TEXT
    default:
        return "unknown";
    }
}

CASGI_STATIC_ASSERT(sizeof(casgi_event_t) == 128, "casgi_event_t is frozen");
CASGI_STATIC_ASSERT(offsetof(casgi_event_t, words) == 8, "casgi_event_t is frozen");
CASGI_STATIC_ASSERT(offsetof(casgi_event_t, reserved) == 104, "casgi_event_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_http_request_t) == 24, "casgi_http_request_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_http_response_start_t) == 24, "casgi_http_response_start_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_http_response_zerocopysend_t) == 24, "casgi_http_response_zerocopysend_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_websocket_message_t) == 32, "casgi_websocket_message_t is frozen");

CASGI_EXTERN_C_END
