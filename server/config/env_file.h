/* config/env_file.h: --env-file: lines of NAME=VALUE.
 *
 *   # a comment                      NAME=value # so is this
 *   export NAME=value                NAME="with \"escapes\" \n \t \\ \$"      NAME='just as it stands'
 *
 * Nothing is expanded. A value in quotes ends on its line. */
#pragma once

#include "casgi/base.h"

/* Puts the file's names into the environment; what is set there already stays. CASGI_EINVAL with "FILE:LINE: what is
 * wrong", or the system's error with a sentence. Before other threads. */
int env_file_load(const char *path, casgi_error_t *error) __attribute__((warn_unused_result));

/* One line, taken apart in place (it is NUL-terminated and has no newline). *out_name is NULL for a line that says
 * nothing. 0, or CASGI_EINVAL with what is wrong, static, in *out_wrong. */
int env_line_parse(char *line, char **out_name, char **out_value, const char **out_wrong)
    __attribute__((warn_unused_result));
