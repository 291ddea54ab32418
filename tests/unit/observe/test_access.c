#include "observe/access.h"

#include "base/log.h"
#include "observe/line.h"
#include "support.h"

#include <string.h>

static struct exchange ex;
static struct access_options options;

static int set_up(void **state)
{
    (void)state;
    sample(&ex);
    options = (struct access_options){ .query = true };
    return 0;
}

/* What the access log writes for `ex`. */
static const char *line(void)
{
    struct exchange_observer *observer = NULL;
    assert_int_equal(access_log_new(&options, &observer), 0);
    log_take(CASGI_LOG_INFO, options.json);
    observer->on_end(observer, &ex);
    const char *text = log_taken(1);
    access_log_free(observer);
    return text;
}

static void test_access__a_line_is_uvicorns_with_bytes_and_duration(void **state)
{
    (void)state;
    assert_matches(line(), "^" TIME " INFO:     127\\.0\\.0\\.1:51234 - \"GET /x\\?y HTTP/1\\.1\" 200 OK 13B 0\\.2ms "
                           "\\[abc\\]\n$");
}

static void test_access__without_an_id_there_are_no_brackets(void **state)
{
    (void)state;
    ex.scope.request_id = casgi_str("");
    assert_matches(line(), " 200 OK 13B 0\\.2ms\n$");
}

static void test_access__the_query_can_be_left_out(void **state)
{
    (void)state;
    options.query = false;
    assert_matches(line(), "\"GET /x HTTP/1\\.1\"");
}

static void test_access__without_a_query_there_is_no_question_mark(void **state)
{
    (void)state;
    ex.scope.query_string = casgi_str("");
    assert_matches(line(), "\"GET /x HTTP/1\\.1\"");
}

static void test_access__the_path_is_as_received(void **state)
{
    (void)state;
    ex.scope.path = casgi_str("/api/a b");
    ex.scope.raw_path = casgi_str("/api/a%20b");
    ex.scope.root_path = casgi_str("/api");
    assert_matches(line(), "\"GET /a%20b\\?y HTTP/1\\.1\"");
}

static void test_access__statuses(void **state)
{
    (void)state;
    ex.record.status = 404;
    assert_matches(line(), "\" 404 Not Found 13B");
    ex.record.status = 599;
    assert_matches(line(), "\" 599 13B");
    ex.record.status = 499;
    ex.record.aborted = true;
    assert_matches(line(), "\" 499 Client Closed Request 13B 0\\.2ms \\[abc\\]\n$");
    ex.record.status = 0;
    assert_matches(line(), "\" 0 13B 0\\.2ms aborted \\[abc\\]\n$");
}

static void test_access__a_response_that_was_cut_says_so(void **state)
{
    (void)state;
    ex.record.aborted = true;
    assert_matches(line(), "\" 200 OK 13B 0\\.2ms aborted \\[abc\\]\n$");
}

static void test_access__clients(void **state)
{
    (void)state;
    ex.scope.client = (casgi_address_t){ casgi_str("::1"), 5, 0 };
    assert_matches(line(), "INFO:     \\[::1\\]:5 - ");
    ex.scope.client = (casgi_address_t){ casgi_str("/run/x"), -1, 0 };
    assert_matches(line(), "INFO:     /run/x - ");
    ex.scope.client = (casgi_address_t){ { NULL, 0 }, -1, 0 };
    assert_matches(line(), "INFO:     - - ");
}

static void test_access__nothing_from_outside_breaks_the_line(void **state)
{
    (void)state;
    ex.scope.method = casgi_str("G\nT");
    ex.scope.raw_path = casgi_str("/\"\x1b[31m\r\n");
    ex.scope.query_string = casgi_str("\xff\xc2\x85");
    ex.scope.request_id = casgi_str("]\n");
    ex.scope.client.host = casgi_str("a\nb");
    assert_matches(line(), "^" TIME " INFO:     a\\\\x0ab:51234 - \"G\\\\x0aT /\\\\\"\\\\x1b\\[31m\\\\x0d\\\\x0a"
                           "\\?\\\\xff\\\\xc2\\\\x85 HTTP/1\\.1\" 200 OK 13B 0\\.2ms \\[\\]\\\\x0a\\]\n$");
}

static void test_access__colors(void **state)
{
    (void)state;
    options.colors = true;
    assert_matches(line(), "\"\x1b\\[1mGET /x\\?y HTTP/1\\.1\x1b\\[0m\" \x1b\\[32m200 OK\x1b\\[0m 13B");
    ex.record.status = 503;
    assert_matches(line(), "\x1b\\[91m503 Service Unavailable\x1b\\[0m");
    ex.record.status = 700;
    assert_matches(line(), "\x1b\\[0m700\x1b\\[0m");
}

static void test_access__a_json_line_has_all_fields(void **state)
{
    (void)state;
    options.json = true;
    assert_matches(line(),
                   "^\\{\"time\":\"" TIME "\",\"level\":\"info\",\"kind\":\"access\","
                   "\"client\":\"127\\.0\\.0\\.1:51234\",\"method\":\"GET\",\"path\":\"/x\",\"query\":\"y\","
                   "\"http_version\":\"1\\.1\",\"status\":200,\"bytes_in\":5,\"bytes_out\":13,"
                   "\"duration_ms\":0\\.215,\"request_id\":\"abc\",\"user_agent\":\"curl/\\\\\"8\\\\\"\"\\}\n$");
}

static void test_access__a_json_line_names_what_went_wrong(void **state)
{
    (void)state;
    options.json = true;
    options.query = false;
    ex.record.aborted = true;
    ex.record.error = CASGI_EDISCONNECTED;
    ex.record.why = "the handler failed";
    assert_matches(line(), "\"path\":\"/x\",\"http_version\":.*\"duration_ms\":0\\.215,\"aborted\":true,"
                           "\"error\":\"EDISCONNECTED\",\"why\":\"the handler failed\",\"request_id\"");
}

static const char *excluded(const char *pattern, const char *path)
{
    const char *patterns[] = { "/other", pattern };
    options.exclude = patterns;
    options.exclude_count = 2;
    ex.scope.path = casgi_str(path);
    const char *text = line();
    return *text ? "line" : "none";
}

static void test_access__excluded_paths_have_no_line(void **state)
{
    (void)state;
    assert_string_equal(excluded("/health", "/health"), "none");
    assert_string_equal(excluded("/health", "/healthy"), "line");
    assert_string_equal(excluded("/health", "/health/"), "line");
    assert_string_equal(excluded("/static/*", "/static/a/b"), "none");
    assert_string_equal(excluded("/static/*", "/static/"), "none");
    assert_string_equal(excluded("/static/*", "/static"), "line");
    assert_string_equal(excluded("/*", "/x"), "none");
    assert_string_equal(excluded("*", "/x"), "line");
    assert_string_equal(excluded("", "/x"), "line");
}

static void test_access__exclusion_looks_behind_the_root_path(void **state)
{
    (void)state;
    ex.scope.root_path = casgi_str("/api");
    assert_string_equal(excluded("/health", "/api/health"), "none");
}

static void test_access__the_longest_parts_fit_into_a_line(void **state)
{
    (void)state;
    static char text[8192];
    static const int letters[] = { 'x', '\n', '"', 0xff };
    for (size_t i = 0; i < 4; i++) {
        memset(text, letters[i], sizeof(text));
        casgi_str_t longest = { text, sizeof(text) };
        casgi_header_t headers[] = { { casgi_str("user-agent"), longest, { 0, 0 } },
                                     { casgi_str("referer"), longest, { 0, 0 } } };
        ex.scope.headers = headers;
        ex.scope.header_count = 2;
        ex.scope.method = ex.scope.raw_path = ex.scope.query_string = ex.scope.request_id = longest;
        ex.scope.client.host = longest;
        ex.scope.http_version = longest;
        ex.record = (struct exchange_record){ .ended = UINT64_MAX,
                                              .status = INT32_MIN,
                                              .aborted = true,
                                              .why = "why",
                                              .bytes_in = UINT64_MAX,
                                              .bytes_out = UINT64_MAX,
                                              .error = CASGI_EINVAL };
        options.json = true;
        const char *written = line();
        assert_true(strlen(written) <= LOG_LINE_MAX);
        assert_matches(written, "^\\{\"time\":.*\"referer\":\"[^\n]*\\.\\.\\.\"\\}\n$");
        options.json = false;
        assert_matches(line(), "^[^\n]* aborted \\[[^\n]*\\.\\.\\.\\]\n$");
    }
}

static void test_access__free_takes_null(void **state)
{
    (void)state;
    access_log_free(NULL);
}

static void test_line__milliseconds(void **state)
{
    (void)state;
    static const struct {
        uint64_t microseconds;
        const char *one;
        const char *three;
    } rows[] = { { 0, "0.0", "0.000" },       { 49, "0.0", "0.049" },
                 { 50, "0.1", "0.050" },      { 949, "0.9", "0.949" },
                 { 950, "1.0", "0.950" },     { 1000, "1.0", "1.000" },
                 { 12345, "12.3", "12.345" }, { 99999999, "100000.0", "99999.999" } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char place[32];
        struct line text = line_begin(place, sizeof(place));
        line_put_milliseconds(&text, rows[i].microseconds, 1);
        *text.at = '\0';
        assert_string_equal(place, rows[i].one);
        text = line_begin(place, sizeof(place));
        line_put_milliseconds(&text, rows[i].microseconds, 3);
        *text.at = '\0';
        assert_string_equal(place, rows[i].three);
    }
}

static void test_line__numbers(void **state)
{
    (void)state;
    char place[64];
    struct line text = line_begin(place, sizeof(place));
    line_put_number(&text, 0);
    line_put_char(&text, ' ');
    line_put_number(&text, UINT64_MAX);
    line_put_char(&text, ' ');
    line_put_signed(&text, INT64_MIN);
    *text.at = '\0';
    assert_string_equal(place, "0 18446744073709551615 -9223372036854775808");
}

static void test_line__a_full_place_takes_no_more(void **state)
{
    (void)state;
    for (size_t size = 1; size < 30; size++) {
        char place[32];
        memset(place, '#', sizeof(place));
        struct line text = line_begin(place, size);
        line_put_literal(&text, "abc");
        line_put_escaped(&text, casgi_str("\n\n\n\n"), 100);
        line_put_json(&text, casgi_str("\x01\x02"), 100);
        line_put_number(&text, 12345);
        line_put_char(&text, 'z');
        assert_true((size_t)(text.at - place) < size);
        assert_int_equal(place[size], '#');
    }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_access__a_line_is_uvicorns_with_bytes_and_duration),
        TEST(test_access__without_an_id_there_are_no_brackets),
        TEST(test_access__the_query_can_be_left_out),
        TEST(test_access__without_a_query_there_is_no_question_mark),
        TEST(test_access__the_path_is_as_received),
        TEST(test_access__statuses),
        TEST(test_access__a_response_that_was_cut_says_so),
        TEST(test_access__clients),
        TEST(test_access__nothing_from_outside_breaks_the_line),
        TEST(test_access__colors),
        TEST(test_access__a_json_line_has_all_fields),
        TEST(test_access__a_json_line_names_what_went_wrong),
        TEST(test_access__excluded_paths_have_no_line),
        TEST(test_access__exclusion_looks_behind_the_root_path),
        TEST(test_access__the_longest_parts_fit_into_a_line),
        TEST(test_access__free_takes_null),
        TEST(test_line__milliseconds),
        TEST(test_line__numbers),
        TEST(test_line__a_full_place_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
