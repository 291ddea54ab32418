#include "observe/trace_events.h"

#include "base/error.h"
#include "base/log.h"
#include "observe/line.h"

#include <stdlib.h>

enum { FIELD_MAX = 300, TARGET_MAX = 1000, TEXT_MAX = 500, TRACE_LINE = LOG_LINE_MAX - 256 };

struct trace_events {
    struct exchange_observer observer;
    char line[TRACE_LINE];
};

/* Prints the line with the exchange's id as its tag, wherever the loop is just now. */
static void print(struct trace_events *trace, struct line *line, const struct exchange *ex)
{
    *line->at = '\0';
    casgi_str_t before = log_set_request(ex->scope.request_id);
    log_print(CASGI_LOG_TRACE, "ASGI %s", trace->line);
    (void)log_set_request(before);
}

static void put_bytes(struct line *line, casgi_str_t bytes)
{
    line_put_literal(line, " <");
    line_put_number(line, bytes.len);
    line_put_literal(line, " bytes>");
}

/* " name=value", escaped. */
static void put_text(struct line *line, const char *name, casgi_str_t value)
{
    line_put_char(line, ' ');
    line_put(line, casgi_str(name));
    line_put_literal(line, "=\"");
    line_put_escaped(line, value, TEXT_MAX);
    line_put_char(line, '"');
}

static void put_number(struct line *line, const char *name, int64_t value)
{
    line_put_char(line, ' ');
    line_put(line, casgi_str(name));
    line_put_char(line, '=');
    line_put_signed(line, value);
}

static void put_bool(struct line *line, const char *name, bool value)
{
    line_put_char(line, ' ');
    line_put(line, casgi_str(name));
    line_put(line, casgi_str(value ? "=true" : "=false"));
}

/* Fields whose values are nobody's business, in a log least of all. */
static bool is_secret(casgi_str_t name)
{
    static const casgi_str_t secrets[] = { CASGI_STR("authorization"), CASGI_STR("proxy-authorization"),
                                           CASGI_STR("cookie"), CASGI_STR("set-cookie") };
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        if (casgi_str_equal(secrets[i], name)) {
            return true;
        }
    }
    return false;
}

static void put_headers(struct line *line, const casgi_header_t *headers, size_t count)
{
    line_put_literal(line, " headers=[");
    for (size_t i = 0; i < count; i++) {
        line_put(line, casgi_str(i ? ", \"" : "\""));
        line_put_escaped(line, headers[i].name, FIELD_MAX);
        line_put_literal(line, ":");
        if (is_secret(headers[i].name)) {
            put_bytes(line, headers[i].value);
        } else {
            line_put_char(line, ' ');
            line_put_escaped(line, headers[i].value, FIELD_MAX);
        }
        line_put_char(line, '"');
    }
    line_put_char(line, ']');
}

static void put_links(struct line *line, const casgi_http_response_early_hint_t *hint)
{
    for (size_t i = 0; i < hint->link_count; i++) {
        put_text(line, "link", hint->links[i]);
    }
}

static void put_file(struct line *line, const casgi_http_response_zerocopysend_t *file)
{
    put_number(line, "file", file->file);
    if (file->has_offset) {
        put_number(line, "offset", file->offset);
    }
    if (file->has_count) {
        put_number(line, "count", file->count);
    }
    put_bool(line, "more_body", file->more_body);
}

static void put_message(struct line *line, const casgi_websocket_message_t *message)
{
    line_put(line, casgi_str(message->text.ptr ? " text" : " bytes"));
    put_bytes(line, message->text.ptr ? message->text : message->bytes);
}

static void put_accept(struct line *line, const casgi_websocket_accept_t *accept)
{
    if (accept->subprotocol.ptr) {
        put_text(line, "subprotocol", accept->subprotocol);
    }
    put_headers(line, accept->headers, accept->header_count);
}

/* The members of an http event of the server's or the application's. */
static void put_http(struct line *line, const casgi_event_t *event)
{
    switch (event->type) {
    case CASGI_HTTP_REQUEST:
        put_bytes(line, event->http_request.body);
        put_bool(line, "more_body", event->http_request.more_body);
        break;
    case CASGI_HTTP_RESPONSE_START:
    case CASGI_WEBSOCKET_HTTP_RESPONSE_START:
        put_number(line, "status", event->http_response_start.status);
        put_headers(line, event->http_response_start.headers, event->http_response_start.header_count);
        put_bool(line, "trailers", event->http_response_start.trailers);
        break;
    case CASGI_HTTP_RESPONSE_BODY:
    case CASGI_WEBSOCKET_HTTP_RESPONSE_BODY:
        put_bytes(line, event->http_response_body.body);
        put_bool(line, "more_body", event->http_response_body.more_body);
        break;
    case CASGI_HTTP_RESPONSE_TRAILERS:
        put_headers(line, event->http_response_trailers.headers, event->http_response_trailers.header_count);
        put_bool(line, "more_trailers", event->http_response_trailers.more_trailers);
        break;
    case CASGI_HTTP_RESPONSE_PUSH:
        put_text(line, "path", event->http_response_push.path);
        put_headers(line, event->http_response_push.headers, event->http_response_push.header_count);
        break;
    case CASGI_HTTP_RESPONSE_ZEROCOPYSEND:
        put_file(line, &event->http_response_zerocopysend);
        break;
    case CASGI_HTTP_RESPONSE_PATHSEND:
        put_text(line, "path", event->http_response_pathsend.path);
        break;
    case CASGI_HTTP_RESPONSE_EARLY_HINT:
        put_links(line, &event->http_response_early_hint);
        break;
    case CASGI_HTTP_RESPONSE_DEBUG:
        put_bytes(line, event->http_response_debug.info);
        break;
    default: /* without members */
        break;
    }
}

static void put_members(struct line *line, const casgi_event_t *event)
{
    switch (event->type) {
    case CASGI_WEBSOCKET_ACCEPT:
        put_accept(line, &event->websocket_accept);
        break;
    case CASGI_WEBSOCKET_RECEIVE:
    case CASGI_WEBSOCKET_SEND:
        put_message(line, &event->websocket_message);
        break;
    case CASGI_WEBSOCKET_DISCONNECT:
    case CASGI_WEBSOCKET_CLOSE:
        put_number(line, "code", event->websocket_close.code);
        put_text(line, "reason", event->websocket_close.reason);
        break;
    case CASGI_LIFESPAN_STARTUP_FAILED:
    case CASGI_LIFESPAN_SHUTDOWN_FAILED:
        put_text(line, "message", event->lifespan_failed.message);
        break;
    default:
        put_http(line, event);
        break;
    }
}

static void put_result(struct line *line, int result)
{
    if (result) {
        line_put_literal(line, " -> ");
        line_put(line, casgi_str(error_name(result)));
        line_put_literal(line, " (");
        line_put(line, casgi_str(error_text(result)));
        line_put_char(line, ')');
    }
}

static void on_begin(struct exchange_observer *self, const struct exchange *ex)
{
    struct trace_events *trace = self->data;
    const casgi_scope_t *scope = &ex->scope;
    if (!log_enabled(CASGI_LOG_TRACE)) {
        return;
    }
    struct line line = line_begin(trace->line, sizeof(trace->line));
    line_put_literal(&line, "begin ");
    line_put(&line, scope->type_name);
    line_put_literal(&line, " \"");
    line_put_escaped(&line, scope->method, FIELD_MAX);
    line_put_char(&line, ' ');
    line_put_escaped(&line, scope->raw_path, TARGET_MAX);
    if (scope->query_string.len) {
        line_put_char(&line, '?');
        line_put_escaped(&line, scope->query_string, TARGET_MAX);
    }
    line_put_literal(&line, "\" http_version=");
    line_put_escaped(&line, scope->http_version, FIELD_MAX);
    line_put_literal(&line, " client=");
    line_put_address(&line, &scope->client, line_put_escaped);
    put_headers(&line, scope->headers, scope->header_count);
    print(trace, &line, ex);
}

static void on_event(struct exchange_observer *self, const struct exchange *ex, bool sent, const casgi_event_t *event,
                     int result)
{
    struct trace_events *trace = self->data;
    if (!log_enabled(CASGI_LOG_TRACE)) {
        return;
    }
    struct line line = line_begin(trace->line, sizeof(trace->line));
    line_put(&line, casgi_str(sent ? "send" : "receive"));
    if (sent || !result) { /* a receive that failed has no event */
        line_put_char(&line, ' ');
        line_put(&line, casgi_str(casgi_event_name(event->type)));
        put_members(&line, event);
    }
    put_result(&line, result);
    print(trace, &line, ex);
}

static void on_end(struct exchange_observer *self, const struct exchange *ex)
{
    struct trace_events *trace = self->data;
    const struct exchange_record *record = &ex->record;
    if (!log_enabled(CASGI_LOG_TRACE)) {
        return;
    }
    struct line line = line_begin(trace->line, sizeof(trace->line));
    line_put_literal(&line, "end");
    put_number(&line, "status", record->status);
    put_number(&line, "bytes_in", (int64_t)record->bytes_in);
    put_number(&line, "bytes_out", (int64_t)record->bytes_out);
    line_put_literal(&line, " duration=");
    line_put_milliseconds(&line, record->ended - record->began, 3);
    line_put_literal(&line, "ms result=");
    line_put(&line, casgi_str(error_name(record->app_result)));
    put_bool(&line, "aborted", record->aborted);
    if (record->why) {
        put_text(&line, "why", casgi_str(record->why));
    }
    put_result(&line, record->error);
    print(trace, &line, ex);
}

int trace_events_new(struct exchange_observer **out_observer)
{
    struct trace_events *trace = calloc(1, sizeof(*trace));
    if (!trace) {
        return CASGI_ENOMEM;
    }
    trace->observer = (struct exchange_observer){
        .data = trace, .exact_times = true, .on_begin = on_begin, .on_event = on_event, .on_end = on_end
    };
    *out_observer = &trace->observer;
    return 0;
}

void trace_events_free(struct exchange_observer *observer)
{
    free(observer ? observer->data : NULL);
}
