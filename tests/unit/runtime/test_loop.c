#include "support.h"

#include <pthread.h>
#include <string.h>

static char story[64];

static void tell(const char *word)
{
    assert_true(strlen(story) + strlen(word) < sizeof(story));
    memcpy(story + strlen(story), word, strlen(word) + 1);
}

static int setup(void **state)
{
    story[0] = '\0';
    return setup_loop(state);
}

static void test_loop__current_is_the_threads_own(void **state)
{
    assert_ptr_equal(loop_current(), *state);
}

static void *look_for_loop(void *arg)
{
    *(struct loop **)arg = loop_current();
    return NULL;
}

static void test_loop__another_thread_has_none(void **state)
{
    pthread_t thread;
    struct loop *seen = *state;
    assert_int_equal(pthread_create(&thread, NULL, look_for_loop, &seen), 0);
    pthread_join(thread, NULL);
    assert_null(seen);
}

static void test_loop__the_fake_clock_stands_still(void **state)
{
    uint64_t before = loop_clock();
    loop_turn(*state, false);
    assert_int_equal(loop_clock(), before);
    loop_advance(*state, 123);
    assert_int_equal(loop_clock(), before + 123);
    assert_int_equal(loop_now(*state), before + 123);
}

/* ---- late ---- */

static int run_and_tell(void *arg)
{
    tell(arg);
    return 0;
}

static void tell_late(struct loop_late *late)
{
    (void)late;
    tell("late ");
}

static void test_loop__late_runs_after_the_ready_tasks(void **state)
{
    struct loop_late late = { .fn = tell_late };
    loop_late(*state, &late);
    assert_int_equal(task_spawn(*state, run_and_tell, "a ", NULL, NULL), 0);
    assert_int_equal(task_spawn(*state, run_and_tell, "b ", NULL, NULL), 0);
    loop_turn(*state, false);
    assert_string_equal(story, "a b late ");
}

static void test_loop__late_is_queued_once(void **state)
{
    struct loop_late late = { .fn = tell_late };
    list_init(&late.node);
    loop_late(*state, &late);
    loop_late(*state, &late);
    loop_turn(*state, false);
    loop_turn(*state, false);
    assert_string_equal(story, "late ");
}

static void test_loop__a_removed_late_does_not_run(void **state)
{
    struct loop_late late = { .fn = tell_late };
    loop_late(*state, &late);
    list_remove(&late.node);
    loop_turn(*state, false);
    assert_string_equal(story, "");
}

static struct loop_late second_late = { .fn = tell_late };

static void queue_second(struct loop_late *late)
{
    (void)late;
    tell("first ");
    loop_late(loop_current(), &second_late);
}

static void test_loop__late_queued_by_late_is_not_lost(void **state)
{
    struct loop_late late = { .fn = queue_second };
    loop_late(*state, &late);
    settle(*state);
    assert_string_equal(story, "first late ");
}

static struct task *parked;

static int park_and_tell(void *arg)
{
    int rc = task_park(TASK_WAIT_WAITER);
    tell(arg);
    return rc;
}

static void wake_parked(struct loop_late *late)
{
    (void)late;
    tell("late ");
    task_wake(parked);
}

static void test_loop__a_task_woken_by_late_runs_before_the_poll(void **state)
{
    struct loop_late late = { .fn = wake_parked };
    assert_int_equal(task_start(*state, park_and_tell, "woken ", NULL, &parked), 0);
    loop_late(*state, &late);
    loop_turn(*state, false);
    assert_string_equal(story, "late woken ");
}

/* ---- posts ---- */

struct note {
    struct loop_post post;
    const char *word;
    bool done;
};

static void read_note(struct loop_post *post)
{
    struct note *note = LIST_ENTRY(post, struct note, post);
    tell(note->word);
    note->done = true;
}

static void test_loop__posts_run_in_order(void **state)
{
    struct note one = { { NULL, read_note }, "one ", false }, two = { { NULL, read_note }, "two ", false };
    loop_post(*state, &one.post);
    loop_post(*state, &two.post);
    settle(*state);
    assert_string_equal(story, "one two ");
}

static void *post_from_thread(void *arg)
{
    void **args = arg;
    loop_post(args[0], args[1]);
    return NULL;
}

static void test_loop__a_post_from_a_thread_wakes_the_poll(void **state)
{
    struct note note = { { NULL, read_note }, "posted ", false };
    void *args[] = { *state, &note.post };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post_from_thread, args), 0);
    wait_for(*state, &note.done);
    pthread_join(thread, NULL);
    assert_string_equal(story, "posted ");
}

static void test_loop__free_runs_what_was_posted(void **state)
{
    struct loop_options options = { 0 };
    struct note note = { { NULL, read_note }, "posted ", false };
    struct loop *loop;
    (void)state;
    story[0] = '\0';
    assert_int_equal(loop_new(&options, &loop), 0);
    loop_post(loop, &note.post);
    loop_free(loop);
    assert_string_equal(story, "posted ");
}

/* ---- parts ---- */

static void free_first(void *data)
{
    tell(data);
}

static void test_loop__parts_are_freed_last_set_first(void **state)
{
    struct loop_options options = { 0 };
    struct loop *loop;
    (void)state;
    story[0] = '\0';
    assert_int_equal(loop_new(&options, &loop), 0);
    assert_null(loop_part(loop, LOOP_PART_THREADS));
    loop_set_part(loop, LOOP_PART_THREADS, "threads ", free_first);
    loop_set_part(loop, LOOP_PART_FDWATCH, "fds ", free_first);
    assert_string_equal(loop_part(loop, LOOP_PART_THREADS), "threads ");
    loop_free(loop);
    assert_string_equal(story, "fds threads ");
}

/* ---- running ---- */

static int stop_loop(void *arg)
{
    int rc = casgi_sleep(1);
    loop_stop(arg);
    return rc;
}

static void test_loop__run_ends_by_stop(void **state)
{
    struct loop_options options = { 0 };
    struct loop *loop;
    (void)state;
    assert_int_equal(loop_new(&options, &loop), 0);
    casgi_imports_.tasks = &task_interface;
    assert_int_equal(task_spawn(loop, stop_loop, loop, NULL, NULL), 0);
    loop_run(loop);
    assert_int_equal(task_count(loop), 0);
    loop_free(loop);
}

static int spin(void *arg)
{
    bool *stop = arg;
    while (!*stop) {
        int rc = task_yield();
        if (rc) {
            return rc;
        }
    }
    return 0;
}

/* Two tasks that keep each other ready must not keep the loop from polling. */
static void test_loop__polls_although_tasks_stay_ready(void **state)
{
    struct note note = { { NULL, read_note }, "posted ", false };
    void *args[] = { *state, &note.post };
    pthread_t thread;
    bool stop = false;
    assert_int_equal(task_spawn(*state, spin, &stop, NULL, NULL), 0);
    assert_int_equal(task_spawn(*state, spin, &stop, NULL, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, post_from_thread, args), 0);
    wait_for(*state, &note.done);
    pthread_join(thread, NULL);
    stop = true;
    settle(*state);
}

static void test_loop__turn_says_whether_something_is_left(void **state)
{
    bool stop = false;
    assert_false(loop_turn(*state, false));
    assert_int_equal(task_spawn(*state, spin, &stop, NULL, NULL), 0);
    assert_true(loop_turn(*state, false));
    stop = true;
    assert_false(loop_turn(*state, false));
}

static void test_loop__scratch_has_its_size(void **state)
{
    memset(loop_scratch(*state), 1, LOOP_SCRATCH_SIZE);
    assert_int_equal(loop_scratch(*state)[LOOP_SCRATCH_SIZE - 1], 1);
}

#define LOOP_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_CASE(test_loop__current_is_the_threads_own),
        LOOP_CASE(test_loop__another_thread_has_none),
        LOOP_CASE(test_loop__the_fake_clock_stands_still),
        LOOP_CASE(test_loop__late_runs_after_the_ready_tasks),
        LOOP_CASE(test_loop__late_is_queued_once),
        LOOP_CASE(test_loop__a_removed_late_does_not_run),
        LOOP_CASE(test_loop__late_queued_by_late_is_not_lost),
        LOOP_CASE(test_loop__a_task_woken_by_late_runs_before_the_poll),
        LOOP_CASE(test_loop__posts_run_in_order),
        LOOP_CASE(test_loop__a_post_from_a_thread_wakes_the_poll),
        cmocka_unit_test(test_loop__free_runs_what_was_posted),
        cmocka_unit_test(test_loop__parts_are_freed_last_set_first),
        cmocka_unit_test(test_loop__run_ends_by_stop),
        LOOP_CASE(test_loop__polls_although_tasks_stay_ready),
        LOOP_CASE(test_loop__turn_says_whether_something_is_left),
        LOOP_CASE(test_loop__scratch_has_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
