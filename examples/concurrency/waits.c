/* Three waits of 100 ms: a request to another service, a query, a timer, whatever a handler waits for. */
#include "concurrency.h"

static int wait_a_little(void *arg)
{
    struct span *span = arg;
    span_begin(span);
    int rc = casgi_sleep(100);
    span_end(span);
    return rc;
}

/* The mistake: none needs the one before it, yet each begins when that one has ended: 300 ms. */
int waits_in_turn(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    struct span spans[3];
    for (size_t i = 0; i < 3; i++) {
        int rc = wait_a_little(&spans[i]);
        if (rc) {
            return rc;
        }
    }
    return spans_send(send, spans, 3);
}

/* The correction: all three at once, 100 ms. If one fails, the others are cancelled. */
int waits_together(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    struct span spans[3];
    casgi_work_t works[] = {
        CASGI_WORK(wait_a_little, &spans[0]),
        CASGI_WORK(wait_a_little, &spans[1]),
        CASGI_WORK(wait_a_little, &spans[2]),
    };
    int rc = casgi_gather(works, 3, 0);
    return rc ? rc : spans_send(send, spans, 3);
}
