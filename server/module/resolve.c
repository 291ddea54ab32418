#include "module/resolve.h"

#include "base/error.h"

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
    ssize_t size = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
    char *slash = size > 0 ? memrchr(folder, '/', (size_t)size) : NULL;
    if (slash && slash + sizeof("/apps") <= folder + sizeof(folder)) {
        memcpy(slash, "/apps", sizeof("/apps"));
        if (fn(folder, arg)) {
            return true;
        }
    }
    return fn(CASGI_LIBDIR, arg);
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

/* The names of all ready-made applications, each once, and the one most like what was asked for. */
struct names {
    const char *wanted;
    size_t wanted_size;
    char list[600]; /* "inspect, mount" */
    size_t used;
    char nearest[64];
    size_t distance;
};

/* How many letters must be put in, left out or changed to make one of the other (Levenshtein). */
static size_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t row[65];
    if (b_size > 64) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[b_size];
}

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
    if (size >= sizeof(names->nearest) || listed(names, file, size) || names->used + size + 3 > sizeof(names->list)) {
        return;
    }
    names->used += (size_t)snprintf(names->list + names->used, sizeof(names->list) - names->used, "%s%.*s",
                                    names->used ? ", " : "", (int)size, file);
    size_t distance = edit_distance(names->wanted, names->wanted_size, file, size);
    if (distance < names->distance) {
        names->distance = distance;
        (void)snprintf(names->nearest, sizeof(names->nearest), "%.*s", (int)size, file);
    }
}

static bool collect(const char *folder, void *arg)
{
    DIR *directory = opendir(folder);
    if (directory) {
        const struct dirent *entry;
        while ((entry = readdir(directory)) != NULL) {
            add_name(arg, entry->d_name);
        }
        (void)closedir(directory);
    }
    return false;
}

static int not_found(const char *spec, size_t size, casgi_error_t *error)
{
    char beside[PATH_MAX];
    struct names names = { .wanted = spec, .wanted_size = size, .distance = SIZE_MAX };
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
    if (names.distance <= 1 + size / 3) {
        return error_set(error, CASGI_ENOENT,
                         "no ready-made application is called %.*s; did you mean %s? There are: %s", (int)size, spec,
                         names.nearest, names.list);
    }
    return error_set(error, CASGI_ENOENT,
                     "no ready-made application is called %.*s; there are: %s (a file of your own ends in .so or .c, "
                     "or has a / in it)",
                     (int)size, spec, names.list);
}

int resolve_app(const char *spec, struct resolved *out_resolved, casgi_error_t *out_error)
{
    enum resolve_kind kind = RESOLVE_MODULE;
    size_t size = name_size(spec);
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
