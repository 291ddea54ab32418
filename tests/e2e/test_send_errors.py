"""Applications that break the order of events, fail, or send what may not be sent: what the client sees, and the log."""

import unittest

import support
from served import Scripted
from wire import get, post

OK = (("start", 200), ("end", "ok"))


class Case(Scripted):
    def assert_500(self, *words, why):
        """A clean 500 and a closed connection; one line in the log that says why."""
        begin = len(self.server.log)
        connection = self.connect()
        response = connection.send(self.script(*words)).response()
        self.assertEqual((response.status, response.reason), (500, "Internal Server Error"))
        self.assertEqual((response.body, response.get("content-type")), (b"Internal Server Error", "text/plain; charset=utf-8"))
        self.assertEqual((response.get("connection"), connection.ended()), ("close", "closed"))
        self.assert_logged_once(begin, why)

    def assert_logged_once(self, begin, why):
        self.server.wait_log(rf'"GET /{self.name}.* (500|200) ', begin) # the access line is the later one
        errors = [line for line in self.server.log[begin:] if "ERROR:" in line and f'"GET /{self.name}"' in line]
        self.assertEqual(len(errors), 1, errors)
        self.assertRegex(errors[0], rf'ERROR: +\[[0-9a-f]+\] "GET /{self.name}" failed: .*{why}')

    def assert_cut(self, *words, sent, why, **how):
        """The head and `sent`, then the end, without a last chunk and without a second response."""
        begin = len(self.server.log)
        connection = self.connect()
        connection.send(self.script(*words, **how))
        self.assertEqual((connection.head().status, connection.exactly(len(sent)), connection.ended()), (200, sent, "closed"))
        self.assert_logged_once(begin, why)


class Failures(Case):
    def test_a_failure_before_the_start_is_a_500(self): # B57 B71
        self.assert_500("result:EFAILED", why="the handler failed .*EFAILED")

    def test_a_failure_behind_the_start_is_a_500(self): # B57: nothing was on the wire
        self.assert_500(("start", 200, "x-a=1"), "result:EFAILED", why="the handler failed .*EFAILED")

    def test_a_failure_behind_a_piece_of_body_cuts_the_response(self): # B58 B71
        self.assert_cut(("start", 200), ("body", "one"), "result:EIO", sent=b"3\r\none\r\n", why="the handler failed in the midst .*EIO")

    def test_a_failure_in_a_response_of_known_length_cuts_it(self): # B58
        self.assert_cut(("start", 200, "content-length=10"), ("body", "one"), "result:EFAILED", sent=b"one", why="in the midst")

    def test_a_cut_response_that_ends_with_the_connection_is_reset(self): # B58
        connection = self.connect()
        connection.send(self.script(("start", 200), ("body", "one"), ("gate", self.name), "result:EFAILED", version="1.0"))
        self.assertEqual((connection.head().status, connection.exactly(3)), (200, b"one"))
        self.open()
        self.assertEqual(connection.ended(), "reset") # a plain close would say: that was all

    def test_no_answer_is_a_500(self): # B59
        self.assert_500(why="the handler returned without a response")

    def test_a_start_alone_is_cut_without_a_byte(self): # B60
        begin = len(self.server.log)
        connection = self.connect().send(self.script(("start", 200)))
        self.assertEqual(connection.ended(), "closed")
        self.assert_logged_once(begin, "the handler returned after http.response.start, without a body")

    def test_half_a_response_is_cut(self):
        self.assert_cut(("start", 200), ("body", "one"), sent=b"3\r\none\r\n", why="the handler returned in the midst")

    def test_a_failure_behind_a_whole_response_is_logged_and_the_response_stays(self): # B64
        begin = len(self.server.log)
        connection = self.connect().send(self.script(*OK, "result:EFAILED"))
        self.assertEqual(connection.response().body, b"ok")
        self.assert_logged_once(begin, "the handler failed after its response")

    def test_the_server_goes_on(self): # B72
        for result in ("ECANCELED", "ETIMEDOUT", "EDISCONNECTED", "ENOMEM"):
            self.assertEqual(self.ask(self.script(f"result:{result}")).status, 500)
        self.assertEqual(self.ask(self.script(*OK)).body, b"ok")

    def test_a_request_after_a_failed_one_is_not_executed(self): # B57
        connection = self.connect().send(self.script("result:EFAILED") + get(f"/{self.name}2?start:200,end:x"))
        self.assertEqual((connection.response().status, connection.ended()), (500, "closed"))
        self.assertEqual(self.ask(get(f"/log/{self.name}2")).body, b"")

    def test_a_failure_while_the_body_still_arrives_is_a_500_the_client_can_read(self): # B57
        connection = self.connect()
        connection.send(get(self.target("receive", "result:EFAILED"), "Content-Length: 1000000", method="POST") + b"x" * 50_000)
        self.assertEqual(connection.response().status, 500)
        connection.send(b"x" * 100_000)
        self.assertEqual(connection.ended(), "closed")


class Order(Case):
    def test_a_body_before_the_start_is_refused(self): # B61
        self.assert_500(("body", "one"), why="after an event was refused")
        self.assertEqual(self.wait_done(), ["body EPROTO"])
        response = self.ask(self.script(("end", "one"), *OK)) # an application may mend it
        self.assertEqual(response.body, b"ok")

    def test_a_second_start_is_refused(self): # B62
        self.assert_500(("start", 200), ("start", 200), why="after an event was refused")
        self.assertEqual(self.wait_done(), ["start OK", "start EPROTO"])
        self.assert_cut(("start", 200), ("body", "one"), ("start", 200), sent=b"3\r\none\r\n", why="in the midst")

    def test_what_follows_the_last_body_never_reaches_the_wire(self): # B56 B63
        for words in ([("body", "more")], [("end", "more")], [("start", 200)], [("start", 500), ("end", "more")], [("trailers", "a=b")]):
            connection = self.connect()
            connection.send(self.script(*OK, *words) + self.script(("start", 201), ("end", "next")))
            self.assertEqual((connection.response().body, connection.response().status), (b"ok", 201))

    def test_what_follows_the_last_body_is_refused(self): # B63
        self.ask(self.script(*OK, ("body", "more"), ("start", 200)))
        self.assertEqual(self.wait_done(), ["start OK", "end OK", "body EPROTO", "start EPROTO"])

    def test_an_unknown_event_is_refused(self): # B68
        for number in (0, 1, 2, 35, 65, 9999):
            self.assertEqual(self.ask(self.script(("event", number), *OK)).body, b"ok")
            self.assertEqual(self.wait_done(), ["event EINVAL", "start OK", "end OK"])

    def test_what_is_not_offered_says_so(self): # B68: push and debug
        for number in (6, 10):
            self.ask(self.script(("event", number), *OK))
            self.assertEqual(self.wait_done(), ["event ENOTSUP", "start OK", "end OK"])


class Lengths(Case):
    def test_a_short_body_is_cut_and_never_padded(self): # B65
        self.assert_cut(("start", 200, "content-length=10"), ("body", "one"), ("end", "two"), sent=b"one",
                        why="the body is shorter than its content-length")
        self.assertEqual(self.wait_done(), ["start OK", "body OK", "end EINVAL"])

    def test_a_short_body_that_is_known_at_once_is_a_500(self): # B65
        self.assert_500(("start", 200, "content-length=10"), ("end", "short"), why="refused")

    def test_a_long_body_is_cut_and_its_surplus_no_new_response(self): # B66
        self.assert_cut(("start", 200, "content-length=5"), ("body", "one"), ("end", "surplus"), sent=b"one",
                        why="the body is longer than its content-length")
        self.assertEqual(self.wait_done(), ["start OK", "body OK", "end EINVAL"])

    def test_a_long_body_that_is_known_at_once_is_a_500(self): # B66
        self.assert_500(("start", 200, "content-length=5"), ("end", "surplus"), why="refused")

    def test_a_length_that_is_none_is_refused(self): # B68
        for values in (["-1"], ["5", "5"], ["5, 5"], ["0x5"], ["1e1"], [""], ["9" * 30]):
            self.assert_500(("start", 200, *(f"content-length={value}" for value in values)), ("end", "12345"), why="refused")


class Fields(Case):
    def assert_refused(self, field):
        response = self.ask(self.script(("start", 200, "x-before=1", field), ("start", 200, "x-good=1"), ("end", "ok")))
        self.assertEqual((response.status, response.get("x-good"), response.get("x-before"), response.body), (200, "1", None, b"ok"))
        self.assertEqual(self.wait_done(), ["start EINVAL", "start OK", "end OK"], field)

    def test_line_ends_and_nul_in_a_value_are_refused(self): # B67 B68
        for value in ("a\r\nx-injected: 1", "a\nx-injected: 1", "a\rb", "a\0b", "\n", "a\x7fb", "a\x1bb", "12345678\r90123456", "1234567890123456\n"):
            self.assert_refused(f"x-a={value}")

    def test_names_that_are_no_tokens_are_refused(self): # B68
        for name in ("x a", "x:a", "x\r\na", "x\0", "", "x\xe9", "x(a)", ":status", "x-long-name-12345678 ", "1234567\t"):
            self.assert_refused(f"{name}=1")

    def test_nothing_injected_is_on_the_wire_when_the_handler_gives_up(self): # B67
        self.assert_500(("start", 200, "x-a=a\r\nset-cookie: stolen=1"), "result:EINVAL", why="the handler failed")

    def test_the_line_of_a_failure_says_what_was_refused(self):
        for words, why in ((("start", 99), "the status is not between 200 and 599"), (("start", 200, "x a=1"), "a field name is not a token"),
                           (("body", "one"), "http.response.body before http.response.start")):
            self.assert_500(words, "result:EINVAL", why=rf"\(EINVAL\); what it sent was refused: {why}")

    def test_a_final_status_is_200_to_599(self): # B69
        for status in (0, 99, 100, 101, 103, 199, 600, 700, 999, 1000, -200):
            self.ask(self.script(("start", status), *OK))
            self.assertEqual(self.wait_done(), ["start EINVAL", "start OK", "end OK"], status)

    def test_names_are_sent_in_lower_case(self):
        self.assertEqual(self.ask(self.script(("start", 200, "X-UPPER-Case-Of-17c=1"), ("end", "x"))).fields[0], ("x-upper-case-of-17c", "1"))


class Departed(Case):
    def assert_no_error(self, begin):
        self.server.wait_log(rf'"GET /{self.name}.* 499 ', begin)
        self.assertEqual([line for line in self.server.log[begin:] if "ERROR:" in line and f'"GET /{self.name}"' in line], [])

    def test_sends_to_a_client_that_left_fail_and_are_no_error_of_the_application(self): # B70
        for result in ("result:EDISCONNECTED", "result:"):
            begin = len(self.server.log)
            connection = self.connect()
            connection.send(self.script(("start", 200), ("body", "one"), ("fill", 1 << 30), ("body", "two"), result))
            connection.until(b"one")
            connection.reset()
            self.assert_no_error(begin)
            self.assertIn("fill EDISCONNECTED", self.log())
            self.assertIn("body EDISCONNECTED", self.log())

    def test_a_client_that_left_before_the_start_is_a_499(self): # B70
        begin = len(self.server.log)
        connection = self.connect()
        connection.send(self.script("receive", "receive", *OK))
        self.wait_step("receive http.request 0 end")
        connection.reset()
        self.assert_no_error(begin)

    def test_a_send_that_waits_is_woken_when_the_client_leaves(self): # B70
        connection = self.connect(receive_buffer=4096)
        connection.send(self.script(("start", 200), ("fill", 1 << 30)))
        connection.head()
        self.assertTrue(self.log() == ["start OK"])
        connection.reset()
        self.wait_step("fill EDISCONNECTED")


class Deadlines(Case):
    def test_a_send_that_takes_too_long_cuts_the_response(self): # DESIGN 2.7
        connection = self.connect(receive_buffer=4096)
        connection.send(self.script(("start", 200), ("body", "one"), ("deadline", 100), ("fill", 1 << 30), "uncancel", ("end", "x")))
        self.wait_step("fill ETIMEDOUT")
        self.assertIn("end ETIMEDOUT", self.wait_done())
        data = connection.rest()
        self.assertTrue(data.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertFalse(data.endswith(b"0\r\n\r\n"))

    def test_a_receive_that_takes_too_long_loses_nothing(self):
        connection = self.connect()
        connection.send(get(self.target(("deadline", 50), "receive", ("gate", "never")), "Content-Length: 5", method="POST"))
        self.assertEqual(self.wait_done(), ["deadline OK", "receive ETIMEDOUT", "gate ETIMEDOUT"])


class Exceptions(unittest.TestCase):
    def test_an_exception_in_a_body_cuts_it_and_the_server_goes_on(self): # B58 B72
        with support.Server(support.example("cpp")) as server:
            self.assertEqual([server.get("/?throw=1")[0] for _ in range(3)], [500] * 3)
            self.assertEqual(server.get("/")[0], 200)


if __name__ == "__main__":
    unittest.main()
