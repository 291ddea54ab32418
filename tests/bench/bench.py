#!/usr/bin/env python3
"""Measures casgi beside limit.c, the least that an HTTP/1.1 server can do on this machine, and beside the peers present."""

import argparse
import collections
import json
import os
import resource
import shutil
import statistics
import sys
import time

import saving
from measure import Failed, compare, cpu_per_answer, idle_bytes, instructions, load, start_seconds, system_calls
from servers import LIMIT, LOAD_CORE, LOGGED, OURS, PEERS, Server, work

DOCUMENT = {"id": 4711, "name": "Ada Lovelace", "email": "ada@example.org", "tags": ["engine", "notes"],
            "active": True, "score": 97, "address": {"street": "12 St James's Square", "city": "London"}}
FRACTION = {**DOCUMENT, "score": 97.5}  # the C library takes some 6,500 instructions to read and to print it


def document(content=DOCUMENT):
    """A fixed JSON document of 200 bytes."""
    text = json.dumps({**content, "note": ""}, separators=(",", ":"))
    text = text[:-2] + "x" * (200 - len(text)) + '"}'
    assert len(text) == 200 and json.loads(text)
    return text.encode()


def written(name, data):
    path = os.path.join(work, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


class Bench:
    def __init__(self, options):
        self.options = options
        self.kinds = [OURS] + [peer for peer in PEERS if peer.present()]

    def row(self, what, name, text, note=""):
        print(f"{what:<34} {name:<18} {text:<38} {note}".rstrip(), flush=True)

    def attempt(self, what, kind, figure):
        """One line of the table; a server that cannot do it says why instead of ending the run."""
        try:
            self.row(what, kind.name, *figure(kind))
        except (Failed, RuntimeError, OSError, AttributeError) as error:
            self.row(what, kind.name, "failed: " + str(error).split("\n")[0][:90])

    # --- CPU time of the server per request, divided by the limit's ---

    def cpu(self, what, task, *load_options, at_most=None, kinds=None):
        seconds = self.options.seconds
        with Server(LIMIT, task) as limit:
            def figure(kind):
                with Server(kind, task) as server:
                    ratio = compare(server, limit, self.options.pairs,
                                    lambda it: cpu_per_answer(it, "--seconds", seconds, *load_options))
                text = f"{ratio.median:.2f}  [{ratio.low:.2f} .. {ratio.high:.2f}]  {ratio.ours:.2f} us, limit {ratio.theirs:.2f}"
                if kind is OURS and at_most:
                    return text, f"at most {at_most}: {'yes' if ratio.median <= at_most else 'NO'}"
                return text, ""
            for kind in kinds or [kind for kind in self.kinds if task in kind.tasks]:
                self.attempt(what, kind, figure)

    def plain(self):
        kinds = [kind for kind in self.kinds if "hello" in kind.tasks]
        self.cpu("GET, 64 connections", "hello", at_most=1.12, kinds=[OURS, LOGGED, *kinds[1:]])

    def pipelined(self):
        self.cpu("GET, 16 pipelined", "hello", "--pipeline", 16, at_most=1.5)

    def json(self):
        self.cpu("POST JSON of 200 bytes", "json", "--post", written("document", document()), at_most=1.5)
        self.cpu("the same with a fraction in it", "json", "--post", written("fraction", document(FRACTION)), at_most=1.5)

    def echo(self):
        self.cpu("POST 64 KiB, echoed", "echo", "--post", written("body", b"0123456789abcdef" * 4096), at_most=1.2)

    def connection(self):
        self.cpu("GET on a new connection", "hello", "--close")

    # --- what does not drift ---

    def instructions(self):
        for kind in (LIMIT, OURS):
            self.attempt("instructions per request", kind, lambda kind: (f"{instructions(kind):.0f}", ""))

    def calls(self):
        def figure(kind):
            calls = system_calls(kind)
            return ", ".join(f"{name} {count:.2f}" for name, count in sorted(calls.items())), ""
        for kind in (LIMIT, OURS):
            self.attempt("system calls per request", kind, figure)

    # --- memory and time ---

    def idle(self):
        def figure(kind):
            held = idle_bytes(kind, self.options.idle)
            return f"{held:.0f}", f"at most 512: {'yes' if held <= 512 else 'NO'}" if kind is OURS else ""
        for kind in [LIMIT, *self.kinds]:
            if "hello" in kind.tasks:
                self.attempt("private bytes per idle connection", kind, figure)

    def start(self):
        def figure(kind):
            median = statistics.median(start_seconds(kind) for _ in range(self.options.starts)) * 1e3
            return f"{median:.1f} ms", f"at most 10: {'yes' if median <= 10 else 'NO'}" if kind is OURS else ""
        for kind in [LIMIT, *self.kinds]:
            if "hello" in kind.tasks:
                self.attempt("start to first answer", kind, figure)

    def save(self):
        def module(_kind):
            median = statistics.median(saving.saved_module(self.options.starts)) * 1e3
            return f"{median:.1f} ms", f"at most 50: {'yes' if median <= 50 else 'NO'}"

        def source(_kind):
            whole, after = saving.saved_source(self.options.starts)
            return (f"{whole * 1e3:.1f} ms, {after * 1e3:.1f} after the compiler",
                    f"at most 50 after it: {'yes' if after <= 0.05 else 'NO'}")
        self.attempt("saved .so to first answer", OURS, module)
        self.attempt("saved .c to first answer", OURS, source)

    def waited(self, kind, connections):
        with Server(kind, "wait") as server:
            load(server, "--connections", connections, "--seconds", 1)
            time.sleep(0.5)  # what the limit still owes those connections must not reach the next ones
            before = server.cpu()
            report = load(server, "--connections", connections, "--seconds", self.options.waiting_seconds)
            return Waited(report["answers"] / report["seconds"], report["p50_us"] / 1e3, report["p99_us"] / 1e3,
                          server.peak() / 1e6, (server.cpu() - before) / report["answers"] * 1e6)

    def waiting(self):
        """Each request waits 100 ms; the ideal rate is connections / 0.1 s. The limit and casgi take turns."""
        for connections in self.options.waiting_connections:
            what = f"waiting 100 ms, {connections} connections"
            runs = {LIMIT: [], OURS: []}

            def figure(kind):
                took = median_of(runs[kind] or [self.waited(kind, connections)])
                text = f"{took.rate:8.0f}/s  p50 {took.p50:.0f}  p99 {took.p99:.0f} ms  {took.memory:.0f} MB  {took.cpu:.1f} us"
                note = f"{100 * took.rate / (connections * 10):.0f} % of the ideal"
                return text, note + (beside_limit(runs[OURS], runs[LIMIT]) if kind is OURS and runs[LIMIT] else "")
            try:
                for _ in range(self.options.waiting_pairs):
                    for kind in runs:
                        runs[kind].append(self.waited(kind, connections))
            except (Failed, RuntimeError, OSError):
                runs = {LIMIT: [], OURS: []}  # the row tries once more, and says why
            for kind in [LIMIT, *self.kinds]:
                if "wait" in kind.tasks:
                    runs.setdefault(kind, [])
                    self.attempt(what, kind, figure)

    def primitives(self):
        """What tasks, locks and threads cost inside the server (primitives.c)."""
        every_core = set(range(os.cpu_count()))
        with Server(OURS, "primitives") as pinned, Server(OURS, "primitives", cores=every_core) as free:
            for row in PRIMITIVES:
                server = free if row.path == "parallel" else pinned  # a thread on another core wakes slower, ours or not
                self.attempt(row.what, OURS, lambda _kind: row.figure(server, self.options.parked))


Waited = collections.namedtuple("Waited", "rate p50 p99 memory cpu")


def median_of(runs):
    return Waited(*map(statistics.median, zip(*runs)))


def beside_limit(ours, limit):
    """The goals, each by the median of the pairs."""
    share = statistics.median(our.rate / its.rate for our, its in zip(ours, limit))
    later = statistics.median(our.p99 - its.p99 for our, its in zip(ours, limit))
    met = share >= 0.93 and later <= 20 and median_of(ours).memory <= 90
    return (f", {100 * share:.0f} % of the limit, p99 {later:+.0f} ms; "
            f"at least 93 %, at most +20 ms, at most 90 MB: {'yes' if met else 'NO'}")


class Primitive:
    """A row of primitives.c: its path there, its goal and the unit of that, or what its goal is a multiple of."""

    def __init__(self, what, path, goal, unit="ns", each=1, base=None):
        self.what, self.path, self.goal, self.unit, self.each, self.base = what, path, goal, unit, each, base

    def figure(self, server, parked):
        status, body = server.get(f"/{self.path}?{parked}")
        if status != 200:
            raise Failed(f"status {status}")
        value, beside, control = (float(word) / self.each for word in body.split())
        if self.base:
            text = f"{value / beside:.2f} times  {value:.1f} {self.unit}, {self.base} {beside:.1f}"
        else:
            text = f"{value:.1f} {self.unit}"
        met = (value / beside if self.base else value) <= self.goal
        alone = f" (two bare threads: {control / beside:.2f})" if control else ""
        return text, f"at most {self.goal}: {'yes' if met else 'NO'}{alone}"


PRIMITIVES = [
    Primitive("task created, run and joined", "create", 150),
    Primitive("park and wake", "park", 60),
    Primitive("uncontended lock operation", "lock", 20),
    Primitive("uncontended queue operation", "queue", 20),
    Primitive("thread's round trip, one core", "thread", 1.3, "us", 1e3, "condvar and eventfd"),
    Primitive("three 100 ms waits, gathered", "gather", 103, "ms", 1e6),
    Primitive("two computations on threads", "parallel", 1.15, "ms", 1e6, "one"),
    Primitive("memory of a parked task", "parked", 5, "KiB", 1024),
]
ROWS = ["plain", "pipelined", "json", "echo", "connection", "instructions", "calls", "idle", "start", "save", "primitives"]


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--only", metavar="ROW,...", help="of " + ", ".join(ROWS + ["waiting"]))
    parser.add_argument("--waiting", action="store_true", help="only the rows in which each request waits 100 ms")
    parser.add_argument("--pairs", type=int, default=15, help="how many pairs a ratio is the median of (15)")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each side of a pair runs (1)")
    parser.add_argument("--waiting-seconds", type=float, default=5.0, help="how long a waiting row runs (5)")
    parser.add_argument("--waiting-pairs", type=int, default=3, help="how often the limit and casgi run one (3)")
    parser.add_argument("--waiting-connections", type=int, nargs="+", default=[1000, 5000, 10000], metavar="N",
                        help="how many connections wait (1000 5000 10000)")
    parser.add_argument("--idle", type=int, default=10000, help="idle connections (10000)")
    parser.add_argument("--parked", type=int, default=100000, help="parked tasks whose memory is measured (100000)")
    parser.add_argument("--starts", type=int, default=20, help="how often starts and saves are timed (20)")
    parser.add_argument("--no-peers", action="store_true", help="only casgi and the limit")
    parser.add_argument("--install-peers", action="store_true", help="install the peers that Debian has (done by ./dev)")
    options = parser.parse_args()
    options.rows = options.only.split(",") if options.only else ["waiting"] if options.waiting else ROWS
    unknown = set(options.rows) - set(ROWS) - {"waiting"}
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}")
    return options


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main():
    options = parse()
    files = raise_file_limit()
    options.idle = min(options.idle, files - 200)
    os.sched_setaffinity(0, LOAD_CORE)
    bench = Bench(options)
    if options.no_peers:
        bench.kinds = [OURS]
    print(f"server on core 0, load on core 1; {options.pairs} pairs of {options.seconds:g} s; beside the limit: "
          f"{', '.join(kind.name for kind in bench.kinds)}")
    print("CPU rows: time of the server per request divided by the limit's, median of the pairwise ratios [95 % interval],")
    print("then microseconds. The access log is off but in its own row.\n")
    try:
        for row in options.rows:
            getattr(bench, row)()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
