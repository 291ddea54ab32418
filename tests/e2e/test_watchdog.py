"""The watchdog: who holds up the loop is named while it does, with its place, and is not disturbed by that."""

import json
import os
import threading
import unittest

import support
from stacks import SOURCE, line_of, require_stacks
from support import Server, build_module, replace_file, wait_until


class Watchdog(support.TestCase):
    ARGUMENTS = ("--slow-callback-duration", "50")

    def serve(self, *arguments):
        return Server(*(arguments or self.ARGUMENTS), build_module(self.folder, SOURCE), cwd=self.folder)

    def hold(self, server, path, pattern):
        """Asks for the path; the request holds up the loop at least until the log says so. Returns the response."""
        answers, begin = [], len(server.log)
        hold = os.path.join(self.folder, "hold")
        open(hold, "w").close()
        client = threading.Thread(target=lambda: answers.append(server.get(path, {"X-Request-ID": "called-so"})))
        client.start()
        try:
            server.wait_log(pattern, begin)
        finally:
            os.remove(hold)
            client.join(support.PATIENCE)
        return answers[0]

    def test_a_handler_that_sleeps_is_named_with_its_line_while_it_sleeps(self):
        require_stacks()
        with self.serve() as server:
            self.hold(server, "/sleep", r"sleep_on_the_loop at ")
            server.wait_log(r"WARNING: +\[called-so\] GET /sleep has held up the loop for \d+\.\d{3} s and is at$")
            server.wait_log(rf"WARNING: +\[called-so\]  +#\d+ +sleep_on_the_loop at app\.c:{line_of('here it sleeps')}$")
            server.wait_log(r"WARNING: +\[called-so\]  +#\d+ +answer at app\.c:\d+$")

    def test_a_handler_that_computes_is_named_with_its_line_while_it_computes(self):
        require_stacks()
        with self.serve() as server:
            self.hold(server, "/spin", r" spin_on_the_loop at app\.c:\d+$")
            server.wait_log(r"GET /spin has held up the loop for ")

    def test_a_sleep_is_not_shortened_and_nothing_of_it_is_left(self):
        with self.serve() as server:
            answer = self.hold(server, "/sleep", "GET /sleep has held up the loop")
            left, took = answer[2].decode().split()
            self.assertEqual(left, "0")
            self.assertGreaterEqual(int(took), 1000)

    def test_the_end_says_how_long_it_took_in_all(self):
        with self.serve() as server:
            self.hold(server, "/sleep", "GET /sleep has held up the loop")
            line = server.wait_log(r"\[called-so\] GET /sleep held up the loop for ")
            self.assertGreaterEqual(float(line.split(" for ")[1].split()[0]), 1.0)

    def test_each_time_is_reported_once(self):
        with self.serve() as server:
            for _ in range(2):
                self.hold(server, "/sleep", "GET /sleep has held up the loop")
            wait_until(lambda: server.text().count("GET /sleep held up the loop") == 2, "both ends in the log")
            self.assertEqual(server.text().count("GET /sleep has held up the loop"), 2)

    def test_who_gives_way_is_not_reported(self):
        with self.serve("--slow-callback-duration", "2000") as server:
            self.assertEqual(server.get("/wait")[0], 200)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("held up the loop", server.text())

    def test_it_is_off_by_default(self):
        with self.serve("--log-level", "info") as server:
            server.get("/sleep")
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("held up the loop", server.text())

    def test_it_is_on_with_reload(self):
        with self.serve("--reload") as server:
            self.hold(server, "/sleep", "GET /sleep has held up the loop")

    def test_with_reload_places_are_those_of_the_source(self):
        require_stacks()
        source = os.path.join(self.folder, "app.c")
        replace_file(source, SOURCE)
        with Server("--reload", source, cwd=self.folder) as server:
            self.hold(server, "/sleep", rf"sleep_on_the_loop at app\.c:{line_of('here it sleeps')}$")
            replace_file(source, "\n" + SOURCE)
            server.wait_log("Reloaded|reloaded")
            self.hold(server, "/sleep", rf"sleep_on_the_loop at app\.c:{line_of('here it sleeps') + 1}$")

    def test_zero_switches_it_off_with_reload(self):
        with self.serve("--reload", "--slow-callback-duration=0") as server:
            server.get("/sleep")
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("held up the loop", server.text())

    def test_as_json_each_line_is_an_object_with_the_request(self):
        with self.serve(*self.ARGUMENTS, "--log-format", "json") as server:
            self.hold(server, "/sleep", "GET /sleep has held up the loop")
            server.wait_log("GET /sleep held up the loop")
            self.assertEqual(server.stop(), 0)
            told = [json.loads(line) for line in server.log if "held up the loop" in line]
            self.assertEqual({line["request_id"] for line in told}, {"called-so"})
            self.assertEqual({line["level"] for line in told}, {"warning"})


if __name__ == "__main__":
    unittest.main()
