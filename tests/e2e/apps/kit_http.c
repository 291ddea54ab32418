/* The probe of the kit's HTTP client: asks what the header fields of its request say. `-- [WORD=VALUE ...]` sets
 * options of the client: ca, per_host, buffer, connect_timeout, insecure.
 *
 *   x-url, x-method, x-header: NAME=VALUE, x-redirects: N, x-decode, x-unix: PATH, x-deadline: MS
 *   x-body: whole | stream | sized | failing   how the body of its own request is sent on
 *
 *   /whole   answers with lines "STATUS VERSION URL", "name: value" ..., an empty one, and the body; or
 *            "error CODE: sentence"; or, if the body breaks off, the lines, and "error CODE: sentence"
 *   /pass    the response as it comes
 *   /hold    reads one piece, waits for /let, reads the rest; answers with the body's size and sum
 *   /drop    frees the response when its head is there
 *   /stats, /let, /free */
#include "kit_probe.h"

#include <casgi/kit/http.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER = 1 << 20, HEADERS = 8 };

static struct {
    casgi_fetch_client_t *client;
    casgi_flag_t let;
    unsigned held;
} probe;

struct call {
    const casgi_scope_t *scope;
    casgi_receive_t *receive;
    casgi_send_t *send;
    casgi_header_t headers[HEADERS];
    casgi_fetch_request_t request;
    casgi_error_t error;
    unsigned pieces;
    bool ended;
    size_t size;
    char text[ANSWER];
};

static void say(struct call *call, const char *text, size_t size)
{
    size = size < ANSWER - call->size ? size : ANSWER - call->size;
    if (size) {
        memcpy(call->text + call->size, text, size);
    }
    call->size += size;
}

static void say_error(struct call *call, int rc, const char *sentence)
{
    char line[1200];
    (void)snprintf(line, sizeof(line), "error %s: %s\n", name_of(rc), sentence);
    say(call, line, strlen(line));
}

static void say_head(struct call *call, const casgi_fetch_response_t *response)
{
    char line[4096];
    (void)snprintf(line, sizeof(line), "%d %u %s\n", response->status, response->http_version, response->url.ptr);
    say(call, line, strlen(line));
    for (size_t i = 0; i < response->header_count; i++) {
        (void)snprintf(line, sizeof(line), "%s: %s\n", response->headers[i].name.ptr, response->headers[i].value.ptr);
        say(call, line, strlen(line));
    }
    say(call, "\n", 1);
}

/* ---- the request ---- */

static const char *field(const struct call *call, const char *name)
{
    return casgi_scope_header(call->scope, name).ptr;
}

static int read_body(void *arg, casgi_str_t *out_piece)
{
    struct call *call = arg;
    casgi_event_t event;
    *out_piece = casgi_str("");
    if (call->ended) {
        return 0;
    }
    int rc = casgi_receive(call->receive, &event);
    if (rc || event.type != CASGI_HTTP_REQUEST) {
        return rc ? rc : CASGI_EDISCONNECTED;
    }
    call->ended = !event.http_request.more_body;
    *out_piece = event.http_request.body;
    return out_piece->len || call->ended ? 0 : read_body(arg, out_piece);
}

static int fail_to_read(void *arg, casgi_str_t *out_piece)
{
    struct call *call = arg;
    *out_piece = casgi_str("begun");
    return call->pieces++ ? CASGI_EEXIST : 0;
}

static int take_body(struct call *call)
{
    const char *how = field(call, "x-body");
    if (!how) {
        return 0;
    }
    call->request.read_arg = call;
    if (strcmp(how, "whole") == 0) {
        return casgi_receive_body(call->receive, 16 << 20, &call->request.body);
    }
    call->request.read_body = strcmp(how, "failing") == 0 ? fail_to_read : read_body;
    if (strcmp(how, "sized") == 0) {
        call->request.body_size = strtoll(field(call, "content-length"), NULL, 10);
    }
    return 0;
}

static void take_headers(struct call *call)
{
    for (size_t i = 0; i < call->scope->header_count && call->request.header_count < HEADERS; i++) {
        const casgi_header_t *one = &call->scope->headers[i];
        const char *cut = strcmp(one->name.ptr, "x-header") == 0 ? strchr(one->value.ptr, '=') : NULL;
        if (cut) {
            casgi_header_t *header = &call->headers[call->request.header_count++];
            *header = casgi_header("", cut[1] == '!' ? "a\nb" : cut + 1);
            header->name = (casgi_str_t){ one->value.ptr, (size_t)(cut - one->value.ptr) };
        }
    }
    call->request.headers = call->headers;
}

static int take_request(struct call *call)
{
    const char *redirects = field(call, "x-redirects");
    call->request.url = field(call, "x-url");
    call->request.method = field(call, "x-method");
    call->request.unix_socket = field(call, "x-unix");
    call->request.redirects = redirects ? (uint32_t)strtoul(redirects, NULL, 10) : 0;
    call->request.decode = field(call, "x-decode") != NULL;
    take_headers(call);
    return take_body(call);
}

/* ---- what is done with the response ---- */

static int whole(struct call *call, casgi_fetch_response_t *response)
{
    casgi_str_t body;
    say_head(call, response);
    int rc = casgi_fetch_body(response, ANSWER / 2, &body);
    if (rc) {
        say_error(call, rc, response->error);
    } else {
        say(call, body.ptr, body.len);
    }
    return casgi_respond_bytes(call->send, 200, "text/plain", call->text, call->size);
}

static int pass(struct call *call, casgi_fetch_response_t *response)
{
    casgi_str_t piece = { NULL, 0 };
    int rc = casgi_send_start(call->send, response->status, NULL, 0);
    do {
        rc = rc ? rc : casgi_fetch_read(response, &piece);
        rc = rc ? rc : casgi_send_body(call->send, piece.ptr, piece.len, piece.len > 0);
    } while (!rc && piece.len);
    return rc;
}

static int hold(struct call *call, casgi_fetch_response_t *response)
{
    casgi_str_t piece = { NULL, 0 };
    unsigned long size = 0, sum = 0;
    char line[128];
    int rc = casgi_fetch_read(response, &piece);
    probe.held++;
    int let = casgi_flag_wait(&probe.let);
    probe.held--;
    rc = rc ? rc : let;
    while (!rc && piece.len) {
        size += piece.len;
        for (size_t i = 0; i < piece.len; i++) {
            sum += (unsigned char)piece.ptr[i];
        }
        rc = casgi_fetch_read(response, &piece);
    }
    (void)snprintf(line, sizeof(line), "%lu %lu %s\n", size, sum, name_of(rc));
    return casgi_respond(call->send, 200, "text/plain", line);
}

static int drop(struct call *call, casgi_fetch_response_t *response)
{
    say_head(call, response);
    return casgi_respond_bytes(call->send, 200, "text/plain", call->text, call->size);
}

static int fetch(struct call *call)
{
    const char *path = call->scope->path.ptr;
    casgi_fetch_response_t *response;
    int rc = take_request(call);
    rc = rc ? rc : casgi_fetch(probe.client, &call->request, &response, &call->error);
    if (rc) {
        (void)casgi_uncancel(); /* the answer is for the log as well */
        say_error(call, rc, call->error.message);
        casgi_log(CASGI_LOG_INFO, "probe: %s: %s", name_of(rc), call->error.message);
        return casgi_respond_bytes(call->send, 200, "text/plain", call->text, call->size);
    }
    rc = strcmp(path, "/pass") == 0   ? pass(call, response)
         : strcmp(path, "/hold") == 0 ? hold(call, response)
         : strcmp(path, "/drop") == 0 ? drop(call, response)
                                      : whole(call, response);
    casgi_fetch_free(response);
    return rc;
}

static int fetch_in_time(struct call *call)
{
    const char *limit = field(call, "x-deadline");
    casgi_deadline_t deadline;
    casgi_fetch_response_t *response;
    if (!limit) {
        return fetch(call);
    }
    int rc = casgi_deadline_begin(&deadline, strtoul(limit, NULL, 10));
    rc = rc ? rc : take_request(call);
    rc = rc ? rc : casgi_fetch(probe.client, &call->request, &response, &call->error);
    if (!rc) {
        casgi_str_t body;
        rc = casgi_fetch_body(response, ANSWER / 2, &body);
        say_head(call, response);
        casgi_fetch_free(response);
    }
    (void)casgi_deadline_end(&deadline);
    say_error(call, rc, call->error.message);
    return casgi_respond_bytes(call->send, 200, "text/plain", call->text, call->size);
}

/* ---- the application ---- */

static int say_stats(casgi_send_t *send)
{
    casgi_fetch_stats_t stats;
    char line[160];
    casgi_fetch_client_stats(probe.client, &stats);
    (void)snprintf(line, sizeof(line), "{\"active\":%u,\"requests\":%llu,\"connected\":%llu,\"held\":%u}\n",
                   stats.active, (unsigned long long)stats.requests, (unsigned long long)stats.connected, probe.held);
    return casgi_respond(send, 200, "application/json", line);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    if (strcmp(scope->path.ptr, "/stats") == 0) {
        return say_stats(send);
    }
    if (strcmp(scope->path.ptr, "/let") == 0) {
        (void)casgi_flag_set(&probe.let);
        (void)casgi_flag_clear(&probe.let);
        return casgi_respond(send, 200, "text/plain", "");
    }
    if (strcmp(scope->path.ptr, "/free") == 0) {
        casgi_fetch_client_free(probe.client);
        probe.client = NULL;
        return casgi_respond(send, 200, "text/plain", "");
    }
    struct call *call = casgi_alloc(sizeof(*call));
    if (!call) {
        return CASGI_ENOMEM;
    }
    memset(call, 0, sizeof(*call));
    call->scope = scope;
    call->receive = receive;
    call->send = send;
    return fetch_in_time(call);
}

static void take_option(casgi_fetch_options_t *options, const char *word)
{
    const char *value = strchr(word, '=') ? strchr(word, '=') + 1 : "";
    uint32_t number = (uint32_t)strtoul(value, NULL, 10);
    if (strncmp(word, "ca=", 3) == 0) {
        options->ca_file = value;
    } else if (strncmp(word, "per_host=", 9) == 0) {
        options->max_per_host = number;
    } else if (strncmp(word, "buffer=", 7) == 0) {
        options->buffer_size = number;
    } else if (strncmp(word, "connect_timeout=", 16) == 0) {
        options->connect_timeout_ms = number;
    } else {
        options->flags |= CASGI_FETCH_INSECURE;
    }
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    static casgi_app_t app = { handle, NULL, { 0, 0 } };
    casgi_fetch_options_t options = { 0 };
    (void)host;
    options.proxy = "";
    for (int i = 1; i < argc; i++) {
        take_option(&options, argv[i]);
    }
    return casgi_fetch_client_new(&options, &probe.client, out_error) ? NULL : &app;
}

static void destroy(casgi_app_t *app)
{
    (void)app;
    casgi_fetch_client_free(probe.client);
}

CASGI_MODULE("kit_http", "1.0", &record, &cancelled);
