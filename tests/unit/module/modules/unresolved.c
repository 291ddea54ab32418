/* Uses a function that nobody defines. */
#include <casgi/casgi.h>

int brew_tea(int cups);

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return brew_tea(2);
}
CASGI_APP(handle)
