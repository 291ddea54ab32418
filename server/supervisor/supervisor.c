#include "supervisor/supervisor.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "net/control.h"
#include "net/listen.h"
#include "supervisor/build.h"
#include "supervisor/clock.h"
#include "supervisor/crew.h"
#include "supervisor/named.h"
#include "supervisor/pattern.h"
#include "supervisor/reload.h"
#include "supervisor/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_START_FAILED = 3, POLL_MAX = 64 };
#define SECOND UINT64_C(1000000)

struct supervisor {
    const struct supervisor_options *options;
    struct listen_set sockets;
    struct pattern_set patterns;
    struct watch *watch;
    struct crew crew;
    struct reload reload;
    int signals; /* signalfd */
    int stop;    /* the signal that said so; 0: none did */
    bool forced; /* it came twice */
    int exit_code;
};

/* ---- setting up ---- */

static int open_sockets(struct supervisor *self, casgi_error_t *error)
{
    const struct listen_options options = listen_options_of(self->options->config);
    int rc = listen_open(&self->sockets, &options, error);
    if (!rc && self->sockets.count > CONTROL_FD_MAX) {
        rc = error_set(error, CASGI_ETOOBIG, "at most %d addresses can be listened on with --reload", CONTROL_FD_MAX);
    }
    return rc;
}

/* --reload-dir; with patterns but no folder, the current one, as uvicorn does. */
static int watch_trees(struct supervisor *self, casgi_error_t *error)
{
    const struct config *config = self->options->config;
    int rc = 0;
    for (size_t i = 0; i < config->reload_dir.count && !rc; i++) {
        rc = watch_add_tree(self->watch, config->reload_dir.items[i], error);
    }
    if (!rc && !config->reload_dir.count && config->reload_include.count) {
        rc = watch_add_tree(self->watch, ".", error);
    }
    return rc;
}

static int watch_module(struct supervisor *self, casgi_error_t *error)
{
    struct path_list files = { 0 };
    int rc = path_list_add(&files, self->options->path, strlen(self->options->path));
    if (!rc) {
        rc = reload_watch_files(self->watch, self->options->config, &files);
    }
    path_list_release(&files);
    return rc ? error_set(error, rc, "%s cannot be watched: %s", self->options->path, error_text(rc)) : 0;
}

static int open_watch(struct supervisor *self, casgi_error_t *error)
{
    const struct config *config = self->options->config;
    if (pattern_set_init(&self->patterns, &config->reload_include, &config->reload_exclude)) {
        return error_set(error, CASGI_ENOMEM, "out of memory");
    }
    int rc = watch_new(&self->patterns, &self->watch, error);
    if (!rc) {
        rc = watch_module(self, error);
    }
    if (!rc) {
        rc = watch_trees(self, error);
    }
    if (!rc && watch_unwatched(self->watch)) {
        log_print(CASGI_LOG_WARNING, "%zu folders are not watched: see fs.inotify.max_user_watches",
                  watch_unwatched(self->watch));
    }
    return rc;
}

static int open_signals(struct supervisor *self, casgi_error_t *error)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, /* old */ NULL);
    self->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signals < 0) {
        return error_set(error, error_from_errno(errno), "signals cannot be received: %s", strerror(errno));
    }
    return 0;
}

/* What an orderly end may take: the connections, their cancellation, the lifespan's shutdown and its cancellation. 0:
 * for ever, as asked for. */
static uint64_t patience(const struct config *config)
{
    if (!config->timeout_graceful_shutdown || !config->timeout_cleanup) {
        return 0;
    }
    return config->timeout_graceful_shutdown + 3 * config->timeout_cleanup + 2 * SECOND;
}

static int set_up(struct supervisor *self, casgi_error_t *error)
{
    const struct config *config = self->options->config;
    int rc = open_sockets(self, error);
    if (!rc) {
        rc = open_watch(self, error);
    }
    if (!rc) {
        rc = open_signals(self, error);
    }
    if (rc) {
        return rc;
    }
    const struct reload_options reload = { config, self->options->path, self->options->source, self->options->cxx };
    crew_init(&self->crew, self->options->argv, self->options->environment, &self->sockets, patience(config));
    reload_init(&self->reload, &reload, &self->crew, self->watch);
    return 0;
}

static void tear_down(struct supervisor *self)
{
    reload_release(&self->reload);
    while (!list_empty(&self->crew.members)) {
        crew_remove(LIST_ENTRY(self->crew.members.next, struct member, node));
    }
    watch_free(self->watch);
    pattern_set_release(&self->patterns);
    listen_unlink(&self->sockets);
    listen_close(&self->sockets);
    if (self->signals >= 0) {
        close(self->signals);
    }
}

/* ---- ending ---- */

static void kill_all(struct supervisor *self)
{
    for (struct list *node = self->crew.members.next; node != &self->crew.members; node = node->next) {
        crew_kill(LIST_ENTRY(node, struct member, node));
    }
}

/* The first signal ends everything in good order, the second at once. */
static void stop(struct supervisor *self, int number)
{
    if (self->stop) {
        log_print(CASGI_LOG_WARNING, "Forced to end by a second signal");
        self->forced = true;
        self->exit_code = 128 + number;
        kill_all(self);
        return;
    }
    self->stop = number;
    log_print(CASGI_LOG_INFO, "Stopping reloader process [%d]", (int)getpid());
    reload_end(&self->reload);
    listen_unlink(&self->sockets);
    listen_close(&self->sockets);
    for (struct list *node = self->crew.members.next; node != &self->crew.members; node = node->next) {
        crew_stop(&self->crew, LIST_ENTRY(node, struct member, node));
    }
}

/* ---- what happens ---- */

static void read_control(struct supervisor *self, struct member *member)
{
    char text[CONTROL_TEXT_MAX + 1];
    struct control_message message;
    int rc = 0;
    while (member->control >= 0 && !rc) {
        rc = control_recv(member->control, &message, text);
        if (!rc) {
            reload_message(&self->reload, member, &message);
        }
        if (!rc || rc == CASGI_ETOOBIG) {
            control_message_close(&message);
        }
    }
    if (rc && rc != CASGI_EAGAIN) {
        close(member->control);
        member->control = -1;
    }
}

static void on_worker_exit(struct supervisor *self, struct member *member, int status)
{
    read_control(self, member); /* its last words */
    reload_worker_exited(&self->reload, member, status);
    if (self->stop && !self->forced && WIFEXITED(status) && WEXITSTATUS(status) > self->exit_code) {
        self->exit_code = WEXITSTATUS(status);
    }
    crew_remove(member);
}

/* Also of processes that were left to us, if we are a container's first one. */
static void reap(struct supervisor *self)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct member *member = crew_find(&self->crew, pid);
        if (member) {
            on_worker_exit(self, member, status);
        } else if (self->reload.build && build_pid(self->reload.build) == pid) {
            reload_compiler_exited(&self->reload, status);
        }
    }
}

static void read_signals(struct supervisor *self)
{
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGINT:
        case SIGTERM:
            stop(self, (int)info.ssi_signo);
            break;
        case SIGHUP:
            reload_saved(&self->reload, /* no file */ NULL);
            break;
        default:
            reap(self);
            break;
        }
    }
}

static void read_watch(struct supervisor *self)
{
    const char *path;
    switch (watch_read(self->watch, &path)) {
    case WATCH_SAVED:
        reload_saved(&self->reload, path);
        break;
    case WATCH_WRITING:
        reload_writing(&self->reload);
        break;
    case WATCH_NOTHING:
        break;
    }
}

/* ---- the loop ---- */

struct poll_set {
    struct pollfd fds[POLL_MAX];
    pid_t pids[POLL_MAX]; /* whose control channel it is; 0: none */
    nfds_t count;
};

static void poll_add(struct poll_set *set, int fd, pid_t pid)
{
    if (fd >= 0 && set->count < POLL_MAX) {
        set->fds[set->count] = (struct pollfd){ .fd = fd, .events = POLLIN };
        set->pids[set->count++] = pid;
    }
}

static void poll_collect(struct poll_set *set, const struct supervisor *self)
{
    set->count = 0;
    poll_add(set, self->signals, 0);
    poll_add(set, watch_fd(self->watch), 0);
    poll_add(set, self->reload.build ? build_fd(self->reload.build) : -1, 0);
    /* From the newest on: of more than there is room for, those that have been leaving for longest say least. */
    for (struct list *node = self->crew.members.prev; node != &self->crew.members; node = node->prev) {
        const struct member *member = LIST_ENTRY(node, struct member, node);
        poll_add(set, member->control, member->pid);
    }
}

static void poll_dispatch(const struct poll_set *set, struct supervisor *self)
{
    for (nfds_t i = 0; i < set->count; i++) {
        if (!set->fds[i].revents) {
            continue;
        }
        struct member *member = set->pids[i] ? crew_find(&self->crew, set->pids[i]) : NULL;
        if (member) {
            read_control(self, member);
        } else if (set->fds[i].fd == self->signals) {
            read_signals(self);
        } else if (set->fds[i].fd == watch_fd(self->watch)) {
            read_watch(self);
        } else if (self->reload.build && set->fds[i].fd == build_fd(self->reload.build)) {
            build_read(self->reload.build);
        }
    }
}

/* Milliseconds to wait, rounded up. */
static int wait_time(uint64_t due, uint64_t now)
{
    if (!due) {
        return -1;
    }
    uint64_t left = due > now ? (due - now + 999) / 1000 : 0;
    return left > 60000 ? 60000 : (int)left;
}

static void turn(struct supervisor *self)
{
    struct poll_set set;
    uint64_t now = clock_now();
    uint64_t due = reload_tick(&self->reload, now);
    uint64_t overdue = crew_enforce(&self->crew, now);
    due = !due || (overdue && overdue < due) ? overdue : due;
    log_flush();
    poll_collect(&set, self);
    if (poll(set.fds, set.count, wait_time(due, now)) > 0) {
        poll_dispatch(&set, self);
    }
}

static void announce_named(const struct config *config)
{
    struct path_list named = { 0 };
    (void)named_modules(config->app_argv + 1, (size_t)config->app_argc - 1, &named);
    for (size_t i = 0; i < named.count; i++) {
        log_print(CASGI_LOG_INFO, "Watching for changes of %s", named.items[i]);
    }
    path_list_release(&named);
}

static void announce(const struct supervisor *self)
{
    const struct config *config = self->options->config;
    log_print(CASGI_LOG_INFO, "Started reloader process [%d], which watches %s", (int)getpid(), self->options->path);
    announce_named(config);
    for (size_t i = 0; i < config->reload_dir.count; i++) {
        log_print(CASGI_LOG_INFO, "Watching for changes in %s", config->reload_dir.items[i]);
    }
    for (size_t i = 0; i < self->sockets.count; i++) {
        log_print(CASGI_LOG_INFO, "casgi " CASGI_VERSION " running on %s (Press CTRL+C to quit)",
                  self->sockets.items[i]->url);
    }
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor self = { .options = options, .signals = -1 };
    casgi_error_t error;
    list_init(&self.crew.members);
    if (set_up(&self, &error)) {
        log_print(CASGI_LOG_ERROR, "%s", error.message);
        self.exit_code = EXIT_START_FAILED;
    } else {
        announce(&self);
        reload_first(&self.reload);
        while (!self.stop || !list_empty(&self.crew.members)) {
            turn(&self);
        }
        log_print(CASGI_LOG_INFO, "Finished reloader process [%d]", (int)getpid());
    }
    tear_down(&self);
    log_finish();
    return self.exit_code;
}
