#include "worker/impl.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "observe/access.h"
#include "observe/timeline.h"
#include "observe/trace_events.h"
#include "observe/watchdog.h"
#include "worker/orders.h"

#include <stdlib.h>

struct observers {
    struct worker *worker;
    struct access_options access_options;
    struct exchange_observer *access; /* NULL: no access log */
    struct exchange_observer *trace;  /* NULL: not traced */
    struct exchange_observer count;   /* --limit-max-requests */
    struct exchange_observer failures;
    struct loop_late retire;
    struct watchdog *watchdog; /* NULL: nobody watches */
    struct timeline *timeline; /* NULL: none is written */
};

/* ---- the application's failures ---- */

static void say_failure(const struct exchange_record *record, const char *method, const char *path)
{
    const char *why = record->why ? record->why : error_text(record->app_result);
    const char *name = error_name(record->app_result ? record->app_result : record->error);
    log_print(CASGI_LOG_ERROR, "\"%s %s\" failed: %s (%s)%s%s", method, path, why, name,
              record->refused ? "; what it sent was refused: " : "", record->refused ? record->refused : "");
}

/* An application that fails because of a refused event is told why in the same line; one that goes on, only if asked.
 */
static __attribute__((noinline)) void tell_failure(const struct exchange *ex)
{
    const struct exchange_record *record = &ex->record;
    char path[512];
    const char *method = ex->scope.method.ptr ? ex->scope.method.ptr : "-";
    casgi_str_t before = log_set_request(ex->scope.request_id); /* its task has ended */
    log_escape(path, sizeof(path), ex->scope.raw_path);
    if (record->failed) {
        say_failure(record, method, path);
    } else {
        log_print(CASGI_LOG_DEBUG, "\"%s %s\": what it sent was refused: %s", method, path, record->refused);
    }
    (void)log_set_request(before);
}

static void on_failure(struct exchange_observer *self, const struct exchange *ex)
{
    (void)self;
    if (ex->record.failed || ex->record.refused) {
        tell_failure(ex);
    }
}

/* ---- so many requests, and no more ---- */

/* Another worker is to take over, or, without a supervisor, the process ends. */
static void on_retire(struct loop_late *late)
{
    struct observers *observers = (struct observers *)(void *)((char *)late - offsetof(struct observers, retire));
    struct worker *worker = observers->worker;
    log_print(CASGI_LOG_WARNING, "The limit of %llu requests is reached; this worker ends",
              (unsigned long long)worker->config->limit_max_requests);
    if (worker->orders) {
        orders_report_text(worker->orders, CONTROL_RETIRE, 0, "Replacing the worker");
    } else {
        worker_stop(worker);
    }
}

static void on_begin(struct exchange_observer *self, const struct exchange *ex)
{
    struct observers *observers = self->data;
    struct worker *worker = observers->worker;
    (void)ex;
    if (++worker->requests == worker->config->limit_max_requests) {
        loop_late(worker->loop, &observers->retire);
    }
}

/* ---- all of them ---- */

static void add(struct worker *worker, struct exchange_observer *observer)
{
    observer->next = worker->exchanges.observers;
    worker->exchanges.observers = observer;
}

static void set_access_options(struct access_options *options, const struct config *config)
{
    options->json = config->log_json;
    options->colors = log_colors(LOG_STDOUT);
    options->query = config->access_log_query;
    options->exclude = (const char *const *)config->access_log_exclude.items;
    options->exclude_count = config->access_log_exclude.count;
}

static int add_logs(struct observers *observers)
{
    struct worker *worker = observers->worker;
    int rc = 0;
    if (worker->config->access_log && log_enabled(CASGI_LOG_INFO)) { /* its lines are of that level */
        set_access_options(&observers->access_options, worker->config);
        rc = access_log_new(&observers->access_options, &observers->access);
        if (!rc) {
            add(worker, observers->access);
        }
    }
    if (!rc && log_enabled(CASGI_LOG_TRACE)) {
        rc = trace_events_new(&observers->trace);
        if (!rc) {
            add(worker, observers->trace);
        }
    }
    return rc;
}

/* ---- the timeline and the watchdog ---- */

/* One of a supervisor's workers begins it when it serves: if it never does, its predecessor's stays. */
static int open_timeline(struct observers *observers)
{
    const struct worker *worker = observers->worker;
    const struct timeline_options options = { .path = worker->config->trace,
                                              .limit = worker->config->trace_limit,
                                              .replace = worker->options->generation > 1 };
    casgi_error_t error;
    if (!options.path || worker->options->placeholder) {
        return 0;
    }
    int rc = timeline_open(worker->loop, &options, &observers->timeline, &error);
    if (rc) {
        log_print(CASGI_LOG_ERROR, "There is no timeline: %s", error.message);
    }
    return rc;
}

static void start_watchdog(struct observers *observers)
{
    struct worker *worker = observers->worker;
    const struct watchdog_options options = { .most = worker->config->slow_callback_duration * 1000,
                                              .program = "/proc/self/exe" };
    if (!options.most || worker->options->placeholder) {
        return;
    }
    int rc = watchdog_new(worker->loop, &options, &observers->watchdog);
    if (rc) {
        log_print(CASGI_LOG_WARNING, "Nobody watches for handlers that hold up the loop: %s", error_text(rc));
    }
}

void observers_start(struct observers *observers)
{
    if (observers->worker->options->generation) {
        (void)open_timeline(observers); /* it serves without one, too */
    }
    start_watchdog(observers);
}

void observers_end_timeline(struct observers *observers)
{
    if (observers) {
        timeline_close(observers->timeline);
        observers->timeline = NULL;
    }
}

/* ---- life ---- */

int observers_new(struct worker *worker, struct observers **out)
{
    struct observers *observers = calloc(1, sizeof(*observers));
    if (!observers) {
        return CASGI_ENOMEM;
    }
    observers->worker = worker;
    observers->retire.fn = on_retire;
    list_init(&observers->retire.node);
    int rc = add_logs(observers);
    if (!rc && !worker->options->generation) {
        rc = open_timeline(observers);
    }
    if (rc) {
        observers_free(observers);
        return rc;
    }
    observers->failures = (struct exchange_observer){ .data = observers, .on_end = on_failure };
    add(worker, &observers->failures);
    if (worker->config->limit_max_requests && !worker->options->placeholder) {
        observers->count = (struct exchange_observer){ .data = observers, .on_begin = on_begin };
        add(worker, &observers->count);
    }
    *out = observers;
    return 0;
}

void observers_free(struct observers *observers)
{
    if (observers) {
        watchdog_free(observers->watchdog);
        observers_end_timeline(observers);
        list_remove(&observers->retire.node);
        access_log_free(observers->access);
        trace_events_free(observers->trace);
        free(observers);
    }
}
