/* runtime/file.h: files, their work done on threads (THREAD_FILES): the interface "casgi.files/1". What is in memory
 * already is read without a thread. casgi_file_t is struct casgi_file. The rules are those of casgi/files.h; everything
 * is [task] unless it says otherwise. */
#pragma once

#include "casgi/files.h"

struct casgi_file;

#define FILE_HERE (-1) /* an offset: the file's position */

/* `flags`: enum casgi_open_flag. *out_file is the caller's: file_close. */
int file_open(const char *path, uint32_t flags, uint32_t mode, struct casgi_file **out_file)
    __attribute__((warn_unused_result));
int file_close(struct casgi_file *file);

/* [any] */
int file_descriptor(const struct casgi_file *file);

/* At `offset`, or FILE_HERE. */
int file_read(struct casgi_file *file, int64_t offset, void *data, size_t size, size_t *out_size)
    __attribute__((warn_unused_result));
int file_write(struct casgi_file *file, int64_t offset, const void *data, size_t size)
    __attribute__((warn_unused_result));

/* The table behind "casgi.files/1". */
extern const casgi_files_1_t files_interface;
