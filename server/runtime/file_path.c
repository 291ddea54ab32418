#include "runtime/file_path.h"

#include "base/buf.h"
#include "base/error.h"
#include "runtime/file_system.h"
#include "runtime/internal.h"
#include "runtime/threads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NAMES_MAX = 1000000,
    LIST_MAX = 256 * 1024 * 1024, /* bytes of names */
    SMALL_FILE = 4096,            /* copied into the arena; larger ones keep the memory they were read into */
    PIECE = 65536,
};

/* fn's own code, once the thread has run it. */
static int on_thread(int (*fn)(void *arg), void *arg)
{
    int result = 0;
    int rc = thread_run(THREAD_FILES, fn, arg, &result);
    return rc ? rc : result;
}

/* ---- stat ---- */

struct stat_call {
    const char *path;
    bool follow;
    struct stat stat;
};

static int do_stat(void *arg)
{
    struct stat_call *call = arg;
    return system_code(fstatat(AT_FDCWD, call->path, &call->stat, call->follow ? 0 : AT_SYMLINK_NOFOLLOW));
}

int file_path_stat(const char *path, bool follow, casgi_stat_t *out_stat)
{
    struct stat_call call = { .path = path, .follow = follow };
    int rc = on_thread(do_stat, &call);
    if (!rc) {
        system_stat(&call.stat, out_stat);
    }
    return rc;
}

/* ---- the names in a directory ---- */

/* The thread gathers {type, length, bytes, NUL} one after another; the task makes entries of them. */
struct list_call {
    const char *path;
    struct buf names;
    size_t count;
};

static uint32_t type_of(DIR *dir, const struct dirent *entry)
{
    struct stat stat;
    switch (entry->d_type) {
    case DT_REG:
        return CASGI_FILE_REGULAR;
    case DT_DIR:
        return CASGI_FILE_DIRECTORY;
    case DT_LNK:
        return CASGI_FILE_SYMLINK;
    case DT_UNKNOWN:
        return fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) ? CASGI_FILE_OTHER
                                                                              : system_file_type(stat.st_mode);
    default:
        return CASGI_FILE_OTHER;
    }
}

static int add_name(struct list_call *call, DIR *dir, const struct dirent *entry)
{
    uint32_t head[2] = { type_of(dir, entry), (uint32_t)strlen(entry->d_name) };
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) {
        return 0;
    }
    if (++call->count > NAMES_MAX) {
        return CASGI_ETOOBIG;
    }
    int rc = buf_append(&call->names, head, sizeof(head));
    return rc ? rc : buf_append(&call->names, entry->d_name, head[1] + 1u);
}

static int do_list(void *arg)
{
    struct list_call *call = arg;
    DIR *dir = opendir(call->path);
    int rc = dir ? 0 : error_from_errno(errno);
    while (!rc) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            rc = errno ? error_from_errno(errno) : 0;
            break;
        }
        rc = add_name(call, dir, entry);
    }
    if (dir) {
        (void)closedir(dir);
    }
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const casgi_dir_entry_t *first = a, *second = b;
    return strcmp(first->name.ptr, second->name.ptr);
}

static int make_entries(struct list_call *call, casgi_dir_entry_t **out_entries)
{
    struct arena *arena = task_running()->arena;
    size_t size = buf_len(&call->names);
    casgi_dir_entry_t *entries = arena_alloc(arena, (call->count + 1) * sizeof(*entries));
    casgi_str_t names = arena_copy(arena, (casgi_str_t){ size ? buf_bytes(&call->names) : "", size });
    if (!entries || !names.ptr) {
        return CASGI_ENOMEM;
    }
    const char *next = names.ptr;
    for (size_t i = 0; i < call->count; i++) {
        uint32_t head[2];
        memcpy(head, next, sizeof(head));
        next += sizeof(head);
        entries[i] = (casgi_dir_entry_t){ .name = { next, head[1] }, .type = head[0] };
        next += head[1] + 1;
    }
    qsort(entries, call->count, sizeof(*entries), by_name);
    *out_entries = entries;
    return 0;
}

int file_path_list(const char *path, casgi_dir_entry_t **out_entries, size_t *out_count)
{
    struct list_call call = { .path = path };
    buf_init(&call.names, LIST_MAX);
    int rc = on_thread(do_list, &call);
    rc = rc ? rc : make_entries(&call, out_entries);
    buf_release(&call.names);
    if (!rc) {
        *out_count = call.count;
    }
    return rc;
}

/* ---- a whole file ---- */

struct whole_call {
    const char *path;
    size_t limit;
    struct buf text;
};

static int read_piece(int fd, struct buf *text, size_t size, bool *out_more)
{
    size_t done = 0;
    char *to = buf_reserve(text, size + 1);
    int rc = to ? system_read(fd, -1, to, size, &done) : CASGI_ENOMEM;
    buf_commit(text, done);
    *out_more = done == size;
    return rc;
}

/* The size a file says it has is a hint: it may grow, and files of /proc say 0. */
static int read_all(int fd, struct whole_call *call)
{
    struct stat stat;
    bool more = true;
    int rc = system_code(fstat(fd, &stat));
    size_t said = !rc && stat.st_size > 0 ? (size_t)stat.st_size : 0;
    size_t piece = said ? said + 1 : SMALL_FILE;
    if (said > call->limit) {
        return CASGI_ETOOBIG;
    }
    while (!rc && more) {
        rc = read_piece(fd, &call->text, piece, &more);
        rc = !rc && buf_len(&call->text) > call->limit ? CASGI_ETOOBIG : rc;
        piece = PIECE;
    }
    return rc;
}

static int do_read_whole(void *arg)
{
    struct whole_call *call = arg;
    int fd = open(call->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return error_from_errno(errno);
    }
    int rc = read_all(fd, call);
    (void)close(fd);
    return rc;
}

/* The bytes go with the task. */
static int keep_text(struct buf *text, casgi_str_t *out_text)
{
    size_t size = buf_len(text);
    if (size <= SMALL_FILE) {
        *out_text = arena_copy(task_running()->arena, (casgi_str_t){ size ? buf_bytes(text) : "", size });
        buf_release(text);
        return out_text->ptr ? 0 : CASGI_ENOMEM;
    }
    int rc = task_interface.defer(free, text->data);
    if (rc) {
        buf_release(text);
        return rc;
    }
    text->data[text->end] = '\0'; /* read_all reserved one more */
    *out_text = (casgi_str_t){ buf_bytes(text), size };
    return 0;
}

int file_path_read(const char *path, size_t limit, casgi_str_t *out_text)
{
    struct whole_call call = { .path = path, .limit = limit };
    int rc = on_thread(do_read_whole, &call);
    if (rc) {
        buf_release(&call.text);
        return rc;
    }
    return keep_text(&call.text, out_text);
}

/* ---- replacing a file in one step ---- */

struct replace_call {
    const char *path;
    const void *data;
    size_t size;
    mode_t mode;
};

static int fill_and_rename(struct replace_call *call, int fd, const char *temporary)
{
    int rc = system_write(fd, -1, call->data, call->size);
    rc = rc ? rc : system_code(fchmod(fd, call->mode));
    rc = rc ? rc : system_code(fsync(fd));
    return rc ? rc : system_code(rename(temporary, call->path));
}

/* Without it the new name might not survive a power failure. */
static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == path ? strdup("/") : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = folder ? system_code(fd) : CASGI_ENOMEM;
    if (fd >= 0) {
        rc = system_code(fsync(fd));
        (void)close(fd);
    }
    free(folder);
    return rc;
}

static int do_replace(void *arg)
{
    struct replace_call *call = arg;
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", call->path) < 0) {
        return CASGI_ENOMEM;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    int rc = system_code(fd);
    if (fd >= 0) {
        rc = fill_and_rename(call, fd, temporary);
        (void)close(fd);
        if (rc) {
            (void)unlink(temporary);
        }
    }
    free(temporary);
    return rc ? rc : sync_folder(call->path);
}

int file_path_replace(const char *path, const void *data, size_t size, uint32_t mode)
{
    struct replace_call call = { .path = path, .data = data, .size = size, .mode = mode & 07777 };
    return on_thread(do_replace, &call);
}

/* ---- names ---- */

struct name_call {
    const char *path;
    const char *other;
    mode_t mode;
};

static int do_rename(void *arg)
{
    struct name_call *call = arg;
    return system_code(rename(call->path, call->other));
}

static int do_remove(void *arg)
{
    struct name_call *call = arg;
    return system_code(remove(call->path));
}

static int do_make_directory(void *arg)
{
    struct name_call *call = arg;
    return system_code(mkdir(call->path, call->mode));
}

int file_path_rename(const char *from, const char *to)
{
    struct name_call call = { .path = from, .other = to };
    return on_thread(do_rename, &call);
}

int file_path_remove(const char *path)
{
    struct name_call call = { .path = path };
    return on_thread(do_remove, &call);
}

int file_path_make_directory(const char *path, uint32_t mode)
{
    struct name_call call = { .path = path, .mode = mode & 07777 };
    return on_thread(do_make_directory, &call);
}
