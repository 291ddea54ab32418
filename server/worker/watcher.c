#include "worker/watcher.h"

#include "base/error.h"
#include "runtime/loop.h"

#include <stdlib.h>
#include <unistd.h>

struct watcher {
    uv_poll_t poll;
    int fd;
    void (*fn)(void *data, int events);
    void *data;
};

int watcher_open(struct loop *loop, int fd, void (*fn)(void *data, int events), void *data, struct watcher **out)
{
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher) {
        return CASGI_ENOMEM;
    }
    int rc = uv_poll_init(loop_uv(loop), &watcher->poll, fd);
    if (rc) {
        free(watcher);
        return error_from_errno(-rc);
    }
    watcher->poll.data = watcher;
    watcher->fd = fd;
    watcher->fn = fn;
    watcher->data = data;
    *out = watcher;
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watcher *watcher = poll->data;
    int found = status ? WATCHER_READ : 0; /* reading tells what is wrong */
    found |= events & UV_READABLE ? WATCHER_READ : 0;
    found |= events & UV_WRITABLE ? WATCHER_WRITE : 0;
    if (found) {
        watcher->fn(watcher->data, found);
    }
}

int watcher_want(struct watcher *watcher, int events)
{
    int wanted = (events & WATCHER_READ ? UV_READABLE : 0) | (events & WATCHER_WRITE ? UV_WRITABLE : 0);
    int rc = wanted ? uv_poll_start(&watcher->poll, wanted, on_poll) : uv_poll_stop(&watcher->poll);
    return rc ? error_from_errno(-rc) : 0;
}

int watcher_fd(const struct watcher *watcher)
{
    return watcher->fd;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void watcher_close(struct watcher *watcher)
{
    if (watcher) {
        uv_close((uv_handle_t *)&watcher->poll, on_closed); /* stops polling before the number can be another's */
        close(watcher->fd);
    }
}
