/* Golden module: as small as one can be. */
#include <casgi/casgi.h>

static int hello(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "golden hello\n");
}
CASGI_APP(hello)
