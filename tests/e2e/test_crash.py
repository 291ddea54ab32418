"""A handler that crashes: the process says which request it was, and dies of the signal. Deep stacks within their bounds."""

import signal
import unittest

import support
from support import Server, read_all
from wire import Connection, get

CRASHES = r"""
#include <casgi/casgi.h>
#include <stdlib.h>
#include <string.h>

/* Uses a KiB of stack for each level and waits at the deepest. */
static int descend(int levels)
{
    volatile char room[1000];
    room[0] = (char)levels;
    int rc = levels > 0 ? descend(levels - 1) : casgi_sleep(1);
    return room[0] == (char)levels ? rc : CASGI_EFAILED;
}

static int crash(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)receive;
    const char *path = scope->path.ptr;
    volatile int *volatile nowhere = NULL;
    int rc = 0;
    if (strcmp(path, "/deep") == 0) {
        rc = descend((int)strtol(scope->query_string.ptr, NULL, 10));
    } else if (strcmp(path, "/null") == 0) {
        rc = *nowhere;
    } else if (strcmp(path, "/abort") == 0) {
        abort();
    }
    return rc ? rc : casgi_respond(send, 200, "text/plain", "alive");
}
CASGI_APP(crash)
"""


class Crash(support.TestCase):
    def setUp(self):
        super().setUp()
        self.module = support.build_module(self.folder, CRASHES)

    def assert_dies(self, target, number, sentence):
        with Server(self.module) as server, Connection(server) as connection:
            connection.send(get("/"))
            self.assertEqual(connection.response().body, b"alive")
            connection.send(get(target, "X-Request-ID: the-last-one"))
            self.assertEqual(read_all(connection.sock), b"")
            self.assertEqual(server.wait(), -number)
            self.assertRegex(server.text(), sentence)

    @unittest.skipIf(support.SANITIZE, "the sanitizer reports it")
    def test_a_stack_overflow_names_the_request(self):
        self.assert_dies("/deep?100000", signal.SIGSEGV, r"stack overflow in task request while handling GET /deep the-last-one; raise --stack-size")

    @unittest.skipIf(support.SANITIZE, "the sanitizer reports it")
    def test_a_crash_names_the_request(self):
        self.assert_dies("/null", signal.SIGSEGV, r"crash by SIGSEGV .* in task request while handling GET /null the-last-one")
        self.assert_dies("/abort", signal.SIGABRT, r"crash by SIGABRT .* in task request while handling GET /abort the-last-one")

    def test_a_stack_is_as_deep_as_its_option_says(self):
        with Server(self.module, "--stack-size", "2m") as server, Connection(server) as connection:
            for _ in range(50): # deep ones and shallow ones take turns on the same stacks
                for levels in (1200, 1, 30):
                    self.assertEqual(connection.send(get(f"/deep?{levels}")).response().body, b"alive")

    @unittest.skipIf(support.SANITIZE, "its frames are larger")
    def test_the_default_takes_200_kib(self):
        with Server(self.module) as server:
            connections = [Connection(server) for _ in range(20)]
            for connection in connections:
                connection.send(get("/deep?180"))
            self.assertEqual({connection.response().body for connection in connections}, {b"alive"})
            for connection in connections:
                connection.close()


if __name__ == "__main__":
    unittest.main()
