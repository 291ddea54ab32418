/* Asking other servers: casgi fetch.c --libs "$(pkg-config --libs casgi-kit)"
 *
 *   GET /?url=http://a/&url=http://b/   asks all of them at the same time, at most 5 s long; a line for each
 *   GET /through?url=http://a/large     passes one response on while it comes, however large it is
 *
 * It asks whatever it is told to: on the open internet it would need a list of hosts that may be asked. */
#include <casgi/kit/http.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASKED_MAX = 16, PATIENCE_MS = 5000, BODY_LIMIT = 1 << 20 };

struct fetcher {
    casgi_app_t base;
    casgi_fetch_client_t *client;
};

struct asked {
    struct fetcher *fetcher;
    char *url;
    char line[512];
};

/* The urls of a query, each up to the next "&", in the request's arena. */
static size_t find_urls(casgi_str_t query, struct fetcher *fetcher, struct asked asked[ASKED_MAX])
{
    size_t count = 0;
    char *text = casgi_alloc(query.len + 1), *rest = text, *word;
    if (text) {
        memcpy(text, query.ptr, query.len + 1);
    }
    while (count < ASKED_MAX && (word = strsep(&rest, "&"))) {
        if (strncmp(word, "url=", 4) == 0) {
            asked[count++] = (struct asked){ .fetcher = fetcher, .url = word + 4 };
        }
    }
    return count;
}

/* Each runs as a task of its own. A failure is a line, too. */
static int ask(void *arg)
{
    struct asked *asked = arg;
    casgi_fetch_request_t request = { .url = asked->url, .redirects = 5, .decode = true };
    casgi_fetch_response_t *response;
    casgi_error_t error = { .message = "" };
    casgi_str_t body = { NULL, 0 };
    uint64_t begin = casgi_now();
    int rc = casgi_fetch(asked->fetcher->client, &request, &response, &error);
    if (rc) {
        (void)snprintf(asked->line, sizeof(asked->line), "%.200s: %.200s\n", asked->url, error.message);
        return 0;
    }
    rc = casgi_fetch_body(response, BODY_LIMIT, &body);
    (void)snprintf(asked->line, sizeof(asked->line), "%.200s: %d, %zu bytes%s%s, %.1f ms\n", asked->url,
                   response->status, body.len, rc ? ", then: " : "", rc ? casgi_strerror(rc) : "",
                   (double)(casgi_now() - begin) / 1000);
    casgi_fetch_free(response);
    return 0;
}

static int ask_all(struct asked *asked, size_t count, casgi_send_t *send)
{
    casgi_work_t works[ASKED_MAX] = { { 0 } };
    char text[ASKED_MAX * sizeof(asked->line)] = "";
    casgi_deadline_t deadline;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        works[i] = (casgi_work_t)CASGI_WORK(ask, &asked[i]);
    }
    int rc = casgi_deadline_begin(&deadline, PATIENCE_MS);
    if (rc) {
        return rc;
    }
    (void)casgi_gather(works, count, CASGI_GATHER_ALL); /* each has its line, also after the deadline */
    (void)casgi_deadline_end(&deadline);
    for (size_t i = 0; i < count; i++) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s", asked[i].line);
    }
    return casgi_respond(send, 200, "text/plain", text);
}

/* Reads only as fast as the client does: send suspends while it is slow, and then the other server is held back. */
static int pass_on(casgi_fetch_response_t *response, casgi_send_t *send)
{
    casgi_str_t type = casgi_fetch_header(response, "content-type"), piece;
    casgi_header_t header = { CASGI_STR("content-type"), type, { 0, 0 } };
    int rc = casgi_send_start(send, response->status < 200 ? 502 : response->status, &header, type.ptr ? 1 : 0);
    do {
        rc = rc ? rc : casgi_fetch_read(response, &piece);
        rc = rc ? rc : casgi_send_body(send, piece.ptr, piece.len, piece.len > 0);
    } while (!rc && piece.len);
    return rc;
}

static int pass(struct asked *asked, casgi_send_t *send)
{
    casgi_fetch_request_t request = { .url = asked->url };
    casgi_fetch_response_t *response;
    casgi_error_t error;
    int rc = casgi_fetch(asked->fetcher->client, &request, &response, &error);
    if (rc) {
        return rc == CASGI_ECANCELED ? rc : casgi_respond(send, 502, "text/plain", error.message);
    }
    rc = pass_on(response, send);
    casgi_fetch_free(response);
    return rc;
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)receive;
    struct asked *asked = casgi_alloc(ASKED_MAX * sizeof(*asked));
    size_t count = asked ? find_urls(scope->query_string, (struct fetcher *)self, asked) : 0;
    if (count == 0) {
        return casgi_respond(send, 400, "text/plain", "What shall be asked? /?url=http://...\n");
    }
    return strcmp(scope->path.ptr, "/through") == 0 ? pass(asked, send) : ask_all(asked, count, send);
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
    casgi_fetch_options_t options = { .ca_file = argc > 1 ? argv[1] : NULL };
    (void)host;
    if (!fetcher || casgi_fetch_client_new(&options, &fetcher->client, out_error)) {
        free(fetcher);
        return NULL;
    }
    fetcher->base.call = handle;
    return &fetcher->base;
}

static void destroy(casgi_app_t *app)
{
    casgi_fetch_client_free(((struct fetcher *)app)->client);
    free(app);
}

static const casgi_app_record_t record = { "app", "asks others", create, destroy, CASGI_APP_HTTP, 0, { 0 } };
CASGI_MODULE("fetch", "1.0", &record);
