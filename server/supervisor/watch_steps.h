/* supervisor/watch_steps.h: the names whose change means that a file, reached by its path, is another one. For
 * "/srv/app/current/app.so" with current -> releases/5 these are "srv", "app", "current", "releases", "5" and "app.so",
 * each in its folder; for a path whose folder is missing, they end with the first name that is. (That a folder went
 * is seen in the folder above it: while a file in it is mapped, its own watch says nothing.) */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct step {
    int wd;
    char *name;   /* in that folder */
    char *target; /* the whole path it is on the way to */
    bool last;    /* it is the file itself; else a link or a folder on the way */
};

/* Zeroed is a valid empty list. */
struct step_list {
    struct step *items;
    size_t count;
};

/* Adds the steps to `path` (absolute). `enter` gives the number by which a folder is watched; `last`: for the file in
 * it. -1: it cannot be watched, and its step is left out. CASGI_ENOMEM. */
int step_list_follow(struct step_list *list, const char *path, int (*enter)(void *data, const char *folder, bool last),
                     void *data) __attribute__((warn_unused_result));

const struct step *step_list_find(const struct step_list *list, int wd, const char *name);
void step_list_clear(struct step_list *list);
