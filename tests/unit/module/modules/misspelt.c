/* Uses a call of casgi's that no header has. */
#include <casgi/casgi.h>

int casgi_nap(int milliseconds);

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return casgi_nap(2);
}
CASGI_APP(handle)
