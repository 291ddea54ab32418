"""How a server dies: of its signal, after it has said of what, in which request, and where."""

import signal
import unittest

import support
from stacks import SOURCE, line_of, require_stacks
from support import Server, build_module


@unittest.skipIf(support.SANITIZE, "the sanitizers report crashes in their own way")
class Crash(support.TestCase):
    def crash(self, path):
        """What the server has said, and which signal it died of."""
        module = build_module(self.folder, SOURCE)
        with Server(module, cwd=self.folder) as server:
            begin = len(server.log)
            self.assertEqual(server.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()), b"")
            code = server.wait()
            return server.log[begin:], -code

    def place(self, text):
        return f"app.c:{line_of(text)}"  # its folder is the server's current one

    def test_an_invalid_access_is_reported_with_its_request(self):
        log, number = self.crash("/crash")
        self.assertEqual(number, signal.SIGSEGV)
        self.assertRegex(log[0], r"^casgi: crash by SIGSEGV .* at 0x8 in task request while handling GET /crash ")

    def test_an_invalid_access_is_named_with_its_line(self):
        require_stacks()
        log, number = self.crash("/crash")
        self.assertEqual(number, signal.SIGSEGV)
        self.assertRegex(log[1], r"^thread \d+ of process \d+$")
        self.assertRegex(log[2], rf"^#0 +write_to_nowhere at {self.place('here it dies')}$")
        self.assertRegex(log[3], r"^#1 +answer at ")

    def test_an_abort_is_named_with_who_called_it(self):
        require_stacks()
        log, number = self.crash("/abort")
        self.assertEqual(number, signal.SIGABRT)
        self.assertIn("crash by SIGABRT (abort)", log[0])
        self.assertTrue(any("answer at " in line for line in log[1:]), log)

    def test_an_overflow_of_the_stack_is_reported_with_the_function_that_calls_itself(self):
        require_stacks()
        log, number = self.crash("/recurse")
        self.assertEqual(number, signal.SIGSEGV)
        self.assertRegex(log[0], r"stack overflow in task request while handling GET /recurse .*--stack-size")
        self.assertIn("recurse at ", log[2])
        self.assertTrue(any(f"recurse at {self.place('here it goes down')}" in line for line in log[2:]), log)
        self.assertTrue(any(" times more" in line for line in log[2:]), log)
        self.assertTrue(any("answer at " in line for line in log[2:]), log)


if __name__ == "__main__":
    unittest.main()
