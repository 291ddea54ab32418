/* Two heavy computations. */
#include "concurrency.h"

static int compute(void *arg)
{
    struct span *span = arg;
    volatile uint32_t value = 1;
    span_begin(span);
    for (uint32_t i = 0; i < 100000000; i++) {
        value = value * 1664525 + 1013904223;
    }
    span_end(span);
    return 0;
}

static int compute_on_a_thread(void *arg)
{
    return casgi_to_thread(compute, arg);
}

static int both(casgi_task_fn_t fn, casgi_send_t *send)
{
    struct span spans[2];
    casgi_work_t works[] = { CASGI_WORK(fn, &spans[0]), CASGI_WORK(fn, &spans[1]) };
    int rc = casgi_gather(works, 2, 0);
    return rc ? rc : spans_send(send, spans, 2);
}

/* The mistake: tasks take turns where they wait, and a computation never waits. One runs after the other, and so does
 * every other request. */
int compute_on_the_loop(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return both(compute, send);
}

/* The correction: each on a thread. C has no global lock: on two cores both take the time of one. */
int compute_on_threads(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return both(compute_on_a_thread, send);
}
