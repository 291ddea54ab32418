/* casgi/process.h: other programs. The interface "casgi.process/1" and the calls an author writes.
 *
 *     static const char *const argv[] = { "convert", "-", "png:-", NULL };
 *     casgi_spawn_t spawn = { .argv = argv };
 *     casgi_run_t run;
 *     int rc = casgi_run(&spawn, body, 16 * 1024 * 1024, &run);
 *     if (!rc && run.exit.code == 0) {
 *         rc = casgi_respond_bytes(send, 200, "image/png", run.output.ptr, run.output.len);
 *     }
 *
 * A program is started without a shell, in a process group of its own, with default signals and no descriptor of the
 * server's but those named here. */
#pragma once

#include "base.h"
#include "imports.h"
#include "net.h"

CASGI_EXTERN_C_BEGIN

typedef struct casgi_process casgi_process_t;

/* Where standard input, output or error goes. */
enum casgi_stdio {
    CASGI_STDIO_DEFAULT = 0, /* input: nothing (/dev/null); output and error: the server's */
    CASGI_STDIO_PIPE = 1,    /* a stream: casgi_process_stream */
    CASGI_STDIO_NULL = 2,    /* /dev/null */
    CASGI_STDIO_INHERIT = 3, /* the server's own */
    CASGI_STDIO_FD = 4,      /* the descriptor in stdio_fd; borrowed for the call */
    CASGI_STDIO_OUTPUT = 5,  /* error only: where output goes */
};

/* What to start. Zero it first. Everything is borrowed for the call. */
typedef struct casgi_spawn {
    const char *const *argv; /* NULL-terminated; argv[0] without a slash is looked for in the server's PATH */
    const char *const *env;  /* "NAME=value", NULL-terminated: the whole environment; NULL: the server's */
    const char *cwd;         /* NULL: the server's */
    uint32_t stdio[3];       /* enum casgi_stdio: of input, output, error */
    int32_t stdio_fd[3];
    uint32_t grace_ms; /* when it is to end before its time: SIGTERM to its group, and SIGKILL when it has ended, or so
                          much later; 0: SIGKILL at once */
    uint32_t reserved0;
    uintptr_t reserved[9];
} casgi_spawn_t;

/* How a program ended. */
typedef struct casgi_exit {
    int32_t code;   /* what it exited with; -1 if a signal ended it */
    int32_t signal; /* that signal; 0 if none did */
    uintptr_t reserved[1];
} casgi_exit_t;

/* What casgi_run gathered. */
typedef struct casgi_run_s {
    casgi_exit_t exit;
    casgi_str_t output; /* both NUL-terminated, in the task's arena */
    casgi_str_t error;
    uintptr_t reserved[2];
} casgi_run_t;

/* "casgi.process/1". The inline calls below say what each does. A later minor adds calls in reserved words, in order.
 */
typedef struct casgi_process_1 {
    int (*spawn)(const casgi_spawn_t *spawn, casgi_process_t **out_process);
    int (*wait)(casgi_process_t *process, casgi_exit_t *out_exit);
    int (*kill)(casgi_process_t *process, int signal);
    int (*close)(casgi_process_t *process);
    int64_t (*pid)(const casgi_process_t *process);
    casgi_stream_t *(*stream)(casgi_process_t *process, int number);
    int (*run)(const casgi_spawn_t *spawn, casgi_str_t input, size_t limit, casgi_run_t *out_run);
    const void *reserved[9];
} casgi_process_1_t;

#define CASGI_PROCESS_ (casgi_imports_.process)

/* [task] Starts a program. *out_process is yours: casgi_process_close. CASGI_ENOENT: no such program or directory;
 * CASGI_EACCES: it may not be executed; CASGI_EINVAL. Cancelled: nothing runs. */
static inline int casgi_process_spawn(const casgi_spawn_t *spawn, casgi_process_t **out_process)
{
    return CASGI_PROCESS_ ? CASGI_PROCESS_->spawn(spawn, out_process) : CASGI_ENOTSUP;
}

/* [task] Waits until it has ended. May be called again: the answer stays. A caller that is cancelled ends the program
 * (grace_ms) and waits for that before it gets its code: read the pipes first, or elsewhere, or the program may wait
 * for you. CASGI_EBUSY: another task waits. */
static inline int casgi_process_wait(casgi_process_t *process, casgi_exit_t *out_exit)
{
    return CASGI_PROCESS_ ? CASGI_PROCESS_->wait(process, out_exit) : CASGI_ENOTSUP;
}

/* [loop] Sends a signal to it and to what it has started (its process group). CASGI_ENOENT: it has ended. */
static inline int casgi_process_kill(casgi_process_t *process, int signal)
{
    return CASGI_PROCESS_ ? CASGI_PROCESS_->kill(process, signal) : CASGI_ENOTSUP;
}

/* [task] Closes its pipes, ends it if it still runs (grace_ms), waits for that also when the caller is cancelled, and
 * frees it. Always 0. NULL does nothing. */
static inline int casgi_process_close(casgi_process_t *process)
{
    return CASGI_PROCESS_ ? CASGI_PROCESS_->close(process) : CASGI_ENOTSUP;
}

/* [loop] Its number, also after its end. */
static inline int64_t casgi_process_pid(const casgi_process_t *process)
{
    return CASGI_PROCESS_ ? CASGI_PROCESS_->pid(process) : 0;
}

/* [loop] The stream to its input (number 0: casgi_stream_write, then casgi_stream_shutdown), or from its output (1) or
 * error (2: casgi_stream_read); NULL where no pipe was asked for. The process's own: do not close it. */
static inline casgi_stream_t *casgi_process_stream(casgi_process_t *process, int number)
{
    return CASGI_PROCESS_ ? CASGI_PROCESS_->stream(process, number) : NULL;
}

/* [task] Starts a program, feeds it `input`, gathers its output and its error (spawn->stdio is not looked at) until it
 * has ended, at most `limit` bytes each. It need not read all its input. A caller that is cancelled, or more than
 * `limit` bytes (CASGI_ETOOBIG), ends it. */
static inline int casgi_run(const casgi_spawn_t *spawn, casgi_str_t input, size_t limit, casgi_run_t *out_run)
{
    return CASGI_PROCESS_ ? CASGI_PROCESS_->run(spawn, input, limit, out_run) : CASGI_ENOTSUP;
}

CASGI_STATIC_ASSERT(sizeof(casgi_spawn_t) == 128, "casgi_spawn_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_exit_t) == 16, "casgi_exit_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_run_t) == 64, "casgi_run_t is frozen");
CASGI_STATIC_ASSERT(sizeof(casgi_process_1_t) == 128, "casgi_process_1_t is frozen");

CASGI_EXTERN_C_END
