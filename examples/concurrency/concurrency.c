/* The classic mistakes of asynchronous servers, each beside its correction. `./dev lessons` runs them and says what
 * they show; to try them by hand: casgi concurrency.so, then GET / lists them. */
#include "concurrency.h"

#include <string.h>

static lesson ping, list;

static const struct {
    const char *path;
    lesson *call;
} lessons[] = {
    { "/", list },
    { "/waits/in-turn", waits_in_turn },
    { "/waits/together", waits_together },
    { "/wait", one_wait },
    { "/sleep/on-the-loop", sleep_on_the_loop },
    { "/sleep/on-a-thread", sleep_on_a_thread },
    { "/compute/on-the-loop", compute_on_the_loop },
    { "/compute/on-threads", compute_on_threads },
    { "/never-awaits", look_up },
    { "/ping", ping },
};

static int list(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    casgi_header_t type = CASGI_HEADER("content-type", "text/plain");
    int rc = casgi_send_start(send, 200, &type, 1);
    for (size_t i = 0; rc == 0 && i < sizeof(lessons) / sizeof(*lessons); i++) {
        rc = casgi_send_body(send, lessons[i].path, strlen(lessons[i].path), true);
        rc = rc ? rc : casgi_send_body(send, "\n", 1, true);
    }
    return rc ? rc : casgi_send_body(send, NULL, 0, false);
}

/* What every other client of the server feels. */
static int ping(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    struct span span;
    span_begin(&span);
    span_end(&span);
    return spans_send(send, &span, 1);
}

static int app(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    for (size_t i = 0; i < sizeof(lessons) / sizeof(*lessons); i++) {
        if (strcmp(scope->path.ptr, lessons[i].path) == 0) {
            return lessons[i].call(self, scope, receive, send);
        }
    }
    return casgi_respond(send, 404, "text/plain", "No such lesson; GET / lists them.\n");
}

CASGI_APP_RECORD(in_tasks, "app", app, CASGI_APP_HTTP);
CASGI_APP_RECORD(on_threads, "plain", look_up, CASGI_APP_HTTP | CASGI_APP_BLOCKING);
CASGI_MODULE("concurrency", "1.0", &in_tasks, &on_threads);
