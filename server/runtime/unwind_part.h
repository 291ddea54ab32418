/* runtime/unwind_part.h: what the part "unwind" offers: the stack of a thread of another process, by elfutils' libdw,
 * in a shared object of its own (unwind.so), so that only the program that looks at a stack carries libdw. */
#pragma once

#include "casgi/base.h"

#include <sys/types.h>

/* One function on the stack. Texts live until the callback returns; NULL: unknown. */
struct unwind_frame {
    uint64_t address; /* where it will go on, or is */
    const char *function;
    const char *file;
    int line;           /* 0: unknown */
    const char *object; /* the program or shared object */
    bool signal;        /* a signal came here: what was told before is the signal's handler */
};

/* Whom walk tells. */
struct unwind_listener {
    void (*on_taken)(void *arg); /* the stack has been taken, and the thread goes on; frames follow */
    void (*on_frame)(void *arg, const struct unwind_frame *frame);
    void *arg;
};

#define UNWIND_PART_VERSION 1u

struct unwind_part {
    uint32_t version;

    /* May block. Stops the thread for as long as following its stack takes, lets it go on where it was (it receives no
     * signal, and a sleep ends when it would have), and tells of its frames, innermost first. 0, also if the stack
     * could not be followed to its end; CASGI_ESYSTEM and so on: nothing was told, the reason is in *out_error. */
    int (*walk)(pid_t process, pid_t thread, const struct unwind_listener *listener, casgi_error_t *out_error);
};

/* The symbol of the part. */
#define UNWIND_PART_SYMBOL "casgi_part_unwind"
