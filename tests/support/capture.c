#include "support/capture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int must(int rc)
{
    if (rc < 0) {
        abort();
    }
    return rc;
}

void capture_to(struct capture *capture, int fd, int target)
{
    (void)fflush(stdout);
    (void)fflush(stderr);
    capture->fd = fd;
    capture->saved = must(fcntl(fd, F_DUPFD_CLOEXEC, 10));
    capture->read = -1;
    (void)must(dup2(target, fd));
}

void capture_pipe(struct capture *capture, int fd)
{
    int ends[2];
    (void)must(pipe2(ends, O_CLOEXEC));
    capture_to(capture, fd, ends[1]);
    (void)close(ends[1]);
    capture->read = ends[0];
}

size_t capture_read(struct capture *capture, char *out, size_t capacity)
{
    size_t at = 0;
    struct pollfd item = { .fd = capture->read, .events = POLLIN };
    while (at < capacity - 1 && poll(&item, 1, 0) > 0 && (item.revents & POLLIN)) {
        ssize_t got = must((int)read(capture->read, out + at, capacity - 1 - at));
        if (got == 0) {
            break;
        }
        at += (size_t)got;
    }
    out[at] = '\0';
    return at;
}

void capture_end(struct capture *capture)
{
    (void)must(dup2(capture->saved, capture->fd));
    (void)close(capture->saved);
    if (capture->read >= 0) {
        (void)close(capture->read);
    }
}
