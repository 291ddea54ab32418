/* Looks at what is promised of all that the server hands out: reserved words are zero, since later minors grow into
 * them, and every text ends in a NUL. Answers with the names of what is not so. */
#include <casgi/casgi.h>

#include <stdio.h>
#include <string.h>

struct report {
    char text[1024];
    size_t size;
    unsigned events;
};

static bool is_zero(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    while (size && !bytes[size - 1]) {
        size--;
    }
    return size == 0;
}

static void expect(struct report *report, bool right, const char *name)
{
    if (!right && report->size + strlen(name) + 2 < sizeof(report->text)) {
        report->size +=
            (size_t)snprintf(report->text + report->size, sizeof(report->text) - report->size, "%s\n", name);
    }
}

static void look_at_text(struct report *report, casgi_str_t text, const char *name)
{
    expect(report, !text.ptr || text.ptr[text.len] == '\0', name);
}

static void look_at_scope(struct report *report, const casgi_scope_t *scope)
{
    const casgi_str_t texts[] = { scope->type_name,    scope->asgi_version, scope->asgi_spec_version,
                                  scope->http_version, scope->method,       scope->scheme,
                                  scope->path,         scope->raw_path,     scope->query_string,
                                  scope->root_path,    scope->client.host,  scope->server.host,
                                  scope->request_id };
    expect(report, !scope->reserved0 && is_zero(scope->reserved, sizeof(scope->reserved)), "the scope's words");
    expect(report, !scope->client.reserved && !scope->server.reserved, "the addresses' words");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        look_at_text(report, texts[i], "a text of the scope");
    }
    for (size_t i = 0; i < scope->header_count; i++) {
        expect(report, is_zero(scope->headers[i].reserved, sizeof(scope->headers[i].reserved)), "a field's words");
        look_at_text(report, scope->headers[i].name, "a field's name");
        look_at_text(report, scope->headers[i].value, "a field's value");
    }
}

static void look_at_event(struct report *report, const casgi_event_t *event)
{
    const char *words = (const char *)event->words;
    size_t used = offsetof(casgi_http_request_t, more_body) + 1;
    report->events++;
    expect(report, event->type == CASGI_HTTP_REQUEST && !event->reserved0, "an event's head");
    expect(report, is_zero(words + used, sizeof(event->words) - used), "an event's unused words");
    expect(report, is_zero(event->reserved, sizeof(event->reserved)), "an event's reserved words");
    look_at_text(report, event->http_request.body, "a piece of body");
}

static int look(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct report report = { .size = 0 };
    casgi_event_t event;
    (void)self;
    look_at_scope(&report, scope);
    do {
        memset(&event, 0xff, sizeof(event));
        int rc = casgi_receive(receive, &event);
        if (rc) {
            return rc;
        }
        look_at_event(&report, &event);
    } while (event.http_request.more_body);
    char line[64];
    (void)snprintf(line, sizeof(line), "%zu fields, %s\n", scope->header_count,
                   report.events > 1 ? "several events" : "one event");
    return casgi_respond(send, 200, "text/plain", report.size ? report.text : line);
}
CASGI_APP(look)
