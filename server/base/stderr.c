#include "base/stderr.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    PIECE = 512, /* what a pipe or a socket that is writable takes without blocking */
    PAUSE = 10,  /* milliseconds */
};

/* The same pipe or terminal, not blocking, for us alone: a terminal is writable as soon as there is room for a byte.
 * What cannot be had so is stderr itself; so is a file, which has one position for all who write to it. */
static int open_own(void)
{
    struct stat status;
    bool apart = fstat(STDERR_FILENO, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode));
    int own = apart ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    return own < 0 ? STDERR_FILENO : own;
}

static bool is_writable(int fd, int patience)
{
    struct pollfd item = { .fd = fd, .events = POLLOUT };
    int found;
    do {
        found = poll(&item, 1, patience);
    } while (found < 0 && errno == EINTR);
    return found > 0;
}

/* How many bytes went in; -1: none will. */
static ssize_t write_piece(int fd, const char *text, size_t size)
{
    ssize_t n = write(fd, text, size < PIECE ? size : PIECE);
    return n >= 0 ? n : errno == EINTR || errno == EAGAIN ? 0 : -1;
}

/* A terminal with room for less than the end of a line is writable and takes nothing: no reason to turn for ever. */
static int pause_briefly(void)
{
    (void)poll(NULL, 0, PAUSE);
    return PAUSE;
}

bool stderr_write(const char *text, size_t size, int patience)
{
    int saved = errno, fd = open_own(), waited = 0;
    ssize_t n = 0;
    while (size && n >= 0 && waited <= patience && is_writable(fd, patience)) {
        n = write_piece(fd, text, size);
        text += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        waited = n ? 0 : waited + pause_briefly();
    }
    if (fd != STDERR_FILENO) {
        close(fd);
    }
    errno = saved;
    return !size;
}
