/* examples/stream without coroutines: the same bytes at the same times, in callbacks. What a straight line keeps in its
 * local variables is here in a struct that is passed along.
 *
 *     casgi callback.c
 *     curl -N 'http://127.0.0.1:8000/?lines=5' */
#include <casgi/callback.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stream {
    unsigned long lines; /* asked for; 0: without end */
    unsigned long sent;
    casgi_header_t type;
    char line[32]; /* borrowed by the send until on_line */
};

static void send_line(casgi_call_t *c, struct stream *stream);

static void on_end(casgi_call_t *c, int rc, void *ctx)
{
    (void)ctx;
    casgi_call_finish(c, rc);
}

static void on_time(casgi_call_t *c, int rc, void *ctx)
{
    struct stream *stream = ctx;
    if (rc) {
        casgi_call_finish(c, rc);
    } else if (stream->lines && stream->sent == stream->lines) {
        casgi_event_t end = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_BODY);
        casgi_call_send(c, &end, on_end, NULL);
    } else {
        send_line(c, stream);
    }
}

static void on_line(casgi_call_t *c, int rc, void *ctx)
{
    if (rc || casgi_call_after(c, 100, on_time, ctx)) {
        casgi_call_finish(c, rc);
    }
}

static void send_line(casgi_call_t *c, struct stream *stream)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_BODY);
    int size = snprintf(stream->line, sizeof(stream->line), "line %lu\n", ++stream->sent);
    event.http_response_body.body.ptr = stream->line;
    event.http_response_body.body.len = (size_t)size;
    event.http_response_body.more_body = true;
    casgi_call_send(c, &event, on_line, stream);
}

static void on_start(casgi_call_t *c, int rc, void *ctx)
{
    if (rc) {
        casgi_call_finish(c, rc);
    } else {
        send_line(c, ctx);
    }
}

static void on_call(casgi_call_t *c)
{
    const char *found = strstr(casgi_call_scope(c)->query_string.ptr, "lines=");
    struct stream *stream = casgi_alloc(sizeof(*stream));
    casgi_event_t start = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_START);
    if (!stream) {
        casgi_call_finish(c, CASGI_ENOMEM);
        return;
    }
    stream->lines = found ? strtoul(found + strlen("lines="), NULL, 10) : 10;
    stream->sent = 0;
    stream->type = casgi_header("content-type", "text/plain");
    start.http_response_start.status = 200;
    start.http_response_start.headers = &stream->type;
    start.http_response_start.header_count = 1;
    casgi_call_send(c, &start, on_start, stream);
}
CASGI_CALLBACK_APP(on_call)
