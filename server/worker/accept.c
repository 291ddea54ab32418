#include "worker/impl.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "net/address.h"
#include "net/listen.h"
#include "net/stream.h"
#include "worker/handover.h"
#include "worker/watcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH_MAX = 64,           /* connections of one turn: others wait as well */
    PAUSE = 100000,           /* microseconds without accepting when descriptors or memory are short */
    BODY_GRACE = 5000000,     /* microseconds before the body rate counts */
    DRAIN_LIMIT = 256 * 1024, /* bytes of an unread body that are worth a connection */
    PEER_SIZE = 80            /* of an address as text, with its port */
};

struct acceptor {
    struct worker *worker;
    struct http1_host host;
    struct watcher *watcher; /* NULL: accepts no more */
    struct timer pause;
    bool wildcard;
    bool short_of; /* descriptors or memory: said once, until none waits any more */
};

/* ---- what http1 asks and tells ---- */

/* That the limit is reached is said once, until a request is admitted again: each one refused has its access line. */
static int on_admit(struct http1_host *host)
{
    const struct acceptor *acceptor = host->data;
    struct worker *worker = acceptor->worker;
    uint64_t limit = worker->config->limit_concurrency;
    bool full = limit && worker->exchanges.running >= limit;
    if (full && !worker->full) {
        log_print(CASGI_LOG_WARNING, "The limit of %llu requests at a time is reached; further ones are answered 503",
                  (unsigned long long)limit);
    }
    worker->full = full;
    return full ? 503 : 0;
}

static void on_connection_closed(struct http1_host *host, struct http1 *connection)
{
    struct acceptor *acceptor = host->data;
    (void)connection;
    acceptor->worker->connection_count--;
    if (acceptor->worker->phase == PHASE_DRAINING) {
        worker_check(acceptor->worker);
    }
}

static void on_drained(struct http1_host *host, struct http1 *connection)
{
    struct acceptor *acceptor = host->data;
    if (!handover_offer_one(acceptor->worker->handover, connection)) {
        http1_close(connection);
    }
}

static void on_refused(struct http1_host *host, casgi_address_t client, int status, size_t offset, const char *reason)
{
    char peer[PEER_SIZE] = "unix";
    (void)host;
    if (client.port >= 0) {
        bool brackets = strchr(client.host.ptr, ':') != NULL; /* IPv6, as the access log has it */
        (void)snprintf(peer, sizeof(peer), brackets ? "[%s]:%d" : "%s:%d", client.host.ptr, (int)client.port);
    }
    if (status) {
        log_print(CASGI_LOG_WARNING, "%s - refused with %d at byte %zu: %s", peer, status, offset, reason);
    } else {
        log_print(CASGI_LOG_WARNING, "%s - reset: %s", peer, reason);
    }
}

/* ---- connections ---- */

/* Where every address is listened on, only the connection knows its own end. */
static void find_local(const struct acceptor *acceptor, int fd, bool adopted, struct address *out)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    out->view = (casgi_address_t){ .port = -1 };
    if ((acceptor->wildcard || adopted) && getsockname(fd, (struct sockaddr *)&name, &size) == 0) {
        address_from(out, &name, size);
    }
}

/* Owns `fd`. NULL: it is closed. */
static struct http1 *open_connection(struct acceptor *acceptor, int fd, const struct address *client,
                                     const struct address *local)
{
    struct worker *worker = acceptor->worker;
    struct stream *stream;
    struct http1 *connection;
    if (stream_open_fd(worker->loop, fd, &stream)) {
        close(fd);
        return NULL;
    }
    if (http1_open(&acceptor->host, stream, client->view, local->view, &worker->connections, &connection)) {
        stream_close(stream, true);
        return NULL;
    }
    worker->connection_count++;
    return connection;
}

void acceptor_adopt(struct acceptor *acceptor, int fd)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    struct address client = { .view = { .port = -1 } }, local;
    if (getpeername(fd, (struct sockaddr *)&name, &size) == 0) {
        address_from(&client, &name, size);
    }
    find_local(acceptor, fd, true, &local);
    struct http1 *connection = open_connection(acceptor, fd, &client, &local);
    if (connection) {
        http1_resume(connection);
    }
}

/* ---- accepting ---- */

static void on_pause_over(struct timer *timer)
{
    struct acceptor *acceptor = (struct acceptor *)(void *)((char *)timer - offsetof(struct acceptor, pause));
    if (acceptor->watcher) {
        (void)watcher_want(acceptor->watcher, WATCHER_READ);
    }
}

/* No descriptors or memory: those that wait in the kernel's queue are accepted when there are some again. */
static void pause_accepting(struct acceptor *acceptor, int number)
{
    if (!acceptor->short_of) {
        acceptor->short_of = true;
        log_print(CASGI_LOG_ERROR, "No connection can be accepted: %s (%s); new ones wait",
                  error_text(CASGI_ESYSTEM(number)), error_name(CASGI_ESYSTEM(number)));
    }
    acceptor->pause.fn = on_pause_over;
    if (timer_set(acceptor->worker->loop, &acceptor->pause, PAUSE) == 0) {
        (void)watcher_want(acceptor->watcher, 0);
    }
}

static bool is_shortage(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

/* One connection. false: there is none now. */
static bool accept_one(struct acceptor *acceptor)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    struct address client, local;
    int fd = accept4(watcher_fd(acceptor->watcher), (struct sockaddr *)&name, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (is_shortage(errno)) {
            pause_accepting(acceptor, errno);
            return false;
        }
        acceptor->short_of &= errno != EAGAIN;
        return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
    }
    address_from(&client, &name, size);
    find_local(acceptor, fd, false, &local);
    (void)open_connection(acceptor, fd, &client, &local);
    return true;
}

static void on_readable(void *data, int events)
{
    struct acceptor *acceptor = data;
    (void)events;
    for (int i = 0; i < BATCH_MAX && acceptor->watcher; i++) {
        if (!accept_one(acceptor)) {
            break;
        }
    }
}

/* ---- the interface ---- */

static void set_up_host(struct acceptor *acceptor, const struct listen_socket *socket)
{
    struct worker *worker = acceptor->worker;
    const struct config *config = worker->config;
    struct http1_host *host = &acceptor->host;
    host->exchanges = &worker->exchanges;
    host->head_limit = config->limit_head_size;
    host->header_count_limit = config->limit_header_count;
    host->body_rate = config->limit_body_rate;
    host->body_grace = BODY_GRACE;
    host->drain_limit = DRAIN_LIMIT;
    host->scheme = casgi_str("http");
    host->server = socket->address.view;
    host->root_path = casgi_str(config->root_path ? config->root_path : "");
    host->admit = config->limit_concurrency ? on_admit : NULL;
    host->closed = on_connection_closed;
    host->on_drained = on_drained;
    host->refused = on_refused;
    host->data = acceptor;
    http1_host_init(host, worker->loop, config->timeout_head, config->timeout_keep_alive, config->timeout_write);
}

int acceptor_new(struct worker *worker, struct listen_socket *socket, struct acceptor **out)
{
    struct acceptor *acceptor = calloc(1, sizeof(*acceptor));
    if (!acceptor) {
        return CASGI_ENOMEM;
    }
    acceptor->worker = worker;
    acceptor->wildcard = socket->wildcard;
    int rc = watcher_open(worker->loop, socket->fd, on_readable, acceptor, &acceptor->watcher);
    if (rc) {
        free(acceptor);
        return rc;
    }
    socket->fd = -1;
    set_up_host(acceptor, socket);
    *out = acceptor;
    return 0;
}

int acceptor_start(struct acceptor *acceptor)
{
    return watcher_want(acceptor->watcher, WATCHER_READ);
}

void acceptor_stop(struct acceptor *acceptor)
{
    timer_clear(acceptor->worker->loop, &acceptor->pause);
    watcher_close(acceptor->watcher);
    acceptor->watcher = NULL;
}

void acceptor_free(struct acceptor *acceptor)
{
    if (acceptor) {
        acceptor_stop(acceptor);
        http1_host_release(&acceptor->host);
        free(acceptor);
    }
}
