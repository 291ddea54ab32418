#include "supervisor/watch_steps.h"

#include "casgi/base.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };

struct walk {
    struct step_list *list;
    const char *target;
    int (*enter)(void *data, const char *folder, bool last);
    void *data;
    char *folder; /* physical: no links in it; "" is the root */
    char *rest;   /* what is still to be walked */
    int links;
};

static int add_step(struct walk *walk, const char *name, bool last)
{
    struct step_list *list = walk->list;
    int wd = walk->enter(walk->data, *walk->folder ? walk->folder : "/", last);
    if (wd < 0) {
        return 0;
    }
    struct step *items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items) {
        return CASGI_ENOMEM;
    }
    list->items = items;
    struct step *step = &items[list->count];
    *step = (struct step){ .wd = wd, .name = strdup(name), .target = strdup(walk->target), .last = last };
    list->count++;
    return step->name && step->target ? 0 : CASGI_ENOMEM;
}

/* The next component, taken off the rest; yours. NULL: there is none. */
static char *next_name(struct walk *walk)
{
    char *start = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(start, "/");
    char *name = length ? strndup(start, length) : NULL;
    char *after = start + length;
    after += strspn(after, "/");
    memmove(walk->rest, after, strlen(after) + 1);
    return name;
}

static void go_up(struct walk *walk)
{
    char *slash = strrchr(walk->folder, '/');
    if (slash) {
        *slash = '\0';
    }
}

static int set_folder(struct walk *walk, const char *path)
{
    char *copy = strdup(path);
    if (!copy) {
        return CASGI_ENOMEM;
    }
    free(walk->folder);
    walk->folder = copy;
    return 0;
}

/* Goes on with what the link says. */
static int follow_link(struct walk *walk, const char *path)
{
    char text[PATH_MAX], *rest;
    ssize_t length = readlink(path, text, sizeof(text) - 1);
    if (length < 0 || ++walk->links > LINKS_MAX) {
        *walk->rest = '\0';
        return 0;
    }
    text[length] = '\0';
    if (asprintf(&rest, "%s/%s", text, walk->rest) < 0) {
        return CASGI_ENOMEM;
    }
    free(walk->rest);
    walk->rest = rest;
    return text[0] == '/' ? set_folder(walk, "") : 0;
}

/* One component. *out_over: it was the last, or the path ends here. */
static int walk_name(struct walk *walk, const char *name, bool *out_over)
{
    char *path;
    struct stat st;
    if (strcmp(name, ".") == 0) {
        return 0;
    }
    if (strcmp(name, "..") == 0) {
        go_up(walk);
        return 0;
    }
    if (asprintf(&path, "%s/%s", walk->folder, name) < 0) {
        return CASGI_ENOMEM;
    }
    bool last = !*walk->rest;
    bool there = lstat(path, &st) == 0;
    int rc;
    if (there && S_ISLNK(st.st_mode)) {
        rc = add_step(walk, name, false);
        rc = rc ? rc : follow_link(walk, path);
    } else if (there && S_ISDIR(st.st_mode) && !last) {
        rc = add_step(walk, name, false);
        rc = rc ? rc : set_folder(walk, path);
    } else {
        *out_over = true;
        rc = add_step(walk, name, last);
    }
    free(path);
    return rc;
}

int step_list_follow(struct step_list *list, const char *path, int (*enter)(void *data, const char *folder, bool last),
                     void *data)
{
    struct walk walk = { list, path, enter, data, strdup(""), strdup(path), 0 };
    int rc = walk.folder && walk.rest ? 0 : CASGI_ENOMEM;
    bool over = false;
    while (!rc && !over) {
        char *name = next_name(&walk);
        over = !name;
        if (name) {
            rc = walk_name(&walk, name, &over);
        }
        free(name);
    }
    free(walk.folder);
    free(walk.rest);
    return rc;
}

const struct step *step_list_find(const struct step_list *list, int wd, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].wd == wd && strcmp(list->items[i].name, name) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

void step_list_clear(struct step_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].target);
    }
    free(list->items);
    *list = (struct step_list){ 0 };
}
