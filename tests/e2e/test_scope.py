"""The scope of a request: every key of ASGI's, as the application sees it. (test_apps.py has the plain case.)"""

import json
import os
import socket
import tempfile
import unittest

import support
from served import Served, build
from wire import Connection, get, post


class Case(Served):
    def inspect(self, data):
        response = self.ask(data)
        self.assertEqual(response.status, 200, response.body)
        return json.loads(response.body)

    def scope(self, data):
        return self.inspect(data)["scope"]


class Scope(Case):
    def test_each_request_is_one_call_with_a_fresh_scope(self): # B1
        connection = self.connect()
        first = json.loads(connection.send(get("/one", "X-A: 1")).response().body)
        connection.send(get("/two") + get("/three", "X-C: 3")) # pipelined
        second, third = (json.loads(connection.response().body) for _ in range(2))
        self.assertEqual([answer["call"] - first["call"] for answer in (first, second, third)], [0, 1, 2])
        self.assertEqual([answer["scope"]["path"] for answer in (first, second, third)], ["/one", "/two", "/three"])
        self.assertEqual([answer["scope"]["headers"] for answer in (first, second, third)],
                         [[["host", "test"], ["x-a", "1"]], [["host", "test"]], [["host", "test"], ["x-c", "3"]]])

    def test_the_type_and_the_versions_are_asgis(self): # B1 B2
        scope = self.scope(get())
        self.assertEqual((scope["type"], scope["asgi"]), ("http", {"version": "3.0", "spec_version": "2.5"}))

    def test_the_http_version_is_the_clients_and_the_status_line_ours(self): # B3
        response = self.ask(get(version="1.0")) # Response takes no other status line than HTTP/1.1's
        self.assertEqual(json.loads(response.body)["scope"]["http_version"], "1.0")
        self.assertEqual(self.scope(get())["http_version"], "1.1")

    def test_any_method_that_is_a_token_reaches_the_application(self): # B4
        for method in ("GET", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW", "M-SEARCH", "X!#$%&'*+-.^_`|~9"):
            with self.subTest(method):
                self.assertEqual(self.scope(get(method=method))["method"], method)

    def test_the_scheme_is_http(self): # B5
        self.assertEqual(self.scope(get())["scheme"], "http")

    def test_the_path_is_decoded_and_the_raw_path_is_not(self): # B6 B7
        for target, path in (("/one%2Ftwo", "/one/two"), ("/a%20b", "/a b"), ("/%C3%A9%e2%82%ac", "/é€"), ("/a+b", "/a+b"),
                             ("/", "/"), ("//a//b", "//a//b"), ("/a/../b", "/a/../b"), ("/a%25%32", "/a%2"),
                             ("/%F0%9F%98%80", "/😀"), ("/a;b=c", "/a;b=c")):
            with self.subTest(target):
                scope = self.scope(get(target + "?x=%2F"))
                self.assertEqual((scope["path"], scope["raw_path"]), (path, target))

    def test_the_query_string_is_never_decoded(self): # B9
        for target, query in (("/", ""), ("/?", ""), ("/?a=%20&b=?c", "a=%20&b=?c"), ("/??", "?"), ("/a?b=%zz%00", "b=%zz%00"),
                              ("/?x=1+2", "x=1+2")):
            with self.subTest(target):
                self.assertEqual(self.scope(get(target))["query_string"], query)

    def test_names_are_lowered_and_order_duplicates_and_values_kept(self): # B10
        headers = self.scope(get("/", "X-B: 1", "x-a: two words\t3 ", "X-B:2", "X-Empty:", "Cookie: a=1", "Cookie: b=2",
                                 "X-Quote: \"a\\b\""))["headers"]
        self.assertEqual(headers, [["host", "test"], ["x-b", "1"], ["x-a", "two words\t3"], ["x-b", "2"], ["x-empty", ""],
                                   ["cookie", "a=1"], ["cookie", "b=2"], ["x-quote", '"a\\b"']])

    def test_bytes_beyond_ascii_pass_in_values(self): # B10
        headers = dict(self.scope(get("/", "X-Latin: caf\xe9", "X-Utf8: caf\xc3\xa9"))["headers"])
        self.assertEqual((headers["x-latin"], headers["x-utf8"]), ("caf\xe9", "caf\xc3\xa9"))

    def test_the_client_and_the_server_are_the_connections_ends(self): # B13 B14
        connection = self.connect()
        scope = json.loads(connection.send(get()).response().body)["scope"]
        self.assertEqual(scope["client"], list(connection.sock.getsockname()))
        self.assertEqual(scope["server"], list(connection.sock.getpeername()))

    def test_a_key_set_in_one_state_is_not_seen_by_the_next_request(self): # B15
        connection = self.connect()
        states = [json.loads(connection.send(get(target)).response().body)["scope"]["state"]
                  for target in ("/?set_state=1", "/")]
        self.assertEqual(states, [{"lifespan": True, "request": True}, {"lifespan": True, "request": False}])

    def test_the_extensions_are_those_that_work(self): # B16
        offered = {"http.response.trailers", "http.response.zerocopysend", "http.response.pathsend",
                   "http.response.early_hint"}
        self.assertEqual(set(self.scope(get())["extensions"]), offered)
        self.assertEqual(set(self.scope(get(version="1.0"))["extensions"]), offered - {"http.response.early_hint"})

    def test_an_absolute_target_gives_its_path_and_its_host(self): # B17
        for target, path, raw, query in (("http://other:81/a%20b?q", "/a b", "/a%20b", "q"), ("http://other:81", "/", "/", ""),
                                         ("HTTP://other:81/", "/", "/", ""), ("http://other:81?q", "/", "/", "q"),
                                         ("https://other:81/s", "/s", "/s", "")):
            with self.subTest(target):
                scope = self.scope(get(target))
                self.assertEqual((scope["path"], scope["raw_path"], scope["query_string"]), (path, raw, query))
                self.assertEqual(scope["headers"], [["host", "other:81"]])
        scope = self.scope(get("http://[::1]:8000/x", version="1.0", host=None))
        self.assertEqual((scope["path"], scope["headers"]), ("/x", [["host", "[::1]:8000"]]))

    def test_an_asterisk_is_a_target_of_options_alone(self):
        scope = self.scope(get("*", method="OPTIONS"))
        self.assertEqual((scope["path"], scope["raw_path"]), ("*", "*"))
        self.assertEqual(self.scope(get("http://other", method="OPTIONS"))["path"], "*")
        self.assertEqual(self.ask(get("*")).status, 400)

    def test_without_a_root_path_it_is_empty(self): # B18
        self.assertEqual(self.scope(get())["root_path"], "")

    def test_a_path_that_is_not_utf8_or_has_a_nul_is_a_400(self): # B19
        for target in ("/%ff", "/%c3", "/%c0%af", "/%ed%a0%80", "/%00", "/a%00b", "/%f4%90%80%80"):
            with self.subTest(target):
                self.assertEqual(self.ask(get(target)).status, 400)

    def test_a_bad_escape_in_the_path_is_a_400(self):
        for target in ("/%", "/%2", "/%zz", "/a%2"):
            with self.subTest(target):
                self.assertEqual(self.ask(get(target)).status, 400)

    def test_the_request_id_is_the_clients_if_it_is_sane_else_made(self):
        self.assertEqual(self.scope(get("/", "X-Request-ID: my-id.1_2"))["request_id"], "my-id.1_2")
        made = set()
        for field in ("X-Other: 1", "X-Request-ID:", "X-Request-ID: two words", 'X-Request-ID: "quoted"', "X-Request-ID: " + "x" * 500):
            made.add(self.scope(get("/", field))["request_id"])
        self.assertEqual(len(made), 5)
        for text in made:
            self.assertRegex(text, r"^[0-9a-f]{8,64}$")

    def test_http_1_0_needs_no_host(self):
        self.assertEqual(self.scope(get(version="1.0", host=None))["headers"], [])

    def test_many_fields_and_long_ones_pass(self):
        fields = [f"X-{i}: {'v' * 400}" for i in range(98)]
        headers = self.scope(get("/" + "p" * 8000, *fields))["headers"]
        self.assertEqual(len(headers), 99)
        self.assertEqual(headers[98], ["x-97", "v" * 400])


class RootPath(Case):
    ARGUMENTS = ("--root-path", "/app")

    def test_path_and_raw_path_have_it_in_front(self): # B8
        scope = self.scope(get("/one%2Ftwo?q"))
        self.assertEqual((scope["root_path"], scope["path"], scope["raw_path"], scope["query_string"]),
                         ("/app", "/app/one/two", "/app/one%2Ftwo", "q"))
        scope = self.scope(get("/"))
        self.assertEqual((scope["path"], scope["raw_path"]), ("/app/", "/app/"))

    def test_an_asterisk_has_none(self):
        self.assertEqual(self.scope(get("*", method="OPTIONS"))["path"], "*")


class OtherSockets(unittest.TestCase):
    def test_over_ipv6_the_addresses_are_ipv6(self): # B13 B14
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        with support.Server("inspect", "--host", "::1") as server, Connection(server, address=("::1", server.port)) as c:
            scope = json.loads(c.send(get(host="[::1]:80")).response().body)["scope"]
            self.assertEqual(scope["client"], ["::1", c.sock.getsockname()[1]])
            self.assertEqual(scope["server"], ["::1", server.port])

    def test_over_a_unix_socket_the_client_is_unknown_and_the_server_a_path(self): # B13 B14
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with support.Server("inspect", "--uds", path) as server, Connection(server, address=path) as c:
                scope = json.loads(c.send(post("/", b"abc")).response().body)["scope"]
                self.assertEqual((scope["client"], scope["server"]), (None, [path, None]))
                server.wait_log(r'- "POST / HTTP/1\.1" 200')

    def test_where_every_address_is_listened_on_the_server_is_the_one_used(self): # B14
        with support.Server("inspect", "--host", "0.0.0.0") as server, Connection(server, address=("127.0.0.2", server.port)) as c:
            scope = json.loads(c.send(get()).response().body)["scope"]
            self.assertEqual(scope["server"], ["127.0.0.2", server.port])


class Reserved(unittest.TestCase):
    """What later minors of the ABI grow into is zero now, and every text ends in a NUL; also where memory is used again."""

    def test_reserved_words_are_zero_and_texts_end(self): # DESIGN 2.3 2.4
        with tempfile.TemporaryDirectory() as folder:
            with support.Server(build(folder, "reserved"), "--root-path", "/r") as server, Connection(server) as c:
                for i in range(3):
                    c.send(get(f"/{i}%20?q={i}", *[f"X-{k}: {i}" for k in range(20 - i)]) + get("/same", "X-A: 1") * 2)
                    for fields in (21 - i, 2, 2):
                        self.assertEqual(c.response().body, b"%d fields, one event\n" % fields)
                    c.send(post("/body", b"x" * 1000) + post("/large", b"y" * 300_000))
                    self.assertRegex(c.response().body, b"^2 fields, (one|several) event")
                    self.assertEqual(c.response().body, b"2 fields, several events\n")


if __name__ == "__main__":
    unittest.main()
