/* casgi/app.h: what an application is, and what a module exports.
 *
 * The server calls app->call(app, scope, receive, send) for every HTTP request, every WebSocket and, if the
 * application has the flag, once per worker for the lifespan. */
#pragma once

#include "base.h"
#include "event.h"
#include "host.h"
#include "imports.h"
#include "scope.h"
#include "tasks.h"

CASGI_EXTERN_C_BEGIN

/* How the application gets events. Middleware embeds one first in a struct of its own, keeps the next, and passes its
 * own inward; as a handler is a task, that struct may live on its stack. */
typedef struct casgi_receive_s casgi_receive_t;
struct casgi_receive_s {
    /* [task] The next event, in *out_event; what it points to is borrowed until the next receive or the handler's
     * return. One receive may be outstanding: a second gets CASGI_EBUSY. After the response, or when the client has
     * gone, it is http.disconnect, every time. CASGI_ECANCELED, CASGI_ETIMEDOUT: nothing is lost. */
    int (*call)(casgi_receive_t *self, casgi_event_t *out_event);
};

/* How the application sends events. */
typedef struct casgi_send_s casgi_send_t;
struct casgi_send_s {
    /* [task] Sends one event; borrows it until it returns. Sends of several tasks queue in order, each event whole.
     * Suspends while the client reads slowly. CASGI_EDISCONNECTED: the client has gone. CASGI_EPROTO: not allowed now.
     * CASGI_EINVAL: a bad status, header or type. CASGI_ECANCELED, CASGI_ETIMEDOUT: not sent, or, after its first byte,
     * the response is aborted. */
    int (*call)(casgi_send_t *self, const casgi_event_t *event);
};

typedef struct casgi_app casgi_app_t;
struct casgi_app {
    /* [task] Handles one scope; everything it is given is borrowed until it returns. 0, or a negative code: a failure,
     * which the server logs and, if nothing was sent yet, answers with a 500. A code that receive or send gave may be
     * returned as it is. A scope of a type it does not know: CASGI_ENOTSUP. */
    int (*call)(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);
    void *data; /* the application's own; larger state: embed casgi_app_t first in a struct */
    uintptr_t reserved[2];
};

/* What an application takes part in, and how it wants to be run. */
enum casgi_app_flag {
    CASGI_APP_HTTP = 1,
    CASGI_APP_WEBSOCKET = 2,
    CASGI_APP_LIFESPAN = 4,             /* it is also called with the lifespan scope */
    CASGI_APP_BLOCKING = 8,             /* its calls run on threads and may block */
    CASGI_APP_CANCEL_ON_DISCONNECT = 16 /* its task is cancelled when the client goes before the response is complete */
};

/* One application of a module. */
typedef struct casgi_app_record {
    const char *name;
    const char *summary; /* one line, or NULL */
    /* [loop] Makes the application from the words after `--` (argv[0] is its name; argv[argc] is NULL; borrowed for the
     * process's life). What it returns stays the application's own, until destroy. NULL on failure, with the reason in
     * *out_error (casgi_error_set). Called once per worker, before the lifespan; may be called again for another
     * mount of the same module. */
    casgi_app_t *(*create)(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error);
    /* [loop] Ends what create made, after its last call has returned. NULL: nothing to do. */
    void (*destroy)(casgi_app_t *app);
    uint32_t flags; /* enum casgi_app_flag */
    uint32_t reserved0;
    uintptr_t reserved[7];
} casgi_app_record_t;

#define CASGI_MODULE_MAGIC UINT64_C(0x3149475341431a0a) /* "\n\x1aCASGI1" */

/* The one symbol a module exports: `const casgi_module_t casgi_module_1`. */
typedef struct casgi_module {
    uint64_t magic;
    uint32_t size;      /* sizeof(casgi_module_t) */
    uint32_t abi_minor; /* built against */
    const char *name;
    const char *version;
    const char *const *interfaces;         /* those it cannot do without, NULL-terminated; NULL: none */
    const casgi_app_record_t *const *apps; /* NULL-terminated */
    casgi_imports_t *imports;              /* filled by the server before create */
    uintptr_t reserved[9];
} casgi_module_t;

/* "casgi.modules/1": applications that load others. */
typedef struct casgi_modules_1 {
    /* [loop] Meant for `create`, as it reads files. Loads `spec` ("file.so", "file.so:app", or the name of a ready-made
     * app) and makes its application with argv; *out_app lives until the worker ends, *out_flags are its record's. 0,
     * or the code, with the sentence in *out_error. */
    int (*load)(const char *spec, int argc, char **argv, casgi_app_t **out_app, uint32_t *out_flags,
                casgi_error_t *out_error);
    const void *reserved[7];
} casgi_modules_1_t;

/* [task] The next event. See casgi_receive_t. */
static inline int casgi_receive(casgi_receive_t *receive, casgi_event_t *out_event)
{
    return receive->call(receive, out_event);
}

/* [task] Sends one event. See casgi_send_t. */
static inline int casgi_send(casgi_send_t *send, const casgi_event_t *event)
{
    return send->call(send, event);
}

/* [task] Calls another application from inside one: what tasks it creates are cancelled and joined before this
 * returns. Every inward call of middleware goes through here. Returns what the application returned. */
static inline int casgi_call(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_children_t children;
    bool scoped = casgi_children_begin(&children) == 0;
    int rc = app->call(app, scope, receive, send);
    if (scoped) {
        (void)casgi_children_end(&children);
    }
    return rc;
}

/* [task] Sends http.response.start. Borrows the headers until it returns. */
static inline int casgi_send_start(casgi_send_t *send, int status, const casgi_header_t *headers, size_t header_count)
{
    casgi_event_t event;
    casgi_event_init(&event, CASGI_HTTP_RESPONSE_START);
    event.http_response_start.status = status;
    event.http_response_start.headers = headers;
    event.http_response_start.header_count = header_count;
    return send->call(send, &event);
}

/* [task] Sends http.response.body. Borrows the bytes until it returns. */
static inline int casgi_send_body(casgi_send_t *send, const void *data, size_t size, bool more_body)
{
    casgi_event_t event;
    casgi_event_init(&event, CASGI_HTTP_RESPONSE_BODY);
    event.http_response_body.body.ptr = (const char *)data;
    event.http_response_body.body.len = size;
    event.http_response_body.more_body = more_body;
    return send->call(send, &event);
}

/* [task] A whole response: `size` bytes with a content type. Borrows everything until it returns. */
static inline int casgi_respond_bytes(casgi_send_t *send, int status, const char *content_type, const void *data,
                                      size_t size)
{
    casgi_header_t header = casgi_header("content-type", content_type);
    int rc = casgi_send_start(send, status, &header, 1);
    return rc ? rc : casgi_send_body(send, data, size, false);
}

/* [task] A whole response: NUL-terminated text with a content type. */
static inline int casgi_respond(casgi_send_t *send, int status, const char *content_type, const char *text)
{
    return casgi_respond_bytes(send, status, content_type, text, __builtin_strlen(text));
}

/* [task] The whole request body, at most `limit` bytes, gathered in the request's arena and NUL-terminated.
 * CASGI_ETOOBIG, CASGI_ENOMEM, CASGI_EDISCONNECTED if the client went before its end. */
static inline int casgi_receive_body(casgi_receive_t *receive, size_t limit, casgi_str_t *out_body)
{
    char *data = NULL;
    size_t size = 0, capacity = 0;
    for (;;) {
        casgi_event_t event;
        int rc = receive->call(receive, &event);
        if (rc) {
            return rc;
        }
        if (event.type == CASGI_HTTP_DISCONNECT) {
            return CASGI_EDISCONNECTED;
        }
        if (event.type != CASGI_HTTP_REQUEST) {
            continue;
        }
        casgi_str_t piece = event.http_request.body;
        if (piece.len > limit - size) {
            return CASGI_ETOOBIG;
        }
        if (!data || piece.len > capacity - size) {
            size_t wanted = event.http_request.more_body ? (size + piece.len) * 2 + 1024 : size + piece.len;
            char *larger = (char *)casgi_alloc(wanted + 1);
            if (!larger) {
                return CASGI_ENOMEM;
            }
            if (size) {
                __builtin_memcpy(larger, data, size);
            }
            data = larger;
            capacity = wanted;
        }
        if (piece.len) {
            __builtin_memcpy(data + size, piece.ptr, piece.len);
        }
        size += piece.len;
        if (!event.http_request.more_body) {
            data[size] = '\0';
            out_body->ptr = data;
            out_body->len = size;
            return 0;
        }
    }
}

#ifdef __cplusplus
CASGI_EXTERN_C_END
/* The border of C++: an exception becomes an error code. */
template <int (*fn)(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *)>
static int casgi_cxx_call_(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive,
                           casgi_send_t *send) noexcept
{
#ifdef __cpp_exceptions
    try {
        return fn(self, scope, receive, send);
    } catch (...) {
        casgi_log(CASGI_LOG_ERROR, "the handler threw a C++ exception");
        return CASGI_EFAILED;
    }
#else
    return fn(self, scope, receive, send);
#endif
}

template <casgi_app_t *(*fn)(const casgi_host_t *, int, char **, casgi_error_t *)>
static casgi_app_t *casgi_cxx_create_(const casgi_host_t *host, int argc, char **argv,
                                      casgi_error_t *out_error) noexcept
{
#ifdef __cpp_exceptions
    try {
        return fn(host, argc, argv, out_error);
    } catch (...) {
        (void)casgi_error_set(out_error, CASGI_EFAILED, "its create threw a C++ exception");
        return NULL;
    }
#else
    return fn(host, argc, argv, out_error);
#endif
}
#define CASGI_HANDLER(fn) casgi_cxx_call_<fn>
#define CASGI_CREATE(fn) casgi_cxx_create_<fn>
#define CASGI_MODULE_LINKAGE_ extern "C"
CASGI_EXTERN_C_BEGIN
#else
#define CASGI_HANDLER(fn) fn
#define CASGI_CREATE(fn) fn
#define CASGI_MODULE_LINKAGE_ extern
#endif

/* CASGI_HANDLER(fn) is what goes into casgi_app_t.call: in C the handler itself, in C++ the handler behind a catch-all.
 * CASGI_CREATE(fn) likewise for casgi_app_record_t.create.
 *
 * CASGI_APP_RECORD defines `id`, the record of an application without state of its own, called `app_name`, from its
 * handler. One with state writes its record and its create by hand (casgi/template.c). */
#define CASGI_APP_RECORD(id, app_name, fn, app_flags)                                                               \
    static casgi_app_t *id##_create_(const casgi_host_t *host_, int argc_, char **argv_, casgi_error_t *out_error_) \
    {                                                                                                               \
        static casgi_app_t app_ = { CASGI_HANDLER(fn), NULL, { 0, 0 } };                                            \
        (void)host_, (void)argc_, (void)argv_, (void)out_error_;                                                    \
        return &app_;                                                                                               \
    }                                                                                                               \
    static const casgi_app_record_t id = { app_name, NULL, id##_create_, NULL, (app_flags), 0, { 0 } }

/* Exports the module: its name, its version, and pointers to its application records. Once per module, at file level.
 * It and CASGI_APP_RECORD end with a semicolon of yours, CASGI_APP and CASGI_APP_WITH without. */
#define CASGI_MODULE(module_name, module_version, ...) \
    CASGI_MODULE_NEEDS(module_name, module_version, NULL, __VA_ARGS__)

/* The same for a module that cannot do without some interfaces: `needs` is a NULL-terminated array of their names. */
#define CASGI_MODULE_NEEDS(module_name, module_version, needs, ...)                                      \
    static const casgi_app_record_t *const casgi_module_apps_[] = { __VA_ARGS__, NULL };                 \
    CASGI_MODULE_LINKAGE_ CASGI_EXPORT const casgi_module_t casgi_module_1;                              \
    const casgi_module_t casgi_module_1 = { CASGI_MODULE_MAGIC, sizeof(casgi_module_t), CASGI_ABI_MINOR, \
                                            module_name,        module_version,         needs,           \
                                            casgi_module_apps_, &casgi_imports_,        { 0 } }

/* Exports a module with one application called "app": an http handler, or with CASGI_APP_WITH one with other flags. */
#define CASGI_APP(fn) CASGI_APP_WITH(fn, CASGI_APP_HTTP)
#define CASGI_APP_WITH(fn, app_flags)                          \
    CASGI_APP_RECORD(casgi_app_record_, "app", fn, app_flags); \
    CASGI_MODULE(#fn, "0", &casgi_app_record_);

CASGI_STATIC_ASSERT(sizeof(casgi_receive_t) == 8 && sizeof(casgi_send_t) == 8, "frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_app_t) == 32, "casgi_app_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_app_record_t) == 96, "casgi_app_record_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_module_t) == 128, "casgi_module_t is frozen");
CASGI_STATIC_ASSERT(offsetof(casgi_module_t, imports) == 48, "casgi_module_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_modules_1_t) == 64, "casgi_modules_1_t is frozen");

CASGI_EXTERN_C_END
