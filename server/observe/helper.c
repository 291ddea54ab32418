#include "observe/helper.h"

#include "runtime/stack_of.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 3000 }; /* ms */

static int milliseconds_left(const struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long passed = (long)(now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
    return passed < PATIENCE ? (int)(PATIENCE - passed) : 0;
}

/* It begins with no signal blocked or ignored, and says all it has to say into `output`. */
static pid_t start(const char *program, pid_t thread, int output)
{
    char name[] = "casgi", option[] = STACK_OF_OPTION, where[32];
    char *arguments[] = { name, option, where, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    pid_t child = -1;
    (void)snprintf(where, sizeof(where), "%d:%d", (int)getpid(), (int)thread);
    if (posix_spawn_file_actions_init(&actions)) {
        return -1;
    }
    (void)posix_spawnattr_init(&attributes); /* needs no memory */
    sigemptyset(&signals);
    (void)posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    (void)posix_spawnattr_setsigdefault(&attributes, &signals);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) ||
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO) ||
        posix_spawn(&child, program, &actions, &attributes, arguments, environ)) {
        child = -1;
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return child;
}

/* Until it has closed its end. */
static size_t read_all(int input, void (*on_first)(void *arg), void *arg, char *out, size_t capacity)
{
    struct timespec began;
    size_t length = 0;
    clock_gettime(CLOCK_MONOTONIC, &began);
    while (length < capacity - 1) {
        struct pollfd waiting = { .fd = input, .events = POLLIN };
        int ready = poll(&waiting, 1, milliseconds_left(&began));
        ssize_t size = ready > 0 ? read(input, out + length, capacity - 1 - length) : 0;
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            break;
        }
        if (!length) {
            on_first(arg);
        }
        length += (size_t)size;
    }
    out[length] = '\0';
    return length;
}

size_t helper_stack(const char *program, pid_t thread, void (*on_taken)(void *arg), void *arg, char *out,
                    size_t capacity)
{
    int ends[2];
    size_t length = 0;
    out[0] = '\0';
    if (pipe2(ends, O_CLOEXEC)) {
        return 0;
    }
    pid_t child = start(program, thread, ends[1]);
    close(ends[1]);
    if (child > 0) {
        (void)prctl(PR_SET_PTRACER, child, 0, 0, 0); /* a child may otherwise not look at its parent everywhere */
        length = read_all(ends[0], on_taken, arg, out, capacity);
        (void)kill(child, SIGKILL); /* it has said all, or takes too long */
        while (waitpid(child, NULL /* how it ended */, 0) < 0 && errno == EINTR) {
        }
    }
    close(ends[0]);
    return length;
}
