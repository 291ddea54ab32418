/* config/check.h: what some options' values must be like, beyond their kind. Each returns 0, or CASGI_EINVAL with the
 * end of a sentence that begins with the option's name. */
#pragma once

#include "casgi/base.h"

int check_not_empty(const char *text, casgi_error_t *error);
int check_socket_path(const char *text, casgi_error_t *error);
int check_bind(const char *text, casgi_error_t *error);
int check_root_path(const char *text, casgi_error_t *error);
int check_excluded_path(const char *text, casgi_error_t *error);
int check_header(const char *text, casgi_error_t *error);

/* A value as it may stand in a message: escaped, in quotes, cut if it is long. Returns `out`. */
#define CHECK_QUOTED_SIZE 100
const char *check_quoted(char out[static CHECK_QUOTED_SIZE], const char *text);
