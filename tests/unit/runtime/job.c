#include "job.h"

struct job a = { "a", 10, 1 }, b = { "b", 20, 2 }, c = { "c", 30, 3 };
struct job bad = { "bad", 15, CASGI_EIO }, slow = { "slow", 1000, 4 };

static uint64_t began;

int setup_story(void **state)
{
    story_begin();
    return setup_loop(state);
}

int do_job(void *arg)
{
    const struct job *job = arg;
    int rc = casgi_sleep(job->milliseconds);
    if (rc) {
        story_tell(rc == CASGI_ECANCELED ? "-" : "!");
    }
    story_tell(job->word);
    return rc ? rc : job->result;
}

int refuse(void *arg)
{
    struct job *job = arg;
    if (casgi_sleep(job->milliseconds)) {
        (void)casgi_uncancel();
        (void)casgi_sleep(job->milliseconds);
    }
    story_tell(job->word);
    return job->result;
}

void began_now(void)
{
    began = loop_clock();
}

uint64_t elapsed(void)
{
    return (loop_clock() - began) / 1000;
}

void cancel_at(struct loop *loop, struct task *task, uint64_t milliseconds)
{
    loop_advance(loop, milliseconds * 1000);
    task_cancel(task, CASGI_ECANCELED);
    settle(loop);
}
