#include "runtime/part.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The folder of the running program; "" if it cannot be known. */
static void find_own_folder(char folder[static PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
    }
}

static bool find_part(const char *name, char path[static PATH_MAX * 2])
{
    static const char *const places[] = { "/../lib/casgi", "", "/.." }; /* the last: of a built test */
    char folder[PATH_MAX];
    find_own_folder(folder);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        (void)snprintf(path, PATH_MAX * 2, "%s%s/parts/%s.so", folder, places[i], name);
        if (!access(path, R_OK)) {
            return true;
        }
    }
    (void)snprintf(path, PATH_MAX * 2, "%s/parts/%s.so", CASGI_LIBDIR, name);
    return !access(path, R_OK);
}

int part_load(const char *name, const char *symbol, const void **out_symbol, casgi_error_t *out_error)
{
    char path[PATH_MAX * 2];
    if (!find_part(name, path)) {
        return casgi_error_set(out_error, CASGI_ENOTSUP, "this server was installed without %s.so", name);
    }
    void *part = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const void *found = part ? dlsym(part, symbol) : NULL;
    if (!found) {
        return casgi_error_set(out_error, CASGI_EABI, "%s", dlerror());
    }
    *out_symbol = found;
    return 0;
}
