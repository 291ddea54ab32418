/* runtime/stack_of.h: `casgi --stack-of PID[:THREAD]`: where a thread of another process is, function by function. The
 * crash handler and the watchdog start this program so: what symbolises allocates, and must not run in a process whose
 * memory may be broken, or on a thread that is stuck. */
#pragma once

#define STACK_OF_OPTION "--stack-of"

/* Prints on stdout, as soon as the stack (default: of the first thread) has been taken, a line that says so, then a
 * line for each function; what is wrong goes to stderr. Returns the exit code: 0, 1: the stack could not be read, 2:
 * `text` is no such thing. May block; loads the part "unwind". */
int stack_of_run(const char *text);
