#include "http/impl.h"

#include "common/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { BATCH = 32, IDLE_CONNECTIONS = 64 };

/* ---- what libcurl asks for ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    casgi_fetch_client_t *client = arg;
    struct epoll_event event = { .data.fd = fd };
    (void)easy, (void)socket_arg;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(client->epoll, EPOLL_CTL_DEL, fd, NULL /* event */); /* it may be closed already */
        return 0;
    }
    event.events |= what & CURL_POLL_IN ? EPOLLIN : 0u;
    event.events |= what & CURL_POLL_OUT ? EPOLLOUT : 0u;
    if (epoll_ctl(client->epoll, EPOLL_CTL_MOD, fd, &event) && errno == ENOENT) {
        return epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event);
    }
    return 0;
}

static void arm(casgi_fetch_client_t *client, uint64_t microseconds)
{
    uint64_t left = microseconds ? microseconds : 1;
    struct itimerspec time = { .it_value = { .tv_sec = (time_t)(left / 1000000),
                                             .tv_nsec = (long)(left % 1000000) * 1000 } };
    (void)timerfd_settime(client->timer, 0 /* relative */, &time, NULL /* old */);
    client->armed = casgi_now() + left;
}

/* libcurl moves its timer often, mostly further away: a timer that fires too early is set anew then. */
static int on_timer(CURLM *multi, long milliseconds, void *arg)
{
    casgi_fetch_client_t *client = arg;
    (void)multi;
    if (milliseconds < 0) {
        client->due = 0;
        return 0;
    }
    uint64_t microseconds = (uint64_t)milliseconds * 1000;
    client->due = casgi_now() + microseconds;
    if (!client->armed || client->due < client->armed) {
        arm(client, microseconds);
    }
    return 0;
}

/* ---- the driver ---- */

static void on_timer_fired(casgi_fetch_client_t *client)
{
    uint64_t count, now = casgi_now();
    int running;
    if (read(client->timer, &count, sizeof(count)) < 0) {
        return; /* it was set anew in between */
    }
    client->armed = 0;
    if (!client->due) {
        return;
    }
    if (client->due > now) {
        arm(client, client->due - now);
        return;
    }
    client->due = 0;
    (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void on_event(casgi_fetch_client_t *client, const struct epoll_event *event)
{
    int running, mask = 0;
    if (event->data.fd == client->timer) {
        on_timer_fired(client);
        return;
    }
    mask |= event->events & EPOLLIN ? CURL_CSELECT_IN : 0;
    mask |= event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
    mask |= event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
    (void)curl_multi_socket_action(client->multi, event->data.fd, mask, &running);
}

static void take_messages(casgi_fetch_client_t *client)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));) {
        char *transfer = NULL;
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) == CURLE_OK) {
            kit_transfer_done((struct kit_transfer *)(void *)transfer, message->data.result);
        }
    }
}

static void work(casgi_fetch_client_t *client)
{
    struct epoll_event events[BATCH];
    int count = epoll_wait(client->epoll, events, BATCH, 0 /* do not wait */);
    for (int i = 0; i < count; i++) {
        on_event(client, &events[i]);
    }
    take_messages(client);
}

/* Who waits would wait for ever. The next request has a new driver. */
static int give_up(casgi_fetch_client_t *client, int rc)
{
    for (struct kit_transfer *transfer = client->transfers; transfer; transfer = transfer->next) {
        transfer->failed = transfer->failed || transfer->done ? transfer->failed : rc;
        (void)casgi_flag_set(&transfer->event);
    }
    return rc;
}

/* A worker that stops cancels its background tasks, and this with them, once: it goes on while others still have
 * transfers, as those are being ended as well. */
static int drive(void *arg)
{
    casgi_fetch_client_t *client = arg;
    while (!kit_client_leaves(client) || client->stats.active) {
        int rc = casgi_wait_fd(client->epoll, CASGI_FD_READABLE, NULL /* out_events */);
        if (rc && (rc != CASGI_ECANCELED || !client->stats.active)) {
            return rc == CASGI_ECANCELED ? 0 : give_up(client, rc);
        }
        if (rc) {
            (void)casgi_uncancel();
            client->cancelled = true;
        }
        work(client);
    }
    return 0;
}

static void driver_ended(void *arg)
{
    casgi_fetch_client_t *client = arg;
    client->driving = false;
    kit_client_unref(client);
}

int kit_client_drive(casgi_fetch_client_t *client)
{
    if (client->driving) {
        return 0;
    }
    client->references++;
    client->driving = true;
    client->cancelled = false;
    int rc = casgi_background(drive, client, driver_ended, "casgi_fetch");
    if (rc) {
        driver_ended(client);
    }
    return rc;
}

bool kit_client_leaves(const casgi_fetch_client_t *client)
{
    return client->closed || client->cancelled;
}

void kit_client_wake(casgi_fetch_client_t *client)
{
    if (client->driving) {
        arm(client, 0);
    }
}

/* ---- making and freeing ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static int copy_text(const char *text, char **out_copy)
{
    *out_copy = text ? strdup(text) : NULL;
    return text && !*out_copy ? CASGI_ENOMEM : 0;
}

static int take_options(casgi_fetch_client_t *client, const casgi_fetch_options_t *options)
{
    client->connect_timeout_ms = or_default(options->connect_timeout_ms, 10000);
    client->buffer_size = or_default(options->buffer_size, 65536);
    client->flags = options->flags;
    int rc = copy_text(options->ca_file, &client->ca_file);
    rc = rc ? rc : copy_text(options->proxy, &client->proxy);
    return rc ? rc : copy_text(options->user_agent ? options->user_agent : "casgi", &client->user_agent);
}

static int set_up_multi(casgi_fetch_client_t *client, const casgi_fetch_options_t *options)
{
    CURLM *multi = client->multi = curl_multi_init();
    if (!multi) {
        return CASGI_ENOMEM;
    }
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)options->max_connections);
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)options->max_per_host);
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)or_default(options->keep_connections, IDLE_CONNECTIONS));
    return 0;
}

static int set_up(casgi_fetch_client_t *client, const casgi_fetch_options_t *options)
{
    int rc = take_options(client, options);
    rc = rc ? rc : set_up_multi(client, options);
    if (rc) {
        return rc;
    }
    kit_trust_init(client);
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    client->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = client->timer };
    if (client->epoll < 0 || client->timer < 0 || epoll_ctl(client->epoll, EPOLL_CTL_ADD, client->timer, &event)) {
        return CASGI_ESYSTEM(errno);
    }
    return 0;
}

static void client_destroy(casgi_fetch_client_t *client)
{
    (void)curl_multi_cleanup(client->multi); /* NULL is refused */
    if (client->epoll >= 0) {
        (void)close(client->epoll);
    }
    if (client->timer >= 0) {
        (void)close(client->timer);
    }
    kit_trust_release(client);
    free(client->ca_file);
    free(client->proxy);
    free(client->user_agent);
    free(client);
    curl_global_cleanup();
}

void kit_client_unref(casgi_fetch_client_t *client)
{
    if (--client->references == 0) {
        client_destroy(client);
    }
}

int casgi_fetch_client_new(const casgi_fetch_options_t *options, casgi_fetch_client_t **out_client,
                           casgi_error_t *out_error)
{
    kit_keep_library((void (*)(void))curl_multi_init);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return casgi_error_set(out_error, CASGI_EFAILED, "libcurl cannot be used");
    }
    casgi_fetch_client_t *client = calloc(1, sizeof(*client));
    if (!client) {
        curl_global_cleanup();
        return casgi_error_set(out_error, CASGI_ENOMEM, "out of memory");
    }
    client->references = 1;
    client->epoll = client->timer = -1;
    int rc = set_up(client, options);
    if (rc) {
        kit_client_unref(client);
        return casgi_error_set(out_error, rc, "no HTTP client could be made: %s", casgi_strerror(rc));
    }
    *out_client = client;
    return 0;
}

void casgi_fetch_client_free(casgi_fetch_client_t *client)
{
    if (!client) {
        return;
    }
    client->closed = true;
    kit_client_wake(client);
    kit_client_unref(client);
}

void casgi_fetch_client_stats(const casgi_fetch_client_t *client, casgi_fetch_stats_t *out_stats)
{
    *out_stats = client->stats;
}
