#include "worker/impl.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "module/lifespan.h"
#include "module/loader.h"
#include "net/listen.h"
#include "runtime/crash.h"
#include "runtime/threads.h"
#include "worker/handover.h"
#include "worker/orders.h"
#include "worker/placeholder.h"
#include "worker/signals.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Each connection is a descriptor: as many as this process may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* ---- header fields that every response gets ---- */

static char *copy_text(casgi_str_t text, bool lower)
{
    char *copy = malloc(text.len + 1);
    for (size_t i = 0; copy && i < text.len; i++) {
        copy[i] = lower ? (char)tolower((unsigned char)text.ptr[i]) : text.ptr[i];
    }
    if (copy) {
        copy[text.len] = '\0';
    }
    return copy;
}

static int add_header(struct worker *worker, casgi_str_t name, casgi_str_t value)
{
    casgi_header_t *header = &worker->headers[worker->header_count++];
    header->name = (casgi_str_t){ copy_text(name, true), name.len };
    header->value = (casgi_str_t){ copy_text(value, false), value.len };
    return header->name.ptr && header->value.ptr ? 0 : CASGI_ENOMEM;
}

static bool has_header(const struct worker *worker, const char *name)
{
    for (size_t i = 0; i < worker->header_count; i++) {
        if (casgi_str_equal(worker->headers[i].name, casgi_str(name))) {
            return true;
        }
    }
    return false;
}

/* --header, and "server" unless one of them is that. */
static int make_headers(struct worker *worker)
{
    const struct config *config = worker->config;
    int rc = 0;
    worker->headers = calloc(config->header.count + 1, sizeof(*worker->headers));
    if (!worker->headers) {
        return CASGI_ENOMEM;
    }
    for (size_t i = 0; i < config->header.count && !rc; i++) {
        casgi_str_t name, value;
        config_split_header(config->header.items[i], &name, &value);
        rc = add_header(worker, name, value);
    }
    if (!rc && config->server_header && !has_header(worker, "server")) {
        rc = add_header(worker, casgi_str("server"), casgi_str("casgi"));
    }
    return rc;
}

/* ---- the application ---- */

static void say_what_is_loaded(const struct worker *worker, const struct module *module)
{
    const casgi_module_t *record = module_record(module);
    casgi_error_t error;
    const casgi_app_record_t *chosen = module_find_app(module, worker->options->app_name, &error);
    const char *app = chosen ? chosen->name : "";
    if (strcmp(record->version, "0") == 0) { /* CASGI_APP's: its author named neither module nor version */
        log_print(CASGI_LOG_INFO, "Loaded %s: application \"%s\"", module_shown(module), app);
    } else {
        log_print(CASGI_LOG_INFO, "Loaded %s: %s %s, application \"%s\"", module_shown(module), record->name,
                  record->version, app);
    }
}

static int load(struct worker *worker, casgi_error_t *error)
{
    const struct worker_options *options = worker->options;
    struct module *module;
    int rc = module_open(options->path, options->shown, &module, error);
    if (!rc) {
        rc = module_create(module, options->app_name, worker->config->app_argc, worker->config->app_argv, &worker->app,
                           &worker->app_flags, error);
    }
    if (!rc) {
        say_what_is_loaded(worker, module);
    }
    return rc;
}

static int make_application(struct worker *worker, casgi_error_t *error)
{
    if (!worker->options->placeholder) {
        return load(worker, error);
    }
    worker->placeholder = placeholder_new(worker->options->placeholder);
    if (!worker->placeholder) {
        return error_set(error, CASGI_ENOMEM, "out of memory");
    }
    worker->app = placeholder_app(worker->placeholder);
    worker->app_flags = CASGI_APP_HTTP;
    return 0;
}

/* ---- the parts ---- */

static void on_idle(struct exchange_host *host)
{
    struct worker *worker = (struct worker *)(void *)((char *)host - offsetof(struct worker, exchanges));
    if (worker->phase == PHASE_DRAINING) {
        worker_check(worker);
    }
}

static void set_up_exchanges(struct worker *worker)
{
    struct exchange_host *host = &worker->exchanges;
    host->loop = worker->loop;
    host->app = worker->app;
    host->app_flags = worker->app_flags;
    host->default_headers = worker->headers;
    host->default_header_count = worker->header_count;
    host->date_header = worker->config->date_header;
    host->body_limit = worker->config->limit_body_size;
    host->state = worker->state;
    host->on_idle = on_idle;
    exchange_host_init(host);
}

static int make_acceptors(struct worker *worker)
{
    struct listen_set *sockets = worker->options->sockets;
    worker->acceptors = calloc(sockets->count + 1, sizeof(struct acceptor *));
    int rc = worker->acceptors ? 0 : CASGI_ENOMEM;
    for (size_t i = 0; i < sockets->count && !rc; i++) {
        rc = acceptor_new(worker, sockets->items[i], &worker->acceptors[i]);
        worker->acceptor_count += !rc;
    }
    return rc;
}

static int make_loop(struct worker *worker)
{
    const struct loop_options options = { .stack_size = worker->config->stack_size,
                                          .cleanup_us = worker->config->timeout_cleanup };
    int rc = loop_new(&options, &worker->loop);
    if (!rc) {
        crash_set_helper("/proc/self/exe");
        rc = crash_install();
    }
    if (!rc) {
        rc = signals_new(worker, &worker->signals);
    }
    if (!rc && worker->options->control >= 0) {
        rc = orders_new(worker, &worker->orders);
    }
    return rc;
}

static int make_parts(struct worker *worker)
{
    worker->state = state_base_new();
    int rc = worker->state ? make_headers(worker) : CASGI_ENOMEM;
    if (!rc) {
        rc = observers_new(worker, &worker->observers);
    }
    if (!rc) {
        set_up_exchanges(worker);
        rc = make_acceptors(worker);
    }
    return rc;
}

int worker_set_up(struct worker *worker, casgi_error_t *error)
{
    raise_descriptor_limit();
    int rc = make_loop(worker);
    if (rc) {
        (void)error_set(error, rc, "The worker cannot start: %s", error_text(rc));
        return WORKER_EXIT_START;
    }
    if (make_application(worker, error)) {
        return WORKER_EXIT_LOAD;
    }
    rc = make_parts(worker);
    if (rc) {
        (void)error_set(error, rc, "The worker cannot start: %s", error_text(rc));
        return WORKER_EXIT_START;
    }
    return WORKER_EXIT_OK;
}

/* ---- taking it apart ---- */

static void free_headers(struct worker *worker)
{
    for (size_t i = 0; i < worker->header_count; i++) {
        free((void *)(uintptr_t)worker->headers[i].name.ptr);
        free((void *)(uintptr_t)worker->headers[i].value.ptr);
    }
    free(worker->headers);
}

static void free_acceptors(struct worker *worker)
{
    for (size_t i = 0; i < worker->acceptor_count; i++) {
        acceptor_free(worker->acceptors[i]);
    }
    free(worker->acceptors);
}

void worker_tear_down(struct worker *worker)
{
    if (!worker->loop) {
        return;
    }
    lifespan_free(worker->lifespan);
    handover_free(worker->handover);
    free_acceptors(worker);
    if (worker->exchanges.loop) {
        exchange_host_release(&worker->exchanges);
    }
    observers_free(worker->observers);
    orders_free(worker->orders);
    thread_stop(worker->loop); /* before the application goes */
    module_close_all();
    signals_free(worker->signals); /* until here a second signal ends what hangs */
    placeholder_free(worker->placeholder);
    state_base_free(worker->state);
    free_headers(worker);
    timer_clear(worker->loop, &worker->deadline);
    timer_clear(worker->loop, &worker->recheck);
    loop_free(worker->loop);
}
