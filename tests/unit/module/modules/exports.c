/* Lets others see what is none of their business, one of them a name of libc's. */
#include <casgi/casgi.h>

CASGI_EXPORT int boil_water(void);
CASGI_EXPORT int boil_water(void)
{
    return 100;
}

CASGI_EXPORT char *l64a(long value);
CASGI_EXPORT char *l64a(long value)
{
    (void)value;
    return NULL;
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    return 0;
}
CASGI_APP(handle)
