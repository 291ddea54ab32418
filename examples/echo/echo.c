/* Sends every upload back while it still arrives: however large it is, one piece of it is in memory at a time. When the
 * client reads slowly, casgi_send suspends; nothing is received meanwhile, and the client's sending slows down too.
 *
 *     casgi echo.c
 *     curl -T FILE http://127.0.0.1:8000/ -o COPY */
#include <casgi/casgi.h>

static int start(const casgi_scope_t *scope, casgi_send_t *send)
{
    casgi_str_t type = casgi_scope_header(scope, "content-type");
    casgi_str_t length = casgi_scope_header(scope, "content-length");
    casgi_header_t headers[2] = { CASGI_HEADER("content-type", "application/octet-stream") };
    size_t count = 1;
    if (type.ptr) {
        headers[0].value = type;
    }
    if (length.ptr) {
        /* The same length goes back; without it the response is chunked. */
        headers[count] = casgi_header("content-length", length.ptr);
        count++;
    }
    return casgi_send_start(send, 200, headers, count);
}

static int echo(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    bool more_body = true;
    int rc = start(scope, send);
    while (rc == 0 && more_body) {
        casgi_event_t event;
        rc = casgi_receive(receive, &event);
        if (rc == 0 && event.type == CASGI_HTTP_DISCONNECT) {
            rc = CASGI_EDISCONNECTED;
        }
        if (rc == 0 && event.type == CASGI_HTTP_REQUEST) {
            more_body = event.http_request.more_body;
            rc = casgi_send_body(send, event.http_request.body.ptr, event.http_request.body.len, more_body);
        }
    }
    return rc;
}
CASGI_APP(echo)
