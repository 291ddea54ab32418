#include "worker/handover.h"

#include "base/log.h"
#include "net/control.h"
#include "worker/impl.h"
#include "worker/orders.h"
#include "worker/watcher.h"

#include <stdlib.h>
#include <unistd.h>

enum { RETRY = 10000 }; /* microseconds, when the channel's room cannot be polled for */

struct handover {
    struct worker *worker;
    struct watcher *watcher; /* of the channel; NULL: the other side is gone */
    struct loop_late late;
    struct timer retry;
    unsigned given;
    bool reported;
};

/* ---- giving ---- */

/* The connections of one message. */
struct batch {
    struct control_message message;
    struct http1 *connections[CONTROL_FD_MAX];
};

/* Fills a batch with idle connections; those that are busy are told to end after their response. */
static void collect(const struct worker *worker, struct batch *batch)
{
    batch->message = (struct control_message){ .type = CONTROL_CONNECTIONS };
    for (struct list *node = worker->connections.next, *next; node != &worker->connections; node = next) {
        struct http1 *connection = http1_from_node(node);
        int fd = http1_idle(connection) ? http1_fd(connection) : -1;
        next = node->next;
        if (fd < 0) {
            http1_drain(connection);
        } else if (batch->message.fd_count < CONTROL_FD_MAX) {
            batch->connections[batch->message.fd_count] = connection;
            batch->message.fds[batch->message.fd_count++] = fd;
        }
    }
}

/* They are the next worker's now. */
static void forget(struct handover *handover, const struct batch *batch)
{
    for (size_t i = 0; i < batch->message.fd_count; i++) {
        http1_close(batch->connections[i]);
    }
    handover->given += (unsigned)batch->message.fd_count;
}

static void drain_all(const struct worker *worker)
{
    for (struct list *node = worker->connections.next, *next; node != &worker->connections; node = next) {
        next = node->next;
        http1_drain(http1_from_node(node));
    }
}

static void on_channel(void *data, int events);

/* The next worker has died: there is nobody to give to. */
static void lost(struct handover *handover)
{
    watcher_close(handover->watcher);
    handover->watcher = NULL;
    drain_all(handover->worker);
}

static void on_retry(struct timer *timer)
{
    struct handover *handover = (struct handover *)(void *)((char *)timer - offsetof(struct handover, retry));
    (void)handover_offer(handover);
}

static void wait_for_room(struct handover *handover)
{
    handover->retry.fn = on_retry;
    (void)watcher_want(handover->watcher, WATCHER_WRITE);
    if (timer_set(handover->worker->loop, &handover->retry, RETRY)) {
        lost(handover); /* out of memory: better closed than waiting for ever */
    }
}

/* Nothing idle is left here: the supervisor calls it reloaded. */
static void report(struct handover *handover)
{
    if (!handover->reported) {
        handover->reported = true;
        orders_report(handover->worker->orders, CONTROL_HANDED_OVER, handover->given);
        log_print(CASGI_LOG_DEBUG, "%u idle connections were handed over", handover->given);
    }
}

static void give(struct handover *handover)
{
    struct batch batch;
    int rc = 0;
    (void)watcher_want(handover->watcher, 0);
    timer_clear(handover->worker->loop, &handover->retry);
    do {
        collect(handover->worker, &batch);
        rc = batch.message.fd_count ? control_send(watcher_fd(handover->watcher), &batch.message) : 0;
        if (!rc) {
            forget(handover, &batch);
        }
    } while (!rc && batch.message.fd_count == CONTROL_FD_MAX);
    if (rc == CASGI_EAGAIN) {
        wait_for_room(handover);
    } else if (rc) {
        lost(handover);
    }
    if (rc != CASGI_EAGAIN) {
        report(handover);
    }
    worker_check(handover->worker);
}

static void on_late(struct loop_late *late)
{
    struct handover *handover = (struct handover *)(void *)((char *)late - offsetof(struct handover, late));
    if (handover->watcher) {
        give(handover);
    }
}

static void on_channel(void *data, int events)
{
    (void)events;
    (void)handover_offer(data);
}

int handover_new(struct worker *worker, int channel, struct handover **out)
{
    struct handover *handover = calloc(1, sizeof(*handover));
    if (!handover) {
        return CASGI_ENOMEM;
    }
    handover->worker = worker;
    handover->late.fn = on_late;
    list_init(&handover->late.node);
    int rc = watcher_open(worker->loop, channel, on_channel, handover, &handover->watcher);
    if (rc) {
        free(handover);
        return rc;
    }
    *out = handover;
    return 0;
}

bool handover_open(const struct handover *handover)
{
    return handover && handover->watcher;
}

bool handover_offer(struct handover *handover)
{
    if (!handover_open(handover)) {
        return false;
    }
    loop_late(handover->worker->loop, &handover->late);
    return true;
}

bool handover_offer_one(struct handover *handover, struct http1 *connection)
{
    if (!handover_open(handover)) {
        return false;
    }
    struct batch batch = { .message = { .type = CONTROL_CONNECTIONS, .fds = { http1_fd(connection) }, .fd_count = 1 },
                           .connections = { connection } };
    if (batch.message.fds[0] < 0) {
        return false;
    }
    if (control_send(watcher_fd(handover->watcher), &batch.message) == 0) {
        forget(handover, &batch);
        return true;
    }
    return handover_offer(handover);
}

void handover_free(struct handover *handover)
{
    if (handover) {
        list_remove(&handover->late.node);
        timer_clear(handover->worker->loop, &handover->retry);
        watcher_close(handover->watcher);
        free(handover);
    }
}

/* ---- taking ---- */

struct adoption {
    struct adoption *next;
    struct worker *worker;
    struct watcher *watcher; /* NULL: the other side has ended */
};

static void adopt_all(struct worker *worker, struct control_message *message)
{
    for (size_t i = 0; i < message->fd_count; i++) {
        acceptor_adopt(worker->acceptors[0], message->fds[i]);
        message->fds[i] = -1;
    }
}

static void on_adoption(void *data, int events)
{
    struct adoption *adoption = data;
    struct control_message message;
    char text[CONTROL_TEXT_MAX + 1];
    int rc;
    (void)events;
    while ((rc = control_recv(watcher_fd(adoption->watcher), &message, text)) == 0 || rc == CASGI_ETOOBIG) {
        if (rc) {
            log_print(CASGI_LOG_ERROR, "Idle connections were lost: no more descriptors may be open (see ulimit -n)");
        }
        if (message.type == CONTROL_CONNECTIONS && adoption->worker->phase <= PHASE_DRAINING) {
            adopt_all(adoption->worker, &message);
        }
        control_message_close(&message);
    }
    if (rc != CASGI_EAGAIN) {
        watcher_close(adoption->watcher);
        adoption->watcher = NULL;
    }
    if (adoption->worker->phase == PHASE_DRAINING) {
        if (!handover_offer(adoption->worker->handover)) { /* on to the next one, if there is one */
            drain_all(adoption->worker);
        }
        worker_check(adoption->worker);
    }
}

int adoption_new(struct worker *worker, int channel, struct adoption **list)
{
    struct adoption *adoption = calloc(1, sizeof(*adoption));
    if (!adoption) {
        return CASGI_ENOMEM;
    }
    int rc = watcher_open(worker->loop, channel, on_adoption, adoption, &adoption->watcher);
    if (rc) {
        free(adoption);
        return rc;
    }
    adoption->worker = worker;
    adoption->next = *list;
    *list = adoption;
    return watcher_want(adoption->watcher, WATCHER_READ);
}

bool adoption_open(const struct adoption *list)
{
    for (; list; list = list->next) {
        if (list->watcher) {
            return true;
        }
    }
    return false;
}

void adoption_free(struct adoption *list)
{
    while (list) {
        struct adoption *next = list->next;
        watcher_close(list->watcher);
        free(list);
        list = next;
    }
}
