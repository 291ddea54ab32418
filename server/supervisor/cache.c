#include "supervisor/cache.h"

#include "base/error.h"
#include "supervisor/artifact.h"
#include "supervisor/disk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_ours(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
}

/* Makes `path` and what is missing above it. */
static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int rc = mkdir(path, 0700);
        int number = errno;
        *slash = '/';
        if (rc && number != EEXIST) {
            return false;
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* The `choice`th place; NULL: not to be had. `*out_more`: there are others. */
static char *place(int choice, bool *out_more)
{
    const char *folder;
    char *path = NULL;
    int length = -1;
    *out_more = choice < 2;
    switch (choice) {
    case 0:
        folder = getenv("XDG_CACHE_HOME");
        length = folder && folder[0] == '/' ? asprintf(&path, "%s/casgi", folder) : -1;
        break;
    case 1:
        folder = getenv("HOME");
        length = folder && folder[0] == '/' ? asprintf(&path, "%s/.cache/casgi", folder) : -1;
        break;
    default:
        length = asprintf(&path, "/tmp/casgi-%lu", (unsigned long)geteuid());
        break;
    }
    return length < 0 ? NULL : path;
}

int cache_open(char **out_path, casgi_error_t *error)
{
    bool more = true;
    for (int choice = 0; more; choice++) {
        char *path = place(choice, &more);
        if (path && make_folders(path) && is_ours(path) && access(path, W_OK) == 0) {
            *out_path = path;
            return 0;
        }
        free(path);
    }
    return error_set(
        error, CASGI_EACCES,
        "no folder for builds: neither $XDG_CACHE_HOME, ~/.cache nor /tmp can be written by this user alone");
}

/* ---- pruning ---- */

struct entry {
    char *path;
    struct timespec modified;
};

struct entry_list {
    struct entry *items;
    size_t count;
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), wanted = strlen(suffix);
    return length > wanted && strcmp(name + length - wanted, suffix) == 0;
}

static void entry_add(struct entry_list *list, char *path)
{
    struct stat st;
    struct entry *items = NULL;
    if (path && lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        items = realloc(list->items, (list->count + 1) * sizeof(*items));
    }
    if (!items) {
        free(path);
        return;
    }
    list->items = items;
    items[list->count++] = (struct entry){ path, st.st_mtim };
}

static void entries_read(struct entry_list *list, const char *path, const char *suffix)
{
    DIR *directory = opendir(path);
    if (!directory) {
        return;
    }
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (has_suffix(entry->d_name, suffix)) {
            entry_add(list, path_join(path, entry->d_name));
        }
    }
    closedir(directory);
}

static int newest_first(const void *left, const void *right)
{
    const struct timespec *a = &((const struct entry *)left)->modified, *b = &((const struct entry *)right)->modified;
    if (a->tv_sec != b->tv_sec) {
        return a->tv_sec > b->tv_sec ? -1 : 1;
    }
    return a->tv_nsec == b->tv_nsec ? 0 : a->tv_nsec > b->tv_nsec ? -1 : 1;
}

static void prune(const char *path, const char *suffix, size_t keep)
{
    struct entry_list list = { 0 };
    entries_read(&list, path, suffix);
    if (list.count > keep) {
        qsort(list.items, list.count, sizeof(*list.items), newest_first);
    }
    for (size_t i = 0; i < list.count; i++) {
        if (i >= keep) {
            (void)artifact_remove_abandoned(list.items[i].path);
        }
        free(list.items[i].path);
    }
    free(list.items);
}

void cache_prune(const char *path, size_t keep)
{
    prune(path, ".so", keep);
    prune(path, ".deps", keep);
}
