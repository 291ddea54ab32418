#include "supervisor/report.h"

#include "base/log.h"
#include "base/stderr.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { STDERR_TIME = 500 }; /* ms that a reader of stderr may take */

/* Where every line is JSON, so are these. */
static void report_lines(const char *output)
{
    while (*output) {
        int length = (int)strcspn(output, "\n");
        if (length) {
            log_print(CASGI_LOG_WARNING, "%.*s", length, output);
        }
        output += length + (output[length] == '\n');
    }
}

void report_compiler(const char *output)
{
    if (log_json()) {
        report_lines(output);
        return;
    }
    log_finish(); /* what was said before stands before it */
    (void)stderr_write(output, strlen(output), STDERR_TIME);
}

/* The length of a terminal's control sequence ("ESC [ ... letter"); 0: none stands here. */
static size_t sequence_length(const char *text)
{
    if (text[0] != '\033') {
        return 0;
    }
    if (text[1] != '[') {
        return 1;
    }
    size_t length = 2;
    while (text[length] && !isalpha((unsigned char)text[length])) {
        length++;
    }
    return text[length] ? length + 1 : length;
}

char *report_plain(const char *output)
{
    char *plain = malloc(strlen(output) + 1);
    char *end = plain;
    while (plain && *output) {
        size_t length = sequence_length(output);
        if (length) {
            output += length;
        } else {
            *end++ = *output++;
        }
    }
    if (plain) {
        *end = '\0';
    }
    return plain;
}

void report_death(char *out, size_t size, pid_t pid, const char *when, int wait_status)
{
    if (WIFSIGNALED(wait_status)) {
        int number = WTERMSIG(wait_status);
        const char *name = sigabbrev_np(number);
        (void)snprintf(out, size, "Worker [%d] died %s: SIG%s (%s)%s", (int)pid, when, name ? name : "?",
                       strsignal(number), WCOREDUMP(wait_status) ? ", core dumped" : "");
    } else {
        (void)snprintf(out, size, "Worker [%d] ended %s, with exit code %d", (int)pid, when, WEXITSTATUS(wait_status));
    }
}
