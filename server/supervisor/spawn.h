/* supervisor/spawn.h: starting another program: no memory is copied, signals are as a program expects them, and only
 * the descriptors named here are inherited (all of ours are close-on-exec). */
#pragma once

#include <sys/types.h>

struct spawn_options {
    char *const *argv;        /* argv[0] is searched in $PATH unless it has a slash or `file` is given */
    const char *file;         /* NULL: argv[0] */
    char *const *environment; /* NULL: ours */
    int control;              /* becomes SPAWN_CONTROL_FD; -1: none */
    int output;               /* becomes stdout and stderr; -1: ours */
    int group;                /* a process group of its own, so that its children can be killed with it */
};

#define SPAWN_CONTROL_FD 3

/* 0 and the process; or the system's code. */
int spawn_program(const struct spawn_options *options, pid_t *out_pid) __attribute__((warn_unused_result));
