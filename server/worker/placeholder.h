/* worker/placeholder.h: the application of a worker that has none: it answers every request with 503 and a text, so
 * that the browser shows why nothing works. */
#pragma once

#include "casgi/app.h"

struct placeholder;

/* The text is copied. NULL: out of memory. */
struct placeholder *placeholder_new(const char *text);
void placeholder_free(struct placeholder *placeholder); /* NULL does nothing */

casgi_app_t *placeholder_app(struct placeholder *placeholder);

/* Requests that come later are answered with this. NULL: there is no placeholder. */
void placeholder_set_text(struct placeholder *placeholder, casgi_str_t text);
