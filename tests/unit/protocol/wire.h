/* What the protocol tests share: an HTTP/1 connection over a pair of streams in memory, with a fake clock. A test
 * writes bytes at the client's end, lets the loop run, and looks at what came back and at what the application saw. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "casgi/app.h"
#include "protocol/http1.h"

#define SECONDS(n) ((n)*UINT64_C(1000000))

enum { HEAD_SECONDS = 20, IDLE_SECONDS = 75, WRITE_SECONDS = 60 };

struct wire {
    struct loop *loop;
    struct exchange_host exchanges;
    struct http1_host host;
    casgi_app_t app;
    struct list connections;
    struct http1 *c; /* NULL: closed */
    size_t capacity; /* of the "kernel", each way */
    struct stream *client;
    bool reading; /* the client takes what comes */

    char *out; /* what the client got, with a NUL */
    size_t out_size;
    bool ended; /* the client saw the end of the stream */
    int failed; /* or a reset */

    char seen[65536]; /* the application's words */
    size_t seen_size;

    int refusals;
    int status; /* of the last one */
    size_t offset;
    char reason[128];

    int admission; /* what admit answers */
    int closed;
    int drained;
    int step; /* the application's own */
    casgi_waiter_t *waiter;
};

/* cmocka fixtures: *state is a struct wire without a connection. The teardown fails if a task or connection is left. */
int setup_wire(void **state);
int teardown_wire(void **state);

#define WIRE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_wire, teardown_wire)

/* Connects, after setting the handler. Forgets what an earlier connection left. */
void wire_connect(struct wire *w,
                  int (*handler)(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *));

/* From the client. */
void wire_send(struct wire *w, const char *data, size_t size);
void wire_say(struct wire *w, const char *text);
void wire_finish(struct wire *w);              /* ends the client's side */
void wire_hang_up(struct wire *w, bool reset); /* closes it */
void wire_read(struct wire *w, bool on);

/* Lets the loop run until nothing happens any more, without time passing; or with. */
void wire_settle(struct wire *w);
void wire_wait(struct wire *w, uint64_t microseconds);

/* Adds to `seen`. */
void wire_note(struct wire *w, const char *format, ...) CASGI_PRINTF(2, 3);

static inline struct wire *wire_of(casgi_app_t *app)
{
    return app->data;
}

/* Receives the whole request and notes it: "GET /path?query 1.1 name=value,name=value, body". Answers "ok\n" with a
 * content-length. */
int app_probe(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);

/* Notes the size of each piece of the body, each with a space behind it, and answers "ok\n". */
int app_pieces(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);

/* Sends back each piece of the body as it comes. */
int app_echo(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);

/* Answers with the path, without reading. */
int app_path(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);

/* Sleeps for the path's milliseconds, noted as "<" and ">", then answers with the path. */
int app_sleep(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);

/* Receives until a disconnect, then answers with the path; notes the events, and what came of the answer. */
int app_watch(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);

/* How often `text` occurs in what the client got. */
int wire_count(const struct wire *w, const char *text);

#define assert_got(w, text) assert_string_equal((w)->out, (text))
#define assert_saw(w, text) assert_string_equal((w)->seen, (text))

/* What is asked, and how the answer to it begins that keeps its connection. */
#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define KEPT(text) "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: " text

/* What app_probe answers to a request that keeps its connection, and to one that does not. */
#define OK_KEPT "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n"
#define OK_CLOSED "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n"
#define BAD_REQUEST                                                                                 \
    "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 30\r\n" \
    "connection: close\r\n\r\nInvalid HTTP request received."
