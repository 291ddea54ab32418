/* supervisor/depfile.h: the files a compiler has read, from what `cc -MMD` writes (a make rule). */
#pragma once

#include <stddef.h>

/* Paths, each owned. Zeroed is a valid empty list. */
struct path_list {
    char **items;
    size_t count;
};

/* Appends a copy. CASGI_ENOMEM. */
int path_list_add(struct path_list *list, const char *path, size_t length) __attribute__((warn_unused_result));
void path_list_release(struct path_list *list);

/* The prerequisites of the first rule in `text`, escapes undone ("\ ", "\#", "$$", continued lines), each once.
 * CASGI_EINVAL: not a rule; CASGI_ENOMEM. */
int depfile_parse(const char *text, size_t size, struct path_list *out) __attribute__((warn_unused_result));

/* Reads and parses a file of at most 1 MiB. Also CASGI_ENOENT and other codes of the system. */
int depfile_read(const char *path, struct path_list *out);
