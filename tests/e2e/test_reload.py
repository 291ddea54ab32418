"""--reload: what is saved is served, what is broken is not, and no request is lost on the way."""

import os
import shutil
import signal
import unittest

import support
from reload_load import Connection, Load
from support import Server, build_module, example, wait_until

ANSWER = """
#include <casgi/casgi.h>
%(before)s
static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    %(inside)s
    return casgi_respond(send, 200, "text/plain", "%(text)s");
}
CASGI_APP(answer)
"""

STARTUP = """
#include <casgi/casgi.h>
#include <stdlib.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self;
    if (scope->type != CASGI_SCOPE_LIFESPAN) {
        return casgi_respond(send, 200, "text/plain", "never");
    }
    casgi_event_t event;
    int rc = casgi_receive(receive, &event);
    %(startup)s
    return rc;
}
CASGI_APP_WITH(answer, CASGI_APP_HTTP | CASGI_APP_LIFESPAN)
"""

# "/" is answered at once. Else it runs until a file called "go" is there; "running" says that it does.
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
    return rc ? rc : casgi_respond(send, 200, "text/plain", "slow");
}
CASGI_APP(answer)
"""

STREAMS = """
#include <casgi/casgi.h>
#include <unistd.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)receive;
    casgi_header_t length = casgi_header("content-length", "10");
    int rc = casgi_send_start(send, 200, &length, 1);
    rc = rc ? rc : casgi_send_body(send, "begun", 5, true);
    while (!rc && scope->path.len > 1 && access("go", F_OK)) {
        rc = casgi_sleep(5);
    }
    return rc ? rc : casgi_send_body(send, "ended", 5, false);
}
CASGI_APP(answer)
"""

FAILS = """casgi_event_t failed = CASGI_EVENT_INIT(CASGI_LIFESPAN_STARTUP_FAILED);
    failed.lifespan_failed.message = casgi_str("the database is away");
    return rc ? rc : casgi_send(send, &failed);"""


def answer(text, before="", inside=""):
    return ANSWER % {"text": text, "before": before, "inside": inside}


def save(source, target):
    """As a linker or an editor does: another file takes the name."""
    shutil.copyfile(source, target + ".tmp")
    os.rename(target + ".tmp", target)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Case(support.TestCase):
    def setUp(self):
        super().setUp()
        self.env = {"XDG_CACHE_HOME": os.path.join(self.folder, "cache")}
        self.made = os.path.join(self.folder, "made")
        os.mkdir(self.made)

    def module(self, name, source):
        return build_module(self.made, source, name)

    def serve(self, path, *arguments):
        """A server that has answered once: its first worker (or the one that says why there is none) serves."""
        server = Server(path, "--reload", *arguments, env=self.env, cwd=self.folder)
        try:
            server.get()
        except BaseException:
            server.kill()
            raise
        return server

    def path(self, name):
        return os.path.join(self.folder, name)

    def wait_answer(self, server, wanted, status=200):
        def asked():
            code, _, body = server.get()
            return code == status and wanted in body
        wait_until(asked, f"the answer {wanted!r}; the log says:\n{server.text()}")

    def copies(self, name="app.so"):
        return [entry for entry in os.listdir(self.folder) if entry.startswith(f".{name}.")]


class Modules(Case):
    def setUp(self):
        super().setUp()
        self.first = self.module("first", answer("first"))
        self.app = self.path("app.so")
        save(self.first, self.app)

    def test_a_saved_module_is_served(self):
        with self.serve(self.app) as server:
            self.assertEqual(server.get()[2], b"first")
            save(self.module("second", answer("second")), self.app)
            self.wait_answer(server, b"second")
            server.wait_log(r"Reloaded in \d+ ms")

    def test_a_module_written_in_place_is_served(self):
        with self.serve(self.app) as server:
            shutil.copyfile(self.module("second", answer("second")), self.app)
            self.wait_answer(server, b"second")

    def test_a_module_that_the_words_name_is_watched_too(self):
        with self.serve("mount", "--", f"/a={self.app}") as server:
            server.wait_log(r"Watching for changes of .*app\.so")
            self.wait_mounted(server, b"first")
            save(self.module("second", answer("second")), self.app)
            self.wait_mounted(server, b"second")

    def test_a_broken_module_of_the_words_leaves_the_old_one_serving(self):
        with self.serve("mount", "--", f"/a={self.app}:app") as server:
            support.replace_file(self.app, "not a module")
            server.wait_log(r"app\.so is not a shared object")
            server.wait_log(r"was not reloaded")
            self.wait_mounted(server, b"first")

    def wait_mounted(self, server, wanted):
        wait_until(lambda: server.get("/a/")[2] == wanted, f"the mounted answer {wanted!r}")

    def test_a_module_that_was_removed_and_comes_back_is_served(self):
        with self.serve(self.app) as server:
            os.unlink(self.app)
            self.assertEqual(server.get()[2], b"first")
            save(self.module("second", answer("second")), self.app)
            self.wait_answer(server, b"second")

    def test_a_folder_that_was_removed_and_comes_back_is_watched(self):
        build = self.path("build")
        os.mkdir(build)
        app = os.path.join(build, "app.so")
        save(self.first, app)
        with self.serve(app) as server:
            self.assertEqual(server.get()[2], b"first")
            shutil.rmtree(build)
            os.mkdir(build)
            save(self.module("second", answer("second")), app)
            self.wait_answer(server, b"second")

    def test_a_link_that_is_set_anew_is_followed(self):
        for number in "1", "2":
            os.mkdir(self.path(number))
        save(self.first, self.path("1/app.so"))
        save(self.module("second", answer("second")), self.path("2/app.so"))
        os.symlink("1", self.path("current"))
        with self.serve(self.path("current/app.so")) as server:
            self.assertEqual(server.get()[2], b"first")
            os.symlink("2", self.path("next"))
            os.rename(self.path("next"), self.path("current"))
            self.wait_answer(server, b"second")

    def test_what_is_broken_is_not_served_and_said_once(self):
        with self.serve(self.app) as server:
            write(self.app + ".tmp", "no module\n")
            os.rename(self.app + ".tmp", self.app)
            server.wait_log("was not reloaded; the worker .* goes on serving")
            self.assertEqual(server.get()[2], b"first")
            self.assertEqual(len([line for line in server.log if "ERROR" in line]), 2, server.text())
            save(self.module("third", answer("third")), self.app)
            self.wait_answer(server, b"third")

    def test_a_failed_startup_leaves_the_old_worker_serving(self):
        with self.serve(self.app) as server:
            save(self.module("fails", STARTUP % {"startup": FAILS}), self.app)
            server.wait_log("the database is away")
            server.wait_log("goes on serving")
            self.assertEqual(server.get()[2], b"first")

    def test_a_crash_in_the_startup_leaves_the_old_worker_serving(self):
        with self.serve(self.app) as server:
            save(self.module("crashes", STARTUP % {"startup": "abort();"}), self.app)
            server.wait_log("goes on serving")
            server.wait_log("died while it started|ended while it started")
            self.assertEqual(server.get()[2], b"first")

    def test_a_startup_that_hangs_is_overtaken_by_the_next_save(self):
        with self.serve(self.app) as server:
            hangs = "for (;;) { rc = casgi_sleep(10); if (rc) { return rc; } }"
            save(self.module("hangs", STARTUP % {"startup": hangs}), self.app)
            server.wait_log("Waiting for application startup", start=len(server.log))
            save(self.module("third", answer("third")), self.app)
            self.wait_answer(server, b"third")

    def test_a_broken_first_start_answers_503_and_recovers(self):
        write(self.app, "no module\n")
        with self.serve(self.app) as server:
            self.wait_answer(server, b"app.so", status=503)
            status, headers, _ = server.get()
            self.assertEqual(status, 503)
            self.assertEqual(headers["content-type"], "text/plain; charset=utf-8")
            save(self.first, self.app)
            self.wait_answer(server, b"first")

    def test_a_missing_module_answers_503_and_recovers(self):
        os.unlink(self.app)
        with self.serve(self.app) as server:
            self.wait_answer(server, b"app.so", status=503)
            save(self.first, self.app)
            self.wait_answer(server, b"first")

    def test_a_second_failure_replaces_the_text_of_the_first(self):
        write(self.app, "no module\n")
        with self.serve(self.app) as server:
            self.wait_answer(server, b"app.so", status=503)
            save(self.module("fails", STARTUP % {"startup": FAILS}), self.app)
            self.wait_answer(server, b"the database is away", status=503)

    def test_sighup_reloads(self):
        with self.serve(self.app) as server:
            self.assertEqual(server.get()[2], b"first")
            server.process.send_signal(signal.SIGHUP)
            server.wait_log(r"Reloaded in \d+ ms")
            self.assertEqual(server.get()[2], b"first")

    def test_an_idle_connection_lives_on_in_the_new_worker(self):
        with self.serve(self.app) as server:
            connection = Connection(server.port)
            self.addCleanup(connection.close)
            fresh = Connection(server.port)  # has not sent anything yet
            self.addCleanup(fresh.close)
            self.assertEqual(connection.get()[1], b"first")
            save(self.module("second", answer("second")), self.app)
            server.wait_log(r"Reloaded in \d+ ms")
            self.assertEqual(connection.get()[:2], (200, b"second"))
            self.assertEqual(fresh.get()[:2], (200, b"second"))

    def test_many_idle_connections_live_on(self):
        with self.serve(self.app) as server:
            connections = [Connection(server.port) for _ in range(1000)]
            for connection in connections:
                self.addCleanup(connection.close)
                self.assertEqual(connection.get()[1], b"first")
            save(self.module("second", answer("second")), self.app)
            server.wait_log(r"Reloaded in \d+ ms")
            for connection in connections:
                self.assertEqual(connection.get()[:2], (200, b"second"))

    def test_a_running_request_ends_in_the_old_worker(self):
        save(self.module("slow", WAITS), self.app)
        with self.serve(self.app) as server:
            with server.connect() as sock:
                sock.sendall(b"GET /wait HTTP/1.1\r\nhost: test\r\n\r\n")
                wait_until(lambda: os.path.exists(self.path("running")), "the request to run")
                save(self.first, self.app)
                server.wait_log(r"Reloaded in \d+ ms")
                write(self.path("go"), "")
                answered = support.read_all(sock)
            self.assertIn(b"slow", answered)
            self.assertIn(b"connection: close", answered.lower())

    def test_a_response_that_began_before_keeps_its_connection(self):
        """Its head has left and does not say that the connection ends: so it does not, the next worker gets it."""
        save(self.module("slow", STREAMS), self.app)
        with self.serve(self.app) as server:
            connection = Connection(server.port)
            self.addCleanup(connection.close)
            connection.sock.sendall(b"GET /wait HTTP/1.1\r\nhost: test\r\n\r\n")
            while b"begun" not in connection.rest:
                connection._more()
            save(self.first, self.app)
            server.wait_log(r"Reloaded in \d+ ms")
            write(self.path("go"), "")
            while b"ended" not in connection.rest:
                connection._more()
            connection.rest = b""
            self.assertEqual(connection.get()[:2], (200, b"first"))

    def test_copies_go_with_their_generation(self):
        with self.serve(self.app) as server:
            self.assertEqual(len(self.copies()), 1)
            save(self.module("second", answer("second")), self.app)
            server.wait_log(r"Reloaded in \d+ ms")
            wait_until(lambda: len(self.copies()) == 1, "the first copy to go")
            self.assertEqual(server.stop(), 0)
            self.assertEqual(self.copies(), [])

    def test_copies_of_a_killed_supervisor_are_removed_by_the_next(self):
        with self.serve(self.app) as server:
            self.assertEqual(server.get()[2], b"first")
            server.kill()
            self.assertEqual(len(self.copies()), 1)
        with self.serve(self.app) as server:
            self.assertEqual(server.get()[2], b"first")
            self.assertEqual(len(self.copies()), 1)

    def test_a_worker_that_dies_while_serving_is_reported_and_replaced(self):
        dies = "if (scope->path.len > 1) { __builtin_trap(); }"
        save(self.module("dies", answer("alive", inside=dies)), self.app)
        with self.serve(self.app) as server:
            self.assertEqual(server.get()[2], b"alive")
            for _ in range(2):
                start = len(server.log)
                self.assertEqual(server.raw(b"GET /die HTTP/1.1\r\nhost: x\r\n\r\n"), b"")
                server.wait_log("died while it served: SIG|ended while it served", start=start)
                self.wait_answer(server, b"alive")

    def test_a_tree_of_other_files_is_watched(self): # B147
        pages = self.path("pages")
        os.mkdir(pages)
        with self.serve(self.app, "--reload-dir", pages, "--reload-include", "*.html") as server:
            server.get()
            os.makedirs(os.path.join(pages, "later/deep"))
            start = len(server.log)
            write(os.path.join(pages, "later/deep/x.html"), "x")
            server.wait_log(r"Reloaded in \d+ ms", start=start)
            start = len(server.log)
            write(os.path.join(pages, "ignored.txt"), "x")
            write(os.path.join(pages, ".hidden.html"), "x")
            write(os.path.join(pages, "y.html"), "x")
            server.wait_log(r"y\.html: reloading", start=start)
            self.assertFalse([line for line in server.log if "ignored" in line or "hidden" in line])

    def test_the_worker_ends_when_the_supervisor_is_killed(self):
        with self.serve(self.app) as server:
            self.assertEqual(server.get()[2], b"first")
            server.process.kill()
            server.process.wait(support.PATIENCE)

            def refused():
                try:
                    server.connect().close()
                    return False
                except ConnectionRefusedError:
                    return True
            wait_until(refused, "the port to be free")

    def test_sigterm_ends_all_in_good_order(self):
        with self.serve(self.app) as server:
            server.get()
            self.assertEqual(server.stop(signal.SIGTERM), 0)
            self.assertIn("Stopping reloader process", server.text())
            self.assertEqual(server.text().count("Shutting down"), 1) # the worker's
            self.assertIn("Finished server process", server.text())
            self.assertIn("Finished reloader process", server.text())

    def test_a_second_signal_forces(self):
        save(self.module("slow", WAITS), self.app)
        with self.serve(self.app) as server:
            with server.connect() as sock:
                sock.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
                wait_until(lambda: os.path.exists(self.path("running")), "the request to run")
                server.process.send_signal(signal.SIGINT)
                server.wait_log("Shutting down")
                server.process.send_signal(signal.SIGINT)
                self.assertEqual(server.wait(), 130)
                self.assertIn("Forced to end by a second signal", server.text())


class Sources(Case):
    def setUp(self):
        super().setUp()
        self.app = self.path("app.c")
        write(self.app, answer("first"))

    def test_a_saved_source_is_compiled_and_served(self):
        with self.serve(self.app) as server:
            self.wait_answer(server, b"first")
            support.replace_file(self.app, answer("second"))
            self.wait_answer(server, b"second")

    def test_a_syntax_error_is_shown_with_its_line_and_the_old_code_serves(self):
        with self.serve(self.app) as server:
            self.wait_answer(server, b"first")
            support.replace_file(self.app, answer("second", inside="this is no C;"))
            server.wait_log(r"app\.c:\d+:\d+: .*error")
            server.wait_log("goes on serving")
            self.assertEqual(server.get()[2], b"first")
            support.replace_file(self.app, answer("third"))
            self.wait_answer(server, b"third")

    def test_a_first_syntax_error_is_answered_with_its_line(self):
        write(self.app, answer("first", inside="this is no C;"))
        with self.serve(self.app) as server:
            self.wait_answer(server, b"error", status=503)
            self.assertRegex(server.get()[2].decode(), r"app\.c:\d+:\d+: ")
            support.replace_file(self.app, answer("second"))
            self.wait_answer(server, b"second")

    def test_a_header_is_watched(self):
        header = self.path("text.h")
        write(header, '#define TEXT "one"\n')
        with_header = answer("x", before='#include "text.h"').replace('"x"', "TEXT")
        write(self.app, with_header)
        with self.serve(self.app) as server:
            self.wait_answer(server, b"one")
            support.replace_file(header, '#define TEXT "two"\n')
            self.wait_answer(server, b"two")

    def test_a_header_of_a_source_that_does_not_compile_is_watched(self):
        header = self.path("text.h")
        write(header, "#define TEXT broken(\n")
        write(self.app, answer("x", before='#include "text.h"').replace('"x"', "TEXT"))
        with self.serve(self.app) as server:
            self.wait_answer(server, b"error", status=503)
            support.replace_file(header, '#define TEXT "mended"\n')
            self.wait_answer(server, b"mended")

    def app_in_a_folder(self, directive):
        for name in ("src", "include"):
            os.mkdir(self.path(name))
        self.app = self.path("src/app.c")
        write(self.app, answer("x", before=f"#include {directive}").replace('"x"', "TEXT"))

    def test_a_header_that_went_and_comes_back_is_noticed(self):
        self.app_in_a_folder('"text.h"')
        header = self.path("src/text.h")
        write(header, '#define TEXT "one"\n')
        with self.serve(os.path.join("src", "app.c")) as server:
            self.wait_answer(server, b"one")
            os.remove(header)
            with open(self.app, "a", encoding="utf-8") as file:
                file.write("/* saved without its header */\n")
            server.wait_log("goes on serving")
            write(header, '#define TEXT "two"\n')
            self.wait_answer(server, b"two")

    def test_a_header_that_a_first_start_lacks_is_waited_for(self):
        self.app_in_a_folder("<text.h>")
        with self.serve(os.path.join("src", "app.c"), "--cflags", "-Iinclude") as server:
            self.wait_answer(server, b"text.h", status=503)
            write(self.path("include/text.h"), '#define TEXT "come"\n')
            self.wait_answer(server, b"come")

    def test_what_was_compiled_before_is_taken_from_the_cache(self):
        with self.serve(self.app) as server:
            self.wait_answer(server, b"first")
        results = [name for name in os.listdir(self.path("cache/casgi")) if name.endswith(".so")]
        self.assertEqual(len(results), 1)
        before = os.stat(self.path(f"cache/casgi/{results[0]}"))
        with self.serve(self.app) as server:
            self.wait_answer(server, b"first")
        after = os.stat(self.path(f"cache/casgi/{results[0]}"))
        self.assertEqual((before.st_ino, before.st_size), (after.st_ino, after.st_size))

    def test_flags_and_libraries_are_passed_on(self):
        write(self.app, answer("x", before="#include <math.h>", inside="(void)cos(0.0);").replace('"x"', "TEXT"))
        with self.serve(self.app, "--cflags", "-DTEXT='\"from flags\"'", "--libs", "-lm") as server:
            self.wait_answer(server, b"from flags")

    def test_without_reload_a_source_is_compiled_and_served(self):
        with Server(self.app, env=self.env, cwd=self.folder) as server:
            self.assertEqual(server.get()[2], b"first")

    def test_without_reload_a_syntax_error_ends_with_code_4(self):
        write(self.app, answer("first", inside="this is no C;"))
        code, text = support.run(self.app, "--port", "0", env=self.env, cwd=self.folder)
        self.assertEqual(code, 4)
        self.assertRegex(text, r"app\.c:\d+:\d+: .*error")
        self.assertIn("does not compile", text)


class UnderLoad(Case):
    """50 saves, every second one broken, while clients that never retry ask on kept and new connections."""

    SAVES = 50

    BROKEN = (answer("x", before="extern int nowhere(void);", inside="(void)nowhere();"), STARTUP % {"startup": FAILS},
              STARTUP % {"startup": "abort();"})

    def good(self, number):
        """Some requests of the first run while the worker changes."""
        return answer(f"good {number}", inside="" if number else "int rc = casgi_sleep(2); if (rc) { return rc; }")

    def assert_no_request_is_lost(self, app, good, broken, take):
        """take(what, app) saves one of good (two) or broken."""
        take(good[1], app)
        with self.serve(app, "--no-access-log") as server:
            self.wait_answer(server, b"good 1")
            with Load(server.port, kept=4, new=2) as load:
                for i in range(self.SAVES):
                    start = len(server.log)
                    if i % 2:
                        take(broken[i // 2 % len(broken)], app)
                        server.wait_log("goes on serving", start=start)
                    else:
                        take(good[i // 2 % 2], app)
                        self.wait_answer(server, f"good {i // 2 % 2}".encode())
                        server.wait_log(r"Reloaded in \d+ ms", start=start)
            self.assertEqual(load.failures, [])
            self.assertGreater(load.answered, self.SAVES)

    def test_no_request_is_lost(self):
        good = [self.module(f"good{i}", self.good(i)) for i in range(2)]
        broken = [self.module(f"broken{i}", source) for i, source in enumerate(self.BROKEN)]
        truncated = self.path("made/truncated.so")
        with open(example("hello"), "rb") as file:
            data = file.read()
        with open(truncated, "wb") as file:
            file.write(data[: len(data) // 2])
        self.assert_no_request_is_lost(self.path("app.so"), good, [truncated, *broken], save)

    def test_no_request_is_lost_with_a_source(self):
        syntax = [answer("x", inside=f"this is no C {i};") for i in range(2)]
        self.assert_no_request_is_lost(self.path("app.c"), [self.good(i) for i in range(2)], [*syntax, *self.BROKEN],
                                       lambda text, path: support.replace_file(path, text))

    def test_saves_in_quick_succession_end_with_the_newest(self):
        app = self.path("app.so")
        modules = [self.module(f"good{i}", answer(f"good {i}.")) for i in range(5)]
        save(modules[0], app)
        with self.serve(app, "--no-access-log") as server:
            with Load(server.port, kept=2, new=1) as load:
                for i in range(20):
                    save(modules[i % 5], app)
                save(modules[3], app)
                self.wait_answer(server, b"good 3.")
                server.wait_log(r"Reloaded in \d+ ms")
            self.assertEqual(load.failures, [])
            self.assertEqual(server.get()[2], b"good 3.")


if __name__ == "__main__":
    unittest.main()
