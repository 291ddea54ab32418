/* Golden module: the raw events both ways, and the body gathered. */
#include <casgi/casgi.h>

#include <string.h>

static int stream(casgi_receive_t *receive, casgi_send_t *send)
{
    static const casgi_header_t headers[] = { CASGI_HEADER("content-type", "text/plain"),
                                              CASGI_HEADER("x-golden", "1") };
    bool more_body = true;
    int rc = casgi_send_start(send, 201, headers, 2);
    while (rc == 0 && more_body) {
        casgi_event_t event, answer = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_BODY);
        rc = casgi_receive(receive, &event);
        if (rc == 0 && event.type != CASGI_HTTP_REQUEST) {
            return CASGI_EDISCONNECTED;
        }
        if (rc == 0) {
            more_body = event.http_request.more_body;
            answer.http_response_body.body = event.http_request.body;
            answer.http_response_body.more_body = more_body;
            rc = casgi_send(send, &answer);
        }
    }
    return rc;
}

static int gather(casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_str_t body;
    int rc = casgi_receive_body(receive, 16, &body);
    if (rc == CASGI_ETOOBIG) {
        return casgi_respond(send, 413, "text/plain", casgi_strerror(rc));
    }
    return rc ? rc : casgi_respond_bytes(send, 200, "text/plain", body.ptr, body.len);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    return strcmp(scope->path.ptr, "/gather") == 0 ? gather(receive, send) : stream(receive, send);
}
CASGI_APP_RECORD(record, "body", handle, CASGI_APP_HTTP);
CASGI_MODULE("golden body", "1.0", &record);
