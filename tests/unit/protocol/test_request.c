/* Requests as bytes, and what the application sees of them: whole, split in two at every place, and byte by byte. */
#include "wire.h"

#include <stdio.h>
#include <string.h>

struct example {
    const char *bytes;
    const char *seen;
};

static void check_once(struct wire *w, const struct example *e, size_t split)
{
    size_t size = strlen(e->bytes);
    wire_connect(w, app_probe);
    if (split <= size) {
        wire_send(w, e->bytes, split);
        wire_settle(w);
        wire_send(w, e->bytes + split, size - split);
        wire_settle(w);
    } else {
        for (size_t i = 0; i < size; i++) {
            wire_send(w, e->bytes + i, 1);
            wire_settle(w);
        }
    }
    if (strcmp(w->seen, e->seen) != 0 || w->refusals) {
        print_error("split %zu of %s\n", split, e->bytes);
    }
    assert_saw(w, e->seen);
    assert_int_equal(w->refusals, 0);
}

static void check(struct wire *w, const char *bytes, const char *seen)
{
    struct example e = { bytes, seen };
    for (size_t split = 0; split <= strlen(bytes) + 1; split++) {
        check_once(w, &e, split);
    }
}

static void test_request__get_reaches_the_application(void **state)
{
    check(*state, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=a []\n");
}

static void test_request__names_are_lowered_and_values_trimmed(void **state)
{
    check(*state, "GET /x?y=%20z HTTP/1.1\r\nHOST:a:80\r\nX-Two: \t b\tc \t\r\nx-two:d\r\nEmpty:\r\nBlank:  \r\n\r\n",
          "GET /x?y=%20z 1.1 host=a:80,x-two=b\tc,x-two=d,empty=,blank= []\n");
}

static void test_request__bytes_above_127_pass_in_values(void **state)
{
    check(*state, "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\xff\r\n\r\n", "GET / 1.1 host=a,x=\xc3\xa9\xff []\n");
}

static void test_request__unknown_methods_reach_the_application(void **state)
{
    check(*state, "M-SEARCH!x / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH!x / 1.1 host=a []\n");
}

static void test_request__path_is_decoded(void **state)
{
    check(*state, "GET /one%2Ftwo%C3%A9 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /one/two\xc3\xa9 1.1 host=a []\n");
}

static void test_request__absolute_form_gives_path_and_host(void **state)
{
    check(*state, "GET http://b.c:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /p?q 1.1 host=b.c:81 []\n");
    check(*state, "GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=b []\n");
    check(*state, "GET http://[::1]:8?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q 1.1 host=[::1]:8 []\n");
    check(*state, "GET http://b/ HTTP/1.0\r\n\r\n", "GET / 1.0 host=b []\n");
    check(*state, "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 host=b []\n");
}

static void test_request__asterisk_form_is_its_own_path(void **state)
{
    check(*state, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 host=a []\n");
}

static void test_request__host_is_checked_but_not_changed(void **state)
{
    check(*state, "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / 1.1 host= []\n");
    check(*state, "GET / HTTP/1.1\r\nHost: [v1.a:b]:1\r\n\r\n", "GET / 1.1 host=[v1.a:b]:1 []\n");
    check(*state, "GET / HTTP/1.1\r\nHost: a%2db_c~\r\n\r\n", "GET / 1.1 host=a%2db_c~ []\n");
    check(*state, "GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", "GET / 1.1 host=a:65535 []\n");
    check(*state, "GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", "GET / 1.1 host=a:000080 []\n");
    check(*state, "GET / HTTP/1.1\r\nHost: [::FFFF:1.2.3.4]:\r\n\r\n", "GET / 1.1 host=[::FFFF:1.2.3.4]: []\n");
    check(*state, "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 []\n");
}

static void test_request__empty_lines_before_it_are_skipped(void **state)
{
    check(*state, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=a []\n");
}

static void test_request__body_of_known_length_arrives(void **state)
{
    check(*state, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
          "POST / 1.1 host=a,content-length=11 [hello world]\n");
    check(*state, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t 1 \t \r\nX: \tb\tc\t\r\n\r\n!",
          "POST / 1.1 host=a,content-length=1,x=b\tc [!]\n");
    check(*state, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n",
          "POST / 1.1 host=a,content-length=000 []\n");
}

static void test_request__chunks_are_joined(void **state)
{
    check(*state,
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
          "5\r\nhello\r\n00a\r\n wonderful\r\n6;x\r\n world\r\n0\r\n\r\n",
          "POST / 1.1 host=a,transfer-encoding=Chunked [hello wonderful world]\n");
}

static void test_request__chunk_extensions_and_trailers_are_dropped(void **state)
{
    check(*state,
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
          "5 ;a=b; c = \"d\\\"\te\" ;f\t\r\nhello\r\n0;last\r\nX-Sum: 1\r\nEmpty:\r\n\r\n",
          "POST / 1.1 host=a,transfer-encoding=chunked [hello]\n");
}

static void test_request__pipelined_ones_follow_in_order(void **state)
{
    check(*state,
          "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
          "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
          "\r\nPOST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
          "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /1 1.1 host=a []\nPOST /2 1.1 host=a,content-length=3 [abc]\n"
          "POST /3 1.1 host=a,transfer-encoding=chunked [x]\nGET /4 1.1 host=a []\n");
}

static void test_request__upgrade_is_served_as_any_other(void **state)
{
    check(*state,
          "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET / 1.1 host=a,connection=Upgrade,upgrade=h2c []\nGET /2 1.1 host=a []\n");
}

static int app_addresses(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)receive;
    wire_note(wire_of(app), "%s %s:%d %s:%d", scope->scheme.ptr, scope->client.host.ptr, scope->client.port,
              scope->server.host.ptr, scope->server.port);
    return casgi_respond(send, 200, "text/plain", "ok\n");
}

static void test_request__scope_knows_both_ends(void **state)
{
    struct wire *w = *state;
    wire_connect(w, app_addresses);
    wire_say(w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_saw(w, "http 10.0.0.2:40000 10.0.0.1:8000");
}

static void test_request__large_body_arrives_whole(void **state)
{
    struct wire *w = *state;
    static char body[300000];
    memset(body, 'x', sizeof body);
    wire_connect(w, app_echo);
    wire_send(w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n", 52);
    wire_send(w, body, sizeof body);
    wire_settle(w);
    size_t got = 0;
    for (size_t i = 0; i < w->out_size; i++) {
        got += w->out[i] == 'x';
    }
    assert_int_equal(got, sizeof body);
    assert_string_equal(w->out + w->out_size - 7, "\r\n0\r\n\r\n");
}

static void test_request__a_body_that_is_there_comes_in_one_piece(void **state)
{
    struct wire *w = *state;
    static char body[40000];
    wire_connect(w, app_pieces);
    wire_send(w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n", 51);
    wire_send(w, body, sizeof body);
    wire_settle(w);
    assert_saw(w, "40000 ");
}

/* Notes the body's size and a sum in which every byte counts by its place. */
static int app_sum(casgi_app_t *app, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    uint64_t sum = 0;
    size_t size = 0;
    (void)scope;
    do {
        int rc = casgi_receive(receive, &event);
        if (rc || event.type != CASGI_HTTP_REQUEST) {
            return rc ? rc : CASGI_EDISCONNECTED;
        }
        for (size_t i = 0; i < event.http_request.body.len; i++) {
            sum = sum * 31 + (unsigned char)event.http_request.body.ptr[i];
        }
        size += event.http_request.body.len;
    } while (event.http_request.more_body);
    wire_note(wire_of(app), "%zu:%llx ", size, (unsigned long long)sum);
    return casgi_respond(send, 200, "text/plain", "ok\n");
}

static char large[140000];

static void fill_large(void)
{
    for (size_t i = 0; i < sizeof large; i++) {
        large[i] = (char)(i * 7 + i / 256);
    }
}

static void note_expected(char *out, size_t capacity, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum = sum * 31 + (unsigned char)large[i];
    }
    snprintf(out, capacity, "%zu:%llx 0:0 ", size, (unsigned long long)sum);
}

/* A request with `size` body bytes, in one go. */
static void send_large(struct wire *w, size_t size, size_t chunk)
{
    char text[128];
    if (chunk) {
        wire_send(w, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 56);
        for (size_t at = 0; at < size; at += chunk) {
            size_t piece = chunk < size - at ? chunk : size - at;
            wire_send(w, text, (size_t)snprintf(text, sizeof text, "%zx\r\n", piece));
            wire_send(w, large + at, piece);
            wire_send(w, "\r\n", 2);
        }
        wire_send(w, "0\r\n\r\n", 5);
    } else {
        wire_send(
            w, text,
            (size_t)snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", size));
        wire_send(w, large, size);
    }
}

/* And a second one behind it. */
static void check_size(struct wire *w, size_t size, size_t chunk)
{
    char expected[64];
    note_expected(expected, sizeof expected, size);
    wire_connect(w, app_sum);
    send_large(w, size, chunk);
    wire_say(w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_saw(w, expected);
    assert_got(w, OK_KEPT OK_KEPT);
}

/* Around what one recv brings, and what a body buffer holds. */
static void test_request__bodies_of_every_awkward_size_arrive(void **state)
{
    fill_large();
    for (size_t size = 16384 - 70; size < 16384 + 10; size++) {
        check_size(*state, size, 0);
    }
    for (size_t size = 65536 - 70; size < 65536 + 10; size += 3) {
        check_size(*state, size, 0);
    }
    check_size(*state, sizeof large, 0);
}

/* After one large body the next is received in another way; a small one ends that. */
static void check_behind_a_large_one(struct wire *w, size_t size, size_t chunk)
{
    char expected[64];
    note_expected(expected, sizeof expected, size);
    wire_connect(w, app_sum);
    send_large(w, 20000, 0);
    wire_settle(w);
    w->seen_size = 0;
    send_large(w, size, chunk);
    wire_say(w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_saw(w, expected);
    assert_got(w, OK_KEPT OK_KEPT OK_KEPT);
}

static void test_request__bodies_of_every_awkward_size_arrive_behind_a_large_one(void **state)
{
    fill_large();
    for (size_t size = 65536 - 70; size < 65536 + 4096 + 10; size += size < 65536 + 10 || size > 69500 ? 1 : 97) {
        check_behind_a_large_one(*state, size, 0);
    }
    for (size_t size = 1; size < sizeof large; size = size * 3 / 2 + 1) {
        check_behind_a_large_one(*state, size, 0);
        check_behind_a_large_one(*state, size, sizeof large);
        check_behind_a_large_one(*state, size, size / 3 + 1);
    }
}

static void test_request__chunks_of_every_awkward_size_arrive(void **state)
{
    fill_large();
    for (size_t chunk = 1; chunk < sizeof large; chunk = chunk * 3 + 1) {
        check_size(*state, chunk < 100 ? 2000 : sizeof large, chunk);
    }
    for (size_t size = 16384 - 70; size < 16384 + 10; size++) {
        check_size(*state, size, sizeof large);
    }
    check_size(*state, sizeof large, sizeof large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_request__get_reaches_the_application),
        WIRE_TEST(test_request__names_are_lowered_and_values_trimmed),
        WIRE_TEST(test_request__bytes_above_127_pass_in_values),
        WIRE_TEST(test_request__unknown_methods_reach_the_application),
        WIRE_TEST(test_request__path_is_decoded),
        WIRE_TEST(test_request__absolute_form_gives_path_and_host),
        WIRE_TEST(test_request__asterisk_form_is_its_own_path),
        WIRE_TEST(test_request__host_is_checked_but_not_changed),
        WIRE_TEST(test_request__empty_lines_before_it_are_skipped),
        WIRE_TEST(test_request__body_of_known_length_arrives),
        WIRE_TEST(test_request__chunks_are_joined),
        WIRE_TEST(test_request__chunk_extensions_and_trailers_are_dropped),
        WIRE_TEST(test_request__pipelined_ones_follow_in_order),
        WIRE_TEST(test_request__upgrade_is_served_as_any_other),
        WIRE_TEST(test_request__scope_knows_both_ends),
        WIRE_TEST(test_request__large_body_arrives_whole),
        WIRE_TEST(test_request__a_body_that_is_there_comes_in_one_piece),
        WIRE_TEST(test_request__bodies_of_every_awkward_size_arrive),
        WIRE_TEST(test_request__bodies_of_every_awkward_size_arrive_behind_a_large_one),
        WIRE_TEST(test_request__chunks_of_every_awkward_size_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
