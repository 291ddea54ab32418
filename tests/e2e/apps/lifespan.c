/* An application whose lifespan takes the steps that its arguments list (`casgi lifespan.so -- receive complete ...`):
 *
 *   receive             one event, which is logged
 *   complete            sends lifespan.startup.complete, or .shutdown.complete if that was received last
 *   failed:TEXT         the same with .failed
 *   set:KEY=VALUE       into the state
 *   wait:FILE           until it exists
 *   hang                for an hour, whatever it is told
 *   result:NUMBER       returns this code; without it 0 after the last step
 *
 * What came of each is logged: "step receive lifespan.startup". A request to /KEY is answered with the state's value of
 * that key, which it then replaces in its own copy, and with how often that value was shown. */
#include <casgi/casgi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 16 };

struct value {
    const char *text;
    int shown;
};

static int step_count;
static char **step_words;
static char *words[STEPS];
static struct value values[16];
static int value_count;

struct run {
    const casgi_scope_t *scope;
    casgi_receive_t *receive;
    casgi_send_t *send;
    uint32_t received;
};

static int receive_one(struct run *run)
{
    casgi_event_t event;
    int rc = casgi_receive(run->receive, &event);
    run->received = rc ? run->received : event.type;
    casgi_log(CASGI_LOG_INFO, "step receive %s", rc ? casgi_strerror(rc) : casgi_event_name(event.type));
    return rc;
}

static int answer(struct run *run, const char *failure)
{
    bool shutdown = run->received == CASGI_LIFESPAN_SHUTDOWN;
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_EVENT_NONE);
    if (failure) {
        event.type = shutdown ? CASGI_LIFESPAN_SHUTDOWN_FAILED : CASGI_LIFESPAN_STARTUP_FAILED;
        event.lifespan_failed.message = casgi_str(failure);
    } else {
        event.type = shutdown ? CASGI_LIFESPAN_SHUTDOWN_COMPLETE : CASGI_LIFESPAN_STARTUP_COMPLETE;
    }
    return casgi_send(run->send, &event);
}

static int set(const struct run *run, char *pair)
{
    char *equals = strchr(pair, '=');
    if (!equals || value_count == 16) {
        return CASGI_EINVAL;
    }
    *equals = '\0';
    struct value *value = &values[value_count++];
    value->text = equals + 1;
    return casgi_state_set(run->scope, pair, value);
}

static int wait_for(const char *path)
{
    int rc = 0;
    while (!rc && access(path, F_OK)) {
        rc = casgi_sleep(5);
    }
    return rc;
}

static void hang(void)
{
    for (int i = 0; i < 3600; i++) {
        (void)casgi_sleep(1000);
        (void)casgi_uncancel();
    }
}

static int take_step(struct run *run, const char *word, char *rest)
{
    if (strcmp(word, "receive") == 0) {
        return receive_one(run);
    }
    if (strcmp(word, "complete") == 0 || strcmp(word, "failed") == 0) {
        return answer(run, word[0] == 'f' ? rest : NULL);
    }
    if (strcmp(word, "set") == 0) {
        return set(run, rest);
    }
    if (strcmp(word, "wait") == 0) {
        return wait_for(rest);
    }
    if (strcmp(word, "hang") == 0) {
        hang();
        return 0;
    }
    return CASGI_EINVAL;
}

static int lifespan(struct run *run)
{
    const casgi_scope_t *scope = run->scope;
    casgi_log(CASGI_LOG_INFO, "scope %s %s %s state=%s method=%s headers=%zu", scope->type_name.ptr,
              scope->asgi_version.ptr, scope->asgi_spec_version.ptr, scope->state ? "yes" : "no",
              scope->method.ptr ? scope->method.ptr : "none", scope->header_count);
    for (int i = 0; i < step_count && i < STEPS; i++) {
        char *word = words[i] = strdup(step_words[i]); /* kept: values point into it */
        char *rest = word ? strchr(word, ':') : NULL;
        if (rest) {
            *rest++ = '\0';
        }
        if (word && strcmp(word, "result") == 0) {
            return (int)strtol(rest ? rest : "", NULL, 10);
        }
        int rc = word ? take_step(run, word, rest ? rest : word + strlen(word)) : CASGI_ENOMEM;
        casgi_log(CASGI_LOG_INFO, "step %s: %s", step_words[i], casgi_strerror(rc));
    }
    return 0;
}

static int http(const casgi_scope_t *scope, casgi_send_t *send)
{
    static struct value replaced = { "replaced", 0 };
    char text[256];
    struct value *value = casgi_state_get(scope, scope->path.ptr + 1);
    (void)snprintf(text, sizeof(text), "%s %d", value ? value->text : "none", value ? ++value->shown : 0);
    (void)casgi_state_set(scope, scope->path.ptr + 1, &replaced);
    return casgi_respond(send, 200, "text/plain", text);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    struct run run = { .scope = scope, .receive = receive, .send = send };
    return scope->type == CASGI_SCOPE_LIFESPAN ? lifespan(&run) : http(scope, send);
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    static casgi_app_t app = { handle, NULL, { 0, 0 } };
    (void)host;
    step_count = argc - 1;
    step_words = argv + 1;
    if (argc > 1 && strncmp(argv[1], "refuse:", 7) == 0) {
        (void)casgi_error_set(out_error, CASGI_EINVAL, "%s", argv[1] + 7);
        return NULL;
    }
    return &app;
}

static void destroy(casgi_app_t *app)
{
    (void)app;
    for (int i = 0; i < STEPS; i++) {
        free(words[i]);
    }
}

static const casgi_app_record_t app = {
    "app", "a lifespan by its steps", create, destroy, CASGI_APP_HTTP | CASGI_APP_LIFESPAN, 0, { 0 },
};
static const casgi_app_record_t plain = {
    "plain", "the same without a lifespan", create, destroy, CASGI_APP_HTTP, 0, { 0 },
};
CASGI_MODULE("lifespan", "1.0", &app, &plain);
