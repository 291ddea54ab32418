"""--trace FILE: what each request's task did, as Chrome's trace events; and the page that draws it."""

import html.parser
import json
import os
import shutil
import signal
import subprocess
import threading
import unittest

import support
from support import PATIENCE, Server, build_module, replace_file, run, wait_until

PAGE = os.path.join(support.SOURCE, "server", "observe", "timeline.html")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# /meet waits, by its timer, until three requests have; /family has two children, one of which computes on a thread;
# /never stays whatever happens.
MODULE = """
#include <casgi/casgi.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int met;

static int nap(void *arg)
{
    (void)arg;
    return casgi_sleep(5);
}

static int compute(void *arg)
{
    (void)arg;
    return 0;
}

static int on_thread(void *arg)
{
    return casgi_to_thread(compute, arg);
}

static int family(void)
{
    casgi_task_t *first, *second;
    int rc = casgi_create_task(nap, NULL, "nap", &first);
    rc = rc ? rc : casgi_create_task(on_thread, NULL, "on \\"a\\" thread", &second);
    rc = rc ? rc : casgi_join(first, NULL);
    return rc ? rc : casgi_join(second, NULL);
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    int rc = 0;
    (void)self, (void)receive;
    if (!strcmp(scope->path.ptr, "/meet")) {
        met++;
        while (!rc && met < 3) {
            rc = casgi_sleep(5);
        }
    } else if (!strcmp(scope->path.ptr, "/family")) {
        rc = family();
    } else if (!strcmp(scope->path.ptr, "/never")) {
        close(open("running", O_CREAT | O_WRONLY, 0600));
        for (;;) {
            (void)casgi_sleep(50);
            casgi_uncancel();
        }
    }
    return rc ? rc : casgi_respond(send, 200, "text/plain", "done");
}
CASGI_APP(answer)
"""


class Row:
    def __init__(self, tid):
        self.tid, self.name, self.parent, self.spans = tid, None, 0, []

    def begin(self):
        return self.spans[0]["ts"]

    def end(self):
        return self.spans[-1]["ts"] + self.spans[-1]["dur"]

    def of(self, name):
        return [span for span in self.spans if span["name"] == name]


def rows_of(events):
    """The rows by number; each has its spans in the order of the file."""
    rows = {}
    for event in events:
        if event["tid"]:
            row = rows.setdefault(event["tid"], Row(event["tid"]))
            if event["ph"] == "M":
                row.name, row.parent = event["args"]["name"], event["args"]["parent"]
            else:
                row.spans.append(event)
    return rows


def meet(server):
    """Three requests that are all there at the same time."""
    answers = []
    clients = [threading.Thread(target=lambda: answers.append(server.get("/meet")[0])) for _ in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(PATIENCE)
    return answers


class Traced(support.TestCase):
    def setUp(self):
        super().setUp()
        self.file = os.path.join(self.folder, "trace.json")

    def serve(self, *arguments):
        return Server("--trace", self.file, *arguments, build_module(self.folder, MODULE), cwd=self.folder)

    def text(self):
        try:
            with open(self.file, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def rows(self):
        return rows_of(json.loads(self.text()))


class Trace(Traced):
    def requests(self, path):
        return [row for row in self.rows().values() if (row.name or "").startswith(f"GET {path} ")]

    def test_three_requests_that_meet_overlap_and_never_run_at_once(self):
        with self.serve() as server:
            self.assertEqual(meet(server), [200, 200, 200])
            self.assertEqual(server.stop(), 0)
        met = self.requests("/meet")
        self.assertEqual(len(met), 3)
        self.assertLessEqual(max(row.begin() for row in met), min(row.end() for row in met))
        ran = sorted((span["ts"], span["ts"] + span["dur"]) for row in self.rows().values() for span in row.of("running"))
        for (_, end), (begin, _) in zip(ran, ran[1:]):
            self.assertLessEqual(end, begin)

    def test_the_spans_of_a_row_follow_one_another_without_a_gap(self):
        with self.serve() as server:
            meet(server)
            self.assertEqual(server.stop(), 0)
        waited = 0
        for row in self.requests("/meet"):
            self.assertEqual([span["cat"] for span in row.spans[::2]], ["running"] * (len(row.spans) // 2 + 1))
            self.assertEqual({span["name"] for span in row.spans[1::2]} - {"waiting: timer"}, set())
            for before, after in zip(row.spans, row.spans[1:]):
                self.assertEqual(before["ts"] + before["dur"], after["ts"])
            waited += sum(span["dur"] for span in row.of("waiting: timer"))
        self.assertGreaterEqual(waited, 4000)  # the first waited for the second, and for the third

    def test_children_have_rows_below_their_parent_and_waits_have_reasons(self):
        with self.serve() as server:
            self.assertEqual(server.get("/family")[0], 200)
            self.assertEqual(server.stop(), 0)
        parent = self.requests("/family")[0]
        children = {row.name: row for row in self.rows().values() if row.parent == parent.tid}
        self.assertEqual(set(children), {"nap", 'on "a" thread'})
        self.assertTrue(parent.of("waiting: task"))
        self.assertTrue(children["nap"].of("waiting: timer"))
        self.assertTrue(children['on "a" thread'].of("waiting: thread"))
        for child in children.values():
            self.assertLessEqual(parent.begin(), child.begin())
            self.assertLessEqual(child.end(), parent.end())

    def test_it_ends_at_its_limit_and_is_whole(self):
        with self.serve("--trace-limit", "4k") as server:
            for _ in range(50):
                server.get("/")
            server.wait_log(r"WARNING: .*The timeline .*trace\.json ends here: its limit is reached \(--trace-limit\)$")
            self.assertEqual(server.get("/")[0], 200)
            self.assertEqual(server.stop(), 0)
        self.assertLessEqual(os.path.getsize(self.file), 4096)
        self.assertGreater(len(self.rows()), 5)

    def test_a_process_that_is_killed_leaves_all_but_the_closing_bracket(self):
        with self.serve() as server:
            self.assertEqual(server.get("/family")[0], 200)
            wait_until(lambda: "waiting: thread" in self.text(), "the spans in the file")
            server.stop(signal.SIGKILL)
        self.assertTrue(rows_of(json.loads(self.text() + "]")))

    def test_tasks_that_never_end_have_their_wait_in_a_whole_file(self):
        with self.serve("--timeout-graceful-shutdown", "100ms", "--timeout-cleanup", "100ms") as server:
            with server.connect() as client:
                client.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
                wait_until(lambda: os.path.exists(os.path.join(self.folder, "running")), "the request to run")
                self.assertEqual(server.stop(), 1)
        self.assertEqual(self.requests("/never")[0].spans[-1]["name"], "waiting: timer")

    def test_the_end_says_where_the_file_and_the_page_are(self):
        with self.serve() as server:
            self.assertEqual(server.stop(), 0)
            line = next(line for line in server.log if "The timeline is in " in line)
        self.assertIn(f"The timeline is in {self.file}; it opens in ", line)
        page = line.split(" it opens in ")[1].split(" and in ")[0]
        with open(page, encoding="utf-8") as file, open(PAGE, encoding="utf-8") as source:
            self.assertEqual(file.read(), source.read())

    def test_a_file_that_cannot_be_written_is_a_failure_to_start(self):
        module = build_module(self.folder, MODULE)
        code, text = run(module, "--port", "0", "--trace", os.path.join(self.folder, "none", "trace.json"))
        self.assertEqual(code, 3, text)
        self.assertRegex(text, r"none/trace\.json cannot be written: No such file or directory")

    def test_after_a_reload_it_is_the_new_workers(self):
        source = os.path.join(self.folder, "app.c")
        replace_file(source, MODULE)
        with Server("--trace", self.file, "--reload", source, cwd=self.folder) as server:
            self.assertEqual(server.get("/family")[0], 200)
            first = wait_until(lambda: "waiting: thread" in self.text() and json.loads(self.text().split("\n")[1][:-1]),
                               "the spans in the file")
            replace_file(source, MODULE + "/* changed */\n")
            wait_until(lambda: self.text().count("\n") and f'"pid":{first["pid"]},' not in self.text(), "the new file")
            self.assertEqual(server.get("/family")[0], 200)
            self.assertEqual(server.stop(), 0)
        self.assertEqual(len(self.requests("/family")), 1)


class Elements(html.parser.HTMLParser):
    """The attributes of every element, by class."""

    def __init__(self, text):
        super().__init__()
        self.by_class, self.body = {}, {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "body":
            self.body = attributes
        for name in (attributes.get("class") or "").split():
            self.by_class.setdefault(name, []).append(attributes)


@unittest.skipUnless(CHROMIUM, "chromium is not installed")
class Page(Traced):
    """The page in a browser without a window."""

    def load(self, script):
        """What the document has become once the script has run at its end."""
        with open(PAGE, encoding="utf-8") as file:
            page = file.read()
        self.assertNotRegex(page, r"(src|href)=|@import|fetch\(|XMLHttpRequest")  # it needs nothing but itself
        path = os.path.join(self.folder, "page.html")
        with open(path, "w", encoding="utf-8") as file:
            file.write(page.replace("</body>", f"<script>\n{script}\n</script></body>"))
        done = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               "--user-data-dir=" + os.path.join(self.folder, "profile"), "--window-size=1300,700",
                               "--dump-dom", "file://" + path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=4 * PATIENCE, check=True)
        return Elements(done.stdout.decode())

    def open_trace(self, text, more=""):
        quoted = json.dumps(text).replace("</", "<\\/")
        return self.load(f"openTrace('trace.json', {quoted});\n{more}")

    def trace(self):
        with self.serve() as server:
            meet(server)
            self.assertEqual(server.get("/family")[0], 200)
            self.assertEqual(server.stop(), 0)
        return self.text()

    def test_every_task_is_a_row_with_its_spans_in_their_colours(self):
        text = self.trace()
        rows = rows_of(json.loads(text))
        spans = sum(len(row.spans) for row in rows.values())
        document = self.open_trace(text)
        self.assertEqual(document.body["data-rows"], str(len(rows)))
        self.assertEqual(document.body["data-spans"], str(spans))
        drawn = {int(row["data-row"]): int(row["data-spans"]) for row in document.by_class["row"]}
        self.assertEqual(drawn, {row.tid: len(row.spans) for row in rows.values()})
        kinds = {span["name"].replace("waiting: ", "") for row in rows.values() for span in row.spans}
        self.assertEqual({key["data-kind"] for key in document.by_class["key"]}, kinds)
        self.assertLessEqual({"running", "timer", "thread"}, kinds)
        colours = {}
        for span in document.by_class["span"]:
            colours.setdefault(span["data-kind"], set()).add(span["style"].split("background:")[1].strip(" ;"))
        self.assertEqual([len(one) for one in colours.values()], [1] * len(colours))
        self.assertEqual(len(set(map(str, colours.values()))), len(colours))

    def test_zoom_tooltip_and_an_unfinished_file(self):
        text = self.trace().rstrip().rstrip("]") + ',\n{"ph":"X","pid":1,"ti'
        document = self.open_trace(text, """
            const before = to - from;
            zoom(0.5);
            const after = to - from;
            fit();
            const span = document.querySelector(".span.waiting"), box = span.getBoundingClientRect();
            span.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: box.left, clientY: box.top}));
            document.body.dataset.zoomed = after < before && to - from === before;
            document.body.dataset.tip = byId("tip").style.display + " " + byId("tip").textContent;
        """)
        self.assertGreater(int(document.body["data-rows"]), 5)
        self.assertEqual(document.body["data-zoomed"], "true")
        self.assertRegex(document.body["data-tip"], r"^block GET /meet .*\nwaits for timer: [\d.]+ (µs|ms|s)\nfrom ")

    def test_a_name_is_text_and_never_markup(self):
        event = {"ph": "X", "pid": 1, "tid": 1, "ts": 0, "dur": 5, "name": "running"}
        name = {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": "<b class=bold>x</b>"}}
        document = self.open_trace(json.dumps([name, event]))
        self.assertEqual(document.body["data-rows"], "1")
        self.assertNotIn("bold", document.by_class)

    def test_what_is_no_timeline_is_told(self):
        document = self.open_trace("hello", "document.body.dataset.said = byId('summary').textContent;")
        self.assertIn("trace.json is no timeline: ", document.body["data-said"])


if __name__ == "__main__":
    unittest.main()
