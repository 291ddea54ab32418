/* base/log.h: the server's log. Lines go to stderr (access lines to stdout), gathered and written off the request
 * path; a full disk, a pipe nobody reads or a closed descriptor loses lines, never blocks or stops the server: they are
 * counted, and the log says so when it can ("12 log lines lost"). What comes from outside is escaped: a line stays one
 * line. Library rooms do not log: connection, worker, supervisor do.
 *
 *   text   INFO:     [request id] message                           (with colours on a terminal,
 *          2024-11-25T09:14:03.123Z INFO:     [request id] message   with the time elsewhere)
 *   json   {"time":"2024-11-25T09:14:03.123Z","level":"info","pid":71,"message":"...","request_id":"..."}
 *
 * Nothing here may be called from a signal handler. errno is left as it was. */
#pragma once

#include "casgi/base.h"
#include "casgi/host.h" /* enum casgi_log_level */

#include <stdarg.h>

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum log_stream { LOG_STDERR, LOG_STDOUT };

#define LOG_LINE_MAX 4096 /* of a line with its newline; longer ones are cut. What a pipe takes whole (PIPE_BUF). */

struct log_options {
    int level; /* enum casgi_log_level: lines below are dropped */
    enum log_format format;
    int colors; /* -1: when the descriptor is a terminal */
};

/* Looks at what stderr and stdout are, ignores SIGPIPE and SIGXFSZ (which writing would end the process with), and puts
 * /dev/null where 0, 1 or 2 is closed, so that no socket is ever taken for a log. To be called first thing, before any
 * thread; may be called again. */
void log_setup(const struct log_options *options);
bool log_enabled(int level);
bool log_json(void);
bool log_colors(enum log_stream stream);

/* [any] One line on stderr. */
void log_print(int level, const char *format, ...) CASGI_PRINTF(2, 3);
void log_printv(int level, const char *format, va_list args) CASGI_PRINTF(2, 0);

/* What every line logged by this thread is tagged with: the id of the running request; ptr NULL: nothing. Borrowed.
 * Returns what it was before. */
casgi_str_t log_set_request(casgi_str_t request_id);

/* Asked for that id whenever a line is printed by a thread that has set none, so that a switch of tasks costs nothing.
 * May be called on any thread; gives ptr NULL for nothing. NULL: nobody is asked. */
void log_set_request_source(casgi_str_t (*source)(void));

/* [any] One finished access line on stdout, already escaped, without a newline. As text it gets the time and "INFO:"
 * in front, as JSON it stands as it is. */
void log_access(const char *line, size_t size);

/* This thread promises to call log_flush once a turn of its loop: its lines below WARNING may wait for that. Lines of
 * threads that do not promise are written at once. */
void log_gather(bool on);

/* [any] Writes what has been gathered, as far as it can be written without waiting. Costs nothing if there is nothing.
 */
void log_flush(void);

/* [any] Whether a flush left something, because a pipe is full: flush again before long. */
bool log_pending(void);

/* [any] Before exit: flushes, waiting at most half a second for a slow reader, and tells of what was lost. */
void log_finish(void);

/* [any] Now as "2024-11-25T09:14:03.123Z", with a NUL. */
#define LOG_TIME_LEN 24
void log_time(char out[static LOG_TIME_LEN + 1]);

/* Text as it may stand between quotes in a line: control characters (C1 and Unicode's line ends too) and bytes that are
 * not UTF-8 as \xHH, quotes and backslashes escaped. Writes at most `capacity` bytes with the NUL; what does not fit is
 * cut and ends in "...". Returns the length written. */
size_t log_escape(char *out, size_t capacity, casgi_str_t text);

/* The same, but quotes, backslashes and tabs stay: for a whole message. */
size_t log_escape_message(char *out, size_t capacity, casgi_str_t text);

/* Text as a JSON string's inside (RFC 8259); invalid UTF-8 becomes U+FFFD. Same rules. */
size_t log_escape_json(char *out, size_t capacity, casgi_str_t text);
