#include "runtime/stack_of.h"

#include "runtime/part.h"
#include "runtime/unwind_part.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_NO_STACK = 1, EXIT_USAGE = 2 };
enum { LINES_MOST = 128, LINE_SIZE = 512 };

/* The lines are kept until all are there, since those before a signal's frame are left out. */
struct printer {
    char folder[PATH_MAX]; /* files below it are named from there */
    unsigned count;
    char lines[LINES_MOST][LINE_SIZE];
};

static const char *shorten(const struct printer *printer, const char *file)
{
    size_t length = strlen(printer->folder);
    bool below = length > 1 && strncmp(file, printer->folder, length) == 0 && file[length] == '/';
    return below ? file + length + 1 : file;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void on_frame(void *arg, const struct unwind_frame *frame)
{
    struct printer *printer = arg;
    if (frame->signal) {
        printer->count = 0;
    }
    if (printer->count == LINES_MOST) {
        return;
    }
    char *line = printer->lines[printer->count++];
    if (frame->function && frame->file) {
        (void)snprintf(line, LINE_SIZE, "%s at %s:%d", frame->function, shorten(printer, frame->file), frame->line);
    } else if (frame->function) {
        (void)snprintf(line, LINE_SIZE, "%s in %s", frame->function, last_part(frame->object ? frame->object : "?"));
    } else {
        (void)snprintf(line, LINE_SIZE, "0x%llx in %s", (unsigned long long)frame->address,
                       last_part(frame->object ? frame->object : "?"));
    }
}

static bool parse(const char *text, pid_t *out_process, pid_t *out_thread)
{
    char *end;
    long process = strtol(text, &end, 10), thread = process;
    if (*end == ':') {
        thread = strtol(end + 1, &end, 10);
    }
    *out_process = (pid_t)process;
    *out_thread = (pid_t)thread;
    return !*end && process > 0 && process <= INT_MAX && thread > 0 && thread <= INT_MAX;
}

static int walk(pid_t process, pid_t thread, struct printer *printer, casgi_error_t *error)
{
    const void *symbol;
    int rc = part_load("unwind", UNWIND_PART_SYMBOL, &symbol, error);
    if (rc) {
        return rc;
    }
    const struct unwind_part *part = symbol;
    if (part->version != UNWIND_PART_VERSION) {
        return casgi_error_set(error, CASGI_EABI, "unwind.so is of another version");
    }
    if (!getcwd(printer->folder, sizeof(printer->folder))) {
        printer->folder[0] = '\0';
    }
    return part->walk(process, thread, on_frame, printer, error);
}

int stack_of_run(const char *text)
{
    static struct printer printer;
    pid_t process, thread;
    casgi_error_t error;
    if (!parse(text, &process, &thread)) {
        fprintf(stderr, "casgi: " STACK_OF_OPTION " needs the number of a process, or PROCESS:THREAD\n");
        return EXIT_USAGE;
    }
    if (walk(process, thread, &printer, &error)) {
        fprintf(stderr, "casgi: no stack: %s\n", error.message);
        return EXIT_NO_STACK;
    }
    for (unsigned i = 0; i < printer.count; i++) {
        printf("#%-2u %s\n", i, printer.lines[i]);
    }
    return fflush(stdout) ? EXIT_NO_STACK : 0;
}
