#include "supervisor/disk.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, char *text, size_t size, size_t *out_size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, text + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return error_from_errno(errno);
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    *out_size = done;
    return 0;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return error_from_errno(errno);
        }
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int read_open_file(int fd, size_t limit, char **out_text, size_t *out_size)
{
    struct stat st;
    if (fstat(fd, &st)) {
        return error_from_errno(errno);
    }
    if (st.st_size < 0 || (size_t)st.st_size > limit) {
        return CASGI_ETOOBIG;
    }
    size_t size = (size_t)st.st_size;
    char *text = malloc(size + 1);
    int rc = text ? read_all(fd, text, size, out_size) : CASGI_ENOMEM;
    if (rc) {
        free(text);
        return rc;
    }
    text[*out_size] = '\0';
    *out_text = text;
    return 0;
}

int disk_read(const char *path, size_t limit, char **out_text, size_t *out_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_from_errno(errno);
    }
    int rc = read_open_file(fd, limit, out_text, out_size);
    close(fd);
    return rc;
}

int disk_replace(const char *path, const void *data, size_t size)
{
    char *temporary;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0) {
        return CASGI_ENOMEM;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = fd < 0 ? error_from_errno(errno) : write_all(fd, data, size);
    if (fd >= 0) {
        close(fd);
    }
    if (!rc && rename(temporary, path)) {
        rc = error_from_errno(errno);
    }
    if (rc) {
        unlink(temporary);
    }
    free(temporary);
    return rc;
}

int disk_copy(int from, int to)
{
    if (ioctl(to, FICLONE, from) == 0) {
        return 0;
    }
    char buffer[16384];
    off_t offset = 0;
    for (;;) {
        ssize_t n = pread(from, buffer, sizeof(buffer), offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? error_from_errno(errno) : 0;
        }
        int rc = write_all(to, buffer, (size_t)n);
        if (rc) {
            return rc;
        }
        offset += n;
    }
}

char *path_join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return strdup(".");
    }
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
