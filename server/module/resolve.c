#include "module/resolve.h"

#include "base/error.h"
#include "base/nearest.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CASGI_LIBDIR
#define CASGI_LIBDIR "/usr/local/lib/casgi"
#endif

/* Endings that make a word a file. */
static const struct {
    const char *text;
    enum resolve_kind kind;
} endings[] = {
    { ".so", RESOLVE_MODULE }, { ".c", RESOLVE_C },     { ".cc", RESOLVE_CXX },
    { ".cpp", RESOLVE_CXX },   { ".cxx", RESOLVE_CXX },
};

static bool ending_kind(const char *text, size_t size, enum resolve_kind *out_kind)
{
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t length = strlen(endings[i].text);
        if (size > length && memcmp(text + size - length, endings[i].text, length) == 0) {
            *out_kind = endings[i].kind;
            return true;
        }
    }
    return false;
}

/* Where the file's name ends: at the last ':' if a name follows it that can be an application's, else at the end. */
static size_t name_size(const char *spec)
{
    const char *colon = strrchr(spec, ':');
    return colon && colon != spec && colon[1] && !strchr(colon, '/') ? (size_t)(colon - spec) : strlen(spec);
}

static int out_of_memory(casgi_error_t *error)
{
    return error_set(error, CASGI_ENOMEM, "out of memory");
}

static int found(const char *path, size_t size, const char *spec, enum resolve_kind kind, struct resolved *out_resolved,
                 casgi_error_t *error)
{
    size_t used = name_size(spec);
    struct resolved resolved = { .kind = kind, .path = NULL, .app = NULL };
    resolved.path = strndup(path, size);
    if (!resolved.path) {
        return out_of_memory(error);
    }
    if (spec[used] == ':') {
        resolved.app = strdup(spec + used + 1);
        if (!resolved.app) {
            resolved_release(&resolved);
            return out_of_memory(error);
        }
    }
    *out_resolved = resolved;
    return 0;
}

/* ---- ready-made applications ---- */

/* Calls fn with a folder named from where the running program lies, or, with `up`, from the folder above. */
static bool beside_program(bool up, const char *name, bool (*fn)(const char *folder, void *arg), void *arg)
{
    char program[PATH_MAX], folder[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program));
    const char *slash = size > 0 ? memrchr(program, '/', (size_t)size) : NULL;
    if (slash && up) {
        slash = memrchr(program, '/', (size_t)(slash - program));
    }
    if (!slash) {
        return false;
    }
    int length = snprintf(folder, sizeof(folder), "%.*s/%s", (int)(slash - program), program, name);
    return length > 0 && (size_t)length < sizeof(folder) && fn(folder, arg);
}

/* Calls fn with each folder of ready-made applications, in order, until it returns true. */
static bool each_folder(bool (*fn)(const char *folder, void *arg), void *arg)
{
    char folder[PATH_MAX];
    const char *list = getenv("CASGI_APP_PATH");
    while (list && *list) {
        size_t size = strcspn(list, ":");
        if (size && (size_t)snprintf(folder, sizeof(folder), "%.*s", (int)size, list) < sizeof(folder) &&
            fn(folder, arg)) {
            return true;
        }
        list += size + (list[size] == ':');
    }
    return beside_program(true, "lib/casgi", fn, arg) || beside_program(false, "apps", fn, arg) ||
           fn(CASGI_LIBDIR, arg);
}

/* A search by name: what is looked for, and where it was found. */
struct search {
    const char *name;
    size_t size;
    char path[PATH_MAX];
};

static bool look_into(const char *folder, void *arg)
{
    struct search *search = arg;
    int length = snprintf(search->path, sizeof(search->path), "%s/%.*s.so", folder, (int)search->size, search->name);
    return length > 0 && (size_t)length < sizeof(search->path) && access(search->path, F_OK) == 0;
}

#define NAME_SIZE 64

/* The names of all ready-made applications, each once, and the one most like what was asked for. */
struct names {
    char wanted[NAME_SIZE];
    char list[600]; /* "inspect, mount" */
    size_t used;
    char nearest[NAME_SIZE]; /* "": none is near */
};

static bool listed(const struct names *names, const char *name, size_t size)
{
    const char *at = names->list;
    while ((at = memmem(at, strlen(at), name, size)) != NULL) {
        if ((at == names->list || at[-1] == ' ') && (at[size] == ',' || at[size] == '\0')) {
            return true;
        }
        at++;
    }
    return false;
}

static void add_name(struct names *names, const char *file)
{
    enum resolve_kind kind;
    size_t size = strlen(file);
    if (file[0] == '.' || !ending_kind(file, size, &kind) || kind != RESOLVE_MODULE) {
        return;
    }
    size -= strlen(".so");
    if (size >= NAME_SIZE || listed(names, file, size) || names->used + size + 3 > sizeof(names->list)) {
        return;
    }
    names->used += (size_t)snprintf(names->list + names->used, sizeof(names->list) - names->used, "%s%.*s",
                                    names->used ? ", " : "", (int)size, file);
    char name[NAME_SIZE];
    (void)snprintf(name, sizeof(name), "%.*s", (int)size, file);
    bool nearer =
        !names->nearest[0] || word_distance(names->wanted, name) < word_distance(names->wanted, names->nearest);
    if (word_is_near(names->wanted, name) && nearer) {
        memcpy(names->nearest, name, sizeof(name));
    }
}

static bool collect(const char *folder, void *arg)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        add_name(arg, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return false;
}

static int not_found(const char *spec, size_t size, casgi_error_t *error)
{
    char beside[PATH_MAX];
    struct names names = { .used = 0 };
    (void)snprintf(names.wanted, sizeof(names.wanted), "%.*s", (int)size, spec);
    (void)each_folder(collect, &names);
    (void)snprintf(beside, sizeof(beside), "%.*s.so", (int)size, spec);
    if (access(beside, F_OK) == 0) {
        return error_set(error, CASGI_ENOENT, "no ready-made application is called %.*s; for the file here say ./%s",
                         (int)size, spec, beside);
    }
    if (names.used == 0) {
        return error_set(error, CASGI_ENOENT,
                         "no ready-made application is called %.*s, and there are none in " CASGI_LIBDIR
                         "; a file of your own ends in .so or .c, or has a / in it",
                         (int)size, spec);
    }
    if (names.nearest[0]) {
        return error_set(error, CASGI_ENOENT,
                         "no ready-made application is called %.*s; did you mean %s? There are: %s", (int)size, spec,
                         names.nearest, names.list);
    }
    return error_set(error, CASGI_ENOENT,
                     "no ready-made application is called %.*s; there are: %s (a file of your own ends in .so or .c, "
                     "or has a / in it)",
                     (int)size, spec, names.list);
}

/* "hello.so:", with the name of the application forgotten. */
static bool lacks_app(const char *spec)
{
    enum resolve_kind kind;
    size_t size = strlen(spec);
    return size && spec[size - 1] == ':' && ending_kind(spec, size - 1, &kind);
}

int resolve_app(const char *spec, struct resolved *out_resolved, casgi_error_t *out_error)
{
    enum resolve_kind kind = RESOLVE_MODULE;
    size_t size = name_size(spec);
    if (lacks_app(spec)) {
        return error_set(out_error, CASGI_EINVAL, "%s names no application: write %.*s, or %sNAME", spec, (int)size - 1,
                         spec, spec);
    }
    if (ending_kind(spec, size, &kind) || memchr(spec, '/', size)) {
        return found(spec, size, spec, kind, out_resolved, out_error);
    }
    struct search search = { .name = spec, .size = size };
    if (each_folder(look_into, &search)) {
        return found(search.path, strlen(search.path), spec, RESOLVE_MODULE, out_resolved, out_error);
    }
    return not_found(spec, size, out_error);
}

void resolved_release(struct resolved *resolved)
{
    free(resolved->path);
    free(resolved->app);
    *resolved = (struct resolved){ .kind = RESOLVE_MODULE, .path = NULL, .app = NULL };
}
