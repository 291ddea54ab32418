/* What a thread's round trip costs: casgi_to_thread beside the least it could be, a condition variable to the thread
 * and an eventfd back, in turns in one run. Also a wait for a descriptor, and a read of a file in the page cache.
 *
 *     handoff [ROUNDS] */
#include "bare.h"
#include "casgi/casgi.h"
#include "runtime/fdwatch.h"
#include "runtime/file.h"
#include "runtime/task.h"
#include "runtime/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 15, ROUNDS = 2000 };

static size_t rounds = ROUNDS;
static double *samples;

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "handoff: %s failed\n", what);
    exit(1);
}

static double time_bare(struct bare *bare)
{
    for (size_t i = 0; i < rounds; i++) {
        double begun = now_ns();
        if (bare_round(bare)) {
            fail("a bare round trip");
        }
        samples[i] = now_ns() - begun;
    }
    return median(samples, rounds);
}

/* ---- ours ---- */

struct measure {
    struct loop *loop;
    int (*fn)(void *arg); /* once */
    void *arg;
    double result;
};

static int measure_task(void *arg)
{
    struct measure *measure = arg;
    for (size_t i = 0; i < rounds; i++) {
        double begun = now_ns();
        if (measure->fn(measure->arg)) {
            fail("a call");
        }
        samples[i] = now_ns() - begun;
    }
    measure->result = median(samples, rounds);
    loop_stop(measure->loop);
    return 0;
}

static double time_task(struct loop *loop, int (*fn)(void *arg), void *arg)
{
    struct measure measure = { .loop = loop, .fn = fn, .arg = arg };
    if (task_spawn(loop, measure_task, &measure, NULL, NULL)) {
        fail("task_spawn");
    }
    loop_run(loop);
    return measure.result;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int to_thread(void *arg)
{
    return casgi_to_thread(nothing, arg);
}

static int wait_fd(void *arg)
{
    return casgi_wait_fd(*(int *)arg, CASGI_FD_WRITABLE, NULL);
}

static int read_file(void *arg)
{
    char data[4096];
    size_t size;
    return casgi_file_read_at(arg, 0, data, sizeof(data), &size);
}

static int open_self(void *arg)
{
    int rc = casgi_file_open("/proc/self/exe", CASGI_OPEN_READ, 0, arg);
    loop_stop(loop_current());
    return rc;
}

static int close_file(void *arg)
{
    int rc = casgi_file_close(arg);
    loop_stop(loop_current());
    return rc;
}

static void run_once(struct loop *loop, int (*fn)(void *arg), void *arg)
{
    if (task_spawn(loop, fn, arg, NULL, NULL)) {
        fail("task_spawn");
    }
    loop_run(loop);
}

static void print_others(struct loop *loop)
{
    int fds[2];
    casgi_file_t *file = NULL;
    run_once(loop, open_self, &file);
    if (pipe(fds) || !file) {
        fail("open");
    }
    printf("wait for a descriptor that is ready   %8.0f ns\n", time_task(loop, wait_fd, &fds[1]));
    printf("read 4 KiB of a file in the page cache %7.0f ns\n", time_task(loop, read_file, file));
    run_once(loop, close_file, file);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(int argc, char **argv)
{
    struct loop_options options = { 0 };
    struct loop *loop;
    struct bare bare;
    double least[PAIRS], ours[PAIRS], ratio[PAIRS];
    rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    samples = calloc(rounds ? rounds : 1, sizeof(*samples));
    if (!rounds || !samples || loop_new(&options, &loop)) {
        fail("the start");
    }
    casgi_imports_.tasks = &task_interface;
    casgi_imports_.threads = &threads_interface;
    casgi_imports_.fd = &fd_interface;
    casgi_imports_.files = &files_interface;
    if (bare_start(&bare)) {
        fail("pthread_create");
    }
    for (size_t i = 0; i < PAIRS; i++) {
        least[i] = time_bare(&bare);
        ours[i] = time_task(loop, to_thread, NULL);
        ratio[i] = ours[i] / least[i];
    }
    printf("condition variable and eventfd        %8.0f ns\n", median(least, PAIRS));
    printf("casgi_to_thread                       %8.0f ns   %.2f times (at most 1.30)\n", median(ours, PAIRS),
           median(ratio, PAIRS));
    print_others(loop);
    bare_stop(&bare);
    loop_free(loop);
    free(samples);
    return 0;
}
