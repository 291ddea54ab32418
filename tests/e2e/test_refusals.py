"""What is no request: each is answered with a 4xx, its connection is closed, the application is not called, and one line in
the log names the peer, the byte at fault and the reason. Among them is everything that llhttp 8.1 lets through."""

import os
import re
import socket
import tempfile
import unittest

from served import Scripted, Served
from support import Server, wait_until
from wire import Connection, chunked, get

LINE = r"127\.0\.0\.1:{port} - refused with {status} at byte {offset}: {reason}"
HOST = b"Host: test\r\n"


class Case(Served):
    SOURCE = "steps"

    def assert_refused(self, data, reason="", offset=None, status=400, after=b""):
        """`offset`: the number, or the bytes that the fault begins with (in `data`)."""
        with self.subTest(data[:200]):
            begin = len(self.server.log)
            connection = self.connect()
            connection.send(after) # whole requests, which are answered
            for _ in range(after.count(b" HTTP/1.1\r\n")):
                self.assertEqual(connection.response().status, 200)
            connection.send(data)
            response = connection.response()
            self.assertEqual((response.status, response.get("connection")), (status, "close"))
            if status == 400:
                self.assertEqual(response.body, b"Invalid HTTP request received.")
                self.assertTrue(response.get("content-type").startswith("text/plain"))
            self.assertEqual(connection.ended(), "closed")
            self.assert_logged(begin, connection, status, reason, offset if isinstance(offset, int) or offset is None else data.index(offset))

    def assert_logged(self, begin, connection, status, reason, offset):
        port = connection.sock.getsockname()[1]
        wanted = LINE.format(port=port, status=status, offset=r"\d+" if offset is None else offset, reason=rf"(?:{reason})" if reason else r"\S")
        line = self.server.wait_log(rf"127\.0\.0\.1:{port} - refused", begin)
        self.assertRegex(line, wanted)
        self.assertEqual(len([line for line in self.server.log[begin:] if f":{port} - refused" in line]), 1)


class RequestLines(Case):
    def test_the_method_is_a_token(self): # B73 B74
        for method in (b"GE?T", b"G/T", b"G\x00T", b"G\xe9T", b"GET\t", b"{}", b"G@T"):
            self.assert_refused(method + b" / HTTP/1.1\r\n" + HOST + b"\r\n", "the method is not a token")
        self.assert_refused(b" / HTTP/1.1\r\n" + HOST + b"\r\n", "the method is not a token", 0)
        self.assert_refused(b"\x16\x03\x01\x02\x00\x01\x00", "the method is not a token", 0) # TLS on a plain port

    def test_one_space_stands_between_the_words(self): # B74, DESIGN 4
        self.assert_refused(b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", "no request target behind one space", 4)
        self.assert_refused(b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n", "the version", 6)
        self.assert_refused(b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", "the version")
        self.assert_refused(b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", "the method is not a token")
        self.assert_refused(b"GET /\tHTTP/1.1\r\n" + HOST + b"\r\n", "bad byte in the request target", b"\t")
        self.assert_refused(b"GET /\r\n\r\n", "bad byte in the request target") # HTTP/0.9
        self.assert_refused(b"GET\r\n\r\n", "")
        self.assert_refused(b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", "the version")

    def test_the_version_is_1_0_or_1_1(self): # B74, DESIGN 4
        for version in (b"HTTP/2.0", b"HTTP/1.2", b"HTTP/1.10", b"HTTP/0.9", b"HTTP/3", b"HTTP1.1", b"http/1.1", b"HTTP/ 1.1", b"HTTP/1,1",
                        b"HTTPS/1.1", b"RTSP/1.0", b"ICE/1.0", b"HTTP/01.1", b"HTTP/1.1x"):
            self.assert_refused(b"GET / " + version + b"\r\n" + HOST + b"\r\n", "the version is neither HTTP/1.1 nor HTTP/1.0", 6)

    def test_the_target_has_visible_ascii_only(self):
        for byte in (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xc3\xa9", b"\xff", b"\x0b", b"#"):
            self.assert_refused(b"GET /a" + byte + b"b HTTP/1.1\r\n" + HOST + b"\r\n", "bad byte in the request target", 6)

    def test_the_target_is_a_path_or_a_url(self):
        for target in (b"a", b"*", b"test:80", b"?q", b"ftp://test/", b"test", b"http:/a", b"http://"):
            self.assert_refused(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n", "the request target is neither a path nor a URL", 4)

    def test_connect_is_not_supported(self):
        for target in (b"test:80", b"/", b"http://test/"):
            self.assert_refused(b"CONNECT " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n", "CONNECT is not supported", 0)

    def test_the_authority_of_a_url_is_a_host(self):
        for authority in (b"user@test", b"te<st", b":80", b"test:x", b"[::1", b"test%zz", b"/", b"test:65536", b"[zz]"):
            self.assert_refused(b"GET http://" + authority + b"/ HTTP/1.1\r\n" + HOST + b"\r\n", "bad authority in the request target")

    def test_escapes_are_whole_and_utf8(self):
        for path in (b"/%", b"/%4", b"/%zz", b"/%00", b"/%ff"):
            self.assert_refused(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n", "bad escape in the path, or not UTF-8", 4)


class LineEnds(Case):
    def test_a_bare_lf_is_refused_wherever_it_stands(self):
        self.assert_refused(b"GET / HTTP/1.1\nHost: test\r\n\r\n", "bare LF", b"\nHost")
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: test\n\r\n", "bare LF", b"\n\r\n")
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: test\r\n\n", "bare LF")
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: test\r\nX: a\nX-Smuggled: b\r\n\r\n", "bare LF", b"\nX-Smuggled")
        self.assert_refused(b"\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", "bare LF", 0)

    def test_a_bare_cr_is_refused_wherever_it_stands(self): # DESIGN 4: llhttp swallows the byte behind one after a colon
        for line in (b"X: a\rb", b"X:\rb", b"X: \rb", b"X: a\r", b"X\r: a", b"\rX: a", b"X:\r", b"X:\r\r"):
            self.assert_refused(b"GET / HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n")
        self.assert_refused(b"GET / HTTP/1.1\r\rHost: test\r\n\r\n")
        self.assert_refused(b"GET /\r HTTP/1.1\r\nHost: test\r\n\r\n", "bad byte in the request target", 5)
        self.assert_refused(b"\rGET / HTTP/1.1\r\nHost: test\r\n\r\n")
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: test\r\n\rGET / HTTP/1.1\r\n\r\n")


class Fields(Case):
    def field(self, line, reason="", offset=None, rest=b""):
        self.assert_refused(b"GET / HTTP/1.1\r\n" + HOST + line + b"\r\n" + rest + b"\r\n", reason, offset)

    def test_no_space_stands_before_a_colon(self): # DESIGN 4
        for line in (b"X : a", b"X\t: a", b"Content-Length : 5", b"Transfer-Encoding : chunked"):
            self.field(line)

    def test_no_line_is_folded(self): # DESIGN 4
        self.field(b"X: a\r\n b", "folded header line", b" b\r\n")
        self.field(b"X: a\r\n\tb", "folded header line", b"\tb")
        self.assert_refused(b"GET / HTTP/1.1\r\n Host: test\r\n\r\n", "folded header line", b" Host")

    def test_a_name_is_a_token(self):
        for line in (b": a", b"X Y: a", b"X(Y): a", b"X\x00: a", b"X\xe9: a", b"X", b"X\x7f: a", b"\"X\": a", b"@: a", b"X/Y: a"):
            self.field(line)

    def test_a_value_has_no_control_character(self):
        for byte in (b"\x00", b"\x01", b"\x08", b"\x0b", b"\x1b", b"\x7f"):
            for line in (b"X: a" + byte + b"b", b"X: " + byte, b"X:" + byte + b"b", b"X: a" + byte):
                self.field(line)

    def test_host_is_there_once_and_is_one(self):
        self.assert_refused(b"GET / HTTP/1.1\r\n\r\n", "no host")
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "more than one host")
        self.assert_refused(b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", "more than one host")
        for host in (b"a b", b"a/b", b"user@a", b"a:b", b"a:80:80", b"[::1", b"[]", b"a\\b", b"<a>", b"a?b", b"a%zz", b"\xe9", b":80", b"http://a",
                     b"a:65536", b"[::1]:99999", b"[zz]", b"[1.2.3.4]", b"[v1.]"):
            self.assert_refused(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", "bad host")

    def test_good_hosts_pass(self):
        for host in ("a", "a:80", "a.b-c_d.example:", "127.0.0.1:8000", "[::1]", "[::1]:80", "[v1.a:b]", "a:65535", "a%20b", ""):
            with self.subTest(host):
                self.assertEqual(self.ask(get("/x?start:200,end", f"Host: {host}", host=None)).status, 200)


class Lengths(Case):
    def length(self, *lines, reason, body=b""):
        head = b"POST / HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
        self.assert_refused(head + body, reason)

    def test_a_length_is_digits(self):
        for value in (b"-1", b"+5", b"5a", b"0x5", b"1e3", b"5 5", b"", b"5,5", b"5, 5", b"9223372036854775808", b"99999999999999999999999", b"\xd9\xa5", b"5;", b"1_0"):
            self.length(b"Content-Length: " + value, reason="")

    def test_there_is_one_length(self):
        for values in ((b"5", b"5"), (b"5", b"6"), (b"0", b"5")):
            self.length(*(b"Content-Length: " + value for value in values), reason="more than one content-length|Duplicate Content-Length", body=b"12345")

    def test_there_is_a_length_or_a_coding(self):
        self.length(b"Content-Length: 5", b"Transfer-Encoding: chunked", reason="both content-length and transfer-encoding", body=b"0\r\n\r\n")
        self.length(b"Transfer-Encoding: chunked", b"Content-Length: 0", reason="both content-length and transfer-encoding", body=b"0\r\n\r\n")

    def test_the_coding_is_chunked_alone(self):
        for value in (b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"identity", b"xchunked", b"chunked;a=b", b"", b"\"chunked\"",
                      b"chunked,", b",chunked", b"\x0bchunked"):
            self.length(b"Transfer-Encoding: " + value, reason="")
        self.length(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", reason="")
        self.length(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", reason="")

    def test_http_1_0_has_no_coding(self):
        self.assert_refused(b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "transfer-encoding in HTTP/1.0")


CHUNKS = (
    (b"x\r\n", "the chunk size is not hexadecimal"), (b"\r\n", ""), (b"-1\r\n", ""), (b"+1\r\n", ""), (b"0x1\r\n", ""), (b" 1\r\n", ""),
    (b"1 \r\na", ""), (b"1\ta\r\n", ""), (b"1 1\r\n", ""), (b"g\r\n", ""), (b"1,1\r\n", ""),
    (b"8000000000000000\r\n", "the chunk size is too large"), (b"ffffffffffffffff\r\n", "the chunk size is too large"),
    (b"00000000000000001\r\n", "the chunk size is too large"), (b"10000000000000000\r\n", "the chunk size is too large"),
    (b"3\nabc\r\n", ""), (b"3\rabc\r\n", "bare CR"), (b"3\r\r\n", "bare CR"), (b"3\r\nabc\n", ""), (b"3\r\nabc\r3\r\n", ""), (b"3\r\nabcd\r\n", ""),
    (b"3\r\nab\r\n\r\n", ""), (b"3\r\nabc0\r\n", ""), (b"3\r\nabc\r\n\r\n", ""),
    (b"3;\x00\r\n", "bad chunk extension"), (b"3;a=\x01\r\n", "bad chunk extension"), (b"3;a\nb\r\n", ""), (b"3;a\rb\r\n", "bare CR"),
    (b"3;a=b=c\r\n", ""), (b"3;=b\r\n", ""), (b"3;\r\n", ""), (b"3;a=\"b\r\n", ""), (b"3;a=b\xffc\r\n", ""), (b"3;a=\"b\"c\r\n", ""), (b"3;" + b"x" * 70000 + b"\r\n", ""),
    (b"0\r\nX\r\n\r\n", "bad trailer field name"), (b"0\r\n: a\r\n\r\n", "bad trailer field name"), (b"0\r\nX : a\r\n\r\n", "bad trailer field name"),
    (b"0\r\nX: a\x00\r\n\r\n", "bad byte in a trailer"), (b"0\r\nX: a\nY: b\r\n\r\n", ""), (b"0\r\nX: a\rb\r\n\r\n", "bare CR"),
    (b"0\r\n folded: a\r\n\r\n", ""), (b"0\r\n\n", ""), (b"0\r\n\rX", "bare CR"), (b"0\nX", ""), (b"0\r\nX: " + b"x" * 70000, ""))


class Chunks(Case):
    HEAD = get("/{}?receive-all,receive", "Transfer-Encoding: chunked", method="POST")

    def test_a_bad_chunk_is_refused_and_its_byte_named(self): # B34
        for body, reason in CHUNKS:
            self.assert_refused(self.HEAD + body, reason)
        self.assert_refused(self.HEAD + b"3\r\nabc\r\nxyz", offset=b"xyz")

    def test_the_same_behind_a_request_that_went_well(self):
        before = get("/ok?receive-all,start:200,end", "Transfer-Encoding: chunked", method="POST") + chunked(b"abc")
        for body, reason in CHUNKS[:10]:
            self.assert_refused(self.HEAD + body, reason, after=before)


class Split(Scripted):
    def test_a_bad_chunk_is_a_disconnect_whenever_it_comes(self): # B34
        for number, (body, _) in enumerate(CHUNKS):
            if len(body) > 1000 or self.looks_whole(body):
                continue
            name = f"{self.name}{number}"
            connection = self.connect()
            connection.send(get(f"/{name}?receive,receive-all", "Transfer-Encoding: chunked", method="POST") + b"2\r\nab\r\n")
            self.wait_in(name, r"receive http\.request 2 more\n")
            for i in range(len(body)):
                try:
                    connection.send(body[i:i + 1])
                except (BrokenPipeError, ConnectionResetError):
                    break
            response = connection.response()
            self.assertEqual((response.status, response.get("connection")), (400, "close"), body)
            self.wait_in(name, r"receive-all \d+ http\.disconnect\ndone\n")

    def looks_whole(self, body):
        return not body.endswith(b"\n") and b"\n" not in body

    def wait_in(self, name, pattern):
        wait_until(lambda: re.search(pattern, self.ask(get(f"/log/{name}")).body.decode()), f"{pattern} in the log of {name}")


class Others(Case):
    def test_bytes_that_never_end_are_cut_off(self): # B75
        for data in (b"A" * 100_000, b"GET /" + b"a" * 100_000, b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000):
            connection = self.connect()
            try:
                connection.send(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            response = connection.response()
            self.assertIn(response.status, (400, 414, 431))
            self.assertEqual(connection.ended(), "closed")

    def test_the_application_is_not_called(self): # B73
        for data in (b"GET /uncalled?start:200,end HTTP/1.1\r\n\r\n", b"GET /uncalled?start:200,end HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n"):
            self.assert_refused(data)
        self.assertEqual(self.ask(get("/log/uncalled")).body, b"")

    def test_what_follows_is_not_executed(self):
        connection = self.connect()
        connection.send(b"GET / HTTP/1.1\r\n\r\n" + get("/smuggled?start:200,end"))
        self.assertEqual((connection.response().status, connection.ended()), (400, "closed"))
        self.assertEqual(self.ask(get("/log/smuggled")).body, b"")

    def test_a_request_behind_good_ones_is_refused_after_their_answers(self):
        good = get("/good?start:200,end")
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", after=good * 3)
        connection = self.connect()
        connection.send(good * 3 + b"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n")
        self.assertEqual([connection.response().status for _ in range(4)], [200, 200, 200, 400])

    def test_a_refused_requests_text_cannot_forge_a_line_of_the_log(self):
        begin = len(self.server.log)
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: a\r\nX\x1b[31m: a\r\n\r\n")
        self.assertFalse([line for line in self.server.log[begin:] if "\x1b" in line])

    def test_the_client_can_read_the_answer_though_it_goes_on_sending(self):
        connection = self.connect()
        connection.send(b"GET / HTTP/1.1\r\nX : a\r\n\r\n")
        for _ in range(20):
            connection.send(b"x" * 10_000)
        self.assertEqual((connection.response().status, connection.ended()), (400, "closed"))


class OtherSockets(unittest.TestCase):
    def test_the_line_has_an_ipv6_peer_in_brackets(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        with Server("inspect", "--host", "::1") as server, Connection(server, address=("::1", server.port)) as connection:
            self.assertEqual(connection.send(b"GET / HTTP/1.1\r\n\r\n").response().status, 400)
            server.wait_log(rf"\[::1\]:{connection.sock.getsockname()[1]} - refused with 400 at byte \d+: no host")

    def test_the_line_says_that_the_peer_came_over_one(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with Server("inspect", "--uds", path) as server, Connection(server, address=path) as connection:
                self.assertEqual(connection.send(b"GET / HTTP/1.1\r\n\r\n").response().status, 400)
                server.wait_log(r"unix - refused with 400 at byte \d+: no host")


if __name__ == "__main__":
    unittest.main()
