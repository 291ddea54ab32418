/* The timeline's file, on a fake clock. */
#include "observe/timeline.h"

#include "casgi/tasks.h"
#include "runtime/loop.h"
#include "runtime/task.h"
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct loop *loop;
static char folder[64], path[128], text[65536];

static int set_up(void **state)
{
    const struct loop_options options = { .fake_clock = true };
    (void)state;
    (void)snprintf(folder, sizeof(folder), "timeline-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/trace.json", folder);
    casgi_imports_.tasks = &task_interface;
    return loop_new(&options, &loop);
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    (void)unlink(path);
    return rmdir(folder);
}

static struct timeline *begin(uint64_t limit, bool replace)
{
    const struct timeline_options options = { .path = path, .limit = limit, .replace = replace };
    struct timeline *timeline;
    casgi_error_t error;
    assert_int_equal(timeline_open(loop, &options, &timeline, &error), 0);
    return timeline;
}

/* What the file holds, without the process's number. */
static const char *content(void)
{
    char pid[32];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    (void)snprintf(pid, sizeof(pid), "\"pid\":%d,", (int)getpid());
    for (char *at; (at = strstr(text, pid));) {
        memmove(at, at + strlen(pid), strlen(at + strlen(pid)) + 1);
    }
    return text;
}

/* Ends it, without its line in the log. */
static const char *end(struct timeline *timeline)
{
    log_take(CASGI_LOG_CRITICAL, false);
    timeline_close(timeline);
    (void)log_taken(STDERR_FILENO);
    return content();
}

static casgi_str_t describe(void *owner)
{
    return casgi_str(owner);
}

static int sleep_10(void *arg)
{
    (void)arg;
    return casgi_sleep(10);
}

static void start(int (*fn)(void *arg), const char *what)
{
    char *owner = (char *)(uintptr_t)what;
    const struct task_options options = { .name = "request", .describe = what ? describe : NULL, .owner = owner };
    struct task *task;
    assert_int_equal(task_start(loop, fn, NULL, &options, &task), 0);
}

#define PROCESS "[\n{\"ph\":\"M\",\"tid\":0,\"name\":\"process_name\",\"args\":{\"name\":\"casgi\"}}"
#define ROW(tid, name, parent)                                                                                       \
    ",\n{\"ph\":\"M\",\"tid\":" #tid ",\"name\":\"thread_name\",\"args\":{\"name\":\"" name "\",\"parent\":" #parent \
    "}}"
#define RUNNING(tid, ts, dur) \
    ",\n{\"ph\":\"X\",\"tid\":" #tid ",\"ts\":" #ts ",\"dur\":" #dur ",\"cat\":\"running\",\"name\":\"running\"}"
#define WAITING(tid, ts, dur, why)                                                                                   \
    ",\n{\"ph\":\"X\",\"tid\":" #tid ",\"ts\":" #ts ",\"dur\":" #dur ",\"cat\":\"waiting\",\"name\":\"waiting: " why \
    "\"}"
#define END "\n]\n"

static void test_timeline__without_tasks_it_is_a_whole_file(void **state)
{
    (void)state;
    assert_string_equal(end(begin(0, false)), PROCESS END);
}

static void test_timeline__a_task_that_sleeps_is_a_row_of_three_spans(void **state)
{
    (void)state;
    struct timeline *timeline = begin(0, false);
    loop_advance(loop, 7);
    start(sleep_10, "GET /x abc");
    loop_advance(loop, 20000);
    assert_string_equal(end(timeline), PROCESS ROW(1, "GET /x abc", 0) RUNNING(1, 7, 0) WAITING(1, 7, 10000, "timer")
                                           RUNNING(1, 10007, 0) END);
}

static void test_timeline__a_name_is_escaped(void **state)
{
    (void)state;
    struct timeline *timeline = begin(0, false);
    start(sleep_10, "GET /\"\\\n");
    loop_advance(loop, 20000);
    assert_non_null(strstr(end(timeline), "\"name\":\"GET /\\\"\\\\\\n\""));
}

static void test_timeline__a_task_that_works_for_no_request_has_its_name(void **state)
{
    (void)state;
    struct timeline *timeline = begin(0, false);
    start(sleep_10, NULL);
    loop_advance(loop, 20000);
    assert_non_null(strstr(end(timeline), ROW(1, "request", 0)));
}

static void test_timeline__who_still_waits_at_the_end_has_its_wait(void **state)
{
    (void)state;
    struct timeline *timeline = begin(0, false);
    start(sleep_10, "GET /x");
    loop_advance(loop, 3000);
    assert_string_equal(end(timeline), PROCESS ROW(1, "GET /x", 0) RUNNING(1, 0, 0) WAITING(1, 0, 3000, "timer") END);
    loop_advance(loop, 20000);
}

static void test_timeline__who_was_there_before_appears_with_its_next_run(void **state)
{
    (void)state;
    start(sleep_10, "GET /x");
    loop_advance(loop, 3000);
    struct timeline *timeline = begin(0, false);
    loop_advance(loop, 20000);
    assert_string_equal(end(timeline), PROCESS ROW(1, "GET /x", 0) RUNNING(1, 7000, 0) END);
}

static void test_timeline__it_is_in_the_file_after_a_quarter_of_a_second(void **state)
{
    (void)state;
    struct timeline *timeline = begin(0, false);
    start(sleep_10, "GET /x");
    loop_advance(loop, 240000);
    assert_string_equal(content(), "");
    loop_advance(loop, 10000);
    assert_string_equal(content(), PROCESS ROW(1, "GET /x", 0) RUNNING(1, 0, 0) WAITING(1, 0, 10000, "timer")
                                       RUNNING(1, 10000, 0));
    (void)end(timeline);
}

static int yield_much(void *arg)
{
    int rc = 0;
    (void)arg;
    for (int i = 0; !rc && i < 1000; i++) {
        rc = casgi_yield();
    }
    return rc;
}

static void test_timeline__it_never_outgrows_its_limit_and_is_whole(void **state)
{
    struct stat found;
    (void)state;
    log_take(CASGI_LOG_CRITICAL, false);
    struct timeline *timeline = begin(5000, false);
    start(yield_much, "GET /x");
    loop_advance(loop, 20000);
    timeline_close(timeline);
    (void)log_taken(STDERR_FILENO);
    assert_int_equal(stat(path, &found), 0);
    assert_in_range(found.st_size, 4800, 5000);
    size_t length = strlen(content());
    assert_string_equal(text + length - strlen("\"}" END), "\"}" END);
}

static void test_timeline__more_than_the_buffer_holds_arrives(void **state)
{
    (void)state;
    struct timeline *timeline = begin(0, false);
    for (int i = 0; i < 4; i++) {
        start(yield_much, "GET /x");
    }
    loop_advance(loop, 20000);
    struct stat found;
    (void)end(timeline);
    assert_int_equal(stat(path, &found), 0);
    assert_true(found.st_size > 600000);
}

static void test_timeline__a_replaced_file_is_a_new_one(void **state)
{
    (void)state;
    struct timeline *first = begin(0, false), *second = begin(0, true);
    start(sleep_10, "GET /x");
    loop_advance(loop, 20000);
    (void)end(first);
    assert_string_equal(content(), "");
    assert_non_null(strstr(end(second), "GET /x"));
}

static void test_timeline__a_folder_that_is_not_there_is_told(void **state)
{
    const struct timeline_options options = { .path = "none/none.json" };
    struct timeline *timeline;
    casgi_error_t error;
    (void)state;
    assert_int_equal(timeline_open(loop, &options, &timeline, &error), CASGI_ENOENT);
    assert_string_equal(error.message, "none/none.json cannot be written: No such file or directory");
}

#define TIMELINE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMELINE_TEST(test_timeline__without_tasks_it_is_a_whole_file),
        TIMELINE_TEST(test_timeline__a_task_that_sleeps_is_a_row_of_three_spans),
        TIMELINE_TEST(test_timeline__a_name_is_escaped),
        TIMELINE_TEST(test_timeline__a_task_that_works_for_no_request_has_its_name),
        TIMELINE_TEST(test_timeline__who_still_waits_at_the_end_has_its_wait),
        TIMELINE_TEST(test_timeline__who_was_there_before_appears_with_its_next_run),
        TIMELINE_TEST(test_timeline__it_is_in_the_file_after_a_quarter_of_a_second),
        TIMELINE_TEST(test_timeline__it_never_outgrows_its_limit_and_is_whole),
        TIMELINE_TEST(test_timeline__more_than_the_buffer_holds_arrives),
        TIMELINE_TEST(test_timeline__a_replaced_file_is_a_new_one),
        TIMELINE_TEST(test_timeline__a_folder_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
