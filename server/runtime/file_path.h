/* runtime/file_path.h: what is done with paths; the other half of "casgi.files/1". Everything is [task]; the rules are
 * those of casgi/files.h. */
#pragma once

#include "casgi/files.h"

int file_path_stat(const char *path, bool follow, casgi_stat_t *out_stat);
int file_path_list(const char *path, casgi_dir_entry_t **out_entries, size_t *out_count);
int file_path_read(const char *path, size_t limit, casgi_str_t *out_text);
int file_path_replace(const char *path, const void *data, size_t size, uint32_t mode);
int file_path_rename(const char *from, const char *to);
int file_path_remove(const char *path);
int file_path_make_directory(const char *path, uint32_t mode);
