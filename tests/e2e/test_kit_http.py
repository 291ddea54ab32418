"""The kit's HTTP client inside handlers, against raw servers of our own, with and without TLS, and casgi itself."""

import gzip
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

import kit
import support
from support import Server, wait_until
from wire import Connection, get


class Peer:
    """A server that does what the path of a request says, one thread per connection. What it saw is in .requests (method,
    path, headers, body); .active are the requests it has not answered yet, .most their highest number, .sent the bytes of
    the large body, .closed the connections that were closed while it waited."""

    def __init__(self, certificate=None, path=None):
        self.lock = threading.Condition()
        self.requests, self.connections, self.active, self.most, self.sent, self.closed = [], 0, 0, 0, 0, 0
        self.wanted = 0  # /together answers when so many are there
        self.gate = threading.Event()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen(128)
        self.port = None if path else self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path="/hello", host="127.0.0.1"):
        return f"http{'s' if self.context else ''}://{host}:{self.port}{path}"

    def close(self):
        self.gate.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with self.lock:
            self.connections += 1
        try:
            sock.settimeout(support.PATIENCE)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as stream:
                while self._answer_one(sock, stream):
                    pass
        except (OSError, ValueError):
            pass

    def _answer_one(self, sock, stream):
        line = stream.readline()
        if not line:
            return False
        method, path, _ = line.decode().split(" ", 2)
        headers = http.client.parse_headers(stream)
        body = self._body(stream, headers)
        with self.lock:
            self.requests.append((method, path, headers, body))
            self.active += 1
            self.most = max(self.most, self.active)
            self.lock.notify_all()
        try:
            name = path.split("?")[0].strip("/").replace("/", "_")
            return getattr(self, "do_" + name)(sock, method, path, headers, body) is not False
        finally:
            with self.lock:
                self.active -= 1

    @staticmethod
    def _body(stream, headers):
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(stream.readline(), 16):
                body += stream.read(size)
                stream.readline()
            stream.readline()
            return body
        return stream.read(int(headers.get("content-length") or 0))

    @staticmethod
    def respond(sock, body=b"", status="200 OK", *fields):
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""])
        sock.sendall(head.encode() + body)

    # what the paths do; False: the connection ends

    def do_hello(self, sock, method, *_):
        if method == "HEAD":
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        else:
            self.respond(sock, b"hello", "200 OK", "X-Mixed-Case: Yes", "X-Two: 1", "X-Two: 2", "X-Empty:")

    def do_echo(self, sock, method, path, headers, body):
        self.respond(sock, body)

    def do_chunked(self, sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nX-Trailer: t\r\n\r\n")

    def do_gzip(self, sock, method, path, headers, body):
        data = gzip.compress(b"packed" * 1000)
        self.respond(sock, data, "200 OK", "Content-Encoding: gzip")

    def do_interim(self, sock, *_):
        sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        self.respond(sock, b"final")

    def do_gated(self, sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        self.gate.wait(support.PATIENCE)
        sock.sendall(b"later")

    def do_together(self, sock, *_):
        with self.lock:
            if not self.lock.wait_for(lambda: self.most >= self.wanted, support.PATIENCE):
                return False
        self.respond(sock, b"together")

    def do_large(self, sock, method, path, *_):
        size = int(path.split("?")[1])
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        piece = b"x" * 65536
        while size:
            part = piece[:size]
            sock.sendall(part)
            self.sent += len(part)
            size -= len(part)

    def do_redirect(self, sock, method, path, *_):
        left = int(path.split("?")[1])
        target = f"/redirect?{left - 1}" if left > 1 else "/hello"
        self.respond(sock, b"elsewhere", "303 See Other", f"Location: {target}")

    def do_hang(self, sock, *_):
        return self._wait_close(sock)

    def do_halfway(self, sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        return self._wait_close(sock)

    def _wait_close(self, sock):
        if not sock.recv(1):
            with self.lock:
                self.closed += 1
        return False

    def do_broken(self, sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        return False

    def do_nothing(self, *_):
        return False

    def do_garbage(self, sock, *_):
        sock.sendall(b"this is not HTTP\r\n\r\n")
        return False

    def do_last(self, sock, *_):
        self.respond(sock, b"and then it closes")  # without saying so
        return False

    def do_large_head(self, sock, *_):
        self.respond(sock, b"", "200 OK", *(f"X-Field-{i}: {'v' * 500}" for i in range(80)))


class Whole:
    """What /whole of the probe says."""

    def __init__(self, text):
        head, _, self.body = text.partition(b"\n\n")
        first, *fields = head.decode().split("\n")
        status, version, self.url = first.split(" ", 2)
        self.status, self.version = int(status), int(version)
        self.fields = [tuple(field.split(": ", 1)) for field in fields]

    def all(self, name):
        return [value for key, value in self.fields if key == name]


@kit.needs("HTTP", "fetch")
class Http(kit.Asking, unittest.TestCase):
    ARGUMENTS = ()  # of the probe
    APP = ""
    CERTIFICATE = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.module = kit.build(folder.name, "kit_http")
        cls.prepare()
        cls.server = cls.start(*cls.ARGUMENTS)
        cls.addClassCleanup(cls.server.kill)

    @classmethod
    def prepare(cls):
        pass

    @classmethod
    def start(cls, *arguments, options=()):
        return Server(*options, cls.module + cls.APP, "--", *arguments)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        if code:
            raise AssertionError(f"the server ended with {code}:\n{cls.server.text()}")

    def setUp(self):
        self.peer = Peer(self.CERTIFICATE)
        self.addCleanup(self.peer.close)

    def ask(self, url, where="/whole", body=None, server=None, **fields):
        """The probe's answer, as bytes. Names of fields: x_body="whole"."""
        headers = {key.replace("_", "-"): str(value) for key, value in fields.items()}
        status, _, answer = (server or self.server).request("POST" if body is not None else "GET", where, body,
                                                             {"x-url": url, **headers})
        self.assertEqual(status, 200, answer)
        return answer

    def whole(self, url, **how):
        answer = self.ask(url, **how)
        self.assertFalse(answer.startswith(b"error "), answer)
        return Whole(answer)

    def stats(self, server=None):
        return json.loads((server or self.server).get("/stats")[2])


class Requests(Http):
    def test_a_response_has_status_headers_and_body(self):
        response = self.whole(self.peer.url())
        self.assertEqual((response.status, response.version, response.url, response.body),
                         (200, 11, self.peer.url(), b"hello"))
        self.assertEqual(response.fields, [("content-length", "5"), ("x-mixed-case", "Yes"), ("x-two", "1"),
                                           ("x-two", "2"), ("x-empty", "")])

    def test_what_is_sent_by_itself_is_little(self):
        self.whole(self.peer.url())
        self.assertEqual(sorted(key.lower() for key in self.peer.requests[0][2].keys()), ["accept", "host", "user-agent"])
        self.assertEqual(self.peer.requests[0][2]["user-agent"], "casgi")

    def test_header_fields_are_sent(self):
        self.whole(self.peer.url(), x_header="X-Mine=a: b=c")
        self.assertEqual(self.peer.requests[0][2]["x-mine"], "a: b=c")
        self.whole(self.peer.url(), x_header="X-Mine=")
        self.assertEqual(self.peer.requests[1][2]["x-mine"], "")
        self.whole(self.peer.url(), x_header="Content-Length=17")
        self.assertIsNone(self.peer.requests[2][2]["content-length"])

    def test_methods_without_a_body(self):
        for method in ("GET", "DELETE", "OPTIONS", "HEAD", "POST"):
            self.assertEqual(self.whole(self.peer.url(), x_method=method).status, 200)
            self.assertEqual(self.peer.requests[-1][0], method)
        self.assertEqual(self.peer.requests[-1][2]["content-length"], "0")

    def test_bodies_are_sent_whole_and_in_pieces(self):
        data = os.urandom(300_000)
        for how, size in (("whole", "300000"), ("sized", "300000"), ("stream", None)):
            answer = self.ask(self.peer.url("/echo"), "/pass", data, x_body=how, x_method="PUT")
            self.assertEqual(hashlib.sha256(answer).digest(), hashlib.sha256(data).digest(), how)
            method, _, headers, body = self.peer.requests[-1]
            self.assertEqual((method, len(body), headers["content-length"]), ("PUT", 300_000, size))
            self.assertIsNone(headers["expect"])
            self.assertIsNone(headers["content-type"])

    def test_an_empty_body_is_a_post(self):
        for how in ("whole", "stream"):
            self.assertEqual(self.whole(self.peer.url("/echo"), body=b"", x_body=how).body, b"")
            self.assertEqual(self.peer.requests[-1][0], "POST")

    def test_chunks_and_interim_responses(self):
        self.assertEqual(self.whole(self.peer.url("/chunked")).body, b"onetwo")
        response = self.whole(self.peer.url("/interim"))
        self.assertEqual((response.status, response.body, response.all("link")), (200, b"final", []))

    def test_a_large_head(self):
        response = self.whole(self.peer.url("/large/head"))
        self.assertEqual([len(value) for key, value in response.fields if key.startswith("x-field")], [500] * 80)

    def test_compression_is_undone_when_asked_for(self):
        self.assertEqual(self.whole(self.peer.url("/gzip"), x_decode=1).body, b"packed" * 1000)
        self.assertIn("gzip", self.peer.requests[-1][2]["accept-encoding"])
        self.assertEqual(gzip.decompress(self.whole(self.peer.url("/gzip")).body), b"packed" * 1000)
        self.assertIsNone(self.peer.requests[-1][2]["accept-encoding"])

    def test_redirects_are_followed_when_asked_for(self):
        response = self.whole(self.peer.url("/redirect?1"))
        self.assertEqual((response.status, response.all("location"), response.body), (303, ["/hello"], b"elsewhere"))
        response = self.whole(self.peer.url("/redirect?3"), x_redirects=3)
        self.assertEqual((response.status, response.url, response.body), (200, self.peer.url(), b"hello"))
        self.assertEqual(response.all("location"), [])
        self.assertRegex(self.ask(self.peer.url("/redirect?4"), x_redirects=3), b"^error EPROTO: ")
        self.whole(self.peer.url("/redirect?1"), body=b"data", x_body="whole", x_redirects=3)
        self.assertEqual([request[0] for request in self.peer.requests[-2:]], ["POST", "GET"])

    def test_a_unix_socket(self):
        path = os.path.join(self.folder, "sock")
        peer = Peer(path=path)
        self.addCleanup(peer.close)
        self.assertEqual(self.whole("http://whatever/hello", x_unix=path).body, b"hello")
        self.assertEqual(peer.requests[0][2]["host"], "whatever")


class Connections(Http):
    def test_a_connection_is_used_again(self):
        before = self.stats()["connected"]
        for _ in range(5):
            self.assertEqual(self.whole(self.peer.url()).body, b"hello")
        self.assertEqual(self.peer.connections, 1)
        self.assertEqual(self.stats()["connected"], before + 1)

    def test_one_closed_while_idle_is_replaced(self):
        for i in range(5):
            self.assertEqual(self.whole(self.peer.url("/last")).body, b"and then it closes")
            self.assertEqual(self.peer.connections, i + 1)

    def test_a_response_that_was_not_read_ends_its_connection(self):
        self.ask(self.peer.url("/halfway"), "/drop")
        wait_until(lambda: self.peer.closed == 1, "the connection to be closed")
        self.assertEqual(self.stats()["active"], 0)

    def test_many_wait_side_by_side(self):
        self.peer.wanted = 20
        asked = [self.in_background(self.peer.url("/together")) for _ in range(20)]
        for thread in asked:  # none is answered before all twenty are there
            self.assertEqual(Whole(self.join(thread)).body, b"together")
        self.assertEqual(self.peer.most, 20)

    def test_connections_to_a_host_are_bounded(self):
        with self.start("per_host=2") as server:
            self.peer.wanted = 2
            asked = [self.in_background(self.peer.url("/together"), server=server) for _ in range(10)]
            for thread in asked:
                self.assertEqual(Whole(self.join(thread)).body, b"together")
            self.assertEqual((self.peer.most, self.peer.connections), (2, 2))
            self.assertEqual(server.stop(), 0)


class Streaming(Http):
    def test_the_head_comes_before_the_body_is_complete(self):
        with Connection(self.server) as connection:
            connection.send(get("/pass", f"x-url: {self.peer.url('/gated')}"))
            self.assertEqual(connection.head().status, 200)
            self.assertEqual(connection.chunk(), b"first")
            self.peer.gate.set()
            self.assertEqual(connection.chunk(), b"later")
            self.assertEqual(connection.chunk(), b"")

    def test_a_server_is_held_back_while_nobody_reads(self):
        size = 64 << 20
        held = self.in_background(self.peer.url(f"/large?{size}"), "/hold")
        wait_until(lambda: self.stats()["held"] == 1, "the first piece")
        last = -1
        while last != self.peer.sent:  # until the buffers in between are full
            last = self.peer.sent
            threading.Event().wait(0.5)
        self.assertLess(self.peer.sent, size // 2)
        self.server.get("/let")
        self.assertEqual(self.join(held), f"{size} {size * ord('x')} ?\n".encode())

    def test_a_slow_client_holds_it_back_too(self):
        size = 64 << 20
        with Connection(self.server, receive_buffer=65536) as connection:
            connection.send(get("/pass", f"x-url: {self.peer.url(f'/large?{size}')}"))
            connection.head()
            last = -1
            while last != self.peer.sent:
                last = self.peer.sent
                threading.Event().wait(0.5)
            self.assertLess(self.peer.sent, size // 2)
            total = 0
            while chunk := connection.chunk():
                total += len(chunk)
            self.assertEqual(total, size)

    def test_an_upload_is_passed_on_while_it_comes(self):
        with Server(support.example("echo")) as echo, Connection(self.server) as connection:
            connection.send(get("/pass", f"x-url: http://127.0.0.1:{echo.port}/", "x-body: stream",
                                "Transfer-Encoding: chunked", method="POST") + b"5\r\nfirst\r\n")
            self.assertEqual(connection.head().status, 200)
            self.assertEqual(connection.chunk(), b"first")
            connection.send(b"5\r\nlater\r\n0\r\n\r\n")
            self.assertEqual(connection.chunk(), b"later")
            self.assertEqual(connection.chunk(), b"")

    def test_a_large_body_goes_through_both_ways(self):
        data = os.urandom(10_000_000)
        with Server(support.example("echo")) as echo:
            for how in ("stream", "sized"):
                with Connection(self.server) as connection:
                    asked = get("/pass", f"x-url: http://127.0.0.1:{echo.port}/", f"x-body: {how}",
                                f"Content-Length: {len(data)}", method="POST")
                    sender = threading.Thread(target=lambda c=connection, a=asked: c.send(a + data), daemon=True)
                    sender.start()  # while it sends, the answer comes
                    answer = connection.response().body
                    sender.join(support.PATIENCE)
                self.assertEqual(hashlib.sha256(answer).digest(), hashlib.sha256(data).digest())

    def test_a_body_that_cannot_be_made_gives_the_request_up(self):
        self.assertRegex(self.ask(self.peer.url("/echo"), x_body="failing"), b"^error EEXIST: ")
        self.assertEqual(self.stats()["active"], 0)


class Failures(Http):
    def test_each_has_its_code(self):
        cases = [(f"http://127.0.0.1:{kit.free_port()}/", b"error EREFUSED: "),
                 ("http://no-such-host.invalid/", b"error ENOENT: "),
                 ("http://", b"error EINVAL: "), ("file:///etc/passwd", b"error EINVAL: "),
                 ("http://127.0.0.1:99999/", b"error EINVAL: "),
                 (self.peer.url("/nothing"), b"error EIO: "), (self.peer.url("/garbage"), b"error EPROTO: ")]
        for url, answer in cases:
            with self.subTest(url):
                self.assertRegex(self.ask(url), b"^" + answer)
        self.assertEqual(self.stats()["active"], 0)

    def test_a_body_that_breaks_off_is_an_error_after_the_head(self):
        answer = self.ask(self.peer.url("/broken"))
        self.assertRegex(answer, rb"^200 11 ")
        self.assertRegex(answer, rb"\n\nerror EIO: ")

    def test_what_could_be_mistaken_for_another_request_is_not_sent(self):
        self.assertRegex(self.ask(self.peer.url(), x_header="X-Mine=!"), b"^error EINVAL: header field 0")
        self.assertRegex(self.ask(self.peer.url(), x_header="X Mine=1"), b"^error EINVAL: header field 0")
        self.assertRegex(self.ask(self.peer.url(), x_method="GET /"), b"^error EINVAL: this is not a method")
        self.assertEqual(self.peer.requests, [])

    def test_a_deadline_ends_the_wait_for_the_head_and_for_the_body(self):
        for i, path in enumerate(("/hang", "/halfway")):
            answer = self.ask(self.peer.url(path), x_deadline=300)
            self.assertIn(b"error ETIMEDOUT: ", answer)
            wait_until(lambda i=i: self.peer.closed == i + 1, "the connection to be closed")
        self.assertEqual(self.stats()["active"], 0)
        self.assertEqual(self.whole(self.peer.url()).body, b"hello")

    def test_a_host_that_does_not_answer_is_given_up(self):
        with socket.socket() as full:  # a listener whose queue is full does not answer
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
                self.addCleanup(filler.close)
            with self.start("connect_timeout=300") as server:
                self.assertRegex(self.ask(f"http://127.0.0.1:{port}/", server=server), b"^error ETIMEDOUT: ")
                self.assertEqual(server.stop(), 0)


class ClientLeaves(Http):
    APP = ":cancelled"

    def test_its_request_is_given_up(self):
        for i, path in enumerate(("/hang", "/halfway")):
            with Connection(self.server) as connection:
                connection.send(get("/whole", f"x-url: {self.peer.url(path)}"))
                wait_until(lambda: self.peer.active == 1, "the request to arrive")
            wait_until(lambda i=i: self.peer.closed == i + 1, "the connection to be closed")
        wait_until(lambda: self.stats()["active"] == 0, "nothing to be under way")

    def test_a_server_that_stops_gives_up_what_runs(self):
        server = self.start(options=("--timeout-graceful-shutdown", "1"))
        with server, Connection(server) as connection:
            connection.send(get("/whole", f"x-url: {self.peer.url('/hang')}"))
            wait_until(lambda: self.peer.active == 1, "the request to arrive")
            self.assertEqual(server.stop(), 0)
        wait_until(lambda: self.peer.closed == 1, "the connection to be closed")

    def test_a_client_freed_while_it_is_used_lives_as_long_as_needed(self):
        with self.start() as server:
            waiting = self.in_background(self.peer.url("/gated"), server=server)
            wait_until(lambda: self.peer.active == 1, "the request to arrive")
            server.get("/free")
            self.peer.gate.set()
            self.assertEqual(Whole(self.join(waiting)).body, b"firstlater")
            self.assertEqual(server.stop(), 0)


class Tls(Http):
    @classmethod
    def prepare(cls):
        key, certificate = os.path.join(cls.folder, "key"), os.path.join(cls.folder, "certificate")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days",
                        "2", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True,
                       capture_output=True)
        cls.CERTIFICATE = (certificate, key)
        cls.ARGUMENTS = ("ca=" + certificate,)

    def test_a_trusted_server_is_asked_on_one_connection(self):
        for _ in range(3):
            self.assertEqual(self.whole(self.peer.url(host="localhost")).body, b"hello")
        self.assertEqual(self.peer.connections, 1)

    def test_a_certificate_for_another_name_is_refused(self):
        self.assertRegex(self.ask(self.peer.url()), b"^error EACCES: SSL: no alternative certificate subject name")
        self.assertEqual(self.peer.requests, [])

    def test_an_untrusted_one_is_refused_unless_told_otherwise(self):
        with self.start() as server:
            self.assertRegex(self.ask(self.peer.url(host="localhost"), server=server), b"^error EACCES: ")
            self.assertEqual(server.stop(), 0)
        with self.start("insecure") as server:
            self.assertEqual(Whole(self.ask(self.peer.url(), server=server)).body, b"hello")
            self.assertEqual(server.stop(), 0)

    def test_the_loop_goes_on_while_the_trusted_certificates_are_read(self):
        fifo = os.path.join(self.folder, "fifo")  # who opens it waits for the writer, which is this test
        os.mkfifo(fifo)
        self.addCleanup(os.remove, fifo)
        for arguments, env in ((("ca=" + fifo,), {}), ((), {"SSL_CERT_FILE": fifo})):
            with self.subTest(arguments or env), Server(self.module, "--", *arguments, env=env) as server:
                asked = self.in_background(self.peer.url(host="localhost"), server=server)
                wait_until(lambda s=server: self.stats(s)["active"] == 1, "the request to wait")
                with open(self.CERTIFICATE[0], "rb") as file, open(fifo, "wb") as pipe:
                    pipe.write(file.read())
                self.assertEqual(Whole(self.join(asked)).body, b"hello")
                self.assertEqual(server.stop(), 0)

    def test_without_any_certificates_only_tls_is_refused(self):
        with Server(self.module, "--", env={"SSL_CERT_FILE": os.path.join(self.folder, "none")}) as server:
            plain = Peer()
            self.addCleanup(plain.close)
            self.assertEqual(Whole(self.ask(plain.url("/redirect?1"), server=server, x_redirects=3)).body, b"hello")
            self.assertRegex(self.ask("file:///etc/passwd", server=server), b"^error EINVAL: ")
            self.assertRegex(self.ask(self.peer.url(host="localhost"), server=server), b"^error EACCES: no trusted ")
            self.assertEqual(server.stop(), 0)

    def test_large_bodies_over_tls(self):
        data = os.urandom(3_000_000)
        answer = self.ask(self.peer.url("/echo", "localhost"), "/pass", data, x_body="stream")
        self.assertEqual(hashlib.sha256(answer).digest(), hashlib.sha256(data).digest())

    def test_many_handshakes_at_once(self):
        self.peer.wanted = 10
        asked = [self.in_background(self.peer.url("/together", "localhost")) for _ in range(10)]
        for thread in asked:
            self.assertEqual(Whole(self.join(thread)).body, b"together")


@kit.needs("HTTP", "fetch")
class Example(unittest.TestCase):
    def test_several_are_asked_at_the_same_time(self):
        peer = Peer()
        self.addCleanup(peer.close)
        peer.wanted = 3
        with Server(support.example("fetch"), env={"NO_PROXY": "*", "no_proxy": "*"}) as server:
            query = "&".join(f"url={peer.url('/together')}" for _ in range(3))
            status, _, body = server.get(f"/?{query}&url=http://127.0.0.1:{kit.free_port()}/")
            lines = body.decode().splitlines()
            self.assertEqual((status, len(lines), peer.most), (200, 4, 3))
            for line in lines[:3]:
                self.assertRegex(line, r"together: 200, 8 bytes, \d+\.\d ms$")
            self.assertIn("Failed to connect", lines[3])
            self.assertEqual(server.get(f"/through?url={peer.url('/large?1000000')}")[2], b"x" * 1000000)
            self.assertEqual(server.get("/")[0], 400)
            self.assertEqual(server.get(f"/through?url={peer.url('/nothing')}")[0], 502)
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
