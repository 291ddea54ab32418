/* module/loader.h: modules and the applications made from them. One set per process (a worker has one); everything is
 * [loop] except where it says otherwise. */
#pragma once

#include "casgi/app.h"

struct module;

/* Reads, checks and loads the shared object at `path`; `shown` (copied; NULL: path) is what messages call it, as a
 * private copy should not be named. Fills its imports. The module is the process's, until module_close_all. 0, or a
 * code with the sentence in *out_error: a usage of the caller's exit code 4. */
int module_open(const char *path, const char *shown, struct module **out_module, casgi_error_t *out_error)
    __attribute__((warn_unused_result));

/* Its record; lives as long as the module. */
const casgi_module_t *module_record(const struct module *module);

/* What messages call it. */
const char *module_shown(const struct module *module);

/* The record called `app_name`; NULL: the one called "app", or the only one. NULL with the sentence in *out_error,
 * which lists those there are. */
const casgi_app_record_t *module_find_app(const struct module *module, const char *app_name, casgi_error_t *out_error);

/* Makes one of its applications; argv[0] should be its name (argc 0: it is made so), argv is borrowed for the process's
 * life. *out_app lives until module_close_all. */
int module_create(struct module *module, const char *app_name, int argc, char **argv, casgi_app_t **out_app,
                  uint32_t *out_flags, casgi_error_t *out_error) __attribute__((warn_unused_result));

/* Destroys every application, the last made first (so an outer one before those it loaded), then unloads the modules,
 * the last opened first. No task of an application may run any more. */
void module_close_all(void);
