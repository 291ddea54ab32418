/* observe/access.h: the access log: a line on stdout for each exchange, when it is over. The format is described in
 * observe/README.md. */
#pragma once

#include "exchange/exchange.h"

struct access_options {
    bool json;
    bool colors;                /* text only */
    bool query;                 /* with what follows the "?" of the target */
    const char *const *exclude; /* paths without a line; one that ends in a slash and a star stands for all below */
    size_t exclude_count;
};

/* An observer for exchange_host.observers; *options and what it points to are borrowed until access_log_free. One per
 * loop. CASGI_ENOMEM. */
int access_log_new(const struct access_options *options, struct exchange_observer **out_observer)
    __attribute__((warn_unused_result));

void access_log_free(struct exchange_observer *observer);
