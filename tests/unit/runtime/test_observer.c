/* Observers of tasks are told when one runs and when it leaves off. */
#include "runtime/task.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

struct diary {
    struct task_observer observer;
    char text[512];
};

static void note(struct diary *diary, const char *what, const struct task *task, const char *more)
{
    size_t length = strlen(diary->text);
    (void)snprintf(diary->text + length, sizeof(diary->text) - length, "%s %s%s\n", what, task_name(task), more);
}

static void on_run(struct task_observer *self, struct task *task)
{
    char more[32];
    (void)snprintf(more, sizeof(more), " after %s", task_wait_name(task_last_wait(task)));
    note((struct diary *)(void *)self, "run", task, more);
}

static void on_leave(struct task_observer *self, struct task *task)
{
    char more[32];
    (void)snprintf(more, sizeof(more), "%s%s", task_ended(task) ? " ended" : " for ",
                   task_ended(task) ? "" : task_wait_name(task_waiting_for(task)));
    note((struct diary *)(void *)self, "leave", task, more);
}

static void observe(struct loop *loop, struct diary *diary)
{
    memset(diary, 0, sizeof(*diary));
    diary->observer = (struct task_observer){ .on_run = on_run, .on_leave = on_leave };
    task_observe(loop, &diary->observer);
}

static int sleep_10(void *arg)
{
    (void)arg;
    return casgi_sleep(10);
}

static int parent_of_sleeper(void *arg)
{
    casgi_task_t *task;
    (void)arg;
    int rc = casgi_create_task(sleep_10, NULL, "child", &task);
    return rc ? rc : casgi_join(task, NULL);
}

static const struct task_options named = { .name = "parent" };

static void run_to_end(struct loop *loop, int (*fn)(void *arg))
{
    struct task *task;
    assert_int_equal(task_start(loop, fn, NULL, &named, &task), 0);
    loop_advance(loop, 1000000);
}

static void test_observer__is_told_of_each_run_and_what_follows_it(void **state)
{
    struct diary diary;
    observe(*state, &diary);
    run_to_end(*state, parent_of_sleeper);
    task_unobserve(*state, &diary.observer);
    assert_string_equal(diary.text, "run parent after nothing\n"
                                    "leave parent for task\n"
                                    "run child after nothing\n"
                                    "leave child for timer\n"
                                    "run child after timer\n"
                                    "leave child ended\n"
                                    "run parent after task\n"
                                    "leave parent ended\n");
}

static void test_observer__hears_nothing_once_it_is_taken_out(void **state)
{
    struct diary first, second;
    observe(*state, &first);
    observe(*state, &second);
    task_unobserve(*state, &first.observer);
    run_to_end(*state, sleep_10);
    task_unobserve(*state, &second.observer);
    task_unobserve(*state, &second.observer);
    run_to_end(*state, sleep_10);
    assert_string_equal(first.text, "");
    assert_string_equal(second.text, "run parent after nothing\n"
                                     "leave parent for timer\n"
                                     "run parent after timer\n"
                                     "leave parent ended\n");
}

static uint64_t serial_of_child, serial_of_parent;

static int look(void *arg)
{
    const struct task *task = task_current(), *parent = task_parent(task);
    (void)arg;
    serial_of_child = task_serial(task);
    serial_of_parent = parent ? task_serial(parent) : 0;
    *task_note(task_current()) += 7;
    return (int)*task_note(task_current());
}

static int parent_of_looker(void *arg)
{
    casgi_task_t *task;
    int result = 0, *serial_is_parents = arg;
    int rc = casgi_create_task(look, NULL, "child", &task);
    rc = rc ? rc : casgi_join(task, &result);
    *serial_is_parents = serial_of_parent == task_serial(task_current()) && serial_of_child != serial_of_parent;
    return rc ? rc : result;
}

static void test_observer__tasks_have_a_number_a_parent_and_a_note(void **state)
{
    int is_parents = 0;
    assert_int_equal(run_task(*state, parent_of_looker, &is_parents), 7);
    assert_true(is_parents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_observer__is_told_of_each_run_and_what_follows_it),
        LOOP_TEST(test_observer__hears_nothing_once_it_is_taken_out),
        LOOP_TEST(test_observer__tasks_have_a_number_a_parent_and_a_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
