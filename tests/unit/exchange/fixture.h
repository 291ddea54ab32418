/* A loop, a host, a fake driver, and a handler that is one function of the test. */
#pragma once

#include "support/fake_driver.h"

#include <casgi/casgi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture;
typedef int (*handler_fn)(struct fixture *f, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send);

/* The head of a handler. */
#define HANDLER(name) \
    static int name(struct fixture *f, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)

struct fixture {
    struct loop *loop;
    struct exchange_host host;
    struct exchange_observer observer;
    struct fake_driver driver;
    casgi_app_t app;
    handler_fn handler;
    unsigned calls; /* of the handler */
    unsigned begun; /* by the observer */
    unsigned ended;
    unsigned idle;                 /* calls of on_idle */
    struct exchange_record record; /* of the last exchange that ended */
    char record_id[64];            /* its request id */
    int rc[8];                     /* for handlers to leave what they got */
    casgi_event_t events[8];
    char text[256];
    casgi_receive_t *receive; /* of the running handler, for other tasks */
    casgi_send_t *send;
    casgi_waiter_t *waiter; /* for handlers to wait on; made by the setup */
    void *pointer;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

#define FIXTURE_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

/* A request without a body, begun; the handler has run until it parked or ended. */
struct exchange *fixture_get(struct fixture *f, handler_fn handler);

/* One whose body is still to come. */
struct exchange *fixture_post(struct fixture *f, handler_fn handler);

/* Another one, made but not begun. */
struct exchange *fixture_exchange(struct fixture *f, handler_fn handler, const char *method, const char *target);

/* Runs what is ready until nothing is. */
void fixture_run(struct fixture *f);

/* Body bytes arrive. */
void fixture_body(struct fixture *f, const char *text);

/* [task] A start with these fields (name, value, ..., NULL). */
int fixture_start(casgi_send_t *send, int status, ...);
int fixture_body_event(casgi_send_t *send, const char *text, bool more_body);
