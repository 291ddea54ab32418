/* casgi/fd.h: waiting for any file descriptor, so that libraries with a non-blocking interface (libpq, libcurl and the
 * like) are driven inside a task. The interface "casgi.fd/1".
 *
 *     while ((status = PQconnectPoll(conn)) != PGRES_POLLING_OK) {
 *         if (status == PGRES_POLLING_FAILED) {
 *             return CASGI_EFAILED;
 *         }
 *         uint32_t events = status == PGRES_POLLING_READING ? CASGI_FD_READABLE : CASGI_FD_WRITABLE;
 *         int rc = casgi_wait_fd(PQsocket(conn), events, NULL);
 *         if (rc) {
 *             return rc;
 *         }
 *     }
 */
#pragma once

#include "base.h"
#include "imports.h"

CASGI_EXTERN_C_BEGIN

enum casgi_fd_event {
    CASGI_FD_READABLE = 1,
    CASGI_FD_WRITABLE = 2,
    CASGI_FD_PRIORITY = 4, /* urgent data (poll's POLLPRI) */
    CASGI_FD_HANGUP = 8,   /* out only: the other side is gone, or an error is pending; comes with what was asked for */
};

/* "casgi.fd/1" */
typedef struct casgi_fd_1 {
    int (*wait)(int fd, uint32_t events, uint32_t *out_events);
    const void *reserved[7];
} casgi_fd_1_t;

/* [task] Waits until `fd` is ready for one of `events` (enum casgi_fd_event, or-ed); *out_events (NULL allowed) are
 * those it is ready for. An error or hang-up counts as ready for all that was asked: the next read or write tells.
 *
 * The descriptor stays yours and is registered for this wait only: between waits it may be closed and its number used
 * again. During the wait keep it open. Its mode is not changed: make it non-blocking yourself. One task may wait for a
 * descriptor to be readable and another for it to be writable. To wait for many at once, put them into an epoll
 * descriptor of your own and wait for that to be readable.
 *
 * 0; CASGI_ECANCELED, CASGI_ETIMEDOUT; CASGI_EBUSY: another task waits for that already; CASGI_EINVAL: no event;
 * CASGI_ESYSTEM(EBADF): not a descriptor; CASGI_ENOMEM. A regular file is always ready. */
static inline int casgi_wait_fd(int fd, uint32_t events, uint32_t *out_events)
{
    return casgi_imports_.fd ? casgi_imports_.fd->wait(fd, events, out_events) : CASGI_ENOTSUP;
}

CASGI_STATIC_ASSERT(sizeof(casgi_fd_1_t) == 64, "casgi_fd_1_t is frozen");

CASGI_EXTERN_C_END
