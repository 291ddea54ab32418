/* The scope: target, request id, extensions, state. */
#include "fixture.h"

HANDLER(unused)
{
    (void)f, (void)scope, (void)receive, (void)send;
    return 0;
}

static struct exchange *blank(struct fixture *f)
{
    return fixture_exchange(f, unused, "GET", "/");
}

/* ---- what every scope says ---- */

static void test_scope__says_which_asgi_it_is(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = blank(f);
    assert_int_equal(ex->scope.type, CASGI_SCOPE_HTTP);
    assert_string_equal(ex->scope.type_name.ptr, "http");
    assert_string_equal(ex->scope.asgi_version.ptr, "3.0");
    assert_string_equal(ex->scope.asgi_spec_version.ptr, "2.5");
    assert_string_equal(ex->scope.root_path.ptr, "");
    exchange_discard(ex);
}

static void test_scope__is_blank_again_when_reused(void **state)
{
    struct fixture *f = *state;
    struct exchange *first = blank(f);
    first->scope.root_path = casgi_str("/left/over");
    first->scope.subprotocol_count = 7;
    exchange_discard(first);
    struct exchange *second = blank(f);
    assert_ptr_equal(second, first);
    assert_string_equal(second->scope.root_path.ptr, "");
    assert_int_equal(second->scope.subprotocol_count, 0);
    exchange_discard(second);
}

/* ---- the target ---- */

static int set_target(struct exchange *ex, const char *target)
{
    return exchange_set_target(ex, arena_copy(&ex->arena, casgi_str(target)));
}

static void assert_target(struct exchange *ex, const char *path, const char *raw_path, const char *query)
{
    assert_string_equal(ex->scope.path.ptr, path);
    assert_int_equal(ex->scope.path.len, strlen(path));
    assert_string_equal(ex->scope.raw_path.ptr, raw_path);
    assert_int_equal(ex->scope.raw_path.len, strlen(raw_path));
    assert_string_equal(ex->scope.query_string.ptr, query);
    assert_int_equal(ex->scope.query_string.len, strlen(query));
}

static void test_target__path_is_decoded_and_raw_path_is_not(void **state)
{
    struct exchange *ex = blank(*state);
    assert_int_equal(set_target(ex, "/one%2Ftwo%20%C3%A4"), 0);
    assert_target(ex, "/one/two \xc3\xa4", "/one%2Ftwo%20%C3%A4", "");
    exchange_discard(ex);
}

static void test_target__query_is_left_as_it_is(void **state)
{
    struct exchange *ex = blank(*state);
    assert_int_equal(set_target(ex, "/p?a=%20b&c=d?e"), 0);
    assert_target(ex, "/p", "/p", "a=%20b&c=d?e");
    exchange_discard(ex);
}

static void test_target__bare_question_mark_is_an_empty_query(void **state)
{
    struct exchange *ex = blank(*state);
    assert_int_equal(set_target(ex, "/?"), 0);
    assert_target(ex, "/", "/", "");
    exchange_discard(ex);
}

static void test_target__without_a_path_is_the_root(void **state)
{
    struct exchange *ex = blank(*state);
    assert_int_equal(set_target(ex, "?x"), 0);
    assert_target(ex, "/", "/", "x");
    exchange_discard(ex);
}

static void test_target__root_path_stands_in_front_of_both(void **state)
{
    struct exchange *ex = blank(*state);
    ex->scope.root_path = casgi_str("/app%41");
    assert_int_equal(set_target(ex, "/x%41?q"), 0);
    assert_target(ex, "/app%41/xA", "/app%41/x%41", "q");
    exchange_discard(ex);
}

static void test_target__asterisk_is_a_path_of_its_own(void **state)
{
    struct exchange *ex = blank(*state);
    ex->scope.root_path = casgi_str("/app");
    assert_int_equal(set_target(ex, "*"), 0);
    assert_target(ex, "*", "*", "");
    exchange_discard(ex);
}

static void test_target__what_cannot_be_decoded_is_refused(void **state)
{
    static const char *const bad[] = { "/%",         "/%2", "/%zz",          "/a%00b", "/%ff",     "/%c3",    "/%c0%af",
                                       "/%ed%a0%80", "/%2", "/%f4%90%80%80", "/\xff",  "/x%C3%28", "/%e2%82", "/%80" };
    struct exchange *ex = blank(*state);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(set_target(ex, bad[i]), CASGI_EINVAL);
    }
    assert_int_equal(exchange_set_target(ex, (casgi_str_t)CASGI_STR("/a\0b")), CASGI_EINVAL);
    exchange_discard(ex);
}

static void test_target__is_taken_by_its_length(void **state)
{
    struct exchange *ex = blank(*state);
    char text[] = "/abc?d\0HTTP/1.1";
    assert_int_equal(exchange_set_target(ex, (casgi_str_t){ text, 6 }), 0);
    assert_target(ex, "/abc", "/abc", "d");
    exchange_discard(ex);
}

/* ---- the request's id ---- */

static const char *id_for(struct exchange *ex, const char *from_client)
{
    static casgi_header_t headers[2];
    headers[0] = casgi_header("accept", "*/*");
    headers[1] = casgi_header("x-request-id", from_client);
    ex->scope.headers = headers;
    ex->scope.header_count = 2;
    assert_int_equal(exchange_set_request_id(ex), 0);
    assert_int_equal(strlen(ex->scope.request_id.ptr), ex->scope.request_id.len);
    return ex->scope.request_id.ptr;
}

static void test_id__sane_one_of_the_client_is_taken(void **state)
{
    struct exchange *ex = blank(*state);
    assert_string_equal(id_for(ex, "7f3a-B.c_D:e/1"), "7f3a-B.c_D:e/1");
    exchange_discard(ex);
}

static void test_id__others_are_replaced(void **state)
{
    static char long_one[130];
    memset(long_one, 'a', sizeof(long_one) - 1);
    const char *const bad[] = { "", "two words", "tab\there", "quote\"", "\x80\xff", "back\\slash", "<b>", long_one };
    struct exchange *ex = blank(*state);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *id = id_for(ex, bad[i]);
        assert_string_not_equal(id, bad[i]);
        assert_int_equal(strspn(id, "0123456789abcdef"), 22);
    }
    exchange_discard(ex);
}

static void test_id__ten_thousand_of_ours_differ(void **state)
{
    static char seen[10000][24];
    struct exchange *ex = blank(*state);
    ex->scope.header_count = 0;
    for (size_t i = 0; i < 10000; i++) {
        assert_int_equal(exchange_set_request_id(ex), 0);
        memcpy(seen[i], ex->scope.request_id.ptr, 23);
    }
    for (size_t i = 1; i < 10000; i++) {
        assert_true(strcmp(seen[i - 1], seen[i]) < 0); /* they count upwards, so all differ */
    }
    exchange_discard(ex);
}

HANDLER(describe_itself)
{
    (void)scope, (void)receive;
    casgi_str_t text = task_describe(task_current());
    memcpy(f->text, text.ptr, text.len + 1);
    return casgi_respond(send, 200, "text/plain", "ok");
}

static void test_task__says_which_request_it_works_for(void **state)
{
    struct fixture *f = *state;
    char expected[sizeof("POST /a%20b ") + sizeof(f->record_id)];
    struct exchange *ex = fixture_exchange(f, describe_itself, "POST", "/a%20b?query");
    assert_int_equal(exchange_begin(ex, true), 0);
    (void)snprintf(expected, sizeof(expected), "POST /a%%20b %s", f->record_id);
    assert_string_equal(f->text, expected);
}

static void test_task__description_of_a_long_target_is_cut(void **state)
{
    struct fixture *f = *state;
    char target[1000];
    memset(target, 'a', sizeof(target) - 1);
    target[0] = '/';
    target[sizeof(target) - 1] = '\0';
    struct exchange *ex = fixture_exchange(f, describe_itself, "EXTRAORDINARILY-LONG-METHOD", target);
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_true(strlen(f->text) < 256);
    assert_string_equal(f->text + strlen(f->text) - strlen(f->record_id), f->record_id);
}

/* ---- extensions ---- */

static void test_extensions__are_those_the_driver_can(void **state)
{
    static const char *const names[] = { "http.response.trailers", "http.response.zerocopysend",
                                         "http.response.pathsend", "http.response.early_hint" };
    struct exchange *ex = blank(*state);
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(casgi_scope_get(&ex->scope, names[i]));
    }
    exchange_discard(ex);
}

static void test_extensions__others_are_not_offered(void **state)
{
    struct fixture *f = *state;
    f->driver.table.trailers = NULL;
    f->driver.table.file = NULL;
    f->driver.table.inform = NULL;
    struct exchange *ex = blank(f);
    assert_null(casgi_scope_get(&ex->scope, "http.response.trailers"));
    assert_null(casgi_scope_get(&ex->scope, "http.response.zerocopysend"));
    assert_null(casgi_scope_get(&ex->scope, "http.response.pathsend"));
    assert_null(casgi_scope_get(&ex->scope, "http.response.early_hint"));
    assert_null(casgi_scope_get(&ex->scope, "http.response.push"));
    assert_null(casgi_scope_get(&ex->scope, "http.response.debug"));
    assert_null(casgi_scope_get(&ex->scope, "tls"));
    exchange_discard(ex);
}

static void test_extensions__work_through_a_copied_scope(void **state)
{
    struct exchange *ex = blank(*state);
    casgi_scope_t copy = ex->scope;
    assert_non_null(casgi_scope_get(&copy, "http.response.trailers"));
    exchange_discard(ex);
}

/* ---- state ---- */

static int one, two, three;

static void test_state__is_absent_without_a_lifespan(void **state)
{
    struct exchange *ex = blank(*state);
    assert_null(casgi_state_get(&ex->scope, "x"));
    assert_int_equal(casgi_state_set(&ex->scope, "x", &one), CASGI_ENOTSUP);
    exchange_discard(ex);
}

HANDLER(use_state)
{
    (void)receive;
    f->pointer = casgi_state_get(scope, "db");
    f->rc[0] = casgi_state_set(scope, "db", &two);
    f->rc[1] = casgi_state_get(scope, "db") == &two;
    f->rc[2] = casgi_state_set(scope, "own", &three);
    f->rc[3] = casgi_state_get(scope, "own") == &three;
    return casgi_respond(send, 200, "text/plain", "ok");
}

static void with_state(struct fixture *f)
{
    f->host.state = state_base_new();
    assert_non_null(f->host.state);
    casgi_state_t *view = state_base_view(f->host.state);
    assert_int_equal(view->set(view, "db", &one), 0);
}

static void test_state__of_the_lifespan_reaches_a_request(void **state)
{
    struct fixture *f = *state;
    with_state(f);
    fixture_get(f, use_state);
    assert_ptr_equal(f->pointer, &one);
    assert_true(f->rc[1] && f->rc[3]);
    state_base_free(f->host.state);
}

static void test_state__changes_of_a_request_are_its_own(void **state)
{
    struct fixture *f = *state;
    with_state(f);
    fixture_get(f, use_state);
    fake_driver_init(&f->driver);
    fixture_get(f, use_state);
    assert_ptr_equal(f->pointer, &one);
    casgi_state_t *view = state_base_view(f->host.state);
    assert_ptr_equal(view->get(view, "db"), &one);
    assert_null(view->get(view, "own"));
    state_base_free(f->host.state);
}

static void test_state__view_is_what_was_when_it_was_made(void **state)
{
    (void)state;
    struct state_base *base = state_base_new();
    casgi_state_t *own = state_base_view(base);
    struct state_view early, late;
    assert_int_equal(own->set(own, "a", &one), 0);
    state_view_init(&early, base);
    assert_int_equal(own->set(own, "a", &two), 0);
    state_view_init(&late, base);
    assert_ptr_equal(early.base.get(&early.base, "a"), &one);
    assert_ptr_equal(late.base.get(&late.base, "a"), &two);
    state_base_free(base);
    assert_ptr_equal(late.base.get(&late.base, "a"), &two); /* a view outlives its base */
    state_view_release(&early);
    state_view_release(&late);
}

static void test_state__null_removes_a_key(void **state)
{
    (void)state;
    struct state_base *base = state_base_new();
    casgi_state_t *own = state_base_view(base);
    assert_int_equal(own->set(own, "a", &one), 0);
    assert_int_equal(own->set(own, "b", &two), 0);
    assert_int_equal(own->set(own, "a", NULL), 0);
    assert_int_equal(own->set(own, "none", NULL), 0);
    assert_null(own->get(own, "a"));
    assert_ptr_equal(own->get(own, "b"), &two);
    state_base_free(base);
}

static void test_state__empty_one_can_be_read_and_written(void **state)
{
    (void)state;
    struct state_base *base = state_base_new();
    struct state_view view;
    state_view_init(&view, base);
    assert_null(view.base.get(&view.base, "a"));
    assert_int_equal(view.base.set(&view.base, "a", &one), 0);
    assert_ptr_equal(view.base.get(&view.base, "a"), &one);
    state_view_release(&view);
    state_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_scope__says_which_asgi_it_is),
        FIXTURE_TEST(test_scope__is_blank_again_when_reused),
        FIXTURE_TEST(test_target__path_is_decoded_and_raw_path_is_not),
        FIXTURE_TEST(test_target__query_is_left_as_it_is),
        FIXTURE_TEST(test_target__bare_question_mark_is_an_empty_query),
        FIXTURE_TEST(test_target__without_a_path_is_the_root),
        FIXTURE_TEST(test_target__root_path_stands_in_front_of_both),
        FIXTURE_TEST(test_target__asterisk_is_a_path_of_its_own),
        FIXTURE_TEST(test_target__what_cannot_be_decoded_is_refused),
        FIXTURE_TEST(test_target__is_taken_by_its_length),
        FIXTURE_TEST(test_id__sane_one_of_the_client_is_taken),
        FIXTURE_TEST(test_id__others_are_replaced),
        FIXTURE_TEST(test_id__ten_thousand_of_ours_differ),
        FIXTURE_TEST(test_task__says_which_request_it_works_for),
        FIXTURE_TEST(test_task__description_of_a_long_target_is_cut),
        FIXTURE_TEST(test_extensions__are_those_the_driver_can),
        FIXTURE_TEST(test_extensions__others_are_not_offered),
        FIXTURE_TEST(test_extensions__work_through_a_copied_scope),
        FIXTURE_TEST(test_state__is_absent_without_a_lifespan),
        FIXTURE_TEST(test_state__of_the_lifespan_reaches_a_request),
        FIXTURE_TEST(test_state__changes_of_a_request_are_its_own),
        FIXTURE_TEST(test_state__view_is_what_was_when_it_was_made),
        FIXTURE_TEST(test_state__null_removes_a_key),
        FIXTURE_TEST(test_state__empty_one_can_be_read_and_written),
    };
    return cmocka_run_group_tests_name("exchange/scope", tests, NULL, NULL);
}
