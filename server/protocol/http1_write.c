/* What the exchange asks for, as HTTP/1 on the wire: heads, lengths, chunks. */
#include "protocol/http1_impl.h"
#include "protocol/http1_text.h"

#include "base/httpdate.h"

#include <stdlib.h>

/* Everything of a head but its fields: status line, date, framing and connection fields, empty line. */
#define HEAD_FRAME_MOST (HTTP1_STATUS_LINE_MOST + HTTP_DATE_LEN + 160)

static struct http1 *connection_of(const struct exchange *ex)
{
    return ex->driver_data;
}

static int wrote(struct http1 *c, int rc)
{
    if (rc == 0) {
        return 0;
    }
    c->broken = true;
    http1_soon(c);
    return CASGI_EDISCONNECTED;
}

/* What has to leave before the application goes on, does. */
static int flush(struct http1 *c)
{
    if (!c->stream->corked) {
        return 0;
    }
    int rc = stream_uncork(c->stream);
    stream_cork(c->stream);
    return wrote(c, rc);
}

static int write_one(struct http1 *c, const char *data, size_t size)
{
    struct iovec piece = { (void *)(uintptr_t)data, size };
    return wrote(c, stream_write(c->stream, &piece, 1));
}

static void starve(struct http1 *c)
{
    c->starved = true;
    if (!c->busy) {
        http1_due_update(c);
    }
}

/* ---- the head ---- */

/* Whether the connection ends with this response. `delimited`: it has no other end. */
static bool is_last(const struct http1 *c, const struct response_head *head, bool delimited)
{
    return !c->keep || head->close || delimited || c->draining || (c->fin && !c->kept) ||
           (c->in != IN_WHOLE && !http1_body_droppable(c));
}

/* Sets how the response is framed; returns its length, -1 if that is not told. `known`: the body's size, if it is. */
static int64_t set_framing(struct http1 *c, const struct response_head *head, int64_t known)
{
    int64_t length = head->content_length >= 0 ? head->content_length : known;
    bool trailers = head->has_trailers && !c->http10;
    bool chunked = head->body_allowed && !c->http10 && (length < 0 || trailers);
    bool delimited = head->body_allowed && !chunked && length < 0;
    c->last = is_last(c, head, delimited);
    c->bodiless = !head->body_allowed;
    c->chunked = chunked;
    c->delimited = delimited;
    if (chunked || head->status == 204) {
        return -1;
    }
    return head->body_allowed || head->content_length >= 0 ? length : -1;
}

#define DATE_NAME "date: "

/* Writes the default fields' text, once: they do not change. Out of memory: there is none. */
static void make_defaults(struct http1_host *host)
{
    struct http1_defaults *defaults = &host->defaults;
    const casgi_header_t *fields = host->exchanges->default_headers;
    size_t count = host->exchanges->default_header_count;
    size_t size = sizeof DATE_NAME - 1 + HTTP_DATE_LEN + 2 + http1_fields_size(fields, count);
    char *text = malloc(size);
    *defaults = (struct http1_defaults){ .text = text, .size = size };
    if (!text) {
        return;
    }
    char *at = PUT(text, DATE_NAME);
    at = put_text(at, http_date().ptr, HTTP_DATE_LEN);
    http1_put_fields(PUT(at, "\r\n"), fields, count);
}

/* How much room the default fields and the date take. Their text is there from here on, or memory is short. */
static inline size_t defaults_most(struct http1_host *host)
{
    if (!host->defaults.text) {
        make_defaults(host);
    }
    return host->defaults.size;
}

/* Once in a batch of events the clock is asked whether it is another second. */
static inline char *put_defaults(struct http1_host *host, char *at)
{
    struct http1_defaults *defaults = &host->defaults;
    uint64_t now = loop_now(host->exchanges->loop);
    if (defaults->dated != now) {
        defaults->dated = now;
        memcpy(defaults->text + sizeof DATE_NAME - 1, http_date().ptr, HTTP_DATE_LEN);
    }
    return put_piece(at, defaults->text, defaults->size);
}

static char *put_fields(const struct http1 *c, char *at, const struct response_head *head)
{
    const struct exchange_host *host = c->host->exchanges;
    at = head->lines.ptr ? put_piece(at, head->lines.ptr, head->lines.len)
                         : http1_put_fields(at, head->headers, head->header_count);
    if (head->add_date && head->add_defaults && c->host->defaults.text) {
        return put_defaults(c->host, at);
    }
    if (head->add_date) {
        at = PUT(at, DATE_NAME);
        at = put_text(at, http_date().ptr, HTTP_DATE_LEN);
        at = PUT(at, "\r\n");
    }
    return head->add_defaults ? http1_put_fields(at, host->default_headers, host->default_header_count) : at;
}

/* Room that a head needs. */
static inline size_t head_most(const struct http1 *c, const struct response_head *head)
{
    size_t size = head->lines.ptr ? head->lines.len : http1_fields_size(head->headers, head->header_count);
    return size + (head->add_defaults ? defaults_most(c->host) : 0) + HEAD_FRAME_MOST;
}

static char *put_head(struct http1 *c, char *at, const struct response_head *head, int64_t known)
{
    int64_t length = set_framing(c, head, known);
    at = http1_put_status(at, head->status);
    at = put_fields(c, at, head);
    if (length >= 0) {
        at = PUT(at, "content-length: ");
        at = http1_put_number(at, (uint64_t)length);
        at = PUT(at, "\r\n");
    } else if (c->chunked) {
        at = PUT(at, "transfer-encoding: chunked\r\n");
    }
    if (c->last) {
        at = PUT(at, "connection: close\r\n");
    } else if (c->http10) {
        at = PUT(at, "connection: keep-alive\r\n");
    }
    return PUT(at, "\r\n");
}

/* Room until the next write: in the scratch, or, for uncommonly much, in the arena. */
static char *room_for(struct exchange *ex, size_t size)
{
    return size <= LOOP_SCRATCH_SIZE ? loop_scratch(connection_of(ex)->stream->loop) : arena_alloc(&ex->arena, size);
}

/* The staged head, written out: it is no longer staged. */
static int take_head(struct exchange *ex, int64_t known, struct iovec *out_piece)
{
    struct http1 *c = connection_of(ex);
    const struct response_head *head = c->head;
    char *text = room_for(ex, head_most(c, head));
    if (!text) {
        return CASGI_ENOMEM;
    }
    c->head = NULL;
    *out_piece = (struct iovec){ text, (size_t)(put_head(c, text, head, known) - text) };
    return 0;
}

/* ---- the body ---- */

/* One write: what stands before the body bytes, they, what stands behind. */
struct output {
    struct iovec pieces[4];
    int count;
    size_t front;
    size_t body;
    size_t tail;
    char line[HTTP1_NUMBER_MOST + 2];
};

static void add(struct output *out, const void *data, size_t size)
{
    if (size) {
        out->pieces[out->count++] = (struct iovec){ (void *)(uintptr_t)data, size };
    }
}

static void add_body(struct http1 *c, struct output *out, const void *data, size_t size, bool last)
{
    if (c->chunked && size && !c->out_left) {
        size_t line = (size_t)(http1_put_chunk_size(out->line, size) - out->line);
        add(out, out->line, line);
        out->front += line;
        c->out_left = size;
    }
    out->body = c->chunked && size > c->out_left ? (size_t)c->out_left : size;
    add(out, data, out->body);
    if (c->chunked) {
        static const char tail[] = "\r\n0\r\n\r\n";
        bool chunk_end = out->body && out->body == c->out_left;
        bool end = last && out->body == size;
        const char *begin = chunk_end ? tail : tail + 2;
        out->tail = (size_t)((end ? tail + 7 : tail + 2) - begin);
        add(out, begin, out->tail);
    }
}

/* The pieces before the body, from their byte `done` on, are ours: they follow through the queue. */
static int queue_front(struct http1 *c, const struct output *out, size_t done)
{
    struct iovec rest[2];
    int count = 0;
    size_t front = out->front;
    for (int i = 0; front > 0; i++) {
        size_t size = out->pieces[i].iov_len;
        size_t gone = done < size ? done : size;
        rest[count++] = (struct iovec){ (char *)out->pieces[i].iov_base + gone, size - gone };
        done -= gone;
        front -= size;
    }
    return wrote(c, stream_write(c->stream, rest, count));
}

/* `done` bytes have left. What is ours follows through the queue; what is the application's is offered again. Returns
 * how much of that is gone. */
static ssize_t settle_output(struct http1 *c, const struct output *out, size_t done)
{
    if (done < out->front) {
        starve(c);
        return queue_front(c, out, done);
    }
    done -= out->front;
    size_t body = done < out->body ? done : out->body;
    if (c->chunked) {
        c->out_left -= body;
    }
    if (body < out->body) {
        starve(c);
        return (ssize_t)body;
    }
    size_t behind = done - body;
    if (behind < out->tail) {
        const char *tail = out->pieces[out->count - 1].iov_base;
        int rc = write_one(c, tail + behind, out->tail - behind);
        return rc ? rc : (ssize_t)body;
    }
    return (ssize_t)body;
}

static ssize_t write_output(struct http1 *c, struct output *out, bool last)
{
    size_t size = out->front + out->body + out->tail;
    if (out->body == 0 || (last && size <= HTTP1_SMALL_SIZE)) {
        int rc = size ? wrote(c, stream_write(c->stream, out->pieces, out->count)) : 0;
        c->out_left -= c->chunked ? out->body : 0;
        return rc ? rc : (ssize_t)out->body;
    }
    ssize_t done = stream_write_some(c->stream, out->pieces, out->count);
    if (done < 0) {
        return wrote(c, (int)done);
    }
    c->progress |= done > 0;
    return settle_output(c, out, (size_t)done);
}

/* A small response that is all there, straight into what gathers for the next send. false: not now. */
static bool put_whole(struct http1 *c, const void *data, size_t size)
{
    const struct response_head *head = c->head;
    if (size > HTTP1_SMALL_SIZE || head->has_trailers) {
        return false;
    }
    char *text = stream_reserve(c->stream, head_most(c, head) + size);
    if (!text) {
        return false;
    }
    char *at = put_head(c, text, head, (int64_t)size);
    if (size && !c->bodiless) {
        at = put_text(at, data, size);
    }
    stream_commit(c->stream, (size_t)(at - text));
    c->head = NULL;
    return true;
}

/* Through pieces, to the kernel if it takes them. Not inlined: on_data's short way needs no such frame. */
static __attribute__((noinline)) ssize_t write_pieces(struct exchange *ex, const void *data, size_t size, bool last)
{
    struct http1 *c = connection_of(ex);
    struct output out;
    out.count = 0;
    out.front = out.tail = 0;
    if (c->head) {
        int rc = take_head(ex, last ? (int64_t)size : -1, &out.pieces[0]);
        if (rc) {
            return rc;
        }
        out.front = out.pieces[0].iov_len;
        out.count = 1;
    }
    size_t offered = size;
    add_body(c, &out, data, c->bodiless ? 0 : size, last);
    ssize_t taken = write_output(c, &out, last);
    if (taken >= 0 && !last) {
        int rc = flush(c);
        taken = rc ? rc : taken;
    }
    return taken < 0 || !c->bodiless ? taken : (ssize_t)offered;
}

static ssize_t on_data(struct exchange *ex, const void *data, size_t size, bool last)
{
    struct http1 *c = connection_of(ex);
    if (c->broken) {
        return CASGI_EDISCONNECTED;
    }
    if (c->head && last && put_whole(c, data, size)) {
        return (ssize_t)size;
    }
    return write_pieces(ex, data, size, last);
}

static int on_head(struct exchange *ex, const struct response_head *head)
{
    connection_of(ex)->head = head;
    return 0;
}

static int begin_file(struct exchange *ex, size_t count)
{
    struct http1 *c = connection_of(ex);
    struct output out = { .count = 0 };
    if (c->head) {
        int rc = take_head(ex, -1, &out.pieces[0]);
        if (rc) {
            return rc;
        }
        out.count = 1;
    }
    if (c->chunked && !c->out_left && !c->bodiless) {
        add(&out, out.line, (size_t)(http1_put_chunk_size(out.line, count) - out.line));
        c->out_left = count;
    }
    return out.count ? wrote(c, stream_write(c->stream, out.pieces, out.count)) : 0;
}

static ssize_t on_file(struct exchange *ex, int file, int64_t *offset, size_t count)
{
    struct http1 *c = connection_of(ex);
    if (c->broken) {
        return CASGI_EDISCONNECTED;
    }
    if (!c->stream->ops->sendfile) {
        return CASGI_ENOTSUP;
    }
    int rc = count ? begin_file(ex, count) : 0;
    if (rc || !count || c->bodiless) {
        return rc ? rc : (ssize_t)count;
    }
    ssize_t sent = stream_sendfile(c->stream, file, offset, c->chunked && count > c->out_left ? c->out_left : count);
    if (sent == 0) {
        starve(c);
    }
    if (sent <= 0) {
        return sent;
    }
    c->progress = true;
    if (c->chunked) {
        c->out_left -= (uint64_t)sent;
        rc = c->out_left ? 0 : write_one(c, "\r\n", 2);
    }
    return rc ? rc : sent;
}

static int on_trailers(struct exchange *ex, const casgi_header_t *fields, size_t count)
{
    struct http1 *c = connection_of(ex);
    ssize_t rc = c->head ? on_data(ex, NULL, 0, false) : 0;
    if (rc || !c->chunked) {
        return (int)rc;
    }
    char *text = room_for(ex, http1_fields_size(fields, count) + sizeof "0\r\n\r\n");
    if (!text) {
        return CASGI_ENOMEM;
    }
    char *at = http1_put_fields(PUT(text, "0\r\n"), fields, count);
    at = PUT(at, "\r\n");
    return write_one(c, text, (size_t)(at - text));
}

static int on_inform(struct exchange *ex, int status, const casgi_header_t *fields, size_t count)
{
    struct http1 *c = connection_of(ex);
    if (c->http10 || c->broken) {
        return c->broken ? CASGI_EDISCONNECTED : 0;
    }
    char *text = room_for(ex, http1_fields_size(fields, count) + HTTP1_STATUS_LINE_MOST + 2);
    if (!text) {
        return CASGI_ENOMEM;
    }
    char *at = http1_put_fields(http1_put_status(text, status), fields, count);
    at = PUT(at, "\r\n");
    int rc = write_one(c, text, (size_t)(at - text));
    return rc ? rc : flush(c);
}

/* ---- the rest of the table ---- */

static void on_wanted(struct exchange *ex)
{
    struct http1 *c = connection_of(ex);
    if (c->expect) {
        c->expect = false;
        (void)on_inform(ex, 100, NULL, 0);
    }
}

static void on_consumed(struct exchange *ex, size_t size)
{
    struct http1 *c = connection_of(ex);
    (void)size;
    if (!c->busy && !c->stream->reading && http1_wants_input(c)) {
        stream_read(c->stream, true);
    }
}

static void forget(struct http1 *c)
{
    c->ex = NULL;
    c->head = NULL;
    c->starved = false;
    http1_soon(c);
}

static void on_end(struct exchange *ex)
{
    struct http1 *c = connection_of(ex);
    forget(c);
    if (c->in == IN_DEAD) {
        return;
    }
    if (c->in == IN_WHOLE && !c->last && c->keep) {
        c->in = IN_HEAD;
    } else if (c->in == IN_WHOLE || c->last || !c->keep || !http1_body_droppable(c)) {
        c->linger |= c->in != IN_WHOLE || c->body_bad || c->keep || c->kept;
        c->in = IN_CLOSING;
    }
}

/* A response that says how long it is, or ends in a last chunk, is seen to be cut; only one that ends where the
 * connection ends is not, and needs the reset, which may cost the client what it has not read yet. */
static void on_abort(struct exchange *ex, int code)
{
    struct http1 *c = connection_of(ex);
    (void)code;
    c->reset |= !c->head && c->delimited;
    c->linger = !c->reset;
    c->in = c->in == IN_DEAD ? IN_DEAD : IN_CLOSING;
    forget(c);
}

const struct exchange_driver http1_driver = {
    .adds_defaults = true,
    .inform = on_inform,
    .head = on_head,
    .data = on_data,
    .file = on_file,
    .trailers = on_trailers,
    .wanted = on_wanted,
    .consumed = on_consumed,
    .end = on_end,
    .abort = on_abort,
};
