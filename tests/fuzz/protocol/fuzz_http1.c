/* Any bytes through a real connection: whole, byte by byte, cut at places that depend on them, and behind a large body,
 * which has them received elsewhere. Whatever they are, the connection must end, no task may be left, and the answer
 * must not depend on how the bytes were cut or what was before them. */
#include "casgi/app.h"
#include "casgi/imports.h"
#include "protocol/http1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_MOST = 16384, OUT_MOST = 1 << 20, PAIR = 1 << 17, TURNS = 100000, BODY_LIMIT = 6000, LARGE = 17000 };

static struct loop *loop;
static struct exchange_host exchanges;
static struct http1_host host;
static struct list connections;
static struct stream *client;

struct answer {
    char bytes[OUT_MOST];
    size_t size;
    bool ended;
    bool comparable; /* nothing in it depends on what had come when */
};

static struct answer whole;
static struct answer cut;
static struct answer *answer; /* being gathered */

/* ---- the application ---- */

struct piece {
    struct piece *next;
    size_t size;
    char bytes[];
};

/* Only what was received whole is answered. */
static int read_all(casgi_receive_t *receive, struct piece **last)
{
    casgi_event_t event;
    do {
        int rc = casgi_receive(receive, &event);
        if (rc || event.type != CASGI_HTTP_REQUEST) {
            return rc ? rc : CASGI_EDISCONNECTED;
        }
        struct piece *piece = casgi_alloc(sizeof *piece + event.http_request.body.len);
        *piece = (struct piece){ .size = event.http_request.body.len };
        if (piece->size) {
            memcpy(piece->bytes, event.http_request.body.ptr, piece->size);
        }
        *last = (*last)->next = piece;
    } while (event.http_request.more_body);
    return 0;
}

/* Its beginning byte by byte, so that the chunks do not show how the body came, and a sum of all. */
static int tell_body(const struct piece *first, casgi_send_t *send)
{
    size_t size = 0;
    uint32_t sum = 0;
    int rc = 0;
    char text[32];
    for (const struct piece *p = first; rc == 0 && p; p = p->next) {
        for (size_t i = 0; rc == 0 && i < p->size; i++) {
            sum = sum * 31 + (unsigned char)p->bytes[i];
            rc = size++ < 64 ? casgi_send_body(send, p->bytes + i, 1, true) : 0;
        }
    }
    int length = snprintf(text, sizeof text, " %zu %08x", size, (unsigned)sum);
    return rc ? rc : casgi_send_body(send, text, (size_t)length, true);
}

static int echo_all(const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct piece first = { .size = 0 };
    struct piece *last = &first;
    int rc = read_all(receive, &last);
    rc = rc ? rc : casgi_send_start(send, 200, scope->headers, 0);
    rc = rc ? rc : casgi_send_body(send, scope->path.ptr, scope->path.len, true);
    rc = rc ? rc : tell_body(first.next, send);
    return rc ? rc : casgi_send_body(send, NULL, 0, false);
}

static int echo_each(casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    int rc = casgi_send_start(send, 200, NULL, 0);
    do {
        rc = rc ? rc : casgi_receive(receive, &event);
        if (rc == 0) {
            rc = casgi_send_body(send, event.http_request.body.ptr, event.http_request.body.len,
                                 event.http_request.more_body);
        }
    } while (rc == 0 && event.type == CASGI_HTTP_REQUEST && event.http_request.more_body);
    return rc;
}

/* The second byte of the path says what to do. */
static int app(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    char what = scope->path.len > 1 ? scope->path.ptr[1] : ' ';
    (void)self;
    if (casgi_scope_header(scope, "expect").ptr || strchr("enfhs", what)) {
        answer->comparable = false;
    }
    switch (what) {
    case 'e':
        return echo_each(receive, send);
    case 'n':
        return casgi_respond(send, 200, "text/plain", scope->path.ptr);
    case 'f':
        return CASGI_EFAILED;
    case 'h':
        (void)casgi_send_start(send, 200, NULL, 0);
        (void)casgi_send_body(send, "x", 1, true);
        return CASGI_EFAILED;
    case 's':
        (void)casgi_sleep(1000);
        return echo_all(scope, receive, send);
    default:
        return echo_all(scope, receive, send);
    }
}

static casgi_app_t application = { .call = app };

/* ---- the client ---- */

static void on_readable(void *owner)
{
    (void)owner;
    ssize_t size = stream_recv(client, answer->bytes + answer->size, OUT_MOST - answer->size);
    if (size > 0) {
        answer->size += (size_t)size;
    } else if (size != CASGI_EAGAIN) {
        answer->ended = true;
        stream_read(client, false);
    }
}

static void on_writable(void *owner)
{
    (void)owner;
}

static const struct stream_events events = { .readable = on_readable, .writable = on_writable };

static void settle(void)
{
    for (int i = 0; i < TURNS && loop_turn(loop, false); i++) {
    }
}

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* So that what is left at the end is a leak. */
static void tear_down(void)
{
    http1_host_release(&host);
    exchange_host_release(&exchanges);
    loop_free(loop);
}

static void set_up(void)
{
    const struct loop_options options = { .fake_clock = true };
    check(loop_new(&options, &loop) == 0, "no loop");
    casgi_imports_.tasks = &task_interface;
    exchanges = (struct exchange_host){ .loop = loop, .app = &application, .body_limit = BODY_LIMIT };
    exchange_host_init(&exchanges);
    host = (struct http1_host){
        .exchanges = &exchanges,
        .head_limit = 2048,
        .header_count_limit = 20,
        .body_rate = 240,
        .body_grace = 5000000,
        .drain_limit = 512,
        .scheme = CASGI_STR("http"),
        .root_path = CASGI_STR(""),
    };
    list_init(&connections);
    http1_host_init(&host, loop, 20000000, 75000000, 60000000);
    check(atexit(tear_down) == 0, "no exit");
}

/* ---- one run ---- */

static void send_piece(const uint8_t *data, size_t size)
{
    struct iovec piece = { (void *)(uintptr_t)data, size };
    (void)!stream_write(client, &piece, 1);
    settle();
}

static void forget_answer(void)
{
    answer->size = 0;
    answer->ended = false;
    answer->comparable = true;
}

/* A request with a body so large that what follows is received where bodies stay. */
static void send_large_body(void)
{
    static char text[LARGE + 100];
    int head = snprintf(text, 100, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", LARGE);
    memset(text + head, 'x', LARGE);
    exchanges.body_limit = 0;
    send_piece((const uint8_t *)text, (size_t)head + LARGE);
    exchanges.body_limit = BODY_LIMIT;
    check(answer->size > 0 && !answer->ended, "no answer to the large body");
    forget_answer();
}

static void run(const uint8_t *data, size_t size, size_t step, bool behind_large, struct answer *out)
{
    const casgi_address_t address = { CASGI_STR("c"), 1, 0 };
    const casgi_address_t none = { { NULL, 0 }, 0, 0 };
    struct stream *server;
    struct http1 *c;
    answer = out;
    forget_answer();
    check(stream_open_pair(loop, PAIR, &server, &client) == 0, "no streams");
    stream_set_owner(client, &events, NULL);
    stream_read(client, true);
    check(http1_open(&host, server, address, none, &connections, &c) == 0, "no connection");
    if (behind_large) {
        send_large_body();
    }
    for (size_t at = 0; at < size;) {
        size_t piece = step < size - at ? step : size - at;
        send_piece(data + at, piece);
        at += piece;
    }
    loop_advance(loop, 2000000);
    settle();
    (void)stream_shutdown(client);
    settle();
    loop_advance(loop, 200000000);
    settle();
    check(list_empty(&connections), "a connection is left");
    check(answer->ended, "the client waits for ever");
    check(exchanges.running == 0 && task_count(loop) == 0, "an exchange is left");
    stream_close(client, false);
    settle();
}

static void compare(const char *how)
{
    if (whole.comparable && cut.comparable &&
        (whole.size != cut.size || memcmp(whole.bytes, cut.bytes, whole.size) != 0)) {
        fprintf(stderr, "%s: it matters\n--- whole\n%.*s\n--- cut\n%.*s\n", how, (int)whole.size, whole.bytes,
                (int)cut.size, cut.bytes);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sum = 0;
    if (size > IN_MOST) {
        return 0;
    }
    if (!loop) {
        set_up();
    }
    for (size_t i = 0; i < size; i++) {
        sum = sum * 31 + data[i];
    }
    run(data, size, IN_MOST, false, &whole);
    run(data, size, 1, false, &cut);
    compare("byte by byte");
    run(data, size, size ? 1 + sum % size : 1, false, &cut);
    compare("in pieces");
    run(data, size, IN_MOST, true, &cut);
    compare("behind a large body");
    return 0;
}
