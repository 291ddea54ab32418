"""Large bodies on connections that are kept: from the second on they are received with their heads, where they stay. Of every
size around the buffers, with requests behind them, cut, refused, not read, and held for long."""

import os
import random
import threading
import unittest
import zlib

from served import Served
from wire import chunked, get, post

KIB = 1024
ONE_RECV = 68 * KIB # a body and its head
SIZES = (0, 1, 4055, 4097, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 20_000, 48 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1,
         *range(ONE_RECV - 90, ONE_RECV + 2, 13), 100_000, 140_000)
CONTENT = os.urandom(200_000)


def sized(size, shift=0):
    return CONTENT[shift:shift + size]


def told(body):
    """What hold.c answers."""
    return f"{len(body)} {zlib.adler32(body):08x} intact".encode()


class Case(Served):
    SOURCE = "hold"

    def connect_warm(self, size=64 * KIB):
        """A connection whose first request had a large body."""
        connection = self.connect()
        self.assertEqual(connection.send(post("/", sized(size))).response().body, told(sized(size)))
        return connection


class Kept(Case):
    def test_bodies_of_every_size_arrive_and_the_next_request_is_in_step(self):
        connection = self.connect_warm()
        for size in SIZES:
            connection.send(post("/", sized(size)) + get("/next"))
            self.assertEqual([connection.response().body for _ in range(2)], [told(sized(size)), told(b"")], size)

    def test_requests_behind_a_large_body_are_answered_in_order(self):
        connection = self.connect_warm()
        for first in (17_000, 30_000, 64 * KIB, 70_000):
            bodies = [sized(first, 1), sized(20_000, 2), sized(100, 3), sized(66_000, 4)]
            connection.send(b"".join(post("/", body) for body in bodies) + get() * 50)
            self.assertEqual([connection.response().body for _ in range(54)], [told(body) for body in bodies] + [told(b"")] * 50)

    def test_chunks_behind_a_large_body_arrive(self):
        for size in (1, 100, 4096, 17_000, 65_000, 69_000):
            connection = self.connect_warm()
            body = sized(150_000, 7)
            pieces = [body[at:at + size] for at in range(0, len(body), size)] if size >= 100 else [body[:1], body[1:]]
            connection.send(get("/", "Transfer-Encoding: chunked", method="POST") + chunked(*pieces, trailers=b"X-T: 1\r\n") + get())
            self.assertEqual([connection.response().body for _ in range(2)], [told(body), told(b"")], size)

    def test_a_head_cut_anywhere_before_a_large_body_changes_nothing(self):
        connection = self.connect_warm()
        data = post("/", sized(66_000))
        head = data.index(b"\r\n\r\n") + 4
        for cut in (*range(1, head + 2, 7), head, 17_000, 65_000):
            connection.send(data[:cut]).send(data[cut:])
            self.assertEqual(connection.response().body, told(sized(66_000)), cut)


class Held(Case):
    """What a handler holds of one body is not written to by those of others."""
    CONNECTIONS = 8

    def serve_at_random(self, seed, failures):
        choose = random.Random(seed)
        connection = self.connect()
        try:
            for _ in range(12):
                bodies = [sized(choose.choice(SIZES), choose.randrange(1000)) for _ in range(choose.randint(1, 3))]
                data = b""
                for body in bodies:
                    target = f"/?{choose.choice((0, 0, 4))}"
                    pieces = [body[at:at + 30_000] for at in range(0, len(body), 30_000)]
                    data += post(target, body) if choose.random() < 0.7 else (
                        get(target, "Transfer-Encoding: chunked", method="POST") + chunked(*pieces))
                sender = threading.Thread(target=connection.send, args=(data,))
                sender.start()
                failures += [(seed, told(body), answer) for body in bodies if (answer := connection.response().body) != told(body)]
                sender.join()
        except (OSError, AssertionError) as error:
            failures.append((seed, error))

    def test_many_at_once_stay_as_they_were_received(self):
        failures = []
        threads = [threading.Thread(target=self.serve_at_random, args=(seed, failures)) for seed in range(self.CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_one_that_is_held_while_another_goes_through_the_same_buffer(self):
        holding, passing = self.connect_warm(), self.connect_warm()
        holding.send(post("/?100", sized(64 * KIB, 1)))
        for _ in range(10):
            passing.send(post("/", sized(64 * KIB, 2)))
            self.assertEqual(passing.response().body, told(sized(64 * KIB, 2)))
        self.assertEqual(holding.response().body, told(sized(64 * KIB, 1)))


class Broken(Case):
    def test_a_client_that_vanishes_in_the_midst_harms_nobody(self):
        stays = self.connect_warm()
        for size in (17_000, 64 * KIB, 100_000):
            for part in (1, 2, 16_500, size - 1):
                for reset in (True, False):
                    leaves = self.connect_warm()
                    leaves.send(get("/?2", f"Content-Length: {size}", method="POST") + sized(part))
                    leaves.reset() if reset else self.assertEqual(leaves.finish().ended(), "closed")
            self.assertEqual(stays.send(post("/?3", sized(size))).response().body, told(sized(size)))

    def test_what_is_no_request_behind_a_large_body_is_refused_and_its_byte_named(self):
        for size in (17_000, 48 * KIB, 64 * KIB, 100_000):
            connection = self.connect_warm()
            connection.send(post("/", sized(size)) + b"GET / HTTP/1.1\nHost: test\r\n\r\n")
            self.assertEqual(connection.response().body, told(sized(size)))
            self.assertEqual((connection.response().status, connection.ended()), (400, "closed"))
            self.server.wait_log(rf":{connection.sock.getsockname()[1]} - refused with 400 at byte 14: bare LF in the head")

    def test_a_bad_chunk_behind_a_large_body_is_refused_and_its_byte_named(self):
        for size in (100, 17_000, 66_000):
            connection = self.connect_warm()
            head = get("/", "Transfer-Encoding: chunked", method="POST")
            good = b"%x\r\n%s\r\n" % (size, sized(size))
            connection.send(head + good + b"nonsense\r\n")
            self.assertEqual((connection.response().status, connection.ended()), (400, "closed"))
            self.server.wait_log(rf":{connection.sock.getsockname()[1]} - refused with 400 at byte {len(head + good)}: the chunk size")


class Limited(Case):
    LIMIT = 66_000
    ARGUMENTS = ("--limit-body-size", str(LIMIT))

    def test_the_limit_is_the_same_behind_a_large_body(self):
        chunks = get("/", "Transfer-Encoding: chunked", method="POST")
        body, larger = sized(self.LIMIT), sized(self.LIMIT + 1)
        for data in (post("/", body), chunks + chunked(body), chunks + chunked(body[:30_000], body[30_000:])):
            self.assertEqual(self.connect_warm().send(data).response().body, told(body))
        for data in (post("/", larger), chunks + chunked(larger), chunks + chunked(body, b"x"), chunks + b"%x\r\n" % len(larger) + larger):
            connection = self.connect_warm().send(data)
            self.assertEqual((connection.response().status, connection.ended()), (413, "closed"))
            self.server.wait_log(rf":{connection.sock.getsockname()[1]} - refused with 413 at byte \d+: the body is larger")


class Unread(Served):
    """Answered without a receive, behind a body that was."""
    APP = "inspect"

    def test_what_nobody_reads_is_thrown_away_and_the_next_request_is_in_step(self):
        for size in (17_000, 64 * KIB, ONE_RECV, 200_000):
            for part in (0, 100, size // 2, size):
                connection = self.connect().send(post("/", sized(64 * KIB)))
                self.assertEqual(connection.response().status, 200)
                head = get("/?receive=none", f"Content-Length: {size}", method="POST")
                connection.send(head + sized(part))
                self.assertEqual(connection.response().get("connection"), None)
                connection.send(sized(size)[part:] + post("/", sized(64 * KIB)))
                self.assertEqual(connection.response().status, 200, (size, part))


if __name__ == "__main__":
    unittest.main()
