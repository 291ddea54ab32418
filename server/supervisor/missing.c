#include "supervisor/missing.h"

#include "casgi/base.h"
#include "supervisor/disk.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static int add_once(struct path_list *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], path) == 0) {
            return 0;
        }
    }
    return path_list_add(list, path, strlen(path));
}

/* ---- where is looked ---- */

static int add_folders_of(const struct path_list *files, struct path_list *folders)
{
    int rc = 0;
    for (size_t i = 0; i < files->count && !rc; i++) {
        if (is_there(files->items[i])) {
            char *folder = path_folder(files->items[i]);
            rc = folder ? add_once(folders, folder) : CASGI_ENOMEM;
            free(folder);
        }
    }
    return rc;
}

/* What follows an option of this kind in its own word; "": the next word does. NULL: it is another word. */
static const char *folder_of_option(const char *word)
{
    static const char *const options[] = { "-I", "-iquote", "-isystem", "-idirafter" };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        size_t length = strlen(options[i]);
        if (strncmp(word, options[i], length) == 0) {
            return word + length;
        }
    }
    return NULL;
}

static int add_folders_named(const struct words *compiler, struct path_list *folders)
{
    int rc = 0;
    for (size_t i = 0; i < compiler->count && !rc; i++) {
        const char *folder = folder_of_option(compiler->items[i]);
        if (folder && !*folder && i + 1 < compiler->count) {
            folder = compiler->items[++i];
        }
        rc = folder && *folder ? add_once(folders, folder) : 0;
    }
    return rc;
}

/* ---- what is looked for ---- */

static int add_places(const char *name, const struct path_list *folders, struct path_list *out)
{
    int rc = 0;
    for (size_t i = 0; i < folders->count && !rc; i++) {
        bool here = strcmp(folders->items[i], ".") == 0;
        char *path = here ? strdup(name) : path_join(folders->items[i], name);
        rc = path ? add_once(out, path) : CASGI_ENOMEM;
        free(path);
    }
    return rc;
}

static int replace_missing(const struct path_list *files, const struct path_list *folders, struct path_list *out)
{
    int rc = 0;
    for (size_t i = 0; i < files->count && !rc; i++) {
        const char *path = files->items[i];
        rc = path[0] == '/' || is_there(path) ? add_once(out, path) : add_places(path, folders, out);
    }
    return rc;
}

int missing_places(const struct words *compiler, struct path_list *files)
{
    struct path_list folders = { 0 }, places = { 0 };
    int rc = add_folders_of(files, &folders);
    rc = rc ? rc : add_folders_named(compiler, &folders);
    rc = rc ? rc : replace_missing(files, &folders, &places);
    path_list_release(&folders);
    path_list_release(rc ? &places : files);
    if (!rc) {
        *files = places;
    }
    return rc;
}
