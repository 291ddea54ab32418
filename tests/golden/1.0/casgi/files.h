/* casgi/files.h: files without holding the loop up. The interface "casgi.files/1" and the calls an author writes.
 *
 * The work is done on threads of the server's (not those of casgi_to_thread). Memory given to a call is borrowed until
 * it returns. A caller that is cancelled gets CASGI_ECANCELED or CASGI_ETIMEDOUT: at once if the operation had not
 * begun (it never will), else when it is over; it has then been done or has failed, which is not told. Errors of the
 * system are casgi's codes where it has one (CASGI_ENOENT, CASGI_EACCES, CASGI_EEXIST, CASGI_EIO ...), else
 * CASGI_ESYSTEM(errno). Paths are NUL-terminated and relative to the server's working directory: check what comes from
 * a request before it becomes one. */
#pragma once

#include "base.h"
#include "imports.h"

CASGI_EXTERN_C_BEGIN

typedef struct casgi_file casgi_file_t;

enum casgi_open_flag {
    CASGI_OPEN_READ = 1,
    CASGI_OPEN_WRITE = 2,
    CASGI_OPEN_APPEND = 4,     /* every write goes to the end; implies WRITE */
    CASGI_OPEN_CREATE = 8,     /* make it if it is not there */
    CASGI_OPEN_EXCLUSIVE = 16, /* with CREATE: CASGI_EEXIST if it is there */
    CASGI_OPEN_TRUNCATE = 32,  /* empty it */
    CASGI_OPEN_NOFOLLOW = 64,  /* the last part of the path may not be a symbolic link */
};

enum casgi_file_type {
    CASGI_FILE_OTHER = 0, /* socket, pipe, device */
    CASGI_FILE_REGULAR = 1,
    CASGI_FILE_DIRECTORY = 2,
    CASGI_FILE_SYMLINK = 3,
};

/* What is known of a file. */
typedef struct casgi_stat_s {
    uint64_t size;       /* bytes */
    int64_t modified_ns; /* nanoseconds since 1970 */
    int64_t changed_ns;  /* its inode: owner, mode, links */
    uint64_t inode;
    uint64_t device;
    uint32_t type; /* enum casgi_file_type */
    uint32_t mode; /* permission bits, as 0644 */
    uint32_t uid;
    uint32_t gid;
    uint64_t links;
    uint64_t reserved[8];
} casgi_stat_t;

/* One name in a directory. */
typedef struct casgi_dir_entry {
    casgi_str_t name;
    uint32_t type; /* enum casgi_file_type */
    uint32_t reserved0;
    uintptr_t reserved[1];
} casgi_dir_entry_t;

/* "casgi.files/1". The inline calls below say what each does. A later minor adds calls in reserved words, in order. */
typedef struct casgi_files_1 {
    int (*open)(const char *path, uint32_t flags, uint32_t mode, casgi_file_t **out_file);
    int (*close)(casgi_file_t *file);
    int (*read)(casgi_file_t *file, void *data, size_t size, size_t *out_size);
    int (*read_at)(casgi_file_t *file, uint64_t offset, void *data, size_t size, size_t *out_size);
    int (*write)(casgi_file_t *file, const void *data, size_t size);
    int (*write_at)(casgi_file_t *file, uint64_t offset, const void *data, size_t size);
    int (*truncate)(casgi_file_t *file, uint64_t size);
    int (*sync)(casgi_file_t *file);
    int (*stat)(casgi_file_t *file, casgi_stat_t *out_stat);
    int (*descriptor)(const casgi_file_t *file);
    int (*stat_path)(const char *path, bool follow, casgi_stat_t *out_stat);
    int (*list)(const char *path, casgi_dir_entry_t **out_entries, size_t *out_count);
    int (*read_whole)(const char *path, size_t limit, casgi_str_t *out_text);
    int (*replace)(const char *path, const void *data, size_t size, uint32_t mode);
    int (*rename)(const char *from, const char *to);
    int (*remove)(const char *path);
    int (*make_directory)(const char *path, uint32_t mode);
    const void *reserved[15];
} casgi_files_1_t;

#define CASGI_FILES_ (casgi_imports_.files)

/* [task] Opens a file; `flags` are enum casgi_open_flag, or-ed, READ or WRITE among them; `mode` are the permission
 * bits of one that is made (0644), less the process's umask. *out_file is yours: casgi_file_close. Nothing stays open
 * if the caller is cancelled meanwhile. CASGI_EINVAL: flags that do not go together. */
static inline int casgi_file_open(const char *path, uint32_t flags, uint32_t mode, casgi_file_t **out_file)
{
    return CASGI_FILES_ ? CASGI_FILES_->open(path, flags, mode, out_file) : CASGI_ENOTSUP;
}

/* [task] Closes it, always, also when the caller is cancelled; returns after all calls on it have. The code of a write
 * that failed only now (a full disk on some file systems). NULL does nothing. */
static inline int casgi_file_close(casgi_file_t *file)
{
    return CASGI_FILES_ ? CASGI_FILES_->close(file) : CASGI_ENOTSUP;
}

/* [task] Up to `size` bytes from the file's position, which moves on; *out_size says how many: less than `size` only at
 * the end. CASGI_EEOF: none left. Cancelled: the position is where it was. Calls that use it take turns, in order. */
static inline int casgi_file_read(casgi_file_t *file, void *data, size_t size, size_t *out_size)
{
    return CASGI_FILES_ ? CASGI_FILES_->read(file, data, size, out_size) : CASGI_ENOTSUP;
}

/* [task] The same from `offset`; the position is neither used nor moved. Several tasks may do it at once. */
static inline int casgi_file_read_at(casgi_file_t *file, uint64_t offset, void *data, size_t size, size_t *out_size)
{
    return CASGI_FILES_ ? CASGI_FILES_->read_at(file, offset, data, size, out_size) : CASGI_ENOTSUP;
}

/* [task] Writes all of it at the file's position, which moves on, or at the end (CASGI_OPEN_APPEND), which does not
 * move it. After a failure or a cancellation some of it may be written; the position is where it was. */
static inline int casgi_file_write(casgi_file_t *file, const void *data, size_t size)
{
    return CASGI_FILES_ ? CASGI_FILES_->write(file, data, size) : CASGI_ENOTSUP;
}

/* [task] The same at `offset`; the position is neither used nor moved. */
static inline int casgi_file_write_at(casgi_file_t *file, uint64_t offset, const void *data, size_t size)
{
    return CASGI_FILES_ ? CASGI_FILES_->write_at(file, offset, data, size) : CASGI_ENOTSUP;
}

/* [task] Cuts it, or lengthens it with zeros. */
static inline int casgi_file_truncate(casgi_file_t *file, uint64_t size)
{
    return CASGI_FILES_ ? CASGI_FILES_->truncate(file, size) : CASGI_ENOTSUP;
}

/* [task] Returns when what was written has reached the disk. */
static inline int casgi_file_sync(casgi_file_t *file)
{
    return CASGI_FILES_ ? CASGI_FILES_->sync(file) : CASGI_ENOTSUP;
}

/* [task] What is known of an open file. */
static inline int casgi_file_stat(casgi_file_t *file, casgi_stat_t *out_stat)
{
    return CASGI_FILES_ ? CASGI_FILES_->stat(file, out_stat) : CASGI_ENOTSUP;
}

/* [any] Its descriptor, as http.response.zerocopysend takes it; borrowed, never to be closed. */
static inline int casgi_file_descriptor(const casgi_file_t *file)
{
    return CASGI_FILES_ ? CASGI_FILES_->descriptor(file) : CASGI_ENOTSUP;
}

/* [task] What is known of the file at `path`; `follow`: of what a symbolic link points to. CASGI_ENOENT. */
static inline int casgi_stat(const char *path, bool follow, casgi_stat_t *out_stat)
{
    return CASGI_FILES_ ? CASGI_FILES_->stat_path(path, follow, out_stat) : CASGI_ENOTSUP;
}

/* [task] The names in a directory but "." and "..", sorted by their bytes, in the task's arena (casgi_alloc), as long
 * as that lives. CASGI_ETOOBIG: more than a million. */
static inline int casgi_list_directory(const char *path, casgi_dir_entry_t **out_entries, size_t *out_count)
{
    return CASGI_FILES_ ? CASGI_FILES_->list(path, out_entries, out_count) : CASGI_ENOTSUP;
}

/* [task] A whole file, at most `limit` bytes, NUL-terminated, in the task's arena. CASGI_ETOOBIG, CASGI_ENOMEM. */
static inline int casgi_read_file(const char *path, size_t limit, casgi_str_t *out_text)
{
    return CASGI_FILES_ ? CASGI_FILES_->read_whole(path, limit, out_text) : CASGI_ENOTSUP;
}

/* [task] Makes `path` a file with these bytes and permissions, in one step: who opens it finds the old or the new file,
 * whole, also after a power failure. (Written beside it under another name, synced, renamed.) */
static inline int casgi_replace_file(const char *path, const void *data, size_t size, uint32_t mode)
{
    return CASGI_FILES_ ? CASGI_FILES_->replace(path, data, size, mode) : CASGI_ENOTSUP;
}

/* [task] Renames a file or directory, on one file system; replaces a file called `to`. */
static inline int casgi_rename(const char *from, const char *to)
{
    return CASGI_FILES_ ? CASGI_FILES_->rename(from, to) : CASGI_ENOTSUP;
}

/* [task] Removes a file, or an empty directory. */
static inline int casgi_remove(const char *path)
{
    return CASGI_FILES_ ? CASGI_FILES_->remove(path) : CASGI_ENOTSUP;
}

/* [task] Makes a directory. CASGI_EEXIST. */
static inline int casgi_make_directory(const char *path, uint32_t mode)
{
    return CASGI_FILES_ ? CASGI_FILES_->make_directory(path, mode) : CASGI_ENOTSUP;
}

CASGI_STATIC_ASSERT(sizeof(casgi_stat_t) == 128, "casgi_stat_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_dir_entry_t) == 32, "casgi_dir_entry_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_files_1_t) == 256, "casgi_files_1_t is frozen");

CASGI_EXTERN_C_END
