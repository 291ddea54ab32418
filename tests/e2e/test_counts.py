"""What a request costs in calls: after a warm-up no malloc or free, and at most two system calls beside epoll_wait."""

import mmap
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import support
from served import APPS
from support import Server, example, wait_until
from wire import Connection, get, post

WARM_UP, ROUNDS = 300, 1000
PLAIN = get("/plain?q=1", "User-Agent: test", "Accept: */*")
BROWSER = get("/plain", *(f"X-Field-{i}: {'v' * 40}" for i in range(12)))


def ask(connection, data, times, at_once=1):
    for _ in range(times):
        connection.send(data * at_once)
        for _ in range(at_once):
            if connection.response().status != 200:
                raise AssertionError("not a 200")


@unittest.skipIf(support.SANITIZE, "sanitizers have an allocator of their own")
class Allocations(support.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.counter = os.path.join(folder.name, "count.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", cls.counter, os.path.join(APPS, "count.c")], check=True)

    def calls(self, app, data, at_once=1, options=(), connections=1):
        """How often the allocator was called during ROUNDS requests (times at_once) after the warm-up."""
        path = os.path.join(self.folder, "count")
        with open(path, "wb") as file:
            file.write(bytes(4096))
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ) as page:
            def count():
                return int.from_bytes(page[:8], "little")
            with Server(*options, app, env={"LD_PRELOAD": self.counter, "COUNT_FILE": path}) as server:
                clients = [Connection(server) for _ in range(connections)]
                for client in clients:
                    ask(client, data, WARM_UP, at_once)
                begin = count()
                self.assertGreater(begin, 0) # it does count
                for client in clients:
                    ask(client, data, ROUNDS // connections, at_once)
                made = count() - begin
                for client in clients:
                    client.close()
                return made

    def test_a_plain_request_makes_none(self):
        for options in (("--no-access-log",), ()):
            self.assertEqual(self.calls(example("hello"), PLAIN, options=options), 0, options)

    def test_pipelined_requests_make_none(self):
        self.assertEqual(self.calls(example("hello"), PLAIN, at_once=16), 0)

    def test_requests_of_many_fields_make_none(self):
        self.assertEqual(self.calls(example("hello"), BROWSER), 0)

    def test_requests_on_several_connections_make_none(self):
        self.assertEqual(self.calls(example("hello"), PLAIN, connections=20), 0)

    def test_a_post_echoed_makes_none(self):
        for size in (100, 20_000):
            self.assertEqual(self.calls(example("echo"), post("/", b"x" * size)), 0, size)

    def test_posts_that_wait_for_one_another_make_none(self):
        for size in (100, 20_000, 65_536):
            self.assertEqual(self.calls(example("echo"), post("/", b"x" * size), at_once=3), 0, size)


class SystemCalls(support.TestCase):
    REQUESTS = 2000
    SPARE = 40 # of the attaching, and of deadlines

    def counted(self, server, work):
        """{name: calls} that the server made while work() ran."""
        path = os.path.join(self.folder, "strace")
        trace = subprocess.Popen(["strace", "-f", "-c", "-o", path, "-p", str(server.process.pid)], stderr=subprocess.PIPE, text=True)
        try:
            line = trace.stderr.readline()
            if "attached" not in line:
                self.skipTest(f"strace: {line.strip()}")
            work()
        finally:
            trace.send_signal(signal.SIGINT)
            trace.stderr.read()
            trace.stderr.close()
            trace.wait(support.PATIENCE)
        with open(path, encoding="ascii") as file:
            rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", file.read(), re.MULTILINE)
        return {name: int(calls) for calls, name in rows if name != "total"}

    def calls_a_request(self, data, at_once=1):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        with Server(example("hello"), "--no-access-log") as server, Connection(server) as connection:
            ask(connection, data, WARM_UP, at_once)
            counts = self.counted(server, lambda: ask(connection, data, self.REQUESTS // at_once, at_once))
        self.assertGreaterEqual(sum(counts.values()), self.REQUESTS // at_once, counts) # it does count
        return sum(calls for name, calls in counts.items() if not name.startswith("epoll_")), counts

    def test_a_plain_request_makes_two_beside_waiting(self):
        calls, counts = self.calls_a_request(PLAIN)
        self.assertLessEqual(calls, 2 * self.REQUESTS + self.SPARE, counts)

    def test_no_request_changes_what_is_waited_for(self):
        _, counts = self.calls_a_request(PLAIN)
        self.assertLessEqual(counts.get("epoll_ctl", 0), self.SPARE, counts)

    def test_sixteen_pipelined_ones_share_two(self):
        calls, counts = self.calls_a_request(PLAIN, at_once=16)
        # A batch may come in two pieces.
        self.assertLessEqual(calls, 2 * 2 * (self.REQUESTS // 16) + self.SPARE, counts)


if __name__ == "__main__":
    unittest.main()
