/* supervisor/disk.h: whole files: reading, copying, replacing. */
#pragma once

#include <stddef.h>

/* The whole file, NUL-terminated; *out_text is yours, free it. CASGI_ETOOBIG above `limit` bytes. */
int disk_read(const char *path, size_t limit, char **out_text, size_t *out_size) __attribute__((warn_unused_result));

/* Writes the file under another name beside it and renames it, so that nobody sees half of it. */
int disk_replace(const char *path, const void *data, size_t size);

/* Copies what `from` holds, from its beginning, into the empty file `to`: shared blocks where the file system can. */
int disk_copy(int from, int to) __attribute__((warn_unused_result));

/* "A", "/", "B" joined: yours, free it. NULL: out of memory. */
char *path_join(const char *folder, const char *name);

/* What stands before the last slash ("." if there is none): yours, free it; and the name after it, borrowed. */
char *path_folder(const char *path);
const char *path_name(const char *path);
