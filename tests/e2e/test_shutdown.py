"""What a shutdown does to connections in every state. (test_process.py has the signals, the deadlines and the exit codes.)"""

import http.client
import signal
import tempfile
import threading
import unittest

import support
from served import build, steps
from support import Server, read_all
from wire import Connection, chunked, get

OK = (("start", 200), ("end", "ok"))


class Shutdown(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.module = build(folder.name, "steps")

    def setUp(self):
        self.server = Server(self.module)
        self.addCleanup(self.server.kill)
        self.other = self.connect() # which goes on to open gates

    def connect(self):
        connection = Connection(self.server)
        self.addCleanup(connection.close)
        return connection

    def script(self, *words):
        return get("/x?" + steps(*words))

    def wait_step(self, line):
        support.wait_until(lambda: line in self.other.send(get("/log/x")).response().body.decode(), f"the step {line}")

    def begin_stop(self):
        self.server.process.send_signal(signal.SIGTERM)
        self.server.wait_log("Shutting down")

    def test_a_response_that_is_streamed_ends_whole(self): # B88 B90
        connection = self.connect()
        connection.send(self.script(("start", 200), ("body", "one"), ("sleep", 500), ("body", "two"), ("sleep", 500), ("end", "three")))
        self.assertEqual((connection.head().status, connection.chunk()), (200, b"one"))
        self.begin_stop()
        self.assertEqual([connection.chunk() for _ in range(3)], [b"two", b"three", b""])
        connection.until(b"\r\n")
        self.assertEqual((connection.ended(), self.server.wait()), ("closed", 0))

    def test_an_upload_that_is_received_ends_whole(self): # B88
        connection = self.connect()
        connection.send(get("/x?" + steps("receive", "receive-all", *OK), "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n")
        self.wait_step("receive http.request 3 more")
        self.begin_stop()
        connection.send(chunked(b"def"))
        response = connection.response()
        self.assertEqual((response.body, response.get("connection"), connection.ended()), (b"ok", "close", "closed"))
        self.assertEqual(self.server.wait(), 0)

    def test_what_was_pipelined_behind_it_is_not_begun(self):
        connection = self.connect()
        connection.send(self.script("receive", ("sleep", 700), *OK) + get("/y?start:200,end:second"))
        self.wait_step("receive http.request 0 end")
        self.begin_stop()
        response = connection.response()
        self.assertEqual((response.body, response.get("connection"), connection.ended()), (b"ok", "close", "closed"))
        self.assertEqual(self.server.wait(), 0)
        self.assertNotIn("GET /y", self.server.text())

    def test_idle_connections_are_closed_without_a_byte_while_others_still_run(self): # B87
        idle, busy = self.connect(), self.connect()
        self.assertEqual(idle.send(self.script(*OK)).response().body, b"ok")
        busy.send(self.script("receive", ("sleep", 700), *OK))
        self.wait_step("receive http.request 0 end")
        self.begin_stop()
        self.assertEqual((idle.ended(), busy.response().body), ("closed", b"ok"))
        self.assertEqual(self.server.wait(), 0)

    def test_new_connections_are_refused_at_once(self): # B89
        busy = self.connect()
        busy.send(self.script("receive", ("sleep", 700), *OK))
        self.wait_step("receive http.request 0 end")
        self.begin_stop()
        self.assertRaises(ConnectionRefusedError, Connection, self.server)
        self.assertEqual(busy.response().body, b"ok")

    def test_a_request_already_received_on_an_idle_connection_is_answered(self):
        """A stop and a request that cross: the client sees an answer, or a connection on which nothing was done."""
        connections = [self.connect() for _ in range(20)]
        for connection in connections:
            self.assertEqual(connection.send(self.script(*OK)).response().body, b"ok")
        for connection in connections[:10]:
            connection.send(self.script(*OK))
        self.server.process.send_signal(signal.SIGTERM)
        for connection in connections[:10]:
            data = read_all(connection.sock)
            self.assertTrue(data == b"" or data.endswith(b"\r\n\r\nok"), data)
        self.assertEqual(self.server.wait(), 0)

    def test_a_handler_that_is_cancelled_may_still_answer(self): # B91
        server = Server(self.module, "--timeout-graceful-shutdown", "0.2")
        self.addCleanup(server.kill)
        with Connection(server) as connection, Connection(server) as other:
            connection.send(self.script("receive", ("gate", "never"), "uncancel", *OK))
            support.wait_until(lambda: b"receive" in other.send(get("/log/x")).response().body, "the handler to begin")
            server.process.send_signal(signal.SIGTERM)
            response = connection.response()
            self.assertEqual((response.body, response.get("connection"), connection.ended()), (b"ok", "close", "closed"))
        self.assertEqual(server.wait(), 0)

    def test_one_that_gives_up_is_a_503_if_nothing_was_sent_else_cut(self): # B91
        server = Server(self.module, "--timeout-graceful-shutdown", "0.2")
        self.addCleanup(server.kill)
        with Connection(server) as silent, Connection(server) as half:
            silent.send(self.script("receive", ("gate", "never"), "result:ECANCELED"))
            half.send(self.script(("start", 200), ("body", "one"), ("gate", "never"), "result:ECANCELED"))
            self.assertEqual((half.head().status, half.chunk()), (200, b"one"))
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual((silent.response().status, half.ended()), (503, "closed"))
            server.wait_log(r"Cancel 2 running task\(s\), timeout graceful shutdown exceeded")
        self.assertEqual(server.wait(), 0)

    def test_a_client_that_owes_the_rest_of_a_body_is_closed_without_an_error(self):
        server = Server(self.module, "--timeout-graceful-shutdown", "0.2")
        self.addCleanup(server.kill)
        with Connection(server) as connection:
            connection.send(get("/x?" + steps(*OK), "Content-Length: 10", method="POST") + b"12345")
            self.assertEqual(connection.response().body, b"ok")
            self.assertEqual(server.stop(), 0)
            self.assertEqual(connection.ended(), "closed")
        server.wait_log(r"INFO: +Close 1 connection\(s\), timeout graceful shutdown exceeded")
        self.assertNotIn("ERROR", server.text())

    def test_a_client_that_does_not_read_does_not_hold_up_the_end(self): # B91
        server = Server(self.module, "--timeout-graceful-shutdown", "0.2", "--timeout-cleanup", "0.2")
        self.addCleanup(server.kill)
        with Connection(server, receive_buffer=4096) as connection:
            connection.send(self.script(("start", 200), ("fill", 1 << 30), "end"))
            connection.head()
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)

    def test_it_ends_under_load(self):
        failures, stop = [], threading.Event()

        def load():
            while not stop.is_set():
                try:
                    status = self.server.get("/x?" + steps(*OK))[0]
                    if status != 200:
                        failures.append(status)
                except (ConnectionRefusedError, ConnectionResetError, http.client.RemoteDisconnected):
                    return
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        support.wait_until(lambda: self.server.text().count('"GET /x') > 50, "some requests")
        self.assertEqual(self.server.stop(), 0)
        stop.set()
        for thread in threads:
            thread.join(support.PATIENCE)
        self.assertEqual(failures, [])


if __name__ == "__main__":
    unittest.main()
