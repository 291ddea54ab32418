#include "supervisor/artifact.h"

#include "base/error.h"
#include "supervisor/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_ATTEMPTS = 10000 };

/* Owns `fd`, which is locked, and `path` on success. */
static int wrap(char *path, int fd, bool is_copy, struct artifact **out)
{
    struct artifact *artifact = calloc(1, sizeof(*artifact));
    if (!artifact) {
        return CASGI_ENOMEM;
    }
    *artifact = (struct artifact){ .path = path, .lock = fd, .is_copy = is_copy, .refs = 1 };
    *out = artifact;
    return 0;
}

struct artifact *artifact_ref(struct artifact *artifact)
{
    artifact->refs++;
    return artifact;
}

void artifact_unref(struct artifact *artifact)
{
    if (!artifact || --artifact->refs) {
        return;
    }
    if (artifact->is_copy) {
        unlink(artifact->path);
    }
    close(artifact->lock);
    free(artifact->path);
    free(artifact);
}

int artifact_hold(const char *path, bool temporary, struct artifact **out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_from_errno(errno);
    }
    char *own_path = strdup(path);
    int rc = own_path ? 0 : CASGI_ENOMEM;
    if (!rc && flock(fd, LOCK_SH | LOCK_NB)) {
        rc = error_from_errno(errno);
    }
    if (!rc) {
        rc = wrap(own_path, fd, temporary, out);
    }
    if (rc) {
        free(own_path);
        close(fd);
    }
    return rc;
}

bool artifact_remove_abandoned(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    bool removed = flock(fd, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0;
    close(fd);
    return removed;
}

/* ---- copies ---- */

/* Whether `entry` is ".NAME.NUMBER". */
static bool is_copy_of(const char *entry, const char *name)
{
    size_t length = strlen(name);
    if (entry[0] != '.' || strncmp(entry + 1, name, length) != 0 || entry[1 + length] != '.') {
        return false;
    }
    const char *digits = entry + length + 2;
    return *digits && digits[strspn(digits, "0123456789")] == '\0';
}

static void remove_abandoned_copies(const char *folder, const char *name)
{
    DIR *directory = opendir(folder);
    if (!directory) {
        return;
    }
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        char *path = is_copy_of(entry->d_name, name) ? path_join(folder, entry->d_name) : NULL;
        if (path) {
            (void)artifact_remove_abandoned(path);
        }
        free(path);
    }
    closedir(directory);
}

/* Locks a new file before another supervisor takes it for an abandoned one. */
static bool lock_new(int fd)
{
    struct stat st;
    return flock(fd, LOCK_SH | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* A new, locked, empty file under the first free name. */
static int create_copy(const char *folder, const char *name, unsigned generation, char **out_path, int *out_fd)
{
    for (unsigned i = 0; i < NAME_ATTEMPTS; i++) {
        char *path;
        if (asprintf(&path, "%s/.%s.%u", folder, name, generation + i) < 0) {
            return CASGI_ENOMEM;
        }
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
        if (fd >= 0 && lock_new(fd)) {
            *out_path = path;
            *out_fd = fd;
            return 0;
        }
        int number = fd >= 0 ? EEXIST : errno;
        if (fd >= 0) {
            unlink(path);
            close(fd);
        }
        free(path);
        if (number != EEXIST) {
            return error_from_errno(number);
        }
    }
    return CASGI_EEXIST;
}

/* In the file's own folder, so that $ORIGIN means the same and gdb finds it; else in the cache. */
static int create_somewhere(const char *path, unsigned generation, const char *cache, char **out_path, int *out_fd)
{
    const char *name = path_name(path);
    char *folder = path_folder(path);
    int rc = folder ? 0 : CASGI_ENOMEM;
    if (!rc) {
        remove_abandoned_copies(folder, name);
        rc = create_copy(folder, name, generation, out_path, out_fd);
    }
    if (rc && rc != CASGI_ENOMEM && cache) {
        remove_abandoned_copies(cache, name);
        rc = create_copy(cache, name, generation, out_path, out_fd);
    }
    free(folder);
    return rc;
}

/* Whether the file is still what it was when it was opened. */
static bool same_as_before(int fd, const struct stat *before)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_size == before->st_size && now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

static int copy_open_file(int from, const char *path, unsigned generation, const char *cache, struct artifact **out)
{
    struct stat before;
    char *copy_path = NULL;
    int to = -1;
    if (fstat(from, &before)) {
        return error_from_errno(errno);
    }
    if (!S_ISREG(before.st_mode)) {
        return S_ISDIR(before.st_mode) ? CASGI_ESYSTEM(EISDIR) : CASGI_EINVAL;
    }
    int rc = create_somewhere(path, generation, cache, &copy_path, &to);
    if (rc) {
        return rc;
    }
    rc = disk_copy(from, to);
    if (!rc && !same_as_before(from, &before)) {
        rc = CASGI_EAGAIN;
    }
    if (!rc) {
        rc = wrap(copy_path, to, true, out);
    }
    if (rc) {
        unlink(copy_path);
        close(to);
        free(copy_path);
    }
    return rc;
}

int artifact_copy(const char *path, unsigned generation, const char *cache, struct artifact **out, casgi_error_t *error)
{
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0) {
        int code = error_from_errno(errno);
        return error_set(error, code, "%s: %s", path, error_text(code));
    }
    int rc = copy_open_file(from, path, generation, cache, out);
    close(from);
    if (rc && rc != CASGI_EAGAIN) {
        return error_set(error, rc, "%s cannot be copied for a worker: %s", path, error_text(rc));
    }
    return rc;
}
