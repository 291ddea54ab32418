#include "module/host.h"

#include "base/error.h"
#include "base/log.h"
#include "module/loader.h"
#include "module/resolve.h"
#include "runtime/fdwatch.h"
#include "runtime/file.h"
#include "runtime/process.h"
#include "runtime/socket.h"
#include "runtime/sync.h"
#include "runtime/task.h"
#include "runtime/threads.h"

#include <string.h>

static int load_application(const char *spec, int argc, char **argv, casgi_app_t **out_app, uint32_t *out_flags,
                            casgi_error_t *out_error)
{
    struct resolved resolved;
    struct module *module = NULL;
    int rc = resolve_app(spec, &resolved, out_error);
    if (rc) {
        return rc;
    }
    if (resolved.kind != RESOLVE_MODULE) {
        rc = error_set(out_error, CASGI_EINVAL, "%s is a source file: build it to a .so first", resolved.path);
    }
    rc = rc ? rc : module_open(resolved.path, NULL, &module, out_error);
    rc = rc ? rc : module_create(module, resolved.app, argc, argv, out_app, out_flags, out_error);
    resolved_release(&resolved);
    return rc;
}

static const casgi_log_1_t log_interface = { .print = log_print, .enabled = log_enabled };
static const casgi_modules_1_t modules_interface = { .load = load_application };

/* Interface names and their tables; the slots of casgi_imports_t are filled from it too. */
static const struct {
    const char *name;
    const void *table;
    size_t slot;
} interfaces[] = {
    { "casgi.tasks/1", &task_interface, offsetof(casgi_imports_t, tasks) },
    { "casgi.log/1", &log_interface, offsetof(casgi_imports_t, log) },
    { "casgi.modules/1", &modules_interface, offsetof(casgi_imports_t, modules) },
    { "casgi.threads/1", &threads_interface, offsetof(casgi_imports_t, threads) },
    { "casgi.fd/1", &fd_interface, offsetof(casgi_imports_t, fd) },
    { "casgi.files/1", &files_interface, offsetof(casgi_imports_t, files) },
    { "casgi.net/1", &net_interface, offsetof(casgi_imports_t, net) },
    { "casgi.process/1", &process_interface, offsetof(casgi_imports_t, process) },
    { "casgi.sync/1", &sync_interface, offsetof(casgi_imports_t, sync) },
};

static const void *get(const casgi_host_t *host, const char *name)
{
    (void)host;
    for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
        if (strcmp(interfaces[i].name, name) == 0) {
            return interfaces[i].table;
        }
    }
    return NULL;
}

const casgi_host_t *host_interface(void)
{
    static const casgi_host_t host = {
        .name = "casgi",
        .version = CASGI_VERSION,
        .abi_major = CASGI_ABI_MAJOR,
        .abi_minor = CASGI_ABI_MINOR,
        .get = get,
    };
    return &host;
}

void host_fill_imports(const casgi_host_t *host, casgi_imports_t *imports)
{
    casgi_imports_t filled = { .host = host };
    for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
        const void *table = host->get(host, interfaces[i].name);
        memcpy((char *)&filled + interfaces[i].slot, &table, sizeof(table));
    }
    *imports = filled;
}
