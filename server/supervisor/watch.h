/* supervisor/watch.h: learns that files were saved (inotify). Two kinds of things are watched:
 *
 *   files  single ones, by path: the module, a source and its headers. Their folders are watched, not they: most saves
 *          are a rename over the old file. A file may be missing, be reached through symbolic links, and its folder
 *          may go and come back ("rm -rf build; make"): what leads to it is watched as far as it exists.
 *   trees  folders with all below them, those made later too; patterns say which files in them matter.
 *
 * A save is a close after writing, a rename into place, or a new link; a file that is still being written is reported
 * as such. Deleting is not a save. */
#pragma once

#include "casgi/base.h"

struct path_list;
struct pattern_set;
struct watch;

/* `patterns` (borrowed; may be NULL if there are no trees) must outlive it. The system's code when there is no
 * inotify. */
int watch_new(const struct pattern_set *patterns, struct watch **out, casgi_error_t *error)
    __attribute__((warn_unused_result));
void watch_free(struct watch *watch); /* NULL does nothing */

/* Poll it for reading. */
int watch_fd(const struct watch *watch);

/* These single files, instead of those before. Relative paths are below the current folder. */
int watch_set_files(struct watch *watch, const struct path_list *files);

/* A folder and all below it. */
int watch_add_tree(struct watch *watch, const char *folder, casgi_error_t *error) __attribute__((warn_unused_result));

enum watch_result {
    WATCH_NOTHING,
    WATCH_WRITING, /* something that matters is being written: wait for its close */
    WATCH_SAVED,
};

/* Reads what has happened. With WATCH_SAVED, *out_path is one of the files, borrowed until the next call. */
enum watch_result watch_read(struct watch *watch, const char **out_path);

/* How many folders could not be watched, since the system's limit is reached. */
size_t watch_unwatched(const struct watch *watch);
