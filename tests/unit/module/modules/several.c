/* Two applications, neither called "app"; one of them asks for a flag of the future. */
#include <casgi/casgi.h>

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return 0;
}
CASGI_APP_RECORD(one, "one", handle, CASGI_APP_HTTP);
CASGI_APP_RECORD(two, "two", handle, CASGI_APP_HTTP | 0x4000u);
CASGI_MODULE("several", "1", &one, &two);
