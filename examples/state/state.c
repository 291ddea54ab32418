/* State: the lifespan opens something once per worker, every request uses it, the end of the lifespan closes it. Here
 * it is a file that counts visits: casgi state.so -- visits.txt (without a name: one that vanishes with the server). If
 * it cannot be opened the server says why and does not start. */
#include <casgi/casgi.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct counter {
    casgi_app_t base;
    const char *path; /* NULL: none */
    int file;
    unsigned long visits;
};

static int open_nameless(void)
{
    char name[] = "/tmp/visits-XXXXXX";
    int file = mkstemp(name);
    if (file >= 0) {
        (void)unlink(name);
    }
    return file;
}

static int counter_open(struct counter *counter)
{
    char text[32] = "";
    counter->file = counter->path ? open(counter->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : open_nameless();
    if (counter->file < 0) {
        return -1;
    }
    if (pread(counter->file, text, sizeof(text) - 1, 0) < 0) {
        (void)close(counter->file);
        counter->file = -1;
        return -1;
    }
    counter->visits = strtoul(text, NULL, 10);
    return 0;
}

static int counter_next(struct counter *counter)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%lu\n", ++counter->visits);
    return pwrite(counter->file, text, (size_t)size, 0) == size ? 0 : CASGI_EIO;
}

static int startup(struct counter *counter, const casgi_scope_t *scope, casgi_send_t *send)
{
    char message[256];
    casgi_event_t answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    if (counter_open(counter) < 0) {
        (void)snprintf(message, sizeof(message), "cannot open %s: %s", counter->path ? counter->path : "/tmp",
                       strerror(errno));
        answer.type = CASGI_LIFESPAN_STARTUP_FAILED;
        answer.lifespan_failed.message = casgi_str(message);
    } else if (casgi_state_set(scope, "counter", counter)) {
        return CASGI_ENOMEM;
    }
    return casgi_send(send, &answer);
}

static int shutdown_counter(struct counter *counter, casgi_send_t *send)
{
    casgi_event_t answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_SHUTDOWN_COMPLETE);
    (void)close(counter->file);
    counter->file = -1;
    return casgi_send(send, &answer);
}

/* Runs once, as long as the worker does. */
static int lifespan(struct counter *counter, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    int rc = casgi_receive(receive, &event);
    rc = rc ? rc : startup(counter, scope, send);
    if (rc || counter->file < 0) {
        return rc;
    }
    rc = casgi_receive(receive, &event);
    return rc ? rc : shutdown_counter(counter, send);
}

/* Each request's scope has a copy of the state: the key that startup set is there. */
static int visit(const casgi_scope_t *scope, casgi_send_t *send)
{
    char text[64];
    struct counter *counter = casgi_state_get(scope, "counter");
    if (!counter) {
        return casgi_respond(send, 503, "text/plain", "This application needs its lifespan.\n");
    }
    int rc = counter_next(counter);
    if (rc) {
        return rc;
    }
    (void)snprintf(text, sizeof(text), "You are visitor %lu.\n", counter->visits);
    return casgi_respond(send, 200, "text/plain", text);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    if (scope->type == CASGI_SCOPE_LIFESPAN) {
        return lifespan((struct counter *)self, scope, receive, send);
    }
    return visit(scope, send);
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    (void)host;
    struct counter *counter = calloc(1, sizeof(*counter));
    if (!counter) {
        (void)casgi_error_set(out_error, CASGI_ENOMEM, "out of memory");
        return NULL;
    }
    counter->base.call = handle;
    counter->path = argc > 1 ? argv[1] : NULL;
    counter->file = -1;
    return &counter->base;
}

static void destroy(casgi_app_t *app)
{
    free(app);
}

static const casgi_app_record_t record = {
    "app", "counts visits", create, destroy, CASGI_APP_HTTP | CASGI_APP_LIFESPAN, 0, { 0 },
};
CASGI_MODULE("state", "1.0", &record);
