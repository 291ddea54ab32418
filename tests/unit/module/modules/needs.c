/* Cannot do without an interface that no server has. */
#include <casgi/casgi.h>

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return 0;
}
static const char *const needed[] = { "casgi.tasks/1", "casgi.teapots/7", NULL };
CASGI_APP_RECORD(record, "app", handle, CASGI_APP_HTTP);
CASGI_MODULE_NEEDS("needs", "1", needed, &record);
