#include "runtime/stack_of.h"

#include "runtime/part.h"
#include "runtime/unwind_part.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_NO_STACK = 1, EXIT_USAGE = 2 };
enum { LINES_MOST = 64, LINE_SIZE = 512 };

/* One function, or, one below the other, many calls of it by itself from the same line. */
struct line {
    unsigned repeated;
    char text[LINE_SIZE];
};

/* The lines are kept until all are there, since those before a signal's frame are left out. */
struct printer {
    char folder[PATH_MAX]; /* files below it are named from there */
    pid_t process;
    pid_t thread;
    unsigned count;
    struct line lines[LINES_MOST];
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

static void describe(const struct printer *printer, const struct unwind_frame *frame, char text[static LINE_SIZE])
{
    const char *object = frame->object ? last_part(frame->object) : "?";
    if (frame->function && frame->file) {
        (void)snprintf(text, LINE_SIZE, "%s at %s:%d", frame->function, shorten(printer, frame->file), frame->line);
    } else if (frame->function) {
        (void)snprintf(text, LINE_SIZE, "%s in %s", frame->function, object);
    } else {
        (void)snprintf(text, LINE_SIZE, "0x%llx in %s", (unsigned long long)frame->address, object);
    }
}

/* At once, so that who waits for this output knows that the stack is from before. */
static void on_taken(void *arg)
{
    const struct printer *printer = arg;
    printf("thread %d of process %d\n", (int)printer->thread, (int)printer->process);
    (void)fflush(stdout);
}

static void on_frame(void *arg, const struct unwind_frame *frame)
{
    struct printer *printer = arg;
    char text[LINE_SIZE];
    if (frame->signal) {
        printer->count = 0;
    }
    describe(printer, frame, text);
    if (printer->count && strcmp(printer->lines[printer->count - 1].text, text) == 0) {
        printer->lines[printer->count - 1].repeated++;
    } else if (printer->count < LINES_MOST) {
        struct line *line = &printer->lines[printer->count++];
        line->repeated = 0;
        memcpy(line->text, text, sizeof(text));
    }
}

static void print_all(const struct printer *printer)
{
    for (unsigned i = 0; i < printer->count; i++) {
        const struct line *line = &printer->lines[i];
        printf("#%-2u %s", i, line->text);
        if (line->repeated) {
            printf(", and %u times more", line->repeated);
        }
        printf("\n");
    }
}

static bool parse(const char *text, struct printer *printer)
{
    char *end;
    long process = strtol(text, &end, 10), thread = process;
    if (*end == ':') {
        thread = strtol(end + 1, &end, 10);
    }
    printer->process = (pid_t)process;
    printer->thread = (pid_t)thread;
    return !*end && process > 0 && process <= INT_MAX && thread > 0 && thread <= INT_MAX;
}

static int walk(struct printer *printer, casgi_error_t *error)
{
    const struct unwind_listener listener = { .on_taken = on_taken, .on_frame = on_frame, .arg = printer };
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
    return part->walk(printer->process, printer->thread, &listener, error);
}

int stack_of_run(const char *text)
{
    static struct printer printer;
    casgi_error_t error;
    if (!parse(text, &printer)) {
        fprintf(stderr, "casgi: " STACK_OF_OPTION " needs the number of a process, or PROCESS:THREAD\n");
        return EXIT_USAGE;
    }
    if (walk(&printer, &error)) {
        fprintf(stderr, "casgi: no stack: %s\n", error.message);
        return EXIT_NO_STACK;
    }
    print_all(&printer);
    return fflush(stdout) ? EXIT_NO_STACK : 0;
}
