/* Middleware: stands before another application, adds a header to its response and logs how long it took. It wraps
 * send: a struct with a casgi_send_t first, which keeps the next one. A handler is a task, so that struct lives on its
 * stack.
 *
 *     casgi middleware.so                 wraps the handler below
 *     casgi middleware.so -- other.so     wraps any module */
#include <casgi/casgi.h>

#include <stdio.h>
#include <stdlib.h>

struct timing {
    casgi_app_t base;
    casgi_app_t *inner;
    uint32_t inner_flags;
};

struct timing_send {
    casgi_send_t base;
    casgi_send_t *next;
    uint64_t began;
};

static int send_start(struct timing_send *timing, const casgi_event_t *event)
{
    const casgi_http_response_start_t *start = &event->http_response_start;
    casgi_header_t *headers = casgi_alloc((start->header_count + 1) * sizeof(*headers));
    char milliseconds[32];
    if (!headers) {
        return CASGI_ENOMEM;
    }
    for (size_t i = 0; i < start->header_count; i++) {
        headers[i] = start->headers[i];
    }
    (void)snprintf(milliseconds, sizeof(milliseconds), "%.3f", (double)(casgi_now() - timing->began) / 1000);
    headers[start->header_count] = casgi_header("x-process-time", milliseconds);

    casgi_event_t copy = *event;
    copy.http_response_start.headers = headers;
    copy.http_response_start.header_count = start->header_count + 1;
    return casgi_send(timing->next, &copy);
}

/* Every event but the start goes on untouched, also those this was never told of. */
static int on_send(casgi_send_t *self, const casgi_event_t *event)
{
    struct timing_send *timing = (struct timing_send *)self;
    return event->type == CASGI_HTTP_RESPONSE_START ? send_start(timing, event) : casgi_send(timing->next, event);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct timing *app = (struct timing *)self;
    if (scope->type == CASGI_SCOPE_LIFESPAN) {
        bool wanted = app->inner_flags & CASGI_APP_LIFESPAN;
        return wanted ? casgi_call(app->inner, scope, receive, send) : CASGI_ENOTSUP;
    }
    struct timing_send timing = { { on_send }, send, casgi_now() };
    int rc = casgi_call(app->inner, scope, receive, &timing.base);
    casgi_log(CASGI_LOG_INFO, "%s %s took %.3f ms", scope->method.ptr, scope->path.ptr,
              (double)(casgi_now() - timing.began) / 1000);
    return rc;
}

/* The application that is wrapped if no other is named. */
static int inner(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "Hello from inside\n");
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    static casgi_app_t own = { inner, NULL, { 0, 0 } };
    const casgi_modules_1_t *modules = host->get(host, "casgi.modules/1");
    struct timing *app = calloc(1, sizeof(*app));
    if (!app) {
        (void)casgi_error_set(out_error, CASGI_ENOMEM, "out of memory");
        return NULL;
    }
    app->base.call = handle;
    app->inner = &own;
    app->inner_flags = CASGI_APP_HTTP;
    if (argc > 1 &&
        (!modules || modules->load(argv[1], argc - 1, argv + 1, &app->inner, &app->inner_flags, out_error))) {
        free(app);
        return NULL;
    }
    return &app->base;
}

static void destroy(casgi_app_t *app)
{
    free(app);
}

static const casgi_app_record_t timing_record = {
    "app",
    "adds x-process-time to another application's responses",
    create,
    destroy,
    CASGI_APP_HTTP | CASGI_APP_LIFESPAN,
    0,
    { 0 },
};
CASGI_MODULE("middleware", "1.0", &timing_record);
