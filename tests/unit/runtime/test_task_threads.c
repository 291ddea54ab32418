/* The calls of casgi/tasks.h that also serve a job on a thread. */
#include "runtime/threads.h"
#include "support.h"

#include <string.h>

static char story[64];

static void tell(void *arg)
{
    memcpy(story + strlen(story), arg, strlen(arg) + 1);
}

static int alloc_and_defer(void *arg)
{
    char *bytes = casgi_alloc(1000);
    if (!bytes) {
        return CASGI_ENOMEM;
    }
    memset(bytes, 1, 1000);
    tell("job ");
    return casgi_defer(tell, arg);
}

struct job {
    int rc;
    int result;
    bool over;
};

static int run_job(void *arg)
{
    struct job *job = arg;
    job->rc = thread_run(THREAD_JOBS, alloc_and_defer, "deferred ", &job->result);
    tell("task ");
    return 0;
}

static void on_end(struct task *task, void *owner, int result)
{
    (void)task, (void)result;
    ((struct job *)owner)->over = true;
}

static void test_task_threads__a_job_allocates_and_defers_in_its_task(void **state)
{
    struct job job = { .result = 1 };
    struct task_options options = { .owner = &job, .on_end = on_end };
    story[0] = '\0';
    assert_int_equal(task_spawn(*state, run_job, &job, &options, NULL), 0);
    wait_for(*state, &job.over);
    assert_int_equal(job.rc, 0);
    assert_int_equal(job.result, 0);
    assert_string_equal(story, "job task deferred ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_task_threads__a_job_allocates_and_defers_in_its_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
