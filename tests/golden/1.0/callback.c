/* Golden module: without coroutines. */
#include <casgi/callback.h>

static const char text[] = "golden callback\n";

static void on_end(casgi_call_t *c, int rc, void *ctx)
{
    (void)ctx;
    casgi_call_finish(c, rc);
}

static void on_time(casgi_call_t *c, int rc, void *ctx)
{
    if (rc || casgi_call_respond(c, 200, "text/plain", text, sizeof(text) - 1, on_end, ctx)) {
        casgi_call_finish(c, rc);
    }
}

static void on_event(casgi_call_t *c, int rc, const casgi_event_t *event, void *ctx)
{
    if (rc || event->type != CASGI_HTTP_REQUEST || casgi_call_after(c, 1, on_time, ctx)) {
        casgi_call_finish(c, rc);
    }
}

static void on_call(casgi_call_t *c)
{
    casgi_call_receive(c, on_event, NULL);
}
CASGI_CALLBACK_APP(on_call)
