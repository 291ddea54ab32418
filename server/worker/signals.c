#include "worker/signals.h"

#include "base/error.h"
#include "base/stderr.h"
#include "net/listen.h"
#include "worker/impl.h"
#include "worker/watcher.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct signals {
    struct worker *worker;
    struct watcher *watcher;
};

/* The handler's: there is one per process. */
static struct listen_set *sockets;
static volatile sig_atomic_t received;
static volatile sig_atomic_t wake_fd = -1;

static void force(int number)
{
    static const char text[] = "Forced to end by a second signal.\n";
    (void)stderr_write(text, sizeof(text) - 1, 0 /* does not wait */);
    listen_unlink(sockets);
    _exit(WORKER_EXIT_SIGNAL + number);
}

static void on_signal(int number)
{
    int saved = errno;
    const uint64_t one = 1;
    if (received) {
        force(number);
    }
    received = number;
    ssize_t ignored = write(wake_fd, &one, sizeof(one));
    (void)ignored;
    errno = saved;
}

static void on_left_to_supervisor(int number)
{
    (void)number;
}

static void on_wake(void *data, int events)
{
    struct signals *signals = data;
    uint64_t count;
    (void)events;
    if (read(watcher_fd(signals->watcher), &count, sizeof(count)) == (ssize_t)sizeof(count)) {
        worker_stop(signals->worker);
    }
}

/* Who started us may have blocked it. */
static void install(int number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
    sigset_t set;
    sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, /* old */ NULL);
    sigemptyset(&set);
    sigaddset(&set, number);
    (void)sigprocmask(SIG_UNBLOCK, &set, /* old */ NULL);
}

int signals_new(struct worker *worker, struct signals **out)
{
    struct signals *signals = calloc(1, sizeof(*signals));
    int fd = signals ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    int rc = !signals ? CASGI_ENOMEM : fd < 0 ? error_from_errno(errno) : 0;
    if (!rc) {
        signals->worker = worker;
        rc = watcher_open(worker->loop, fd, on_wake, signals, &signals->watcher);
    }
    if (rc) {
        free(signals);
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    sockets = worker->options->sockets;
    wake_fd = fd;
    received = 0;
    (void)watcher_want(signals->watcher, WATCHER_READ);
    install(SIGTERM, on_signal);
    install(SIGINT, worker->options->control >= 0 ? on_left_to_supervisor : on_signal);
    (void)signal(SIGPIPE, SIG_IGN);
    *out = signals;
    return 0;
}

void signals_free(struct signals *signals)
{
    if (signals) {
        (void)signal(SIGINT, SIG_IGN); /* it is ending anyway */
        (void)signal(SIGTERM, SIG_IGN);
        watcher_close(signals->watcher);
        free(signals);
    }
}
