/* link: -Wl,--wrap=crew_start */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/control.h"
#include "supervisor/artifact.h"
#include "supervisor/reload.h"

#include <signal.h>

/* The workers are only said to be there: no process is started. */
struct scene {
    struct crew crew;
    struct reload reload;
    struct member old;
    struct member fresh;
    struct artifact good;
};

static struct member started; /* what crew_start makes */
static unsigned starts;

int __wrap_crew_start(struct crew *crew, struct artifact *artifact, const char *text, unsigned generation,
                      struct member **out, casgi_error_t *error);
int __wrap_crew_start(struct crew *crew, struct artifact *artifact, const char *text, unsigned generation,
                      struct member **out, casgi_error_t *error)
{
    (void)crew, (void)text, (void)error;
    started =
        (struct member){ .artifact = artifact, .placeholder = !artifact, .generation = generation, .control = -1 };
    starts++;
    *out = &started;
    return 0;
}

static void scene_init(struct scene *scene)
{
    const struct reload_options options = { .path = "app.so" };
    *scene = (struct scene){ .old = { .control = -1 }, .fresh = { .control = -1 }, .good = { .lock = -1, .refs = 9 } };
    crew_init(&scene->crew, NULL, NULL, NULL, 0);
    reload_init(&scene->reload, &options, &scene->crew, NULL);
    starts = 0;
}

/* `old` hands over to `fresh`, which serves. */
static void scene_switched(struct scene *scene)
{
    scene_init(scene);
    scene->old.state = MEMBER_LEAVING;
    scene->fresh.state = MEMBER_SERVING;
    scene->fresh.artifact = &scene->good;
    scene->reload.slot.previous = &scene->old;
    scene->reload.slot.current = &scene->fresh;
    scene->reload.slot.good = &scene->good;
}

/* A placeholder is being started, and the module is to be tried again. */
static void scene_in_distress(struct scene *scene, uint64_t retry_at)
{
    scene_init(scene);
    scene->fresh.placeholder = true;
    scene->reload.slot.next = &scene->fresh;
    scene->reload.slot.good = &scene->good;
    scene->reload.slot.retry_at = retry_at;
}

static void tell(struct scene *scene, struct member *member, enum control_type type)
{
    const struct control_message message = { .type = type, .text = CASGI_STR("a reason") };
    reload_message(&scene->reload, member, &message);
}

static void test_reload__the_new_worker_may_die_before_the_old_one_has_handed_over(void **state)
{
    struct scene scene;
    (void)state;
    scene_switched(&scene);
    reload_worker_exited(&scene.reload, &scene.fresh, SIGSEGV);
    tell(&scene, &scene.old, CONTROL_HANDED_OVER);
    assert_null(scene.reload.slot.previous);
    (void)reload_tick(&scene.reload, UINT64_MAX / 2);
    assert_int_equal(starts, 1);
}

static void test_reload__both_workers_may_die_during_the_handing_over(void **state)
{
    struct scene scene;
    (void)state;
    scene_switched(&scene);
    reload_worker_exited(&scene.reload, &scene.fresh, SIGSEGV);
    reload_worker_exited(&scene.reload, &scene.old, SIGSEGV);
    assert_null(scene.reload.slot.previous);
}

static void test_reload__what_is_to_be_tried_again_waits_for_a_slow_placeholder(void **state)
{
    struct scene scene;
    (void)state;
    scene_in_distress(&scene, 1000);
    assert_true(reload_tick(&scene.reload, 2000) > 2000); /* not yet, and not forgotten */
    assert_int_equal(starts, 0);
    tell(&scene, &scene.fresh, CONTROL_READY);
    (void)reload_tick(&scene.reload, UINT64_MAX / 2);
    assert_int_equal(starts, 1);
    assert_ptr_equal(started.artifact, &scene.good);
}

static void test_reload__a_placeholder_that_is_killed_is_replaced(void **state)
{
    struct scene scene;
    (void)state;
    scene_init(&scene);
    scene.fresh.placeholder = true;
    scene.reload.slot.current = &scene.fresh;
    reload_worker_exited(&scene.reload, &scene.fresh, SIGKILL);
    assert_int_equal(starts, 1);
    assert_true(started.placeholder);
    assert_ptr_equal(scene.reload.slot.next, &started);
}

/* `fresh` serves, and asks for a successor while the worker of a new save, `old`, is starting. */
static void test_reload__a_worker_that_retires_is_replaced_also_after_a_failed_save(void **state)
{
    struct scene scene;
    (void)state;
    scene_switched(&scene);
    scene.reload.slot.previous = NULL;
    scene.old.state = MEMBER_LEAVING; /* so that nobody is told of its failure */
    scene.reload.slot.next = &scene.old;
    tell(&scene, &scene.fresh, CONTROL_RETIRE);
    (void)reload_tick(&scene.reload, UINT64_MAX / 4);
    assert_int_equal(starts, 0);
    tell(&scene, &scene.old, CONTROL_FAILED);
    (void)reload_tick(&scene.reload, UINT64_MAX / 2);
    assert_int_equal(starts, 1);
    assert_ptr_equal(started.artifact, &scene.good);
}

static void test_reload__a_successor_that_fails_is_tried_again(void **state)
{
    struct scene scene;
    (void)state;
    scene_switched(&scene);
    scene.reload.slot.previous = NULL;
    tell(&scene, &scene.fresh, CONTROL_RETIRE);
    (void)reload_tick(&scene.reload, UINT64_MAX / 4);
    assert_int_equal(starts, 1);
    started.state = MEMBER_LEAVING;
    tell(&scene, &started, CONTROL_FAILED);
    (void)reload_tick(&scene.reload, UINT64_MAX / 2);
    assert_int_equal(starts, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reload__the_new_worker_may_die_before_the_old_one_has_handed_over),
        cmocka_unit_test(test_reload__both_workers_may_die_during_the_handing_over),
        cmocka_unit_test(test_reload__a_worker_that_retires_is_replaced_also_after_a_failed_save),
        cmocka_unit_test(test_reload__a_successor_that_fails_is_tried_again),
        cmocka_unit_test(test_reload__a_placeholder_that_is_killed_is_replaced),
        cmocka_unit_test(test_reload__what_is_to_be_tried_again_waits_for_a_slow_placeholder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
