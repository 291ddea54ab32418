/* One wait of 100 ms, which a thousand clients ask for at the same time. A handler that waits costs a few KiB and no
 * thread, so that all of them wait at once, on one thread. In plain.c the same thousand share a few dozen threads. */
#include "concurrency.h"

int one_wait(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    struct span span;
    span_begin(&span);
    int rc = casgi_sleep(100);
    span_end(&span);
    return rc ? rc : spans_send(send, &span, 1);
}
