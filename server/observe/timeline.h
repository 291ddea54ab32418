/* observe/timeline.h: a file of what every task did: a row for each, with spans in which it ran or waited, and for
 * what. The format is Chrome's trace events, as a JSON array: Perfetto opens it, and timeline.html, which is installed
 * beside the server, draws it without a network. */
#pragma once

#include "casgi/base.h"

struct loop;
struct timeline;

struct timeline_options {
    const char *path;
    uint64_t limit; /* bytes that the file may have, at least 4096; 0: any number */
    bool replace;   /* the file of that name is another process's, which may still write to it: make a new one */
};

/* [loop] Writes from now on what the loop's tasks do. *options is copied, `path` is borrowed until timeline_close. The
 * reason for a failure goes to *out_error. */
int timeline_open(struct loop *loop, const struct timeline_options *options, struct timeline **out_timeline,
                  casgi_error_t *out_error) __attribute__((warn_unused_result));

/* [loop] Ends the file, in which tasks that still wait have their wait, and says in the log where it is. NULL does
 * nothing. */
void timeline_close(struct timeline *timeline);
