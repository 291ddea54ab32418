"""What an application receives: bodies in every framing, at its own pace, and the client's departure."""

import json
import os
import unittest

import support
from served import Scripted, Served
from support import wait_until
from wire import Connection, chunked, get, post

MIB = 1 << 20
DRAINED = 256 << 10 # of a body nobody reads: so much is thrown away to keep the connection


class Bodies(Served):
    def received(self, data):
        return json.loads(self.ask(data).body)

    def test_a_request_without_a_body_gives_one_empty_event(self): # B20
        for data in (get(), get(method="POST"), post("/", b""), get("/", "Transfer-Encoding: chunked", method="POST") + chunked()):
            with self.subTest(data):
                self.assertEqual(self.received(data)["received"],
                                 [{"result": "OK", "type": "http.request", "body_bytes": 0, "more_body": False, "body": ""}])

    def test_a_body_arrives_whole_and_only_its_last_event_says_so(self): # B20 B21
        for size in (1, 4000, 4096, 16383, 16384, 60000, 65536):
            with self.subTest(size):
                body = bytes(i % 251 for i in range(size))
                events = self.received(post("/", body))["received"]
                self.assertEqual("".join(event["body"] for event in events).encode("latin-1"), body)
                self.assertEqual([event["more_body"] for event in events], [True] * (len(events) - 1) + [False])

    def test_chunks_and_extensions_are_invisible(self): # B22
        head = get("/", "Transfer-Encoding: Chunked", method="POST")
        for body in (b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", b"3;a=b;c\r\nabc\r\n004 ; x=y\r\ndefg\r\n0;z\r\n\r\n",
                     b"0000000000000003\r\nabc\r\n4\r\ndefg\r\n000\r\n\r\n", b"7\r\nabcdefg\r\n0\r\nX-T: 1\r\nX-Empty:\r\n\r\n"):
            with self.subTest(body):
                events = self.received(head + body)["received"]
                self.assertEqual("".join(event["body"] for event in events), "abcdefg")

    def test_trailers_of_a_request_are_accepted_and_the_next_request_is_in_step(self):
        connection = self.connect()
        connection.send(get("/1", "Transfer-Encoding: chunked", "Trailer: x-t", method="POST")
                        + chunked(b"abc", trailers=b"X-T: 1\r\nX-U: \t2\r\n") + get("/2"))
        first, second = (json.loads(connection.response().body) for _ in range(2))
        self.assertEqual((first["body_bytes"], second["scope"]["path"]), (3, "/2"))

    def test_any_split_of_a_request_gives_the_same(self): # B84
        data = (get("/x%20y?q", "X-A: 1", "Content-Length: 5", method="POST") + b"12345"
                + get("/z", "Transfer-Encoding: chunked", method="PUT") + chunked(b"abc", b"de", trailers=b"X-T: 1\r\n"))
        connection = self.connect()
        for i in range(len(data)):
            connection.send(data[i:i + 1])
        first, second = (json.loads(connection.response().body) for _ in range(2))
        self.assertEqual((first["scope"]["path"], first["scope"]["headers"][1], first["body_bytes"]), ("/x y", ["x-a", "1"], 5))
        self.assertEqual((second["scope"]["method"], second["scope"]["path"], second["body_bytes"]), ("PUT", "/z", 5))
        self.assertEqual("".join(event["body"] for event in second["received"]), "abcde")

    def test_a_request_in_two_pieces_gives_the_same_wherever_it_is_cut(self): # B84
        data = get("/z?q", "X-A: 1", "Transfer-Encoding: chunked", method="PUT") + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
        connection = self.connect()
        for cut in range(1, len(data)):
            connection.send(data[:cut]).send(data[cut:])
            answer = json.loads(connection.response().body)
            self.assertEqual((answer["scope"]["path"], answer["body_bytes"]), ("/z", 5), cut)


class Echoed(Served):
    APP = support.example("echo")

    def test_bodies_of_sizes_around_every_buffer_come_back(self): # B21 B22
        connection = self.connect()
        for size in (1, 4055, 4056, 4057, 4095, 4096, 16384, 16385, 65535, 65536, 65537, 131073, 300_001):
            for framed in (lambda body: post("/", body),
                           lambda body: get("/", "Transfer-Encoding: chunked", method="POST") + chunked(body[:7], body[7:] or b"!")):
                body = os.urandom(size)
                connection.send(framed(body))
                echoed = connection.response().body
                self.assertEqual(echoed[:size], body, size)


class Pace(Scripted):
    def test_an_application_that_never_receives_keeps_the_connection(self): # B28
        connection = self.connect()
        for _ in range(3):
            connection.send(self.script(("start", 200), ("end", "x")))
            self.assertEqual(connection.response().get("connection"), None)

    def test_after_the_response_receive_says_disconnect_again_and_again(self): # B23 B25
        self.ask(self.script(("start", 200), ("end", "x"), "receive", "receive"))
        self.assertEqual(self.wait_done()[2:], ["receive http.disconnect"] * 2)

    def test_reading_stops_while_the_application_does_not_receive_and_goes_on_when_it_does(self): # B26
        size = 128 * MIB
        connection = self.connect()
        connection.send(get(self.target(("gate", self.name), "receive-all", ("start", 200), ("end", "x")),
                            f"Content-Length: {size}", method="POST"))
        taken = connection.push(b"x" * MIB, size)
        self.assertLess(taken, 48 * MIB) # what the kernel's buffers hold, and 64 KiB
        self.open()
        piece, left = b"x" * MIB, size - taken
        while left:
            connection.send(piece[:left])
            left -= len(piece[:left])
        self.assertEqual(connection.response().body, b"x")
        self.assertIn(f"receive-all {size} end", self.wait_done())

    def test_one_receive_may_be_outstanding(self):
        self.ask(self.script("receive", "watch", ("sleep", 1), "receive", ("start", 200), ("end", "x"), "watched"))
        self.assertIn("receive EBUSY", self.wait_done())


class EarlyResponses(Scripted):
    ANSWER = (("start", 200), ("end", "early"))

    def test_a_small_rest_is_thrown_away_and_the_connection_kept(self): # B27
        connection = self.connect()
        for framing, rest in ((f"Content-Length: {DRAINED}", b"x" * DRAINED), ("Transfer-Encoding: chunked", chunked(b"x" * 9, b"y" * 9))):
            connection.send(get(self.target(*self.ANSWER), framing, method="POST"))
            response = connection.response()
            self.assertEqual((response.body, response.get("connection")), (b"early", None))
            connection.send(rest).send(self.script(*self.ANSWER))
            self.assertEqual(connection.response().body, b"early")

    def test_a_large_rest_is_not_and_the_client_can_read_the_answer(self): # B27
        connection = self.connect()
        connection.send(get(self.target(*self.ANSWER), f"Content-Length: {2 * DRAINED}", method="POST") + b"x" * 1000)
        response = connection.response()
        self.assertEqual((response.body, response.get("connection")), (b"early", "close"))
        connection.send(b"x" * 100_000) # it was still sending
        self.assertEqual(connection.ended(), "closed")

    def test_a_large_rest_in_chunks_ends_the_connection(self): # B27
        connection = self.connect()
        connection.send(get(self.target(*self.ANSWER), "Transfer-Encoding: chunked", method="POST"))
        self.assertEqual(connection.response().body, b"early")
        connection.send(b"%x\r\n" % (DRAINED + 1) + b"x" * (DRAINED + 1))
        self.assertEqual(connection.ended(), "closed")

    def test_a_response_may_begin_while_the_body_still_arrives_and_the_body_be_read_on(self): # B27
        connection = self.connect()
        connection.send(get(self.target("receive", ("start", 200), ("body", "one"), "receive-all", ("end", "two")),
                            "Content-Length: 10", method="POST") + b"12345")
        head = connection.head()
        self.assertEqual((head.get("transfer-encoding"), connection.chunk()), ("chunked", b"one"))
        connection.send(b"67890")
        self.assertEqual((connection.chunk(), connection.chunk()), (b"two", b""))
        self.assertIn("receive-all 5 end", self.wait_done())

    def test_what_comes_after_the_response_is_no_event(self):
        connection = self.connect()
        connection.send(get(self.target(*self.ANSWER, "receive"), "Content-Length: 5", method="POST"))
        connection.response()
        connection.send(b"12345")
        self.assertEqual(self.wait_done()[2:], ["receive http.disconnect"])


class Continue(Scripted):
    def expecting(self, *words, version="1.1", length=5, value="100-continue"):
        return get(self.target(*words), f"Content-Length: {length}", f"Expect: {value}", method="POST", version=version)

    def test_it_is_sent_when_the_application_first_receives_and_not_before(self): # B29
        connection = self.connect()
        connection.send(self.expecting(("gate", self.name), "receive-all", ("start", 200), ("end", "x")))
        self.assertTrue(connection.quiet())
        self.open()
        self.assertEqual(connection.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
        response = connection.send(b"12345").response()
        self.assertEqual((response.status, response.interim), (200, []))
        self.assertIn("receive-all 5 end", self.wait_done())
        connection.send(self.script(("start", 200), ("end", "next")))
        self.assertEqual(connection.response().body, b"next")

    def test_an_answer_without_a_receive_has_none_before_it(self): # B30
        connection = self.connect()
        response = connection.send(self.expecting(("start", 200), ("end", "x"))).response()
        self.assertEqual((response.status, response.interim), (200, []))
        # Whether the client sends its body now cannot be known: the connection cannot be used again.
        self.assertEqual((response.get("connection"), connection.ended()), ("close", "closed"))

    def test_none_is_sent_once_the_response_has_begun(self): # B30
        connection = self.connect()
        connection.send(self.expecting(("start", 200), ("body", "one"), "receive", ("end", "two")))
        head = connection.head()
        self.assertEqual((head.status, connection.chunk()), (200, b"one"))
        self.assertTrue(connection.quiet())
        connection.send(b"12345")
        self.assertEqual(connection.chunk(), b"two")

    def test_none_is_sent_to_http_1_0(self): # B31
        connection = self.connect()
        connection.send(self.expecting("receive-all", ("start", 200), ("end", "x"), version="1.0"))
        self.assertTrue(connection.quiet())
        self.assertEqual(connection.send(b"12345").response().interim, [])

    def test_none_is_sent_where_there_is_no_body(self): # B31
        self.assertEqual(self.ask(self.expecting("receive-all", ("start", 200), ("end", "x"), length=0)).interim, [])

    def test_a_body_that_is_there_already_is_taken(self): # B31
        connection = self.connect()
        connection.send(self.expecting("receive-all", ("start", 200), ("end", "x")) + b"12345")
        self.assertEqual(connection.response().status, 200)
        self.assertIn("receive-all 5 end", self.wait_done())

    def test_another_expectation_is_a_417(self):
        self.assertEqual(self.ask(self.expecting(("start", 200), ("end", "x"), value="200-ok")).status, 417)


class Departures(Scripted):
    def test_half_a_body_and_a_close_is_a_disconnect_and_no_answer(self): # B24 B25 B33
        connection = self.connect()
        connection.send(get(self.target("receive-all", "receive", ("start", 200), ("end", "x")), "Content-Length: 10",
                            method="POST") + b"12345")
        wait_until(lambda: self.log() == [], "the handler to begin")
        connection.finish()
        self.assertEqual(connection.ended(), "closed")
        self.assertEqual(self.wait_done()[:2], ["receive-all 5 http.disconnect", "receive http.disconnect"])
        self.server.wait_log(rf'"POST /{self.name}\?.* 499 ')

    def test_a_chunked_body_without_its_end_is_a_disconnect(self): # B33
        connection = self.connect()
        connection.send(get(self.target("receive-all", ("start", 200), ("end", "x")), "Transfer-Encoding: chunked",
                            method="POST") + b"5\r\n12345\r\n").finish()
        self.assertEqual(connection.ended(), "closed")
        self.assertIn("receive-all 5 http.disconnect", self.wait_done())

    def test_a_whole_request_and_a_fin_is_still_answered(self): # B24, DESIGN 2.8
        connection = self.connect()
        connection.send(self.script("receive", "receive", ("start", 200), ("body", "one"), ("end", "two"))).finish()
        response = connection.response()
        self.assertEqual((response.body, response.get("connection")), (b"onetwo", "close"))
        self.assertEqual(connection.ended(), "closed")
        self.assertEqual(self.wait_done()[:2], ["receive http.request 0 end", "receive http.disconnect"])

    def test_pipelined_requests_and_a_fin_are_all_answered(self):
        connection = self.connect()
        connection.send(self.script("receive", ("start", 200), ("end", "x")) * 5).finish()
        for _ in range(5):
            self.assertEqual(connection.response().body, b"x")
        self.assertEqual(connection.ended(), "closed")

    def test_a_reset_ends_receive_and_send(self): # B24 B70
        connection = self.connect()
        connection.send(self.script("receive", "receive", ("start", 200), ("body", "x")))
        self.wait_step("receive http.request 0 end")
        connection.reset()
        self.assertEqual(self.wait_done()[1:], ["receive http.disconnect", "start EDISCONNECTED", "body EDISCONNECTED"])
        self.server.wait_log(rf'"GET /{self.name}\?.* 499 ')

    def test_a_departure_is_noticed_while_the_handler_waits_for_something_else(self): # DESIGN 2.8
        connection = self.connect()
        connection.send(self.script("receive", "watch", ("gate", self.name), "watched"))
        self.wait_step("watch OK")
        connection.reset()
        self.wait_step("watcher http.disconnect")
        self.assertNotIn("done", self.log()) # every other wait goes on
        self.open()
        self.assertIn("gate OK", self.wait_done())

    def test_a_departure_is_noticed_also_behind_more_requests_than_are_read(self): # DESIGN 2.8
        for number, leave in enumerate((Connection.finish, Connection.close, Connection.reset)):
            self.name = f"{self._testMethodName}{number}"
            connection = self.connect()
            connection.send(self.script("receive", "watch", "watched", ("start", 200), ("end", "1")))
            self.wait_step("watch OK")
            connection.send(get("/behind?start:200,end:x", "X: " + "x" * 4000) * 10)
            leave(connection)
            self.wait_step("watcher http.disconnect")
            if leave == Connection.finish: # it may still be reading
                self.assertEqual([connection.response().body for _ in range(11)], [b"1"] + [b"x"] * 10)
                self.assertEqual(connection.ended(), "closed")
            self.wait_step("done")

    def test_a_receive_may_wait_beside_a_send(self): # B32
        connection = self.connect()
        connection.send(self.script("receive", "watch", ("start", 200), ("body", "one"), ("gate", self.name), ("end", "two"), "watched"))
        self.assertEqual((connection.head().status, connection.chunk()), (200, b"one"))
        self.open()
        self.assertEqual((connection.chunk(), connection.chunk()), (b"two", b""))
        self.assertIn("watcher http.disconnect", self.wait_done())

    def test_a_bad_chunk_in_the_midst_is_a_disconnect_a_400_and_the_end(self): # B34
        connection = self.connect()
        connection.send(get(self.target("receive", "receive"), "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n")
        self.wait_step("receive http.request 3 more")
        connection.send(b"zz\r\n")
        response = connection.response()
        self.assertEqual((response.status, response.get("connection"), connection.ended()), (400, "close", "closed"))
        self.assertEqual(self.wait_done()[1:], ["receive http.disconnect"])

    def test_a_bad_chunk_behind_a_response_begun_cuts_it(self): # B34
        connection = self.connect()
        connection.send(get(self.target("receive", ("start", 200), ("body", "one"), "receive-all"), "Transfer-Encoding: chunked",
                            method="POST") + b"3\r\nabc\r\n")
        self.assertEqual((connection.head().status, connection.chunk()), (200, b"one"))
        connection.send(b"zz\r\n")
        self.assertEqual(connection.ended(), "closed")


class Cancelled(Scripted):
    SOURCE = "steps:cancelled"

    def test_an_application_that_asks_for_it_is_cancelled_when_its_client_goes(self): # DESIGN 2.8
        connection = self.connect()
        connection.send(self.script("receive", ("gate", "never"), ("sleep", 3_600_000)))
        self.wait_step("receive http.request 0 end")
        connection.reset()
        self.assertEqual(self.wait_done()[1:], ["gate ECANCELED", "sleep ECANCELED"])

    def test_but_not_once_its_response_is_complete(self): # DESIGN 2.8
        connection = self.connect()
        connection.send(self.script(("start", 200), ("end", "x"), ("gate", self.name)))
        connection.response()
        connection.reset()
        self.open()
        self.assertIn("gate OK", self.wait_done())


if __name__ == "__main__":
    unittest.main()
