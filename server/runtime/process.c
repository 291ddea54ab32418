#include "runtime/process.h"

#include "base/error.h"
#include "runtime/internal.h"
#include "runtime/process_impl.h"
#include "runtime/socket_impl.h"
#include "runtime/threads.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- starting ---- */

static int do_start(void *arg)
{
    return launch_start(arg);
}

/* A child nobody is going to get. */
static int do_abort(void *arg)
{
    const struct launch *launch = arg;
    (void)kill(-launch->pid, SIGKILL);
    (void)kill(launch->pid, SIGKILL); /* it may have left its group */
    while (waitpid(launch->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return 0;
}

static void abort_launch(struct launch *launch)
{
    launch_close_parent(launch);
    if (launch->pid > 0) {
        (void)thread_run_always(THREAD_FILES, do_abort, launch);
    }
    if (launch->pidfd >= 0) {
        (void)close(launch->pidfd);
    }
}

static int adopt_pipes(struct loop *loop, struct casgi_process *process, struct launch *launch)
{
    int rc = 0;
    for (int i = 0; !rc && i < 3; i++) {
        if (launch->parent[i] >= 0) {
            rc = socket_open(loop, launch->parent[i], &process->streams[i]);
            launch->parent[i] = rc ? launch->parent[i] : -1;
        }
    }
    return rc;
}

static void process_free(struct casgi_process *process)
{
    for (int i = 0; i < 3; i++) {
        socket_close(process->streams[i]);
    }
    free(process);
}

static int adopt(struct loop *loop, struct launch *launch, struct casgi_process **out_process)
{
    struct casgi_process *process = calloc(1, sizeof(*process));
    if (!process) {
        return CASGI_ENOMEM;
    }
    int rc = adopt_pipes(loop, process, launch);
    rc = rc ? rc : fd_watch_open(loop, launch->pidfd, 0, &process->watch);
    if (rc) {
        process_free(process);
        return rc;
    }
    process->pidfd = launch->pidfd;
    process->pid = launch->pid;
    process->grace_ms = launch->spawn->grace_ms;
    *out_process = process;
    return 0;
}

int process_spawn(const casgi_spawn_t *spawn, struct casgi_process **out_process)
{
    struct task *task = task_running();
    struct launch launch;
    int result = 0;
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(task);
    rc = rc ? rc : launch_prepare(spawn, &launch);
    if (rc) {
        return rc;
    }
    rc = thread_run(THREAD_FILES, do_start, &launch, &result);
    launch_close_child(&launch);
    rc = rc ? rc : result;
    rc = rc ? rc : adopt(task->loop, &launch, out_process);
    if (rc) {
        abort_launch(&launch);
    }
    return rc;
}

/* ---- its end ---- */

/* To its group, and to itself if it has left that. 0 or an errno. */
static int send_signal(const struct casgi_process *process, int signal)
{
    bool apart = getpgid(process->pid) != process->pid;
    int failed = kill(-process->pid, signal) ? errno : 0;
    if (apart) {
        failed = pidfd_send_signal(process->pidfd, signal, NULL /* info */, 0) ? errno : 0;
    }
    return failed;
}

bool process_look(struct casgi_process *process)
{
    siginfo_t info = { .si_pid = 0 };
    if (process->ended || !(process->watch.ready & CASGI_FD_READABLE)) {
        return process->ended;
    }
    if (process->ending) {
        (void)kill(-process->pid, SIGKILL); /* what it left behind; its number is its group's until it is reaped */
    }
    int rc = waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
    if (rc ? errno != ECHILD : !info.si_pid) {
        return false;
    }
    bool known = !rc; /* else somebody else has reaped it, or SIGCHLD is ignored */
    bool exited = known && info.si_code == CLD_EXITED;
    process->ended = true;
    process->exit =
        (casgi_exit_t){ .code = exited ? info.si_status : -1, .signal = known && !exited ? info.si_status : 0 };
    return true;
}

int process_kill(struct casgi_process *process, int signal)
{
    if (process_look(process)) {
        return CASGI_ENOENT; /* its number may belong to another by now */
    }
    int failed = send_signal(process, signal);
    return failed ? error_from_errno(failed) : 0;
}

struct grace {
    struct timer timer;
    struct task *task;
    bool over;
};

static void on_grace_over(struct timer *timer)
{
    struct grace *grace = LIST_ENTRY(timer, struct grace, timer);
    grace->over = true;
    task_wake(grace->task);
}

static void wait_gracefully(struct casgi_process *process)
{
    struct grace grace = { .timer = { .fn = on_grace_over }, .task = task_running() };
    struct loop *loop = grace.task->loop;
    if (timer_set(loop, &grace.timer, (uint64_t)process->grace_ms * 1000)) {
        return;
    }
    (void)send_signal(process, SIGTERM);
    while (!process_look(process) && !grace.over) {
        task_park_uncancelable(TASK_WAIT_PROCESS);
    }
    timer_clear(loop, &grace.timer);
}

void process_end(struct casgi_process *process)
{
    struct fd_waiter waiter;
    if (process_look(process)) {
        return;
    }
    process->ending = true;
    fd_watch_attach(&process->watch, &waiter, CASGI_FD_READABLE);
    if (process->grace_ms) {
        wait_gracefully(process);
    }
    if (!process->ended) {
        (void)send_signal(process, SIGKILL);
    }
    while (!process_look(process)) {
        task_park_uncancelable(TASK_WAIT_PROCESS);
    }
    fd_watch_detach(&waiter);
}

static int wait_for_end(struct casgi_process *process)
{
    while (!process_look(process)) {
        int rc = fd_watch_wait(&process->watch, CASGI_FD_READABLE, TASK_WAIT_PROCESS);
        if (rc) {
            process_end(process);
            return rc;
        }
    }
    return 0;
}

int process_wait(struct casgi_process *process, casgi_exit_t *out_exit)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    if (process->waiting) {
        return CASGI_EBUSY;
    }
    process->waiting = true;
    int rc = task_enter(task);
    if (rc) {
        process_end(process);
    }
    rc = rc ? rc : wait_for_end(process);
    process->waiting = false;
    if (!rc && out_exit) {
        *out_exit = process->exit;
    }
    return rc;
}

int process_close(struct casgi_process *process)
{
    if (!process) {
        return 0;
    }
    if (!task_running()) {
        return CASGI_EWRONGTHREAD;
    }
    for (int i = 0; i < 3; i++) {
        socket_close(process->streams[i]);
        process->streams[i] = NULL;
    }
    process_end(process);
    fd_watch_close(&process->watch);
    (void)close(process->pidfd);
    process_free(process);
    return 0;
}

/* ---- casgi.process/1 ---- */

static int64_t interface_pid(const casgi_process_t *process)
{
    return process->pid;
}

static casgi_stream_t *interface_stream(casgi_process_t *process, int number)
{
    return number >= 0 && number < 3 ? process->streams[number] : NULL;
}

static int interface_kill(casgi_process_t *process, int signal)
{
    return loop_of_thread ? process_kill(process, signal) : CASGI_EWRONGTHREAD;
}

const casgi_process_1_t process_interface = {
    .spawn = process_spawn,
    .wait = process_wait,
    .kill = interface_kill,
    .close = process_close,
    .pid = interface_pid,
    .stream = interface_stream,
    .run = process_run,
};
