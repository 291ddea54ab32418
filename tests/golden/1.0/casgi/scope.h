/* casgi/scope.h: what one connection scope is (ASGI 3.0: specs/www "HTTP Connection Scope", "WebSocket Connection
 * Scope", specs/lifespan).
 *
 * A scope is handed to the application once and not changed by the server afterwards; everything it points to is
 * borrowed until the handler returns. Middleware that wants another one copies the struct, changes the copy and passes
 * that inward; the texts it puts there are NUL-terminated, like all others, and live until the inner call returns. */
#pragma once

#include "base.h"

CASGI_EXTERN_C_BEGIN

enum casgi_scope_type {
    CASGI_SCOPE_HTTP = 1,
    CASGI_SCOPE_WEBSOCKET = 2,
    CASGI_SCOPE_LIFESPAN = 3,
};

/* One end of the connection. host.ptr NULL: unknown. port -1: none (a Unix socket, whose path is `host`). */
typedef struct casgi_address {
    casgi_str_t host;
    int32_t port;
    uint32_t reserved;
} casgi_address_t;

/* The lifespan's state. Startup puts things in; each request sees a shallow copy: replacing a key in it does not reach
 * other requests, what a value points to is shared. */
typedef struct casgi_state casgi_state_t;
struct casgi_state {
    /* [loop] The value of `key`, NULL if there is none; what it points to belongs to who set it. */
    void *(*get)(casgi_state_t *self, const char *key);
    /* [loop] Sets `key` (copied) to `value`; NULL removes it. CASGI_ENOMEM. */
    int (*set)(casgi_state_t *self, const char *key, void *value);
};

typedef struct casgi_scope {
    uint32_t type; /* enum casgi_scope_type */
    uint32_t reserved0;
    casgi_str_t type_name;         /* "http", "websocket", "lifespan" */
    casgi_str_t asgi_version;      /* "3.0" */
    casgi_str_t asgi_spec_version; /* "2.5"; lifespan "2.0" */
    casgi_str_t http_version;      /* "1.0", "1.1", "2" */
    casgi_str_t method;            /* as sent, upper case */
    casgi_str_t scheme;            /* "http", "https", "ws", "wss" */
    casgi_str_t path;              /* percent-decoded, valid UTF-8, with root_path in front */
    casgi_str_t raw_path;          /* as received, without the query, with root_path in front */
    casgi_str_t query_string;      /* as received, without the "?"; "" if absent */
    casgi_str_t root_path;         /* where the application is mounted; "" if nowhere */
    const casgi_header_t *headers; /* names in lower case; order and duplicates as received */
    size_t header_count;
    casgi_address_t client;
    casgi_address_t server;
    const casgi_str_t *subprotocols; /* websocket */
    size_t subprotocol_count;
    casgi_state_t *state; /* NULL: no lifespan state */
    casgi_str_t request_id;
    /* [loop] Newer facts and ASGI's extensions, by name: get(get_ctx, "http.response.trailers"). NULL: not offered.
     * What it points to is borrowed until the handler returns. */
    const void *(*get)(void *get_ctx, const char *name);
    void *get_ctx;
    uintptr_t reserved[16];
} casgi_scope_t;

/* [loop] An extension by ASGI's name; NULL if not offered. */
static inline const void *casgi_scope_get(const casgi_scope_t *scope, const char *name)
{
    return scope->get ? scope->get(scope->get_ctx, name) : NULL;
}

/* [any] The value of the first header field called `name` (lower case); ptr NULL if there is none. Borrowed as the
 * scope. */
static inline casgi_str_t casgi_scope_header(const casgi_scope_t *scope, const char *name)
{
    casgi_str_t wanted = casgi_str(name), none = { NULL, 0 };
    for (size_t i = 0; i < scope->header_count; i++) {
        if (casgi_str_equal(scope->headers[i].name, wanted)) {
            return scope->headers[i].value;
        }
    }
    return none;
}

/* [loop] The lifespan state's value of `key`, NULL if there is none. */
static inline void *casgi_state_get(const casgi_scope_t *scope, const char *key)
{
    return scope->state ? scope->state->get(scope->state, key) : NULL;
}

/* [loop] Sets `key` in this scope's state. CASGI_ENOTSUP without a state, CASGI_ENOMEM. */
static inline int casgi_state_set(const casgi_scope_t *scope, const char *key, void *value)
{
    return scope->state ? scope->state->set(scope->state, key, value) : CASGI_ENOTSUP;
}

CASGI_STATIC_ASSERT(sizeof(casgi_address_t) == 24, "casgi_address_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_state_t) == 16, "casgi_state_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_scope_t) == 416, "casgi_scope_t is frozen");
CASGI_STATIC_ASSERT(offsetof(casgi_scope_t, headers) == 168, "casgi_scope_t is frozen");
CASGI_STATIC_ASSERT(offsetof(casgi_scope_t, state) == 248, "casgi_scope_t is frozen");
CASGI_STATIC_ASSERT(offsetof(casgi_scope_t, get) == 272, "casgi_scope_t is frozen");

CASGI_EXTERN_C_END
