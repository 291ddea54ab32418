#include "worker/impl.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "module/lifespan.h"
#include "net/listen.h"
#include "worker/orders.h"

#include <unistd.h>

/* ---- starting ---- */

static int start_accepting(struct worker *worker)
{
    int rc = 0;
    for (size_t i = 0; i < worker->acceptor_count && !rc; i++) {
        rc = acceptor_start(worker->acceptors[i]);
    }
    return rc;
}

static void announce(const struct worker *worker)
{
    const struct listen_set *sockets = worker->options->sockets;
    if (worker->orders) { /* the supervisor has said it */
        return;
    }
    for (size_t i = 0; i < sockets->count; i++) {
        log_print(CASGI_LOG_INFO, "casgi " CASGI_VERSION " running on %s (Press CTRL+C to quit)",
                  sockets->items[i]->url);
    }
}

/* The worker will not serve: said by the supervisor, if there is one. */
static void fail(struct worker *worker, int exit_code, const char *message)
{
    worker->exit_code = exit_code;
    if (worker->orders) {
        orders_report_text(worker->orders, CONTROL_FAILED, (unsigned)exit_code, message);
    } else {
        log_print(CASGI_LOG_ERROR, "%s", message);
    }
}

static void serve(struct worker *worker)
{
    int rc = start_accepting(worker);
    if (rc) {
        fail(worker, WORKER_EXIT_START, error_text(rc));
        worker_stop(worker);
        return;
    }
    worker->phase = PHASE_SERVING;
    worker->started = true;
    observers_start(worker->observers);
    announce(worker);
    log_gather(true); /* from here on lines come in numbers */
    orders_report(worker->orders, CONTROL_READY, worker->options->generation);
}

/* ---- the lifespan ---- */

bool worker_is_quiet(const struct worker *worker)
{
    return worker->options->placeholder || worker->config->lifespan == CONFIG_LIFESPAN_OFF;
}

static void startup_failed(struct worker *worker, const char *message)
{
    casgi_error_t error;
    (void)error_set(&error, CASGI_EFAILED, "Application startup failed: %s", message);
    fail(worker, WORKER_EXIT_START, error.message);
    if (!worker->orders) {
        log_print(CASGI_LOG_ERROR, "Application startup failed. Exiting.");
    }
    worker_stop(worker);
}

static void on_started(void *data, int code, const char *message)
{
    struct worker *worker = data;
    if (worker->phase != PHASE_STARTING) {
        worker->lifespan_over |= code != 0;
        worker_check(worker);
        return;
    }
    if (code) {
        worker->lifespan_over = true;
        startup_failed(worker, message ? message : error_text(code));
        return;
    }
    if (!worker_is_quiet(worker)) {
        log_print(CASGI_LOG_INFO, "Application startup complete.");
    }
    serve(worker);
}

static void on_stopped(void *data, int code, const char *message)
{
    struct worker *worker = data;
    worker->lifespan_over = true;
    if (code && worker->started) {
        log_print(CASGI_LOG_ERROR, "Application shutdown failed: %s", message ? message : error_text(code));
        worker->exit_code = WORKER_EXIT_UNCLEAN;
    } else if (worker->started && !worker_is_quiet(worker)) {
        log_print(CASGI_LOG_INFO, "Application shutdown complete.");
    }
    worker_check(worker);
}

static enum lifespan_mode lifespan_mode(const struct worker *worker)
{
    if (worker->options->placeholder) {
        return LIFESPAN_OFF;
    }
    switch (worker->config->lifespan) {
    case CONFIG_LIFESPAN_ON:
        return LIFESPAN_ON;
    case CONFIG_LIFESPAN_OFF:
        return LIFESPAN_OFF;
    default:
        return LIFESPAN_AUTO;
    }
}

static void start_lifespan(struct worker *worker)
{
    const struct lifespan_options options = { .app = worker->app,
                                              .app_flags = worker->app_flags,
                                              .mode = lifespan_mode(worker),
                                              .state = worker->state,
                                              .on_started = on_started,
                                              .on_stopped = on_stopped,
                                              .data = worker };
    if (!worker_is_quiet(worker)) {
        log_print(CASGI_LOG_INFO, "Waiting for application startup.");
    }
    int rc = lifespan_start(worker->loop, &options, &worker->lifespan);
    if (rc) {
        worker->lifespan = NULL;
        fail(worker, WORKER_EXIT_START, error_text(rc));
        worker_stop(worker);
    }
}

/* ---- the whole ---- */

static void init(struct worker *worker, const struct worker_options *options)
{
    *worker = (struct worker){ .options = options, .config = options->config };
    list_init(&worker->connections);
    list_init(&worker->check.node);
    worker->check.fn = worker_on_check;
    worker->deadline.fn = worker_on_deadline;
    worker->recheck.fn = worker_on_recheck;
}

int worker_run(const struct worker_options *options)
{
    struct worker worker;
    casgi_error_t error;
    init(&worker, options);
    const int level = options->placeholder ? CASGI_LOG_DEBUG : CASGI_LOG_INFO;
    log_print(level, "Started server process [%d]", (int)getpid());
    int exit_code = worker_set_up(&worker, &error);
    if (exit_code) {
        fail(&worker, exit_code, error.message);
    } else {
        start_lifespan(&worker);
        loop_run(worker.loop);
        log_print(level, "Finished server process [%d]", (int)getpid());
    }
    worker_tear_down(&worker);
    log_finish();
    return worker.exit_code;
}

int worker_run_supervised(struct worker_options *options)
{
    char text[CONTROL_TEXT_MAX + 1];
    int rc = orders_first(options, text);
    if (rc) {
        log_print(CASGI_LOG_ERROR, "The supervisor did not say what to do: %s", error_text(rc));
        return WORKER_EXIT_START;
    }
    return worker_run(options);
}
