/* supervisor/build.h: a source file made into a module, as `casgi app.c` does: $CC or cc ($CXX or c++ for C++), the
 * ABI's headers in reach, --cflags and --libs added. Results are kept by content: of the source, of every header the
 * compiler reported, of the flags and the compiler. What the compiler prints is gathered, not shown.
 *
 *   build_start --> (kept already) ---------------------------> done
 *              \--> compiling: poll build_fd, build_read; build_exited when the process has ended --> done
 */
#pragma once

#include "casgi/base.h"
#include "supervisor/depfile.h"

#include <stdbool.h>
#include <sys/types.h>

struct artifact;

struct build_options {
    const char *source; /* borrowed, as are the next ones, until build_free */
    bool cxx;
    const char *cflags; /* NULL: none */
    const char *libs;
    bool debug;  /* for the debugger rather than for speed */
    bool colors; /* the output is for a terminal */
};

struct build;

/* Begins. A failure here (no compiler, no cache folder, unreadable source) has its sentence in *error. */
int build_start(const struct build_options *options, struct build **out, casgi_error_t *error)
    __attribute__((warn_unused_result));

bool build_done(const struct build *build);
pid_t build_pid(const struct build *build); /* of the compiler; 0: none runs */
int build_fd(const struct build *build);    /* poll it for reading; -1: nothing will come */
void build_read(struct build *build);
void build_exited(struct build *build, int wait_status);

/* Once done: the module (borrowed; ref to keep it), or NULL. */
struct artifact *build_artifact(const struct build *build);
/* What the compiler printed, also when it succeeded (warnings); NUL-terminated, "" for nothing. */
const char *build_output(const struct build *build);
/* The files the result was made from, the source among them; if the compiler failed, as far as they are known. */
const struct path_list *build_dependencies(const struct build *build);

/* Kills the compiler, if it runs. NULL does nothing. */
void build_free(struct build *build);

/* All of it at once, the compiler's output on stderr. The artifact is yours. */
int build_wait(const struct build_options *options, struct artifact **out, casgi_error_t *error)
    __attribute__((warn_unused_result));
