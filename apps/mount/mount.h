/* mount: several applications under prefixes. The files: mount.c routes requests, state.c gives each mount a state of
 * its own, lifespans.c runs the lifespans. */
#pragma once

#include <casgi/casgi.h>

/* One application under its prefix. */
struct mount {
    char *prefix; /* "/a"; "" for the root; owned */
    size_t prefix_len;
    const char *spec; /* borrowed from argv */
    casgi_app_t *app;
    uint32_t flags;
};

struct mounts {
    casgi_app_t base;
    struct mount *items; /* the longest prefix first */
    size_t count;
    struct mount **order; /* as given on the command line: in which they start */
};

/* A view of the lifespan state for one mount: keys it sets are its own, so that two modules that use the same key do
 * not meet; a key that it has not set is looked up in the outer state. */
struct mount_state {
    casgi_state_t base;
    casgi_state_t *outer;
    const struct mount *mount;
};

/* Makes *state a view of `outer`, borrowed as long as the view is used; returns what goes into the scope. */
casgi_state_t *mount_state_init(struct mount_state *state, const struct mount *mount, casgi_state_t *outer);

/* [task] The lifespan of all of them, one after another in the order given, ended in reverse. */
int mounts_lifespan(struct mounts *mounts, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);
