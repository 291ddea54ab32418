/* Answers that need no application, and applications that need no answer any more. */
#include "base/httpdate.h"
#include "base/httpstatus.h"
#include "base/log.h"
#include "protocol/http1_impl.h"
#include "protocol/http1_text.h"

/* The status line, our own fields and the body. */
#define REFUSAL_MOST 512

static casgi_str_t refusal_text(int status)
{
    static const casgi_str_t invalid = CASGI_STR("Invalid HTTP request received.");
    return status == 400 ? invalid : http_reason(status);
}

static char *put_refusal(const struct exchange_host *host, char *at, int status)
{
    casgi_str_t text = refusal_text(status);
    at = http1_put_status(at, status);
    if (http1_fields_size(host->default_headers, host->default_header_count) <= LOOP_SCRATCH_SIZE - REFUSAL_MOST) {
        at = http1_put_fields(at, host->default_headers, host->default_header_count);
    }
    if (host->date_header) {
        casgi_str_t date = http_date();
        at = put_text(PUT(at, "date: "), date.ptr, date.len);
        at = PUT(at, "\r\n");
    }
    at = PUT(at, "content-type: text/plain; charset=utf-8\r\ncontent-length: ");
    at = PUT(http1_put_number(at, text.len), "\r\nconnection: close\r\n\r\n");
    return put_text(at, text.ptr, text.len);
}

void http1_tell_refused(struct http1 *c, const struct http1_fault *fault)
{
    casgi_str_t nothing = { NULL, 0 };
    if (!c->host->refused) {
        return;
    }
    casgi_str_t before = log_set_request(c->ex ? c->ex->scope.request_id : nothing);
    c->host->refused(c->host, http1_client(c), fault->status, fault->offset, fault->reason);
    (void)log_set_request(before);
}

void http1_refuse(struct http1 *c, const struct http1_fault *fault)
{
    char *text = loop_scratch(c->stream->loop);
    struct iovec piece = { text, (size_t)(put_refusal(c->host->exchanges, text, fault->status) - text) };
    c->broken |= stream_write(c->stream, &piece, 1) != 0;
    c->in = IN_CLOSING;
    c->linger = true;
    http1_tell_refused(c, fault);
}

void http1_refuse_exchange(struct http1 *c, int status, const char *reason)
{
    c->linger |= c->keep; /* its next request may be under way */
    c->keep = false;
    c->begun = true;
    exchange_refuse(c->ex, status, reason);
}

static int nobody_head(struct exchange *ex, const struct response_head *head)
{
    (void)ex;
    (void)head;
    return 0;
}

static ssize_t nobody_data(struct exchange *ex, const void *data, size_t size, bool last)
{
    (void)ex;
    (void)data;
    (void)size;
    (void)last;
    return CASGI_EDISCONNECTED;
}

static void nobody_wanted(struct exchange *ex)
{
    (void)ex;
}

static void nobody_consumed(struct exchange *ex, size_t size)
{
    (void)ex;
    (void)size;
}

static void nobody_end(struct exchange *ex)
{
    (void)ex;
}

static void nobody_abort(struct exchange *ex, int code)
{
    (void)ex;
    (void)code;
}

static const struct exchange_driver nobody = {
    .head = nobody_head,
    .data = nobody_data,
    .wanted = nobody_wanted,
    .consumed = nobody_consumed,
    .end = nobody_end,
    .abort = nobody_abort,
};

void http1_orphan(struct http1 *c)
{
    struct exchange *ex = c->ex;
    c->ex = NULL;
    c->head = NULL;
    if (!ex) {
        return;
    }
    if (!c->begun) {
        exchange_discard(ex);
        return;
    }
    c->reset |= c->delimited && exchange_response_begun(ex) && !exchange_response_complete(ex);
    ex->driver = &nobody;
    ex->driver_data = NULL;
    exchange_gone(ex, true);
}
