/* config/value.h: from the text of a value to the member of struct config, by the option table. */
#pragma once

#include "config/options.h"

/* Sets (of a list: adds to) the option's member. `where` is what the message begins with: "--port". CASGI_EINVAL,
 * CASGI_ENOMEM: nothing is changed. A flag's text is yes, no, true, false, on, off, 1 or 0. */
int value_set(struct config *config, const struct option *option, const char *text, const char *where,
              casgi_error_t *error) __attribute__((warn_unused_result));

/* Frees what the option's member holds. */
void value_release(struct config *config, const struct option *option);
