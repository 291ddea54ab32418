/* Ends the process while it is loaded, and pretends that all is well. */
#include <casgi/casgi.h>

#include <unistd.h>

__attribute__((constructor)) static void leave(void)
{
    _exit(0);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return 0;
}
CASGI_APP(handle)
