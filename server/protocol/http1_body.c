#include "protocol/http1_impl.h"

/* Below this a recv of its own for the rest of a chunk is not worth it. */
#define CHUNK_DIRECT 4096
#define RECEIVE_MOST 65536

void http1_body_begin(struct http1 *c, const struct http1_facts *facts)
{
    c->expect = facts->expect_continue;
    c->drained = 0;
    c->body_debt_ms = 0;
    c->body_recent = 0;
    c->bulky = facts->content_length > HTTP1_READ_SIZE;
    if (facts->chunked) {
        c->in = IN_CHUNKED;
        http1_chunks_init(&c->body.chunks);
    } else if (facts->content_length > 0) {
        c->in = IN_LENGTH;
        c->body.left = (uint64_t)facts->content_length;
    } else {
        c->in = IN_WHOLE;
    }
}

static void finish(struct http1 *c)
{
    if (!c->ex) {
        c->in = IN_HEAD;
        return;
    }
    c->in = IN_WHOLE;
    if (c->begun) {
        exchange_body_end(c->ex);
        if (c->parting) {
            exchange_gone(c->ex, false);
        }
    }
}

void http1_body_fail(struct http1 *c, int status, const char *reason)
{
    c->linger = true;
    if (!c->ex) {
        c->in = IN_CLOSING;
        return;
    }
    c->in = IN_WHOLE;
    c->body_bad = true;
    c->keep = false;
    http1_tell_refused(c, &(struct http1_fault){ status, (size_t)c->wire, reason });
    if (c->begun) {
        exchange_body_failed(c->ex, status, reason);
    } else {
        http1_refuse_exchange(c, status, reason);
    }
}

static void note_received(struct http1 *c, size_t size)
{
    c->expect = false;
    c->body_recent = size < UINT32_MAX - c->body_recent ? c->body_recent + (uint32_t)size : UINT32_MAX;
}

/* `behind`: how many bytes at hand lie behind these. false: the body is at its end, one way or the other. */
static bool deliver(struct http1 *c, const char *data, size_t size, size_t behind)
{
    note_received(c, size);
    if (!c->ex) {
        c->drained += size;
        if (c->drained > c->host->drain_limit) {
            http1_body_fail(c, 413, "");
            return false;
        }
        return true;
    }
    int rc = behind ? exchange_body(c->ex, data, size) : exchange_body_adopt(c->ex, data, size);
    if (rc == CASGI_ETOOBIG) {
        http1_body_fail(c, 413, "the body is larger than the limit");
    } else if (rc) {
        http1_body_fail(c, 503, "out of memory for the body");
    }
    return rc == 0;
}

static void advance(struct http1 *c, struct http1_window *window, size_t used)
{
    window->data += used;
    window->size -= used;
    c->wire += used;
}

static void take_length(struct http1 *c, struct http1_window *window)
{
    size_t size = window->size < c->body.left ? window->size : (size_t)c->body.left;
    const char *data = window->data;
    advance(c, window, size);
    if (deliver(c, data, size, window->size)) {
        c->body.left -= size;
        if (c->body.left == 0) {
            finish(c);
        }
    }
}

static void take_chunks(struct http1 *c, struct http1_window *window)
{
    enum http1_chunks_found found;
    do {
        size_t used;
        casgi_str_t body;
        const char *reason;
        found = http1_chunks_next(&c->body.chunks, window->data, window->size, &used, &body, &reason);
        advance(c, window, used);
        switch (found) {
        case CHUNKS_BAD:
            http1_body_fail(c, 400, reason);
            return;
        case CHUNKS_END:
            finish(c);
            return;
        case CHUNKS_DATA:
            if (!deliver(c, body.ptr, body.len, window->size)) {
                return;
            }
            break;
        case CHUNKS_MORE:
            break;
        }
    } while (found != CHUNKS_MORE && window->size);
}

void http1_body_take(struct http1 *c, struct http1_window *window)
{
    if (c->in == IN_LENGTH) {
        take_length(c, window);
    } else {
        take_chunks(c, window);
    }
}

/* How many bytes are sure to be body and nothing else. */
static uint64_t sure(const struct http1 *c)
{
    if (c->in == IN_LENGTH) {
        return c->body.left;
    }
    if (c->in != IN_CHUNKED || c->host->exchanges->body_limit) {
        return 0;
    }
    uint64_t left = http1_chunks_sure(&c->body.chunks);
    return left >= CHUNK_DIRECT ? left : 0;
}

void http1_body_expect(struct http1 *c, size_t at_hand)
{
    size_t room;
    if (c->more && c->in == IN_LENGTH && at_hand < c->body.left && at_hand < HTTP1_READ_SIZE) {
        (void)exchange_body_reserve(c->ex, c->body.left < RECEIVE_MOST ? (size_t)c->body.left : RECEIVE_MOST, &room);
    }
}

bool http1_body_receive(struct http1 *c, ssize_t *out_size)
{
    uint64_t most = c->ex && !c->kept ? sure(c) : 0;
    size_t room = 0;
    char *to = most ? exchange_body_reserve(c->ex, most < RECEIVE_MOST ? (size_t)most : RECEIVE_MOST, &room) : NULL;
    if (!to) {
        return false;
    }
    ssize_t size = stream_recv(c->stream, to, room < most ? room : (size_t)most);
    *out_size = size;
    if (size <= 0) {
        return true;
    }
    note_received(c, (size_t)size);
    c->wire += (uint64_t)size;
    exchange_body_commit(c->ex, (size_t)size);
    if (c->in == IN_CHUNKED) {
        http1_chunks_skip(&c->body.chunks, (uint64_t)size);
        return true;
    }
    c->body.left -= (uint64_t)size;
    if (c->body.left == 0) {
        finish(c);
    }
    return true;
}

bool http1_body_droppable(const struct http1 *c)
{
    uint64_t left = c->in == IN_LENGTH ? c->body.left : 1;
    return !c->expect && left <= c->host->drain_limit;
}
