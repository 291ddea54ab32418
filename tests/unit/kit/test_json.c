/* JSON in and out of handlers. The arena is this file's own, so that it can be short of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "casgi/kit/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS_MAX = 4096 };

static struct {
    void *blocks[BLOCKS_MAX];
    size_t count;
    size_t allowed; /* allocations that still succeed */
    void (*deferred)(void *arg);
    void *deferred_arg;
} arena;

static void *alloc(size_t size)
{
    if (arena.count == BLOCKS_MAX || arena.allowed == 0) {
        return NULL;
    }
    arena.allowed--;
    return arena.blocks[arena.count++] = malloc(size);
}

static int defer(void (*fn)(void *arg), void *arg)
{
    arena.deferred = fn;
    arena.deferred_arg = arg;
    return 0;
}

static const casgi_tasks_1_t tasks = { .alloc = alloc, .defer = defer };

static int setup(void **state)
{
    (void)state;
    casgi_imports_.tasks = &tasks;
    arena.count = 0;
    arena.allowed = SIZE_MAX;
    arena.deferred = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (arena.deferred) {
        arena.deferred(arena.deferred_arg);
    }
    for (size_t i = 0; i < arena.count; i++) {
        free(arena.blocks[i]);
    }
    return 0;
}

static int parse(const char *text, const cJSON **out_document, casgi_json_error_t *out_error)
{
    return casgi_json_parse(text, strlen(text), out_document, out_error);
}

/* What the text looks like when it has been read and printed. */
static const char *again(const char *text)
{
    const cJSON *document;
    casgi_str_t out;
    assert_int_equal(parse(text, &document, NULL), 0);
    assert_int_equal(casgi_json_print(document, &out), 0);
    assert_int_equal(strlen(out.ptr), out.len);
    return out.ptr;
}

static void assert_refused(const char *what, const char *text, size_t size, size_t byte, unsigned line, unsigned column)
{
    const cJSON *document;
    casgi_json_error_t error;
    char sentence[80];
    assert_int_equal(casgi_json_parse(text, size, &document, &error), CASGI_EINVAL);
    assert_null(document);
    assert_int_equal(error.code, CASGI_EINVAL);
    assert_int_equal(error.byte, byte);
    assert_int_equal(error.line, line);
    assert_int_equal(error.column, column);
    (void)snprintf(sentence, sizeof(sentence), "%s at line %u, column %u", what, line, column);
    assert_string_equal(error.message, sentence);
}

static const char *nested(size_t depth)
{
    char *text = malloc(depth * 2 + 1);
    assert_non_null(text);
    arena.blocks[arena.count++] = text;
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[depth * 2] = '\0';
    return text;
}

static void test_json__every_kind_of_value_comes_back(void **state)
{
    (void)state;
    assert_string_equal(again(" { \"a\" : [1, true, false, null], \"b\": {}, \"c\":[ ], \"\": \"x\" } "),
                        "{\"a\":[1,true,false,null],\"b\":{},\"c\":[],\"\":\"x\"}");
}

static void test_json__numbers_are_printed_as_cjson_does(void **state)
{
    static const char *const numbers[] = {
        "0",
        "-0",
        "7",
        "-7",
        "4711",
        "999999999999999",
        "1000000000000000",
        "-999999999999999",
        "2.5",
        "-97.5",
        "0.1",
        "0.0001",
        "1.0001",
        "0.00001",
        "123456789.1234",
        "99999999999.9999",
        "3.14159265358979",
        "1e300",
        "-1e-300",
        "5e-324",
        "1e400",
        "2.51",
        "1.005",
        "0.07",
        "100",
        "1.10",
        "2147483648",
        "12345.67891",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        cJSON *tree = cJSON_Parse(numbers[i]);
        char *expected = cJSON_PrintUnformatted(tree);
        assert_string_equal(again(numbers[i]), expected);
        cJSON_free(expected);
        cJSON_Delete(tree);
    }
}

static void test_json__a_number_reads_as_the_same_again(void **state)
{
    (void)state;
    assert_string_equal(again("[9007199254740992,0.30000000000000004,1.7976931348623157e308,0.3333333333333333]"),
                        "[9007199254740992,0.30000000000000004,1.7976931348623157e+308,0.3333333333333333]");
}

static void test_json__strings_are_escaped(void **state)
{
    (void)state;
    assert_string_equal(again("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u001f\\u00e9\\ud83d\\ude00 plain text behind\""),
                        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001f\xc3\xa9\xf0\x9f\x98\x80 plain text behind\"");
}

static void test_json__an_escape_is_found_wherever_it_is(void **state)
{
    char text[31], expected[64];
    (void)state;
    for (size_t at = 1; at < 30; at++) {
        cJSON value = { .type = cJSON_String, .valuestring = text };
        casgi_str_t out;
        memset(text, 'x', 30);
        text[30] = '\0';
        text[at] = '"';
        (void)snprintf(expected, sizeof(expected), "\"%.*s\\%s\"", (int)at, text, text + at);
        assert_int_equal(casgi_json_print(&value, &out), 0);
        assert_string_equal(out.ptr, expected);
    }
}

static void test_json__a_long_text_grows_the_output(void **state)
{
    enum { SIZE = 100000 };
    char *text = alloc(SIZE + 3);
    (void)state;
    memset(text, '\x7f', SIZE + 2);
    text[0] = text[SIZE + 1] = '"';
    text[SIZE + 2] = '\0';
    assert_string_equal(again(text), text);
}

static void test_json__an_offence_has_its_place(void **state)
{
    (void)state;
    assert_refused("not valid JSON", "", 0, 0, 1, 1);
    assert_refused("not valid JSON", "{\"a\":\n  nope}", 13, 8, 2, 3);
    assert_refused("not valid JSON", "{\"a\":1} x", 9, 8, 1, 9);
    assert_refused("not valid JSON", "[1,", 3, 3, 1, 4);
    assert_refused("a NUL character", "{\"a\":\"\0\"}", 9, 6, 1, 7);
    assert_refused("a NUL character", "[\"a\\u0000\"]", 11, 3, 1, 4);
}

static void test_json__nesting_has_a_limit(void **state)
{
    const char *text = nested(CASGI_JSON_NESTING_LIMIT);
    (void)state;
    assert_string_equal(again(text), text);
    text = nested(CASGI_JSON_NESTING_LIMIT + 1);
    assert_refused("nested too deeply", text, strlen(text), CASGI_JSON_NESTING_LIMIT, 1, CASGI_JSON_NESTING_LIMIT + 1);
}

static void test_json__brackets_in_strings_do_not_nest(void **state)
{
    char text[400];
    (void)state;
    memset(text, '[', sizeof(text));
    text[0] = text[398] = '"';
    text[1] = '\\';
    text[2] = '"';
    text[399] = '\0';
    assert_string_equal(again(text), text);
}

static void test_json__a_tree_too_deep_is_not_printed(void **state)
{
    cJSON trees[CASGI_JSON_NESTING_LIMIT + 1] = { { 0 } };
    casgi_str_t out;
    (void)state;
    for (size_t i = 0; i <= CASGI_JSON_NESTING_LIMIT; i++) {
        trees[i].type = cJSON_Array;
        trees[i].child = i < CASGI_JSON_NESTING_LIMIT ? &trees[i + 1] : NULL;
    }
    assert_int_equal(casgi_json_print(&trees[0], &out), CASGI_EINVAL);
    assert_int_equal(casgi_json_print(&trees[1], &out), 0);
}

static void test_json__what_is_no_value_is_not_printed(void **state)
{
    cJSON invalid = { .type = cJSON_Invalid };
    casgi_str_t out;
    (void)state;
    assert_int_equal(casgi_json_print(NULL, &out), CASGI_EINVAL);
    assert_int_equal(casgi_json_print(&invalid, &out), CASGI_EINVAL);
    assert_null(out.ptr);
}

static void test_json__raw_text_is_printed_as_it_is(void **state)
{
    cJSON raw = { .type = cJSON_Raw };
    casgi_str_t out;
    (void)state;
    raw.valuestring = (char[]){ "[1, 2]" };
    assert_int_equal(casgi_json_print(&raw, &out), 0);
    assert_string_equal(out.ptr, "[1, 2]");
}

static void test_json__a_tree_takes_the_arena_only(void **state)
{
    const cJSON *document;
    (void)state;
    assert_int_equal(parse("{\"name\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}", &document, NULL), 0);
    assert_true(arena.count > 1); /* the first piece was too small */
    assert_null(arena.deferred);
}

static void test_json__trees_of_others_stay_on_the_heap(void **state)
{
    const cJSON *document;
    cJSON *own = cJSON_CreateObject();
    (void)state;
    assert_int_equal(parse("[1]", &document, NULL), 0);
    size_t count = arena.count;
    assert_non_null(cJSON_AddNumberToObject(own, "a", 1));
    cJSON_Delete(own);
    own = cJSON_Duplicate(document, true);
    assert_non_null(own);
    cJSON_Delete(own);
    assert_int_equal(arena.count, count);
}

static void test_json__hooks_of_another_module_are_survived(void **state)
{
    const cJSON *document;
    (void)state;
    cJSON_InitHooks(NULL);
    assert_int_equal(parse("{\"a\":\"b\"}", &document, NULL), 0);
    assert_ptr_equal(arena.deferred_arg, document); /* freed when the task ends */
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(document, "a")->valuestring, "b");
}

static void test_json__short_memory_is_told(void **state)
{
    static const char text[] = "{\"a\":[\"b\",2.5,{\"c\":[[],[],[],[],[],[],[],[],[],[],[],[],[]]}]}";
    size_t allowed = 0;
    int rc;
    (void)state;
    do {
        const cJSON *document;
        casgi_json_error_t error = { 0 };
        casgi_str_t out;
        arena.allowed = allowed++;
        rc = parse(text, &document, &error);
        assert_int_equal(error.code, rc);
        rc = rc ? rc : casgi_json_print(document, &out);
        assert_true(rc == 0 || rc == CASGI_ENOMEM);
    } while (rc);
    assert_true(allowed > 3);
}

/* ---- bodies ---- */

static struct {
    const char *body;
    int status;
    char type[32];
    char text[256];
} exchange;

static int receive_call(casgi_receive_t *self, casgi_event_t *out_event)
{
    (void)self;
    casgi_event_init(out_event, CASGI_HTTP_REQUEST);
    out_event->http_request.body = casgi_str(exchange.body);
    return 0;
}

static int send_call(casgi_send_t *self, const casgi_event_t *event)
{
    (void)self;
    if (event->type == CASGI_HTTP_RESPONSE_START) {
        casgi_str_t type = event->http_response_start.headers[0].value;
        exchange.status = event->http_response_start.status;
        (void)snprintf(exchange.type, sizeof(exchange.type), "%.*s", (int)type.len, type.ptr);
    } else {
        casgi_str_t body = event->http_response_body.body;
        (void)snprintf(exchange.text, sizeof(exchange.text), "%.*s", (int)body.len, body.ptr);
    }
    return 0;
}

static casgi_receive_t receive = { receive_call };
static casgi_send_t send = { send_call };

static void test_json__a_body_is_received_and_answered(void **state)
{
    const cJSON *document;
    (void)state;
    exchange.body = " [1, 2] ";
    assert_int_equal(casgi_json_receive(&receive, 100, &document, NULL), 0);
    assert_int_equal(casgi_json_respond(&send, 201, document), 0);
    assert_int_equal(exchange.status, 201);
    assert_string_equal(exchange.type, "application/json");
    assert_string_equal(exchange.text, "[1,2]");
}

static void test_json__a_body_too_large_is_told(void **state)
{
    const cJSON *document;
    casgi_json_error_t error;
    (void)state;
    exchange.body = "[1, 2]";
    assert_int_equal(casgi_json_receive(&receive, 5, &document, &error), CASGI_ETOOBIG);
    assert_string_equal(error.message, "the document is larger than 5 bytes");
    assert_null(document);
}

static void test_json__a_refusal_has_its_detail(void **state)
{
    (void)state;
    assert_int_equal(casgi_json_refuse(&send, 422, "a \"name\" is needed"), 0);
    assert_int_equal(exchange.status, 422);
    assert_string_equal(exchange.text, "{\"detail\":\"a \\\"name\\\" is needed\"}");
}

#define JSON_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JSON_TEST(test_json__every_kind_of_value_comes_back),
        JSON_TEST(test_json__numbers_are_printed_as_cjson_does),
        JSON_TEST(test_json__a_number_reads_as_the_same_again),
        JSON_TEST(test_json__strings_are_escaped),
        JSON_TEST(test_json__an_escape_is_found_wherever_it_is),
        JSON_TEST(test_json__a_long_text_grows_the_output),
        JSON_TEST(test_json__an_offence_has_its_place),
        JSON_TEST(test_json__nesting_has_a_limit),
        JSON_TEST(test_json__brackets_in_strings_do_not_nest),
        JSON_TEST(test_json__a_tree_too_deep_is_not_printed),
        JSON_TEST(test_json__what_is_no_value_is_not_printed),
        JSON_TEST(test_json__raw_text_is_printed_as_it_is),
        JSON_TEST(test_json__a_tree_takes_the_arena_only),
        JSON_TEST(test_json__trees_of_others_stay_on_the_heap),
        JSON_TEST(test_json__short_memory_is_told),
        JSON_TEST(test_json__a_body_is_received_and_answered),
        JSON_TEST(test_json__a_body_too_large_is_told),
        JSON_TEST(test_json__a_refusal_has_its_detail),
        JSON_TEST(test_json__hooks_of_another_module_are_survived), /* last: they stay */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
