"""One worker whose supervisor is this test: what it does with connections that another worker hands over."""

import os
import socket
import struct
import subprocess
import threading
import unittest

import support
from support import PATIENCE, TestCase, build_module, wait_until

START, ADOPT, STOP, READY, CONNECTIONS = 1, 3, 5, 6, 10  # enum control_type
FOR_EVER = ("--timeout-graceful-shutdown", "0", "--timeout-head", "0")  # so that no deadline ends what should end at once

# A request waits for the file "go", the lifespan's shutdown for the file "end"; "running" and "ending" say so.
SOURCE = r"""
#include <casgi/casgi.h>
#include <fcntl.h>
#include <unistd.h>

static int wait_for(const char *here, const char *file)
{
    int rc = 0;
    close(open(here, O_CREAT | O_WRONLY, 0600));
    while (!rc && access(file, F_OK)) {
        rc = casgi_sleep(5);
    }
    return rc;
}

static int lifespan(casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event, answer = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    int rc = casgi_receive(receive, &event);
    rc = rc ? rc : casgi_send(send, &answer);
    rc = rc ? rc : casgi_receive(receive, &event);
    rc = rc ? rc : wait_for("ending", "end");
    answer.type = CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
    return rc ? rc : casgi_send(send, &answer);
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    if (scope->type == CASGI_SCOPE_LIFESPAN) {
        return lifespan(receive, send);
    }
    int rc = wait_for("running", "go");
    return rc ? rc : casgi_respond(send, 200, "text/plain", "done");
}
CASGI_APP_WITH(answer, CASGI_APP_HTTP | CASGI_APP_LIFESPAN)
"""


class Worker(TestCase):
    def setUp(self):
        super().setUp()
        module = build_module(self.folder, SOURCE)
        self.listening = self.keep(socket.create_server(("127.0.0.1", 0)))
        self.control, theirs = self.pair()
        self.process = subprocess.Popen([support.BIN, *FOR_EVER, module], cwd=self.folder, pass_fds=[theirs.fileno()],
                                        env={**os.environ, "CASGI_CONTROL_FD": str(theirs.fileno())},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(self.end)
        theirs.close()
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stdout), daemon=True)
        self.reader.start()
        self.tell(self.control, START, module, [self.listening])
        self.assertEqual(self.hear(), READY)

    def keep(self, sock):
        self.addCleanup(sock.close)
        sock.settimeout(PATIENCE)
        return sock

    def pair(self):
        return [self.keep(sock) for sock in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)]

    def end(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.process.stdout.close()

    def tell(self, channel, kind, text="", socks=()):
        socket.send_fds(channel, [struct.pack("=II", kind, 1) + text.encode()], [sock.fileno() for sock in socks])

    def hear(self):
        return struct.unpack("=II", self.control.recv(65536)[:8])[0]

    def touch(self, name):
        with open(os.path.join(self.folder, name), "wb"):
            pass

    def wait_file(self, name):
        wait_until(lambda: os.path.exists(os.path.join(self.folder, name)), f"the file {name}")

    def adopt(self):
        """The channel that another worker would hand its idle connections over through."""
        ours, theirs = self.pair()
        self.tell(self.control, ADOPT, socks=[theirs])
        theirs.close()
        return ours

    def idle_connection(self):
        """(the client's end, the server's end)."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = self.keep(socket.create_connection(listening.getsockname()))
            server = self.keep(listening.accept()[0])
            server.setblocking(False)
            return client, server

    def hand_over(self, channel):
        """Returns the client's end of a connection that is the worker's now."""
        client, server = self.idle_connection()
        self.tell(channel, CONNECTIONS, socks=[server])
        server.close()
        return client

    def request(self):
        client = self.keep(socket.create_connection(self.listening.getsockname()))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.wait_file("running")
        return client

    def assert_good_end(self):
        self.assertEqual(self.process.wait(PATIENCE), 0, b"".join(self.log).decode())

    def test_a_connection_that_was_handed_over_is_served(self):
        client = self.hand_over(self.adopt())
        self.touch("go")
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(support.read_all(client).endswith(b"done"))

    def test_one_that_comes_while_others_are_waited_for_is_closed(self):
        channel, busy = self.adopt(), self.request()
        self.tell(self.control, STOP)
        wait_until(lambda: any(b"Shutting down" in line for line in self.log), "the shutdown")
        self.assertEqual(support.read_all(self.hand_over(channel)), b"")
        self.touch("go")
        self.touch("end")
        self.assertTrue(support.read_all(busy).endswith(b"done"))
        self.assert_good_end()

    def test_one_that_comes_while_the_application_ends_is_closed(self):
        channel = self.adopt()
        self.tell(self.control, STOP)
        self.wait_file("ending")
        self.assertEqual(support.read_all(self.hand_over(channel)), b"")
        self.touch("end")
        self.assert_good_end()


if __name__ == "__main__":
    unittest.main()
