"""Limits and deadlines: each has its own status, ends the connection, and says so in the log. (test_process.py has the
limits of concurrency, of requests and of descriptors.)"""

import json
import time
import unittest

from served import Scripted, Served, steps
from support import PATIENCE, Server, wait_until
from wire import Connection, chunked, get, post

LINE = r"127\.0\.0\.1:%d - refused with %d at byte \d+: %s"


class Case(Served):
    def assert_refused(self, connection, status, reason):
        response = connection.response()
        self.assertEqual((response.status, response.get("connection")), (status, "close"))
        self.assertEqual(connection.ended(), "closed")
        self.server.wait_log(LINE % (connection.sock.getsockname()[1], status, reason))


class Heads(Case):
    ARGUMENTS = ("--limit-head-size", "1000", "--limit-header-count", "5")

    def head(self, size):
        """A whole head of so many bytes."""
        return get("/", "X: " + "x" * (size - len(get("/", "X: "))))

    def test_a_head_as_large_as_the_limit_passes_and_one_larger_is_a_431(self): # B78
        self.assertEqual(self.ask(self.head(1000)).status, 200)
        self.assert_refused(self.connect().send(self.head(1001)), 431, "the head is too large")

    def test_a_head_that_is_too_large_is_refused_before_it_ends(self): # B78
        self.assert_refused(self.connect().send(self.head(2000)[:1500]), 431, "the head is too large")

    def test_a_request_line_beyond_the_limit_is_a_414(self): # B78
        self.assert_refused(self.connect().send(b"GET /" + b"a" * 1200), 414, "the request line is too long")

    def test_as_many_fields_as_the_limit_pass_and_one_more_is_a_431(self): # B78
        self.assertEqual(self.ask(get("/", *(["X: 1"] * 4))).status, 200) # and host
        self.assert_refused(self.connect().send(get("/", *(["X: 1"] * 5))), 431, "too many header fields")

    def test_the_limit_is_for_each_head(self):
        connection = self.connect()
        connection.send(self.head(900) * 20)
        self.assertEqual([connection.response().status for _ in range(20)], [200] * 20)

    def test_pieces_do_not_evade_it(self):
        connection = self.connect()
        data = self.head(3000)
        for i in range(0, 1100, 100):
            connection.send(data[i:i + 100])
        self.assert_refused(connection, 431, "the head is too large")


class DefaultHeads(Case):
    def test_the_defaults_are_64_kib_and_100_fields(self):
        self.assertEqual(self.ask(get("/", "X: " + "x" * 65000)).status, 200)
        self.assertEqual(self.ask(get("/", *(["X: 1"] * 99))).status, 200)
        self.assert_refused(self.connect().send(get("/", "X: " + "x" * 65536)), 431, "the head is too large")
        self.assert_refused(self.connect().send(get("/", *(["X: 1"] * 100))), 431, "too many header fields")


class NoLimits(Case):
    ARGUMENTS = ("--limit-head-size", "0", "--limit-header-count", "0")

    def test_0_disables_them(self):
        fields = [f"X-{i}: {'v' * 1000}" for i in range(500)]
        self.assertEqual(len(json.loads(self.ask(get("/", *fields)).body)["scope"]["headers"]), 501)


class Bodies(Case):
    ARGUMENTS = ("--limit-body-size", "100000")
    SOURCE = "steps"
    STEPS = "/body?receive-all,start:200,end:ok"

    def test_a_body_as_large_as_the_limit_passes(self):
        connection = self.connect()
        connection.send(post(self.STEPS, b"x" * 100_000)
                        + get(self.STEPS, "Transfer-Encoding: chunked", method="POST") + chunked(b"x" * 60_000, b"y" * 40_000))
        self.assertEqual([connection.response().body for _ in range(2)], [b"ok", b"ok"])

    def test_a_length_beyond_it_is_a_413_at_once(self):
        connection = self.connect()
        connection.send(get("/uncalled?receive", "Content-Length: 100001", method="POST"))
        self.assert_refused(connection, 413, "the body is larger than the limit")
        self.assertEqual(self.ask(get("/log/uncalled")).body, b"")

    def test_so_is_one_whose_client_waits_for_a_100(self):
        connection = self.connect()
        connection.send(get("/uncalled?receive", "Content-Length: 100001", "Expect: 100-continue", method="POST"))
        self.assert_refused(connection, 413, "the body is larger than the limit")

    def test_a_chunked_body_that_grows_beyond_it_is_a_disconnect_and_a_413(self):
        connection = self.connect()
        connection.send(get("/grows?receive-all", "Transfer-Encoding: chunked", method="POST") + b"186a1\r\n" + b"x" * 100_001)
        self.assert_refused(connection, 413, "the body is larger than the limit")
        wait_until(lambda: b"http.disconnect\ndone" in self.ask(get("/log/grows")).body, "the handler's end")

    def test_the_line_has_the_requests_id(self):
        for size, data in (("Content-Length: 100001", b""), ("Transfer-Encoding: chunked", b"186a1\r\n" + b"x" * 100_001)):
            connection = self.connect()
            connection.send(get("/uncalled?receive-all", size, "X-Request-ID: mine", method="POST") + data)
            self.server.wait_log(r"\[mine\] " + LINE % (connection.sock.getsockname()[1], 413, "the body is larger"))


class Deadlines(Case):
    ARGUMENTS = ("--timeout-head", "1", "--timeout-keep-alive", "60")

    def test_a_head_that_takes_too_long_is_a_408(self):
        heads = b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: test\r\nX: "
        for connection in [self.connect().send(data) for data in heads]:
            self.assert_refused(connection, 408, "the head took too long")

    def test_dribbling_does_not_evade_it(self):
        connection = self.connect().send(b"GET / HTTP/1.1\r\nX: ")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not connection.quiet(0.05):
                break
            try:
                connection.send(b"x")
            except (BrokenPipeError, ConnectionResetError):
                break
        self.assertEqual(connection.response().status, 408)

    def test_a_connection_that_never_sends_a_byte_is_closed_without_one(self):
        self.assertEqual(self.connect().ended(), "closed")

    def test_the_second_head_has_a_deadline_of_its_own(self):
        connection = self.connect().send(get())
        self.assertEqual(connection.response().status, 200)
        self.assertTrue(connection.quiet(1.5)) # an idle connection is none that sends a head
        connection.send(get())
        self.assertEqual(connection.response().status, 200)
        self.assert_refused(connection.send(b"GET"), 408, "the head took too long")

    def test_a_handler_may_take_longer_than_any_of_them(self):
        self.assertEqual(self.ask(get("/?sleep_ms=1500")).status, 200)


class NoDeadlines(Case):
    ARGUMENTS = ("--timeout-head", "0")

    def test_0_disables_it(self):
        connection = self.connect().send(b"GET / HT")
        self.assertTrue(connection.quiet(0.5))
        connection.send(b"TP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(connection.response().status, 200)


class Writing(unittest.TestCase):
    def test_a_client_that_takes_nothing_is_reset_and_the_handler_told(self):
        with Server("inspect", "--timeout-write", "0.3") as server, Connection(server, receive_buffer=4096) as connection:
            connection.send(get("/?body_bytes=100000000&keep=stalled"))
            connection.until(b"\r\n\r\n")

            def kept():
                with Connection(server) as other:
                    response = other.send(get("/?recall=stalled")).response()
                    return response.status == 200 and json.loads(response.body)
            self.assertEqual(wait_until(kept, "the handler's end")["result"], "EDISCONNECTED")
            server.wait_log(rf"127\.0\.0\.1:{connection.sock.getsockname()[1]} - reset: the client does not take its response")
            server.wait_log(r'"GET /\?body_bytes=100000000&keep=stalled HTTP/1\.1" 499 ')
            with self.assertRaises(ConnectionResetError):
                while connection.sock.recv(1 << 20):
                    pass

    def test_one_that_takes_a_little_now_and_then_is_not(self):
        with Server("inspect", "--timeout-write", "2") as server, Connection(server, receive_buffer=4096) as connection:
            connection.send(get("/?body_bytes=30000000&content_length=30000000"))
            connection.until(b"\r\n\r\n")
            left = 30_000_000 - len(connection.data)
            slowly_until = time.monotonic() + 3
            while left:
                if time.monotonic() < slowly_until:
                    time.sleep(0.05)
                data = connection.sock.recv(min(left, 20_000 if time.monotonic() < slowly_until else 1 << 20))
                self.assertTrue(data)
                left -= len(data)


class BodyRate(Scripted):
    """240 bytes a second, counted after 5 s: the waits of all tests begin together."""
    ANSWER = (("start", 200), ("end", "ok"))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.unlimited = Server(cls.server.app, "--limit-body-rate", "0")
        cls.addClassCleanup(cls.unlimited.kill)
        cls.stopped = cls.begin(cls.server, "stopped", "receive", "receive")
        cls.paused = cls.begin(cls.server, "paused", "receive", ("sleep", 7000), "receive-all", *cls.ANSWER)
        cls.free = cls.begin(cls.unlimited, "free", "receive-all", *cls.ANSWER)

    @classmethod
    def begin(cls, server, name, *words):
        connection = Connection(server)
        cls.addClassCleanup(connection.close)
        return connection.send(get(f"/{name}?" + steps(*words), "Content-Length: 100", method="POST") + b"x" * 50)

    def test_a_body_that_stops_coming_is_a_408(self):
        self.name = "stopped"
        response = self.stopped.response()
        self.assertEqual((response.status, response.get("connection"), self.stopped.ended()), (408, "close", "closed"))
        self.assertEqual(self.wait_done(), ["receive http.request 50 more", "receive http.disconnect"])
        self.server.wait_log(LINE % (self.stopped.sock.getsockname()[1], 408, "the body comes too slowly"))

    def test_the_applications_own_pauses_do_not_count(self):
        self.name = "paused"
        self.wait_step("sleep OK")
        self.assertEqual(self.paused.send(b"x" * 50).response().body, b"ok")

    def test_0_disables_it(self):
        self.name = "paused"
        self.wait_step("sleep OK") # long enough for the other one
        self.assertEqual(self.free.send(b"x" * 50).response().body, b"ok")


class Expected(Case):
    def test_an_unknown_expectation_is_a_417(self):
        self.assert_refused(self.connect().send(get("/", "Expect: payment")), 417, "unknown expectation")


if __name__ == "__main__":
    unittest.main()
