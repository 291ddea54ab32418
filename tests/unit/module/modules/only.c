/* One application, not called "app". */
#include <casgi/casgi.h>

static int only(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return 0;
}
CASGI_APP_RECORD(record, "admin", only, CASGI_APP_HTTP);
CASGI_MODULE("only", "1", &record);
