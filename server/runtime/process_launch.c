/* Starting a program: on a thread, by posix_spawn, which does not copy the server's page tables. */
#include "base/error.h"
#include "runtime/process_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { STANDARD_END = 3 }; /* the first descriptor that is neither input, output nor error */

static void close_all(int fds[static 3])
{
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
        fds[i] = -1;
    }
}

void launch_close_child(struct launch *launch)
{
    close_all(launch->child);
}

void launch_close_parent(struct launch *launch)
{
    close_all(launch->parent);
}

/* ---- input, output, error ---- */

static int make_pipe(struct launch *launch, int number)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC)) {
        return error_from_errno(errno);
    }
    bool input = number == STDIN_FILENO;
    launch->child[number] = fds[!input];
    launch->parent[number] = fds[input];
    return 0;
}

/* A copy above 2: the child's numbers are set one after another, and none must be overwritten before it is used. */
static int copy(int fd, int *out_copy)
{
    int made = fcntl(fd, F_DUPFD_CLOEXEC, STANDARD_END);
    if (made < 0) {
        return error_from_errno(errno);
    }
    *out_copy = made;
    return 0;
}

static int open_null(int *out_fd)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int rc = fd < 0 ? error_from_errno(errno) : 0;
    if (!rc) {
        rc = copy(fd, out_fd);
        (void)close(fd);
    }
    return rc;
}

static int set_standard(struct launch *launch, int number)
{
    const casgi_spawn_t *spawn = launch->spawn;
    switch (spawn->stdio[number]) {
    case CASGI_STDIO_DEFAULT:
        return number == STDIN_FILENO ? open_null(&launch->child[number]) : 0;
    case CASGI_STDIO_INHERIT:
        return 0;
    case CASGI_STDIO_NULL:
        return open_null(&launch->child[number]);
    case CASGI_STDIO_PIPE:
        return make_pipe(launch, number);
    case CASGI_STDIO_FD:
        return copy(spawn->stdio_fd[number], &launch->child[number]);
    case CASGI_STDIO_OUTPUT:
        return number == STDERR_FILENO ? 0 : CASGI_EINVAL;
    default:
        return CASGI_EINVAL;
    }
}

int launch_prepare(const casgi_spawn_t *spawn, struct launch *out_launch)
{
    int rc = spawn && spawn->argv && spawn->argv[0] ? 0 : CASGI_EINVAL;
    *out_launch = (struct launch){ .spawn = spawn, .child = { -1, -1, -1 }, .parent = { -1, -1, -1 }, .pidfd = -1 };
    for (int i = 0; !rc && i < 3; i++) {
        rc = set_standard(out_launch, i);
    }
    if (rc) {
        launch_close_child(out_launch);
        launch_close_parent(out_launch);
    }
    return rc;
}

/* ---- the start ---- */

/* 0 or an errno, as all of posix_spawn. */
static int add_actions(const struct launch *launch, posix_spawn_file_actions_t *actions)
{
    int failed = 0;
    for (int i = 0; !failed && i < 3; i++) {
        if (launch->child[i] >= 0) {
            failed = posix_spawn_file_actions_adddup2(actions, launch->child[i], i);
        } else if (launch->spawn->stdio[i] == CASGI_STDIO_OUTPUT) {
            failed = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, i);
        }
    }
    failed = failed ? failed : posix_spawn_file_actions_addclosefrom_np(actions, STANDARD_END);
    return failed || !launch->spawn->cwd ? failed : posix_spawn_file_actions_addchdir_np(actions, launch->spawn->cwd);
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int failed =
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    failed = failed ? failed : posix_spawnattr_setpgroup(attributes, 0 /* its own */);
    failed = failed ? failed : posix_spawnattr_setsigdefault(attributes, &all);
    return failed ? failed : posix_spawnattr_setsigmask(attributes, &none);
}

static int spawn_with(struct launch *launch, posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes)
{
    char *const *argv = (char *const *)(uintptr_t)launch->spawn->argv;
    char *const *env = launch->spawn->env ? (char *const *)(uintptr_t)launch->spawn->env : environ;
    int failed = add_actions(launch, actions);
    failed = failed ? failed : set_attributes(attributes);
    return failed ? failed : posix_spawnp(&launch->pid, argv[0], actions, attributes, argv, env);
}

int launch_start(struct launch *launch)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed) {
        return error_from_errno(failed);
    }
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = spawn_with(launch, &actions, &attributes);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        launch->pid = 0;
        return error_from_errno(failed);
    }
    launch->pidfd = pidfd_open(launch->pid, 0);
    return launch->pidfd < 0 ? error_from_errno(errno) : 0;
}
