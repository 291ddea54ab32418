/* A line every 100 ms: GET /?lines=5 (default 10; 0: until the client leaves). Between the lines the handler waits
 * inside casgi_sleep, and the server works for others. examples/callback is the same application in callbacks.
 *
 *     casgi stream.c
 *     curl -N 'http://127.0.0.1:8000/?lines=5' */
#include <casgi/casgi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long lines_asked(const casgi_scope_t *scope)
{
    const char *found = strstr(scope->query_string.ptr, "lines=");
    return found ? strtoul(found + strlen("lines="), NULL, 10) : 10;
}

static int stream(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)receive;
    casgi_header_t type = CASGI_HEADER("content-type", "text/plain");
    unsigned long lines = lines_asked(scope);
    int rc = casgi_send_start(send, 200, &type, 1);
    for (unsigned long i = 1; rc == 0 && (lines == 0 || i <= lines); i++) {
        char line[32];
        int size = snprintf(line, sizeof(line), "line %lu\n", i);
        rc = casgi_send_body(send, line, (size_t)size, true);
        if (rc == 0) {
            rc = casgi_sleep(100);
        }
    }
    return rc ? rc : casgi_send_body(send, NULL, 0, false);
}
CASGI_APP(stream)
