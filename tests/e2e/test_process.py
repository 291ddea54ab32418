"""The life of one process: what it listens on, how it starts, stops, and with which exit code."""

import http.client
import os
import resource
import select
import signal
import socket
import stat
import subprocess
import unittest

import support
from support import PATIENCE, Server, build_module, example, read_all, wait_until

HELLO = example("hello")

# It runs until a file called "go" is there; "running" says that it does.
WAITS = """
#include <casgi/casgi.h>
#include <fcntl.h>
#include <unistd.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)receive;
    int rc = 0;
    if (scope->path.len > 1) {
        close(open("running", O_CREAT | O_WRONLY, 0600));
        while (!rc && access("go", F_OK)) {
            rc = casgi_sleep(5);
        }
    }
    return rc ? rc : casgi_respond(send, 200, "text/plain", "done");
}
CASGI_APP(answer)
"""

# Its requests do not care that they are cancelled.
STUBBORN = """
#include <casgi/casgi.h>
#include <fcntl.h>
#include <unistd.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    close(open("running", O_CREAT | O_WRONLY, 0600));
    for (;;) {
        (void)casgi_sleep(50);
        casgi_uncancel();
    }
}
CASGI_APP(answer)
"""

# Its request never gives the loop back.
BUSY = """
#include <casgi/casgi.h>
#include <fcntl.h>
#include <unistd.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    close(open("running", O_CREAT | O_WRONLY, 0600));
    for (volatile int spin = 0;; spin++) {
    }
}
CASGI_APP(answer)
"""

# Its requests go on under a shield for as long as they are let.
SHIELDED = """
#include <casgi/casgi.h>
#include <fcntl.h>
#include <unistd.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive, (void)send;
    close(open("running", O_CREAT | O_WRONLY, 0600));
    (void)casgi_shield_begin();
    int rc = casgi_sleep(1000000);
    casgi_log(CASGI_LOG_INFO, "cut off: %s", casgi_strerror(rc));
    (void)casgi_shield_end();
    return rc;
}
CASGI_APP(answer)
"""

# It cannot let go.
CLINGS = """
#include <casgi/casgi.h>
#include <fcntl.h>
#include <unistd.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "ok");
}

static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    static casgi_app_t app = { answer, NULL, { 0, 0 } };
    (void)host, (void)argc, (void)argv, (void)out_error;
    return &app;
}

static void destroy(casgi_app_t *app)
{
    (void)app;
    close(open("running", O_CREAT | O_WRONLY, 0600));
    for (;;) {
        pause();
    }
}

static const casgi_app_record_t record = { "app", NULL, create, destroy, CASGI_APP_HTTP, 0, { 0 } };
CASGI_MODULE("clings", "0", &record);
"""

LIFESPAN = """
#include <casgi/casgi.h>
#include <stdio.h>

static int lifespan(casgi_receive_t *receive, casgi_send_t *send)
{
    casgi_event_t event, done = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);
    casgi_event_t failed = CASGI_EVENT_INIT(CASGI_LIFESPAN_%(failing)s_FAILED);
    int rc = casgi_receive(receive, &event);
    failed.lifespan_failed.message = casgi_str("the cellar is flooded");
    if (%(startup_fails)s) {
        return rc ? rc : casgi_send(send, &failed);
    }
    rc = rc ? rc : casgi_send(send, &done);
    rc = rc ? rc : casgi_receive(receive, &event);
    casgi_log(CASGI_LOG_INFO, "the application hears of the shutdown");
    done.type = CASGI_LIFESPAN_SHUTDOWN_COMPLETE;
    return rc ? rc : casgi_send(send, %(shutdown_fails)s ? &failed : &done);
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    return scope->type == CASGI_SCOPE_LIFESPAN ? lifespan(receive, send) : casgi_respond(send, 200, "text/plain", "ok");
}
CASGI_APP_WITH(answer, CASGI_APP_HTTP | CASGI_APP_LIFESPAN)
"""


def lifespan(failing="STARTUP", startup=0, shutdown=0):
    return LIFESPAN % {"failing": failing, "startup_fails": startup, "shutdown_fails": shutdown}


class Case(support.TestCase):
    def path(self, name):
        return os.path.join(self.folder, name)

    def module(self, source, name="app"):
        return build_module(self.folder, source, name)

    def serve(self, *arguments, **more):
        return Server(*arguments, cwd=self.folder, **more)

    def run_casgi(self, *arguments):
        return support.run(*arguments, cwd=self.folder)

    def wait_running(self):
        wait_until(lambda: os.path.exists(self.path("running")), "the request to run")


class Listening(Case):
    def test_port_0_is_chosen_and_printed(self): # B145
        with self.serve(HELLO) as server:
            self.assertEqual(server.get()[2], b"Hello, World!")

    def test_a_port_in_use_ends_with_code_3_and_a_sentence(self): # B146
        with self.serve(HELLO) as server:
            code, text = self.run_casgi(HELLO, "--port", str(server.port))
            self.assertEqual(code, 3)
            self.assertIn(f"port {server.port} on 127.0.0.1 is already in use (EADDRINUSE)", text)

    def test_a_bad_address_ends_with_code_3(self): # B146
        code, text = self.run_casgi(HELLO, "--host", "192.0.2.1", "--port", "0")
        self.assertEqual(code, 3)
        self.assertIn("192.0.2.1 is not an address of this machine", text)
        code, text = self.run_casgi(HELLO, "--bind", "nonsense")
        self.assertIn(code, (2, 3))
        self.assertIn("nonsense", text)

    def test_a_unix_socket_serves_is_open_to_all_and_goes(self): # B145
        path = self.path("s")
        with self.serve(HELLO, "--uds", path) as server:
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o666)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(PATIENCE)
                sock.connect(path)
                sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                self.assertIn(b"Hello, World!", read_all(sock))
            self.assertIn(path, server.text())
            self.assertEqual(server.stop(), 0)
            self.assertFalse(os.path.exists(path))

    def test_an_inherited_descriptor_serves(self): # B145
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            process = subprocess.Popen([support.BIN, HELLO, "--fd", str(listener.fileno())],
                                       pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            try:
                def answered():
                    try:
                        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
                        connection.request("GET", "/")
                        body = connection.getresponse().read()
                        connection.close()
                        return body == b"Hello, World!"
                    except ConnectionRefusedError:
                        return False
                wait_until(answered, "an answer on the inherited socket")
            finally:
                process.terminate()
                self.assertEqual(process.wait(PATIENCE), 0)

    def test_a_descriptor_that_is_no_socket_ends_with_code_3(self):
        with open(os.devnull, "rb") as file:
            done = subprocess.run([support.BIN, HELLO, "--fd", str(file.fileno())], pass_fds=[file.fileno()],
                                  capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"is not a socket", done.stderr)

    def test_several_addresses_serve(self):
        path = self.path("s")
        with self.serve(HELLO, "--bind", "127.0.0.1:0", "--bind", f"unix:{path}") as server:
            server.wait_log("unix:")
            self.assertEqual(server.get()[2], b"Hello, World!")
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(PATIENCE)
                sock.connect(path)
                sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                self.assertIn(b"Hello, World!", read_all(sock))

    def test_ipv6_serves(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        with self.serve(HELLO, "--host", "::1") as server:
            with socket.create_connection(("::1", server.port), timeout=PATIENCE) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                self.assertIn(b"Hello, World!", read_all(sock))

    def test_the_backlog_holds_connections_during_a_slow_startup(self): # B95
        slow = """casgi_event_t done = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_COMPLETE);"""
        source = """
#include <casgi/casgi.h>
#include <unistd.h>
static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    if (scope->type != CASGI_SCOPE_LIFESPAN) {
        return casgi_respond(send, 200, "text/plain", "up");
    }
    casgi_event_t event;
    """ + slow + """
    int rc = casgi_receive(receive, &event);
    while (!rc && access("go", F_OK)) {
        rc = casgi_sleep(5);
    }
    rc = rc ? rc : casgi_send(send, &done);
    return rc ? rc : casgi_receive(receive, &event);
}
CASGI_APP_WITH(answer, CASGI_APP_HTTP | CASGI_APP_LIFESPAN)
"""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            process = subprocess.Popen([support.BIN, self.module(source), "--fd", str(listener.fileno())],
                                       cwd=self.folder, pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                    with open(self.path("go"), "w", encoding="ascii"):
                        pass
                    self.assertIn(b"up", read_all(sock))
            finally:
                process.terminate()
                process.wait(PATIENCE)


class Starting(Case):
    def test_the_start_says_what_is_served_where_and_by_whom(self):
        with self.serve(HELLO) as server:
            server.wait_log(rf"Started server process \[{server.process.pid}\]")
            server.wait_log(r"Loaded .*hello\.so: application \"app\"")
            server.wait_log(r"Application startup complete\.")
            server.wait_log(rf"casgi [0-9.]+ running on http://127\.0\.0\.1:{server.port} \(Press CTRL\+C to quit\)")

    def test_a_failed_startup_ends_with_code_3_and_its_message(self): # B96
        code, text = self.run_casgi(self.module(lifespan(startup=1)), "--port", "0")
        self.assertEqual(code, 3)
        self.assertIn("the cellar is flooded", text)

    def test_a_module_that_cannot_be_loaded_ends_with_code_4(self): # B146
        code, text = self.run_casgi("./nowhere.so", "--port", "0")
        self.assertEqual(code, 4)
        self.assertIn("nowhere.so", text)

    def test_a_bad_option_ends_with_code_2(self):
        code, _ = self.run_casgi(HELLO, "--no-such-option")
        self.assertEqual(code, 2)

    def test_lifespan_off_does_not_call_the_application(self): # B99
        with self.serve(self.module(lifespan(startup=1)), "--lifespan", "off") as server:
            self.assertEqual(server.get()[2], b"ok")

    def test_lifespan_on_needs_an_application_that_takes_part(self): # B98
        code, _ = self.run_casgi(HELLO, "--port", "0", "--lifespan", "on")
        self.assertEqual(code, 3)

    def test_header_and_server_options_reach_the_response(self):
        with self.serve(HELLO, "--header", "X-One: 1", "--header", "Server: mine") as server:
            headers = server.get()[1]
            self.assertEqual(headers["x-one"], "1")
            self.assertEqual(headers["server"], "mine")
        with self.serve(HELLO, "--no-server-header", "--no-date-header") as server:
            headers = server.get()[1]
            self.assertNotIn("server", headers)
            self.assertNotIn("date", headers)


class Stopping(Case):
    def test_sigterm_and_sigint_end_with_code_0(self): # B92
        for how in signal.SIGTERM, signal.SIGINT:
            with self.serve(HELLO) as server:
                server.get()
                self.assertEqual(server.stop(how), 0)
                self.assertIn("Finished server process", server.text())

    def test_the_lifespans_shutdown_comes_after_the_connections(self): # B100
        with self.serve(self.module(lifespan())) as server:
            server.get()
            self.assertEqual(server.stop(), 0)
            self.assertIn("the application hears of the shutdown", server.text())
            self.assertIn("Application shutdown complete.", server.text())

    def test_a_failed_shutdown_is_said_and_not_code_0(self): # B101
        with self.serve(self.module(lifespan("SHUTDOWN", shutdown=1))) as server:
            server.get()
            self.assertNotEqual(server.stop(), 0)
            self.assertIn("the cellar is flooded", server.text())

    def test_an_idle_connection_is_closed_without_a_byte(self): # B87
        with self.serve(HELLO) as server:
            with server.connect() as idle, server.connect() as fresh:
                idle.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                self.assertIn(b"Hello", idle.recv(65536))
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(read_all(idle), b"")
                self.assertEqual(read_all(fresh), b"")
            self.assertEqual(server.wait(), 0)

    def test_a_running_request_is_finished_and_the_port_refuses_at_once(self): # B88 B89 B90
        with self.serve(self.module(WAITS)) as server:
            with server.connect() as sock:
                sock.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                server.process.send_signal(signal.SIGTERM)
                server.wait_log("Shutting down")
                self.assertRaises(ConnectionRefusedError, server.connect)
                with open(self.path("go"), "w", encoding="ascii"):
                    pass
                answered = read_all(sock)
            self.assertTrue(answered.startswith(b"HTTP/1.1 200"), answered)
            self.assertIn(b"connection: close", answered.lower())
            self.assertEqual(server.wait(), 0)

    def test_a_request_that_takes_too_long_is_cancelled_and_counted(self): # B91
        with self.serve(self.module(WAITS), "--timeout-graceful-shutdown", "0.1") as server:
            with server.connect() as sock:
                sock.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                self.assertEqual(server.stop(), 0)
            server.wait_log(r"Cancel 1 running task\(s\), timeout graceful shutdown exceeded")

    def test_a_task_that_ignores_its_cancellation_is_named_and_left(self):
        app = self.module(STUBBORN)
        with self.serve(app, "--timeout-graceful-shutdown", "0.1", "--timeout-cleanup", "0.1") as server:
            with server.connect() as sock:
                sock.sendall(b"GET /stubborn HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                self.assertEqual(server.stop(), 1)
            server.wait_log(r"still runs: .*GET /stubborn")

    def test_a_task_whose_clean_up_is_cut_off_still_ends_in_good_order(self):
        with self.serve(self.module(SHIELDED), "--timeout-graceful-shutdown", "0.2", "--timeout-cleanup", "0.4") as server:
            with server.connect() as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                self.assertEqual(server.stop(), 0)
        self.assertIn("cut off", server.text())

    def test_a_second_signal_forces(self): # B92 B93
        with self.serve(self.module(WAITS)) as server:
            with server.connect() as sock:
                sock.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                server.process.send_signal(signal.SIGINT)
                server.wait_log("Shutting down")
                server.process.send_signal(signal.SIGINT)
                self.assertEqual(server.wait(), 128 + signal.SIGINT)

    def test_a_second_signal_forces_also_when_the_loop_is_busy_for_ever(self):
        with self.serve(self.module(BUSY)) as server:
            with server.connect() as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                server.process.send_signal(signal.SIGTERM)
                wait_until(lambda: self.pending(server) == 0, "the first signal to be delivered")
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.wait(), 128 + signal.SIGTERM)

    def test_a_second_signal_forces_also_while_the_application_is_destroyed(self):
        with self.serve(self.module(CLINGS)) as server:
            server.process.send_signal(signal.SIGTERM)
            self.wait_running()
            self.assertEqual(server.stop(), 128 + signal.SIGTERM)

    def pending(self, server):
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return int(fields["ShdPnd"], 16) | int(fields["SigPnd"], 16)


class Limits(Case):
    def test_more_requests_at_once_than_allowed_get_503(self): # B76
        with self.serve(self.module(WAITS), "--limit-concurrency", "1") as server:
            with server.connect() as sock:
                sock.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                status, headers, body = server.get("/")
                self.assertEqual((status, body), (503, b"Service Unavailable"))
                self.assertEqual(headers["connection"], "close")
                self.assertEqual(headers["content-length"], "19")
                self.assertTrue(headers["content-type"].startswith("text/plain"))
                self.assertEqual([server.get("/")[0] for _ in range(3)], [503] * 3)
                server.wait_log(r'"GET / HTTP/1\.1" 503 ')
                reached = [line for line in server.log if "WARNING" in line and "limit of 1 requests at a time" in line]
                self.assertEqual(len(reached), 1, reached)
                with open(self.path("go"), "w", encoding="ascii"):
                    pass
                self.assertIn(b"done", sock.recv(65536))
            self.assertEqual(server.get("/")[0], 200)

    def test_a_client_that_goes_on_sending_can_read_its_503(self): # B76
        with self.serve(self.module(WAITS), "--limit-concurrency", "1") as server:
            with server.connect() as busy, server.connect() as sock:
                busy.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                self.assertTrue(sock.recv(65536).startswith(b"HTTP/1.1 503"))
                sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") # it did not know yet
                self.assertEqual(sock.recv(65536), b"") # not a reset, which may cost it the answer
                with open(self.path("go"), "w", encoding="ascii"):
                    pass
                self.assertIn(b"done", busy.recv(65536))

    def test_so_many_requests_and_the_process_ends(self): # B77
        with self.serve(HELLO, "--limit-max-requests", "3") as server:
            for _ in range(3):
                self.assertEqual(server.get()[0], 200)
            self.assertEqual(server.wait(), 0)
            server.wait_log("limit of 3 requests")

    def test_those_that_run_then_are_finished(self): # B77
        with self.serve(self.module(WAITS), "--limit-max-requests", "2") as server:
            with server.connect() as sock:
                sock.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                self.wait_running()
                self.assertEqual(server.get("/")[0], 200)
                server.wait_log("Shutting down")
                with open(self.path("go"), "w", encoding="ascii"):
                    pass
                self.assertTrue(read_all(sock).endswith(b"done"))
            self.assertEqual(server.wait(), 0)

    def test_so_many_requests_under_a_supervisor_and_another_worker_goes_on(self):
        with self.serve(HELLO, "--reload", "--limit-max-requests", "3") as server:
            for _ in range(20):
                self.assertEqual(server.get()[0], 200)
            server.wait_log("Replacing the worker")

    def test_a_refused_request_is_one_line_with_peer_offset_and_reason(self): # B73
        with self.serve(HELLO) as server:
            self.assertTrue(server.raw(b"GET / HTTP/1.1\r\nhost: x\r\nbad header: 1\r\n\r\n").startswith(b"HTTP/1.1 400"))
            server.wait_log(r"127\.0\.0\.1:\d+ - refused with 400 at byte \d+: \w+")

    def ask(self, sock):
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        return sock.recv(65536)

    def test_no_more_descriptors_is_said_once_and_survived(self):
        with LimitedServer(limit_to_40, HELLO) as server:
            held = []
            try:
                for _ in range(60):
                    held.append(server.connect())
                server.wait_log("No connection can be accepted")
                self.assertIn(b"Hello", self.ask(held[0])) # those that are accepted are served
                held[-1].sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                for sock in held[1:-1]: # and the others as places become free
                    sock.close()
                    select.select([held[-1]], [], [], 0.02)
                self.assertIn(b"Hello", held[-1].recv(65536))
                self.assertEqual(len([line for line in server.log if "No connection can be accepted" in line]), 1)
            finally:
                for sock in held:
                    sock.close()
            self.assertEqual(server.get()[2], b"Hello, World!")


    def test_a_reload_needs_no_free_descriptor_in_the_old_worker(self):
        with LimitedServer(limit_to_40, HELLO, "--reload") as server:
            held = [server.connect() for _ in range(60)]
            try:
                server.wait_log("No connection can be accepted")
                self.assertIn(b"Hello", self.ask(held[0]))
                server.process.send_signal(signal.SIGHUP)
                server.wait_log("Reloaded in .* is served by the worker")
            finally:
                for sock in held:
                    sock.close()
            self.assertEqual(server.get()[2], b"Hello, World!")
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("is killed", server.text())


def limit_to_40():
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


class LimitedServer(Server):
    """A server with fewer descriptors."""

    def __init__(self, limit, *arguments):
        self.limit = limit
        popen = subprocess.Popen

        def limited(*arguments, **named):
            return popen(*arguments, preexec_fn=self.limit, **named)
        subprocess.Popen = limited
        try:
            super().__init__(*arguments)
        finally:
            subprocess.Popen = popen


if __name__ == "__main__":
    unittest.main()
