#include "support/fake_host.h"

#include "casgi/casgi.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOADED_MAX 8
#define KEYS_MAX 16

struct memory {
    struct memory *next;
    max_align_t data[];
};

struct casgi_task {
    int result;
};

struct casgi_waiter {
    unsigned references;
    bool woken;
};

struct loaded {
    void *handle;
    const casgi_app_record_t *record;
    casgi_app_t *app;
};

struct fake_state {
    casgi_state_t base;
    char *keys[KEYS_MAX];
    void *values[KEYS_MAX];
};

struct fake_host {
    casgi_host_t base;
    struct loaded loaded[LOADED_MAX];
    size_t loaded_count;
    struct memory *memory; /* of the running call */
    uint64_t clock;
    uint64_t deadline; /* the earliest that was begun; 0: none */
    char log[8192];
    struct fake_state state;
};

static struct fake_host *current;

/* ---- casgi.tasks/1 ---- */

static int task_create(casgi_task_fn_t fn, void *arg, const char *name, casgi_task_t **out_task)
{
    (void)name;
    struct casgi_task *task = calloc(1, sizeof(*task));
    if (!task) {
        return CASGI_ENOMEM;
    }
    *out_task = task; /* before it runs: callbacks look at it */
    task->result = fn(arg);
    return 0;
}

static int task_join(casgi_task_t *task, int *out_result)
{
    if (out_result) {
        *out_result = task->result;
    }
    free(task);
    return 0;
}

static int task_cancel(casgi_task_t *task)
{
    (void)task;
    return 0;
}

static void task_release(casgi_task_t *task)
{
    free(task);
}

static int nothing(void)
{
    return 0;
}

static int task_sleep(uint64_t milliseconds)
{
    current->clock += milliseconds * 1000;
    return 0;
}

static uint64_t task_now(void)
{
    return current->clock;
}

static int deadline_begin(casgi_deadline_t *deadline, uint64_t milliseconds)
{
    uint64_t due = current->clock + milliseconds * 1000;
    deadline->words[0] = due;
    deadline->words[1] = current->deadline;
    if (!current->deadline || due < current->deadline) {
        current->deadline = due;
    }
    return 0;
}

static int deadline_end(casgi_deadline_t *deadline)
{
    current->deadline = deadline->words[1];
    return current->clock >= deadline->words[0] ? CASGI_ETIMEDOUT : 0;
}

static int children_mark(casgi_children_t *children)
{
    (void)children;
    return 0;
}

static void *task_alloc(size_t size)
{
    struct memory *memory = malloc(sizeof(*memory) + size);
    if (!memory) {
        return NULL;
    }
    memory->next = current->memory;
    current->memory = memory;
    return memory->data;
}

static int waiter_new(casgi_waiter_t **out_waiter)
{
    *out_waiter = calloc(1, sizeof(**out_waiter));
    if (!*out_waiter) {
        return CASGI_ENOMEM;
    }
    (*out_waiter)->references = 1;
    return 0;
}

static casgi_waiter_t *waiter_ref(casgi_waiter_t *waiter)
{
    waiter->references++;
    return waiter;
}

static void waiter_unref(casgi_waiter_t *waiter)
{
    if (waiter && --waiter->references == 0) {
        free(waiter);
    }
}

/* Nobody else runs: what has not been woken waits for its deadline, or for ever. */
static int waiter_wait(casgi_waiter_t *waiter)
{
    if (waiter->woken) {
        waiter->woken = false;
        return 0;
    }
    if (!current->deadline) {
        return CASGI_ECANCELED;
    }
    current->clock = current->deadline > current->clock ? current->deadline : current->clock;
    return CASGI_ETIMEDOUT;
}

static int waiter_wake(casgi_waiter_t *waiter)
{
    waiter->woken = true;
    return 0;
}

static const casgi_tasks_1_t tasks = {
    .create = task_create,
    .join = task_join,
    .cancel = task_cancel,
    .release = task_release,
    .uncancel = nothing,
    .yield = nothing,
    .sleep = task_sleep,
    .now = task_now,
    .deadline_begin = deadline_begin,
    .deadline_end = deadline_end,
    .mask_begin = nothing,
    .mask_end = nothing,
    .children_begin = children_mark,
    .children_end = children_mark,
    .alloc = task_alloc,
    .waiter_new = waiter_new,
    .waiter_ref = waiter_ref,
    .waiter_unref = waiter_unref,
    .waiter_wait = waiter_wait,
    .waiter_wake = waiter_wake,
};

/* ---- casgi.log/1 and casgi.modules/1 ---- */

static void log_line(int level, const char *format, ...) CASGI_PRINTF(2, 3);
static void log_line(int level, const char *format, ...)
{
    size_t used = strlen(current->log);
    va_list args;
    (void)level;
    va_start(args, format);
    (void)vsnprintf(current->log + used, sizeof(current->log) - used - 1, format, args);
    va_end(args);
    (void)strncat(current->log, "\n", 2);
}

static bool log_enabled(int level)
{
    (void)level;
    return true;
}

static int load_other(const char *spec, int argc, char **argv, casgi_app_t **out_app, uint32_t *out_flags,
                      casgi_error_t *out_error)
{
    *out_app = fake_host_load(current, spec, NULL, argc, argv, out_flags, out_error);
    return *out_app ? 0 : CASGI_ENOENT;
}

static const casgi_log_1_t logging = { .print = log_line, .enabled = log_enabled };
static const casgi_modules_1_t modules = { .load = load_other };

static const void *get(const casgi_host_t *host, const char *name)
{
    (void)host;
    if (strcmp(name, "casgi.tasks/1") == 0) {
        return &tasks;
    }
    if (strcmp(name, "casgi.log/1") == 0) {
        return &logging;
    }
    return strcmp(name, "casgi.modules/1") == 0 ? &modules : NULL;
}

/* ---- the state ---- */

static void *state_get(casgi_state_t *self, const char *key)
{
    struct fake_state *state = (struct fake_state *)self;
    for (size_t i = 0; i < KEYS_MAX; i++) {
        if (state->keys[i] && strcmp(state->keys[i], key) == 0) {
            return state->values[i];
        }
    }
    return NULL;
}

static int state_set(casgi_state_t *self, const char *key, void *value)
{
    struct fake_state *state = (struct fake_state *)self;
    size_t at = 0;
    while (at < KEYS_MAX && state->keys[at] && strcmp(state->keys[at], key) != 0) {
        at++;
    }
    if (at == KEYS_MAX) {
        return CASGI_ENOMEM;
    }
    state->keys[at] = state->keys[at] ? state->keys[at] : strdup(key);
    state->values[at] = value;
    return 0;
}

casgi_state_t *fake_host_state(struct fake_host *host)
{
    return &host->state.base;
}

/* ---- the host ---- */

struct fake_host *fake_host_new(void)
{
    struct fake_host *host = calloc(1, sizeof(*host));
    if (host) {
        host->base = (casgi_host_t){ "fake", "0", CASGI_ABI_MAJOR, CASGI_ABI_MINOR, get, { 0 } };
        host->state.base = (casgi_state_t){ state_get, state_set };
        host->clock = 1000000;
        current = host;
    }
    return host;
}

static void forget_memory(struct fake_host *host)
{
    while (host->memory) {
        struct memory *memory = host->memory;
        host->memory = memory->next;
        free(memory);
    }
}

void fake_host_free(struct fake_host *host)
{
    for (size_t i = host->loaded_count; i-- > 0;) {
        if (host->loaded[i].record->destroy) {
            host->loaded[i].record->destroy(host->loaded[i].app);
        }
    }
    for (size_t i = host->loaded_count; i-- > 0;) {
        (void)dlclose(host->loaded[i].handle);
    }
    for (size_t i = 0; i < KEYS_MAX; i++) {
        free(host->state.keys[i]);
    }
    forget_memory(host);
    free(host);
    current = NULL;
}

uint64_t fake_host_clock(const struct fake_host *host)
{
    return host->clock;
}

const char *fake_host_log(const struct fake_host *host)
{
    return host->log;
}

static const casgi_app_record_t *find_record(const casgi_module_t *module, const char *app_name)
{
    for (size_t i = 0; module->apps[i]; i++) {
        if (!app_name || strcmp(module->apps[i]->name, app_name) == 0) {
            return module->apps[i];
        }
    }
    return NULL;
}

static void fill_imports(struct fake_host *host, const casgi_module_t *module)
{
    memset(module->imports, 0, sizeof(*module->imports));
    module->imports->host = &host->base;
    module->imports->tasks = &tasks;
    module->imports->log = &logging;
    module->imports->modules = &modules;
}

casgi_app_t *fake_host_load(struct fake_host *host, const char *path, const char *app_name, int argc, char **argv,
                            uint32_t *out_flags, casgi_error_t *out_error)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const casgi_module_t *module = handle ? dlsym(handle, "casgi_module_1") : NULL;
    if (!module || module->magic != CASGI_MODULE_MAGIC || host->loaded_count == LOADED_MAX) {
        (void)casgi_error_set(out_error, CASGI_EINVAL, "%s", handle ? "no casgi_module_1" : dlerror());
        return NULL;
    }
    const casgi_app_record_t *record = find_record(module, app_name);
    fill_imports(host, module);
    casgi_app_t *app = record ? record->create(&host->base, argc, argv, out_error) : NULL;
    if (!app) {
        (void)dlclose(handle);
        return NULL;
    }
    host->loaded[host->loaded_count++] = (struct loaded){ handle, record, app };
    *out_flags = record->flags;
    return app;
}

/* ---- a request ---- */

static int receive_piece(casgi_receive_t *self, casgi_event_t *out_event)
{
    struct fake_exchange *exchange =
        (struct fake_exchange *)(void *)((char *)self - offsetof(struct fake_exchange, receive));
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_REQUEST);
    const char *piece = exchange->next_piece < FAKE_PIECES_MAX ? exchange->pieces[exchange->next_piece] : NULL;
    if (exchange->complete || (exchange->next_piece && !piece)) {
        event.type = CASGI_HTTP_DISCONNECT;
    } else {
        exchange->next_piece++;
        event.http_request.body = casgi_str(piece ? piece : "");
        event.http_request.more_body =
            exchange->next_piece < FAKE_PIECES_MAX && exchange->pieces[exchange->next_piece] != NULL;
    }
    *out_event = event;
    return 0;
}

static int take_start(struct fake_exchange *exchange, const casgi_http_response_start_t *start)
{
    if (exchange->status) {
        return CASGI_EPROTO;
    }
    exchange->status = start->status;
    for (size_t i = 0; i < start->header_count; i++) {
        size_t used = strlen(exchange->headers);
        (void)snprintf(exchange->headers + used, sizeof(exchange->headers) - used, "%.*s: %.*s\n",
                       (int)start->headers[i].name.len, start->headers[i].name.ptr, (int)start->headers[i].value.len,
                       start->headers[i].value.ptr);
    }
    return 0;
}

static int take_body(struct fake_exchange *exchange, const casgi_http_response_body_t *body)
{
    if (!exchange->status || exchange->complete || body->body.len >= FAKE_BODY_SIZE - exchange->body_size) {
        return CASGI_EPROTO;
    }
    if (body->body.len) {
        memcpy(exchange->body + exchange->body_size, body->body.ptr, body->body.len);
    }
    exchange->body_size += body->body.len;
    exchange->complete = !body->more_body;
    return 0;
}

static int take_event(casgi_send_t *self, const casgi_event_t *event)
{
    struct fake_exchange *exchange =
        (struct fake_exchange *)(void *)((char *)self - offsetof(struct fake_exchange, send));
    exchange->events++;
    switch (event->type) {
    case CASGI_HTTP_RESPONSE_START:
        return take_start(exchange, &event->http_response_start);
    case CASGI_HTTP_RESPONSE_BODY:
        return take_body(exchange, &event->http_response_body);
    default:
        return CASGI_EINVAL;
    }
}

static void fill_scope(const struct fake_exchange *exchange, casgi_scope_t *scope, casgi_header_t *header)
{
    scope->type = CASGI_SCOPE_HTTP;
    scope->type_name = casgi_str("http");
    scope->asgi_version = casgi_str("3.0");
    scope->asgi_spec_version = casgi_str("2.5");
    scope->http_version = casgi_str("1.1");
    scope->method = casgi_str(exchange->method ? exchange->method : "GET");
    scope->scheme = casgi_str("http");
    scope->path = casgi_str(exchange->path ? exchange->path : "/");
    scope->raw_path = scope->path;
    scope->query_string = casgi_str(exchange->query ? exchange->query : "");
    scope->root_path = casgi_str("");
    scope->state = exchange->state;
    scope->request_id = casgi_str("fake");
    if (exchange->header_name) {
        *header = casgi_header(exchange->header_name, exchange->header_value);
        scope->headers = header;
        scope->header_count = 1;
    }
}

void fake_host_request(struct fake_host *host, casgi_app_t *app, struct fake_exchange *exchange)
{
    casgi_scope_t scope = { 0 };
    casgi_header_t header;
    fill_scope(exchange, &scope, &header);
    exchange->receive.call = receive_piece;
    exchange->send.call = take_event;
    exchange->result = app->call(app, &scope, &exchange->receive, &exchange->send);
    forget_memory(host);
}

/* ---- a lifespan ---- */

struct fake_life {
    casgi_receive_t receive;
    casgi_send_t send;
    uint32_t *events;
    unsigned received;
    unsigned sent;
};

static int receive_life(casgi_receive_t *self, casgi_event_t *out_event)
{
    struct fake_life *life = (struct fake_life *)self;
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP);
    if (life->received == 2) {
        return CASGI_ECLOSED;
    }
    event.type = life->received++ ? CASGI_LIFESPAN_SHUTDOWN : CASGI_LIFESPAN_STARTUP;
    *out_event = event;
    return 0;
}

static int take_life(casgi_send_t *self, const casgi_event_t *event)
{
    struct fake_life *life = (struct fake_life *)(void *)((char *)self - offsetof(struct fake_life, send));
    if (life->sent == 2) {
        return CASGI_EPROTO;
    }
    life->events[life->sent++] = event->type;
    return 0;
}

int fake_host_lifespan(struct fake_host *host, casgi_app_t *app, casgi_state_t *state, uint32_t out_events[2])
{
    struct fake_life life = { { receive_life }, { take_life }, out_events, 0, 0 };
    casgi_scope_t scope = { 0 };
    scope.type = CASGI_SCOPE_LIFESPAN;
    scope.type_name = casgi_str("lifespan");
    scope.asgi_version = casgi_str("3.0");
    scope.asgi_spec_version = casgi_str("2.0");
    scope.state = state;
    int rc = app->call(app, &scope, &life.receive, &life.send);
    forget_memory(host);
    return rc;
}
