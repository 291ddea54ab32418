/* What receive gives: the body, its end, the disconnect. */
#include "fixture.h"

/* The app records what it gets; `pieces` events. */
static int receive_some(struct fixture *f, casgi_receive_t *receive, int count)
{
    for (int i = 0; i < count; i++) {
        f->rc[i] = casgi_receive(receive, &f->events[i]);
        if (!f->rc[i] && f->events[i].type == CASGI_HTTP_REQUEST) {
            casgi_str_t body = f->events[i].http_request.body;
            assert_true(body.ptr && body.ptr[body.len] == '\0');
            strncat(f->text, body.ptr, body.len);
            strncat(f->text, f->events[i].http_request.more_body ? "+" : ".", 2);
        }
    }
    return 0;
}

HANDLER(receive_one)
{
    (void)scope;
    receive_some(f, receive, 1);
    return casgi_respond(send, 200, "text/plain", "ok");
}

HANDLER(receive_two)
{
    (void)scope;
    receive_some(f, receive, 2);
    return casgi_respond(send, 200, "text/plain", "ok");
}

HANDLER(receive_three)
{
    (void)scope;
    receive_some(f, receive, 3);
    return casgi_respond(send, 200, "text/plain", "ok");
}

static void test_receive__bodiless_request_is_one_empty_event(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, receive_one);
    assert_int_equal(f->events[0].type, CASGI_HTTP_REQUEST);
    assert_non_null(f->events[0].http_request.body.ptr);
    assert_int_equal(f->events[0].http_request.body.len, 0);
    assert_false(f->events[0].http_request.more_body);
    assert_int_equal(f->driver.ends, 1);
    assert_int_equal(f->driver.wanted, 0);
}

HANDLER(respond_then_receive)
{
    (void)scope;
    casgi_respond(send, 200, "text/plain", "ok");
    return receive_some(f, receive, 3);
}

static void test_receive__after_the_response_it_is_disconnect_every_time(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, respond_then_receive);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->rc[i], 0);
        assert_int_equal(f->events[i].type, CASGI_HTTP_DISCONNECT);
    }
    assert_int_equal(f->driver.ends, 1);
}

static void test_receive__handler_that_never_receives_ends_well(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, respond_then_receive, "POST", "/");
    assert_int_equal(exchange_body(ex, "unread", 6), 0);
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.ends, 1);
    assert_int_equal(f->driver.consumed, 6); /* so that a window stays right */
}

static void test_receive__whole_body_is_one_last_event(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, receive_one, "POST", "/");
    assert_int_equal(exchange_body(ex, "hello ", 6), 0);
    assert_int_equal(exchange_body(ex, "world", 5), 0);
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_string_equal(f->text, "hello world.");
    assert_int_equal(f->driver.consumed, 11);
    assert_int_equal(f->record.bytes_in, 11);
}

static void test_receive__pieces_are_given_as_they_arrive(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, receive_three);
    fixture_body(f, "one");
    fixture_run(f);
    fixture_body(f, "two");
    fixture_run(f);
    fixture_body(f, "three");
    exchange_body_end(ex);
    fixture_run(f);
    assert_string_equal(f->text, "one+two+three.");
    assert_int_equal(f->driver.ends, 1);
}

static void test_receive__end_that_comes_late_is_an_empty_event(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, receive_two);
    fixture_body(f, "all");
    fixture_run(f);
    exchange_body_end(ex);
    fixture_run(f);
    assert_string_equal(f->text, "all+.");
}

static void test_receive__wanted_is_said_once_when_the_handler_waits(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, receive_two);
    assert_int_equal(f->driver.wanted, 1);
    fixture_body(f, "x");
    fixture_run(f);
    assert_int_equal(f->driver.wanted, 1);
    exchange_body_end(ex);
    fixture_run(f);
}

static void test_receive__nothing_is_wanted_where_the_body_is_there(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, receive_one, "POST", "/");
    assert_int_equal(exchange_body(ex, "x", 1), 0);
    assert_int_equal(exchange_begin(ex, false), 0);
    assert_int_equal(f->driver.wanted, 0);
}

HANDLER(start_then_receive)
{
    (void)scope;
    fixture_start(send, 200, NULL);
    receive_some(f, receive, 1);
    return fixture_body_event(send, "x", false);
}

static void test_receive__the_body_is_wanted_while_the_start_is_only_kept(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, start_then_receive);
    assert_int_equal(f->driver.wanted, 1);
    exchange_body_end(ex);
    fixture_run(f);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(answer_then_receive)
{
    (void)scope;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "x", true);
    receive_some(f, receive, 1);
    return fixture_body_event(send, "x", false);
}

static void test_receive__nothing_is_wanted_once_a_response_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, answer_then_receive);
    assert_int_equal(f->driver.wanted, 0);
    exchange_body_end(ex);
    fixture_run(f);
    assert_int_equal(f->driver.ends, 1);
}

static void test_receive__waits_for_body_is_told(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, receive_two);
    assert_true(exchange_waits_for_body(ex));
    fixture_body(f, "x");
    exchange_body_end(ex);
    fixture_run(f);
    assert_false(f->driver.ex && exchange_waits_for_body(f->driver.ex));
    exchange_gone(f->driver.ex, true);
    fixture_run(f);
}

HANDLER(receive_until_gone)
{
    (void)scope, (void)send;
    casgi_event_t event;
    do {
        int rc = casgi_receive(receive, &event);
        if (rc) {
            return rc;
        }
        f->rc[0]++;
    } while (event.type != CASGI_HTTP_DISCONNECT);
    return CASGI_EDISCONNECTED;
}

static void test_receive__waiting_for_the_disconnect_is_not_waiting_for_body(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_get(f, receive_until_gone);
    assert_int_equal(f->rc[0], 1);
    assert_false(exchange_waits_for_body(ex));
    exchange_gone(ex, true);
    fixture_run(f);
    assert_int_equal(f->rc[0], 2);
}

/* ---- bounds ---- */

HANDLER(wait_then_receive)
{
    (void)scope;
    (void)casgi_waiter_wait(f->waiter);
    receive_some(f, receive, 1);
    return casgi_respond(send, 200, "text/plain", "ok");
}

static void test_receive__body_is_full_at_high_water_until_it_is_taken(void **state)
{
    struct fixture *f = *state;
    f->host.body_high_water = 10;
    struct exchange *ex = fixture_post(f, wait_then_receive);
    fixture_body(f, "12345");
    assert_false(exchange_body_full(ex));
    fixture_body(f, "67890");
    assert_true(exchange_body_full(ex));
    assert_int_equal(f->driver.consumed, 0);
    exchange_body_end(ex);
    casgi_waiter_wake(f->waiter);
    fixture_run(f);
    assert_int_equal(f->driver.consumed, 10);
}

static void test_receive__reserve_lends_nothing_when_full(void **state)
{
    struct fixture *f = *state;
    size_t size = 0;
    f->host.body_high_water = 4;
    struct exchange *ex = fixture_post(f, wait_then_receive);
    char *room = exchange_body_reserve(ex, 100, &size);
    assert_non_null(room);
    assert_true(size >= 100);
    memcpy(room, "abcd", 4);
    exchange_body_commit(ex, 4);
    assert_null(exchange_body_reserve(ex, 100, &size));
    exchange_body_end(ex);
    casgi_waiter_wake(f->waiter);
    fixture_run(f);
    assert_string_equal(f->text, "abcd.");
}

static void test_receive__reserve_for_a_large_body_lends_64_kib_in_one(void **state)
{
    struct fixture *f = *state;
    size_t size = 0;
    struct exchange *ex = fixture_post(f, wait_then_receive);
    fixture_body(f, "a little came with the head");
    assert_non_null(exchange_body_reserve(ex, 65536, &size));
    assert_true(size >= 65536);
    exchange_body_commit(ex, 0);
    exchange_gone(ex, true);
    casgi_waiter_wake(f->waiter);
    fixture_run(f);
}

static void test_receive__empty_commit_keeps_no_memory_and_no_event(void **state)
{
    struct fixture *f = *state;
    size_t size = 0;
    struct exchange *ex = fixture_post(f, receive_one);
    assert_non_null(exchange_body_reserve(ex, 100, &size));
    exchange_body_commit(ex, 0);
    fixture_run(f);
    assert_int_equal(f->events[0].type, 0);
    exchange_body_end(ex);
    fixture_run(f);
    assert_string_equal(f->text, ".");
}

static void test_receive__body_over_the_limit_is_told_to_the_driver(void **state)
{
    struct fixture *f = *state;
    f->host.body_limit = 5;
    struct exchange *ex = fixture_post(f, receive_two);
    assert_int_equal(exchange_body(ex, "12345", 5), 0);
    assert_int_equal(exchange_body(ex, "6", 1), CASGI_ETOOBIG);
    exchange_body_failed(ex, 413, "too large");
    fixture_run(f);
    assert_int_equal(f->events[0].type, CASGI_HTTP_DISCONNECT);
    assert_int_equal(f->driver.status, 200); /* the handler answered by itself */
}

HANDLER(echo_pieces)
{
    (void)scope;
    casgi_event_t event;
    int rc = fixture_start(send, 200, NULL);
    do {
        rc = rc ? rc : casgi_receive(receive, &event);
        rc = rc ? rc
                : casgi_send_body(send, event.http_request.body.ptr, event.http_request.body.len,
                                  event.http_request.more_body);
        f->rc[0]++;
    } while (!rc && event.http_request.more_body);
    return rc;
}

static void test_receive__large_body_arrives_whole_and_in_order(void **state)
{
    struct fixture *f = *state;
    static char body[200000];
    for (size_t i = 0; i < sizeof(body); i++) {
        body[i] = (char)('a' + i % 23);
    }
    struct exchange *ex = fixture_exchange(f, echo_pieces, "POST", "/");
    assert_int_equal(exchange_body(ex, body, sizeof(body)), 0);
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.consumed, sizeof(body));
    assert_int_equal(f->rc[0], 3);
    assert_int_equal(f->driver.body_size, sizeof(body));
    assert_memory_equal(f->driver.body, body, sizeof(body));
    assert_int_equal(f->driver.ends, 1);
}

/* Early responses: the rest of the body is thrown away. */

HANDLER(respond_then_wait)
{
    (void)scope;
    casgi_respond(send, 200, "text/plain", "early");
    (void)casgi_waiter_wait(f->waiter);
    return receive_some(f, receive, 1);
}

static void test_receive__body_after_the_response_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    size_t size = 0;
    f->host.body_high_water = 4;
    struct exchange *ex = fixture_post(f, respond_then_wait);
    assert_true(exchange_response_complete(ex));
    for (int i = 0; i < 10; i++) {
        fixture_body(f, "more of it");
        assert_false(exchange_body_full(ex));
    }
    assert_non_null(exchange_body_reserve(ex, 10, &size));
    exchange_body_commit(ex, 10);
    casgi_waiter_wake(f->waiter);
    fixture_run(f);
    assert_int_equal(f->events[0].type, CASGI_HTTP_DISCONNECT);
    assert_int_equal(f->record.bytes_in, 110);
    assert_int_equal(f->driver.ends, 1);
}

/* ---- bodies that stay where they were received ---- */

static void fill(char *to, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = (char)('a' + i % 23);
    }
}

HANDLER(receive_where)
{
    casgi_event_t event;
    (void)scope;
    int rc = casgi_receive(receive, &event);
    f->pointer = (void *)(uintptr_t)event.http_request.body.ptr;
    f->driver.consumed = event.http_request.body.len;
    assert_int_equal(event.http_request.body.ptr[event.http_request.body.len], '\0');
    return rc ? rc : casgi_respond(send, 200, "text/plain", "ok");
}

/* Before its application is called a body of `size` is adopted from byte `at` of the input buffer; returns that. */
static char *adopt_first(struct fixture *f, struct exchange *ex, size_t at, size_t size)
{
    size_t room;
    char *input = exchange_input(&f->host, &room);
    assert_non_null(input);
    assert_true(room >= 65536 + 1024);
    assert_true(at + size <= room);
    fill(input + at, size);
    assert_int_equal(exchange_body_adopt(ex, input + at, size), 0);
    return input;
}

static void test_receive__a_large_body_adopted_is_not_copied(void **state)
{
    struct fixture *f = *state;
    size_t room;
    struct exchange *ex = fixture_exchange(f, receive_where, "POST", "/");
    char *input = adopt_first(f, ex, 100, 65536);
    assert_ptr_not_equal(exchange_input(&f->host, &room), input);
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_ptr_equal(f->pointer, input + 100);
    assert_int_equal(f->record.bytes_in, 65536);
}

static void test_receive__a_small_body_adopted_is_copied(void **state)
{
    struct fixture *f = *state;
    size_t room;
    struct exchange *ex = fixture_exchange(f, receive_where, "POST", "/");
    char *input = adopt_first(f, ex, 100, 1000);
    assert_ptr_equal(exchange_input(&f->host, &room), input);
    memset(input, 'x', room);
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.consumed, 1000);
    assert_ptr_not_equal(f->pointer, input + 100);
}

static void test_receive__what_follows_waiting_bytes_is_copied_behind_them(void **state)
{
    struct fixture *f = *state;
    size_t room;
    struct exchange *ex = fixture_exchange(f, echo_pieces, "POST", "/");
    assert_int_equal(exchange_body(ex, "first ", 6), 0);
    char *input = adopt_first(f, ex, 0, 65536);
    assert_ptr_equal(exchange_input(&f->host, &room), input);
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.body_size, 65542);
    assert_memory_equal(f->driver.body, "first abcd", 10);
}

static void test_receive__an_adopted_body_over_the_limit_is_refused_and_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    size_t room;
    f->host.body_limit = 65535;
    struct exchange *ex = fixture_post(f, receive_two);
    char *input = exchange_input(&f->host, &room);
    assert_int_equal(exchange_body_adopt(ex, input, 65536), CASGI_ETOOBIG);
    assert_ptr_equal(exchange_input(&f->host, &room), input);
    exchange_body_failed(ex, 413, "too large");
    fixture_run(f);
}

static void test_receive__a_body_nobody_wants_is_not_adopted(void **state)
{
    struct fixture *f = *state;
    size_t room;
    struct exchange *ex = fixture_post(f, respond_then_wait);
    char *input = adopt_first(f, ex, 0, 65536);
    assert_ptr_equal(exchange_input(&f->host, &room), input);
    casgi_waiter_wake(f->waiter);
    fixture_run(f);
    assert_int_equal(f->events[0].type, CASGI_HTTP_DISCONNECT);
    assert_int_equal(f->record.bytes_in, 65536);
}

/* ---- one at a time ---- */

static int receive_in_child(void *arg)
{
    struct fixture *f = arg;
    casgi_event_t event;
    f->rc[1] = casgi_receive(f->receive, &event);
    return 0;
}

HANDLER(receive_twice_at_once)
{
    (void)scope;
    casgi_task_t *child;
    assert_int_equal(casgi_create_task(receive_in_child, f, "child", &child), 0);
    casgi_release(child);
    receive_some(f, receive, 1);
    return casgi_respond(send, 200, "text/plain", "ok");
}

static void test_receive__second_one_outstanding_is_busy(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, receive_twice_at_once);
    fixture_run(f);
    assert_int_equal(f->rc[1], CASGI_EBUSY);
    exchange_body_end(ex);
    fixture_run(f);
    assert_int_equal(f->rc[0], 0);
    assert_int_equal(f->driver.ends, 1);
}

static void test_receive__outside_of_a_task_is_the_wrong_place(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, receive_one);
    casgi_event_t event;
    assert_int_equal(casgi_receive(f->receive, &event), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_respond(f->send, 200, "text/plain", "x"), CASGI_EWRONGTHREAD);
    exchange_body_end(ex);
    fixture_run(f);
}

static void feed_more(struct fake_driver *driver)
{
    if (driver->consumed == 3) {
        assert_int_equal(exchange_body(driver->ex, "two", 3), 0);
        exchange_body_end(driver->ex);
    }
}

static void test_receive__driver_may_go_on_reading_inside_consumed(void **state)
{
    struct fixture *f = *state;
    f->driver.on_consumed = feed_more;
    fixture_post(f, receive_two);
    fixture_body(f, "one");
    fixture_run(f);
    assert_string_equal(f->text, "one+two.");
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(gather)
{
    (void)scope;
    casgi_str_t body = { NULL, 0 };
    f->rc[0] = casgi_receive_body(receive, 1000, &body);
    return casgi_respond_bytes(send, 200, "text/plain", body.ptr, body.len);
}

static void test_receive__body_can_be_gathered_and_echoed(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_post(f, gather);
    for (int i = 0; i < 20; i++) {
        fixture_body(f, "0123456789");
        fixture_run(f);
    }
    exchange_body_end(ex);
    fixture_run(f);
    assert_int_equal(f->driver.body_size, 200);
    assert_memory_equal(f->driver.body + 190, "0123456789", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_receive__bodiless_request_is_one_empty_event),
        FIXTURE_TEST(test_receive__after_the_response_it_is_disconnect_every_time),
        FIXTURE_TEST(test_receive__handler_that_never_receives_ends_well),
        FIXTURE_TEST(test_receive__whole_body_is_one_last_event),
        FIXTURE_TEST(test_receive__pieces_are_given_as_they_arrive),
        FIXTURE_TEST(test_receive__end_that_comes_late_is_an_empty_event),
        FIXTURE_TEST(test_receive__wanted_is_said_once_when_the_handler_waits),
        FIXTURE_TEST(test_receive__nothing_is_wanted_where_the_body_is_there),
        FIXTURE_TEST(test_receive__the_body_is_wanted_while_the_start_is_only_kept),
        FIXTURE_TEST(test_receive__nothing_is_wanted_once_a_response_is_on_its_way),
        FIXTURE_TEST(test_receive__waits_for_body_is_told),
        FIXTURE_TEST(test_receive__waiting_for_the_disconnect_is_not_waiting_for_body),
        FIXTURE_TEST(test_receive__body_is_full_at_high_water_until_it_is_taken),
        FIXTURE_TEST(test_receive__reserve_lends_nothing_when_full),
        FIXTURE_TEST(test_receive__reserve_for_a_large_body_lends_64_kib_in_one),
        FIXTURE_TEST(test_receive__empty_commit_keeps_no_memory_and_no_event),
        FIXTURE_TEST(test_receive__body_over_the_limit_is_told_to_the_driver),
        FIXTURE_TEST(test_receive__large_body_arrives_whole_and_in_order),
        FIXTURE_TEST(test_receive__body_after_the_response_is_thrown_away),
        FIXTURE_TEST(test_receive__second_one_outstanding_is_busy),
        FIXTURE_TEST(test_receive__outside_of_a_task_is_the_wrong_place),
        FIXTURE_TEST(test_receive__driver_may_go_on_reading_inside_consumed),
        FIXTURE_TEST(test_receive__body_can_be_gathered_and_echoed),
        FIXTURE_TEST(test_receive__a_large_body_adopted_is_not_copied),
        FIXTURE_TEST(test_receive__a_small_body_adopted_is_copied),
        FIXTURE_TEST(test_receive__what_follows_waiting_bytes_is_copied_behind_them),
        FIXTURE_TEST(test_receive__an_adopted_body_over_the_limit_is_refused_and_keeps_nothing),
        FIXTURE_TEST(test_receive__a_body_nobody_wants_is_not_adopted),
    };
    return cmocka_run_group_tests_name("exchange/receive", tests, NULL, NULL);
}
