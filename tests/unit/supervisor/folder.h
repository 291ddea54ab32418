/* A folder of its own for each test, and files in it. */
#pragma once

#include <stddef.h>

/* For cmocka: makes and removes it with all that is in it. */
int folder_set_up(void **state);
int folder_tear_down(void **state);

/* Its absolute path. */
const char *folder(void);

/* "NAME" in it; valid until the tenth call after this one. */
const char *in_folder(const char *name);

void write_file(const char *name, const char *text);

/* As editors save: another file takes the name. */
void replace_file(const char *name, const char *text);
void make_folder(const char *name);
void remove_all(const char *name);
