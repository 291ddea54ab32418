/* Dies while it is loaded. */
#include <casgi/casgi.h>

#include <signal.h>

__attribute__((constructor)) static void boil_over(void)
{
    (void)signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
    (void)raise(SIGSEGV);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return 0;
}
CASGI_APP(handle)
