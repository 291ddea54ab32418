/* observe/watchdog.h: catches the handler that holds up the loop. A thread of its own notices, while it happens, that a
 * task has been running for longer than it should, and logs which request and task, for how long, and where it is now;
 * and, when it is over, how long it took. */
#pragma once

#include "casgi/base.h"

struct loop;
struct watchdog;

struct watchdog_options {
    uint64_t most;       /* microseconds that a task may run without giving way; not 0 */
    const char *program; /* `program --stack-of PROCESS:THREAD` prints a stack; NULL: reports are without one */
};

/* [loop] Watches the loop of this thread from now on: what runs at this moment is not looked at. *options is copied,
 * `program` is borrowed. CASGI_ENOMEM, or the system's error. */
int watchdog_new(struct loop *loop, const struct watchdog_options *options, struct watchdog **out_watchdog)
    __attribute__((warn_unused_result));

/* [loop] May wait for a report that is being made, at most some seconds. NULL does nothing. */
void watchdog_free(struct watchdog *watchdog);
