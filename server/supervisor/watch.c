#include "supervisor/watch.h"

#include "base/error.h"
#include "supervisor/depfile.h"
#include "supervisor/disk.h"
#include "supervisor/pattern.h"
#include "supervisor/watch_steps.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MASK = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF,
    LEAD_MASK = IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM, /* of a folder above: only names come and go */
    TREE_DEPTH_MAX = 64,
};

/* A watched folder. */
struct folder {
    int wd;
    bool in_tree;
    char *path; /* absolute */
};

struct watch {
    int fd;
    const struct pattern_set *patterns;
    struct folder *folders; /* in order of wd */
    size_t folder_count;
    struct path_list files; /* absolute */
    bool *present;          /* which of them were there when the steps were made */
    struct path_list trees; /* absolute */
    struct step_list steps; /* what leads to each file and to each tree's root */
    size_t unwatched;
    bool stale;        /* a folder or a link went or came: the steps are to be made again */
    bool tree_missing; /* a tree's root went */
    bool found;        /* a file of the last watch_read matters; it is: */
    char *saved;
};

/* ---- folders ---- */

static struct folder *find_folder(struct watch *watch, int wd)
{
    size_t low = 0, high = watch->folder_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (watch->folders[middle].wd < wd) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < watch->folder_count && watch->folders[low].wd == wd ? &watch->folders[low] : NULL;
}

/* inotify's numbers grow, so a new one is last. */
static struct folder *append_folder(struct watch *watch, int wd, const char *path)
{
    struct folder *folders = realloc(watch->folders, (watch->folder_count + 1) * sizeof(*folders));
    char *copy = folders ? strdup(path) : NULL;
    watch->folders = folders ? folders : watch->folders;
    if (!copy) {
        return NULL;
    }
    folders[watch->folder_count] = (struct folder){ .wd = wd, .path = copy };
    return &folders[watch->folder_count++];
}

static struct folder *add_folder(struct watch *watch, const char *path, uint32_t mask)
{
    int wd = inotify_add_watch(watch->fd, path, mask | IN_ONLYDIR | IN_MASK_ADD);
    if (wd < 0) {
        watch->unwatched += errno == ENOSPC || errno == ENOMEM;
        return NULL;
    }
    struct folder *folder = find_folder(watch, wd);
    if (!folder) {
        return append_folder(watch, wd, path);
    }
    if (strcmp(folder->path, path) != 0) { /* it was moved */
        char *copy = strdup(path);
        free(copy ? folder->path : NULL);
        folder->path = copy ? copy : folder->path;
    }
    return folder;
}

static void remove_folder(struct watch *watch, int wd)
{
    struct folder *folder = find_folder(watch, wd);
    if (folder) {
        size_t at = (size_t)(folder - watch->folders);
        free(folder->path);
        watch->folder_count--;
        memmove(folder, folder + 1, (watch->folder_count - at) * sizeof(*folder));
    }
}

/* ---- trees ---- */

static bool is_folder(const struct dirent *entry, const char *path)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void set_saved(struct watch *watch, const char *path)
{
    char *copy = strdup(path);
    if (copy) {
        free(watch->saved);
        watch->saved = copy;
    }
    watch->found = true;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Watches a folder and those below it. With `fresh`, the files in it have come with it: they count as saved. */
static void add_tree(struct watch *watch, const char *path, bool fresh, int depth)
{
    struct folder *folder = add_folder(watch, path, MASK);
    DIR *directory = folder && depth < TREE_DEPTH_MAX ? opendir(path) : NULL;
    if (!directory) {
        return;
    }
    folder->in_tree = true;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        char *child = is_dots(entry->d_name) ? NULL : path_join(path, entry->d_name);
        if (child && is_folder(entry, child)) {
            if (pattern_set_enters(watch->patterns, child)) {
                add_tree(watch, child, fresh, depth + 1);
            }
        } else if (child && fresh && pattern_set_wants(watch->patterns, child)) {
            set_saved(watch, child);
        }
        free(child);
    }
    closedir(directory);
}

/* ---- what leads to the files ---- */

static int follow_step(void *data, const char *folder_path, bool last)
{
    struct folder *folder = add_folder(data, folder_path, last ? MASK : LEAD_MASK);
    return folder ? folder->wd : -1;
}

/* Makes the steps again. A file that was missing and is there now counts as saved. */
static int make_steps(struct watch *watch)
{
    int rc = 0;
    step_list_clear(&watch->steps);
    for (size_t i = 0; i < watch->files.count && !rc; i++) {
        const char *path = watch->files.items[i];
        rc = step_list_follow(&watch->steps, path, follow_step, watch);
        bool there = access(path, F_OK) == 0;
        if (there && !watch->present[i]) {
            set_saved(watch, path);
        }
        watch->present[i] = there;
    }
    for (size_t i = 0; i < watch->trees.count && !rc; i++) {
        rc = step_list_follow(&watch->steps, watch->trees.items[i], follow_step, watch);
    }
    watch->stale = false;
    return rc;
}

static int absolute(const char *path, struct path_list *out)
{
    char *folder, *whole;
    if (path[0] == '/') {
        return path_list_add(out, path, strlen(path));
    }
    folder = getcwd(/* allocates */ NULL, 0);
    whole = folder ? path_join(folder, path) : NULL;
    int rc = whole ? path_list_add(out, whole, strlen(whole)) : CASGI_ENOMEM;
    free(folder);
    free(whole);
    return rc;
}

/* ---- the interface ---- */

int watch_new(const struct pattern_set *patterns, struct watch **out, casgi_error_t *error)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return error_set(error, CASGI_ENOMEM, "out of memory");
    }
    watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch->patterns = patterns;
    if (watch->fd < 0) {
        int number = errno;
        free(watch);
        return error_set(error, error_from_errno(number), "files cannot be watched: %s (%s)%s", strerror(number),
                         strerrorname_np(number), number == EMFILE ? "; see fs.inotify.max_user_instances" : "");
    }
    *out = watch;
    return 0;
}

void watch_free(struct watch *watch)
{
    if (!watch) {
        return;
    }
    for (size_t i = 0; i < watch->folder_count; i++) {
        free(watch->folders[i].path);
    }
    free(watch->folders);
    step_list_clear(&watch->steps);
    path_list_release(&watch->files);
    path_list_release(&watch->trees);
    free(watch->present);
    free(watch->saved);
    close(watch->fd);
    free(watch);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

size_t watch_unwatched(const struct watch *watch)
{
    return watch->unwatched;
}

int watch_set_files(struct watch *watch, const struct path_list *files)
{
    struct path_list list = { 0 };
    for (size_t i = 0; i < files->count; i++) {
        int rc = absolute(files->items[i], &list);
        if (rc) {
            path_list_release(&list);
            return rc;
        }
    }
    bool *present = calloc(list.count + 1, sizeof(*present));
    if (!present) {
        path_list_release(&list);
        return CASGI_ENOMEM;
    }
    for (size_t i = 0; i < list.count; i++) {
        present[i] = access(list.items[i], F_OK) == 0;
    }
    path_list_release(&watch->files);
    free(watch->present);
    watch->files = list;
    watch->present = present;
    return make_steps(watch);
}

int watch_add_tree(struct watch *watch, const char *folder, casgi_error_t *error)
{
    struct stat st;
    char *path = realpath(folder, /* allocates */ NULL);
    if (!path || stat(path, &st) || !S_ISDIR(st.st_mode)) {
        free(path);
        return error_set(error, CASGI_ENOENT, "--reload-dir %s: no such folder", folder);
    }
    int rc = path_list_add(&watch->trees, path, strlen(path));
    if (!rc) {
        add_tree(watch, path, false, 0);
        rc = make_steps(watch);
    }
    free(path);
    return rc ? error_set(error, rc, "out of memory") : 0;
}

/* ---- events ---- */

/* Whether a new name is a whole file already: a link to one. */
static bool is_link(const char *folder, const char *name)
{
    struct stat st;
    char *path = path_join(folder, name);
    bool link = path && lstat(path, &st) == 0 && (S_ISLNK(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink > 1));
    free(path);
    return link;
}

static enum watch_result kind_of(const struct inotify_event *event, const struct folder *folder)
{
    if (event->mask & (IN_DELETE | IN_MOVED_FROM)) {
        return WATCH_NOTHING;
    }
    if (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) {
        return WATCH_SAVED;
    }
    if ((event->mask & IN_CREATE) && is_link(folder->path, event->name)) {
        return WATCH_SAVED;
    }
    return WATCH_WRITING;
}

/* A folder or a link on the way to a file: what it leads to may be another file now, or none. */
static enum watch_result lead_event(struct watch *watch, const struct inotify_event *event, const struct step *step)
{
    watch->stale = true;
    if (access(step->target, F_OK)) {
        for (size_t i = 0; i < watch->files.count; i++) {
            watch->present[i] &= strcmp(watch->files.items[i], step->target) != 0;
        }
        return WATCH_NOTHING;
    }
    if (!(event->mask & (IN_CREATE | IN_MOVED_TO))) {
        return WATCH_NOTHING;
    }
    set_saved(watch, step->target);
    return WATCH_SAVED;
}

static enum watch_result file_event(struct watch *watch, const struct inotify_event *event, const struct folder *folder)
{
    const struct step *step = step_list_find(&watch->steps, event->wd, event->name);
    if (!step || (!step->last && !(event->mask & LEAD_MASK))) {
        return WATCH_NOTHING;
    }
    if (!step->last) {
        return lead_event(watch, event, step);
    }
    if (event->mask & IN_ISDIR) { /* the root of a tree has come, or goes */
        watch->stale = watch->tree_missing = true;
        return WATCH_NOTHING;
    }
    enum watch_result result = kind_of(event, folder);
    if (result == WATCH_SAVED) {
        watch->stale |= is_link(folder->path, event->name);
        set_saved(watch, step->target);
    }
    return result;
}

/* A folder that has come brings what is in it. */
static void folder_came(struct watch *watch, const char *path)
{
    if (pattern_set_enters(watch->patterns, path)) {
        add_tree(watch, path, true, 0);
    }
}

static enum watch_result tree_event(struct watch *watch, const struct inotify_event *event, const struct folder *folder)
{
    enum watch_result result = WATCH_NOTHING;
    char *path = path_join(folder->path, event->name);
    if (path && (event->mask & IN_ISDIR) && (event->mask & (IN_CREATE | IN_MOVED_TO))) {
        folder_came(watch, path);
    } else if (path && !(event->mask & IN_ISDIR) && pattern_set_wants(watch->patterns, path)) {
        result = kind_of(event, folder);
        if (result == WATCH_SAVED) {
            set_saved(watch, path);
        }
    }
    free(path);
    return result;
}

static bool is_tree_root(const struct watch *watch, const char *path)
{
    for (size_t i = 0; i < watch->trees.count; i++) {
        if (strcmp(watch->trees.items[i], path) == 0) {
            return true;
        }
    }
    return false;
}

/* A folder that went away may come back under the same name. One that was moved is kept if its new name is known. */
static void folder_gone(struct watch *watch, const struct inotify_event *event)
{
    const struct folder *folder = find_folder(watch, event->wd);
    watch->stale = true;
    if (!folder) {
        return;
    }
    if (event->mask & IN_IGNORED) {
        watch->tree_missing |= is_tree_root(watch, folder->path);
        remove_folder(watch, event->wd);
    } else if ((event->mask & IN_MOVE_SELF) &&
               inotify_add_watch(watch->fd, folder->path, MASK | IN_ONLYDIR | IN_MASK_ADD) != event->wd) {
        (void)inotify_rm_watch(watch->fd, event->wd); /* IN_IGNORED follows */
    }
}

static enum watch_result on_event(struct watch *watch, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        watch->stale = true;
        set_saved(watch, watch->files.count ? watch->files.items[0] : ".");
        return WATCH_SAVED;
    }
    if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) {
        folder_gone(watch, event);
        return WATCH_NOTHING;
    }
    const struct folder *folder = find_folder(watch, event->wd);
    if (!folder || !event->len) {
        return WATCH_NOTHING;
    }
    enum watch_result result = file_event(watch, event, folder);
    if (folder->in_tree && result != WATCH_SAVED) {
        enum watch_result in_tree = tree_event(watch, event, folder);
        result = in_tree > result ? in_tree : result;
    }
    return result;
}

/* What was missing may be there, and what is in it. */
static void catch_up(struct watch *watch)
{
    bool missing = watch->tree_missing;
    watch->tree_missing = false;
    for (size_t i = 0; i < watch->trees.count && missing; i++) {
        const char *path = watch->trees.items[i];
        if (access(path, F_OK) == 0) {
            add_tree(watch, path, true, 0);
        } else {
            watch->tree_missing = true;
        }
    }
    (void)make_steps(watch);
}

enum watch_result watch_read(struct watch *watch, const char **out_path)
{
    union {
        struct inotify_event align;
        char bytes[8192];
    } buffer;
    enum watch_result result = WATCH_NOTHING;
    ssize_t size;
    watch->found = false;
    while ((size = read(watch->fd, buffer.bytes, sizeof(buffer.bytes))) > 0) {
        for (const char *at = buffer.bytes; at < buffer.bytes + size;) {
            const struct inotify_event *event = (const void *)at;
            enum watch_result one = on_event(watch, event);
            result = one > result ? one : result;
            at += sizeof(*event) + event->len;
        }
    }
    if (watch->stale) {
        catch_up(watch);
    }
    *out_path = watch->found ? watch->saved : NULL;
    return watch->found ? WATCH_SAVED : result;
}
