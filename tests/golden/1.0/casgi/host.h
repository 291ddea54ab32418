/* casgi/host.h: what the server offers besides receive and send: interfaces by name, and the small ones. */
#pragma once

#include "base.h"

CASGI_EXTERN_C_BEGIN

/* The server, as a module sees it. Lives as long as the module is loaded. */
typedef struct casgi_host casgi_host_t;
struct casgi_host {
    const char *name;    /* "casgi" */
    const char *version; /* "0.1.0" */
    uint32_t abi_major;
    uint32_t abi_minor;
    /* [any] The table called `name`, as "casgi.tasks/1"; NULL if this server has none. Static. */
    const void *(*get)(const casgi_host_t *host, const char *name);
    uintptr_t reserved[8];
};

enum casgi_log_level {
    CASGI_LOG_TRACE = 0,
    CASGI_LOG_DEBUG = 1,
    CASGI_LOG_INFO = 2,
    CASGI_LOG_WARNING = 3,
    CASGI_LOG_ERROR = 4,
    CASGI_LOG_CRITICAL = 5,
};

/* "casgi.log/1" */
typedef struct casgi_log_1 {
    /* [any] One line in the server's log, with the request id when called inside a request. Control characters are
     * escaped. Never blocks. */
    void (*print)(int level, const char *format, ...) CASGI_PRINTF(2, 3);
    /* [any] Whether lines of `level` are written. */
    bool (*enabled)(int level);
    const void *reserved[6];
} casgi_log_1_t;

CASGI_STATIC_ASSERT(sizeof(casgi_host_t) == 96, "casgi_host_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_log_1_t) == 64, "casgi_log_1_t is frozen");

CASGI_EXTERN_C_END
