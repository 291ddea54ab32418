/* runtime/fdwatch.h: tasks that wait for descriptors. All of a loop's descriptors are watched through one epoll
 * descriptor, which libuv watches: registering a socket once (edge-triggered) costs one system call where a uv_poll
 * costs five, a wait none, and a descriptor that is waited for here may be watched by others as well.
 *
 * Two ways: struct fd_watch for a descriptor of our own, from its opening to its close; fd_wait for one that belongs to
 * somebody else, who may close it between two waits and use its number again. All [loop]. */
#pragma once

#include "base/list.h"
#include "casgi/fd.h"
#include "runtime/loop.h"
#include "runtime/task.h"

struct fd_poller;

/* A descriptor of our own; embedded in its owner. `ready` says what may be tried: a read or write that finds nothing
 * clears its bit (fd_watch_clear) and waits. */
struct fd_watch {
    struct fd_poller *poller;
    struct list waiters; /* struct fd_waiter */
    int fd;              /* -1: closed */
    uint32_t ready;      /* enum casgi_fd_event */
    uint32_t ended;      /* those that stay ready: the other side has ended or hung up, no further event will come */
    uint32_t streak;     /* operations since a task last waited here */
};

/* Begins to watch `fd`, which stays the caller's; `ready`: what may be tried without waiting first. CASGI_ENOMEM;
 * CASGI_EINVAL: it cannot be waited for (a file); the system's code. */
int fd_watch_open(struct loop *loop, int fd, uint32_t ready, struct fd_watch *watch)
    __attribute__((warn_unused_result));

/* Ends the watching, before the descriptor is closed. Tasks that wait get CASGI_ECLOSED; the struct must live until
 * they have. Does nothing the second time. */
void fd_watch_close(struct fd_watch *watch);

/* [task] Waits until it is ready for one of `events`; returns at once if it is. 0, CASGI_ECLOSED, CASGI_ECANCELED,
 * CASGI_ETIMEDOUT. */
int fd_watch_wait(struct fd_watch *watch, uint32_t events, enum task_wait why) __attribute__((warn_unused_result));

/* To wait for several at once: attach a waiter to each, test their `ready` and task_park in a loop, detach. */
struct fd_waiter {
    struct list node;
    struct fd_watch *watch;
    struct task *task;
    uint32_t events;
};

/* [task] From here to fd_watch_detach the running task is woken when the watch is ready for one of `events`, or
 * closed. */
void fd_watch_attach(struct fd_watch *watch, struct fd_waiter *waiter, uint32_t events);
void fd_watch_detach(struct fd_waiter *waiter);

/* What was tried would have blocked, or took all there was. */
void fd_watch_clear(struct fd_watch *watch, uint32_t events);

/* [task] To be called after each operation that did not wait: now and then lets other tasks run, so that a fast peer
 * does not hold up the loop. */
void fd_watch_fair(struct fd_watch *watch);

/* [task] casgi_wait_fd. */
int fd_wait(int fd, uint32_t events, uint32_t *out_events) __attribute__((warn_unused_result));

/* The table behind "casgi.fd/1". */
extern const casgi_fd_1_t fd_interface;
