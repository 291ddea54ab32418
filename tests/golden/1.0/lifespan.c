/* Golden module: a lifespan, its state, a log line. */
#include <casgi/casgi.h>

static int lifespan(const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    static char value[] = "from startup\n";
    casgi_event_t event, answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    int rc = casgi_receive(receive, &event);
    rc = rc ? rc : event.type == CASGI_LIFESPAN_STARTUP ? casgi_state_set(scope, "golden", value) : CASGI_EPROTO;
    rc = rc ? rc : casgi_send(send, &answer);
    rc = rc ? rc : casgi_receive(receive, &event);
    casgi_log(CASGI_LOG_INFO, "golden: %s", casgi_event_name(event.type));
    answer.type = CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
    return rc ? rc : casgi_send(send, &answer);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    if (scope->type == CASGI_SCOPE_LIFESPAN) {
        return lifespan(scope, receive, send);
    }
    const char *value = casgi_state_get(scope, "golden");
    return casgi_respond(send, value ? 200 : 500, "text/plain", value ? value : "no state\n");
}
CASGI_APP_WITH(handle, CASGI_APP_HTTP | CASGI_APP_LIFESPAN)
