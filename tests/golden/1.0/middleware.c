/* Golden module: wraps receive and send of an inner application, copies and changes scope and events. */
#include <casgi/casgi.h>

#include <stdlib.h>
#include <string.h>

struct counting_receive {
    casgi_receive_t base;
    casgi_receive_t *next;
    size_t bytes;
};

struct adding_send {
    casgi_send_t base;
    casgi_send_t *next;
    struct counting_receive *counted;
};

static int on_receive(casgi_receive_t *self, casgi_event_t *out_event)
{
    struct counting_receive *counting = (struct counting_receive *)self;
    int rc = casgi_receive(counting->next, out_event);
    if (rc == 0 && out_event->type == CASGI_HTTP_REQUEST) {
        counting->bytes += out_event->http_request.body.len;
    }
    return rc;
}

static int on_send(casgi_send_t *self, const casgi_event_t *event)
{
    struct adding_send *adding = (struct adding_send *)self;
    if (event->type != CASGI_HTTP_RESPONSE_START) {
        return casgi_send(adding->next, event);
    }
    casgi_event_t copy = *event;
    size_t count = event->http_response_start.header_count;
    casgi_header_t *headers = casgi_alloc((count + 1) * sizeof(*headers));
    if (!headers) {
        return CASGI_ENOMEM;
    }
    memcpy(headers, event->http_response_start.headers, count * sizeof(*headers));
    headers[count] = casgi_header("x-counted", adding->counted->bytes == 5 ? "five" : "other");
    copy.http_response_start.headers = headers;
    copy.http_response_start.header_count = count + 1;
    return casgi_send(adding->next, &copy);
}

static int inner_call(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_str_t body;
    (void)self;
    int rc = casgi_receive_body(receive, 1000, &body);
    return rc ? rc : casgi_respond_bytes(send, 200, "text/plain", scope->root_path.ptr, scope->root_path.len);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct counting_receive counting = { { on_receive }, receive, 0 };
    struct adding_send adding = { { on_send }, send, &counting };
    casgi_scope_t inner = *scope;
    inner.root_path = (casgi_str_t)CASGI_STR("/golden");
    return casgi_call((casgi_app_t *)self->data, &inner, &counting.base, &adding.base);
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    static casgi_app_t inner = { inner_call, NULL, { 0, 0 } };
    casgi_app_t *app = calloc(1, sizeof(*app));
    (void)argv;
    if (!host->get(host, "casgi.tasks/1") || argc < 1 || !app) {
        (void)casgi_error_set(out_error, CASGI_ENOTSUP, "%s", "no tasks");
        free(app);
        return NULL;
    }
    app->call = handle;
    app->data = &inner;
    return app;
}

static void destroy(casgi_app_t *app)
{
    free(app);
}

static const char *const needed[] = { "casgi.tasks/1", "casgi.log/1", NULL };
static const casgi_app_record_t record = { "app", "a golden middleware", create, destroy, CASGI_APP_HTTP, 0, { 0 } };
CASGI_MODULE_NEEDS("golden middleware", "1.0", needed, &record);
