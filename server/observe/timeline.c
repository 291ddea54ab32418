/* What is written lies in a buffer, which goes out behind the tasks of a batch, or when nothing happens for a while.
 * A task's note is when it last began to run or to wait. */
#include "observe/timeline.h"

#include "base/error.h"
#include "base/log.h"
#include "observe/line.h"
#include "runtime/task.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE 262144u
#define BUFFER_FULL (BUFFER_SIZE / 2) /* then it goes out */
#define EVENT_SIZE 1024u
#define QUIET 250000u /* microseconds after which what lies there goes out */
#define ENDING "\n]\n"

struct timeline {
    struct task_observer observer;
    struct loop *loop;
    struct timeline_options options;
    int fd; /* -1: it is over */
    uint64_t began;
    uint64_t size; /* of the file, with what lies in the buffer */
    uint64_t events;
    uint32_t pid;
    struct loop_late late;
    struct timer quiet;
    size_t used;
    char buffer[BUFFER_SIZE];
};

/* ---- the file ---- */

static void stop(struct timeline *timeline, const char *why)
{
    close(timeline->fd);
    timeline->fd = -1;
    timeline->used = 0;
    task_unobserve(timeline->loop, &timeline->observer);
    list_remove(&timeline->late.node);
    timer_clear(timeline->loop, &timeline->quiet);
    if (why) {
        log_print(CASGI_LOG_WARNING, "The timeline %s ends here: %s", timeline->options.path, why);
    }
}

static void flush(struct timeline *timeline)
{
    size_t done = 0;
    while (done < timeline->used) {
        ssize_t count = write(timeline->fd, timeline->buffer + done, timeline->used - done);
        if (count < 0 && errno != EINTR) {
            stop(timeline, strerror(errno));
            return;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    timeline->used = 0;
    timer_clear(timeline->loop, &timeline->quiet);
}

static void on_late(struct loop_late *late)
{
    flush(LIST_ENTRY(late, struct timeline, late));
}

static void on_quiet(struct timer *timer)
{
    flush(LIST_ENTRY(timer, struct timeline, quiet));
}

/* There is room for it. */
static void put(struct timeline *timeline, const char *text, size_t size)
{
    memcpy(timeline->buffer + timeline->used, text, size);
    timeline->used += size;
    timeline->size += size;
}

static void finish(struct timeline *timeline, const char *why)
{
    put(timeline, ENDING, sizeof(ENDING) - 1);
    flush(timeline);
    if (timeline->fd >= 0) {
        stop(timeline, why);
    }
}

/* When the buffer goes out; at once only if a batch writes more than half of it. */
static void plan_flush(struct timeline *timeline)
{
    if (timeline->used > BUFFER_SIZE - 2 * EVENT_SIZE) {
        flush(timeline);
    } else if (timeline->used > BUFFER_FULL) {
        loop_late(timeline->loop, &timeline->late);
    } else if (!timeline->quiet.index) {
        int rc = timer_set(timeline->loop, &timeline->quiet, QUIET);
        (void)rc; /* no memory for a timer: the next event tries again */
    }
}

/* The event's object, without what follows it. */
static void add(struct timeline *timeline, const struct line *line, const char *text)
{
    size_t size = (size_t)(line->at - text);
    uint64_t limit = timeline->options.limit;
    if (timeline->fd < 0) {
        return;
    }
    if (limit && timeline->size + size + 2 + sizeof(ENDING) > limit) {
        finish(timeline, "its limit is reached (--trace-limit)");
        return;
    }
    put(timeline, timeline->events ? ",\n" : "[\n", 2);
    put(timeline, text, size);
    timeline->events++;
    plan_flush(timeline);
}

/* ---- events ---- */

static void put_head(struct line *line, const struct timeline *timeline, const char *kind, uint64_t row)
{
    line_put_literal(line, "{\"ph\":\"");
    line_put(line, casgi_str(kind));
    line_put_literal(line, "\",\"pid\":");
    line_put_number(line, timeline->pid);
    line_put_literal(line, ",\"tid\":");
    line_put_number(line, row);
}

static void add_process(struct timeline *timeline)
{
    char text[EVENT_SIZE];
    struct line line = line_begin(text, sizeof(text));
    put_head(&line, timeline, "M", 0);
    line_put_literal(&line, ",\"name\":\"process_name\",\"args\":{\"name\":\"casgi\"}}");
    add(timeline, &line, text);
}

/* Its row is called by the request it works for, or, if it has a parent or works for none, by its name. */
static void add_row(struct timeline *timeline, const struct task *task)
{
    char text[EVENT_SIZE];
    struct line line = line_begin(text, sizeof(text));
    casgi_str_t what = task_describe(task);
    const struct task *parent = task_parent(task);
    put_head(&line, timeline, "M", task_serial(task));
    line_put_literal(&line, ",\"name\":\"thread_name\",\"args\":{\"name\":\"");
    if (parent || !what.ptr) {
        line_put_json(&line, casgi_str(task_name(task)), 200);
    } else {
        line_put_json(&line, what, 400);
    }
    line_put_literal(&line, "\",\"parent\":");
    line_put_number(&line, parent ? task_serial(parent) : 0);
    line_put_literal(&line, "}}");
    add(timeline, &line, text);
}

/* What it did from its note until now. `wait` NULL: it ran. */
static void add_span(struct timeline *timeline, struct task *task, const char *wait, uint64_t now)
{
    char text[EVENT_SIZE];
    struct line line = line_begin(text, sizeof(text));
    uint64_t since = *task_note(task);
    put_head(&line, timeline, "X", task_serial(task));
    line_put_literal(&line, ",\"ts\":");
    line_put_number(&line, since - timeline->began);
    line_put_literal(&line, ",\"dur\":");
    line_put_number(&line, now - since);
    if (wait) {
        line_put_literal(&line, ",\"cat\":\"waiting\",\"name\":\"waiting: ");
        line_put(&line, casgi_str(wait));
        line_put_literal(&line, "\"}");
    } else {
        line_put_literal(&line, ",\"cat\":\"running\",\"name\":\"running\"}");
    }
    add(timeline, &line, text);
    *task_note(task) = now;
}

static void on_run(struct task_observer *self, struct task *task)
{
    struct timeline *timeline = LIST_ENTRY(self, struct timeline, observer);
    uint64_t now = loop_clock();
    if (*task_note(task)) {
        add_span(timeline, task, task_wait_name(task_last_wait(task)), now);
    } else {
        add_row(timeline, task);
    }
    *task_note(task) = now;
}

static void on_leave(struct task_observer *self, struct task *task)
{
    struct timeline *timeline = LIST_ENTRY(self, struct timeline, observer);
    if (*task_note(task)) { /* else it ran already when the timeline began */
        add_span(timeline, task, NULL /* it ran */, loop_clock());
    }
}

static void add_last_span(struct task *task, void *arg)
{
    if (*task_note(task)) {
        add_span(arg, task, task_wait_name(task_last_wait(task)), loop_clock());
    }
}

/* ---- life ---- */

/* A device, such as /dev/stdout, is never taken away. */
static void take_away(const char *path)
{
    struct stat found;
    if (lstat(path, &found) == 0 && S_ISREG(found.st_mode)) {
        (void)unlink(path);
    }
}

int timeline_open(struct loop *loop, const struct timeline_options *options, struct timeline **out_timeline,
                  casgi_error_t *out_error)
{
    struct timeline *timeline = calloc(1, sizeof(*timeline));
    if (!timeline) {
        return error_set(out_error, CASGI_ENOMEM, "out of memory");
    }
    if (options->replace) {
        take_away(options->path);
    }
    timeline->fd = open(options->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (timeline->fd < 0) {
        int number = errno;
        free(timeline);
        return error_set(out_error, error_from_errno(number), "%s cannot be written: %s", options->path,
                         strerror(number));
    }
    timeline->observer = (struct task_observer){ .on_run = on_run, .on_leave = on_leave };
    timeline->loop = loop;
    timeline->options = *options;
    timeline->began = loop_clock();
    timeline->pid = (uint32_t)getpid();
    timeline->late.fn = on_late;
    list_init(&timeline->late.node);
    timeline->quiet.fn = on_quiet;
    add_process(timeline);
    task_observe(loop, &timeline->observer);
    *out_timeline = timeline;
    return 0;
}

/* Where timeline.html is: installed, or built. */
static const char *find_page(char path[static PATH_MAX])
{
    static const char *const places[] = { "../share/casgi/timeline.html", "timeline.html" };
    char program[PATH_MAX], place[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
        slash[1] = '\0';
        (void)snprintf(place, sizeof(place), "%s%s", program, places[i]);
        if (realpath(place, path)) {
            return path;
        }
    }
    return NULL;
}

/* By a later process of the same supervisor: what is written here nobody will see. */
static bool was_replaced(const struct timeline *timeline)
{
    struct stat found;
    return timeline->fd >= 0 && fstat(timeline->fd, &found) == 0 && S_ISREG(found.st_mode) && !found.st_nlink;
}

void timeline_close(struct timeline *timeline)
{
    char page[PATH_MAX];
    if (!timeline) {
        return;
    }
    if (timeline->fd >= 0) {
        task_for_each(timeline->loop, add_last_span, timeline);
    }
    bool replaced = was_replaced(timeline);
    if (timeline->fd >= 0) {
        finish(timeline, NULL /* as it should */);
    }
    if (!replaced) {
        const char *found = find_page(page);
        log_print(CASGI_LOG_INFO, "The timeline is in %s; it opens in %s%shttps://ui.perfetto.dev",
                  timeline->options.path, found ? found : "", found ? " and in " : "");
    }
    free(timeline);
}
