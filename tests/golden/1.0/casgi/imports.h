/* casgi/imports.h: where a module keeps the interfaces it uses. Authors never touch it.
 *
 * One weak hidden variable per module, however many source files it has; the server fills it before `create`. */
#pragma once

#include "base.h"
#include "host.h"

CASGI_EXTERN_C_BEGIN

struct casgi_tasks_1;
struct casgi_modules_1;
struct casgi_threads_1;
struct casgi_fd_1;
struct casgi_files_1;
struct casgi_net_1;
struct casgi_process_1;
struct casgi_sync_1;

/* A slot per interface; an older server leaves the slots it does not know NULL, and the calls behind them return
 * CASGI_ENOTSUP. New interfaces take reserved slots, in order. */
typedef struct casgi_imports {
    const casgi_host_t *host;
    const struct casgi_tasks_1 *tasks;     /* "casgi.tasks/1" */
    const casgi_log_1_t *log;              /* "casgi.log/1" */
    const struct casgi_modules_1 *modules; /* "casgi.modules/1" */
    const struct casgi_threads_1 *threads; /* "casgi.threads/1" */
    const struct casgi_fd_1 *fd;           /* "casgi.fd/1" */
    const struct casgi_files_1 *files;     /* "casgi.files/1" */
    const struct casgi_net_1 *net;         /* "casgi.net/1" */
    const struct casgi_process_1 *process; /* "casgi.process/1" */
    const struct casgi_sync_1 *sync;       /* "casgi.sync/1" */
    const void *reserved[22];
} casgi_imports_t;

__attribute__((weak, visibility("hidden"))) casgi_imports_t casgi_imports_;

/* One line in the server's log, printf-like: casgi_log(CASGI_LOG_INFO, "loaded %d rows", n). [any] */
#define casgi_log(level, ...)                                \
    do {                                                     \
        if (casgi_imports_.log) {                            \
            casgi_imports_.log->print((level), __VA_ARGS__); \
        }                                                    \
    } while (0)

CASGI_STATIC_ASSERT(sizeof(casgi_imports_t) == 256, "casgi_imports_t is frozen");

CASGI_EXTERN_C_END
