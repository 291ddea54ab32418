"""Responses of applications that keep to the order of events, as they are on the wire: framing, fields, connection."""

import os
import time
import unittest

import support
from served import Scripted, Served
from wire import get, post

MIB = 1 << 20
SILENT = ("--no-date-header", "--no-server-header")


class Framing(Scripted):
    ARGUMENTS = SILENT

    def test_a_response_is_these_bytes_and_no_others(self): # B35 B44 B54
        connection = self.connect()
        connection.send(self.script(("start", 200, "x-a=1"), ("end", "hello")))
        self.assertEqual(connection.until(b"hello"), b"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 5\r\n\r\nhello")
        self.assertTrue(connection.quiet())

    def test_a_response_without_a_body_has_a_length_of_0(self): # B44
        response = self.ask(self.script(("start", 404), "end"))
        self.assertEqual((response.status, response.reason, response.fields), (404, "Not Found", [("content-length", "0")]))

    def test_a_known_length_is_told_and_not_chunked(self): # B35
        response = self.ask(self.script(("start", 200, "content-length=5"), ("body", "he"), ("end", "llo")))
        self.assertEqual((response.fields, response.body), ([("content-length", "5")], b"hello"))

    def test_without_a_length_it_is_chunked_with_one_last_chunk(self): # B38
        connection = self.connect()
        connection.send(self.script(("start", 200), ("body", "one"), ("end", "two")) + self.script(("start", 200), "end"))
        response = connection.response()
        self.assertEqual((response.fields, response.chunks), ([("transfer-encoding", "chunked")], [b"one", b"two"]))
        self.assertEqual(connection.response().status, 200) # in step

    def test_an_empty_piece_is_no_last_chunk(self): # B43
        connection = self.connect()
        connection.send(self.script(("start", 200), "body", "body", ("body", "one"), "body", ("gate", self.name), "end"))
        self.assertEqual((connection.head().get("transfer-encoding"), connection.chunk()), ("chunked", b"one"))
        self.assertTrue(connection.quiet())
        self.open()
        self.assertEqual(connection.chunk(), b"")

    def test_the_applications_own_coding_is_ignored(self): # B39 B41
        for fields in (("transfer-encoding=chunked",), ("Transfer-Encoding=gzip, chunked",), ("transfer-encoding=identity",)):
            response = self.ask(self.script(("start", 200, *fields), ("body", "one"), ("end", "two")))
            self.assertEqual((response.fields, response.chunks), ([("transfer-encoding", "chunked")], [b"one", b"two"]))
        response = self.ask(self.script(("start", 200, "transfer-encoding=chunked"), ("end", "one")))
        self.assertEqual((response.fields, response.body), ([("content-length", "3")], b"one"))

    def test_fields_of_the_connection_are_the_servers(self): # B41
        response = self.ask(self.script(("start", 200, "keep-alive=timeout=5", "upgrade=h2c", "proxy-connection=keep-alive",
                                         "connection=keep-alive"), ("end", "x")))
        self.assertEqual(response.fields, [("content-length", "1")])

    def test_to_http_1_0_a_body_without_a_length_ends_with_the_connection(self): # B53
        connection = self.connect()
        connection.send(self.script(("start", 200), ("body", "one"), ("end", "two"), version="1.0", fields=("Connection: keep-alive",)))
        response = connection.response()
        self.assertEqual((response.fields, response.body), ([("connection", "close")], b"onetwo"))
        response = self.ask(self.script(("start", 200), ("end", "one"), version="1.0"))
        self.assertEqual(response.get("content-length"), "3")

    def test_order_and_duplicates_of_fields_are_kept(self): # B47
        response = self.ask(self.script(("start", 200, "set-cookie=a=1", "X-B=2", "set-cookie=b=2", "x-a=3"), ("end", "x")))
        self.assertEqual(response.fields[:-1], [("set-cookie", "a=1"), ("x-b", "2"), ("set-cookie", "b=2"), ("x-a", "3")])

    def test_values_appear_as_they_are(self): # B46
        values = ["a\tb", "two  spaces", "caf\xe9", "\"q\\\"", ""]
        response = self.ask(self.script(("start", 200, *(f"x-{i}={value}" for i, value in enumerate(values))), ("end", "x")))
        # The query's percent-encoding is UTF-8.
        self.assertEqual([value.encode("latin-1").decode() for _, value in response.fields[:-1]], values)

    def test_a_status_without_a_name_has_an_empty_reason(self): # B51
        for status, reason in ((599, ""), (299, ""), (503, "Service Unavailable"), (201, "Created")):
            response = self.ask(self.script(("start", status), ("end", "x")))
            self.assertEqual((response.status, response.reason), (status, reason))

    def test_a_large_field_section_is_sent_whole(self):
        connection = self.connect()
        connection.send(self.script(("start", 200, *(f"x-{i}={'v' * 3000}" for i in range(15))), ("end", "x")))
        response = connection.response()
        self.assertEqual([len(value) for _, value in response.fields], [3000] * 15 + [1])


class NoBodies(Scripted):
    ARGUMENTS = SILENT

    def in_step(self, method, *words, **how):
        """The response, and that the next one follows it directly."""
        connection = self.connect()
        connection.send(self.script(*words, method=method, **how) + self.script(("start", 200), ("end", "next")))
        response = connection.response(method)
        self.assertEqual(connection.response().body, b"next")
        return response

    def test_a_head_has_the_fields_of_a_get_and_no_body(self): # B36
        response = self.in_step("HEAD", ("start", 200, "x-a=1"), ("end", "hello"))
        self.assertEqual(response.fields, [("x-a", "1"), ("content-length", "5")])
        response = self.in_step("HEAD", ("start", 200, "content-length=100"), ("end", "he"))
        self.assertEqual(response.fields, [("content-length", "100")])
        response = self.in_step("HEAD", ("start", 200, "content-length=100"), "end")
        self.assertEqual(response.fields, [("content-length", "100")])

    def test_a_streamed_answer_to_head_has_no_chunks_and_keeps_the_connection(self): # B36 B40
        response = self.in_step("HEAD", ("start", 200, "transfer-encoding=chunked"), ("body", "one"), ("end", "two"))
        self.assertEqual(response.get("connection"), None)
        response = self.in_step("HEAD", ("start", 200), ("fill", 300_000), ("end", "x"))
        self.assertEqual(response.get("connection"), None)

    def test_204_and_304_have_no_body_and_no_coding(self): # B37
        for status in (204, 304):
            for words in ((("end", ""),), (("body", "one"), ("end", "two"))):
                response = self.in_step("GET", ("start", status), *words)
                self.assertEqual((response.status, response.fields), (status, []))

    def test_a_304_may_tell_the_length_of_what_it_stands_for_and_a_204_none(self): # B37
        self.assertEqual(self.in_step("GET", ("start", 304, "content-length=100"), "end").fields, [("content-length", "100")])
        self.assertEqual(self.in_step("GET", ("start", 204, "content-length=0"), "end").fields, [])


class Streaming(Scripted):
    def test_every_send_is_on_the_wire_before_the_handler_waits(self): # B42
        connection = self.connect()
        connection.send(self.script(("start", 200), ("body", "one"), ("gate", self.name), ("body", "two"), ("gate", self.name + "2"), "end"))
        self.assertEqual((connection.head().status, connection.chunk()), (200, b"one"))
        self.open()
        self.assertEqual(connection.chunk(), b"two")
        self.open(self.name + "2")
        self.assertEqual(connection.chunk(), b"")

    def test_an_empty_first_piece_sends_the_head(self): # B42
        connection = self.connect()
        connection.send(self.script(("start", 200), "body", ("gate", self.name), ("end", "x")))
        self.assertEqual(connection.head().status, 200)
        self.open()
        self.assertEqual(connection.chunk(), b"x")

    def test_a_final_event_does_not_wait_for_the_handlers_end(self): # DESIGN 2.7
        connection = self.connect()
        connection.send(self.script(("start", 200), ("end", "x"), ("gate", self.name)))
        self.assertEqual(connection.response().body, b"x")
        self.open()

    def test_large_bodies_arrive_whole(self):
        for words in ([("end-fill", 5_000_000)], [("fill", 65536 * 20), ("end", "y")]):
            body = self.ask(self.script(("start", 200), *words)).body
            self.assertEqual(body.rstrip(b"y"), b"x" * len(body.rstrip(b"y")))
        self.assertEqual(len(self.ask(self.script(("start", 200, "content-length=9000000"), ("end-fill", 9_000_000))).body), 9_000_000)

    def test_send_waits_while_the_client_reads_slowly(self): # B55
        connection = self.connect(receive_buffer=4096)
        size = 64 * MIB
        connection.send(self.script(("start", 200), ("fill", size), "end"))
        connection.head()
        time.sleep(0.3)
        self.assertEqual(self.log(), ["start OK"]) # 64 MiB do not fit into the kernel's buffers
        left = size
        while left:
            left -= len(connection.chunk())
        self.assertEqual(connection.chunk(), b"")
        self.assertIn("fill OK", self.wait_done())

    def test_others_are_served_while_a_client_does_not_read(self): # B55
        connection = self.connect(receive_buffer=4096)
        connection.send(self.script(("start", 200), ("fill", 64 * MIB), "end"))
        connection.head()
        for _ in range(20):
            self.assertEqual(self.ask(get("/log/none")).status, 200)


class Connections(Scripted):
    OK = (("start", 200), ("end", "ok"))

    def test_the_application_may_close_the_connection(self): # B48
        connection = self.connect()
        connection.send(self.script(("start", 200, "connection=close"), ("end", "x")))
        response = connection.response()
        self.assertEqual((response.get("connection"), connection.ended()), ("close", "closed"))

    def test_the_client_may_close_the_connection(self): # B49
        for data in (self.script(*self.OK, fields=("Connection: close",)), self.script(*self.OK, fields=("Connection: x, Close",)),
                     post(self.target(*self.OK), b"body", "Connection: close"), self.script(*self.OK, version="1.0")):
            connection = self.connect().send(data)
            response = connection.response()
            self.assertEqual((response.status, response.get("connection"), connection.ended()), (200, "close", "closed"))

    def test_what_follows_a_connection_close_is_not_executed(self): # B50
        connection = self.connect()
        connection.send(self.script(*self.OK, fields=("Connection: close",)) + get(f"/{self.name}2?start:200,end:x") * 3)
        self.assertEqual((connection.response().body, connection.ended()), (b"ok", "closed"))
        self.assertEqual(self.ask(get(f"/log/{self.name}2")).body, b"")

    def test_http_1_0_keeps_the_connection_only_when_asked_to(self):
        connection = self.connect()
        for _ in range(2):
            connection.send(self.script(*self.OK, version="1.0", fields=("Connection: keep-alive",)))
            self.assertEqual(connection.response().get("connection"), "keep-alive")

    def test_pipelined_requests_are_answered_in_order_one_at_a_time(self): # B52
        connection = self.connect()
        connection.send(self.script(("gate", self.name), ("start", 200), ("end", "1"))
                        + get(f"/{self.name}2?start:200,body:2,end:2") + get(f"/{self.name}3?start:200,end:3"))
        self.assertTrue(connection.quiet())
        self.assertEqual(self.ask(get(f"/log/{self.name}2")).body, b"") # the second has not begun
        self.open()
        self.assertEqual([connection.response().body for _ in range(3)], [b"1", b"22", b"3"])

    def test_a_thousand_pipelined_requests_are_answered(self): # B52
        connection = self.connect()
        for _ in range(10):
            connection.send(self.script(*self.OK) * 100)
            for _ in range(100):
                self.assertEqual(connection.response().body, b"ok")

    def test_requests_after_a_body_are_in_step(self):
        connection = self.connect()
        connection.send(post(self.target("receive-all", *self.OK), b"x" * 100_000) + self.script(*self.OK))
        self.assertEqual([connection.response().body for _ in range(2)], [b"ok", b"ok"])

    def test_empty_lines_before_a_request_are_skipped(self): # RFC 9112, section 2.2
        connection = self.connect()
        connection.send(b"\r\n\r\n" + self.script(*self.OK) + b"\r\n" + self.script(*self.OK))
        self.assertEqual([connection.response().body for _ in range(2)], [b"ok", b"ok"])

    def test_an_upgrade_is_served_as_a_normal_request(self): # B82 B83
        for fields in (("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
                       ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                        "Sec-WebSocket-Version: 13"), ("Connection: Upgrade", "Upgrade: nonsense/9")):
            connection = self.connect()
            connection.send(self.script(*self.OK, fields=fields) + self.script(*self.OK))
            for _ in range(2):
                response = connection.response()
                self.assertEqual((response.status, response.get("upgrade"), response.body), (200, None, b"ok"))


class DefaultFields(Scripted):
    ARGUMENTS = ("--header", "X-Extra: 1", "--header", "x-extra: 2", "--header", "x-else: 3")

    def test_every_response_has_them(self): # B79 B80
        for words in ((("start", 200), ("end", "x")), (("start", 404), "body", "end"), (("start", 204), "end"), ("result:EFAILED",)):
            response = self.ask(self.script(*words))
            self.assertEqual((response.get("server"), response.all("x-extra"), response.get("x-else")), ("casgi", ["1", "2"], "3"))
            self.assertIsNotNone(response.get("date"))

    def test_a_refusal_has_them(self): # B79 B80
        response = self.connect().send(b"NO\r\n\r\n").response()
        self.assertEqual((response.status, response.get("server"), response.all("x-extra")), (400, "casgi", ["1", "2"]))
        self.assertIsNotNone(response.get("date"))

    def test_the_applications_own_replace_them(self): # B81
        response = self.ask(self.script(("start", 200, "date=today", "Server=mine", "x-else=4"), ("end", "x")))
        self.assertEqual((response.get("date"), response.get("server"), response.get("x-else")), ("today", "mine", "4"))
        self.assertEqual(response.all("x-extra"), ["1", "2"])


class Extensions(Scripted):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.class_folder, self.name + ".bin")
        self.content = os.urandom(700_000)
        with open(self.path, "wb") as file:
            file.write(self.content)

    TRAILERS = (("start-trailers", 200, "trailer=x-t"), ("body", "one"), ("end", "two"))

    def test_trailers_follow_the_last_chunk(self): # B152
        connection = self.connect()
        words = (*self.TRAILERS, ("trailers-more", "x-t=1"), ("trailers", "x-u=2"))
        connection.send(self.script(*words, fields=("TE: trailers",)) * 2)
        for _ in range(2):
            response = connection.response()
            self.assertEqual((response.chunks, response.trailers), ([b"one", b"two"], [("x-t", "1"), ("x-u", "2")]))
            self.assertEqual(response.get("trailer"), "x-t")

    def test_trailers_are_sent_to_those_who_asked_only(self): # B152
        connection = self.connect()
        connection.send(self.script(*self.TRAILERS, ("trailers", "x-t=1")) * 2)
        for _ in range(2):
            response = connection.response()
            self.assertEqual((response.body, response.trailers), (b"onetwo", []))
        self.assertEqual(self.wait_done()[-1], "trailers OK")
        response = self.ask(self.script(*self.TRAILERS, ("trailers", "x-t=1"), version="1.0", fields=("TE: trailers",)))
        self.assertEqual((response.body, response.trailers), (b"onetwo", []))

    def test_trailers_are_never_about_framing(self): # B152
        connection = self.connect()
        connection.send(self.script(*self.TRAILERS, ("trailers", "content-length=5"), ("trailers", "content-type=a"),
                                    ("trailers", "x-t=a\r\nb"), ("trailers", "x-t=1"), fields=("TE: trailers",)))
        self.assertEqual(connection.response().trailers, [("x-t", "1")])
        self.assertEqual(self.wait_done()[-4:], ["trailers EINVAL"] * 3 + ["trailers OK"])

    def test_early_hints_come_before_the_response(self): # B153
        link = "</a.css>; rel=preload"
        for words in ((("hint", link), ("start", 200), ("end", "x")), (("start", 200), ("hint", link), ("end", "x"))):
            connection = self.connect()
            response = connection.send(self.script(*words)).response()
            self.assertEqual([(interim.status, interim.fields) for interim in response.interim], [(103, [("link", link)])])
            self.assertEqual((response.status, response.body), (200, b"x"))

    def test_early_hints_are_sent_at_once(self): # B153
        connection = self.connect()
        connection.send(self.script(("hint", "</a>"), ("gate", self.name), ("start", 200), ("end", "x")))
        self.assertEqual(connection.head().status, 103)
        self.open()
        self.assertEqual(connection.response().interim, [])

    def test_http_1_0_gets_no_early_hints(self): # B153
        self.assertEqual(self.ask(self.script(("hint", "</a>"), ("start", 200), ("end", "x"), version="1.0")).interim, [])

    def test_a_file_is_sent_byte_for_byte(self): # B154
        for words in (("end-file", self.path),), (("file", self.path), "end"):
            self.assertEqual(self.ask(self.script(("start", 200), *words)).body, self.content)
        response = self.ask(self.script(("start", 200, "content-length=700000"), ("end-file", self.path)))
        self.assertEqual((response.chunks, response.body), (None, self.content))

    def test_parts_of_files_mix_with_body_events(self): # B154
        response = self.ask(self.script(("start", 200), ("body", "<"), ("file", self.path, 10, 100_000), ("body", "|"),
                                        ("file", self.path, 600_000), ("file", self.path, 5, 0), ("end", ">")))
        self.assertEqual(response.body, b"<" + self.content[10:100_010] + b"|" + self.content[600_000:] + b">")

    def test_a_path_is_sent_whole(self): # B154
        for fields in ((), ("content-length=700000",)):
            self.assertEqual(self.ask(self.script(("start", 200, *fields), ("path", self.path))).body, self.content)

    def test_files_answer_head_and_http_1_0(self): # B154 B36 B53
        connection = self.connect()
        connection.send(self.script(("start", 200), ("path", self.path), method="HEAD") + self.script(("start", 200), ("end", "x")))
        self.assertEqual(connection.response("HEAD").get("content-length"), "700000")
        self.assertEqual(connection.response().body, b"x")
        self.assertEqual(self.ask(self.script(("start", 200), ("file", self.path), "end", version="1.0")).body, self.content)

    def test_what_cannot_be_sent_is_refused_before_a_byte_left(self): # B154
        response = self.ask(self.script(("start", 200), ("path", self.path + "none"), ("path", "relative"), ("path", "/"),
                                        ("end-file", self.path, 0, 700_001), ("end", "instead")))
        self.assertEqual(response.body, b"instead")
        self.assertEqual(self.wait_done()[1:5], ["path ENOENT", "path EINVAL", "path EINVAL", "end-file EINVAL"])


class Hello(Served):
    APP = support.example("hello")
    ARGUMENTS = SILENT

    def test_a_plain_response_is_these_bytes(self):
        connection = self.connect().send(get() + get(method="HEAD") + get())
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\n"
        whole = head + b"Hello, World!"
        self.assertEqual(connection.exactly(len(whole) * 2 + len(head)), whole + head + whole)


if __name__ == "__main__":
    unittest.main()
