#include "base/error.h"
#include "runtime/internal.h"
#include "runtime/socket_impl.h"
#include "runtime/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

struct casgi_listener {
    struct fd_watch watch;
    int fd; /* -1: closed */
    enum socket_kind kind;
    bool accepting;
    bool closed;
    char *path; /* of a Unix socket's file; NULL: there is none */
    dev_t device;
    ino_t inode; /* of that file: another's is not removed */
    casgi_address_t address;
    char text[NAME_TEXT_MAX];
};

/* ---- opening ---- */

static int adopt(struct loop *loop, int fd, enum socket_kind kind, struct casgi_listener **out_listener)
{
    struct casgi_listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        return CASGI_ENOMEM;
    }
    int rc = listen(fd, BACKLOG) ? socket_error(errno) : fd_watch_open(loop, fd, CASGI_FD_READABLE, &listener->watch);
    if (rc) {
        free(listener);
        return rc;
    }
    listener->fd = fd;
    listener->kind = kind;
    *out_listener = listener;
    return 0;
}

static int bind_tcp(int fd, const union socket_address *address)
{
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)); /* 0.0.0.0 may be listened on beside it */
    }
    return bind(fd, &address->any, socket_address_size(address)) ? socket_error(errno) : 0;
}

int socket_listen(const char *host, int port, struct casgi_listener **out_listener)
{
    struct name_addresses addresses;
    int rc = name_resolve(host, port, &addresses);
    if (rc) {
        return rc;
    }
    int fd = socket_new(addresses.items[0].any.sa_family);
    if (fd < 0) {
        return socket_error(errno);
    }
    rc = bind_tcp(fd, &addresses.items[0]);
    rc = rc ? rc : adopt(task_running()->loop, fd, SOCKET_TCP, out_listener);
    if (rc) {
        (void)close(fd);
        return rc;
    }
    union socket_address bound;
    socklen_t size = sizeof(bound);
    if (!getsockname(fd, &bound.any, &size)) {
        name_format(&bound.any, (*out_listener)->text, &(*out_listener)->address);
    }
    return 0;
}

/* ---- Unix sockets: names in the file system are a thread's work ---- */

struct binding {
    const char *path;
    struct sockaddr_un address;
    socklen_t size;
    int fd;
    struct stat stat;
};

/* A file that nobody listens on any more. */
static bool is_stale(const struct binding *binding)
{
    int fd = socket_new(AF_UNIX);
    bool refused =
        fd >= 0 && connect(fd, (const struct sockaddr *)&binding->address, binding->size) && errno == ECONNREFUSED;
    if (fd >= 0) {
        (void)close(fd);
    }
    return refused;
}

static int do_bind(void *arg)
{
    struct binding *binding = arg;
    bool abstract = binding->path[0] == '@';
    const struct sockaddr *address = (const struct sockaddr *)&binding->address;
    int failed = bind(binding->fd, address, binding->size) ? errno : 0;
    if (failed == EADDRINUSE && !abstract && is_stale(binding) && !unlink(binding->path)) {
        failed = bind(binding->fd, address, binding->size) ? errno : 0;
    }
    if (!failed && !abstract && stat(binding->path, &binding->stat)) {
        failed = errno;
    }
    return failed ? socket_error(failed) : 0;
}

/* The file must go even if the listener could not be made. */
static int do_unlink(void *arg)
{
    const struct binding *binding = arg;
    (void)unlink(binding->path);
    return 0;
}

static int keep_path(struct casgi_listener *listener, const struct binding *binding)
{
    size_t length = strlen(binding->path);
    memcpy(listener->text, binding->path, length + 1);
    listener->address = (casgi_address_t){ .host = { listener->text, length }, .port = -1 };
    if (binding->path[0] == '@') {
        return 0;
    }
    listener->path = strdup(binding->path);
    listener->device = binding->stat.st_dev;
    listener->inode = binding->stat.st_ino;
    return listener->path ? 0 : CASGI_ENOMEM;
}

static int open_unix(struct loop *loop, struct binding *binding, struct casgi_listener **out_listener)
{
    int result = 0;
    int rc = thread_run(THREAD_FILES, do_bind, binding, &result);
    bool bound = (!rc || binding->stat.st_ino) && !result; /* cancelled, it may have been done all the same */
    rc = rc ? rc : result;
    rc = rc ? rc : adopt(loop, binding->fd, SOCKET_OTHER, out_listener);
    if (rc && bound && binding->path[0] != '@') {
        (void)thread_run_always(THREAD_FILES, do_unlink, binding);
    }
    return rc;
}

int socket_listen_unix(const char *path, struct casgi_listener **out_listener)
{
    struct binding binding = { .path = path };
    struct casgi_listener *listener;
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = socket_unix_address(path, &binding.address, &binding.size);
    if (rc) {
        return rc;
    }
    binding.fd = socket_new(AF_UNIX);
    if (binding.fd < 0) {
        return socket_error(errno);
    }
    rc = open_unix(task->loop, &binding, &listener);
    if (rc) {
        (void)close(binding.fd);
        return rc;
    }
    rc = keep_path(listener, &binding);
    if (rc) {
        socket_listener_close(listener);
        return rc;
    }
    *out_listener = listener;
    return 0;
}

/* ---- accepting ---- */

static int try_accept(struct casgi_listener *listener, struct casgi_stream **out_stream)
{
    int fd;
    do {
        fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        return errno == EBADF ? CASGI_ECLOSED : socket_error(errno);
    }
    int rc = socket_adopt(task_running()->loop, fd, listener->kind, CASGI_FD_WRITABLE, out_stream);
    if (rc) {
        (void)close(fd);
    }
    return rc;
}

static int accept_one(struct casgi_listener *listener, struct casgi_stream **out_stream)
{
    for (;;) {
        int rc = try_accept(listener, out_stream);
        if (rc != CASGI_EAGAIN) {
            fd_watch_fair(&listener->watch);
            return rc;
        }
        fd_watch_clear(&listener->watch, CASGI_FD_READABLE);
        rc = fd_watch_wait(&listener->watch, CASGI_FD_READABLE, TASK_WAIT_SOCKET);
        if (rc) {
            return rc;
        }
    }
}

static void listener_free(struct casgi_listener *listener)
{
    free(listener->path);
    free(listener);
}

int socket_accept(struct casgi_listener *listener, struct casgi_stream **out_stream)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = listener->accepting ? CASGI_EBUSY : task_enter(task);
    if (rc) {
        return rc;
    }
    listener->accepting = true;
    rc = accept_one(listener, out_stream);
    listener->accepting = false;
    if (listener->closed) {
        listener_free(listener);
    }
    return rc;
}

int socket_listener_address(const struct casgi_listener *listener, casgi_address_t *out_address)
{
    *out_address = listener->address;
    return 0;
}

static void remove_file(const struct casgi_listener *listener)
{
    struct stat stat;
    if (!lstat(listener->path, &stat) && stat.st_dev == listener->device && stat.st_ino == listener->inode) {
        (void)unlink(listener->path);
    }
}

void socket_listener_close(struct casgi_listener *listener)
{
    if (!listener) {
        return;
    }
    if (listener->path) {
        remove_file(listener); /* [loop]: one name, not worth a thread */
    }
    fd_watch_close(&listener->watch);
    (void)close(listener->fd);
    listener->fd = -1;
    listener->closed = true;
    if (!listener->accepting) {
        listener_free(listener);
    }
}
