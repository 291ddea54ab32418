#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "casgi/imports.h"

enum { OUT_MOST = 8 << 20 };

int setup_wire(void **state)
{
    struct wire *w = calloc(1, sizeof *w);
    struct loop_options options = { .fake_clock = true };
    if (!w || !(w->out = malloc(OUT_MOST)) || loop_new(&options, &w->loop)) {
        return -1;
    }
    casgi_imports_.tasks = &task_interface;
    w->capacity = 1 << 20;
    w->app.data = w;
    w->exchanges = (struct exchange_host){ .loop = w->loop, .app = &w->app };
    exchange_host_init(&w->exchanges);
    w->host = (struct http1_host){
        .exchanges = &w->exchanges,
        .head_limit = 65536,
        .header_count_limit = 100,
        .drain_limit = 65536,
        .scheme = CASGI_STR("http"),
        .server = { CASGI_STR("10.0.0.1"), 8000, 0 },
        .root_path = CASGI_STR(""),
    };
    list_init(&w->connections);
    *state = w;
    return 0;
}

/* ---- what the host is told ---- */

static int on_admit(struct http1_host *host)
{
    struct wire *w = host->data;
    return w->admission;
}

static void on_closed(struct http1_host *host, struct http1 *c)
{
    struct wire *w = host->data;
    assert_ptr_equal(c, w->c);
    w->c = NULL;
    w->closed++;
}

static void on_refused(struct http1_host *host, casgi_address_t client, int status, size_t offset, const char *reason)
{
    struct wire *w = host->data;
    assert_string_equal(client.host.ptr, "10.0.0.2");
    assert_int_equal(client.port, 40000);
    w->refusals++;
    w->status = status;
    w->offset = offset;
    snprintf(w->reason, sizeof w->reason, "%s", reason);
}

/* ---- the client ---- */

static void on_client_readable(void *owner)
{
    struct wire *w = owner;
    ssize_t size = stream_recv(w->client, w->out + w->out_size, OUT_MOST - w->out_size - 1);
    if (size > 0) {
        w->out_size += (size_t)size;
        w->out[w->out_size] = '\0';
    } else if (size != CASGI_EAGAIN) {
        w->ended = true;
        w->failed = (int)size;
        stream_read(w->client, false);
    }
}

static void on_client_writable(void *owner)
{
    (void)owner;
}

static const struct stream_events client_events = { .readable = on_client_readable, .writable = on_client_writable };

static void drop_client(struct wire *w, bool reset)
{
    if (w->client) {
        stream_close(w->client, reset);
        w->client = NULL;
    }
}

static void disconnect(struct wire *w)
{
    drop_client(w, true);
    wire_settle(w);
    if (w->c) {
        http1_close(w->c);
    }
    wire_settle(w);
}

void wire_connect(struct wire *w,
                  int (*handler)(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *))
{
    struct stream *server;
    if (w->host.data) {
        disconnect(w);
    } else {
        w->host.data = w;
        w->host.admit = on_admit;
        w->host.closed = on_closed;
        w->host.refused = on_refused;
        http1_host_init(&w->host, w->loop, SECONDS(HEAD_SECONDS), SECONDS(IDLE_SECONDS), SECONDS(WRITE_SECONDS));
    }
    w->app.call = handler;
    w->out[w->out_size = 0] = '\0';
    w->seen[w->seen_size = 0] = '\0';
    w->ended = false;
    w->failed = w->refusals = w->closed = w->status = w->step = 0;
    assert_int_equal(stream_open_pair(w->loop, w->capacity, &server, &w->client), 0);
    stream_set_owner(w->client, &client_events, w);
    casgi_address_t client = { CASGI_STR("10.0.0.2"), 40000, 0 }, none = { { NULL, 0 }, 0, 0 };
    assert_int_equal(http1_open(&w->host, server, client, none, &w->connections, &w->c), 0);
    wire_read(w, true);
}

int teardown_wire(void **state)
{
    struct wire *w = *state;
    size_t tasks;
    disconnect(w);
    wire_wait(w, SECONDS(3600)); /* handlers that sleep end now */
    tasks = task_count(w->loop);
    if (tasks || w->exchanges.running || !list_empty(&w->connections)) {
        print_error("%zu tasks, %zu exchanges left, connections: %d\n", tasks, w->exchanges.running,
                    !list_empty(&w->connections));
        return -1;
    }
    if (w->host.data) {
        http1_host_release(&w->host);
    }
    exchange_host_release(&w->exchanges);
    casgi_imports_.tasks = NULL;
    loop_free(w->loop);
    free(w->out);
    free(w);
    return 0;
}

void wire_send(struct wire *w, const char *data, size_t size)
{
    struct iovec piece = { (void *)(uintptr_t)data, size };
    (void)!stream_write(w->client, &piece, 1);
}

void wire_say(struct wire *w, const char *text)
{
    wire_send(w, text, strlen(text));
    wire_settle(w);
}

void wire_finish(struct wire *w)
{
    (void)stream_shutdown(w->client);
    wire_settle(w);
}

void wire_hang_up(struct wire *w, bool reset)
{
    drop_client(w, reset);
    wire_settle(w);
}

void wire_read(struct wire *w, bool on)
{
    w->reading = on;
    stream_read(w->client, on);
}

void wire_settle(struct wire *w)
{
    for (int i = 0; i < 100000 && loop_turn(w->loop, false); i++) {
    }
}

void wire_wait(struct wire *w, uint64_t microseconds)
{
    wire_settle(w);
    loop_advance(w->loop, microseconds);
    wire_settle(w);
}

int wire_count(const struct wire *w, const char *text)
{
    const char *end = w->out + w->out_size;
    size_t size = strlen(text);
    int count = 0;
    for (const char *at = w->out; (at = memmem(at, (size_t)(end - at), text, size)); at += size) {
        count++;
    }
    return count;
}

/* ---- applications ---- */

void wire_note(struct wire *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(w->seen + w->seen_size, sizeof w->seen - w->seen_size, format, args);
    va_end(args);
    assert_true(size >= 0 && (size_t)size < sizeof w->seen - w->seen_size);
    w->seen_size += (size_t)size;
}

static void note_request(struct wire *w, const casgi_scope_t *scope)
{
    wire_note(w, "%s %s", scope->method.ptr, scope->path.ptr);
    if (scope->query_string.len) {
        wire_note(w, "?%s", scope->query_string.ptr);
    }
    wire_note(w, " %s", scope->http_version.ptr);
    for (size_t i = 0; i < scope->header_count; i++) {
        const casgi_header_t *h = &scope->headers[i];
        assert_int_equal(strlen(h->name.ptr), h->name.len);
        assert_int_equal(strlen(h->value.ptr), h->value.len);
        wire_note(w, "%s%s=%s", i ? "," : " ", h->name.ptr, h->value.ptr);
    }
    wire_note(w, " [");
}

/* The whole body into `seen`. 0, or CASGI_EDISCONNECTED. */
static int note_body(struct wire *w, casgi_receive_t *receive)
{
    casgi_event_t event;
    do {
        int rc = casgi_receive(receive, &event);
        if (rc || event.type != CASGI_HTTP_REQUEST) {
            wire_note(w, rc ? "!" : "~]\n");
            return rc ? rc : CASGI_EDISCONNECTED;
        }
        wire_note(w, "%.*s", (int)event.http_request.body.len, event.http_request.body.ptr);
    } while (event.http_request.more_body);
    wire_note(w, "]\n");
    return 0;
}

int app_probe(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct wire *w = wire_of(app);
    note_request(w, scope);
    int rc = note_body(w, receive);
    return rc ? rc : casgi_respond(send, 200, "text/plain", "ok\n");
}

int app_pieces(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)scope;
    do {
        int rc = casgi_receive(receive, &event);
        if (rc) {
            return rc;
        }
        wire_note(wire_of(app), "%zu ", event.http_request.body.len);
    } while (event.http_request.more_body);
    return casgi_respond(send, 200, "text/plain", "ok\n");
}

int app_echo(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)app;
    (void)scope;
    int rc = casgi_send_start(send, 200, NULL, 0);
    bool more = true;
    while (rc == 0 && more) {
        rc = casgi_receive(receive, &event);
        if (rc == 0 && event.type != CASGI_HTTP_REQUEST) {
            rc = CASGI_EDISCONNECTED;
        }
        if (rc == 0) {
            more = event.http_request.more_body;
            rc = casgi_send_body(send, event.http_request.body.ptr, event.http_request.body.len, more);
        }
    }
    return rc;
}

int app_path(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)app;
    (void)receive;
    return casgi_respond(send, 200, "text/plain", scope->path.ptr);
}

int app_sleep(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    wire_note(wire_of(app), "<%s", scope->path.ptr);
    int rc = casgi_sleep(strtoul(scope->path.ptr + 1, NULL, 10));
    wire_note(wire_of(app), ">");
    return rc ? rc : app_path(app, scope, receive, send);
}

int app_watch(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct wire *w = wire_of(app);
    casgi_event_t event;
    int rc;
    do {
        rc = casgi_receive(receive, &event);
        wire_note(w, "%s%.*s ", rc ? "failed" : casgi_event_name(event.type), (int)event.http_request.body.len,
                  rc || event.type != CASGI_HTTP_REQUEST ? "" : event.http_request.body.ptr);
    } while (rc == 0 && event.type == CASGI_HTTP_REQUEST);
    rc = app_path(app, scope, receive, send);
    wire_note(w, "send %d", rc);
    return rc;
}
