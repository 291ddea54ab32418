/* supervisor/report.h: what the person at the terminal reads about builds and deaths. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Writes what a compiler printed to stderr, as it is. "" writes nothing. */
void report_compiler(const char *output);

/* The same text without colours, for a response; yours, free it. NULL: out of memory. */
char *report_plain(const char *output);

/* "Worker [71] died while it served: SIGSEGV (segmentation fault), core dumped". */
void report_death(char *out, size_t size, pid_t pid, const char *when, int wait_status);
