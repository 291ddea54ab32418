/* What the handler's return means for the response and the record. ASGI.md 1.5, DESIGN 2.8. */
#include "exchange/private.h"

static void blame(struct exchange *ex, const char *why)
{
    if (!ex->record.why) {
        ex->record.why = why;
    }
    ex->record.failed = true;
}

static bool gave_up(int result)
{
    return result == CASGI_EDISCONNECTED || result == CASGI_ECANCELED;
}

/* The client left before the response was whole, and the handler took it so or can no longer be heard. */
static bool client_left(const struct exchange *ex, int result)
{
    return ex->record.client_gone && (!result || gave_up(result) || ex->priv->out.code);
}

static bool was_stopped(const struct exchange *ex, int result)
{
    return ex->priv->cancelled && (result == CASGI_ECANCELED || result == CASGI_ETIMEDOUT);
}

static void judge_departed(struct exchange *ex, int result)
{
    if (result && !gave_up(result)) {
        blame(ex, "the handler failed after the client had gone");
    }
    ex->record.status = 499;
    if (!ex->record.error) {
        ex->record.error = CASGI_EDISCONNECTED;
    }
    exchange_conclude(ex, false);
}

/* Nothing is on the wire: an answer of our own, unless the handler made a start and lost interest. */
static void judge_unanswered(struct exchange *ex, int result)
{
    struct exchange_private *priv = ex->priv;
    if (priv->failed_status) {
        answer_begin(ex, priv->failed_status);
    } else if (was_stopped(ex, result)) {
        ex->record.why = "the handler was stopped by the server";
        answer_begin(ex, 503);
    } else if (result) {
        blame(ex, "the handler failed");
        answer_begin(ex, 500);
    } else if (priv->out.state == RESPONSE_STARTED && !priv->out.refused) {
        blame(ex, "the handler returned after http.response.start, without a body");
        ex->record.error = CASGI_EPROTO;
        exchange_conclude(ex, false);
    } else {
        blame(ex, priv->out.refused ? "the handler returned without a response after an event was refused"
                                    : "the handler returned without a response");
        answer_begin(ex, 500);
    }
}

static void judge_half_sent(struct exchange *ex, int result)
{
    if (was_stopped(ex, result)) {
        ex->record.why = "the handler was stopped by the server";
    } else if (!ex->priv->failed_status || (result && !gave_up(result))) { /* else its request had broken off */
        blame(ex, result ? "the handler failed in the midst of its response"
                         : "the handler returned in the midst of its response");
    }
    if (!ex->record.error) {
        ex->record.error = result ? result : CASGI_EPROTO;
    }
    exchange_conclude(ex, false);
}

void exchange_judge(struct exchange *ex, int result)
{
    struct exchange_private *priv = ex->priv;
    if (priv->over) {
        exchange_conclude(ex, false);
    } else if (priv->out.state == RESPONSE_COMPLETE) {
        if (result && !gave_up(result) && !was_stopped(ex, result)) {
            blame(ex, "the handler failed after its response");
        }
        exchange_conclude(ex, true);
    } else if (client_left(ex, result)) {
        judge_departed(ex, result);
    } else if (priv->out.state <= RESPONSE_STARTED) {
        judge_unanswered(ex, result);
    } else {
        judge_half_sent(ex, result);
    }
}
