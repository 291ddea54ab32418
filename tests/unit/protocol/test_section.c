/* link: -Wl,--wrap=llhttp_execute */
/* Header sections that came before: what they say is the same, and they are not parsed again. */
#include "protocol/http1_section.h"
#include "wire.h"

#include <llhttp.h>
#include <stdio.h>
#include <string.h>

llhttp_errno_t __real_llhttp_execute(llhttp_t *parser, const char *data, size_t size);
llhttp_errno_t __wrap_llhttp_execute(llhttp_t *parser, const char *data, size_t size);

static int parsed; /* how many sections */

llhttp_errno_t __wrap_llhttp_execute(llhttp_t *parser, const char *data, size_t size)
{
    parsed++;
    return __real_llhttp_execute(parser, data, size);
}

#define FIELDS "Host: a\r\nUser-Agent:  x \t\r\nX-Empty:\r\nAccept: */*\r\n"
#define SEEN "host=a,user-agent=x,x-empty=,accept=*/*"

static void connect_probe(struct wire *w)
{
    wire_connect(w, app_probe);
    w->seen_size = 0;
    w->seen[0] = '\0';
}

static void say_times(struct wire *w, const char *text, int times)
{
    for (int i = 0; i < times; i++) {
        wire_say(w, text);
    }
}

/* What the application sees of `text` after the same section came `before` times. */
static void check_seen(struct wire *w, const char *text, const char *expected)
{
    w->seen_size = 0;
    w->seen[0] = '\0';
    wire_say(w, text);
    assert_saw(w, expected);
}

static void test_section__the_third_time_it_is_not_parsed(void **state)
{
    struct wire *w = *state;
    connect_probe(w);
    say_times(w, "GET /one HTTP/1.1\r\n" FIELDS "\r\n", 2);
    parsed = 0;
    check_seen(w, "GET /two?q HTTP/1.1\r\n" FIELDS "\r\n", "GET /two?q 1.1 " SEEN " []\n");
    check_seen(w, "PUT /%41 HTTP/1.1\r\n" FIELDS "\r\n", "PUT /A 1.1 " SEEN " []\n");
    assert_int_equal(parsed, 0);
}

static void test_section__another_connection_finds_it(void **state)
{
    struct wire *w = *state;
    connect_probe(w);
    say_times(w, "GET /one HTTP/1.1\r\n" FIELDS "\r\n", 2);
    parsed = 0;
    connect_probe(w);
    check_seen(w, "GET /two HTTP/1.1\r\n" FIELDS "\r\n", "GET /two 1.1 " SEEN " []\n");
    assert_int_equal(parsed, 0);
}

static void test_section__several_are_known_by_turns(void **state)
{
    struct wire *w = *state;
    connect_probe(w);
    w->host.sections.seed = 1; /* by this they have three places */
    for (int i = 0; i < 4; i++) {
        parsed = 0;
        check_seen(w, "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n", "GET / 1.1 host=a,a=1 []\n");
        check_seen(w, "GET / HTTP/1.1\r\nHost: b\r\n\r\n", "GET / 1.1 host=b []\n");
        check_seen(w, "GET / HTTP/1.1\r\nHost: c\r\nCookie: x=y\r\n\r\n", "GET / 1.1 host=c,cookie=x=y []\n");
        assert_int_equal(parsed, i < 2 ? 3 : 0);
    }
}

static void test_section__one_byte_makes_another(void **state)
{
    struct wire *w = *state;
    connect_probe(w);
    say_times(w, "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n\r\n", 3);
    check_seen(w, "GET / HTTP/1.1\r\nHost: a\r\nA: 2\r\n\r\n", "GET / 1.1 host=a,a=2 []\n");
    check_seen(w, "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\n\r\n", "GET / 1.1 host=a,a=1,b=1 []\n");
    check_seen(w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=a []\n");
    wire_say(w, "GET / HTTP/1.1\r\nHost: a\r\nA:\0011\r\n\r\n");
    assert_int_equal(w->status, 400);
}

static void test_section__lengths_and_codings_come_back(void **state)
{
    struct wire *w = *state;
    connect_probe(w);
    for (int i = 0; i < 4; i++) {
        check_seen(w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                   "POST / 1.1 host=a,content-length=3 [abc]\n");
        check_seen(w, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n",
                   "POST / 1.1 host=a,transfer-encoding=chunked [xy]\n");
    }
}

static void test_section__expectations_come_back(void **state)
{
    struct wire *w = *state;
    connect_probe(w);
    for (int i = 0; i < 4; i++) {
        wire_say(w, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
        wire_say(w, "x");
    }
    assert_int_equal(wire_count(w, "100 Continue"), 4);
    assert_int_equal(wire_count(w, "200 OK"), 4);
}

static void test_section__a_wish_to_close_comes_back(void **state)
{
    struct wire *w = *state;
    for (int i = 0; i < 4; i++) {
        connect_probe(w);
        wire_say(w, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_got(w, OK_CLOSED);
        assert_true(w->ended);
    }
}

static void test_section__an_absolute_target_replaces_its_host_once(void **state)
{
    struct wire *w = *state;
    connect_probe(w);
    say_times(w, "GET / HTTP/1.1\r\nA: 1\r\nHost: a\r\n\r\n", 2);
    check_seen(w, "GET http://other/x HTTP/1.1\r\nA: 1\r\nHost: a\r\n\r\n", "GET /x 1.1 a=1,host=other []\n");
    check_seen(w, "GET / HTTP/1.1\r\nA: 1\r\nHost: a\r\n\r\n", "GET / 1.1 a=1,host=a []\n");
}

static void test_section__in_http_1_0_it_is_another(void **state)
{
    struct wire *w = *state;
    connect_probe(w);
    say_times(w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 3);
    check_seen(w, "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / 1.0 host=a []\n");
    assert_true(w->ended);
}

static void test_section__a_bad_request_line_before_it_is_refused(void **state)
{
    static const struct {
        const char *line;
        size_t offset;
    } rows[] = {
        { "GET  / HTTP/1.1\r\n", 4 },   { "GET /\001 HTTP/1.1\r\n", 5 }, { "G@T / HTTP/1.1\r\n", 1 },
        { "GET / HTTP/1.1\n", 14 },     { " HTTP/1.1\r\n", 0 },          { "GET / HTTP/1.2\r\n", 6 },
        { "GET /\rX HTTP/1.1\r\n", 5 },
    };
    struct wire *w = *state;
    char text[128];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        connect_probe(w);
        say_times(w, "GET / HTTP/1.1\r\n" FIELDS "\r\n", 3);
        snprintf(text, sizeof text, "%s%s\r\n", rows[i].line, FIELDS);
        wire_say(w, text);
        assert_int_equal(w->status, 400);
        assert_int_equal(w->offset, rows[i].offset);
    }
}

static void test_section__the_limit_of_a_head_counts_its_request_line(void **state)
{
    struct wire *w = *state;
    w->host.head_limit = 60;
    connect_probe(w);
    say_times(w, "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", 3);
    wire_say(w, "GET /0123456789012345678901234567890123456789 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n");
    assert_int_equal(w->status, 431);
}

static void test_section__it_may_come_cut_anywhere_and_with_more_behind(void **state)
{
    static const char text[] = "GET /cut HTTP/1.1\r\n" FIELDS "\r\nGET /next HTTP/1.1\r\n" FIELDS "\r\n";
    struct wire *w = *state;
    for (size_t at = 1; at < sizeof text - 1; at++) {
        connect_probe(w);
        say_times(w, "GET / HTTP/1.1\r\n" FIELDS "\r\n", 3);
        w->seen_size = 0;
        wire_send(w, text, at);
        wire_settle(w);
        wire_send(w, text + at, sizeof text - 1 - at);
        wire_settle(w);
        assert_saw(w, "GET /cut 1.1 " SEEN " []\nGET /next 1.1 " SEEN " []\n");
    }
}

static size_t put_field(char *to, int number, size_t value)
{
    char name[16];
    int size = snprintf(name, sizeof name, "x-%d: ", number);
    memcpy(to, name, (size_t)size);
    memset(to + size, 'v', value);
    memcpy(to + (size_t)size + value, "\r\n", 2);
    return (size_t)size + value + 2;
}

/* Many fields, or much in one: the largest that is kept, and one that is larger; none is lost. */
static void test_section__an_uncommonly_large_one_is_parsed_each_time(void **state)
{
    static const struct {
        int fields;
        size_t value;
        int parsed;
    } rows[] = { { HTTP1_SECTION_FIELDS - 1, 1, 2 },
                 { HTTP1_SECTION_FIELDS, 1, 4 },
                 { 1, HTTP1_SECTION_MOST - 18, 2 },
                 { 1, HTTP1_SECTION_MOST - 17, 4 } };
    struct wire *w = *state;
    static char text[4096];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int n = 0; n < rows[i].fields; n++) {
            size += put_field(text + size, n, rows[i].value);
        }
        memcpy(text + size, "\r\n", 3);
        connect_probe(w);
        parsed = 0;
        say_times(w, text, 4);
        assert_int_equal(parsed, rows[i].parsed);
        assert_int_equal(wire_count(w, "200 OK"), 4);
    }
}

static void test_section__one_too_large_to_be_kept_is_not_hashed(void **state)
{
    struct wire *w = *state;
    static const char raw[HTTP1_SECTION_MOST + 1] = "Host: a\r\n";
    uint64_t hash = 1;
    w->host.sections.seed = 1;
    assert_null(http1_section_find(&w->host.sections, raw, HTTP1_SECTION_MOST, &hash));
    assert_true(hash != 0);
    assert_null(http1_section_find(&w->host.sections, raw, HTTP1_SECTION_MOST + 1, &hash));
    assert_true(hash == 0);
}

/* More than there are places for. */
static void test_section__many_drive_each_other_out_and_all_are_read_rightly(void **state)
{
    struct wire *w = *state;
    char text[128], expected[128];
    connect_probe(w);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 300; i++) {
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h%d\r\nX-Number: %d\r\n\r\n", i, i * i);
            snprintf(expected, sizeof expected, "GET / 1.1 host=h%d,x-number=%d []\n", i, i * i);
            check_seen(w, text, expected);
            check_seen(w, text, expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_section__the_third_time_it_is_not_parsed),
        WIRE_TEST(test_section__another_connection_finds_it),
        WIRE_TEST(test_section__several_are_known_by_turns),
        WIRE_TEST(test_section__one_byte_makes_another),
        WIRE_TEST(test_section__lengths_and_codings_come_back),
        WIRE_TEST(test_section__expectations_come_back),
        WIRE_TEST(test_section__a_wish_to_close_comes_back),
        WIRE_TEST(test_section__an_absolute_target_replaces_its_host_once),
        WIRE_TEST(test_section__in_http_1_0_it_is_another),
        WIRE_TEST(test_section__a_bad_request_line_before_it_is_refused),
        WIRE_TEST(test_section__the_limit_of_a_head_counts_its_request_line),
        WIRE_TEST(test_section__it_may_come_cut_anywhere_and_with_more_behind),
        WIRE_TEST(test_section__an_uncommonly_large_one_is_parsed_each_time),
        WIRE_TEST(test_section__one_too_large_to_be_kept_is_not_hashed),
        WIRE_TEST(test_section__many_drive_each_other_out_and_all_are_read_rightly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
