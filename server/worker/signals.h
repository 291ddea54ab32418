/* worker/signals.h: SIGINT and SIGTERM. The first ends the worker in good order. The second ends the process where it
 * stands, with 128 and the signal's number as exit code: in the handler itself, so also if the application keeps the
 * loop busy for ever. Under a supervisor SIGINT, which the terminal sends to all, is the supervisor's to act upon. */
#pragma once

struct signals;
struct worker;

/* Once per process. */
int signals_new(struct worker *worker, struct signals **out) __attribute__((warn_unused_result));
void signals_free(struct signals *signals); /* NULL does nothing */
