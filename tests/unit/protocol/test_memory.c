/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
/* Memory: none is asked for by a plain request after warm-up, and any allocation may fail. */
#include "wire.h"

#include "protocol/http1_impl.h"
#include "support/allocations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- after warm-up ---- */

static void check_no_allocation(struct wire *w,
                                int (*app)(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *),
                                const char *requests)
{
    wire_connect(w, app);
    for (int i = 0; i < 20; i++) {
        wire_say(w, requests);
    }
    unsigned long before = allocations_asked();
    for (int i = 0; i < 100; i++) {
        wire_say(w, requests);
    }
    assert_int_equal(allocations_asked(), before);
}

static void test_memory__a_plain_request_asks_for_none(void **state)
{
    check_no_allocation(*state, app_path, GET);
}

static void test_memory__pipelined_requests_ask_for_none(void **state)
{
    check_no_allocation(*state, app_path, GET GET GET GET GET GET GET GET);
}

static void test_memory__a_body_asks_for_none(void **state)
{
    check_no_allocation(*state, app_echo, "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789");
}

static int app_drop(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    (void)app, (void)scope;
    do {
        int rc = casgi_receive(receive, &event);
        if (rc) {
            return rc;
        }
    } while (event.type == CASGI_HTTP_REQUEST && event.http_request.more_body);
    return casgi_respond(send, 200, "text/plain", "ok\n");
}

enum { POSTS_MOST = 300000 };

/* A POST of so many bytes, so many times. */
static void put_posts(char text[POSTS_MOST], int count, int size)
{
    for (int i = 0; i < count; i++) {
        text += snprintf(text, 100, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", size);
        memset(text, 'x', (size_t)size);
        text += size;
    }
    *text = '\0';
}

static void test_memory__pipelined_large_bodies_ask_for_none(void **state)
{
    static char text[POSTS_MOST];
    for (int size = 16000; size <= 70000; size += 13000) {
        put_posts(text, 3, size);
        check_no_allocation(*state, app_drop, text);
    }
}

static void test_memory__a_cut_head_asks_for_none(void **state)
{
    struct wire *w = *state;
    unsigned long before = 0;
    wire_connect(w, app_path);
    for (int i = 0; i < 120; i++) {
        if (i == 20) {
            before = allocations_asked();
        }
        wire_say(w, "GET / HT");
        wire_say(w, "TP/1.1\r\n" HOST "\r\n");
    }
    assert_int_equal(allocations_asked(), before);
    assert_int_equal(wire_count(w, "HTTP/1.1 200"), 120);
}

static void test_memory__an_idle_connection_is_small(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_path);
    wire_say(w, GET);
    assert_null(w->c->kept);
    assert_true(sizeof(struct http1) + sizeof "255.255.255.255" <= 208);
}

/* ---- without ---- */

struct scenario {
    const char *first;
    const char *second; /* after a while; NULL: nothing */
    int answers;        /* if all goes well */
};

/* Fails the n-th allocation. false: there were not so many. */
static bool run_once(const struct scenario *s,
                     int (*app)(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *), int n)
{
    struct wire *w;
    assert_int_equal(setup_wire((void **)&w), 0);
    wire_connect(w, app);
    allocations_fail_at(n);
    wire_send(w, s->first, strlen(s->first));
    wire_wait(w, 1);
    if (s->second && w->c) {
        wire_send(w, s->second, strlen(s->second));
        wire_wait(w, 1);
    }
    bool reached = allocations_failed();
    allocations_suffice();
    wire_wait(w, SECONDS(1));
    assert_true(w->ended || wire_count(w, "HTTP/1.1 ") == s->answers);
    assert_int_equal(w->exchanges.running, 0);
    if (!reached) {
        assert_int_equal(wire_count(w, "HTTP/1.1 200"), s->answers);
    }
    assert_int_equal(teardown_wire((void **)&w), 0);
    return reached;
}

static void run_all(const struct scenario *s,
                    int (*app)(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *))
{
    int n = 1;
    while (run_once(s, app, n)) {
        n++;
        assert_true(n < 1000);
    }
    assert_true(n > 3);
}

static void test_memory__any_may_fail_in_a_plain_request(void **state)
{
    static const struct scenario plain = { GET, GET, 2 };
    (void)state;
    run_all(&plain, app_path);
}

static void test_memory__any_may_fail_in_a_cut_head(void **state)
{
    static const struct scenario cut = { "GET http://b", "/ HTTP/1.1\r\n" HOST "\r\n", 1 };
    (void)state;
    run_all(&cut, app_path);
}

static void test_memory__any_may_fail_in_a_body(void **state)
{
    static const struct scenario length = { "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n01234", "56789" GET,
                                            2 };
    static const struct scenario chunks = { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
                                            "1\r\nc\r\n0\r\n\r\n" GET, 2 };
    (void)state;
    run_all(&length, app_echo);
    run_all(&chunks, app_echo);
}

/* Such as are received where they stay, and such as do not fit there. */
static void test_memory__any_may_fail_in_large_bodies_behind_each_other(void **state)
{
    static char first[POSTS_MOST], more[POSTS_MOST];
    const struct scenario large = { first, more, 3 };
    (void)state;
    for (int size = 20000; size <= 70000; size += 50000) {
        put_posts(first, 1, size);
        put_posts(more, 2, size);
        run_all(&large, app_drop);
    }
}

static int app_later(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    int rc = casgi_sleep(100);
    return rc ? rc : app_path(app, scope, receive, send);
}

static void test_memory__any_may_fail_while_requests_wait(void **state)
{
    static const struct scenario waiting = { GET GET "GET ", "/ HTTP/1.1\r\n" HOST "\r\n", 3 };
    (void)state;
    run_all(&waiting, app_later);
}

static void test_memory__none_for_a_connection_is_told(void **state)
{
    struct wire *w = *state;
    struct stream *a, *b;
    struct http1 *c = NULL;
    const casgi_address_t nobody = { { NULL, 0 }, 0, 0 };
    wire_connect(w, app_path);
    assert_int_equal(stream_open_pair(w->loop, 100, &a, &b), 0);
    allocations_fail_at(1);
    assert_int_equal(http1_open(&w->host, a, nobody, nobody, &w->connections, &c), CASGI_ENOMEM);
    allocations_suffice();
    assert_null(c);
    stream_close(a, false);
    stream_close(b, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_memory__a_plain_request_asks_for_none),
        WIRE_TEST(test_memory__pipelined_requests_ask_for_none),
        WIRE_TEST(test_memory__a_body_asks_for_none),
        WIRE_TEST(test_memory__pipelined_large_bodies_ask_for_none),
        WIRE_TEST(test_memory__a_cut_head_asks_for_none),
        WIRE_TEST(test_memory__an_idle_connection_is_small),
        cmocka_unit_test(test_memory__any_may_fail_in_a_plain_request),
        cmocka_unit_test(test_memory__any_may_fail_in_a_cut_head),
        cmocka_unit_test(test_memory__any_may_fail_in_a_body),
        cmocka_unit_test(test_memory__any_may_fail_in_large_bodies_behind_each_other),
        cmocka_unit_test(test_memory__any_may_fail_while_requests_wait),
        WIRE_TEST(test_memory__none_for_a_connection_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
