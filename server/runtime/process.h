/* runtime/process.h: other programs: the interface "casgi.process/1". casgi_process_t is struct casgi_process. A child
 * is waited for by its descriptor (pidfd), so nothing here needs SIGCHLD; nobody else may reap it. The rules are those
 * of casgi/process.h. */
#pragma once

#include "casgi/process.h"

struct casgi_process;

/* [task] */
int process_spawn(const casgi_spawn_t *spawn, struct casgi_process **out_process) __attribute__((warn_unused_result));
int process_wait(struct casgi_process *process, casgi_exit_t *out_exit) __attribute__((warn_unused_result));
int process_close(struct casgi_process *process);
int process_run(const casgi_spawn_t *spawn, casgi_str_t input, size_t limit, casgi_run_t *out_run)
    __attribute__((warn_unused_result));

/* [loop] */
int process_kill(struct casgi_process *process, int signal);

/* The table behind "casgi.process/1". */
extern const casgi_process_1_t process_interface;
