/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
/* Each allocation fails in turn: a code, a sentence, nothing leaked, and afterwards everything works. */
#include "files.h"

#include "module/elf.h"
#include "module/lifespan.h"
#include "module/loader.h"
#include "module/resolve.h"
#include "runtime/task.h"
#include "support/allocations.h"

#include <stdlib.h>
#include <string.h>

/* Runs `attempt` with its first, second, ... allocation failing, until none failed: then it must succeed. */
static void fail_each(int (*attempt)(casgi_error_t *error))
{
    int rounds = 0;
    do {
        casgi_error_t error = { 0 };
        allocations_fail_at(++rounds);
        int rc = attempt(&error);
        allocations_suffice();
        assert_int_equal(rc, allocations_failed() ? CASGI_ENOMEM : 0);
        assert_true(!allocations_failed() || error.message[0] != '\0');
        assert_true(rounds < 10000);
    } while (allocations_failed());
    assert_true(rounds > 1);
}

static int read_elf(casgi_error_t *error)
{
    struct elf_info info = { 0 };
    int rc = elf_read(GOOD, NULL, &info, error);
    elf_info_release(&info);
    return rc;
}

static void test_memory__reading_a_file(void **state)
{
    (void)state;
    fail_each(read_elf);
}

static int open_and_create(casgi_error_t *error)
{
    struct module *module = NULL;
    casgi_app_t *app = NULL;
    uint32_t flags = 0;
    int rc = module_open(GOOD, NULL, &module, error);
    rc = rc ? rc : module_create(module, NULL, 0, NULL, &app, &flags, error);
    module_close_all();
    return rc;
}

static void test_memory__loading_and_making(void **state)
{
    (void)state;
    fail_each(open_and_create);
}

static int resolve(casgi_error_t *error)
{
    struct resolved resolved;
    int rc = resolve_app("hello.so:admin", &resolved, error);
    if (rc == 0) {
        resolved_release(&resolved);
    }
    return rc;
}

static void test_memory__resolving(void **state)
{
    (void)state;
    fail_each(resolve);
}

static void on_told(void *data, int code, const char *message)
{
    (void)message;
    *(int *)data = code;
}

static int complete(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event, answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    (void)self, (void)scope;
    int rc = casgi_receive(receive, &event);
    return rc ? rc : casgi_send(send, &answer);
}

static void test_memory__starting_a_lifespan(void **state)
{
    (void)state;
    casgi_app_t app = { .call = complete };
    const struct loop_options loop_options = { .fake_clock = true };
    struct loop *loop = NULL;
    int code = 1;
    const struct lifespan_options options = {
        .app = &app,
        .app_flags = CASGI_APP_LIFESPAN,
        .on_started = on_told,
        .on_stopped = on_told,
        .data = &code,
    };
    assert_int_equal(loop_new(&loop_options, &loop), 0);
    struct lifespan *lifespan = NULL;
    int rounds = 0;
    int rc;
    do {
        allocations_fail_at(++rounds);
        rc = lifespan_start(loop, &options, &lifespan);
        allocations_suffice();
        assert_int_equal(rc, allocations_failed() ? CASGI_ENOMEM : 0);
    } while (rc);
    for (int i = 0; i < 10; i++) {
        (void)loop_turn(loop, false);
    }
    assert_int_equal(code, 0);
    lifespan_free(lifespan);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__reading_a_file),
        cmocka_unit_test(test_memory__loading_and_making),
        cmocka_unit_test(test_memory__resolving),
        cmocka_unit_test(test_memory__starting_a_lifespan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
