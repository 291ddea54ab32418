"""Applications with CASGI_APP_BLOCKING: their calls run on threads and may block."""

import threading
import unittest

import support
from support import Server, TestCase

# /wait blocks in read() until /release writes. On the loop's thread nobody would ever be served again.
SOURCE = r"""
#include <casgi/casgi.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ends[2];
static pthread_t startup_thread;

static int lifespan(casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event, answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    int rc = casgi_receive(receive, &event);
    startup_thread = pthread_self();
    rc = rc ? rc : pipe(ends) ? CASGI_EIO : casgi_send(send, &answer);
    rc = rc ? rc : casgi_receive(receive, &event);
    answer.type = CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
    return rc ? rc : casgi_send(send, &answer);
}

static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    if (scope->type == CASGI_SCOPE_LIFESPAN)
        return lifespan(receive, send);
    if (strcmp(scope->path.ptr, "/wait") == 0) {
        char byte;
        return read(ends[0], &byte, 1) == 1 ? casgi_respond(send, 200, "text/plain", "released") : CASGI_EIO;
    }
    if (strcmp(scope->path.ptr, "/release") == 0)
        return write(ends[1], "x", 1) == 1 ? casgi_respond(send, 200, "text/plain", "done") : CASGI_EIO;
    if (strcmp(scope->path.ptr, "/place") == 0) {
        char text[64];
        snprintf(text, sizeof(text), "%d %d", casgi_sleep(0), pthread_equal(startup_thread, pthread_self()) != 0);
        return casgi_respond(send, 200, "text/plain", text);
    }
    casgi_str_t body;
    int rc = casgi_receive_body(receive, 10000000, &body);
    return rc ? rc : casgi_respond_bytes(send, 200, "text/plain", body.ptr, body.len);
}
CASGI_APP_WITH(handle, CASGI_APP_HTTP | CASGI_APP_LIFESPAN | CASGI_APP_BLOCKING)
"""


class Blocking(TestCase):
    def setUp(self):
        super().setUp()
        self.module = support.build_module(self.folder, SOURCE)

    def test_others_are_served_while_one_blocks(self):
        with Server(self.module) as server:
            answers = []
            waiting = threading.Thread(target=lambda: answers.append(server.get("/wait")[2]))
            waiting.start()
            self.assertEqual(server.get("/release")[2], b"done")
            waiting.join(support.PATIENCE)
            self.assertEqual(answers, [b"released"])

    def test_receive_and_send_work_from_the_thread(self):
        data = b"0123456789" * 50_000
        with Server(self.module) as server:
            self.assertEqual(server.request("POST", "/", data)[2], data)

    def test_it_runs_on_a_thread_and_what_suspends_says_so(self):
        with Server(self.module) as server:
            place, same = server.get("/place")[2].split()
            self.assertEqual(place, b"-8")  # CASGI_EWRONGTHREAD
            self.assertEqual(same, b"0")

    def test_its_lifespan_ends(self):
        with Server(self.module) as server:
            self.assertEqual(server.get("/place")[0], 200)
            self.assertEqual(server.stop(), 0)
            server.wait_log("Application shutdown complete")


if __name__ == "__main__":
    unittest.main()
