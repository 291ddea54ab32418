/* worker/orders.h: a worker's end of the channel to its supervisor. */
#pragma once

#include "net/control.h"

#include <stdbool.h>

struct orders;
struct worker;
struct worker_options;

/* Waits for the first message and fills *options from it; the sockets are added to options->sockets, the text is kept
 * in `text`. 0, or a code: the supervisor is gone, or said something else. */
int orders_first(struct worker_options *options, char text[CONTROL_TEXT_MAX + 1]) __attribute__((warn_unused_result));

/* From here on orders are followed as they come. The channel is the worker's options'. */
int orders_new(struct worker *worker, struct orders **out) __attribute__((warn_unused_result));
void orders_free(struct orders *orders); /* NULL does nothing */

/* Whether connections of an older worker may still come. NULL: no. */
bool orders_adopting(const struct orders *orders);

/* Says something to the supervisor; NULL: there is none, nothing is said. */
void orders_report(struct orders *orders, enum control_type type, unsigned value);
void orders_report_text(struct orders *orders, enum control_type type, unsigned value, const char *text);
