/* A call that blocks: sleep() here, in life a library that knows nothing of the loop. */
#include "concurrency.h"

#include <unistd.h>

static int block(void *arg)
{
    struct span *span = arg;
    span_begin(span);
    (void)sleep(1);
    span_end(span);
    return 0;
}

/* The mistake: for a second the loop does nothing else, and every other request stands still. */
int sleep_on_the_loop(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    struct span span;
    (void)block(&span);
    return spans_send(send, &span, 1);
}

/* The correction: a thread blocks, this task waits for it, and the loop serves others. (Were it only about time:
 * casgi_sleep.) */
int sleep_on_a_thread(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    struct span span;
    int rc = casgi_to_thread(block, &span);
    return rc ? rc : spans_send(send, &span, 1);
}
