/* Answers of the server's own, without a task: refusals, and the 500 after a handler that gave none. */
#include "exchange/private.h"

#include "base/httpstatus.h"

/* Everyone who tests a server knows this sentence: uvicorn's, for a request it cannot read. */
static casgi_str_t text_for(int status)
{
    return status == 400 ? (casgi_str_t)CASGI_STR("Invalid HTTP request received.") : http_reason(status);
}

static void failed(struct exchange *ex, int code)
{
    ex->record.error = code;
    ex->priv->out.code = CASGI_EDISCONNECTED;
    ex->record.client_gone = true;
    exchange_conclude(ex, false);
}

static void go_on(struct exchange *ex)
{
    casgi_str_t *rest = &ex->priv->answer;
    ssize_t taken = ex->driver->data(ex, rest->ptr, rest->len, true);
    if (taken < 0 && taken != CASGI_EAGAIN) {
        failed(ex, (int)taken);
        return;
    }
    if (taken > 0) {
        ex->record.bytes_out += (uint64_t)taken;
        rest->ptr += taken;
        rest->len -= (size_t)taken;
    }
    if (taken != CASGI_EAGAIN && !rest->len) {
        ex->priv->answering = false;
        ex->priv->out.state = RESPONSE_COMPLETE;
        exchange_conclude(ex, true);
    }
}

void answer_on_late(struct loop_late *late)
{
    struct exchange_private *priv = LIST_ENTRY(late, struct exchange_private, late);
    struct exchange *ex = exchange_of(priv);
    if (priv->out.code) {
        ex->record.error = priv->out.code;
        exchange_conclude(ex, false);
    } else {
        go_on(ex);
    }
}

void answer_begin(struct exchange *ex, int status)
{
    struct exchange_private *priv = ex->priv;
    static const casgi_header_t type = CASGI_HEADER("content-type", "text/plain; charset=utf-8");
    casgi_str_t text = text_for(status);
    priv->out.state = RESPONSE_BODY;
    ex->record.status = status;
    bool body_allowed = response_allows_body(ex, status);
    casgi_header_t *headers = arena_alloc(&ex->arena, (1 + response_spare(ex)) * sizeof(*headers));
    priv->head = (struct response_head){
        .status = status,
        .headers = headers,
        .header_count = 1,
        .lines = CASGI_STR("content-type: text/plain; charset=utf-8\r\n"),
        .content_length = (int64_t)text.len,
        .body_allowed = body_allowed,
        .close = true,
    };
    priv->answer = body_allowed ? text : (casgi_str_t){ NULL, 0 };
    priv->answering = true;
    if (headers) {
        headers[0] = type;
        response_add_fields(ex, field_length_bit(type.name.len));
    }
    int rc = headers ? ex->driver->head(ex, &priv->head) : CASGI_ENOMEM;
    if (rc) {
        failed(ex, rc);
        return;
    }
    go_on(ex);
}
