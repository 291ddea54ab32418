/* observe/trace_events.h: at log level trace, a line for each step of an exchange: begun, every event, ended. Bodies
 * are shown as "<13 bytes>", and so are the values of fields that carry credentials. */
#pragma once

#include "exchange/exchange.h"

/* An observer for exchange_host.observers; without effect below log level trace. One per loop. CASGI_ENOMEM. */
int trace_events_new(struct exchange_observer **out_observer) __attribute__((warn_unused_result));

void trace_events_free(struct exchange_observer *observer);
