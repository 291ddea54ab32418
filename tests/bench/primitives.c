/* What the primitives cost inside the server. GET /NAME measures one, and answers "VALUE BESIDE CONTROL": BESIDE is
 * what it is compared with, CONTROL what VALUE would be without the server (0: nothing). Times are medians, in
 * nanoseconds; memory is in bytes. GET /parked?N parks N tasks. */
#include <casgi/casgi.h>

#include "bare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 201, BATCH = 1000, ROUNDS = 500, PAIRS = 15, GATHERS = 11 };

struct figure {
    double value;
    double beside;
    double control;
};

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

/* Nanoseconds of one of `batch` calls of fn(arg), the median of `count` batches. */
static int time_calls(int (*fn)(void *arg), void *arg, size_t batch, size_t count, double *out_ns)
{
    double samples[SAMPLES];
    for (size_t i = 0; i < count; i++) {
        double begun = now_ns();
        for (size_t k = 0; k < batch; k++) {
            int rc = fn(arg);
            if (rc) {
                return rc;
            }
        }
        samples[i] = (now_ns() - begun) / (double)batch;
    }
    *out_ns = median(samples, count);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- a task created, run and joined ---- */

static int create_and_join(void *arg)
{
    casgi_task_t *task;
    int rc = casgi_create_task(nothing, arg, "nothing", &task);
    return rc ? rc : casgi_join(task, NULL);
}

static int measure_create(struct figure *out)
{
    return time_calls(create_and_join, NULL, BATCH, SAMPLES, &out->value);
}

/* ---- a park and wake: two tasks that wake each other; a round is two of both ---- */

struct pair {
    casgi_semaphore_t there;
    casgi_semaphore_t back;
};

static int answer_always(void *arg)
{
    struct pair *pair = arg;
    for (;;) {
        int rc = casgi_semaphore_acquire(&pair->there);
        rc = rc ? rc : casgi_semaphore_release(&pair->back);
        if (rc) {
            return rc;
        }
    }
}

static int ask(void *arg)
{
    struct pair *pair = arg;
    int rc = casgi_semaphore_release(&pair->there);
    return rc ? rc : casgi_semaphore_acquire(&pair->back);
}

static int measure_park(struct figure *out)
{
    struct pair pair = { CASGI_SEMAPHORE_INIT(0), CASGI_SEMAPHORE_INIT(0) };
    casgi_task_t *other;
    int rc = casgi_create_task(answer_always, &pair, "answers", &other);
    if (rc) {
        return rc;
    }
    rc = time_calls(ask, &pair, BATCH, SAMPLES, &out->value);
    out->value /= 2;
    (void)casgi_cancel(other);
    int joined = casgi_join(other, NULL);
    return rc ? rc : joined;
}

/* ---- a lock and a queue that nobody else wants; a call is two operations ---- */

static int lock_and_release(void *arg)
{
    int rc = casgi_lock_acquire(arg);
    return rc ? rc : casgi_lock_release(arg);
}

static int measure_lock(struct figure *out)
{
    casgi_lock_t lock = CASGI_LOCK_INIT;
    int rc = time_calls(lock_and_release, &lock, BATCH, SAMPLES, &out->value);
    out->value /= 2;
    return rc;
}

static int put_and_get(void *arg)
{
    void *item;
    int rc = casgi_queue_put(arg, arg);
    return rc ? rc : casgi_queue_get(arg, &item);
}

static int measure_queue(struct figure *out)
{
    void *slots[16];
    casgi_queue_t queue;
    int rc = casgi_queue_init(&queue, slots, 16);
    rc = rc ? rc : time_calls(put_and_get, &queue, BATCH, SAMPLES, &out->value);
    out->value /= 2;
    return rc;
}

/* ---- a thread's round trip beside the least it could be, by turns ---- */

static double samples[ROUNDS];

static int time_rounds(int (*fn)(void *arg), void *arg, double *out_ns)
{
    for (size_t i = 0; i < ROUNDS; i++) {
        double begun = now_ns();
        int rc = fn(arg);
        if (rc) {
            return rc;
        }
        samples[i] = now_ns() - begun;
    }
    *out_ns = median(samples, ROUNDS);
    return 0;
}

static int run_nothing(void *arg)
{
    return casgi_to_thread(nothing, arg);
}

static int run_bare(void *arg)
{
    return bare_round(arg) ? CASGI_EIO : 0;
}

static int measure_thread(struct figure *out)
{
    struct bare bare;
    double ours[PAIRS], least[PAIRS], ratio[PAIRS];
    int rc = bare_start(&bare) ? CASGI_EIO : 0;
    if (rc) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < PAIRS; i++) {
        rc = time_rounds(run_bare, &bare, &least[i]);
        rc = rc ? rc : time_rounds(run_nothing, NULL, &ours[i]);
        ratio[i] = rc ? 0 : ours[i] / least[i];
    }
    bare_stop(&bare);
    if (rc == 0) { /* the ratio is the median of the pairs' own */
        out->value = median(ours, PAIRS);
        out->beside = out->value / median(ratio, PAIRS);
    }
    return rc;
}

/* ---- three waits of 100 ms, gathered ---- */

static int wait_100(void *arg)
{
    (void)arg;
    return casgi_sleep(100);
}

static int gather_three(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(wait_100, arg), CASGI_WORK(wait_100, arg), CASGI_WORK(wait_100, arg) };
    return casgi_gather(works, 3, 0);
}

static int measure_gather(struct figure *out)
{
    return time_calls(gather_three, NULL, 1, GATHERS, &out->value);
}

/* ---- two computations on threads beside one, by turns ---- */

static int compute(void *arg)
{
    volatile uint32_t value = 1;
    for (uint32_t i = 0; i < 20000000; i++) {
        value = value * 1664525 + 1013904223;
    }
    (void)arg;
    return 0;
}

static int compute_one(void *arg)
{
    return casgi_to_thread(compute, arg);
}

static int compute_two(void *arg)
{
    casgi_work_t works[] = { CASGI_WORK(compute_one, arg), CASGI_WORK(compute_one, arg) };
    return casgi_gather(works, 2, 0);
}

static void *compute_bare(void *arg)
{
    (void)compute(arg);
    return NULL;
}

/* The same on two threads of our own: more than one's time is what the machine did not give. */
static int compute_two_bare(void *arg)
{
    pthread_t threads[2];
    size_t started = 0;
    while (started < 2 && pthread_create(&threads[started], NULL, compute_bare, arg) == 0) {
        started++;
    }
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return started == 2 ? 0 : CASGI_ENOMEM;
}

static int measure_parallel(struct figure *out)
{
    double two[PAIRS], ratio[PAIRS], control[PAIRS];
    for (size_t i = 0; i < PAIRS; i++) {
        double one, bare;
        int rc = time_calls(compute_one, NULL, 1, 1, &one);
        rc = rc ? rc : time_calls(compute_two, NULL, 1, 1, &two[i]);
        rc = rc ? rc : time_calls(compute_two_bare, NULL, 1, 1, &bare);
        if (rc) {
            return rc;
        }
        ratio[i] = two[i] / one;
        control[i] = bare / one;
    }
    out->value = median(two, PAIRS);
    out->beside = out->value / median(ratio, PAIRS);
    out->control = out->beside * median(control, PAIRS);
    return 0;
}

/* ---- the memory of parked tasks ---- */

static size_t asked; /* the number in the query */

struct crowd {
    casgi_flag_t go;
    size_t parked;
};

static int wait_for_flag(void *arg)
{
    struct crowd *crowd = arg;
    crowd->parked++;
    return casgi_flag_wait(&crowd->go);
}

static double private_bytes(void)
{
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "Private_", 8) == 0) {
            kilobytes += strtod(strchr(line, ':') + 1, NULL);
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return kilobytes * 1024;
}

static int measure_parked(struct figure *out)
{
    const size_t count = asked ? asked : 1;
    struct crowd crowd = { CASGI_FLAG_INIT, 0 };
    casgi_task_group_t group;
    double before = private_bytes();
    int rc = casgi_task_group_begin(&group);
    if (rc) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = casgi_task_group_create(&group, wait_for_flag, &crowd, "parked", NULL);
    }
    while (rc == 0 && crowd.parked < count) {
        rc = casgi_yield();
    }
    out->value = (private_bytes() - before) / (double)count;
    (void)casgi_flag_set(&crowd.go);
    int ended = casgi_task_group_end(&group);
    return rc ? rc : ended;
}

static const struct {
    const char *path;
    int (*measure)(struct figure *out);
} figures[] = {
    { "/create", measure_create },     { "/park", measure_park },     { "/lock", measure_lock },
    { "/queue", measure_queue },       { "/thread", measure_thread }, { "/gather", measure_gather },
    { "/parallel", measure_parallel }, { "/parked", measure_parked },
};

static int primitives(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)receive;
    asked = strtoul(scope->query_string.ptr, NULL, 10);
    for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++) {
        if (strcmp(scope->path.ptr, figures[i].path) == 0) {
            char text[64];
            struct figure figure = { 0, 0, 0 };
            int rc = figures[i].measure(&figure);
            if (rc) {
                return rc;
            }
            (void)snprintf(text, sizeof(text), "%.3f %.3f %.3f\n", figure.value, figure.beside, figure.control);
            return casgi_respond(send, 200, "text/plain", text);
        }
    }
    return casgi_respond(send, 404, "text/plain", "GET /create, /park, ...\n");
}
CASGI_APP(primitives)
