"""Every example: it builds alone, is short, and does what it says."""

import glob
import hashlib
import os
import subprocess
import unittest

import support
from support import Server, TestCase, example

SOURCES = sorted(glob.glob(os.path.join(support.SOURCE, "examples", "*", "*.c"))
                 + glob.glob(os.path.join(support.SOURCE, "examples", "*", "*.cpp")))
OWN = {"hello", "echo", "json", "stream", "callback", "middleware", "state", "cpp"}


def own(path):
    return os.path.splitext(os.path.basename(path))[0] in OWN


def read_until(sock, marker, data=b""):
    while marker not in data:
        part = sock.recv(4096)
        if not part:
            raise AssertionError(f"the connection ended before {marker!r}: {data!r}")
        data += part
    return data


class Alone(TestCase):
    def build(self, source):
        compiler = ["c++", "-std=c++17"] if source.endswith(".cpp") else ["cc"]
        target = os.path.join(self.folder, os.path.basename(source) + ".so")
        with open(source, encoding="utf-8") as file:
            kit = "#include <casgi/kit/" in file.read()
        flags = ["-I" + os.path.join(support.SOURCE, "apps", "kit")] if kit else []
        libraries = [os.path.join(support.BUILD, "libcasgi_kit.a"), "-lcjson"] if kit else []
        subprocess.run([*compiler, "-shared", "-fPIC", "-I" + support.ABI, *flags, "-Wall", "-Wextra", "-Werror", source,
                        "-o", target, *libraries], check=True)
        return target

    def test_every_example_builds_alone_and_passes_check(self):
        for source in filter(own, SOURCES):
            with self.subTest(os.path.basename(source)):
                code, text = support.run("check", self.build(source))
                self.assertEqual(code, 0, text)

    def test_every_example_is_short(self):
        for source in filter(own, SOURCES):
            with open(source, encoding="utf-8") as file:
                self.assertLess(len(file.readlines()), 150, source)


class Hello(TestCase):
    def test_it_greets(self):
        with Server(example("hello")) as server:
            status, headers, body = server.get("/")
            self.assertEqual((status, headers["content-type"], body), (200, "text/plain", b"Hello, World!"))


class Echo(TestCase):
    def test_an_upload_comes_back_whole(self):
        data = os.urandom(3_000_000)
        with Server(example("echo")) as server:
            status, headers, body = server.request("POST", "/", data, {"Content-Type": "image/png"})
            self.assertEqual((status, headers["content-type"], headers["content-length"]),
                             (200, "image/png", "3000000"))
            self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(data).digest())

    def test_a_chunked_upload_comes_back_whole(self):
        pieces = [os.urandom(50_000) for _ in range(20)]
        with Server(example("echo")) as server:
            status, headers, body = server.request("POST", "/", iter(pieces))
            self.assertEqual((status, headers.get("transfer-encoding")), (200, "chunked"))
            self.assertEqual(body, b"".join(pieces))

    def test_it_starts_to_answer_before_the_upload_ends(self):
        with Server(example("echo")) as server, server.connect() as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
            read_until(sock, b"first")
            sock.sendall(b"later")
            read_until(sock, b"later")


class Json(TestCase):
    def ask(self, server, body):
        status, headers, answer = server.request("POST", "/", body)
        self.assertEqual(headers["content-type"], "application/json")
        return status, answer

    def test_a_document_comes_back_serialised_anew(self):
        with Server(example("json")) as server:
            self.assertEqual(self.ask(server, b' { "a" : [1, 2.5, null, true, "\\u00e9"] } '),
                             (200, '{"a":[1,2.5,null,true,"é"]}'.encode()))

    def test_bad_json_is_told_where(self):
        with Server(example("json")) as server:
            for body, byte, line, column in [(b'{"a":\n  nope}', 8, 2, 3), (b"", 0, 1, 1), (b'{"a":1} x', 8, 1, 9),
                                             (b'{"a":"\0"}', 6, 1, 7), (b'{"a":"\\u0000"}', 6, 1, 7),
                                             (b"[" * 200, 128, 1, 129)]:
                status, answer = self.ask(server, body)
                self.assertEqual(status, 400, body)
                self.assertIn(f'"byte":{byte},"line":{line},"column":{column}'.encode(), answer)

    def test_what_is_no_object_is_a_422(self):
        with Server(example("json")) as server:
            self.assertEqual(self.ask(server, b"[1]")[0], 422)

    def test_what_is_too_large_is_a_413(self):
        with Server(example("json")) as server:
            self.assertEqual(self.ask(server, b" " * ((1 << 20) + 1))[0], 413)


class Streams(TestCase):
    """One test, both forms: awaiting and in callbacks."""

    def each(self):
        for name in ("stream", "callback"):
            with self.subTest(name), Server(example(name)) as server:
                yield server

    def test_lines_follow_one_another(self):
        for server in self.each():
            status, headers, body = server.get("/?lines=3")
            self.assertEqual((status, headers["content-type"]), (200, "text/plain"))
            self.assertEqual(body, b"line 1\nline 2\nline 3\n")

    def test_others_are_served_between_the_lines(self):
        for server in self.each():
            with server.connect() as sock:
                sock.sendall(b"GET /?lines=0 HTTP/1.1\r\nHost: a\r\n\r\n")
                data = read_until(sock, b"line 1\n")
                self.assertEqual(server.get("/?lines=1")[2], b"line 1\n")
                read_until(sock, b"line 3\n", data)

    def test_a_client_that_leaves_ends_it(self):
        for server in self.each():
            with server.connect() as sock:
                sock.sendall(b"GET /?lines=0 HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertIn(b"200 OK", sock.recv(4096))
            server.wait_log(r'"GET /\?lines=0 HTTP/1.1" ')
            self.assertEqual(server.get("/?lines=1")[2], b"line 1\n")


class Middleware(TestCase):
    def test_a_header_is_added_and_the_time_logged(self):
        with Server(example("middleware")) as server:
            _, headers, body = server.get("/x")
            self.assertEqual(body, b"Hello from inside\n")
            self.assertRegex(headers["x-process-time"], r"^\d+\.\d{3}$")
            server.wait_log(r"GET /x took \d+\.\d{3} ms")

    def test_it_wraps_any_module_and_its_lifespan(self):
        with Server(example("middleware"), "--", example("state")) as server:
            _, headers, body = server.get("/")
            self.assertEqual(body, b"You are visitor 1.\n")
            self.assertIn("x-process-time", headers)


class State(TestCase):
    def test_requests_use_what_startup_opened(self):
        path = os.path.join(self.folder, "visits")
        with Server(example("state"), "--", path) as server:
            self.assertEqual(server.get("/")[2], b"You are visitor 1.\n")
            self.assertEqual(server.get("/")[2], b"You are visitor 2.\n")
            self.assertEqual(server.stop(), 0)
        with Server(example("state"), "--", path) as server:
            self.assertEqual(server.get("/")[2], b"You are visitor 3.\n")

    def test_what_cannot_be_opened_is_said_and_is_a_3(self):
        code, text = support.run(example("state"), "--port", "0", "--", self.folder)
        self.assertEqual(code, 3)
        self.assertIn(f"cannot open {self.folder}: Is a directory", text)

    def test_without_its_lifespan_it_says_so(self):
        with Server(example("state"), "--lifespan", "off") as server:
            self.assertEqual(server.get("/")[0], 503)


class Cpp(TestCase):
    def test_it_greets(self):
        with Server(example("cpp")) as server:
            self.assertEqual(server.get("/?x=1&name=you")[2], b"Hello, you!\n")

    def test_an_exception_is_a_500_and_the_server_goes_on(self):
        with Server(example("cpp")) as server:
            self.assertEqual(server.get("/?throw=1")[0], 500)
            server.wait_log("the handler threw a C\\+\\+ exception")
            self.assertEqual(server.get("/")[2], b"Hello, C++!\n")


THROWING = r"""
#include <casgi/callback.h>
#include <cstring>
#include <stdexcept>

static void on_time(casgi_call_t *, int, void *)
{
    throw std::runtime_error("in a timer");
}

static void on_call(casgi_call_t *c)
{
    if (std::strcmp(casgi_call_scope(c)->path.ptr, "/now") == 0) {
        throw std::runtime_error("at once");
    }
    casgi_call_receive(c, [](casgi_call_t *, int, const casgi_event_t *, void *) {}, nullptr);
    casgi_call_after(c, 1, on_time, nullptr);
}
CASGI_CALLBACK_APP(on_call)
"""


class CppCallbacks(TestCase):
    def test_an_exception_in_a_callback_is_a_500(self):
        with Server(support.build_module(self.folder, THROWING, language="cpp")) as server:
            for path in ("/now", "/later"):
                start = len(server.log)
                self.assertEqual(server.get(path)[0], 500, path)
                server.wait_log("a callback threw a C\\+\\+ exception", start)


if __name__ == "__main__":
    unittest.main()
