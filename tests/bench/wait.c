/* Each request is answered 100 ms later: what `limit PORT 100` does, as an application. */
#include <casgi/casgi.h>
#include <casgi/tasks.h>

static int wait_a_little(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    int rc = casgi_sleep(100);
    return rc < 0 ? rc : casgi_respond(send, 200, "text/plain", "Hello, World!");
}
CASGI_APP(wait_a_little)
