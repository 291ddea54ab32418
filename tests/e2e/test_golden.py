"""Modules from frozen headers, run by the real server."""

import glob
import os
import unittest

import support
from support import Server, TestCase

GOLDEN = os.path.join(support.BUILD, "golden")


def golden(name):
    return os.path.join(GOLDEN, "1.0", name + ".so")


class Golden(TestCase):
    def test_every_one_passes_check(self):
        paths = glob.glob(os.path.join(GOLDEN, "*", "*.so"))
        self.assertGreaterEqual(len(paths), 7)
        for path in paths:
            code, text = support.run("check", path)
            self.assertEqual(code, 0, text)

    def test_hello(self):
        with Server(golden("hello")) as server:
            self.assertEqual(server.get("/")[2], b"golden hello\n")

    def test_every_key_of_the_scope(self):
        with Server(golden("scope")) as server:
            text = server.request("PUT", "/a%20b?c=%20", headers={"X-Golden": "yes"})[2].decode()
            self.assertEqual(text.splitlines(), [
                "type=1", "type_name=http", "asgi_version=3.0", "asgi_spec_version=2.5", "http_version=1.1", "method=PUT",
                "scheme=http", "path=/a b", "raw_path=/a%20b", "query_string=c=%20", "root_path=", "x-golden=yes",
                "client_has_port=1", "subprotocols=0", "state=1", "has_request_id=1", "unknown_extension=0"])

    def test_bodies(self):
        with Server(golden("body")) as server:
            status, headers, body = server.request("POST", "/", b"x" * 200_000)
            self.assertEqual((status, headers["x-golden"], body), (201, "1", b"x" * 200_000))
            self.assertEqual(server.request("POST", "/gather", b"one, two")[2], b"one, two")
            self.assertEqual(server.request("POST", "/gather", b"x" * 17)[0], 413)

    def test_middleware(self):
        with Server(golden("middleware")) as server:
            status, headers, body = server.request("POST", "/", b"12345")
            self.assertEqual((status, headers["x-counted"], body), (200, "five", b"/golden"))

    def test_lifespan(self):
        with Server(golden("lifespan")) as server:
            self.assertEqual(server.get("/")[2], b"from startup\n")
            self.assertEqual(server.stop(), 0)
            server.wait_log("golden: lifespan.shutdown")

    def test_callbacks(self):
        with Server(golden("callback")) as server:
            self.assertEqual(server.get("/")[2], b"golden callback\n")

    def test_tasks(self):
        with Server(golden("tasks")) as server:
            self.assertEqual(server.get("/")[2], b"deferred 0, freed 0")
            self.assertEqual(server.get("/")[2], b"deferred 1, freed 1")


if __name__ == "__main__":
    unittest.main()
