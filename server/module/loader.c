#include "module/loader.h"

#include "base/error.h"
#include "base/list.h"
#include "module/blocking.h"
#include "module/elf.h"
#include "module/host.h"
#include "runtime/coroutine.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct module {
    struct list node; /* in modules */
    void *handle;
    const casgi_module_t *record;
    char *shown;
};

/* An application made by module_create. */
struct made {
    struct list node; /* in applications */
    const casgi_app_record_t *record;
    casgi_app_t *app;
    casgi_app_t *blocking; /* stands before it if its calls run on threads; NULL */
    char *own_argv[2];     /* where the caller gave no words */
};

/* Both in the order in which they came: destroyed from the end. */
static struct list modules = { &modules, &modules };
static struct list applications = { &applications, &applications };

#define KNOWN_FLAGS \
    (CASGI_APP_HTTP | CASGI_APP_WEBSOCKET | CASGI_APP_LIFESPAN | CASGI_APP_BLOCKING | CASGI_APP_CANCEL_ON_DISCONNECT)

/* ---- dlopen's sentences ---- */

/* The text between `before` and the next of the characters in `ends`; false: `before` is not in `text`. */
static bool cut_out(const char *text, const char *before, const char *ends, char *out, size_t capacity)
{
    const char *start = strstr(text, before);
    if (!start) {
        return false;
    }
    start += strlen(before);
    size_t size = strcspn(start, ends);
    (void)snprintf(out, capacity, "%.*s", (int)size, start);
    return true;
}

static const char hint_ours[] = "casgi's own calls are inline: is the name spelt right, the header included? Those of "
                                "casgi/kit/ are linked with $(pkg-config --libs casgi-kit)";

/* Whether the sentence begins with this file, and not with a library that it needs. */
static bool is_about(const char *text, const char *path)
{
    size_t length = strlen(path);
    return strncmp(text, path, length) == 0 && text[length] == ':';
}

static int explain_dlopen(const char *path, const char *shown, const char *text, casgi_error_t *error)
{
    char name[512], other[512];
    if (strstr(text, ": cannot open shared object file") && cut_out(text, "", ":", name, sizeof(name))) {
        return error_set(error, CASGI_ENOENT,
                         "%s needs the library %s, which is not to be found (LD_LIBRARY_PATH, or -Wl,-rpath when it is "
                         "linked, say where to look)",
                         shown, name);
    }
    if (cut_out(text, "undefined symbol: ", " ,\t\n", name, sizeof(name)) && !is_about(text, path) &&
        cut_out(text, "", ":", other, sizeof(other))) {
        return error_set(error, CASGI_EINVAL,
                         "%s needs the library %s, which uses %s, which no library defines that they link", shown,
                         other, name);
    }
    if (cut_out(text, "undefined symbol: ", " ,\t\n", name, sizeof(name))) {
        bool ours = strncmp(name, "casgi_", strlen("casgi_")) == 0;
        return error_set(error, CASGI_EINVAL, "%s uses %s, which neither it nor a library it links defines (%s)", shown,
                         name,
                         ours ? hint_ours : "link that library with -l; where casgi compiles it, with --libs=-lNAME");
    }
    if (cut_out(text, "version `", "'", name, sizeof(name)) && cut_out(text, "", ":", other, sizeof(other))) {
        return error_set(error, CASGI_EINVAL, "%s needs %s of %s, which is older here: build it on this system", shown,
                         name, other);
    }
    return error_set(error, CASGI_EINVAL, "%s cannot be loaded: %s", shown, text);
}

static int load(const char *path, const char *shown, void **out_handle, casgi_error_t *error)
{
    char with_slash[4096];
    /* Without a slash dlopen would search the library path. */
    int length = snprintf(with_slash, sizeof(with_slash), "%s%s", strchr(path, '/') ? "" : "./", path);
    if (length < 0 || (size_t)length >= sizeof(with_slash)) {
        return error_set(error, CASGI_EINVAL, "%s: the path is too long", shown);
    }
    (void)dlerror();
    void *handle = dlopen(with_slash, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *text = dlerror();
        return explain_dlopen(with_slash, shown, text ? text : "no reason given", error);
    }
    coroutine_find_cxx(handle);
    *out_handle = handle;
    return 0;
}

/* ---- the record ---- */

static int check_record(const casgi_module_t *record, const char *shown, casgi_error_t *error)
{
    if (!record || record->magic != CASGI_MODULE_MAGIC || record->size != sizeof(*record) || !record->name ||
        !record->version || !record->imports) {
        return error_set(error, CASGI_EABI, "%s has a damaged casgi_module_%d record", shown, CASGI_ABI_MAJOR);
    }
    if (!record->apps || !record->apps[0]) {
        return error_set(error, CASGI_EABI, "%s has no application in it", shown);
    }
    for (size_t i = 0; record->apps[i]; i++) {
        if (!record->apps[i]->name || !record->apps[i]->create) {
            return error_set(error, CASGI_EABI, "%s: its application number %zu has no name or no create", shown,
                             i + 1);
        }
    }
    return 0;
}

static int check_interfaces(const casgi_module_t *record, const char *shown, casgi_error_t *error)
{
    const casgi_host_t *host = host_interface();
    for (size_t i = 0; record->interfaces && record->interfaces[i]; i++) {
        if (!host->get(host, record->interfaces[i])) {
            return error_set(error, CASGI_EABI,
                             "%s needs the interface %s, which this casgi (%s, ABI %u.%u) does not have", shown,
                             record->interfaces[i], host->version, host->abi_major, host->abi_minor);
        }
    }
    return 0;
}

static int accept_module(struct module *module, casgi_error_t *error)
{
    module->record = dlsym(module->handle, "casgi_module_1");
    int rc = check_record(module->record, module->shown, error);
    rc = rc ? rc : check_interfaces(module->record, module->shown, error);
    if (rc == 0) {
        host_fill_imports(host_interface(), module->record->imports);
    }
    return rc;
}

static void module_free(struct module *module)
{
    if (module->handle) {
        (void)dlclose(module->handle);
    }
    free(module->shown);
    free(module);
}

int module_open(const char *path, const char *shown, struct module **out_module, casgi_error_t *out_error)
{
    shown = shown ? shown : path;
    struct elf_info info = { 0 };
    struct module *module = NULL;
    int rc = elf_read(path, shown, &info, out_error);
    if (rc) {
        return rc;
    }
    elf_info_release(&info);
    module = calloc(1, sizeof(*module));
    if (!module || !(module->shown = strdup(shown))) {
        free(module);
        return error_set(out_error, CASGI_ENOMEM, "out of memory while loading %s", shown);
    }
    rc = load(path, shown, &module->handle, out_error);
    rc = rc ? rc : accept_module(module, out_error);
    if (rc) {
        module_free(module);
        return rc;
    }
    list_append(&modules, &module->node);
    *out_module = module;
    return 0;
}

const casgi_module_t *module_record(const struct module *module)
{
    return module->record;
}

const char *module_shown(const struct module *module)
{
    return module->shown;
}

/* ---- applications ---- */

static void list_names(const casgi_module_t *record, char *out, size_t capacity)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; record->apps[i] && used < capacity; i++) {
        int n = snprintf(out + used, capacity - used, "%s%s", i ? ", " : "", record->apps[i]->name);
        used += n > 0 ? (size_t)n : 0;
    }
}

const casgi_app_record_t *module_find_app(const struct module *module, const char *app_name, casgi_error_t *out_error)
{
    const casgi_app_record_t *const *apps = module->record->apps;
    const char *wanted = app_name ? app_name : "app";
    char names[512];
    for (size_t i = 0; apps[i]; i++) {
        if (strcmp(apps[i]->name, wanted) == 0) {
            return apps[i];
        }
    }
    if (!app_name && !apps[1]) {
        return apps[0];
    }
    list_names(module->record, names, sizeof(names));
    if (app_name) {
        (void)error_set(out_error, CASGI_ENOENT, "%s has no application called %s; it has: %s", module->shown, app_name,
                        names);
    } else {
        (void)error_set(out_error, CASGI_ENOENT, "%s has several applications, choose one as %s:NAME; it has: %s",
                        module->shown, module->shown, names);
    }
    return NULL;
}

static int check_flags(const struct module *module, const casgi_app_record_t *record, casgi_error_t *error)
{
    if (record->flags & ~(uint32_t)KNOWN_FLAGS) {
        return error_set(error, CASGI_EABI, "%s:%s asks for something this casgi does not know (flags 0x%x)",
                         module->shown, record->name, record->flags & ~(uint32_t)KNOWN_FLAGS);
    }
    return 0;
}

static int create_failed(const struct module *module, const casgi_app_record_t *record, const casgi_error_t *reason,
                         casgi_error_t *error)
{
    int code = reason->code < 0 ? reason->code : CASGI_EFAILED;
    const char *text = reason->message[0] ? reason->message
                       : reason->code < 0 ? error_text(reason->code)
                                          : "its create gave no reason";
    return error_set(error, code, "%s: the application %s could not be made: %s", module->shown, record->name, text);
}

static int make(struct made *made, const struct module *module, int argc, char **argv, casgi_error_t *error)
{
    casgi_error_t reason = { 0 };
    if (argc == 0) {
        made->own_argv[0] = strdup(made->record->name);
        if (!made->own_argv[0]) {
            return error_set(error, CASGI_ENOMEM, "out of memory while loading %s", module->shown);
        }
        argc = 1;
        argv = made->own_argv;
    }
    made->app = made->record->create(host_interface(), argc, argv, &reason);
    if (!made->app) {
        reason.message[sizeof(reason.message) - 1] = '\0';
        return create_failed(module, made->record, &reason, error);
    }
    if (!made->app->call) {
        return error_set(error, CASGI_EABI, "%s: the application %s has no call", module->shown, made->record->name);
    }
    if (made->record->flags & CASGI_APP_BLOCKING) {
        made->blocking = blocking_new(made->app);
        return made->blocking ? 0 : error_set(error, CASGI_ENOMEM, "out of memory while loading %s", module->shown);
    }
    return 0;
}

static void made_free(struct made *made)
{
    blocking_free(made->blocking);
    if (made->app && made->record->destroy) {
        made->record->destroy(made->app);
    }
    free(made->own_argv[0]);
    free(made);
}

int module_create(struct module *module, const char *app_name, int argc, char **argv, casgi_app_t **out_app,
                  uint32_t *out_flags, casgi_error_t *out_error)
{
    const casgi_app_record_t *record = module_find_app(module, app_name, out_error);
    if (!record) {
        return CASGI_ENOENT;
    }
    int rc = check_flags(module, record, out_error);
    if (rc) {
        return rc;
    }
    struct made *made = calloc(1, sizeof(*made));
    if (!made) {
        return error_set(out_error, CASGI_ENOMEM, "out of memory while loading %s", module->shown);
    }
    made->record = record;
    rc = make(made, module, argc, argv, out_error);
    if (rc) {
        made_free(made);
        return rc;
    }
    list_append(&applications, &made->node);
    *out_app = made->blocking ? made->blocking : made->app;
    *out_flags = record->flags;
    return 0;
}

void module_close_all(void)
{
    while (!list_empty(&applications)) {
        struct made *made = LIST_ENTRY(applications.prev, struct made, node);
        list_remove(&made->node);
        made_free(made);
    }
    while (!list_empty(&modules)) {
        struct module *module = LIST_ENTRY(modules.prev, struct module, node);
        list_remove(&module->node);
        module_free(module);
    }
}
