/* link: -lcurl -lssl -lcrypto */
/* When the task that drives libcurl ends. */
#include "support.h"

#include "peer.h"

#include <casgi/kit/http.h>

#include <stdio.h>
#include <unistd.h>

enum { PATIENCE = 30000 }; /* ms */

static struct {
    struct peer peer;
    casgi_fetch_client_t *client;
    atomic_bool asked; /* the server has a request, which it does not answer */
} test;

static void serve_nothing(int fd, void *arg)
{
    char request[4096];
    (void)arg;
    while (read(fd, request, sizeof(request)) > 0) {
        test.asked = true;
    }
}

static int setup(void **state)
{
    test.asked = false;
    int rc = setup_kit(state);
    peer_start(&test.peer, serve_nothing, NULL);
    return rc;
}

static int teardown(void **state)
{
    peer_stop(&test.peer);
    return teardown_kit(state);
}

static int fetch(void *arg)
{
    char url[64];
    casgi_error_t error;
    casgi_fetch_response_t *response = NULL;
    (void)arg;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", test.peer.port);
    const casgi_fetch_request_t request = { .url = url };
    int rc = casgi_fetch(test.client, &request, &response, &error);
    casgi_fetch_free(response);
    return rc;
}

static void cancel_driver(struct task *task, void *arg)
{
    (void)arg;
    if (task_is_background(task)) {
        task_cancel(task, CASGI_ECANCELED);
    }
}

/* Whether nobody else is left. */
static int wait_alone(void)
{
    for (int i = 0; i < PATIENCE && task_count(loop_current()) > 1; i++) {
        (void)casgi_sleep(1);
    }
    return task_count(loop_current()) == 1 ? 0 : CASGI_EBUSY;
}

/* As a worker does that stops: the driver is asked first, and once. */
static int cancel_both(void *arg)
{
    casgi_fetch_options_t options = { .proxy = "" };
    casgi_error_t error;
    (void)arg;
    assert_int_equal(casgi_fetch_client_new(&options, &test.client, &error), 0);
    casgi_task_t *task = start(fetch, NULL);
    assert_int_equal(yield_until(&test.asked), 0);
    task_for_each(loop_current(), cancel_driver, NULL);
    (void)casgi_sleep(1);
    (void)casgi_cancel(task);
    assert_int_equal(join(task), CASGI_ECANCELED);
    int rc = wait_alone();
    casgi_fetch_client_free(test.client);
    return rc ? wait_alone() + rc : 0;
}

static void test_driver__one_that_was_cancelled_ends_with_the_last_request(void **state)
{
    assert_int_equal(run_task(*state, cancel_both, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_driver__one_that_was_cancelled_ends_with_the_last_request, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
