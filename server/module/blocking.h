/* module/blocking.h: applications with the flag CASGI_APP_BLOCKING: their calls run on threads, receive and send
 * included. */
#pragma once

#include "casgi/app.h"

/* An application whose call runs app's on a thread, for as long as it takes; what it is given is then called from that
 * thread and does its work in the task. `app` is borrowed. NULL: out of memory; else yours: blocking_free. */
casgi_app_t *blocking_new(casgi_app_t *app);

/* NULL does nothing. Does not end the application within. */
void blocking_free(casgi_app_t *blocking);
