/* Receives a whole body and keeps each piece of it for a while, as its query says in turns of a millisecond: what an
 * event points into must not change before the next receive. Answers "SIZE ADLER32 intact", or "changed". */
#include <casgi/casgi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sum {
    uint32_t low;
    uint32_t high;
    size_t size;
};

/* zlib's. */
static void add(struct sum *sum, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sum->low = (sum->low + (unsigned char)data[i]) % 65521;
        sum->high = (sum->high + sum->low) % 65521;
    }
    sum->size += size;
}

/* Whether nobody wrote to `body` for so many turns. */
static int hold(casgi_str_t body, unsigned long turns, bool *out_intact)
{
    char *copy = malloc(body.len + 1);
    int rc = copy ? 0 : CASGI_ENOMEM;
    if (copy) {
        memcpy(copy, body.ptr, body.len + 1); /* and the NUL behind it */
    }
    for (unsigned long i = 0; !rc && i < turns; i++) {
        rc = casgi_sleep(1);
    }
    *out_intact = !rc && copy[body.len] == '\0' && memcmp(copy, body.ptr, body.len + 1) == 0;
    free(copy);
    return rc;
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    unsigned long turns = strtoul(scope->query_string.ptr, NULL, 10);
    struct sum sum = { .low = 1 };
    bool all = true, more = true;
    (void)self;
    while (more) {
        casgi_event_t event;
        bool intact = true;
        int rc = casgi_receive(receive, &event);
        if (!rc && event.type != CASGI_HTTP_REQUEST) {
            return CASGI_EDISCONNECTED;
        }
        rc = rc ? rc : hold(event.http_request.body, turns, &intact);
        if (rc) {
            return rc;
        }
        add(&sum, event.http_request.body.ptr, event.http_request.body.len);
        all = all && intact;
        more = event.http_request.more_body;
    }
    char text[64];
    snprintf(text, sizeof(text), "%zu %08x %s", sum.size, (unsigned)(sum.high << 16 | sum.low),
             all ? "intact" : "changed");
    return casgi_respond(send, 200, "text/plain", text);
}
CASGI_APP(answer)
