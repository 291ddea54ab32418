/* A handler that never awaits: it asks a database whose library blocks for 100 ms.
 *
 * The mistake is to serve it as if it did (/never-awaits of the application "app"): it holds the loop, and of many such
 * requests one runs after the other. The correction is one flag and not a changed line: the application "plain" is the
 * same function with CASGI_APP_BLOCKING (concurrency.c), so that each of its calls runs on a thread of its own, receive
 * and send included. There are 40 such threads: where thousands wait, await (thousand.c). */
#include "concurrency.h"

#include <unistd.h>

static void query_database(void)
{
    (void)usleep(100000);
}

int look_up(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    struct span span;
    span_begin(&span);
    query_database();
    span_end(&span);
    return spans_send(send, &span, 1);
}
