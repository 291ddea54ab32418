/* Copy this file to begin: a module with one application that has words of its own on the command line, something that
 * it opens once per worker, and requests that use it. Take out what you do not need: a handler that keeps nothing needs
 * only `handle` and CASGI_APP(handle).
 *
 *     casgi myapp.c --reload                                  compiles it, serves it, follows every save
 *     cc -shared -fPIC $(pkg-config --cflags casgi) myapp.c -o myapp.so $(pkg-config --libs casgi)
 *     casgi check myapp.so                                    says what it is, or what is wrong with it
 *     casgi myapp.so --port 8000 -- Hello                     what follows -- goes to create */
#include <casgi/casgi.h>

#include <stdio.h>
#include <stdlib.h>

/* The application: casgi_app_t first, then what is its own. */
struct myapp {
    casgi_app_t base;
    const char *greeting;
    unsigned long greeted;
};

/* One http request: a task. It may wait (casgi_sleep, casgi_receive, ...) as if it were alone in the process. */
static int http(struct myapp *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    char text[256];
    (void)receive; /* the request's body: casgi_receive_body, or casgi_receive piece by piece */
    app->greeted++;
    int size = snprintf(text, sizeof(text), "%s from %s, number %lu\n", app->greeting, scope->path.ptr, app->greeted);
    if (size < 0 || (size_t)size >= sizeof(text)) {
        return casgi_respond(send, 414, "text/plain", "That is too long for me.\n");
    }
    return casgi_respond_bytes(send, 200, "text/plain", text, (size_t)size);
}

/* Once per worker, in a task of its own, before the first request until after the last. */
static int lifespan(struct myapp *app, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event, answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    int rc = casgi_receive(receive, &event);
    if (rc == 0) {
        /* Open what the requests need. If that fails: type CASGI_LIFESPAN_STARTUP_FAILED, lifespan_failed.message. */
        rc = casgi_send(send, &answer);
    }
    rc = rc ? rc : casgi_receive(receive, &event);
    if (rc == 0) {
        casgi_log(CASGI_LOG_INFO, "greeted %lu times", app->greeted);
        answer.type = CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
        rc = casgi_send(send, &answer);
    }
    return rc;
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct myapp *app = (struct myapp *)self;
    switch (scope->type) {
    case CASGI_SCOPE_HTTP:
        return http(app, scope, receive, send);
    case CASGI_SCOPE_LIFESPAN:
        return lifespan(app, receive, send);
    default:
        return CASGI_ENOTSUP;
    }
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    (void)host;
    struct myapp *app = calloc(1, sizeof(*app));
    if (!app) {
        (void)casgi_error_set(out_error, CASGI_ENOMEM, "out of memory");
        return NULL;
    }
    app->base.call = handle; /* in C++: CASGI_HANDLER(handle), which lets no exception out */
    app->greeting = argc > 1 ? argv[1] : "Hello";
    return &app->base;
}

static void destroy(casgi_app_t *app)
{
    free(app);
}

static const casgi_app_record_t record = {
    "app", "greets", create, destroy, CASGI_APP_HTTP | CASGI_APP_LIFESPAN, 0, { 0 },
};
CASGI_MODULE("myapp", "0.1", &record);
