/* Connecting. A host's addresses are tried in order, the next also when the one before has not answered for a while
 * (RFC 8305, with its names and sorting left to getaddrinfo): an attempt is a stream that is not connected yet. */
#include "base/error.h"
#include "runtime/internal.h"
#include "runtime/socket_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ATTEMPT_DELAY_US = 250000, /* RFC 8305, section 5 */
    UNIX_PAUSE_US = 5000,      /* a Unix socket's full queue gives no event */
    UNIX_TRIES = 2000,
};

/* ---- one address ---- */

/* 0: connected, or CASGI_EAGAIN: under way; *out_stream in both cases. */
static int begin(struct loop *loop, const struct sockaddr *address, socklen_t size, enum socket_kind kind,
                 struct casgi_stream **out_stream)
{
    int fd = socket_new(address->sa_family);
    if (fd < 0) {
        return socket_error(errno);
    }
    int failed = connect(fd, address, size) ? errno : 0;
    uint32_t ready = failed ? 0 : CASGI_FD_WRITABLE;
    int rc = failed && failed != EINPROGRESS ? socket_error(failed) : socket_adopt(loop, fd, kind, ready, out_stream);
    if (rc) {
        (void)close(fd);
        return rc;
    }
    return failed ? CASGI_EAGAIN : 0;
}

/* 0: connected; CASGI_EAGAIN: not yet; another code: it failed. */
static int look(struct casgi_stream *stream)
{
    int number = 0;
    socklen_t size = sizeof(number);
    if (!(stream->watch.ready & CASGI_FD_WRITABLE)) {
        return CASGI_EAGAIN;
    }
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &number, &size)) {
        number = errno;
    }
    return number ? socket_error(number) : 0;
}

/* ---- several ---- */

struct race {
    struct loop *loop;
    struct task *task;
    const struct name_addresses *addresses;
    size_t next; /* address to be tried */
    struct timer timer;
    bool overdue; /* the last attempt has had its time */
    int rc;       /* of the attempt that failed last */
    size_t running;
    struct casgi_stream *attempts[NAME_ADDRESSES_MAX]; /* NULL: ended */
    struct fd_waiter waiters[NAME_ADDRESSES_MAX];
};

static void on_overdue(struct timer *timer)
{
    struct race *race = LIST_ENTRY(timer, struct race, timer);
    race->overdue = true;
    task_wake(race->task);
}

/* Begins the next attempt. 0: it is connected at once. */
static int begin_next(struct race *race)
{
    size_t i = race->next++;
    const union socket_address *address = &race->addresses->items[i];
    race->overdue = false;
    int rc = begin(race->loop, &address->any, socket_address_size(address), SOCKET_TCP, &race->attempts[i]);
    if (rc && rc != CASGI_EAGAIN) {
        race->attempts[i] = NULL;
        race->rc = rc;
        return rc;
    }
    race->running++;
    fd_watch_attach(&race->attempts[i]->watch, &race->waiters[i], CASGI_FD_WRITABLE);
    if (rc) {
        int failed = timer_set(race->loop, &race->timer, ATTEMPT_DELAY_US);
        race->overdue = failed != 0; /* no memory for a timer: do not wait for one */
    }
    return rc;
}

static struct casgi_stream *take(struct race *race, size_t i)
{
    struct casgi_stream *stream = race->attempts[i];
    fd_watch_detach(&race->waiters[i]);
    race->attempts[i] = NULL;
    race->running--;
    return stream;
}

/* Looks at all attempts. 0: *out_stream is connected. */
static int look_at_all(struct race *race, struct casgi_stream **out_stream)
{
    for (size_t i = 0; i < race->next; i++) {
        int rc = race->attempts[i] ? look(race->attempts[i]) : CASGI_EAGAIN;
        if (!rc) {
            *out_stream = take(race, i);
            return 0;
        }
        if (rc != CASGI_EAGAIN) {
            race->rc = rc;
            socket_close(take(race, i));
        }
    }
    return CASGI_EAGAIN;
}

static int run(struct race *race, struct casgi_stream **out_stream)
{
    for (;;) {
        int rc = look_at_all(race, out_stream);
        if (!rc) {
            return 0;
        }
        bool left = race->next < race->addresses->count;
        if (left && (!race->running || race->overdue)) {
            (void)begin_next(race);
        } else if (!race->running) {
            return race->rc;
        } else if ((rc = task_park(TASK_WAIT_SOCKET))) {
            return rc;
        }
    }
}

int socket_connect_any(struct loop *loop, const struct name_addresses *addresses, struct casgi_stream **out_stream)
{
    struct race race = { .loop = loop, .task = task_running(), .addresses = addresses, .timer = { .fn = on_overdue } };
    int rc = run(&race, out_stream);
    timer_clear(loop, &race.timer);
    for (size_t i = 0; i < race.next; i++) {
        if (race.attempts[i]) {
            socket_close(take(&race, i));
        }
    }
    return rc;
}

int socket_connect(const char *host, int port, struct casgi_stream **out_stream)
{
    struct name_addresses addresses;
    struct casgi_stream *stream;
    int rc = name_resolve(host, port, &addresses);
    rc = rc ? rc : socket_connect_any(task_running()->loop, &addresses, &stream);
    if (rc) {
        return rc;
    }
    stream->host = strdup(host);
    if (!stream->host) {
        socket_close(stream);
        return CASGI_ENOMEM;
    }
    *out_stream = stream;
    return 0;
}

/* ---- Unix sockets ---- */

int socket_unix_address(const char *path, struct sockaddr_un *out_address, socklen_t *out_size)
{
    size_t length = path ? strlen(path) : 0;
    bool abstract = length && path[0] == '@';
    *out_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (!length || length >= sizeof(out_address->sun_path)) {
        return CASGI_EINVAL;
    }
    memcpy(out_address->sun_path, path, length);
    if (abstract) {
        out_address->sun_path[0] = '\0';
    }
    *out_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract);
    return 0;
}

int socket_connect_unix(const char *path, struct casgi_stream **out_stream)
{
    struct task *task = task_running();
    struct sockaddr_un address;
    socklen_t size;
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(task);
    rc = rc ? rc : socket_unix_address(path, &address, &size);
    if (rc) {
        return rc;
    }
    rc = begin(task->loop, (struct sockaddr *)&address, size, SOCKET_OTHER, out_stream);
    for (int tries = 1; rc == CASGI_EAGAIN && tries < UNIX_TRIES; tries++) {
        rc = task_sleep(task, UNIX_PAUSE_US);
        rc = rc ? rc : begin(task->loop, (struct sockaddr *)&address, size, SOCKET_OTHER, out_stream);
    }
    return rc;
}
