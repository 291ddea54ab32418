#include "support.h"

#include "runtime/threads.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

/* ---- results ---- */

static int give(void *arg)
{
    return *(int *)arg;
}

static int give_five(void *arg)
{
    int five = 5;
    (void)arg;
    return casgi_to_thread(give, &five);
}

static void test_threads__the_caller_gets_the_result(void **state)
{
    assert_int_equal(run_task(*state, give_five, NULL), 5);
}

static int store_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 0;
}

static int run_store_thread(void *arg)
{
    return casgi_to_thread(store_thread, arg);
}

static void test_threads__a_job_runs_on_another_thread(void **state)
{
    pthread_t thread = pthread_self();
    assert_int_equal(run_task(*state, run_store_thread, &thread), 0);
    assert_false(pthread_equal(thread, pthread_self()));
}

static void test_threads__outside_of_a_task_it_is_refused(void **state)
{
    (void)state;
    assert_int_equal(casgi_to_thread(give, NULL), CASGI_EWRONGTHREAD);
}

/* ---- jobs that wait for the test ---- */

struct job {
    sem_t go;
    _Atomic bool begun;
    _Atomic bool over;
    _Atomic int check; /* what thread_check said at its end */
    _Atomic bool freed;
    int rc;
    int result;
};

static struct job *job_new(void)
{
    struct job *job = calloc(1, sizeof(*job));
    assert_non_null(job);
    sem_init(&job->go, 0, 0);
    return job;
}

static int wait_for_go(void *arg)
{
    struct job *job = arg;
    job->begun = true;
    sem_wait(&job->go);
    job->check = casgi_thread_check();
    job->over = true;
    return 3;
}

static int run_job(void *arg)
{
    struct job *job = arg;
    job->rc = casgi_to_thread(wait_for_go, job);
    return job->rc;
}

static casgi_task_t *start(casgi_task_fn_t fn, void *arg)
{
    casgi_task_t *task = NULL;
    return casgi_create_task(fn, arg, "job", &task) ? NULL : task;
}

static int let_go_while_it_waits(void *arg)
{
    struct job *job = arg;
    casgi_task_t *task = start(run_job, job);
    int rc = yield_until(&job->begun); /* the loop turns meanwhile */
    sem_post(&job->go);
    return rc ? rc : join(task);
}

static void test_threads__the_loop_runs_others_meanwhile(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, let_go_while_it_waits, job), 3);
    free(job);
}

static int run_two_at_once(void *arg)
{
    struct job **jobs = arg;
    casgi_task_t *a = start(run_job, jobs[0]), *b = start(run_job, jobs[1]);
    int rc = yield_until(&jobs[0]->begun);
    rc = rc ? rc : yield_until(&jobs[1]->begun);
    sem_post(&jobs[0]->go);
    sem_post(&jobs[1]->go);
    return join(a) + join(b) + rc;
}

static void test_threads__jobs_run_at_the_same_time(void **state)
{
    struct job *jobs[] = { job_new(), job_new() };
    assert_int_equal(run_task(*state, run_two_at_once, jobs), 6);
    free(jobs[0]);
    free(jobs[1]);
}

/* ---- cancellation ---- */

static int cancel_running(void *arg)
{
    struct job *job = arg;
    casgi_task_t *task = start(run_job, job);
    int rc = yield_until(&job->begun);
    rc = rc ? rc : casgi_cancel(task);
    rc = rc ? rc : casgi_sleep(1);
    bool over_before = job->over;
    sem_post(&job->go);
    job->result = join(task);
    return over_before ? -100 : rc;
}

static void test_threads__cancelled_while_it_runs_it_returns_when_the_job_is_done(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, cancel_running, job), 0);
    assert_true(job->over);
    assert_int_equal(job->result, CASGI_ECANCELED);
    free(job);
}

static void test_threads__a_job_can_ask_whether_it_was_cancelled(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, cancel_running, job), 0);
    assert_int_equal(job->check, CASGI_ECANCELED);
    free(job);
}

static void test_threads__a_job_that_is_waited_for_hears_no_cancellation(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, let_go_while_it_waits, job), 3);
    assert_int_equal(job->check, 0);
    free(job);
}

static int cancel_queued(void *arg)
{
    struct job **jobs = arg;
    casgi_task_t *busy = start(run_job, jobs[0]);
    int rc = yield_until(&jobs[0]->begun);
    casgi_task_t *queued = start(run_job, jobs[1]);
    rc = rc ? rc : casgi_sleep(1);
    rc = rc ? rc : casgi_cancel(queued);
    jobs[1]->result = join(queued); /* returns though the thread is still busy */
    sem_post(&jobs[0]->go);
    return rc ? rc : join(busy);
}

static void test_threads__cancelled_before_it_begins_a_job_never_runs(void **state)
{
    struct job *jobs[] = { job_new(), job_new() };
    thread_limit(*state, THREAD_JOBS, 1);
    assert_int_equal(run_task(*state, cancel_queued, jobs), 3);
    assert_int_equal(jobs[1]->result, CASGI_ECANCELED);
    assert_false(jobs[1]->begun);
    free(jobs[0]);
    free(jobs[1]);
}

static int wait_with_deadline(void *arg)
{
    struct job **jobs = arg;
    casgi_deadline_t deadline;
    casgi_task_t *busy = start(run_job, jobs[0]);
    int rc = yield_until(&jobs[0]->begun);
    rc = rc ? rc : casgi_deadline_begin(&deadline, 1);
    jobs[1]->result = casgi_to_thread(wait_for_go, jobs[1]);
    int ended = casgi_deadline_end(&deadline);
    sem_post(&jobs[0]->go);
    rc = rc ? rc : join(busy);
    return rc == 3 ? ended : rc;
}

static void test_threads__a_deadline_ends_the_wait_for_a_thread(void **state)
{
    struct job *jobs[] = { job_new(), job_new() };
    thread_limit(*state, THREAD_JOBS, 1);
    assert_int_equal(run_task(*state, wait_with_deadline, jobs), CASGI_ETIMEDOUT);
    assert_int_equal(jobs[1]->result, CASGI_ETIMEDOUT);
    free(jobs[0]);
    free(jobs[1]);
}

static int call_when_cancelled(void *arg)
{
    struct job *job = arg;
    int rc = casgi_cancel((casgi_task_t *)(void *)task_current());
    job->result = casgi_to_thread(wait_for_go, job);
    return rc;
}

static void test_threads__a_cancelled_task_begins_no_job(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, call_when_cancelled, job), 0);
    assert_int_equal(job->result, CASGI_ECANCELED);
    assert_false(job->begun);
    free(job);
}

/* ---- owned jobs ---- */

static void note_freed(void *arg)
{
    struct job *job = arg;
    job->freed = true;
}

static int run_owned(void *arg)
{
    struct job *job = arg;
    job->rc = casgi_to_thread_owned(wait_for_go, job, note_freed, &job->result);
    return job->rc;
}

static int let_owned_go(void *arg)
{
    struct job *job = arg;
    sem_post(&job->go);
    return run_owned(job);
}

static void test_threads__an_owned_argument_comes_back_with_the_result(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, let_owned_go, job), 0);
    assert_int_equal(job->result, 3);
    assert_false(job->freed);
    free(job);
}

static int abandon(void *arg)
{
    struct job *job = arg;
    casgi_task_t *task = start(run_owned, job);
    int rc = yield_until(&job->begun);
    rc = rc ? rc : casgi_cancel(task);
    int joined = join(task);
    bool freed_before = job->freed;
    sem_post(&job->go);
    rc = rc ? rc : yield_until(&job->freed);
    return freed_before ? -100 : rc ? rc : joined;
}

static void test_threads__an_abandoned_job_frees_its_argument_when_it_is_done(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, abandon, job), CASGI_ECANCELED);
    assert_true(job->over);
    assert_int_equal(job->check, CASGI_ECANCELED);
    free(job);
}

static int cancel_queued_owned(void *arg)
{
    struct job **jobs = arg;
    casgi_task_t *busy = start(run_job, jobs[0]);
    int rc = yield_until(&jobs[0]->begun);
    casgi_task_t *queued = start(run_owned, jobs[1]);
    rc = rc ? rc : casgi_sleep(1);
    rc = rc ? rc : casgi_cancel(queued);
    (void)join(queued);
    bool freed = jobs[1]->freed;
    sem_post(&jobs[0]->go);
    rc = rc ? rc : join(busy);
    return freed ? rc : -100;
}

static void test_threads__an_owned_job_that_never_begins_frees_its_argument_at_once(void **state)
{
    struct job *jobs[] = { job_new(), job_new() };
    thread_limit(*state, THREAD_JOBS, 1);
    assert_int_equal(run_task(*state, cancel_queued_owned, jobs), 3);
    assert_int_equal(jobs[1]->rc, CASGI_ECANCELED);
    assert_false(jobs[1]->begun);
    free(jobs[0]);
    free(jobs[1]);
}

static void test_threads__an_owned_argument_refused_is_freed(void **state)
{
    struct job *job = job_new();
    (void)state;
    assert_int_equal(casgi_to_thread_owned(wait_for_go, job, note_freed, NULL), CASGI_EWRONGTHREAD);
    assert_true(job->freed);
    free(job);
}

static int abandon_and_leave(void *arg)
{
    struct job *job = arg;
    casgi_task_t *task = start(run_owned, job);
    int rc = yield_until(&job->begun);
    rc = rc ? rc : casgi_cancel(task);
    return rc ? rc : join(task);
}

static void *post_later(void *arg)
{
    sem_post(&((struct job *)arg)->go);
    return NULL;
}

static void test_threads__the_end_of_the_loop_waits_for_abandoned_jobs(void **state)
{
    struct job *job = job_new();
    struct loop_options options = { 0 };
    struct loop *loop = NULL;
    pthread_t thread;
    (void)state;
    assert_int_equal(loop_new(&options, &loop), 0);
    assert_int_equal(run_task(loop, abandon_and_leave, job), CASGI_ECANCELED);
    assert_int_equal(pthread_create(&thread, NULL, post_later, job), 0);
    loop_free(loop);
    pthread_join(thread, NULL);
    assert_true(job->freed);
    free(job);
}

static void test_threads__an_abandoned_job_is_counted_until_it_has_ended(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, abandon_and_leave, job), CASGI_ECANCELED);
    assert_int_equal(thread_abandoned(*state), 1);
    sem_post(&job->go);
    thread_stop(*state);
    assert_int_equal(thread_abandoned(*state), 0);
    assert_true(job->freed);
    free(job);
}

static void test_threads__after_the_stop_no_job_begins(void **state)
{
    struct job *job = job_new();
    assert_int_equal(run_task(*state, let_owned_go, job), 0);
    thread_stop(*state);
    assert_int_equal(run_task(*state, run_owned, job), CASGI_ECLOSED);
    assert_true(job->freed);
    free(job);
}

/* ---- calls back into the task ---- */

struct call {
    struct job *job;
    struct task *task; /* in which the function ran */
    pthread_t thread;
    int suspended; /* what a suspending call in it gave */
    int rc;
    _Atomic bool in_task;
};

static int sleep_in_task(void *arg)
{
    struct call *call = arg;
    call->task = task_current();
    call->thread = pthread_self();
    call->in_task = true;
    call->suspended = casgi_sleep(1);
    return 42;
}

static int call_back(void *arg)
{
    struct call *call = arg;
    call->rc = casgi_from_thread(sleep_in_task, call);
    return call->rc == 42 ? 0 : -100;
}

static int job_that_calls(void *arg)
{
    int rc = casgi_to_thread(call_back, arg);
    struct call *call = arg;
    return rc ? rc : call->task == task_current() ? 0 : -101;
}

static void test_threads__a_job_calls_a_function_in_its_task(void **state)
{
    struct call call = { 0 };
    assert_int_equal(run_task(*state, job_that_calls, &call), 0);
    assert_int_equal(call.rc, 42);
    assert_true(pthread_equal(call.thread, pthread_self()));
}

static void test_threads__a_function_called_from_a_job_may_suspend(void **state)
{
    struct call call = { .suspended = -1 };
    assert_int_equal(run_task(*state, job_that_calls, &call), 0);
    assert_int_equal(call.suspended, 0);
}

static int call_back_often(void *arg)
{
    struct call *call = arg;
    for (int i = 0; i < 20; i++) {
        if (casgi_from_thread(sleep_in_task, call) != 42) {
            return -100 - i;
        }
    }
    return 0;
}

static int job_that_calls_often(void *arg)
{
    return casgi_to_thread(call_back_often, arg);
}

static void test_threads__a_job_may_call_many_times(void **state)
{
    struct call call = { 0 };
    assert_int_equal(run_task(*state, job_that_calls_often, &call), 0);
}

static int call_after_cancel(void *arg)
{
    struct call *call = arg;
    (void)wait_for_go(call->job);
    return call_back(call);
}

static int job_that_calls_late(void *arg)
{
    return casgi_to_thread(call_after_cancel, arg);
}

static int cancel_then_call(void *arg)
{
    struct call *call = arg;
    casgi_task_t *task = start(job_that_calls_late, call);
    int rc = yield_until(&call->job->begun);
    rc = rc ? rc : casgi_cancel(task);
    rc = rc ? rc : casgi_sleep(1);
    sem_post(&call->job->go);
    return rc ? rc : join(task);
}

static void test_threads__in_a_cancelled_task_a_called_function_cannot_wait(void **state)
{
    struct call call = { .job = job_new() };
    assert_int_equal(run_task(*state, cancel_then_call, &call), CASGI_ECANCELED);
    assert_int_equal(call.rc, 42);
    assert_int_equal(call.suspended, CASGI_ECANCELED);
    free(call.job);
}

static int owned_call(void *arg)
{
    struct call *call = arg;
    return casgi_to_thread_owned(call_after_cancel, call->job ? call : NULL, NULL, NULL);
}

static int call_of_abandoned(void *arg)
{
    struct call *call = arg;
    casgi_task_t *task = start(owned_call, call);
    int rc = yield_until(&call->job->begun);
    rc = rc ? rc : casgi_cancel(task);
    (void)join(task);
    sem_post(&call->job->go);
    return rc;
}

static void test_threads__an_abandoned_job_can_call_nobody(void **state)
{
    struct call call = { .job = job_new() };
    struct loop_options options = { 0 };
    struct loop *loop = NULL;
    (void)state;
    assert_int_equal(loop_new(&options, &loop), 0);
    assert_int_equal(run_task(loop, call_of_abandoned, &call), 0);
    loop_free(loop); /* the call may come before, during or after: it is answered */
    assert_int_equal(call.rc, CASGI_ECANCELED);
    assert_false(call.in_task);
    free(call.job);
}

static void test_threads__a_call_outside_of_a_job_is_refused(void **state)
{
    struct call call = { 0 };
    (void)state;
    assert_int_equal(casgi_from_thread(sleep_in_task, &call), CASGI_EWRONGTHREAD);
    assert_int_equal(casgi_thread_check(), CASGI_EWRONGTHREAD);
    assert_false(call.in_task);
}

static int sleep_on_thread(void *arg)
{
    (void)arg;
    return casgi_sleep(1);
}

static int run_sleep_on_thread(void *arg)
{
    return casgi_to_thread(sleep_on_thread, arg);
}

static void test_threads__a_suspending_call_on_a_thread_is_refused(void **state)
{
    assert_int_equal(run_task(*state, run_sleep_on_thread, NULL), CASGI_EWRONGTHREAD);
}

/* ---- kinds ---- */

static int run_blocking(void *arg)
{
    int result = 0;
    int rc = thread_run(THREAD_BLOCKING, give, arg, &result);
    return rc ? rc : result;
}

static int blocking_beside_busy(void *arg)
{
    struct job *job = arg;
    int seven = 7;
    casgi_task_t *busy = start(run_job, job);
    int rc = yield_until(&job->begun);
    rc = rc ? rc : run_blocking(&seven);
    sem_post(&job->go);
    (void)join(busy);
    return rc;
}

static void test_threads__busy_jobs_hold_no_blocking_handler_up(void **state)
{
    struct job *job = job_new();
    thread_limit(*state, THREAD_JOBS, 1);
    assert_int_equal(run_task(*state, blocking_beside_busy, job), 7);
    free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_threads__the_caller_gets_the_result),
        WORLD_TEST(test_threads__a_job_runs_on_another_thread),
        WORLD_TEST(test_threads__outside_of_a_task_it_is_refused),
        WORLD_TEST(test_threads__the_loop_runs_others_meanwhile),
        WORLD_TEST(test_threads__jobs_run_at_the_same_time),
        WORLD_TEST(test_threads__cancelled_while_it_runs_it_returns_when_the_job_is_done),
        WORLD_TEST(test_threads__a_job_can_ask_whether_it_was_cancelled),
        WORLD_TEST(test_threads__a_job_that_is_waited_for_hears_no_cancellation),
        WORLD_TEST(test_threads__cancelled_before_it_begins_a_job_never_runs),
        WORLD_TEST(test_threads__a_deadline_ends_the_wait_for_a_thread),
        WORLD_TEST(test_threads__a_cancelled_task_begins_no_job),
        WORLD_TEST(test_threads__an_owned_argument_comes_back_with_the_result),
        WORLD_TEST(test_threads__an_abandoned_job_frees_its_argument_when_it_is_done),
        WORLD_TEST(test_threads__an_owned_job_that_never_begins_frees_its_argument_at_once),
        WORLD_TEST(test_threads__an_owned_argument_refused_is_freed),
        WORLD_TEST(test_threads__the_end_of_the_loop_waits_for_abandoned_jobs),
        WORLD_TEST(test_threads__an_abandoned_job_is_counted_until_it_has_ended),
        WORLD_TEST(test_threads__after_the_stop_no_job_begins),
        WORLD_TEST(test_threads__a_job_calls_a_function_in_its_task),
        WORLD_TEST(test_threads__a_function_called_from_a_job_may_suspend),
        WORLD_TEST(test_threads__a_job_may_call_many_times),
        WORLD_TEST(test_threads__in_a_cancelled_task_a_called_function_cannot_wait),
        WORLD_TEST(test_threads__an_abandoned_job_can_call_nobody),
        WORLD_TEST(test_threads__a_call_outside_of_a_job_is_refused),
        WORLD_TEST(test_threads__a_suspending_call_on_a_thread_is_refused),
        WORLD_TEST(test_threads__busy_jobs_hold_no_blocking_handler_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
