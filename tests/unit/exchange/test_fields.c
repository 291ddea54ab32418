/* Fields that an application hands in, early hints, trailers. */
#include "fixture.h"

#include "base/httpchars.h"

/* A handler whose start carries one field; rc[0] is what send said. */
static casgi_header_t field;
static int status = 200;

HANDLER(send_field)
{
    (void)scope, (void)receive;
    f->rc[0] = casgi_send_start(send, status, &field, 1);
    return f->rc[0] ? f->rc[0] : fixture_body_event(send, "ok", false);
}

static int start_with(struct fixture *f, casgi_str_t name, casgi_str_t value)
{
    field = (casgi_header_t){ name, value, { 0, 0 } };
    status = 200;
    fixture_get(f, send_field);
    return f->rc[0];
}

static void test_fields__injected_line_is_refused_and_never_leaves(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(start_with(f, casgi_str("x"), casgi_str("a\r\nset-cookie: b")), CASGI_EINVAL);
    assert_int_equal(f->driver.status, 500);
    assert_null(fake_driver_field(&f->driver, "x"));
    assert_string_equal(f->record.refused, "a field value has a control character");
}

static void test_fields__nul_in_a_value_is_refused(void **state)
{
    assert_int_equal(start_with(*state, casgi_str("x"), (casgi_str_t)CASGI_STR("a\0b")), CASGI_EINVAL);
}

static void test_fields__bare_line_feed_is_refused(void **state)
{
    assert_int_equal(start_with(*state, casgi_str("x"), casgi_str("a\nb")), CASGI_EINVAL);
}

static void test_fields__name_with_a_space_is_refused(void **state)
{
    assert_int_equal(start_with(*state, casgi_str("x y"), casgi_str("1")), CASGI_EINVAL);
}

static void test_fields__name_with_a_colon_is_refused(void **state)
{
    assert_int_equal(start_with(*state, casgi_str(":status"), casgi_str("200")), CASGI_EINVAL);
}

static void test_fields__empty_name_is_refused(void **state)
{
    assert_int_equal(start_with(*state, casgi_str(""), casgi_str("1")), CASGI_EINVAL);
}

static void test_fields__upper_case_names_are_lowered(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(start_with(f, casgi_str("X-MiXed"), casgi_str("Value")), 0);
    assert_string_equal(fake_driver_field(&f->driver, "x-mixed"), "Value");
}

static void test_fields__tabs_and_high_bytes_in_a_value_pass(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(start_with(f, casgi_str("x"), casgi_str("a\tb \xc3\xa4 \xff")), 0);
    assert_string_equal(fake_driver_field(&f->driver, "x"), "a\tb \xc3\xa4 \xff");
}

static void test_fields__text_without_a_nul_behind_it_is_taken_by_its_length(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(start_with(f, (casgi_str_t){ "name-and-more", 4 }, (casgi_str_t){ "12345", 2 }), 0);
    assert_string_equal(fake_driver_field(&f->driver, "name"), "12");
}

static void test_fields__empty_value_passes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(start_with(f, casgi_str("x"), (casgi_str_t){ NULL, 0 }), 0);
    assert_string_equal(fake_driver_field(&f->driver, "x"), "");
}

static void test_fields__bad_lengths_are_refused(void **state)
{
    static const char *const bad[] = { "", "-1", "+1", "1x", "0x10", " 1", "1 ", "1,1", "9999999999999999999" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture *f = *state;
        fake_driver_init(&f->driver);
        assert_int_equal(start_with(f, casgi_str("content-length"), casgi_str(bad[i])), CASGI_EINVAL);
        assert_int_equal(f->driver.status, 500);
    }
}

static void test_fields__head_above_a_mebibyte_is_refused(void **state)
{
    static char large[(1 << 20) + 1];
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(start_with(*state, casgi_str("x"), casgi_str(large)), CASGI_EINVAL);
}

/* Names and values are looked at eight bytes at a time: every byte, in every place, of texts of many lengths. */

HANDLER(try_field)
{
    (void)scope, (void)receive;
    f->rc[0] = casgi_send_start(send, 200, &field, 1);
    return casgi_respond(send, 200, "text/plain", "x");
}

static bool is_taken(struct fixture *f, casgi_str_t name, casgi_str_t value)
{
    field = (casgi_header_t){ name, value, { 0, 0 } };
    fake_driver_init(&f->driver);
    fixture_get(f, try_field);
    return f->rc[0] == 0;
}

#if defined(__SANITIZE_THREAD__)
enum { NEXT_BYTE = 17 }; /* its fibres are slow, and there is but one thread here */
#else
enum { NEXT_BYTE = 1 };
#endif

static void test_fields__every_byte_in_every_place_is_judged_as_the_rfc_says(void **state)
{
    static const size_t lengths[] = { 1, 3, 7, 8, 9, 12, 16, 17 };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t at = 0; at < lengths[i]; at++) {
            for (int byte = 0; byte < 256; byte += NEXT_BYTE) {
                char text[32];
                memset(text, 'm', lengths[i]);
                text[at] = (char)byte;
                casgi_str_t odd = { text, lengths[i] };
                assert_int_equal(is_taken(*state, odd, casgi_str("v")), http_is_token(odd));
                assert_int_equal(is_taken(*state, casgi_str("n"), odd), http_is_field_value(odd));
            }
        }
    }
}

HANDLER(two_lengths)
{
    (void)scope, (void)receive;
    f->rc[0] = fixture_start(send, 200, "content-length", "2", "Content-Length", "2", NULL);
    return f->rc[0];
}

static void test_fields__two_lengths_are_refused(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, two_lengths);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_string_equal(f->record.refused, "there are two content-length fields");
}

HANDLER(framing_fields)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, "transfer-encoding", "chunked", "keep-alive", "timeout=5", "upgrade", "h2c",
                  "proxy-connection", "close", "connection", "keep-alive", "x", "stays", NULL);
    return fixture_body_event(send, "x", false);
}

static void test_fields__framing_of_the_application_is_dropped(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, framing_fields);
    assert_int_equal(f->driver.field_count, 1);
    assert_string_equal(f->driver.fields[0].name, "x");
    assert_false(f->driver.close);
}

HANDLER(connection_close)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, "Connection", "x-hop, Close", NULL);
    return fixture_body_event(send, "x", false);
}

static void test_fields__connection_close_is_noted(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, connection_close);
    assert_true(f->driver.close);
    assert_int_equal(f->driver.field_count, 0);
}

HANDLER(two_cookies)
{
    (void)f, (void)scope, (void)receive;
    fixture_start(send, 200, "set-cookie", "a=1", "x", "between", "set-cookie", "b=2", NULL);
    return fixture_body_event(send, "x", false);
}

static void test_fields__order_and_duplicates_are_kept(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, two_cookies);
    assert_int_equal(f->driver.field_count, 3);
    assert_string_equal(f->driver.fields[0].value, "a=1");
    assert_string_equal(f->driver.fields[1].value, "between");
    assert_string_equal(f->driver.fields[2].value, "b=2");
}

HANDLER(changed_after_start)
{
    (void)f, (void)scope, (void)receive;
    char value[] = "before";
    casgi_header_t header = casgi_header("x", value);
    casgi_send_start(send, 200, &header, 1);
    memset(value, 'z', sizeof(value) - 1);
    return fixture_body_event(send, "x", false);
}

static void test_fields__are_the_applications_again_when_send_returns(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, changed_after_start);
    assert_string_equal(fake_driver_field(&f->driver, "x"), "before");
}

static void test_status__outside_of_200_to_599_is_refused(void **state)
{
    static const int bad[] = { 0, -1, 100, 101, 103, 199, 600, 999, 70000 };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture *f = *state;
        fake_driver_init(&f->driver);
        field = casgi_header("x", "1");
        status = bad[i];
        fixture_get(f, send_field);
        assert_int_equal(f->rc[0], CASGI_EINVAL);
        assert_int_equal(f->driver.status, 500);
    }
}

static void test_status__without_a_phrase_passes(void **state)
{
    struct fixture *f = *state;
    field = casgi_header("x", "1");
    status = 599;
    fixture_get(f, send_field);
    assert_int_equal(f->driver.status, 599);
}

/* ---- early hints ---- */

static int send_hint(casgi_send_t *send, const char *link)
{
    casgi_str_t links[1] = { casgi_str(link) };
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_EARLY_HINT);
    event.http_response_early_hint.links = links;
    event.http_response_early_hint.link_count = 1;
    return casgi_send(send, &event);
}

HANDLER(hints_everywhere)
{
    (void)scope, (void)receive;
    f->rc[0] = send_hint(send, "</a.css>; rel=preload");
    fixture_start(send, 200, NULL);
    f->rc[1] = send_hint(send, "</b.css>; rel=preload");
    fixture_body_event(send, "x", true);
    f->rc[2] = send_hint(send, "</late.css>; rel=preload");
    fixture_body_event(send, "y", false);
    f->rc[3] = send_hint(send, "</after.css>; rel=preload");
    return 0;
}

static void test_hints__are_sent_before_and_after_the_start(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, hints_everywhere);
    assert_int_equal(f->rc[0], 0);
    assert_int_equal(f->rc[1], 0);
    assert_int_equal(f->driver.informs, 2);
    assert_int_equal(f->driver.inform_status, 103);
    assert_string_equal(f->driver.inform_field.name, "link");
    assert_string_equal(f->driver.inform_field.value, "</b.css>; rel=preload");
}

static void test_hints__too_late_to_be_sent_are_left_out(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, hints_everywhere);
    assert_int_equal(f->rc[2], 0);
    assert_int_equal(f->rc[3], CASGI_EPROTO);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(bad_hint)
{
    (void)scope, (void)receive;
    f->rc[0] = send_hint(send, "</a>\r\nx: y");
    return casgi_respond(send, 200, "text/plain", "ok");
}

static void test_hints__control_characters_are_refused(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, bad_hint);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_int_equal(f->driver.informs, 0);
}

static void test_hints__never_go_to_http_1_0(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, hints_everywhere, "GET", "/");
    ex->scope.http_version = casgi_str("1.0");
    assert_null(casgi_scope_get(&ex->scope, "http.response.early_hint"));
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.informs, 0);
    assert_int_equal(f->rc[0], 0);
}

static void test_hints__driver_that_has_none_is_no_error(void **state)
{
    struct fixture *f = *state;
    f->driver.inform_error = CASGI_ENOTSUP;
    fixture_get(f, hints_everywhere);
    assert_int_equal(f->rc[0], 0);
    assert_int_equal(f->driver.ends, 1);
}

/* ---- trailers ---- */

static int send_trailers(casgi_send_t *send, const char *name, const char *value, bool more)
{
    casgi_header_t header = casgi_header(name, value);
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_TRAILERS);
    event.http_response_trailers.headers = &header;
    event.http_response_trailers.header_count = 1;
    event.http_response_trailers.more_trailers = more;
    return casgi_send(send, &event);
}

static int start_with_trailers(casgi_send_t *send)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_START);
    event.http_response_start.status = 200;
    event.http_response_start.trailers = true;
    return casgi_send(send, &event);
}

HANDLER(with_trailers)
{
    (void)scope, (void)receive;
    start_with_trailers(send);
    fixture_body_event(send, "body", false);
    f->rc[0] = send_trailers(send, "X-One", "1", true);
    f->rc[1] = send_trailers(send, "x-two", "2", false);
    f->rc[2] = send_trailers(send, "x-three", "3", false);
    return 0;
}

static const casgi_header_t te[] = { CASGI_HEADER("te", "gzip, Trailers") };

static void begin_with_te(struct fixture *f, handler_fn handler)
{
    struct exchange *ex = fixture_exchange(f, handler, "GET", "/");
    ex->scope.headers = te;
    ex->scope.header_count = 1;
    assert_int_equal(exchange_begin(ex, true), 0);
}

static void test_trailers__follow_the_body_for_a_client_that_takes_them(void **state)
{
    struct fixture *f = *state;
    begin_with_te(f, with_trailers);
    assert_true(f->driver.has_trailers);
    assert_int_equal(f->driver.content_length, -1);
    assert_int_equal(f->rc[0] | f->rc[1], 0);
    assert_int_equal(f->driver.trailer_count, 2);
    assert_string_equal(f->driver.trailers[0].name, "x-one");
    assert_string_equal(f->driver.trailers[1].name, "x-two");
    assert_int_equal(f->rc[2], CASGI_EPROTO);
    assert_int_equal(f->driver.ends, 1);
}

static void test_trailers__are_dropped_for_a_client_that_does_not(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, with_trailers);
    assert_false(f->driver.has_trailers);
    assert_int_equal(f->driver.content_length, 4);
    assert_int_equal(f->rc[0] | f->rc[1], 0);
    assert_int_equal(f->driver.trailer_count, 0);
    assert_true(f->driver.last);
    assert_int_equal(f->driver.ends, 1);
}

static void test_trailers__never_go_to_http_1_0(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, with_trailers, "GET", "/");
    ex->scope.http_version = casgi_str("1.0");
    ex->scope.headers = te;
    ex->scope.header_count = 1;
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_false(f->driver.has_trailers);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(trailers_and_length)
{
    (void)scope, (void)receive;
    casgi_header_t length = casgi_header("content-length", "4");
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_START);
    event.http_response_start = (casgi_http_response_start_t){ &length, 1, 200, true };
    (void)casgi_send(send, &event);
    fixture_body_event(send, "body", false);
    f->rc[0] = send_trailers(send, "x-one", "1", false);
    return 0;
}

static void test_trailers__are_dropped_where_the_body_has_a_length(void **state)
{
    struct fixture *f = *state;
    begin_with_te(f, trailers_and_length);
    assert_false(f->driver.has_trailers);
    assert_int_equal(f->driver.content_length, 4);
    assert_int_equal(f->rc[0], 0);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(unannounced_trailers)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "body", true);
    f->rc[0] = send_trailers(send, "x", "1", false);
    return fixture_body_event(send, "", false);
}

static void test_trailers__without_an_announcement_are_refused(void **state)
{
    struct fixture *f = *state;
    begin_with_te(f, unannounced_trailers);
    assert_int_equal(f->rc[0], CASGI_EPROTO);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(forgotten_trailers)
{
    (void)f, (void)scope, (void)receive;
    start_with_trailers(send);
    return fixture_body_event(send, "body", false);
}

static void test_trailers__announced_and_forgotten_are_cut(void **state)
{
    struct fixture *f = *state;
    begin_with_te(f, forgotten_trailers);
    assert_int_equal(f->driver.aborts, 1);
}

HANDLER(framing_trailers)
{
    (void)scope, (void)receive;
    start_with_trailers(send);
    fixture_body_event(send, "body", false);
    f->rc[0] = send_trailers(send, "content-length", "4", false);
    f->rc[1] = send_trailers(send, "host", "x", false);
    f->rc[2] = send_trailers(send, "x", "a\r\nb", false);
    return send_trailers(send, "x", "fine", false);
}

static void test_trailers__what_frames_or_routes_is_refused(void **state)
{
    struct fixture *f = *state;
    begin_with_te(f, framing_trailers);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_int_equal(f->rc[1], CASGI_EINVAL);
    assert_int_equal(f->rc[2], CASGI_EINVAL);
    assert_int_equal(f->driver.trailer_count, 1);
    assert_int_equal(f->driver.ends, 1);
}

static void test_trailers__wait_for_room(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 4;
    begin_with_te(f, with_trailers);
    assert_non_null(f->driver.ex);
    f->driver.room = SIZE_MAX;
    exchange_writable(f->driver.ex);
    fixture_run(f);
    assert_int_equal(f->driver.trailer_count, 2);
    assert_int_equal(f->driver.ends, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_fields__injected_line_is_refused_and_never_leaves),
        FIXTURE_TEST(test_fields__nul_in_a_value_is_refused),
        FIXTURE_TEST(test_fields__bare_line_feed_is_refused),
        FIXTURE_TEST(test_fields__name_with_a_space_is_refused),
        FIXTURE_TEST(test_fields__name_with_a_colon_is_refused),
        FIXTURE_TEST(test_fields__empty_name_is_refused),
        FIXTURE_TEST(test_fields__upper_case_names_are_lowered),
        FIXTURE_TEST(test_fields__tabs_and_high_bytes_in_a_value_pass),
        FIXTURE_TEST(test_fields__text_without_a_nul_behind_it_is_taken_by_its_length),
        FIXTURE_TEST(test_fields__empty_value_passes),
        FIXTURE_TEST(test_fields__bad_lengths_are_refused),
        FIXTURE_TEST(test_fields__head_above_a_mebibyte_is_refused),
        FIXTURE_TEST(test_fields__every_byte_in_every_place_is_judged_as_the_rfc_says),
        FIXTURE_TEST(test_fields__two_lengths_are_refused),
        FIXTURE_TEST(test_fields__framing_of_the_application_is_dropped),
        FIXTURE_TEST(test_fields__connection_close_is_noted),
        FIXTURE_TEST(test_fields__order_and_duplicates_are_kept),
        FIXTURE_TEST(test_fields__are_the_applications_again_when_send_returns),
        FIXTURE_TEST(test_status__outside_of_200_to_599_is_refused),
        FIXTURE_TEST(test_status__without_a_phrase_passes),
        FIXTURE_TEST(test_hints__are_sent_before_and_after_the_start),
        FIXTURE_TEST(test_hints__too_late_to_be_sent_are_left_out),
        FIXTURE_TEST(test_hints__control_characters_are_refused),
        FIXTURE_TEST(test_hints__never_go_to_http_1_0),
        FIXTURE_TEST(test_hints__driver_that_has_none_is_no_error),
        FIXTURE_TEST(test_trailers__follow_the_body_for_a_client_that_takes_them),
        FIXTURE_TEST(test_trailers__are_dropped_for_a_client_that_does_not),
        FIXTURE_TEST(test_trailers__never_go_to_http_1_0),
        FIXTURE_TEST(test_trailers__are_dropped_where_the_body_has_a_length),
        FIXTURE_TEST(test_trailers__without_an_announcement_are_refused),
        FIXTURE_TEST(test_trailers__announced_and_forgotten_are_cut),
        FIXTURE_TEST(test_trailers__what_frames_or_routes_is_refused),
        FIXTURE_TEST(test_trailers__wait_for_room),
    };
    return cmocka_run_group_tests_name("exchange/fields", tests, NULL, NULL);
}
