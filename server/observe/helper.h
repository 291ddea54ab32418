/* observe/helper.h: the stack of a thread of this process, as another process sees it. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* [thread] Runs `program --stack-of THIS:thread` and waits for it, at most 3 s; what it wrote is in `out`, with a NUL,
 * cut at `capacity`. Calls on_taken(arg) when the stack has been taken: the names of its functions may take a while
 * longer. Returns the length; 0: it could not be run. The thread is not disturbed. */
size_t helper_stack(const char *program, pid_t thread, void (*on_taken)(void *arg), void *arg, char *out,
                    size_t capacity);
