#include "http/impl.h"

#include <stdlib.h>
#include <string.h>

static struct kit_transfer *transfer_of(casgi_fetch_response_t *response)
{
    return (struct kit_transfer *)(void *)response;
}

/* ---- waiting ---- */

static bool has_head(const struct kit_transfer *transfer)
{
    return transfer->has_head || transfer->done || transfer->failed;
}

static bool has_body(const struct kit_transfer *transfer)
{
    return transfer->coming.size || transfer->done || transfer->failed;
}

static int wait_until(struct kit_transfer *transfer, bool (*ready)(const struct kit_transfer *transfer))
{
    int rc = kit_client_drive(transfer->client);
    while (!rc && !ready(transfer)) {
        (void)casgi_flag_clear(&transfer->event);
        rc = casgi_flag_wait(&transfer->event);
    }
    return rc;
}

/* ---- the request's body ---- */

/* Whenever libcurl has sent all there was: the next piece. */
static int feed_one(struct kit_transfer *transfer)
{
    casgi_str_t piece = { NULL, 0 };
    int rc = 0;
    while (!rc && !transfer->send_paused) {
        (void)casgi_flag_clear(&transfer->hungry);
        rc = casgi_flag_wait(&transfer->hungry);
    }
    rc = rc ? rc : transfer->read_body(transfer->read_arg, &piece);
    if (rc) {
        return rc;
    }
    transfer->unsent = piece;
    transfer->body_ended = piece.len == 0;
    transfer->send_paused = false;
    kit_transfer_resume(transfer);
    return 0;
}

static int feed(void *arg)
{
    struct kit_transfer *transfer = arg;
    int rc = 0;
    while (!rc && !transfer->body_ended) {
        rc = feed_one(transfer);
    }
    if (rc) {
        transfer->failed = rc;
        (void)casgi_flag_set(&transfer->event);
    }
    return 0;
}

static int start_feeder(struct kit_transfer *transfer)
{
    return transfer->read_body ? casgi_create_task(feed, transfer, "casgi_fetch body", &transfer->feeder) : 0;
}

/* ---- asking ---- */

static int start(struct kit_transfer *transfer, const casgi_fetch_request_t *request, casgi_error_t *error)
{
    int rc = kit_trust_prepare(transfer->client, request, error);
    if (rc) {
        return rc;
    }
    rc = kit_transfer_start(transfer);
    rc = rc ? rc : start_feeder(transfer);
    rc = rc ? rc : wait_until(transfer, has_head);
    if (rc) {
        return casgi_error_set(error, rc, "waiting for the response: %s", casgi_strerror(rc));
    }
    if (!transfer->has_head) {
        rc = kit_transfer_fail(transfer);
        return casgi_error_set(error, rc, "%s", transfer->error.message);
    }
    rc = kit_transfer_take_head(transfer);
    return rc ? casgi_error_set(error, rc, "out of memory") : 0;
}

int casgi_fetch(casgi_fetch_client_t *client, const casgi_fetch_request_t *request,
                casgi_fetch_response_t **out_response, casgi_error_t *out_error)
{
    struct kit_transfer *transfer;
    if (client->closed) {
        return casgi_error_set(out_error, CASGI_ECLOSED, "the client has been freed");
    }
    int rc = kit_transfer_new(client, request, &transfer, out_error);
    if (rc) {
        return rc;
    }
    rc = start(transfer, request, out_error);
    if (rc) {
        kit_transfer_free(transfer);
        return rc;
    }
    *out_response = &transfer->response;
    return 0;
}

void casgi_fetch_free(casgi_fetch_response_t *response)
{
    if (response) {
        kit_transfer_free(transfer_of(response));
    }
}

casgi_str_t casgi_fetch_header(const casgi_fetch_response_t *response, const char *name)
{
    casgi_str_t wanted = casgi_str(name), none = { NULL, 0 };
    for (size_t i = 0; i < response->header_count; i++) {
        if (casgi_str_equal(response->headers[i].name, wanted)) {
            return response->headers[i].value;
        }
    }
    return none;
}

/* ---- the body ---- */

/* What came goes to the author in one piece, and the memory of the last piece takes what comes next. */
static void give(struct kit_transfer *transfer, casgi_str_t *out_piece)
{
    struct kit_bytes empty = transfer->given;
    transfer->given = transfer->coming;
    transfer->coming = empty;
    transfer->coming.size = 0;
    *out_piece = (casgi_str_t){ transfer->given.data, transfer->given.size };
    if (transfer->receive_paused) {
        transfer->receive_paused = false;
        kit_transfer_resume(transfer);
    }
}

int casgi_fetch_read(casgi_fetch_response_t *response, casgi_str_t *out_piece)
{
    struct kit_transfer *transfer = transfer_of(response);
    int rc = wait_until(transfer, has_body);
    if (rc) {
        return rc;
    }
    if (transfer->coming.size) {
        give(transfer, out_piece);
        return 0;
    }
    if (transfer->failed || transfer->result != CURLE_OK) {
        return kit_transfer_fail(transfer);
    }
    *out_piece = (casgi_str_t){ NULL, 0 };
    return 0;
}

int casgi_fetch_body(casgi_fetch_response_t *response, size_t limit, casgi_str_t *out_body)
{
    struct kit_bytes *whole = &transfer_of(response)->whole;
    casgi_str_t piece = { NULL, 0 };
    int rc = kit_bytes_reserve(whole, 0);
    while (!rc && !(rc = casgi_fetch_read(response, &piece)) && piece.len) {
        rc = piece.len > limit - whole->size ? CASGI_ETOOBIG : kit_bytes_reserve(whole, piece.len);
        if (!rc) {
            memcpy(whole->data + whole->size, piece.ptr, piece.len);
            whole->size += piece.len;
        }
    }
    if (rc) {
        return rc;
    }
    whole->data[whole->size] = '\0';
    *out_body = (casgi_str_t){ whole->data, whole->size };
    return 0;
}
