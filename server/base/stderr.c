#include "base/stderr.h"

#include <errno.h>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

enum { PIECE = 512 }; /* what a pipe or a terminal that is writable takes without blocking */

static bool is_writable(int patience)
{
    struct pollfd item = { .fd = STDERR_FILENO, .events = POLLOUT };
    int found;
    do {
        found = poll(&item, 1, patience);
    } while (found < 0 && errno == EINTR);
    return found > 0;
}

bool stderr_write(const char *text, size_t size, int patience)
{
    int saved = errno;
    while (size && is_writable(patience)) {
        ssize_t n = write(STDERR_FILENO, text, size < PIECE ? size : PIECE);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            break;
        }
        text += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    errno = saved;
    return !size;
}
