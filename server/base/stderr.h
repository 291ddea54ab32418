/* base/stderr.h: words that go to stderr as they are, past the log: a crash report, a compiler's messages. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* [any] Async-signal-safe. Writes all of it, waiting at most `patience` milliseconds each time that nothing more goes
 * in, as when stderr is a pipe nobody reads: then the rest is lost. Whether all was written. */
bool stderr_write(const char *text, size_t size, int patience);
