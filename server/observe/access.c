#include "observe/access.h"

#include "base/error.h"
#include "base/httpstatus.h"
#include "base/log.h"
#include "observe/line.h"

#include <stdlib.h>

/* How much of each part a line shows, so that all of them together fit into LOG_LINE_MAX, escaped. */
enum {
    METHOD_MAX = 40,
    PATH_MAX_SHOWN = 1400,
    QUERY_MAX = 1000,
    AGENT_MAX = 300,
    REFERER_MAX = 300,
    ID_MAX = 128,
    WHY_MAX = 200,
    PREFIX_MAX = 64, /* what log_access puts in front of text */
    REST_MAX = 600,  /* names, numbers, address */
};

_Static_assert(METHOD_MAX + PATH_MAX_SHOWN + QUERY_MAX + AGENT_MAX + REFERER_MAX + ID_MAX + WHY_MAX + PREFIX_MAX +
                       REST_MAX <
                   LOG_LINE_MAX,
               "a line of the longest parts fits");

struct access_log {
    struct exchange_observer observer;
    struct access_options options;
    char line[LOG_LINE_MAX - PREFIX_MAX];
};

typedef void escape_fn(struct line *line, casgi_str_t text, size_t most);

/* The path as the client sent it: without the root path that the scope has in front. */
static casgi_str_t without_root(casgi_str_t path, casgi_str_t root)
{
    if (root.len && path.len >= root.len && memcmp(path.ptr, root.ptr, root.len) == 0) {
        path.ptr += root.len;
        path.len -= root.len;
    }
    return path;
}

static bool pattern_matches(const char *pattern, casgi_str_t path)
{
    size_t len = strlen(pattern);
    if (len >= 2 && pattern[len - 1] == '*' && pattern[len - 2] == '/') {
        return path.len >= len - 1 && memcmp(path.ptr, pattern, len - 1) == 0;
    }
    return path.len == len && memcmp(path.ptr, pattern, len) == 0;
}

static bool is_excluded(const struct access_options *options, const casgi_scope_t *scope)
{
    for (size_t i = 0; i < options->exclude_count; i++) {
        if (pattern_matches(options->exclude[i], without_root(scope->path, scope->root_path))) {
            return true;
        }
    }
    return false;
}

static casgi_str_t phrase(int status)
{
    static const casgi_str_t client_left = CASGI_STR("Client Closed Request");
    return status == 499 ? client_left : http_reason(status);
}

static uint64_t duration(const struct exchange_record *record)
{
    return record->ended > record->began ? record->ended - record->began : 0;
}

/* ---- text ---- */

static const char *status_color(int status)
{
    static const char *const colors[] = { "\x1b[0m",  "\x1b[97m", "\x1b[32m", /* as uvicorn's */
                                          "\x1b[33m", "\x1b[31m", "\x1b[91m" };
    return colors[status >= 100 && status < 600 ? status / 100 : 0];
}

static void put_request_line(struct line *line, const struct access_log *log, const casgi_scope_t *scope)
{
    line_put_escaped(line, scope->method, METHOD_MAX);
    line_put_char(line, ' ');
    line_put_escaped(line, without_root(scope->raw_path, scope->root_path), PATH_MAX_SHOWN);
    if (log->options.query && scope->query_string.len) {
        line_put_char(line, '?');
        line_put_escaped(line, scope->query_string, QUERY_MAX);
    }
    line_put_literal(line, " HTTP/");
    line_put_escaped(line, scope->http_version, 8);
}

static void put_status(struct line *line, int status)
{
    casgi_str_t text = phrase(status);
    line_put_signed(line, status);
    if (text.len) {
        line_put_char(line, ' ');
        line_put(line, text);
    }
}

static void put_colored(struct line *line, const char *color, bool colors)
{
    if (colors) {
        line_put(line, casgi_str(color));
    }
}

static void put_text(struct line *line, const struct access_log *log, const struct exchange *ex)
{
    const struct exchange_record *record = &ex->record;
    bool colors = log->options.colors;
    line_put_address(line, &ex->scope.client, line_put_escaped);
    line_put_literal(line, " - \"");
    put_colored(line, "\x1b[1m", colors);
    put_request_line(line, log, &ex->scope);
    put_colored(line, "\x1b[0m", colors);
    line_put_literal(line, "\" ");
    put_colored(line, status_color(record->status), colors);
    put_status(line, record->status);
    put_colored(line, "\x1b[0m", colors);
    line_put_char(line, ' ');
    line_put_number(line, record->bytes_out);
    line_put_literal(line, "B ");
    line_put_milliseconds(line, duration(record), 1);
    line_put_literal(line, "ms");
    if (record->aborted && record->status != 499) {
        line_put_literal(line, " aborted");
    }
    if (ex->scope.request_id.len) {
        line_put_literal(line, " [");
        line_put_escaped(line, ex->scope.request_id, ID_MAX);
        line_put_char(line, ']');
    }
}

/* ---- JSON ---- */

static void put_member(struct line *line, casgi_str_t name, casgi_str_t value, size_t most)
{
    if (value.ptr) {
        line_put(line, name); /* `,"name":"` */
        line_put_json(line, value, most);
        line_put_char(line, '"');
    }
}

#define PUT_MEMBER(line, name, value, most) \
    put_member((line), (casgi_str_t)CASGI_STR(",\"" name "\":\""), (value), (most))

static void put_json_request(struct line *line, const struct access_log *log, const casgi_scope_t *scope)
{
    line_put_literal(line, ",\"client\":\"");
    line_put_address(line, &scope->client, line_put_json);
    line_put_char(line, '"');
    PUT_MEMBER(line, "method", scope->method, METHOD_MAX);
    PUT_MEMBER(line, "path", without_root(scope->raw_path, scope->root_path), PATH_MAX_SHOWN);
    if (log->options.query) {
        PUT_MEMBER(line, "query", scope->query_string, QUERY_MAX);
    }
    PUT_MEMBER(line, "http_version", scope->http_version, 8);
}

static void put_json_result(struct line *line, const struct exchange_record *record)
{
    line_put_literal(line, ",\"status\":");
    line_put_signed(line, record->status);
    line_put_literal(line, ",\"bytes_in\":");
    line_put_number(line, record->bytes_in);
    line_put_literal(line, ",\"bytes_out\":");
    line_put_number(line, record->bytes_out);
    line_put_literal(line, ",\"duration_ms\":");
    line_put_milliseconds(line, duration(record), 3);
    if (record->aborted) {
        line_put_literal(line, ",\"aborted\":true");
    }
    if (record->error) {
        PUT_MEMBER(line, "error", casgi_str(error_name(record->error)), WHY_MAX);
    }
    PUT_MEMBER(line, "why", casgi_str(record->why), WHY_MAX);
}

static void put_json(struct line *line, const struct access_log *log, const struct exchange *ex)
{
    char now[LOG_TIME_LEN + 1];
    log_time(now);
    line_put_literal(line, "{\"time\":\"");
    line_put(line, (casgi_str_t){ now, LOG_TIME_LEN });
    line_put_literal(line, "\",\"level\":\"info\",\"kind\":\"access\"");
    put_json_request(line, log, &ex->scope);
    put_json_result(line, &ex->record);
    PUT_MEMBER(line, "request_id", ex->scope.request_id, ID_MAX);
    PUT_MEMBER(line, "user_agent", casgi_scope_header(&ex->scope, "user-agent"), AGENT_MAX);
    PUT_MEMBER(line, "referer", casgi_scope_header(&ex->scope, "referer"), REFERER_MAX);
    line_put_char(line, '}');
}

static void on_end(struct exchange_observer *self, const struct exchange *ex)
{
    struct access_log *log = self->data;
    if (log->options.exclude_count && is_excluded(&log->options, &ex->scope)) {
        return;
    }
    struct line line = line_begin(log->line, sizeof(log->line));
    if (log->options.json) {
        put_json(&line, log, ex);
    } else {
        put_text(&line, log, ex);
    }
    log_access(log->line, (size_t)(line.at - log->line));
}

int access_log_new(const struct access_options *options, struct exchange_observer **out_observer)
{
    struct access_log *log = calloc(1, sizeof(*log));
    if (!log) {
        return CASGI_ENOMEM;
    }
    log->options = *options;
    log->observer.data = log;
    log->observer.on_end = on_end;
    log->observer.exact_times = true;
    *out_observer = &log->observer;
    return 0;
}

void access_log_free(struct exchange_observer *observer)
{
    free(observer ? observer->data : NULL);
}
