/* http.response.start, early hints and trailers: what the application says about its response, apart from its body. */
#include "exchange/private.h"

#include "base/httpchars.h"
#include "base/httpdate.h"
#include "base/httpfield.h"

#include <string.h>

static bool is_head(const struct exchange *ex)
{
    return casgi_str_equal(ex->scope.method, (casgi_str_t)CASGI_STR("HEAD"));
}

bool response_allows_body(const struct exchange *ex, int status)
{
    return status != 204 && status != 304 && !is_head(ex);
}

/* ---- fields of the server's own ---- */

static const casgi_str_t date_name = CASGI_STR("date");

static bool has_field(const casgi_header_t *headers, size_t count, casgi_str_t name)
{
    for (size_t i = 0; i < count; i++) {
        if (headers[i].name.len == name.len && !memcmp(headers[i].name.ptr, name.ptr, name.len)) {
            return true;
        }
    }
    return false;
}

size_t response_spare(const struct exchange *ex)
{
    return ex->host->default_header_count + ex->host->date_header;
}

uint64_t response_default_lengths(const struct exchange_host *host)
{
    uint64_t lengths = host->date_header ? field_length_bit(date_name.len) : 0;
    for (size_t i = 0; i < host->default_header_count; i++) {
        lengths |= field_length_bit(host->default_headers[i].name.len);
    }
    return lengths;
}

/* Whether the application has none of the fields that the server adds. */
static __attribute__((noinline)) bool defaults_stand(const struct exchange_host *host, const casgi_header_t *headers,
                                                     size_t count)
{
    if (host->date_header && has_field(headers, count, date_name)) {
        return false;
    }
    for (size_t i = 0; i < host->default_header_count; i++) {
        if (has_field(headers, count, host->default_headers[i].name)) {
            return false;
        }
    }
    return true;
}

/* Puts behind `count` fields those of the defaults that the application has not set; returns how many there are then.
 * The date's text stays where it is, and tells a later date by the time it is sent. */
static size_t merge_defaults(const struct exchange_host *host, casgi_header_t *headers, size_t count)
{
    size_t used = count;
    if (host->date_header && !has_field(headers, count, date_name)) {
        headers[used++] = (casgi_header_t){ date_name, http_date(), { 0, 0 } };
    }
    for (size_t i = 0; i < host->default_header_count; i++) {
        if (!has_field(headers, count, host->default_headers[i].name)) {
            headers[used++] = host->default_headers[i];
        }
    }
    return used;
}

/* For a driver that adds none, or an application that has set one of them. */
static __attribute__((noinline)) void merge_fields(struct exchange *ex)
{
    struct response_head *head = &ex->priv->head;
    size_t count = merge_defaults(ex->host, head_own_fields(head), head->header_count);
    if (count > head->header_count) {
        head->header_count = count;
        head->lines = (casgi_str_t){ NULL, 0 };
    }
    head->add_defaults = false;
    head->add_date = false;
}

void response_add_fields(struct exchange *ex, uint64_t lengths)
{
    struct response_head *head = &ex->priv->head;
    const struct exchange_host *host = ex->host;
    bool ready = ex->driver->adds_defaults &&
                 (!(lengths & host->pools->default_lengths) || defaults_stand(host, head->headers, head->header_count));
    if (__builtin_expect(!ready, false)) {
        merge_fields(ex);
        return;
    }
    head->add_defaults = host->default_header_count;
    head->add_date = host->date_header;
}

/* ---- start ---- */

static bool client_takes_trailers(const casgi_scope_t *scope)
{
    static const casgi_str_t te = CASGI_STR("te"), token = CASGI_STR("trailers");
    for (size_t i = 0; i < scope->header_count; i++) {
        if (casgi_str_equal(scope->headers[i].name, te) && http_field_has_token(scope->headers[i].value, token)) {
            return true;
        }
    }
    return false;
}

/* Trailers need a body without a length, and a client that said it reads them. */
static bool sends_trailers(const struct exchange *ex, const struct response_head *head)
{
    return ex->driver->trailers && head->body_allowed && head->content_length < 0 && !scope_is_http_1_0(&ex->scope) &&
           client_takes_trailers(&ex->scope);
}

int response_start(struct exchange *ex, const casgi_http_response_start_t *start)
{
    struct outbound *out = &ex->priv->out;
    struct response_head *head = &ex->priv->head;
    uint64_t lengths;
    const char *why = NULL;
    if (out->state != RESPONSE_IDLE) {
        return refuse(ex, CASGI_EPROTO, "http.response.start was already sent");
    }
    if (start->status < 200 || start->status > 599) {
        return refuse(ex, CASGI_EINVAL, "the status is not between 200 and 599");
    }
    int rc = fields_copy(&ex->arena, start->headers, start->header_count, response_spare(ex), head, &lengths, &why);
    if (rc) {
        return refuse(ex, rc, why);
    }
    response_add_fields(ex, lengths);
    head->status = start->status;
    head->content_length = start->status == 204 ? -1 : head->content_length;
    head->body_allowed = response_allows_body(ex, start->status);
    head->has_trailers = start->trailers && sends_trailers(ex, head);
    out->announced = start->trailers;
    out->state = RESPONSE_STARTED;
    ex->priv->trailer_count = 0;
    ex->record.status = start->status;
    ex->record.started = record_time(ex);
    return 0;
}

/* ---- early hints ---- */

/* Hints that can no longer be sent, or not to this client, are left out: they are hints. */
int response_early_hint(struct exchange *ex, const casgi_http_response_early_hint_t *hint)
{
    static const casgi_str_t name = CASGI_STR("link");
    if (ex->priv->out.state > RESPONSE_BODY) {
        return refuse(ex, CASGI_EPROTO, "http.response.early_hint after the last body");
    }
    for (size_t i = 0; i < hint->link_count; i++) {
        if (!http_is_field_value(hint->links[i])) {
            return refuse(ex, CASGI_EINVAL, "a link has a control character");
        }
    }
    if (!hint->link_count || !ex->driver->inform || ex->priv->out.state > RESPONSE_STARTED ||
        scope_is_http_1_0(&ex->scope)) {
        return 0;
    }
    casgi_header_t *headers = arena_alloc(&ex->arena, hint->link_count * sizeof(*headers));
    if (!headers) {
        return CASGI_ENOMEM;
    }
    for (size_t i = 0; i < hint->link_count; i++) {
        headers[i] = (casgi_header_t){ name, hint->links[i], { 0, 0 } };
    }
    int rc = ex->driver->inform(ex, 103, headers, hint->link_count);
    return !rc || rc == CASGI_EAGAIN || rc == CASGI_ENOTSUP ? 0 : driver_failed(ex, rc);
}

/* ---- trailers ---- */

/* What frames, routes or describes the message may not come after it (RFC 9110, section 6.5.1). */
static bool may_trail(casgi_str_t name)
{
    static const casgi_str_t forbidden[] = {
        CASGI_STR("trailer"),       CASGI_STR("host"),       CASGI_STR("content-encoding"), CASGI_STR("content-type"),
        CASGI_STR("content-range"), CASGI_STR("set-cookie"), CASGI_STR("cache-control"),    CASGI_STR("te"),
        CASGI_STR("authorization"),
    };
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        if (casgi_str_equal(name, forbidden[i])) {
            return false;
        }
    }
    return true;
}

/* Adds the event's fields, copied, to those of earlier ones. */
static int gather_trailers(struct exchange *ex, const casgi_http_response_trailers_t *trailers)
{
    struct response_head head;
    uint64_t lengths;
    const char *why = NULL;
    int rc = fields_copy(&ex->arena, trailers->headers, trailers->header_count, ex->priv->trailer_count, &head,
                         &lengths, &why);
    if (rc) {
        return refuse(ex, rc, why);
    }
    casgi_header_t *headers = head_own_fields(&head);
    size_t count = head.header_count;
    for (size_t i = 0; i < count; i++) {
        if (!may_trail(headers[i].name)) {
            return refuse(ex, CASGI_EINVAL, "a field that may not be a trailer");
        }
    }
    if (head.content_length >= 0) {
        return refuse(ex, CASGI_EINVAL, "a field that may not be a trailer");
    }
    if (ex->priv->trailer_count) {
        memmove(headers + ex->priv->trailer_count, headers, count * sizeof(*headers));
        memcpy(headers, ex->priv->trailers, ex->priv->trailer_count * sizeof(*headers));
    }
    ex->priv->trailers = headers;
    ex->priv->trailer_count += count;
    return 0;
}

int response_trailers(struct exchange *ex, const casgi_http_response_trailers_t *trailers)
{
    struct outbound *out = &ex->priv->out;
    if (out->state != RESPONSE_TRAILERS) {
        return refuse(ex, CASGI_EPROTO,
                      out->announced ? "http.response.trailers before the last body"
                                     : "http.response.trailers without trailers in the start");
    }
    size_t before = ex->priv->trailer_count;
    int rc = gather_trailers(ex, trailers);
    if (rc || trailers->more_trailers) {
        return rc;
    }
    while ((rc = ex->driver->trailers(ex, ex->priv->trailers, ex->priv->trailer_count)) == CASGI_EAGAIN) {
        rc = wait_for_room(ex, false);
        if (rc) {
            ex->priv->trailer_count = before; /* not sent: it may be sent again */
            return rc;
        }
    }
    if (rc) {
        return driver_failed(ex, rc);
    }
    exchange_completed(ex);
    return 0;
}
