#include "worker/orders.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "worker/handover.h"
#include "worker/impl.h"
#include "worker/placeholder.h"
#include "worker/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

struct orders {
    struct worker *worker;
    struct watcher *watcher; /* NULL: the supervisor is gone */
    struct adoption *adoptions;
    int spare; /* a descriptor kept for the channel of a DRAIN, lest clients have taken all; -1: none */
};

/* ---- the first message ---- */

static int wait_message(int fd, struct control_message *message, char *text)
{
    int rc;
    while ((rc = control_recv(fd, message, text)) == CASGI_EAGAIN) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR) {
            return error_from_errno(errno);
        }
    }
    return rc;
}

static int adopt_sockets(struct worker_options *options, struct control_message *message)
{
    for (size_t i = 0; i < message->fd_count; i++) {
        casgi_error_t error;
        int rc = listen_adopt(options->sockets, message->fds[i], options->config->backlog, &error);
        if (rc) {
            return rc;
        }
        message->fds[i] = -1;
    }
    return 0;
}

int orders_first(struct worker_options *options, char text[CONTROL_TEXT_MAX + 1])
{
    struct control_message message;
    int rc = wait_message(options->control, &message, text);
    if (rc) {
        if (rc == CASGI_ETOOBIG) {
            control_message_close(&message);
        }
        return rc;
    }
    if (message.type == CONTROL_START) {
        options->path = text;
    } else if (message.type == CONTROL_PLACEHOLDER) {
        options->placeholder = text;
    } else {
        rc = CASGI_EPROTO;
    }
    options->generation = message.value;
    rc = rc ? rc : adopt_sockets(options, &message);
    control_message_close(&message);
    return rc;
}

/* ---- those that follow ---- */

static void take_channel(struct orders *orders, struct control_message *message)
{
    struct worker *worker = orders->worker;
    if (!message->fd_count) {
        return;
    }
    int rc = message->type == CONTROL_ADOPT ? adoption_new(worker, message->fds[0], &orders->adoptions)
                                            : handover_new(worker, message->fds[0], &worker->handover);
    if (!rc) {
        message->fds[0] = -1;
    }
}

static void follow(struct orders *orders, struct control_message *message)
{
    struct worker *worker = orders->worker;
    switch (message->type) {
    case CONTROL_ADOPT:
        take_channel(orders, message);
        break;
    case CONTROL_DRAIN:
        if (!worker->handover) {
            take_channel(orders, message);
        }
        worker_stop(worker);
        break;
    case CONTROL_STOP:
        worker_stop(worker);
        break;
    case CONTROL_PLACEHOLDER:
        placeholder_set_text(worker->placeholder, message->text);
        break;
    default:
        break;
    }
}

static void give_spare(struct orders *orders)
{
    if (orders->spare >= 0) {
        close(orders->spare);
    }
    orders->spare = -1;
}

static void keep_spare(struct orders *orders)
{
    orders->spare = orders->watcher ? fcntl(watcher_fd(orders->watcher), F_DUPFD_CLOEXEC, 0) : -1;
}

/* An order whose channel was lost is followed without: what is idle is closed then, not handed over. */
static int follow_all(struct orders *orders)
{
    struct control_message message;
    char text[CONTROL_TEXT_MAX + 1];
    int rc = 0;
    while (orders->watcher && (rc == 0 || rc == CASGI_ETOOBIG)) {
        rc = control_recv(watcher_fd(orders->watcher), &message, text);
        if (rc == 0 || rc == CASGI_ETOOBIG) {
            follow(orders, &message);
            control_message_close(&message);
        }
    }
    return rc;
}

static void on_order(void *data, int events)
{
    struct orders *orders = data;
    (void)events;
    give_spare(orders);
    int rc = follow_all(orders);
    keep_spare(orders);
    if (rc == CASGI_ECLOSED) {
        give_spare(orders);
        watcher_close(orders->watcher);
        orders->watcher = NULL;
        if (orders->worker->phase < PHASE_DRAINING) {
            log_print(CASGI_LOG_WARNING, "The supervisor has gone; shutting down");
        }
        worker_stop(orders->worker);
    }
}

int orders_new(struct worker *worker, struct orders **out)
{
    struct orders *orders = calloc(1, sizeof(*orders));
    if (!orders) {
        return CASGI_ENOMEM;
    }
    orders->worker = worker;
    orders->spare = -1;
    int rc = watcher_open(worker->loop, worker->options->control, on_order, orders, &orders->watcher);
    if (!rc) {
        rc = watcher_want(orders->watcher, WATCHER_READ);
    }
    if (rc) {
        orders_free(orders);
        return rc;
    }
    keep_spare(orders);
    *out = orders;
    return 0;
}

bool orders_adopting(const struct orders *orders)
{
    return orders && adoption_open(orders->adoptions);
}

void orders_free(struct orders *orders)
{
    if (orders) {
        give_spare(orders);
        adoption_free(orders->adoptions);
        watcher_close(orders->watcher);
        free(orders);
    }
}

void orders_report(struct orders *orders, enum control_type type, unsigned value)
{
    orders_report_text(orders, type, value, /* no text */ NULL);
}

void orders_report_text(struct orders *orders, enum control_type type, unsigned value, const char *text)
{
    if (orders && orders->watcher && control_send_text(watcher_fd(orders->watcher), type, value, text)) {
        log_print(CASGI_LOG_DEBUG, "The supervisor cannot be told");
    }
}
