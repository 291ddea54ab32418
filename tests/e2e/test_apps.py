"""The ready-made applications: inspect, mount. And how they are found."""

import json
import os
import unittest

import support
from support import Server, TestCase, example


class Inspect(TestCase):
    def ask(self, server, path="/", method="GET", body=None, headers=None):
        return json.loads(server.request(method, path, body, headers)[2])

    def test_it_tells_the_scope(self):
        with Server("inspect") as server:
            scope = self.ask(server, "/a%20b/?x=%20", headers={"X-One": "1"})["scope"]
            self.assertEqual((scope["type"], scope["method"], scope["path"], scope["raw_path"], scope["query_string"]),
                             ("http", "GET", "/a b/", "/a%20b/", "x=%20"))
            self.assertIn(["x-one", "1"], scope["headers"])
            self.assertEqual(scope["server"], ["127.0.0.1", server.port])
            self.assertEqual(scope["asgi"], {"version": "3.0", "spec_version": "2.5"})

    def test_every_byte_of_the_body_is_told(self):
        data = bytes(range(256))
        with Server("inspect") as server:
            event = self.ask(server, "/", "POST", data)["received"][0]
            self.assertEqual((event["type"], event["body_bytes"], event["more_body"]), ("http.request", 256, False))
            self.assertEqual(event["body"].encode("latin-1"), data)

    def test_a_large_body_is_counted_not_shown(self):
        with Server("inspect") as server:
            answer = self.ask(server, "/", "POST", b"x" * 1_000_000)
            self.assertEqual(answer["body_bytes"], 1_000_000)
            self.assertLessEqual(sum(len(event.get("body", "")) for event in answer["received"]), 65536)

    def test_it_answers_as_asked(self):
        with Server("inspect") as server:
            status, headers, body = server.get("/?status=418&body_bytes=30&piece_bytes=7&header=x-b:%20yes")
            self.assertEqual((status, headers["x-b"].strip()), (418, "yes"))
            self.assertEqual(body, b"abcdefghijklmnopqrstuvwxyzabcd")

    def test_it_receives_as_asked(self):
        with Server("inspect") as server:
            self.assertEqual(self.ask(server, "/?receive=none", "POST", b"abc")["received"], [])
            received = self.ask(server, "/?receive=1", "POST", b"abc")["received"]
            self.assertEqual([event["body"] for event in received], ["abc"])

    def test_what_happened_can_be_recalled(self):
        with Server("inspect") as server:
            server.get("/?keep=mine&after=2")
            kept = self.ask(server, "/?recall=mine")
            self.assertEqual([event["type"] for event in kept["received"]],
                             ["http.request", "http.disconnect", "http.disconnect"])
            self.assertEqual([event["result"] for event in kept["sent"]], ["OK", "OK"])
            self.assertEqual(server.get("/?recall=other")[0], 404)

    def test_each_request_has_a_copy_of_the_state(self):
        with Server("inspect") as server:
            self.assertEqual(self.ask(server, "/?set_state=1")["scope"]["state"], {"lifespan": True, "request": True})
            self.assertEqual(self.ask(server)["scope"]["state"], {"lifespan": True, "request": False})

    def test_faults_are_made_as_asked(self):
        with Server("inspect") as server:
            for fault in ("return", "error", "two_starts", "body_first"):
                self.assertEqual(server.get("/?fault=" + fault)[0], 500, fault)
            self.assertEqual(server.get("/?fault=unknown_event")[0], 200)
            self.assertEqual(server.get("/?fault=teapot")[0], 400)


FAILING = r"""
#include <casgi/casgi.h>
static int app(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    casgi_event_t event;
    if (scope->type != CASGI_SCOPE_LIFESPAN)
        return casgi_respond(send, 200, "text/plain", "never");
    int rc = casgi_receive(receive, &event);
    casgi_event_t answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_FAILED);
    answer.lifespan_failed.message = casgi_str("no tea");
    return rc ? rc : casgi_send(send, &answer);
}
CASGI_APP_WITH(app, CASGI_APP_HTTP | CASGI_APP_LIFESPAN)
"""

# Says in the log when its lifespan begins and ends.
TALKING = r"""
#include <casgi/casgi.h>
static int app(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    casgi_event_t event;
    if (scope->type != CASGI_SCOPE_LIFESPAN)
        return casgi_respond(send, 200, "text/plain", NAME);
    casgi_event_t answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    int rc = casgi_receive(receive, &event);
    casgi_log(CASGI_LOG_INFO, "lifespan: " NAME " up");
    rc = rc ? rc : casgi_send(send, &answer);
    rc = rc ? rc : casgi_receive(receive, &event);
    casgi_log(CASGI_LOG_INFO, "lifespan: " NAME " down");
    answer.type = CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
    return rc ? rc : casgi_send(send, &answer);
}
CASGI_APP_WITH(app, CASGI_APP_HTTP | CASGI_APP_LIFESPAN)
"""


SEVERAL = """
#include <casgi/casgi.h>

#define APP(name)                                                                                                       \\
    static int name(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)        \\
    {                                                                                                                   \\
        (void)self, (void)scope, (void)receive;                                                                         \\
        return casgi_respond(send, 200, "text/plain", #name);                                                           \\
    }                                                                                                                   \\
    CASGI_APP_RECORD(record_##name, #name, name, CASGI_APP_HTTP);
APP(one)
APP(admin)
CASGI_MODULE("several", "1", &record_one, &record_admin);
"""


class Mount(TestCase):
    def scope(self, server, path):
        return json.loads(server.get(path)[2])["scope"]

    def talking(self, name):
        return support.build_module(self.folder, f'#define NAME "{name}"\n' + TALKING, name)

    def test_the_longest_prefix_wins(self):
        with Server("mount", "--", "/a=" + example("state"), "/a/b=" + example("hello"),
                    "/=" + example("middleware")) as server:
            self.assertEqual(server.get("/a")[2], b"You are visitor 1.\n")
            self.assertEqual(server.get("/a/c")[2], b"You are visitor 2.\n")
            self.assertEqual(server.get("/a/b/c")[2], b"Hello, World!")
            self.assertEqual(server.get("/ab")[2], b"Hello from inside\n")

    def test_what_is_under_no_prefix_is_a_404(self):
        with Server("mount", "--", "/a=" + example("hello")) as server:
            self.assertEqual(server.get("/a")[0], 200)
            self.assertEqual(server.get("/")[0], 404)
            self.assertEqual(server.get("/ab")[0], 404)

    def test_root_path_grows_and_path_stays(self):
        with Server("mount", "--", "/in=inspect") as server:
            scope = self.scope(server, "/in/x%20y?q")
            self.assertEqual((scope["root_path"], scope["path"], scope["raw_path"]), ("/in", "/in/x y", "/in/x%20y"))

    def test_it_works_below_a_root_path(self):
        with Server("--root-path", "/v1", "mount", "--", "/in=inspect") as server:
            scope = self.scope(server, "/in/x")
            self.assertEqual((scope["root_path"], scope["path"]), ("/v1/in", "/v1/in/x"))

    def test_one_of_several_applications_is_chosen(self):
        module = support.build_module(self.folder, SEVERAL, "several")
        with Server("mount", "--", f"/b={module}:admin", f"/c={module}:one") as server:
            self.assertEqual((server.get("/b")[2], server.get("/c")[2]), (b"admin", b"one"))

    def test_two_mounts_of_one_module_have_states_of_their_own(self):
        with Server("mount", "--", "/a=" + example("state"), "/b=" + example("state")) as server:
            self.assertEqual(server.get("/a")[2], b"You are visitor 1.\n")
            self.assertEqual(server.get("/a")[2], b"You are visitor 2.\n")
            self.assertEqual(server.get("/b")[2], b"You are visitor 1.\n")

    def test_lifespans_start_in_order_and_end_in_reverse(self):
        with Server("mount", "--", "/x=" + self.talking("one"), "/long=" + self.talking("two"),
                    "/hello=" + example("hello")) as server:
            self.assertEqual(server.get("/x")[2], b"one")
            self.assertEqual(server.stop(), 0)
            said = [line.rsplit("lifespan: ", 1)[1] for line in server.log if "lifespan: " in line]
            self.assertEqual(said, ["one up", "two up", "two down", "one down"])

    def test_one_failed_startup_fails_all_and_ends_the_others(self):
        failing = support.build_module(self.folder, FAILING, "failing")
        code, text = support.run("mount", "--port", "0", "--", "/x=" + self.talking("one"), "/bad=" + failing)
        self.assertEqual(code, 3)
        self.assertIn(f"/bad/ ({failing}): no tea", text)
        self.assertIn("lifespan: one down", text)

    def test_mistakes_are_a_sentence_and_a_4(self):
        hello = example("hello")
        for words, part in [([], "nothing to mount"), (["x=y"], "is not of the form /PREFIX=MODULE"),
                            (["/a=" + hello, "/a/=" + hello], "/a/ is given twice"),
                            (["/a=absent.so"], "absent.so: there is no such file"),
                            (["/a=" + hello + ":x"], "has no application called x; it has: app")]:
            code, text = support.run("mount", "--port", "0", "--", *words)
            self.assertEqual(code, 4, text)
            self.assertIn(part, text)


class Finding(TestCase):
    def test_the_path_comes_first(self):
        os.symlink(example("hello"), os.path.join(self.folder, "inspect.so"))
        with Server("inspect", env={"CASGI_APP_PATH": self.folder}) as server:
            self.assertEqual(server.get("/")[2], b"Hello, World!")

    def test_a_slip_is_asked_about(self):
        code, text = support.run("inspec")
        self.assertEqual(code, 4)
        self.assertIn("did you mean inspect?", text)

    def test_check_knows_them(self):
        code, text = support.run("check", "mount", "--", "/a=" + example("hello"))
        self.assertEqual(code, 0, text)
        self.assertIn("needs interfaces: casgi.modules/1 casgi.tasks/1", text)


if __name__ == "__main__":
    unittest.main()
