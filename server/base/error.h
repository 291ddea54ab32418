/* base/error.h: codes of the casgi headers, their texts, and errno's translation into them. */
#pragma once

#include "casgi/base.h"

/* [any] The text of a code, of CASGI_ESYSTEM(errno) the system's own; never NULL, static. */
const char *error_text(int code);

/* [any] "EDISCONNECTED", "ENOSPC"; "EUNKNOWN" for a number that has none. Static. */
const char *error_name(int code);

/* [any] The code for an errno: one of ours where we have one, else CASGI_ESYSTEM(number). Always negative. */
int error_from_errno(int number);

/* [any] Fills *error with a code and a sentence; what is too long is cut. Returns `code`. NULL: returns only. */
int error_set(casgi_error_t *error, int code, const char *format, ...) CASGI_PRINTF(3, 4);
