/* base/log.h: the server's log. Lines go to stderr (access lines to stdout), gathered and written off the request
 * path; a full disk or a closed descriptor loses lines, never blocks or stops the server. What comes from outside is
 * escaped: a line stays one line. Library rooms do not log: connection, worker, supervisor do. */
#pragma once

#include "casgi/base.h"
#include "casgi/host.h" /* enum casgi_log_level */

#include <stdarg.h>

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_options {
    int level; /* enum casgi_log_level: lines below are dropped */
    enum log_format format;
    int colors; /* -1: when the descriptor is a terminal */
};

void log_setup(const struct log_options *options);
bool log_enabled(int level);

/* [any] One line on stderr. */
void log_print(int level, const char *format, ...) CASGI_PRINTF(2, 3);
void log_printv(int level, const char *format, va_list args) CASGI_PRINTF(2, 0);

/* What every line logged by this thread is tagged with: the id of the running request; ptr NULL: nothing. Borrowed. */
void log_set_request(casgi_str_t request_id);

/* [any] One finished access line, without a newline, on stdout; already escaped. */
void log_access(const char *line, size_t size);

/* [any] Writes what has been gathered. Called by the loop once a turn, and before exit. Between, lines at WARNING and
 * above are written at once. */
void log_flush(void);

/* Text as it may stand in a line: control characters and bytes that are not UTF-8 as \xHH, quotes and backslashes
 * escaped. Writes at most `capacity` bytes with the NUL; returns the length written. */
size_t log_escape(char *out, size_t capacity, casgi_str_t text);

/* Text as a JSON string's inside (RFC 8259); invalid UTF-8 becomes U+FFFD. Same rules. */
size_t log_escape_json(char *out, size_t capacity, casgi_str_t text);
