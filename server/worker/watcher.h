/* worker/watcher.h: a descriptor that the loop polls for one of the worker's parts. */
#pragma once

struct loop;
struct watcher;

enum watcher_event { WATCHER_READ = 1, WATCHER_WRITE = 2 };

/* Owns `fd` on success. `fn` is called with the events that are there, while they are wanted. */
int watcher_open(struct loop *loop, int fd, void (*fn)(void *data, int events), void *data, struct watcher **out)
    __attribute__((warn_unused_result));

/* Which events are wanted from now on; 0: none. */
int watcher_want(struct watcher *watcher, int events);

int watcher_fd(const struct watcher *watcher);

/* Closes the descriptor; `fn` is not called any more. Also inside `fn`. NULL does nothing. */
void watcher_close(struct watcher *watcher);
