/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
/* What is allocated, and what happens when it cannot be. */
#include "fixture.h"
#include "support/allocations.h"

static const casgi_header_t defaults[] = { CASGI_HEADER("server", "casgi") };
static int value;

/* A little of everything. */
HANDLER(busy)
{
    f->rc[0] = casgi_receive(receive, &f->events[0]);
    f->rc[1] = casgi_state_set(scope, "mine", &value);
    int rc = fixture_start(send, 200, "content-type", "text/plain", "x-more", "1", NULL);
    rc = rc ? rc : fixture_body_event(send, "one", true);
    return rc ? rc : fixture_body_event(send, "two", false);
}

HANDLER(plain)
{
    (void)f, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "Hello, World!");
}

HANDLER(echo)
{
    (void)scope;
    casgi_event_t event;
    int rc = fixture_start(send, 200, "content-type", "application/octet-stream", NULL);
    do {
        rc = rc ? rc : casgi_receive(receive, &event);
        rc = rc ? rc
                : casgi_send_body(send, event.http_request.body.ptr, event.http_request.body.len,
                                  event.http_request.more_body);
    } while (!rc && event.http_request.more_body);
    f->rc[0] = rc;
    return rc;
}

static void prepare(struct fixture *f)
{
    f->host.default_headers = defaults;
    f->host.default_header_count = 1;
    f->host.date_header = true;
    f->host.state = state_base_new();
    assert_non_null(f->host.state);
    casgi_state_t *view = state_base_view(f->host.state);
    assert_int_equal(view->set(view, "shared", &value), 0);
}

static void one_request(struct fixture *f, handler_fn handler, const char *body)
{
    fake_driver_init(&f->driver);
    struct exchange *ex = fixture_exchange(f, handler, body ? "POST" : "GET", "/some/path?and=query");
    if (body) {
        assert_int_equal(exchange_body(ex, body, strlen(body)), 0);
    }
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.ends, 1);
    assert_int_equal(f->driver.status, 200);
}

static unsigned long allocated_and_freed(void)
{
    return allocations_asked() + allocations_freed();
}

static unsigned long allocations_of(struct fixture *f, handler_fn handler, const char *body)
{
    for (int i = 0; i < 3; i++) {
        one_request(f, handler, body);
    }
    unsigned long before = allocated_and_freed();
    for (int i = 0; i < 1000; i++) {
        one_request(f, handler, body);
    }
    return allocated_and_freed() - before;
}

static void test_memory__plain_request_allocates_and_frees_nothing_after_warm_up(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    assert_int_equal(allocations_of(f, plain, NULL), 0);
    state_base_free(f->host.state);
}

static void test_memory__request_with_a_body_allocates_nothing_after_warm_up(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(allocations_of(f, echo, "{\"a\": [1, 2, 3], \"b\": \"text\"}"), 0);
}

static void test_memory__streamed_upload_is_of_bounded_size(void **state)
{
    struct fixture *f = *state;
    static char piece[65536];
    size_t size;
    struct exchange *ex = fixture_post(f, echo);
    for (int i = 0; i < 3; i++) {
        assert_non_null(exchange_body_reserve(ex, sizeof(piece), &size));
        exchange_body_commit(ex, size);
        fixture_run(f);
        f->driver.body_size = 0;
    }
    unsigned long before = allocations_asked();
    for (int i = 0; i < 100; i++) {
        assert_non_null(exchange_body_reserve(ex, sizeof(piece), &size));
        assert_true(size >= sizeof(piece));
        exchange_body_commit(ex, size);
        fixture_run(f);
        f->driver.body_size = 0;
    }
    assert_int_equal(allocations_asked(), before);
    exchange_body_end(ex);
    fixture_run(f);
    assert_int_equal(f->rc[0], 0);
}

/* The request of a driver that meets CASGI_ENOMEM as the header says. */
static void request_under_pressure(struct fixture *f)
{
    fake_driver_init(&f->driver);
    struct exchange *ex = fake_driver_exchange(&f->driver, &f->host, "POST", "/a%20b?c");
    if (!ex) {
        return;
    }
    f->handler = busy;
    if (exchange_body(ex, "body", 4)) {
        exchange_refuse(ex, 503, "out of memory");
    } else if (exchange_begin(ex, true)) {
        exchange_refuse(ex, 503, "out of memory");
    }
    fixture_run(f);
    assert_int_equal(f->driver.ends + f->driver.aborts, 1);
    assert_null(f->driver.ex);
}

static void test_memory__any_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    prepare(f);
    bool failed = true;
    int tried = 0;
    for (; failed; tried++) {
        exchange_host_release(&f->host); /* cold */
        arena_pool_release(loop_arena_pool(f->loop));
        allocations_fail_at(tried + 1);
        request_under_pressure(f);
        failed = allocations_failed();
        allocations_suffice();
        assert_int_equal(f->host.running, 0);
        assert_int_equal(f->begun, f->ended);
    }
    assert_true(tried > 3);
    assert_int_equal(f->driver.status, 200); /* the last had all it asked for */
    state_base_free(f->host.state);
}

static void test_memory__state_survives_a_failed_change(void **state)
{
    (void)state;
    struct state_base *base = state_base_new();
    casgi_state_t *own = state_base_view(base);
    assert_int_equal(own->set(own, "a", &value), 0);
    for (int i = 0; i < 3; i++) {
        allocations_fail_at(i + 1);
        assert_int_equal(own->set(own, "b", &value), CASGI_ENOMEM);
        assert_ptr_equal(own->get(own, "a"), &value);
        assert_null(own->get(own, "b"));
    }
    allocations_suffice();
    assert_int_equal(own->set(own, "b", &value), 0);
    state_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_memory__plain_request_allocates_and_frees_nothing_after_warm_up),
        FIXTURE_TEST(test_memory__request_with_a_body_allocates_nothing_after_warm_up),
        FIXTURE_TEST(test_memory__streamed_upload_is_of_bounded_size),
        FIXTURE_TEST(test_memory__any_allocation_may_fail),
        FIXTURE_TEST(test_memory__state_survives_a_failed_change),
    };
    return cmocka_run_group_tests_name("exchange/memory", tests, NULL, NULL);
}
