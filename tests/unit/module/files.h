/* What the tests of modules share: a folder of their own, and modules with a few bytes changed. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "casgi/base.h"

#define GOOD "fixtures/module/good.so"

struct image {
    char *bytes;
    size_t size;
};

/* cmocka setup and teardown: *state is the path of a new, empty folder, removed with what is in it. */
int setup_folder(void **state);
int teardown_folder(void **state);

/* "FOLDER/NAME"; static, until the next call. */
const char *path_in(void *const *state, const char *name);

/* A file's bytes; image_free. Fails the test if it cannot be read. */
struct image image_read(const char *path);
void image_free(struct image *image);

/* Replaces every place of the text `from`, which must be there, by `to` of the same length. */
void image_replace(struct image *image, const char *from, const char *to);

/* Writes the first `size` bytes to a new file. */
void image_write(const struct image *image, size_t size, const char *path);

/* A copy of good.so with `from` replaced by `to`, in the folder; its path, static. */
const char *changed_module(void *const *state, const char *from, const char *to);

/* Fails the test unless `part` is in `text`. */
void assert_contains(const char *text, const char *part);
