/* supervisor/watch_steps.h: the names whose change means that a file, reached by its path, is another one. For
 * "/srv/app/current/app.so" with current -> releases/5 these are "current" in /srv/app and "app.so" in
 * /srv/app/releases/5; for a path whose folder is missing, the first name that is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct step {
    int wd;
    char *name;   /* in that folder */
    char *target; /* the whole path it is on the way to */
    bool last;    /* it is the file itself; else a link, or a folder that is missing */
};

/* Zeroed is a valid empty list. */
struct step_list {
    struct step *items;
    size_t count;
};

/* Adds the steps to `path` (absolute). `enter` gives the number by which a folder is watched; -1: it cannot be, and its
 * step is left out. CASGI_ENOMEM. */
int step_list_follow(struct step_list *list, const char *path, int (*enter)(void *data, const char *folder), void *data)
    __attribute__((warn_unused_result));

const struct step *step_list_find(const struct step_list *list, int wd, const char *name);
void step_list_clear(struct step_list *list);
