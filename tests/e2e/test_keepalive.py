"""How long a connection lives between requests, and what ends it."""

import signal
import time
import unittest

from served import Scripted, Served
from support import Server, wait_until
from wire import Connection, get

OK = (("start", 200), ("end", "ok"))


class Idle(Scripted):
    ARGUMENTS = ("--timeout-keep-alive", "1", "--timeout-head", "60")

    def test_an_idle_connection_is_closed_after_the_timeout_and_not_before(self): # B85
        since = time.monotonic()
        connection = self.connect().send(self.script(*OK))
        self.assertEqual((connection.response().body, connection.ended()), (b"ok", "closed"))
        self.assertGreater(time.monotonic() - since, 0.95) # however late we are: it is never early

    def test_each_request_begins_it_anew(self): # B85
        def asked_in_time():
            """False: this process was held up for so long that the connection had to end."""
            connection = self.connect()
            for _ in range(4):
                since = time.monotonic()
                connection.send(self.script(*OK))
                self.assertEqual(connection.response().body, b"ok")
                self.assertTrue(connection.quiet(0.4) or time.monotonic() > since + 0.9)
                if time.monotonic() > since + 0.9:
                    return False
            return True
        wait_until(asked_in_time, "four requests 0.4 s apart")

    def test_it_does_not_run_while_a_request_does(self): # B86
        connection = self.connect().send(self.script(*OK) + self.script(("sleep", 2000), *OK))
        self.assertEqual([connection.response().body for _ in range(2)], [b"ok", b"ok"])
        self.assertEqual(connection.ended(), "closed") # and begins when that is answered

    def test_it_does_not_run_while_a_response_is_streamed(self): # B86
        connection = self.connect().send(self.script(("start", 200), ("body", "one"), ("sleep", 2000), ("end", "two")))
        self.assertEqual(connection.response().body, b"onetwo")

    def test_a_head_that_has_begun_is_no_idle_connection(self):
        connection = self.connect().send(self.script(*OK))
        connection.response()
        data = self.script(*OK)
        connection.send(data[:10])
        self.assertTrue(connection.quiet(1.5))
        self.assertEqual(connection.send(data[10:]).response().body, b"ok")


    def test_an_empty_line_behind_a_request_begins_none(self): # RFC 9112, section 2.2
        connection = self.connect().send(self.script(*OK) + b"\r\n")
        self.assertEqual((connection.response().body, connection.ended()), (b"ok", "closed")) # it is idle: no 408


class NoTimeout(Served):
    ARGUMENTS = ("--timeout-keep-alive", "0")

    def test_0_keeps_it_for_ever(self):
        connection = self.connect().send(get())
        connection.response()
        self.assertTrue(connection.quiet(1.5))
        self.assertEqual(connection.send(get()).response().status, 200)


class HandedOver(unittest.TestCase):
    def test_an_idle_connection_is_as_idle_in_the_next_worker(self):
        """It has had its first request: the deadline of a head is not its."""
        with Server("--reload", "inspect", "--timeout-head", "1", "--timeout-keep-alive", "60") as server:
            with Connection(server) as connection:
                self.assertEqual(connection.send(get()).response().status, 200)
                server.process.send_signal(signal.SIGHUP)
                server.wait_log("Reloaded")
                self.assertTrue(connection.quiet(2.5))
                self.assertEqual(connection.send(get()).response().status, 200)


class Many(Served):
    def test_many_idle_connections_are_served_again(self):
        connections = [self.connect() for _ in range(300)]
        for _ in range(3):
            for connection in connections:
                connection.send(get())
            self.assertEqual({connection.response().status for connection in connections}, {200})

    def test_a_client_that_ends_an_idle_connection_sees_its_end(self):
        connection = self.connect().send(get())
        connection.response()
        self.assertEqual(connection.finish().ended(), "closed")


class Concurrency(unittest.TestCase):
    def test_idle_connections_do_not_count_for_the_limit_of_requests(self): # B76
        with Server("inspect", "--limit-concurrency", "1") as server:
            connections = [Connection(server) for _ in range(5)]
            for connection in connections * 2:
                self.assertEqual(connection.send(get()).response().status, 200)
            for connection in connections:
                connection.close()


if __name__ == "__main__":
    unittest.main()
