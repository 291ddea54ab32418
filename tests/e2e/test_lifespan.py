"""The lifespan: when the application is told of start and shutdown, what its answers do, and the state it leaves to requests.
(test_process.py has the plain cases, test_apps.py that of several modules.)"""

import os
import re
import signal
import tempfile
import unittest

import support
from served import build
from support import Server, wait_until
from wire import Connection, get

# As `while True: await receive()`, ported without a look at any code.
NEVER_HEEDS = """
#include <casgi/casgi.h>
static int app(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    casgi_event_t event = CASGI_EVENT_INIT(0);
    while (scope->type == CASGI_SCOPE_LIFESPAN) {
        (void)casgi_receive(receive, &event);
        casgi_event_t answer = CASGI_EVENT_INIT(event.type + 1);
        (void)casgi_send(send, &answer);
    }
    return casgi_respond(send, 200, "text/plain", "x");
}
CASGI_APP_WITH(app, CASGI_APP_HTTP | CASGI_APP_LIFESPAN)
"""

# The same with a look: what receive says after the last answer is returned.
HEEDS = NEVER_HEEDS.replace("(void)casgi_receive(receive, &event);", "int rc = casgi_receive(receive, &event); if (rc) { return rc; }")

GOOD = ("receive", "complete", "receive", "complete")


class Lifespan(support.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.module = build(folder.name, "lifespan")

    def serve(self, *steps, options=(), app="", **how):
        return Server(*options, self.module + app, "--", *steps, cwd=self.folder, **how)

    def assert_fails(self, *steps, options=(), sentence):
        code, text = support.run(*options, self.module, "--port", "0", "--", *steps, cwd=self.folder)
        self.assertEqual(code, 3, text)
        self.assertRegex(text, "Application startup failed.*" + sentence)
        self.assertNotIn("running on", text)

    def touch(self, name):
        with open(os.path.join(self.folder, name), "w", encoding="ascii"):
            pass

    def assert_order(self, server, *texts):
        """Each text is in one line of the log, in this order."""
        places = [[i for i, line in enumerate(server.log) if text in line] for text in texts]
        self.assertEqual([len(place) for place in places], [1] * len(texts), server.text())
        self.assertEqual(sorted(places), places, server.text())

    def test_the_scope_is_of_its_kind(self): # B94
        with self.serve(*GOOD) as server:
            server.wait_log("scope lifespan 3.0 2.0 state=yes method=none headers=0")

    def test_serving_begins_after_startup_and_shutdown_comes_after_serving(self): # B95 B100
        with self.serve(*GOOD) as server:
            self.assertEqual(server.get("/x")[2], b"none 0")
            self.assertEqual(server.stop(), 0)
            self.assert_order(server, "Waiting for application startup.", "step receive lifespan.startup",
                              "Application startup complete.", "running on", '"GET /x', "Shutting down",
                              "Waiting for application shutdown.", "step receive lifespan.shutdown",
                              "Application shutdown complete.")

    def test_nobody_is_served_before_the_startup_is_complete(self): # B95
        with self.serve("receive", "wait:go", "complete", "receive", "complete", wait=False) as server:
            server.wait_log("step receive lifespan.startup")
            self.assertNotIn("running on", server.text())
            self.touch("go")
            server.wait_ready()
            self.assertEqual(server.get("/x")[0], 200)

    def test_a_failed_startup_gives_its_message_and_exit_code_3(self): # B96
        self.assert_fails("receive", "failed:no tea", sentence="no tea")
        self.assert_fails("receive", "failed:", sentence="the application gave no reason")

    def test_a_failed_startup_may_return_an_error_too(self): # B101
        self.assert_fails("receive", "failed:no tea", "result:-17", sentence="no tea")

    def test_an_error_at_startup_is_never_taken_for_not_supported(self): # B97, DESIGN 2.2
        self.assert_fails("receive", "result:-17", sentence="the application reported a failure")
        self.assert_fails("receive", sentence="returned without lifespan.startup.complete")

    def test_not_supported_is_tolerated_in_auto_and_no_shutdown_follows(self): # B97
        with self.serve("result:-9") as server:
            self.assertEqual(server.get("/x")[0], 200)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("lifespan.shutdown", server.text())

    def test_an_application_without_the_flag_is_never_told(self): # B97
        with self.serve(*GOOD, app=":plain") as server:
            self.assertEqual(server.get("/x")[0], 200)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("scope lifespan", server.text())

    def test_not_supported_is_fatal_in_on(self): # B98
        self.assert_fails("result:-9", options=("--lifespan", "on"), sentence="not supported")

    def test_off_is_off(self): # B99
        with self.serve(*GOOD, options=("--lifespan", "off")) as server:
            self.assertEqual(server.get("/x")[0], 200)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("scope lifespan", server.text())

    def test_shutdown_waits_for_the_last_connection_and_the_process_for_its_answer(self): # B100
        with self.serve("receive", "complete", "receive", "wait:go", "complete") as server, Connection(server) as connection:
            connection.send(get("/x"))
            self.assertEqual(connection.response().status, 200)
            connection.send(b"GET /y HTTP/1.1\r\n") # a request that has begun
            server.process.send_signal(signal.SIGTERM)
            server.wait_log("Shutting down")
            self.assertNotIn("lifespan.shutdown", server.text())
            connection.send(b"Host: a\r\n\r\n")
            self.assertEqual(connection.response().get("connection"), "close")
            connection.close()
            server.wait_log("step receive lifespan.shutdown")
            self.assertIsNone(server.process.poll())
            self.touch("go")
            self.assertEqual(server.wait(), 0)

    def test_a_failed_shutdown_gives_its_message_and_another_code(self): # B101
        for more in ((), ("result:-17",)):
            with self.serve("receive", "complete", "receive", "failed:the tea is cold", *more) as server:
                self.assertEqual(server.stop(), 1)
                self.assertIn("Application shutdown failed: the tea is cold", server.text())

    def test_the_state_is_in_each_request_as_a_copy_of_its_own(self): # B15 B102
        with self.serve("receive", "set:k=v", "set:other=w", "complete", "receive") as server:
            self.assertEqual([server.get("/k")[2] for _ in range(3)], [b"v 1", b"v 2", b"v 3"]) # replaced, but not for others
            self.assertEqual(server.get("/other")[2], b"w 1")
            self.assertEqual(server.get("/absent")[2], b"none 0")

    def test_returning_after_the_startup_does_not_end_serving(self): # B103
        with self.serve("receive", "set:k=v", "complete") as server:
            server.wait_log("step complete: success")
            self.assertEqual(server.get("/k")[2], b"v 1")
            self.assertEqual(server.stop(), 0)

    def test_each_worker_has_one(self): # B104
        with self.serve(*GOOD, options=("--reload",)) as server:
            self.assertEqual(server.get("/x")[0], 200)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: server.text().count("step receive lifespan.shutdown") == 1, "the first worker's shutdown")
            self.assertEqual(server.get("/x")[0], 200)
            self.assertEqual(server.stop(), 0)
            self.assertEqual([server.text().count(f"step receive lifespan.{which}") for which in ("startup", "shutdown")], [2, 2])

    def test_events_out_of_order_are_refused(self):
        with self.serve("complete", "receive", "complete", "complete", "receive", "complete") as server:
            self.assertEqual(server.stop(), 0)
            results = [line.split("step complete: ")[1] for line in server.log if "step complete: " in line]
            self.assertEqual(results, ["this event is not allowed now", "success", "this event is not allowed now", "success"])

    def test_a_signal_during_the_startup_ends_it(self):
        with self.serve("receive", "wait:never", "complete", wait=False) as server:
            server.wait_log("step receive lifespan.startup")
            server.stop()
            server.wait_log("step wait:never: the task was cancelled")
            self.assertNotIn("running on", server.text())

    def test_a_shutdown_that_hangs_is_left(self):
        options = ("--timeout-graceful-shutdown", "0.1", "--timeout-cleanup", "0.1")
        with self.serve("receive", "complete", "receive", "hang", options=options) as server:
            self.assertEqual(server.stop(), 1)
            self.assertIn("still runs: lifespan", server.text())

    def test_one_that_heeds_nothing_is_named_and_left(self): # DESIGN 2.9
        options = ("--timeout-graceful-shutdown", "0.1", "--timeout-cleanup", "0.1")
        with Server(support.build_module(self.folder, NEVER_HEEDS), *options) as server:
            self.assertEqual(server.get("/x")[0], 200)
            self.assertEqual(server.stop(), 1)
            self.assertIn("still runs: lifespan", server.text())

    def test_one_may_return_that_nothing_follows_mounted_or_not(self):
        module = support.build_module(self.folder, HEEDS)
        for arguments, path in (((module,), "/"), (("mount", "--", f"/a={module}"), "/a/")):
            with Server(*arguments) as server:
                self.assertEqual(server.get(path)[0], 200)
                self.assertEqual(server.stop(), 0)
                self.assertIn("Application shutdown complete", server.text())

    def test_a_mounted_one_that_heeds_nothing_is_named_and_left(self):
        options = ("--timeout-graceful-shutdown", "0.1", "--timeout-cleanup", "0.1")
        with Server(*options, "mount", "--", "/a=" + support.build_module(self.folder, NEVER_HEEDS)) as server:
            self.assertEqual(server.get("/a/")[0], 200)
            self.assertEqual(server.stop(), 1)
            self.assertIn("mounted lifespan still runs", server.text())

    def test_create_may_refuse(self):
        for arguments in ((self.module, "--port", "0"), (self.module + ":plain", "--port", "0")):
            code, text = support.run(*arguments, "--", "refuse:the pot is empty")
            self.assertEqual(code, 4, text)
            self.assertIn("could not be made: the pot is empty", text)


if __name__ == "__main__":
    unittest.main()
