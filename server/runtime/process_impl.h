/* runtime/process_impl.h: what the files of processes share. Nobody else includes it. */
#pragma once

#include "runtime/fdwatch.h"
#include "runtime/process.h"
#include "runtime/socket.h"

#include <sys/types.h>

struct casgi_process {
    struct fd_watch watch; /* of `pidfd`: readable when it has ended */
    int pidfd;
    pid_t pid;
    uint32_t grace_ms;
    bool ended;
    bool ending;  /* before its time: all it started is to go with it */
    bool waiting; /* a task is in process_wait */
    casgi_exit_t exit;
    struct casgi_stream *streams[3]; /* NULL: no pipe */
};

/* What the child is started with, and what becomes of it. */
struct launch {
    const casgi_spawn_t *spawn;
    int child[3];  /* descriptors that become 0, 1, 2; -1: see spawn->stdio */
    int parent[3]; /* our ends of pipes; -1: none */
    pid_t pid;     /* 0: nothing was started */
    int pidfd;
};

/* [any], may block: starts it. 0 or a code. process_launch.c */
int launch_start(struct launch *launch);

/* [any] Checks what was asked for, makes the pipes. Nothing is open after a failure. */
int launch_prepare(const casgi_spawn_t *spawn, struct launch *out_launch) __attribute__((warn_unused_result));

/* [any] Closes what belongs to the child. */
void launch_close_child(struct launch *launch);
void launch_close_parent(struct launch *launch);

/* [loop] Whether it has ended; takes its status, once. */
bool process_look(struct casgi_process *process);

/* [task] Ends it as its grace says and waits for that. Not cancellable. */
void process_end(struct casgi_process *process);
