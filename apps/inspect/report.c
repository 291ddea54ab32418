#include "report.h"

#include <string.h>

#define EVENTS_SHOWN 1000
#define BODY_SHOWN 65536u /* bytes of body in one report */

void report_release(struct report *report)
{
    text_release(&report->received);
    text_release(&report->sent);
}

const char *report_code_name(int code)
{
    switch (code) {
    case 0:
        return "OK";
#define NAME(name, number, text) \
    case (number):               \
        return #name;
        CASGI_ERROR_MAP(NAME)
#undef NAME
    default:
        return "ESYSTEM";
    }
}

/* ---- events ---- */

static bool begin_event(struct text *text, size_t *count, int rc, uint32_t type)
{
    if ((*count)++ >= EVENTS_SHOWN) {
        return false;
    }
    text_print(text, "%s{\"result\":\"%s\"", *count > 1 ? "," : "", report_code_name(rc));
    if (type != CASGI_EVENT_NONE) {
        text_print(text, ",\"type\":\"%s\"", casgi_event_name(type));
    }
    return true;
}

void report_received(struct report *report, int rc, const casgi_event_t *event)
{
    struct text *text = &report->received;
    bool is_body = rc == 0 && event->type == CASGI_HTTP_REQUEST;
    casgi_str_t body = is_body ? event->http_request.body : (casgi_str_t){ NULL, 0 };
    report->body_bytes += body.len;
    if (!begin_event(text, &report->received_count, rc, rc ? CASGI_EVENT_NONE : event->type)) {
        return;
    }
    if (is_body) {
        text_print(text, ",\"body_bytes\":%zu,\"more_body\":%s", body.len,
                   event->http_request.more_body ? "true" : "false");
        if (body.len <= BODY_SHOWN - report->body_kept) {
            report->body_kept += body.len;
            text_print(text, ",\"body\":");
            text_json_bytes(text, body.ptr ? body : (casgi_str_t)CASGI_STR(""));
        }
    }
    text_print(text, "}");
}

void report_sent(struct report *report, int rc, const casgi_event_t *event)
{
    if (begin_event(&report->sent, &report->sent_count, rc, event->type)) {
        text_print(&report->sent, "}");
    }
}

void report_events(struct text *out, const struct report *report)
{
    text_print(out, "\"received\":[");
    text_add(out, report->received.data, report->received.size);
    text_print(out, "],\"sent\":[");
    text_add(out, report->sent.data, report->sent.size);
    text_print(out, "],\"body_bytes\":%llu", (unsigned long long)report->body_bytes);
}

/* ---- scope ---- */

static void add_text(struct text *out, const char *key, casgi_str_t value)
{
    text_print(out, ",\"%s\":", key);
    text_json_utf8(out, value);
}

static void add_bytes(struct text *out, const char *key, casgi_str_t value)
{
    text_print(out, ",\"%s\":", key);
    text_json_bytes(out, value);
}

static void add_address(struct text *out, const char *key, const casgi_address_t *address)
{
    text_print(out, ",\"%s\":", key);
    if (!address->host.ptr) {
        text_print(out, "null");
        return;
    }
    text_print(out, "[");
    text_json_bytes(out, address->host);
    if (address->port < 0) {
        text_print(out, ",null]");
    } else {
        text_print(out, ",%d]", (int)address->port);
    }
}

static void add_headers(struct text *out, const casgi_scope_t *scope)
{
    text_print(out, ",\"headers\":[");
    for (size_t i = 0; i < scope->header_count; i++) {
        text_print(out, "%s[", i ? "," : "");
        text_json_bytes(out, scope->headers[i].name);
        text_print(out, ",");
        text_json_bytes(out, scope->headers[i].value);
        text_print(out, "]");
    }
    text_print(out, "]");
}

/* Those of ASGI's extensions that the server offers. */
static void add_extensions(struct text *out, const casgi_scope_t *scope)
{
    static const char *const names[] = {
        "http.response.push",       "http.response.zerocopysend", "http.response.pathsend",  "tls",
        "http.response.early_hint", "http.response.trailers",     "websocket.http.response", "http.response.debug",
    };
    const char *separator = "";
    text_print(out, ",\"extensions\":{");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (casgi_scope_get(scope, names[i])) {
            text_print(out, "%s\"%s\":{}", separator, names[i]);
            separator = ",";
        }
    }
    text_print(out, "}");
}

/* The keys that the probe itself sets; null without a state. */
static void add_state(struct text *out, const casgi_scope_t *scope)
{
    if (!scope->state) {
        text_print(out, ",\"state\":null");
        return;
    }
    text_print(out, ",\"state\":{\"lifespan\":%s,\"request\":%s}",
               casgi_state_get(scope, "inspect.lifespan") ? "true" : "false",
               casgi_state_get(scope, "inspect.request") ? "true" : "false");
}

void report_scope(struct text *out, const casgi_scope_t *scope)
{
    text_print(out, "{\"type\":");
    text_json_utf8(out, scope->type_name);
    text_print(out, ",\"asgi\":{\"version\":");
    text_json_utf8(out, scope->asgi_version);
    add_text(out, "spec_version", scope->asgi_spec_version);
    text_print(out, "}");
    add_text(out, "http_version", scope->http_version);
    add_text(out, "method", scope->method);
    add_text(out, "scheme", scope->scheme);
    add_text(out, "path", scope->path);
    add_bytes(out, "raw_path", scope->raw_path);
    add_bytes(out, "query_string", scope->query_string);
    add_text(out, "root_path", scope->root_path);
    add_headers(out, scope);
    add_address(out, "client", &scope->client);
    add_address(out, "server", &scope->server);
    add_state(out, scope);
    add_extensions(out, scope);
    add_bytes(out, "request_id", scope->request_id);
    text_print(out, "}");
}
