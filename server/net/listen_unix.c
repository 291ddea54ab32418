#include "net/listen_set.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int unix_error(casgi_error_t *error, int number, const char *path)
{
    int code = error_from_errno(number);
    return error_set(error, code, "cannot listen on the Unix socket %s: %s (%s)", path, error_text(code),
                     error_name(code));
}

/* Whether it is sure that nobody has this socket any more. One of another kind (a system log's, say) or one that we may
 * not connect to is somebody's. */
static bool is_left_over(const struct sockaddr_un *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)name, sizeof(*name)) && errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return refused;
}

/* Removes what a server that is no more has left; keeps its permissions, as an administrator may have set them. */
static int clear_path(const struct sockaddr_un *name, mode_t *mode, casgi_error_t *error)
{
    struct stat st;
    if (lstat(name->sun_path, &st)) {
        return errno == ENOENT ? 0 : unix_error(error, errno, name->sun_path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return error_set(error, CASGI_EEXIST, "%s exists and is not a socket; it is left alone (EEXIST)",
                         name->sun_path);
    }
    if (!is_left_over(name)) {
        return error_set(error, CASGI_ESYSTEM(EADDRINUSE), "the Unix socket %s is already in use (EADDRINUSE)",
                         name->sun_path);
    }
    *mode = st.st_mode & 0777;
    return unlink(name->sun_path) && errno != ENOENT ? unix_error(error, errno, name->sun_path) : 0;
}

/* A listening socket, or -errno. */
static int bind_unix(const struct sockaddr_un *name, mode_t mode, int backlog)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    int rc = bind(fd, (const struct sockaddr *)name, sizeof(*name));
    if (rc || chmod(name->sun_path, mode) || listen(fd, backlog)) {
        int number = errno;
        if (rc == 0) {
            unlink(name->sun_path);
        }
        close(fd);
        return -number;
    }
    return fd;
}

static int remember_path(struct listen_socket *item, const char *path)
{
    struct stat st;
    item->path = strdup(path);
    if (!item->path || lstat(path, &st)) {
        return CASGI_ENOMEM;
    }
    item->device = st.st_dev;
    item->inode = st.st_ino;
    return 0;
}

int listen_set_open_unix(struct listen_set *set, const char *path, int backlog, casgi_error_t *error)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct listen_socket *item;
    mode_t mode = 0666;
    memcpy(name.sun_path, path, strlen(path) + 1);
    int rc = clear_path(&name, &mode, error);
    if (rc) {
        return rc;
    }
    int fd = bind_unix(&name, mode, backlog);
    if (fd < 0) {
        return unix_error(error, -fd, path);
    }
    rc = listen_set_add(set, fd, &item, error);
    if (rc) {
        unlink(path);
        close(fd);
        return rc;
    }
    return remember_path(item, path) ? error_set(error, CASGI_ENOMEM, "out of memory") : 0;
}
