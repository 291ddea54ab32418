"""What a process finds where it is started: signals that are ignored or blocked, a pipe for its messages that nobody reads."""

import contextlib
import os
import signal
import subprocess
import sys
import unittest

import support
from support import BIN, PATIENCE, Server, TestCase, accepts, build_module, example, replace_file, wait_until

HELLO = example("hello")

# Some init scripts and runners ignore SIGCHLD, which means to be told of no child's end, or block signals.
STRANGE = f"""#!{sys.executable}
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD])
os.execv({BIN!r}, [{BIN!r}, *sys.argv[1:]])
"""

ANSWER = """
#include <casgi/casgi.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)receive;
    if (scope->path.ptr[1] == 'c') {
        __builtin_trap();
    }
    if (scope->path.ptr[1] == 'w') {
        for (;;) {
            (void)casgi_sleep(10);
            casgi_uncancel();
        }
    }
    return casgi_respond(send, 200, "text/plain", "ok");
}
CASGI_APP(answer)
"""


class StrangeSignals(TestCase):
    def setUp(self):
        super().setUp()
        self.program = os.path.join(self.folder, "start")
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(STRANGE)
        os.chmod(self.program, 0o700)
        self.source = os.path.join(self.folder, "app.c")
        replace_file(self.source, ANSWER)

    def serve(self, *arguments):
        return Server(*arguments, program=self.program, cwd=self.folder, env={"XDG_CACHE_HOME": self.folder})

    def test_a_source_is_compiled_and_served(self):
        with self.serve("app.c") as server:
            self.assertEqual(server.get()[2], b"ok")

    def test_a_signal_ends_it(self):
        with self.serve("app.c") as server:
            self.assertEqual(server.stop(), 0)

    def test_a_supervisor_hears_of_its_compiler_and_its_workers(self):
        with self.serve("app.c", "--reload") as server:
            wait_until(lambda: server.get()[2] == b"ok", "the answer")
            self.assertEqual(server.stop(), 0)


class FullPipe(TestCase):
    """Nobody reads what the process says, and nothing more goes in."""

    def setUp(self):
        super().setUp()
        self.socket = os.path.join(self.folder, "socket")

    @contextlib.contextmanager
    def serve(self, *arguments):
        there, here = os.pipe()
        os.set_blocking(here, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(here, b"x" * 4096)
        os.set_blocking(here, True)
        process = subprocess.Popen([BIN, *arguments, "--uds", self.socket], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=here, stderr=here, env={**os.environ, "XDG_CACHE_HOME": self.folder})
        try:
            os.close(here)
            wait_until(lambda: accepts(self.socket) or process.poll() is not None, "the socket")
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)
            os.close(there)

    def ask(self, path):
        """Sends a request; what comes is not looked at."""
        sock = support.socket.socket(support.socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(PATIENCE)
        sock.connect(self.socket)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return sock

    @unittest.skipIf(support.SANITIZE, "the sanitizers report crashes in their own way")
    def test_a_crash_ends_the_process(self):
        with self.serve(build_module(self.folder, ANSWER)) as process:
            self.ask("/crash")
            self.assertIn(process.wait(PATIENCE), (-signal.SIGILL, -signal.SIGTRAP))  # x86-64 and arm64

    def test_a_second_signal_ends_the_process(self):
        with self.serve(build_module(self.folder, ANSWER)) as process:
            self.ask("/wait")
            self.ask("/").recv(1)
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: not accepts(self.socket), "the shutdown")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE), 128 + signal.SIGTERM)

    def test_a_supervisor_goes_on_after_the_compilers_errors(self):
        source = os.path.join(self.folder, "app.c")
        replace_file(source, "this is no program\n" * 3)
        with self.serve("app.c", "--reload") as process:
            self.assertIn(b"503", self.ask("/").recv(1000))
            replace_file(source, ANSWER)
            wait_until(lambda: b" 200 " in self.ask("/").recv(1000), "the answer")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE), 0)


class FewDescriptors(TestCase):
    def test_with_too_few_to_start_it_says_so(self):
        for count in range(6, 13): # what each part of the loop needs first
            done = subprocess.run(["sh", "-c", f'ulimit -n {count}; exec "$0" "$@"', BIN, HELLO, "--port", "0"],
                                  capture_output=True, text=True, timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("The worker cannot start: Too many open files", done.stderr)


if __name__ == "__main__":
    unittest.main()
