/* runtime/file_system.h: what file.c and file_path.c do on their threads: system calls, with casgi's codes. All [any],
 * all may block. */
#pragma once

#include "casgi/files.h"

#include <sys/stat.h>

/* Up to `size` bytes; fewer only at the end. `offset` -1: from the position. */
int system_read(int fd, int64_t offset, void *data, size_t size, size_t *out_size);

/* All of it. */
int system_write(int fd, int64_t offset, const void *data, size_t size);

/* 0, or the code of errno. */
int system_code(int rc);

uint32_t system_file_type(mode_t mode);
void system_stat(const struct stat *from, casgi_stat_t *out_stat);
