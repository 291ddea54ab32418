/* supervisor/artifact.h: a shared object that workers load: a private copy of the author's, or a build's result. It is
 * never written to while it may be mapped, stays as long as somebody holds it, and a copy goes with its last holder.
 *
 * While it is held its file is locked (flock), by which copies that a killed supervisor left behind, and results nobody
 * uses, are told from those in use. */
#pragma once

#include "casgi/base.h"

struct artifact {
    char *path;
    int lock;     /* descriptor of the file, shared lock */
    bool is_copy; /* its file goes with the last holder */
    unsigned refs;
};

/* Copies the shared object at `path` to ".NAME.GENERATION" beside it, the first generation from `generation` on that is
 * free; where that folder cannot be written, into `cache` (NULL: there is none). Abandoned copies there are removed. 0;
 * CASGI_EAGAIN: it was written to meanwhile (a change follows); a code with the sentence in *error. */
int artifact_copy(const char *path, unsigned generation, const char *cache, struct artifact **out, casgi_error_t *error)
    __attribute__((warn_unused_result));

/* Holds a file that is there. `temporary`: it goes with its last holder. */
int artifact_hold(const char *path, bool temporary, struct artifact **out);

struct artifact *artifact_ref(struct artifact *artifact);
void artifact_unref(struct artifact *artifact); /* NULL does nothing */

/* Removes the file unless somebody holds it. Whether it did. */
bool artifact_remove_abandoned(const char *path);
