"""What the end of a process does about what belongs to no request: jobs on threads that nobody waits for any more
(casgi_to_thread_owned), tasks in the background."""

import os
import signal
import unittest

import support
from support import Server, TestCase, build_module

# GET /PATH leaves a job behind that runs until the file /PATH is there, and for a while longer, in the module's code and
# with the application's memory.
SOURCE = r"""
#include <casgi/casgi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct state { int rounds; _Atomic int begun; };
struct job { struct state *state; char gate[512]; };

static int work(void *arg)
{
    struct job *job = arg;
    job->state->begun = 1;
    while (access(job->gate, F_OK)) {
        job->state->rounds++;
        usleep(1000);
    }
    for (int i = 0; i < 300; i++) {
        job->state->rounds++;
        usleep(1000);
    }
    return 0;
}

static int leave(void *arg)
{
    return casgi_to_thread_owned(work, arg, free, NULL);
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)receive;
    struct job *job = calloc(1, sizeof(*job));
    struct state *state = self->data;
    casgi_task_t *task;
    int result = 0;
    job->state = state;
    strncpy(job->gate, scope->path.ptr, sizeof(job->gate) - 1);
    int rc = casgi_create_task(leave, job, "leave", &task);
    while (!rc && !state->begun) {
        rc = casgi_sleep(1);
    }
    rc = rc ? rc : casgi_cancel(task);
    rc = rc ? rc : casgi_join(task, &result);
    return rc ? rc : casgi_respond(send, 200, "text/plain", result == CASGI_ECANCELED ? "abandoned" : "done");
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    (void)host, (void)argc, (void)argv, (void)out_error;
    casgi_app_t *app = calloc(1, sizeof(*app));
    app->call = answer;
    app->data = calloc(1, sizeof(struct state));
    return app;
}

static void destroy(casgi_app_t *app)
{
    free(app->data);
    free(app);
}

static const casgi_app_record_t record = { "app", NULL, create, destroy, CASGI_APP_HTTP, 0, { 0 } };
CASGI_MODULE("jobs", "0", &record);
"""


# GET / begins a task that cleans up, waiting as it does so, when it is asked to end.
BACKGROUND = r"""
#include <casgi/casgi.h>

static int tidy(void *arg)
{
    (void)arg;
    int rc = casgi_sleep(1000000);
    casgi_log(CASGI_LOG_INFO, "asked to end: %s", casgi_strerror(rc));
    (void)casgi_uncancel();
    for (int i = 0; i < 10; i++) {
        rc = casgi_sleep(10);
        if (rc) {
            casgi_log(CASGI_LOG_INFO, "cut short");
            return rc;
        }
    }
    casgi_log(CASGI_LOG_INFO, "tidied up");
    return 0;
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    int rc = casgi_background(tidy, NULL, NULL, "tidy");
    return rc ? rc : casgi_respond(send, 200, "text/plain", "begun");
}
CASGI_APP(answer)
"""


class BackgroundAtEnd(TestCase):
    def test_a_task_is_asked_once_and_has_time_to_clean_up(self):
        with Server(build_module(self.folder, BACKGROUND)) as server:
            self.assertEqual(server.get()[2], b"begun")
            self.assertEqual(server.stop(), 0)
            self.assertIn("tidied up", server.text())


class JobsAtEnd(TestCase):
    def setUp(self):
        super().setUp()
        self.module = build_module(self.folder, SOURCE)
        self.gate = os.path.join(self.folder, "gate")

    def abandon(self, server):
        self.assertEqual(server.get(self.gate)[2], b"abandoned")

    def test_the_application_is_there_until_its_last_job_has_ended(self):
        with Server(self.module) as server:
            self.abandon(server)
            server.process.send_signal(signal.SIGTERM)
            server.wait_log("Shutting down")
            with open(self.gate, "wb"):
                pass
            self.assertEqual(server.wait(), 0)

    def test_a_job_that_does_not_end_is_not_waited_for_longer_than_a_task(self):
        with Server(self.module, "--timeout-graceful-shutdown", "0.2", "--timeout-cleanup", "0.2") as server:
            self.abandon(server)
            self.assertEqual(server.stop(), 1)
            self.assertRegex(server.text(), "1 job.* still run")

    def test_a_second_signal_ends_the_process_while_a_job_runs(self):
        with Server(self.module) as server:
            self.abandon(server)
            server.process.send_signal(signal.SIGTERM)
            server.wait_log("Shutting down")
            self.assertEqual(server.stop(), 128 + signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
