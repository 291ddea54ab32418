#include "fixture.h"

#include <stdlib.h>

static int call_handler(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    struct fixture *f = self->data;
    f->calls++;
    f->receive = receive;
    f->send = send;
    return f->handler(f, scope, receive, send);
}

static void on_begin(struct exchange_observer *self, const struct exchange *ex)
{
    (void)ex;
    ((struct fixture *)self->data)->begun++;
}

static void on_end(struct exchange_observer *self, const struct exchange *ex)
{
    struct fixture *f = self->data;
    f->ended++;
    f->record = ex->record;
    assert_true(ex->scope.request_id.len < sizeof(f->record_id));
    if (ex->scope.request_id.ptr) {
        memcpy(f->record_id, ex->scope.request_id.ptr, ex->scope.request_id.len + 1);
    }
}

static void on_idle(struct exchange_host *host)
{
    struct fixture *f = (struct fixture *)(void *)((char *)host - offsetof(struct fixture, host));
    f->idle++;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct loop_options options = { .fake_clock = true };
    if (!f || loop_new(&options, &f->loop)) {
        free(f);
        return -1;
    }
    casgi_imports_.tasks = &task_interface;
    f->app.call = call_handler;
    f->app.data = f;
    f->observer = (struct exchange_observer){ .data = f, .on_begin = on_begin, .on_end = on_end };
    f->host.loop = f->loop;
    f->host.app = &f->app;
    f->host.app_flags = CASGI_APP_HTTP;
    f->host.observers = &f->observer;
    f->host.on_idle = on_idle;
    exchange_host_init(&f->host);
    fake_driver_init(&f->driver);
    *state = f;
    return casgi_waiter_new(&f->waiter);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    fixture_run(f);
    int rc = f->host.running || task_count(f->loop) ? -1 : 0;
    casgi_waiter_unref(f->waiter);
    exchange_host_release(&f->host);
    loop_free(f->loop);
    free(f);
    return rc;
}

void fixture_run(struct fixture *f)
{
    for (int i = 0; i < 50; i++) {
        (void)loop_turn(f->loop, false);
    }
}

struct exchange *fixture_exchange(struct fixture *f, handler_fn handler, const char *method, const char *target)
{
    f->handler = handler;
    struct exchange *ex = fake_driver_exchange(&f->driver, &f->host, method, target);
    assert_non_null(ex);
    return ex;
}

struct exchange *fixture_get(struct fixture *f, handler_fn handler)
{
    struct exchange *ex = fixture_exchange(f, handler, "GET", "/");
    assert_int_equal(exchange_begin(ex, true), 0);
    return f->driver.ex;
}

struct exchange *fixture_post(struct fixture *f, handler_fn handler)
{
    struct exchange *ex = fixture_exchange(f, handler, "POST", "/");
    assert_int_equal(exchange_begin(ex, false), 0);
    return f->driver.ex;
}

void fixture_body(struct fixture *f, const char *text)
{
    assert_int_equal(exchange_body(f->driver.ex, text, strlen(text)), 0);
}

int fixture_start(casgi_send_t *send, int status, ...)
{
    casgi_header_t headers[8];
    size_t count = 0;
    va_list args;
    va_start(args, status);
    for (const char *name; (name = va_arg(args, const char *));) {
        headers[count++] = casgi_header(name, va_arg(args, const char *));
    }
    va_end(args);
    return casgi_send_start(send, status, headers, count);
}

int fixture_body_event(casgi_send_t *send, const char *text, bool more_body)
{
    return casgi_send_body(send, text, strlen(text), more_body);
}
