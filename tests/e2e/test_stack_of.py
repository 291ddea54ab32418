"""`casgi --stack-of PID`: where another process is."""

import os
import threading
import unittest

import support
from stacks import SOURCE, line_of, require_stacks
from support import Server, build_module, run, wait_until


class StackOf(support.TestCase):
    def test_a_handler_that_sleeps_is_named_with_its_line_and_sleeps_on(self):
        require_stacks()
        module = build_module(self.folder, SOURCE)
        with Server(module, cwd=self.folder) as server:
            answers = []
            open(os.path.join(self.folder, "hold"), "w").close()
            client = threading.Thread(target=lambda: answers.append(server.get("/sleep")))
            client.start()
            seen = wait_until(lambda: self.stack_with(server, "sleep_on_the_loop"), "the handler's stack")
            os.remove(os.path.join(self.folder, "hold"))
            client.join(support.PATIENCE)
        self.assertIn(f"sleep_on_the_loop at {self.file()}:{line_of('here it sleeps')}", seen)
        self.assertRegex(seen, r"(?m)^#\d+ +answer at ")
        left, took = answers[0][2].decode().split()
        self.assertEqual(left, "0")
        self.assertGreaterEqual(int(took), 1000)

    def file(self):
        return "app.c" if os.getcwd() == self.folder else os.path.join(self.folder, "app.c")

    def stack_with(self, server, function):
        code, text = run("--stack-of", f"{server.process.pid}:{server.process.pid}")
        self.assertEqual(code, 0, text)
        return text if function in text else None

    def test_a_server_that_waits_is_in_its_loop_and_serves_on(self):
        require_stacks()
        with Server(support.example("hello")) as server:
            code, text = run("--stack-of", str(server.process.pid))
            self.assertEqual(code, 0, text)
            self.assertRegex(text, r"(?m)^#\d+ +\w+ at .*/runtime/loop\.c:\d+$")
            self.assertRegex(text, r"(?m)^#\d+ +main at .*main\.c:\d+$")
            self.assertEqual(server.get("/")[0], 200)

    def test_what_is_no_process_is_told(self):
        for word in ("", "x", "12x", "12:", "0", "-1"):
            for arguments in (("--stack-of", word), ("--stack-of=" + word,)):
                code, text = run(*arguments)
                self.assertEqual((code, "needs the number of a process" in text), (2, True), (arguments, text))
        self.assertEqual(run("--stack-of")[0], 2)

    def test_a_process_that_does_not_exist_is_told(self):
        require_stacks()
        code, text = run("--stack-of", str(2**30))
        self.assertEqual(code, 1)
        self.assertIn("No such process", text)


if __name__ == "__main__":
    unittest.main()
