"""The server's memory is bounded whatever clients and handlers do: at most 2 MiB above what it has idle."""

import threading
import time
import unittest

import support
from served import Scripted
from support import wait_until
from wire import get, post

MIB = 1 << 20
ALLOWED = 2 * MIB


def private_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(("Private_Clean:", "Private_Dirty:")))


class Watch:
    """Samples the server's private memory on a thread; .most is the highest."""

    def __init__(self, pid):
        self.pid, self.most, self.ended = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self._sample)

    def _sample(self):
        while not self.ended.wait(0.02):
            self.most = max(self.most, private_bytes(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.most = max(self.most, private_bytes(self.pid))


@unittest.skipIf(support.SANITIZE, "sanitizers need memory of their own")
class Memory(Scripted):
    ARGUMENTS = ("--no-access-log",)

    def setUp(self):
        super().setUp()
        self.ask(self.script(("start", 200), ("end", "x"))) # idle is: has served
        self.idle = private_bytes(self.server.process.pid)

    def watch(self):
        return Watch(self.server.process.pid)

    def assert_bounded(self, watch):
        self.assertLessEqual(watch.most - self.idle, ALLOWED, f"{self.idle} bytes idle, {watch.most} at most")

    def test_an_upload_into_a_handler_that_reads_slowly(self):
        size = 96 * MIB
        connection = self.connect()
        with self.watch() as watch:
            connection.send(get(self.target(("gate", self.name), ("receive-slowly", 1), ("start", 200), ("end", "x")),
                                f"Content-Length: {size}", method="POST"))
            taken = connection.push(b"x" * MIB, size, patience=0.5)
            self.assertLess(taken, size) # the handler has read nothing: there was a wait
            self.open()
            piece = b"x" * MIB
            while taken < size:
                connection.send(piece[:size - taken])
                taken += len(piece[:size - taken])
            self.assertEqual(connection.response().body, b"x")
        self.assertIn(f"receive-slowly {size} end", self.wait_done())
        self.assert_bounded(watch)

    def test_an_upload_in_small_chunks_into_a_handler_that_reads_slowly(self):
        chunks = (b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 1000
        connection = self.connect()
        with self.watch() as watch:
            connection.send(get(self.target(("receive-slowly", 1), ("start", 200), ("end", "x")), "Transfer-Encoding: chunked", method="POST"))
            for _ in range(8):
                connection.send(chunks)
            self.assertEqual(connection.send(b"0\r\n\r\n").response().body, b"x")
        self.assertIn("receive-slowly 8000000 end", self.wait_done())
        self.assert_bounded(watch)

    def test_a_response_of_1_gib_to_a_client_that_reads_slowly(self):
        size = 1 << 30
        connection = self.connect(receive_buffer=65536)
        with self.watch() as watch:
            connection.send(self.script(("start", 200, f"content-length={size}"), ("end-fill", size)))
            connection.until(b"\r\n\r\n")
            time.sleep(0.3)
            self.assertNotIn("end-fill OK", self.log())
            left, buffer = size - len(connection.data), bytearray(MIB)
            while left:
                taken = connection.sock.recv_into(buffer)
                self.assertTrue(taken)
                left -= taken
        self.assertIn("end-fill OK", self.wait_done())
        self.assert_bounded(watch)

    def test_a_client_that_pipelines_for_ever_and_reads_nothing(self):
        connection = self.connect(receive_buffer=4096)
        requests = self.script(("start", 200), ("end-fill", 1000)) * 2000
        with self.watch() as watch:
            taken = connection.push(requests, 512 * MIB)
            self.assertLess(taken, 512 * MIB)
        self.assert_bounded(watch)
        self.assertEqual(self.ask(get("/log/none")).status, 200)

    def test_many_clients_that_do_all_that(self):
        """What each one may cost is bounded too: 64 KiB of body, 16 KiB of requests, and what is unsent."""
        connections = [self.connect(receive_buffer=4096) for _ in range(8)]
        with self.watch() as watch:
            for connection in connections:
                connection.push(self.script(("start", 200), ("end-fill", 1000)) * 100, 4 * MIB, patience=0.1)
        self.assert_bounded(watch)

    def test_large_bodies_on_kept_connections(self):
        """From the second on each is received with its head, into a buffer that its handler keeps."""
        connections = [self.connect(receive_buffer=4096) for _ in range(8)]
        body = b"x" * 65536
        with self.watch() as watch:
            for words in (("receive-all",), ("receive-all", ("gate", self.name))):
                for connection in connections:
                    connection.send(post(self.target(*words, ("start", 200), ("end", "x")), body))
                if len(words) == 1:
                    self.assertEqual({connection.response().body for connection in connections}, {b"x"})
            for connection in connections:
                connection.send(self.script(("start", 200), ("end-fill", 1000)) * 500)
            self.open()
            self.assertEqual({connection.response().body for connection in connections}, {b"x"})
        self.assert_bounded(watch)

    def test_it_goes_back_when_they_leave(self):
        connections = [self.connect() for _ in range(500)]
        for connection in connections:
            connection.send(self.script(("start", 200), ("end", "x")))
        for connection in connections:
            connection.response()
        for connection in connections:
            connection.close()
        wait_until(lambda: private_bytes(self.server.process.pid) - self.idle <= ALLOWED, "the memory to come back")


if __name__ == "__main__":
    unittest.main()
