/* Thousands of exchanges in which the handler, its child task, the driver and the client do things at random, in any
 * order. Whatever they do, each exchange ends once, in one of the ways there are, and nothing is left. The seed is
 * fixed: a failure says which exchange it was, and comes again. */
#include "fixture.h"

enum { EXCHANGES = 3000, STEPS = 40, ACTIONS = 12 };

static uint64_t seed;

static unsigned pick(unsigned count)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % count;
}

static const casgi_header_t good[] = { CASGI_HEADER("x-a", "1"), CASGI_HEADER("content-length", "7"),
                                       CASGI_HEADER("connection", "close") };
static const casgi_header_t bad[] = { CASGI_HEADER("bad name", "1"), CASGI_HEADER("x", "a\r\nb"),
                                      CASGI_HEADER("content-length", "-7") };

static int random_start(casgi_send_t *send)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_START);
    event.http_response_start.status = pick(8) ? 200 + (int32_t)pick(5) : (int32_t)pick(700);
    event.http_response_start.headers = pick(8) ? &good[pick(3)] : &bad[pick(3)];
    event.http_response_start.header_count = pick(2);
    event.http_response_start.trailers = !pick(4);
    return casgi_send(send, &event);
}

static int random_trailers(casgi_send_t *send)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_TRAILERS);
    event.http_response_trailers.headers = good;
    event.http_response_trailers.header_count = 1;
    event.http_response_trailers.more_trailers = pick(2);
    return casgi_send(send, &event);
}

static int act(struct fixture *f, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event;
    casgi_deadline_t deadline;
    int rc;
    switch (pick(9)) {
    case 0:
    case 1:
        return random_start(send);
    case 2:
    case 3:
        return casgi_send_body(send, "0123456789", pick(11), pick(3));
    case 4:
        return casgi_receive(receive, &event);
    case 5:
        return random_trailers(send);
    case 6:
        return casgi_yield();
    case 7:
        (void)casgi_deadline_begin(&deadline, pick(20));
        rc = pick(2) ? casgi_receive(receive, &event) : casgi_send_body(send, "body", 4, true);
        (void)casgi_deadline_end(&deadline);
        return rc;
    default:
        (void)f;
        return pick(4) ? 0 : casgi_uncancel();
    }
}

static int child(void *arg)
{
    struct fixture *f = arg;
    for (unsigned i = pick(ACTIONS); i-- > 0;) {
        (void)act(f, f->receive, f->send);
    }
    return 0;
}

HANDLER(anything)
{
    (void)scope;
    casgi_task_t *task;
    if (!pick(3) && !casgi_create_task(child, f, "child", &task)) {
        casgi_release(task);
    }
    int rc = 0;
    for (unsigned i = pick(ACTIONS); i-- > 0;) {
        rc = act(f, receive, send);
    }
    return pick(2) ? rc : 0;
}

/* What the driver and the client do between turns. */
static void happen(struct fixture *f, bool *open)
{
    struct exchange *ex = f->driver.ex;
    switch (pick(9)) {
    case 0:
    case 1:
        f->driver.room = pick(2) ? SIZE_MAX : pick(6);
        exchange_writable(ex);
        break;
    case 2:
        f->driver.room = pick(4);
        break;
    case 3:
        if (*open && !exchange_body_full(ex)) {
            assert_int_equal(exchange_body(ex, "request body", 1 + pick(12)), 0);
        }
        break;
    case 4:
        if (*open) {
            exchange_body_end(ex);
            *open = false;
        }
        break;
    case 5:
        if (!pick(6)) {
            exchange_gone(ex, pick(2));
            *open = false;
        }
        break;
    case 6:
        if (*open && !pick(6)) {
            exchange_body_failed(ex, 400, "broken");
            *open = false;
        }
        break;
    case 7:
        if (!pick(10)) {
            exchange_cancel(ex, pick(2) ? CASGI_ECANCELED : CASGI_ETIMEDOUT);
        }
        break;
    default:
        loop_advance(f->loop, 5000);
        break;
    }
}

static void finish(struct fixture *f)
{
    for (int i = 0; f->driver.ex && i < 100; i++) {
        f->driver.room = SIZE_MAX;
        exchange_writable(f->driver.ex);
        exchange_gone(f->driver.ex, true);
        loop_advance(f->loop, 100000);
        (void)loop_turn(f->loop, false);
    }
    for (int i = 0; f->host.running && i < 100; i++) { /* cut already: its handler still goes on */
        loop_advance(f->loop, 100000);
        (void)loop_turn(f->loop, false);
    }
}

static void one_exchange(struct fixture *f)
{
    static const casgi_header_t te = CASGI_HEADER("te", "trailers");
    fake_driver_init(&f->driver);
    f->driver.room = pick(2) ? SIZE_MAX : pick(8);
    f->host.app_flags = CASGI_APP_HTTP | (pick(3) ? 0u : CASGI_APP_CANCEL_ON_DISCONNECT);
    struct exchange *ex = fixture_exchange(f, anything, pick(5) ? "GET" : "HEAD", "/");
    ex->scope.headers = &te;
    ex->scope.header_count = pick(2);
    bool open = pick(2);
    assert_int_equal(exchange_begin(ex, !open), 0);
    for (int i = 0; f->driver.ex && i < STEPS; i++) {
        happen(f, &open);
        (void)loop_turn(f->loop, false);
    }
    finish(f);
}

static void check(struct fixture *f, unsigned count)
{
    assert_int_equal(f->driver.ends + f->driver.aborts, 1);
    assert_int_equal(f->host.running, 0);
    assert_int_equal(f->begun, count);
    assert_int_equal(f->ended, count);
    assert_int_equal(task_count(f->loop), 0);
    assert_int_equal(f->record.aborted, f->driver.aborts);
    assert_int_equal(f->record.bytes_out, f->driver.body_size);
    if (f->driver.ends) {
        assert_int_equal(f->driver.heads, 1);
        assert_true(f->driver.last);
        assert_int_equal(f->record.status, f->driver.status);
        if (f->driver.body_allowed && f->driver.content_length >= 0) {
            assert_int_equal(f->driver.body_size, f->driver.content_length);
        }
    } else {
        assert_true(f->record.error);
    }
}

static void test_random__every_exchange_ends_once_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    f->host.body_high_water = 20;
    for (unsigned i = 0; i < EXCHANGES; i++) {
        seed = i;
        one_exchange(f);
        check(f, i + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_random__every_exchange_ends_once_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("exchange/random", tests, NULL, NULL);
}
