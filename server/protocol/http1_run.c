/* From bytes to requests: the loop over what has been received. */
#include "protocol/http1_impl.h"
#include "protocol/http1_section.h"

#include <string.h>

struct http1_window http1_kept_window(const struct http1 *c)
{
    struct http1_window window = { NULL, 0, { 0 } };
    if (c->kept) {
        window = (struct http1_window){ c->kept->data + c->kept->start, http1_buffer_len(c->kept), c->kept->scan };
    }
    return window;
}

/* What is left of the window goes to, or stays in, `kept`: from here on it may be looked at later. The window lies in
 * `kept` if there is one, in the scratch if not. */
static void keep(struct http1 *c, struct http1_window *window)
{
    if (!window->size) {
        http1_buffer_free(&c->host->buffers, c->kept);
        c->kept = NULL;
        return;
    }
    if (!c->kept) {
        c->kept = http1_buffer_new(&c->host->buffers, window->size);
        if (!c->kept) {
            c->in = IN_DEAD;
            return;
        }
        memcpy(c->kept->data, window->data, window->size);
        c->kept->end = window->size;
        window->data = c->kept->data;
    }
    c->kept->start = (size_t)(window->data - c->kept->data);
    c->kept->scan = window->scan;
}

/* While the client does not read its responses, it gets no new ones. */
static bool may_begin(struct http1 *c)
{
    if (stream_queued(c->stream) <= HTTP1_QUEUE_MOST) {
        return true;
    }
    c->broken |= stream_uncork(c->stream) != 0;
    stream_cork(c->stream);
    c->stalled = stream_queued(c->stream) > 0;
    return !c->stalled && !c->broken;
}

/* What the connection knows of every request. Its texts stay as long as the exchange. */
static void fill_connection(struct http1 *c)
{
    casgi_scope_t *scope = &c->ex->scope;
    exchange_borrow(c->ex, &c->lender);
    scope->scheme = c->host->scheme;
    scope->root_path = c->host->root_path;
    scope->server = c->host->server;
    if (c->client_len) {
        scope->client = http1_client(c);
    }
    if (c->server_len) {
        scope->server = (casgi_address_t){ { c->texts + c->client_len + 1, c->server_len }, c->server_port, 0 };
    }
}

static void take_facts(struct http1 *c, const struct http1_facts *facts)
{
    c->begun = false;
    c->body_bad = false;
    c->last = false;
    c->section = facts->section;
    c->keep = facts->keep_alive;
    c->http10 = facts->http10;
    c->out_left = 0;
}

/* 0, or the status to refuse the request with. */
static int admission(struct http1 *c, const struct http1_facts *facts, struct http1_fault *out_fault)
{
    uint64_t limit = c->host->exchanges->body_limit;
    if (facts->expect_other) {
        *out_fault = (struct http1_fault){ 417, 0, "unknown expectation" };
    } else if (limit && facts->content_length > 0 && (uint64_t)facts->content_length > limit) {
        *out_fault = (struct http1_fault){ 413, 0, "the body is larger than the limit" };
    } else {
        *out_fault = (struct http1_fault){ c->host->admit ? c->host->admit(c->host) : 0, 0, "not admitted" };
        return out_fault->status;
    }
    http1_tell_refused(c, out_fault);
    return out_fault->status;
}

/* The body as far as it is there, so that the handler gets it in few pieces. */
static void begin_body(struct http1 *c, struct http1_window *window)
{
    http1_body_expect(c, window->size);
    if (window->size) {
        http1_body_take(c, window);
    }
}

/* What is left of the window is kept, as the task may use the scratch; then the application is called. */
static void call_application(struct http1 *c, struct http1_window *window)
{
    ssize_t size;
    keep(c, window);
    if (c->in == IN_DEAD) {
        http1_orphan(c);
        return;
    }
    if (c->more && c->in == IN_LENGTH) {
        (void)http1_body_receive(c, &size); /* an end or error is seen again by the next recv */
    }
    c->begun = true;
    if (exchange_begin(c->ex, c->in == IN_WHOLE) != 0) {
        http1_refuse_exchange(c, 503, "out of memory for the request");
    }
    if (c->ex && (c->fin || (c->parting && c->in == IN_WHOLE))) {
        exchange_gone(c->ex, false);
    }
}

/* The head is read. */
static void begin_exchange(struct http1 *c, struct http1_window *window, const struct http1_facts *facts)
{
    struct http1_fault fault;
    take_facts(c, facts);
    http1_body_begin(c, facts);
    if (admission(c, facts, &fault)) {
        c->linger = window->size > 0;
        http1_refuse_exchange(c, fault.status, fault.reason);
        return;
    }
    if (c->in != IN_WHOLE) {
        begin_body(c, window);
    }
    if (c->ex && !c->begun) {
        call_application(c, window);
    }
}

/* A whole head at the window's begin. */
static void begin_request(struct http1 *c, struct http1_window *window, const struct http1_section *known)
{
    const struct http1_scan scan = window->scan;
    struct http1_facts facts;
    struct http1_fault fault;
    c->ex = exchange_new(c->host->exchanges, &http1_driver, c);
    if (!c->ex) {
        c->in = IN_DEAD;
        return;
    }
    fill_connection(c);
    int rc =
        http1_head_parse(c->ex, window->data, scan.searched, scan.lines, &c->host->sections, known, &facts, &fault);
    if (rc == 0) {
        rc = exchange_set_request_id(c->ex);
    }
    if (rc) {
        exchange_discard(c->ex);
        c->ex = NULL;
        if (rc != CASGI_EINVAL) {
            fault = (struct http1_fault){ 503, 0, "out of memory for the request" };
        }
        http1_refuse(c, &fault);
        return;
    }
    window->data += scan.searched;
    window->size -= scan.searched;
    window->scan = (struct http1_scan){ 0 };
    c->wire = scan.searched;
    c->due = DUE_NEVER; /* the next head has a deadline of its own */
    begin_exchange(c, window, &facts);
}

/* Those before a request (RFC 9112, section 2.2) are no part of it: a connection that got nothing else stays idle. */
static void skip_empty_lines(struct http1_window *window)
{
    while (window->size >= 2 && window->data[0] == '\r' && window->data[1] == '\n') {
        window->data += 2;
        window->size -= 2;
        window->scan = (struct http1_scan){ 0 };
    }
}

/* A whole head is at hand whose header section is the one that the connection sent last: it need not be scanned. */
static const struct http1_section *find_again(struct http1 *c, struct http1_window *window)
{
    size_t head, limit = c->host->head_limit;
    const struct http1_section *section =
        window->scan.searched ? NULL
                              : http1_section_again(&c->host->sections, c->section, window->data, window->size, &head);
    if (!section || (limit && head > limit)) {
        return NULL;
    }
    window->scan.searched = (uint32_t)head;
    window->scan.lines = (uint32_t)section->field_count + 1;
    return section;
}

/* false: nothing can be done before more bytes come. */
static bool step_head(struct http1 *c, struct http1_window *window)
{
    const struct http1_host *host = c->host;
    struct http1_fault fault;
    if (!may_begin(c)) {
        return false;
    }
    bool halved = window->scan.searched > 0;
    skip_empty_lines(window);
    if (!window->size) {
        c->fresh |= halved; /* the time that its first half has begun goes on, lest halves put off the end for ever */
        return false;
    }
    c->fresh = false;
    const struct http1_section *known = find_again(c, window);
    int rc = known ? 1
                   : http1_scan(&window->scan, window->data, window->size, host->head_limit, host->header_count_limit,
                                &fault);
    if (rc > 0) {
        begin_request(c, window, known);
    } else if (rc < 0) {
        http1_refuse(c, &fault);
    }
    return rc > 0;
}

static bool step(struct http1 *c, struct http1_window *window)
{
    switch (c->in) {
    case IN_HEAD:
        return step_head(c, window);
    case IN_LENGTH:
    case IN_CHUNKED:
        http1_body_take(c, window);
        return true;
    default:
        return false;
    }
}

void http1_run(struct http1 *c, struct http1_window *window)
{
    while (window->size && !c->broken && step(c, window)) {
    }
    if (c->in <= IN_WHOLE) {
        keep(c, window);
    }
}

bool http1_wants_input(const struct http1 *c)
{
    if (c->fin) {
        return false;
    }
    switch (c->in) {
    case IN_HEAD:
        return !c->stalled;
    case IN_LENGTH:
    case IN_CHUNKED:
        return !c->ex || !exchange_body_full(c->ex);
    case IN_WHOLE: /* to notice that the client goes, with a bound to what it pipelines */
        return !c->body_bad && http1_buffer_len(c->kept) < HTTP1_READ_SIZE;
    default:
        return c->in == IN_LINGER;
    }
}

char *http1_input_room(struct http1 *c, size_t *out_size)
{
    if (!c->kept) {
        char *bulk = c->bulky ? exchange_input(c->host->exchanges, out_size) : NULL;
        if (bulk) {
            return bulk;
        }
        *out_size = HTTP1_READ_SIZE;
        return loop_scratch(c->stream->loop);
    }
    size_t most = HTTP1_READ_SIZE;
    if (c->in == IN_HEAD && (!c->host->head_limit || c->host->head_limit >= most)) {
        /* One byte more, so that the scan sees that it is too much. */
        most = c->host->head_limit ? c->host->head_limit + 1 : SIZE_MAX / 2;
    }
    return http1_buffer_room(&c->host->buffers, &c->kept, most, out_size);
}
