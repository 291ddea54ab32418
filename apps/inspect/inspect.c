/* The probe: answers every request with what it was given, and does what the query asks of it. See README.md. */
#include "controls.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT_MAX 64
#define UNKNOWN_EVENT 9999u

/* What happened in a request that asked to be kept. */
struct kept {
    char *name;
    struct text text;
};

struct inspect {
    casgi_app_t base;
    unsigned long long calls; /* http calls begun */
    struct kept kept[KEPT_MAX];
    size_t kept_next;
};

/* One request. On the handler's stack. */
struct probe {
    struct inspect *app;
    const casgi_scope_t *scope;
    casgi_receive_t *receive;
    casgi_send_t *send;
    unsigned long long call;
    struct controls controls;
    struct report report;
};

static int receive_one(struct probe *probe, casgi_event_t *event)
{
    int rc = probe->controls.receive_pause_ms ? casgi_sleep((uint64_t)probe->controls.receive_pause_ms) : 0;
    rc = rc ? rc : casgi_receive(probe->receive, event);
    report_received(&probe->report, rc, event);
    return rc;
}

static int receive_events(struct probe *probe, int64_t count)
{
    int rc = 0;
    for (int64_t i = 0; rc == 0 && (count == RECEIVE_ALL || i < count); i++) {
        casgi_event_t event = CASGI_EVENT_INIT(CASGI_EVENT_NONE);
        rc = receive_one(probe, &event);
        bool body_goes_on = event.type == CASGI_HTTP_REQUEST && event.http_request.more_body;
        if (count == RECEIVE_ALL && !body_goes_on) {
            break;
        }
    }
    return rc;
}

/* ---- the response ---- */

static int send_event(struct probe *probe, const casgi_event_t *event)
{
    int rc = casgi_send(probe->send, event);
    report_sent(&probe->report, rc, event);
    return rc;
}

static int send_start(struct probe *probe)
{
    const struct controls *controls = &probe->controls;
    casgi_header_t headers[HEADERS_MAX + 3];
    size_t count = 0;
    headers[count++] = casgi_header("content-type", controls->body_bytes < 0 ? "application/json" : "text/plain");
    if (controls->content_length.ptr) {
        headers[count] = casgi_header("content-length", "");
        headers[count++].value = controls->content_length;
    }
    if (controls->trailers) {
        headers[count++] = casgi_header("trailer", "x-inspect-trailer");
    }
    for (size_t i = 0; i < controls->header_count; i++) {
        headers[count++] = controls->headers[i];
    }
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_START);
    event.http_response_start.status = (int32_t)controls->status;
    event.http_response_start.headers = headers;
    event.http_response_start.header_count = count;
    event.http_response_start.trailers = controls->trailers;
    return send_event(probe, &event);
}

static int send_body(struct probe *probe, const char *data, size_t size, bool more_body)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_BODY);
    event.http_response_body.body.ptr = data;
    event.http_response_body.body.len = size;
    event.http_response_body.more_body = more_body;
    return send_event(probe, &event);
}

static int send_hint(struct probe *probe)
{
    static const casgi_str_t link = CASGI_STR("</style.css>; rel=preload; as=style");
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_EARLY_HINT);
    event.http_response_early_hint.links = &link;
    event.http_response_early_hint.link_count = 1;
    return send_event(probe, &event);
}

static int send_trailers(struct probe *probe)
{
    casgi_header_t trailer = CASGI_HEADER("x-inspect-trailer", "end");
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_TRAILERS);
    event.http_response_trailers.headers = &trailer;
    event.http_response_trailers.header_count = 1;
    return send_event(probe, &event);
}

/* body_bytes bytes, each the letter of its place, in pieces. */
static int send_letters(struct probe *probe, bool more_body)
{
    const struct controls *controls = &probe->controls;
    size_t left = (size_t)controls->body_bytes, piece = controls->piece_bytes ? (size_t)controls->piece_bytes : 1;
    piece = piece > (1u << 20) ? 1u << 20 : piece;
    char *letters = casgi_alloc(piece + 26);
    if (!letters) {
        return CASGI_ENOMEM;
    }
    for (size_t i = 0; i < piece + 26; i++) {
        letters[i] = (char)('a' + i % 26);
    }
    size_t done = 0;
    int rc;
    do {
        size_t size = left - done < piece ? left - done : piece;
        rc = send_body(probe, letters + done % 26, size, more_body || done + size < left);
        done += size;
        if (rc == 0 && done < left && controls->pause_ms) {
            rc = casgi_sleep((uint64_t)controls->pause_ms);
        }
    } while (rc == 0 && done < left);
    return rc;
}

static void write_report(const struct probe *probe, struct text *out)
{
    text_print(out, "{\"scope\":");
    report_scope(out, probe->scope);
    text_print(out, ",");
    report_events(out, &probe->report);
    text_print(out, ",\"call\":%llu,\"pid\":%ld,\"bytes\":\"latin-1\"", probe->call, (long)getpid());
}

static int send_report(struct probe *probe, bool more_body)
{
    struct text text = { 0 };
    write_report(probe, &text);
    text_print(&text, "}\n");
    int rc = text.failed ? CASGI_ENOMEM : send_body(probe, text.data, text.size, more_body);
    text_release(&text);
    return rc;
}

static int send_content(struct probe *probe, bool more_body)
{
    return probe->controls.body_bytes < 0 ? send_report(probe, more_body) : send_letters(probe, more_body);
}

static int send_response(struct probe *probe)
{
    int rc = probe->controls.early_hint ? send_hint(probe) : 0;
    rc = rc ? rc : send_start(probe);
    rc = rc ? rc : send_content(probe, false);
    return rc == 0 && probe->controls.trailers ? send_trailers(probe) : rc;
}

/* ---- misbehaviour, as asked ---- */

static int send_unknown(struct probe *probe)
{
    casgi_event_t event = CASGI_EVENT_INIT(UNKNOWN_EVENT);
    return send_event(probe, &event);
}

static int partial(struct probe *probe, int result)
{
    int rc = send_start(probe);
    rc = rc ? rc : send_content(probe, true);
    return rc ? rc : result;
}

static int two_starts(struct probe *probe)
{
    int rc = send_start(probe);
    return rc ? rc : send_start(probe);
}

static int body_after(struct probe *probe)
{
    int rc = send_response(probe);
    return rc ? rc : send_body(probe, "surplus", strlen("surplus"), false);
}

static int respond(struct probe *probe)
{
    switch (probe->controls.fault) {
    case FAULT_NONE:
        break;
    case FAULT_RETURN:
        return 0;
    case FAULT_ERROR:
        return CASGI_EFAILED;
    case FAULT_START_ONLY:
        return send_start(probe);
    case FAULT_PARTIAL:
        return partial(probe, 0);
    case FAULT_PARTIAL_ERROR:
        return partial(probe, CASGI_EFAILED);
    case FAULT_TWO_STARTS:
        return two_starts(probe);
    case FAULT_BODY_FIRST:
        return send_body(probe, "early", strlen("early"), false);
    case FAULT_BODY_AFTER:
        return body_after(probe);
    case FAULT_UNKNOWN_EVENT:
        (void)send_unknown(probe);
        break;
    case FAULT_HANG:
        return casgi_sleep(UINT64_C(3600000));
    }
    return send_response(probe);
}

/* ---- keeping and recalling ---- */

static struct kept *find_kept(struct inspect *app, casgi_str_t name)
{
    for (size_t i = 0; i < KEPT_MAX; i++) {
        if (app->kept[i].name && casgi_str_equal(casgi_str(app->kept[i].name), name)) {
            return &app->kept[i];
        }
    }
    return NULL;
}

static void kept_release(struct kept *kept)
{
    free(kept->name);
    text_release(&kept->text);
    kept->name = NULL;
}

static void keep(struct probe *probe, int result)
{
    struct inspect *app = probe->app;
    casgi_str_t name = probe->controls.keep;
    struct kept *kept = find_kept(app, name);
    if (!kept) {
        kept = &app->kept[app->kept_next++ % KEPT_MAX];
    }
    kept_release(kept);
    kept->name = strndup(name.ptr, name.len);
    write_report(probe, &kept->text);
    text_print(&kept->text, ",\"result\":\"%s\"}\n", report_code_name(result));
}

static int recall(struct probe *probe)
{
    struct kept *kept = find_kept(probe->app, probe->controls.recall);
    if (!kept || kept->text.failed) {
        return casgi_respond(probe->send, 404, "text/plain", "nothing is kept under this name\n");
    }
    /* A copy: sending may suspend, and meanwhile it may be replaced. */
    char *copy = casgi_alloc(kept->text.size);
    if (!copy) {
        return CASGI_ENOMEM;
    }
    memcpy(copy, kept->text.data, kept->text.size);
    return casgi_respond_bytes(probe->send, 200, "application/json", copy, kept->text.size);
}

/* ---- the handlers ---- */

static int run(struct probe *probe)
{
    const struct controls *controls = &probe->controls;
    int rc = receive_events(probe, controls->receive);
    if (rc == 0 && controls->sleep_ms) {
        rc = casgi_sleep((uint64_t)controls->sleep_ms);
    }
    rc = rc ? rc : respond(probe);
    int received = receive_events(probe, controls->after);
    return rc ? rc : received;
}

static int http(struct inspect *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct probe probe = { .app = app, .scope = scope, .receive = receive, .send = send, .call = ++app->calls };
    casgi_error_t error;
    int rc = controls_parse(scope->query_string, &probe.controls, &error);
    if (rc == CASGI_EINVAL) {
        return casgi_respond(send, 400, "text/plain", error.message);
    }
    if (rc) {
        return rc;
    }
    if (probe.controls.recall.ptr) {
        return recall(&probe);
    }
    if (probe.controls.set_state) {
        (void)casgi_state_set(scope, "inspect.request", app);
    }
    rc = run(&probe);
    if (probe.controls.keep.ptr) {
        keep(&probe, rc);
    }
    report_release(&probe.report);
    return rc;
}

static int lifespan(struct inspect *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event, answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    int rc = casgi_receive(receive, &event);
    if (rc == 0) {
        (void)casgi_state_set(scope, "inspect.lifespan", app);
        rc = casgi_send(send, &answer);
    }
    rc = rc ? rc : casgi_receive(receive, &event);
    answer.type = CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
    return rc ? rc : casgi_send(send, &answer);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct inspect *app = (struct inspect *)self;
    switch (scope->type) {
    case CASGI_SCOPE_HTTP:
        return http(app, scope, receive, send);
    case CASGI_SCOPE_LIFESPAN:
        return lifespan(app, scope, receive, send);
    default:
        return CASGI_ENOTSUP;
    }
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    (void)host, (void)argc, (void)argv;
    struct inspect *app = calloc(1, sizeof(*app));
    if (!app) {
        (void)casgi_error_set(out_error, CASGI_ENOMEM, "out of memory");
        return NULL;
    }
    app->base.call = handle;
    return &app->base;
}

static void destroy(casgi_app_t *base)
{
    struct inspect *app = (struct inspect *)base;
    for (size_t i = 0; i < KEPT_MAX; i++) {
        kept_release(&app->kept[i]);
    }
    free(app);
}

static const casgi_app_record_t record = {
    "app", "answers with the scope and the events it received", create, destroy, CASGI_APP_HTTP | CASGI_APP_LIFESPAN, 0,
    { 0 },
};
CASGI_MODULE("inspect", "1.0", &record);
