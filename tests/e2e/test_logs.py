"""The logs from outside: their lines, and that nothing done to their descriptors stops the server."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

import support

REQUESTS = 1500  # with --log-level trace about 1 MiB of log: more than a pipe and the buffer before it hold
ACCESS = re.compile(r'INFO:     127\.0\.0\.1:\d+ - "GET /x\?y=%20 HTTP/1\.1" 200 OK 13B \d+\.\dms \[[^]]+\]$')


SPEAKS = """
#include <casgi/casgi.h>

static int speak(void *arg)
{
    casgi_log(CASGI_LOG_INFO, "on a %s", (const char *)arg);
    return 0;
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    speak("task");
    int rc = casgi_to_thread(speak, "thread");
    rc = rc ? rc : casgi_to_thread_owned(speak, "thread that owns", NULL, NULL);
    return rc ? rc : casgi_respond(send, 200, "text/plain", "spoken");
}
CASGI_APP(answer)
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=support.PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(support.PATIENCE)
        self.sock.connect(self.path)


class Lines(support.TestCase):
    def test_an_access_line_has_bytes_duration_and_request_id(self): # B149
        with support.Server(support.example("hello")) as server:
            server.get("/x?y=%20")
            line = server.wait_log(r"GET /x")
        self.assertRegex(line, ACCESS)

    def test_a_target_is_logged_as_received_and_a_status_without_a_name_by_its_number(self): # B149 B150
        with support.Server("inspect") as server:
            server.get("/a%20b%22?status=599&c=%0a")
            server.wait_log(r' - "GET /a%20b%22\?status=599&c=%0a HTTP/1\.1" 599 \d+B ')
            server.raw(b"BREW / HTTP/1.0\r\n\r\n")
            server.wait_log(r' - "BREW / HTTP/1\.0" 200 OK ')

    def test_a_json_access_line_has_the_documented_fields(self):
        with support.Server(support.example("hello"), "--log-format", "json") as server:
            server.get("/x?y", {"X-Request-ID": "mine", "User-Agent": 'a"b', "Referer": "r"})
            entry = json.loads(server.wait_log(r'"kind":"access"'))
        self.assertEqual({"level": "info", "kind": "access", "method": "GET", "path": "/x", "query": "y",
                          "http_version": "1.1", "status": 200, "bytes_in": 0, "bytes_out": 13, "request_id": "mine",
                          "user_agent": 'a"b', "referer": "r"},
                         {key: entry[key] for key in entry if key not in ("time", "client", "duration_ms")})
        self.assertRegex(entry["client"], r"^127\.0\.0\.1:\d+$")
        self.assertGreaterEqual(entry["duration_ms"], 0)

    def test_what_an_application_logs_has_the_request_id_on_every_thread(self):
        longest = "i" * 128 # that is taken from a client
        with support.Server(support.build_module(self.folder, SPEAKS)) as server:
            self.assertEqual(server.get("/", {"X-Request-ID": longest})[0], 200)
            for where in ("task", "thread", "thread that owns"):
                server.wait_log(rf"INFO: +\[{longest}\] on a {where}$")

    def test_every_json_line_is_an_object(self):
        with support.Server(support.example("hello"), "--log-format", "json", "--log-level", "trace") as server:
            server.get("/")
            server.wait_log(r"ASGI end")
            server.stop()
            for line in server.log:
                self.assertIn("time", json.loads(line))

    def test_the_trace_shows_events_and_no_bodies(self): # B151
        with support.Server(support.example("hello"), "--log-level", "trace") as server:
            server.get("/", {"Cookie": "secret"})
            server.wait_log(r"ASGI send http\.response\.body <13 bytes> more_body=false")
            server.wait_log(r"ASGI end status=200")
            self.assertNotIn("secret", server.text())
            self.assertNotIn("Hello", server.text())

    def test_excluded_paths_and_queries_are_not_logged(self):
        with support.Server(support.example("hello"), "--access-log-exclude", "/health", "--access-log-no-query") as server:
            server.get("/health")
            server.get("/last?secret")
            server.wait_log(r'"GET /last HTTP')
            self.assertNotIn("/health", server.text())

    def test_access_lines_go_to_stdout_and_all_others_to_stderr(self):
        path = os.path.join(self.folder, "sock")
        process = subprocess.Popen([support.BIN, support.example("middleware"), "--uds", path], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        support.wait_until(lambda: support.accepts(path) or process.poll() is not None, "the socket")
        connection = UnixConnection(path)
        connection.request("GET", "/x")
        connection.getresponse().read()
        connection.close()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=support.PATIENCE)
        self.assertRegex(stdout.decode(), r'^\S+Z INFO:     \S+ - "GET /x HTTP/1\.1" 200 OK \d+B \S+ms \[\w+\]\n$')
        for text in ("Started server process", "GET /x took", "Finished server process"):
            self.assertIn(text, stderr.decode())
        self.assertNotIn('"GET /x HTTP/1.1" 200', stderr.decode())

    def test_access_lines_are_of_level_info(self):
        process = subprocess.Popen([support.BIN, support.example("hello"), "--uds", os.path.join(self.folder, "sock"), "--log-level", "warning"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.kill)
        support.wait_until(lambda: support.accepts(os.path.join(self.folder, "sock")) or process.poll() is not None, "the socket")
        connection = UnixConnection(os.path.join(self.folder, "sock"))
        connection.request("GET", "/")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        process.send_signal(signal.SIGTERM)
        self.assertEqual((process.communicate(timeout=support.PATIENCE)[0], process.returncode), (b"", 0))

    def test_without_the_access_log_there_are_no_lines(self): # B150
        with support.Server(support.example("hello"), "--no-access-log") as server:
            server.get("/")
            server.stop()
            self.assertNotIn("GET /", server.text())


class Descriptors(support.TestCase):
    def setUp(self):
        super().setUp()
        self.socket = os.path.join(self.folder, "sock")

    def serve(self, stdout, stderr, redirections=""):
        """Starts a server on a Unix socket; waits until it answers."""
        command = f'exec "$0" "$@" {redirections}'
        arguments = [support.BIN, support.example("hello"), "--uds", self.socket, "--log-level", "trace"]
        process = subprocess.Popen(["sh", "-c", command, *arguments], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        self.addCleanup(process.wait, support.PATIENCE)
        self.addCleanup(process.kill)
        support.wait_until(lambda: support.accepts(self.socket) or process.poll() is not None, "the socket")
        self.assertIsNone(process.poll())
        return process

    def ask(self, process):
        """Many requests, each answered; then a graceful end."""
        connection = UnixConnection(self.socket)
        for number in range(REQUESTS):
            connection.request("GET", f"/{number}", headers={"X-Filler": "f" * 300})
            self.assertEqual(b"Hello, World!", connection.getresponse().read().strip()[:13])
        connection.close()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(support.PATIENCE))

    def test_pipes_nobody_reads(self):
        process = self.serve(subprocess.PIPE, subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.ask(process)

    def test_pipes_whose_reader_left(self):
        process = self.serve(subprocess.PIPE, subprocess.PIPE)
        process.stdout.close()
        process.stderr.close()
        self.ask(process)

    def test_a_full_disk(self):
        self.ask(self.serve(subprocess.DEVNULL, subprocess.DEVNULL, ">/dev/full 2>/dev/full"))

    def test_closed_descriptors(self):
        self.ask(self.serve(subprocess.DEVNULL, subprocess.DEVNULL, "<&- >&- 2>&-"))

    def test_an_idle_server_writes_what_a_full_pipe_held_back(self):
        process = self.serve(subprocess.PIPE, subprocess.DEVNULL)
        connection = UnixConnection(self.socket)
        for number in range(200): # more than a pipe holds, less than the buffer before it
            connection.request("GET", f"/{number}?" + "q" * 600)
            connection.getresponse().read()
        connection.close()
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        support.wait_until(lambda: any(b'"GET /199?' in line for line in list(lines)), "the last line")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(support.PATIENCE))
        reader.join(support.PATIENCE)
        process.stdout.close()

    def test_lines_lost_are_told_when_the_pipe_is_read_again(self):
        process = self.serve(subprocess.DEVNULL, subprocess.PIPE)
        connection = UnixConnection(self.socket)

        def ask():
            connection.request("GET", "/", headers={"X-Filler": "f" * 300})
            return connection.getresponse().read()

        for _ in range(REQUESTS):
            ask()
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
        reader.start()
        support.wait_until(lambda: ask() and any(b" log lines lost" in line for line in list(lines)), "the notice")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(support.PATIENCE))
        reader.join(support.PATIENCE)
        process.stderr.close()
        connection.close()
        for line in lines:
            self.assertIsNotNone(re.match(rb"\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+: +\S[^\n]*\n$", line), line[:200])
        notice = next(line for line in lines if b" log lines lost" in line)
        self.assertIsNotNone(re.search(rb"WARNING:  [1-9]\d* log lines lost\n$", notice), notice)


if __name__ == "__main__":
    unittest.main()
