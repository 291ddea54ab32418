/* The scripted probe: the query of a request lists the steps its handler takes, so that a test decides the order in
 * which things happen. What came of each step can be read while it runs, at /log/NAME.
 *
 *   GET /NAME?receive,start:200:x-a=b,body:one,gate:go,end:two     a request called NAME, and its steps
 *   GET /open/go                                                   opens the gate "go"
 *   GET /log/NAME                                                  a line for each step: "receive http.request 3 end"
 *
 * The application "cancelled" is the same, and is cancelled when its client goes.
 *
 * Steps are taken apart at "," and ":", then percent-decoded:
 *
 *   receive               one event
 *   receive-all           until the body's end or a disconnect; "receive-all 12 end"
 *   receive-slowly:MS     the same, with a wait before each event
 *   watch                 receives in a task beside this one, from now on, until a disconnect
 *   watched               waits until that task has ended
 *   start:STATUS:N=V:...  and start-trailers, which announces trailers
 *   body:TEXT, end:TEXT   a piece of the body, its last piece
 *   fill:N, end-fill:N    N bytes of body in pieces of 64 KiB (the last one ends it)
 *   file:PATH:OFF:COUNT, end-file:...   zerocopysend
 *   path:PATH             pathsend
 *   trailers:N=V:..., trailers-more:...
 *   hint:LINK             early_hint
 *   event:NUMBER          an event of this type
 *   gate:NAME             waits until it is open
 *   sleep:MS
 *   deadline:MS           from here to the end
 *   uncancel
 *   result:NAME           returns this code, as EFAILED; without it the handler returns 0 after its last step */
#include <casgi/casgi.h>

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIELDS = 16, NAMES = 512, PIECE = 65536 };

struct gate {
    char *name;
};

struct log {
    char *name;
    char *text;
    size_t size;
};

/* Kept until the process ends. */
static struct gate gates[NAMES];
static struct log logs[NAMES];
static size_t log_next;

struct run {
    casgi_receive_t *receive;
    casgi_send_t *send;
    struct log *log;
    casgi_task_t *watcher;
    casgi_deadline_t deadline;
};

/* ---- names ---- */

static void log_line(struct log *log, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    char *larger = size > 0 ? realloc(log->text, log->size + (size_t)size + 2) : NULL;
    if (larger) {
        log->text = larger;
        memcpy(log->text + log->size, line, (size_t)size + 1);
        log->size += (size_t)size;
        log->text[log->size++] = '\n';
    }
}

static struct log *log_find(const char *name)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (logs[i].name && strcmp(logs[i].name, name) == 0) {
            return &logs[i];
        }
    }
    return NULL;
}

/* An empty one; the oldest goes. */
static struct log *log_begin(const char *name)
{
    struct log *log = log_find(name);
    log = log ? log : &logs[log_next++ % NAMES];
    free(log->name);
    free(log->text);
    *log = (struct log){ .name = strdup(name) };
    return log;
}

static bool gate_is_open(const char *name)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (gates[i].name && strcmp(gates[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void gate_open(const char *name)
{
    for (size_t i = 0; i < NAMES && !gate_is_open(name); i++) {
        if (!gates[i].name) {
            gates[i].name = strdup(name);
        }
    }
}

static const char *code_name(int code)
{
    switch (code) {
    case 0:
        return "OK";
#define NAME(name, number, text) \
    case (number):               \
        return #name;
        CASGI_ERROR_MAP(NAME)
#undef NAME
    default:
        return "ESYSTEM";
    }
}

static int code_of(const char *text)
{
#define CODE(name, number, sentence) \
    if (strcmp(text, #name) == 0) {  \
        return (number);             \
    }
    CASGI_ERROR_MAP(CODE)
#undef CODE
    return 0;
}

/* ---- words ---- */

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c | 0x20) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Percent-decodes in place. */
static casgi_str_t decode(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        int high = *in == '%' ? hex(in[1]) : -1, low = high >= 0 ? hex(in[2]) : -1;
        *out++ = low >= 0 ? (char)(high * 16 + low) : *in;
        in += low >= 0 ? 2 : 0;
    }
    *out = '\0';
    return (casgi_str_t){ text, (size_t)(out - text) };
}

/* Takes the next part off *rest, which stands at the text behind a separator. */
static char *part(char **rest, char separator)
{
    char *begin = *rest, *end = begin ? strchr(begin, separator) : NULL;
    if (end) {
        *end++ = '\0';
    }
    *rest = end;
    return begin;
}

static char *part_or_empty(char **rest)
{
    static char empty[1];
    char *text = part(rest, ':');
    return text ? text : empty;
}

static int64_t number(char **rest)
{
    return strtoll(part_or_empty(rest), NULL, 10);
}

static size_t fields(char *rest, casgi_header_t out[FIELDS])
{
    size_t count = 0;
    while (rest && count < FIELDS) {
        char *value = part(&rest, ':'), *name = part(&value, '=');
        out[count] = casgi_header("", "");
        out[count].name = decode(name);
        out[count++].value = value ? decode(value) : (casgi_str_t)CASGI_STR("");
    }
    return count;
}

/* ---- steps ---- */

static int receive_one(struct run *run, const char *word)
{
    casgi_event_t event;
    int rc = casgi_receive(run->receive, &event);
    if (rc) {
        log_line(run->log, "%s %s", word, code_name(rc));
    } else if (event.type == CASGI_HTTP_REQUEST) {
        log_line(run->log, "%s http.request %zu %s", word, event.http_request.body.len,
                 event.http_request.more_body ? "more" : "end");
    } else {
        log_line(run->log, "%s %s", word, casgi_event_name(event.type));
    }
    return rc;
}

static int receive_all(struct run *run, const char *word, uint64_t pause)
{
    casgi_event_t event;
    size_t size = 0;
    int rc;
    do {
        rc = pause ? casgi_sleep(pause) : 0;
        rc = rc ? rc : casgi_receive(run->receive, &event);
        size += !rc && event.type == CASGI_HTTP_REQUEST ? event.http_request.body.len : 0;
    } while (!rc && event.type == CASGI_HTTP_REQUEST && event.http_request.more_body);
    log_line(run->log, "%s %zu %s", word, size,
             rc                                 ? code_name(rc)
             : event.type == CASGI_HTTP_REQUEST ? "end"
                                                : casgi_event_name(event.type));
    return rc;
}

static int watch_task(void *arg)
{
    struct run *run = arg;
    casgi_event_t event;
    int rc;
    do {
        rc = casgi_receive(run->receive, &event);
    } while (!rc && event.type != CASGI_HTTP_DISCONNECT);
    log_line(run->log, "watcher %s", rc ? code_name(rc) : casgi_event_name(event.type));
    return rc;
}

static int start(struct run *run, char *rest, bool trailers)
{
    casgi_header_t headers[FIELDS];
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_START);
    event.http_response_start.status = (int32_t)number(&rest);
    event.http_response_start.headers = headers;
    event.http_response_start.header_count = fields(rest, headers);
    event.http_response_start.trailers = trailers;
    return casgi_send(run->send, &event);
}

static int fill(struct run *run, int64_t size, bool last)
{
    static char piece[PIECE];
    int rc = 0;
    memset(piece, 'x', sizeof(piece));
    do {
        size_t part = size < PIECE ? (size_t)size : PIECE;
        size -= (int64_t)part;
        rc = casgi_send_body(run->send, piece, part, !last || size);
    } while (!rc && size);
    return rc;
}

static int send_file(struct run *run, char *rest, bool last)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_ZEROCOPYSEND);
    int file = open(decode(part_or_empty(&rest)).ptr, O_RDONLY | O_CLOEXEC);
    event.http_response_zerocopysend.file = file;
    event.http_response_zerocopysend.has_offset = rest != NULL;
    event.http_response_zerocopysend.offset = number(&rest);
    event.http_response_zerocopysend.has_count = rest != NULL;
    event.http_response_zerocopysend.count = number(&rest);
    event.http_response_zerocopysend.more_body = !last;
    int rc = casgi_send(run->send, &event);
    if (file >= 0) {
        close(file);
    }
    return rc;
}

static int send_path(struct run *run, char *rest)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_PATHSEND);
    event.http_response_pathsend.path = decode(part_or_empty(&rest));
    return casgi_send(run->send, &event);
}

static int send_trailers(struct run *run, char *rest, bool more)
{
    casgi_header_t headers[FIELDS];
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_TRAILERS);
    event.http_response_trailers.headers = headers;
    event.http_response_trailers.header_count = fields(rest, headers);
    event.http_response_trailers.more_trailers = more;
    return casgi_send(run->send, &event);
}

static int send_hint(struct run *run, char *rest)
{
    casgi_str_t link = decode(part_or_empty(&rest));
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_EARLY_HINT);
    event.http_response_early_hint.links = &link;
    event.http_response_early_hint.link_count = 1;
    return casgi_send(run->send, &event);
}

static int send_event(struct run *run, uint32_t type)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_EVENT_NONE);
    event.type = type;
    return casgi_send(run->send, &event);
}

static int pass_gate(const char *name)
{
    int rc = 0;
    while (!rc && !gate_is_open(name)) {
        rc = casgi_sleep(2);
    }
    return rc;
}

static int send_text(struct run *run, char *rest, bool last)
{
    casgi_str_t text = decode(part_or_empty(&rest));
    return casgi_send_body(run->send, text.ptr, text.len, !last);
}

/* Steps that send. false: it is another kind. */
static bool send_step(struct run *run, const char *word, char *rest, int *out_rc)
{
    bool last = strncmp(word, "end", 3) == 0;
    if (strcmp(word, "start") == 0 || strcmp(word, "start-trailers") == 0) {
        *out_rc = start(run, rest, word[5] != '\0');
    } else if (strcmp(word, "body") == 0 || strcmp(word, "end") == 0) {
        *out_rc = send_text(run, rest, last);
    } else if (strcmp(word, "fill") == 0 || strcmp(word, "end-fill") == 0) {
        *out_rc = fill(run, number(&rest), last);
    } else if (strcmp(word, "file") == 0 || strcmp(word, "end-file") == 0) {
        *out_rc = send_file(run, rest, last);
    } else if (strcmp(word, "path") == 0) {
        *out_rc = send_path(run, rest);
    } else if (strcmp(word, "trailers") == 0 || strcmp(word, "trailers-more") == 0) {
        *out_rc = send_trailers(run, rest, word[8] != '\0');
    } else if (strcmp(word, "hint") == 0) {
        *out_rc = send_hint(run, rest);
    } else if (strcmp(word, "event") == 0) {
        *out_rc = send_event(run, (uint32_t)number(&rest));
    } else {
        return false;
    }
    return true;
}

static int other_step(struct run *run, const char *word, char *rest)
{
    if (strcmp(word, "watch") == 0) {
        return casgi_create_task(watch_task, run, "watch", &run->watcher);
    }
    if (strcmp(word, "watched") == 0) {
        int rc = casgi_join(run->watcher, NULL);
        run->watcher = rc ? run->watcher : NULL;
        return rc;
    }
    if (strcmp(word, "gate") == 0) {
        return pass_gate(part_or_empty(&rest));
    }
    if (strcmp(word, "sleep") == 0) {
        return casgi_sleep((uint64_t)number(&rest));
    }
    if (strcmp(word, "deadline") == 0) {
        return casgi_deadline_begin(&run->deadline, (uint64_t)number(&rest));
    }
    return strcmp(word, "uncancel") == 0 ? (casgi_uncancel(), 0) : CASGI_EINVAL;
}

static void take_step(struct run *run, char *step)
{
    char *rest = step;
    const char *word = part_or_empty(&rest);
    int rc;
    if (strcmp(word, "receive") == 0) {
        (void)receive_one(run, word);
    } else if (strcmp(word, "receive-all") == 0 || strcmp(word, "receive-slowly") == 0) {
        (void)receive_all(run, word, (uint64_t)number(&rest));
    } else {
        if (!send_step(run, word, rest, &rc)) {
            rc = other_step(run, word, rest);
        }
        log_line(run->log, "%s %s", word, code_name(rc));
    }
}

/* ---- requests ---- */

static int run_steps(const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct run run = { .receive = receive, .send = send, .log = log_begin(scope->path.ptr + 1) };
    char *steps = casgi_alloc(scope->query_string.len + 1);
    int rc = 0;
    if (!steps) {
        return CASGI_ENOMEM;
    }
    memcpy(steps, scope->query_string.ptr, scope->query_string.len + 1);
    casgi_children_t children;
    (void)casgi_children_begin(&children);
    for (char *step; (step = part(&steps, ','));) {
        if (strncmp(step, "result:", 7) == 0) {
            rc = code_of(step + 7);
            break;
        }
        take_step(&run, step);
    }
    casgi_release(run.watcher);
    (void)casgi_children_end(&children); /* they use `run` */
    log_line(run.log, "done");
    return rc;
}

static int tell_log(casgi_send_t *send, const char *name)
{
    const struct log *log = log_find(name);
    char *copy = log && log->size ? casgi_alloc(log->size) : NULL;
    if (!copy) {
        return casgi_respond(send, 200, "text/plain", "");
    }
    memcpy(copy, log->text, log->size);
    return casgi_respond_bytes(send, 200, "text/plain", copy, log->size);
}

static int steps(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    if (strncmp(scope->path.ptr, "/log/", 5) == 0) {
        return tell_log(send, scope->path.ptr + 5);
    }
    if (strncmp(scope->path.ptr, "/open/", 6) == 0) {
        gate_open(scope->path.ptr + 6);
        return casgi_respond(send, 200, "text/plain", "");
    }
    return run_steps(scope, receive, send);
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    static casgi_app_t app = { steps, NULL, { 0, 0 } };
    (void)host, (void)argc, (void)argv, (void)out_error;
    return &app;
}

static void destroy(casgi_app_t *self)
{
    (void)self;
    for (size_t i = 0; i < NAMES; i++) {
        free(gates[i].name);
        free(logs[i].name);
        free(logs[i].text);
    }
}

static const casgi_app_record_t app = { "app", NULL, create, destroy, CASGI_APP_HTTP, 0, { 0 } };
static const casgi_app_record_t cancelled = {
    "cancelled", NULL, create, destroy, CASGI_APP_HTTP | CASGI_APP_CANCEL_ON_DISCONNECT, 0, { 0 },
};
CASGI_MODULE("steps", "1", &app, &cancelled);
