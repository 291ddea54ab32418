/* A finished exchange to observe, and what the log makes of it. */
#pragma once

#include "exchange/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

/* GET /x?y from 127.0.0.1:51234, answered 200 with 13 bytes after 215 microseconds, request id "abc". */
void sample(struct exchange *ex);

/* From here to log_taken, stdout and stderr are the log's; returned is what was written to `fd`. Borrowed until the
 * next. */
void log_take(int level, bool json);
const char *log_taken(int fd);

/* The whole text matches the extended regular expression. */
void assert_matches(const char *text, const char *pattern);
