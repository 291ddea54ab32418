#include "runtime/file_system.h"

#include "base/error.h"

#include <errno.h>
#include <unistd.h>

int system_code(int rc)
{
    return rc < 0 ? error_from_errno(errno) : 0;
}

static ssize_t read_some(int fd, int64_t offset, void *data, size_t size)
{
    ssize_t n;
    do {
        n = offset < 0 ? read(fd, data, size) : pread(fd, data, size, offset);
    } while (n < 0 && errno == EINTR);
    return n;
}

int system_read(int fd, int64_t offset, void *data, size_t size, size_t *out_size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read_some(fd, offset < 0 ? offset : offset + (int64_t)done, (char *)data + done, size - done);
        if (n < 0 && !done) {
            return error_from_errno(errno);
        }
        if (n <= 0) {
            break; /* what was read before an error counts; the next read meets it again */
        }
        done += (size_t)n;
    }
    *out_size = done;
    return 0;
}

int system_write(int fd, int64_t offset, const void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const char *from = (const char *)data + done;
        ssize_t n = offset < 0 ? write(fd, from, size - done) : pwrite(fd, from, size - done, offset + (int64_t)done);
        if (n < 0 && errno != EINTR) {
            return error_from_errno(errno);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

uint32_t system_file_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return CASGI_FILE_REGULAR;
    case S_IFDIR:
        return CASGI_FILE_DIRECTORY;
    case S_IFLNK:
        return CASGI_FILE_SYMLINK;
    default:
        return CASGI_FILE_OTHER;
    }
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void system_stat(const struct stat *from, casgi_stat_t *out_stat)
{
    *out_stat = (casgi_stat_t){
        .size = (uint64_t)from->st_size,
        .modified_ns = nanoseconds(from->st_mtim),
        .changed_ns = nanoseconds(from->st_ctim),
        .inode = from->st_ino,
        .device = from->st_dev,
        .type = system_file_type(from->st_mode),
        .mode = from->st_mode & 07777,
        .uid = from->st_uid,
        .gid = from->st_gid,
        .links = from->st_nlink,
    };
}
