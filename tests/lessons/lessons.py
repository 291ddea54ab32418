#!/usr/bin/env python3
"""Runs the lessons of examples/concurrency against a server and prints what each was to show, and what it showed.

What passes or fails is structure: which pieces of work overlapped, which threads ran them, which other requests stood
still meanwhile. The endpoints say so by a counter of order; the times are printed, and judge nothing."""

import argparse
import os
import resource
import sys
import textwrap
import threading
import time
from collections import namedtuple

from client import Client, at_once, loop_thread
from spans import Work, in_turn, most_at_once, threads_of

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))

import support  # noqa: E402

ATTEMPTS = 5  # a busy machine may hold up the client so long that there is nothing to see
BLOCKING_THREADS = 40
Shown = namedtuple("Shown", "passed measured")
Lesson = namedtuple("Lesson", "done expected show teaches")


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else sys.maxsize


MANY = min(1000, raise_file_limit() - 100)  # a connection each, here and in the server


# --- what the lessons look at ---

def observed(server, path):
    """One request, while another client asks /ping again and again."""
    found = {}

    def ask():
        with Client(server.port) as client:
            found["spans"] = client.spans(path)
    slow = threading.Thread(target=ask)
    pings = []
    with Client(server.port) as others:
        slow.start()
        while slow.is_alive():
            sent = time.monotonic()
            ping = others.spans("/ping")[0]
            pings.append((sent, time.monotonic(), ping))
            slow.join(0.005)
    if "spans" not in found:
        raise AssertionError(f"{path} was not answered")
    return Work(found["spans"], pings)


def milliseconds(spans):
    return (max(span.ended for span in spans) - min(span.begun for span in spans)) / 1000


def others_of(work):
    return f"{len(work.inside())} others answered meanwhile, longest {work.longest_ping() * 1000:.0f} ms"


# --- the lessons: what each shows ---

def waits_in_turn(server):
    spans = observed(server, "/waits/in-turn").spans
    return Shown(len(spans) == 3 and in_turn(spans), f"{milliseconds(spans):.1f} ms, {most_at_once(spans)} at a time")


def waits_together(server):
    spans = observed(server, "/waits/together").spans
    passed = len(spans) == 3 and most_at_once(spans) == 3 and len(threads_of(spans)) == 1
    return Shown(passed, f"{milliseconds(spans):.1f} ms, {most_at_once(spans)} at a time")


def crowd(spans):
    return f"{milliseconds(spans):.0f} ms, {most_at_once(spans)} at a time, threads: {len(threads_of(spans))}"


def thousand_awaiting(server):
    spans = at_once(server.port, "/wait", MANY)
    passed = len(spans) == MANY and most_at_once(spans) > 2 * BLOCKING_THREADS and threads_of(spans) == {loop_thread(server.port)}
    return Shown(passed, crowd(spans))


def thousand_blocking(server):
    spans = at_once(server.port, "/plain", MANY)
    passed = len(spans) == MANY and 1 < most_at_once(spans) <= BLOCKING_THREADS and \
        most_at_once(spans) <= len(threads_of(spans)) <= MANY and loop_thread(server.port) not in threads_of(spans)
    return Shown(passed, crowd(spans))


def sleep_on_the_loop(server):
    work = observed(server, "/sleep/on-the-loop")
    passed = threads_of(work.spans) == work.ping_threads() and not work.inside() and len(work.held_up()) > 0
    return Shown(passed, others_of(work))


def sleep_on_a_thread(server):
    work = observed(server, "/sleep/on-a-thread")
    passed = not threads_of(work.spans) & work.ping_threads() and len(work.inside()) > 0
    return Shown(passed, others_of(work))


def compute_on_the_loop(server):
    work = observed(server, "/compute/on-the-loop")
    passed = len(work.spans) == 2 and in_turn(work.spans) and threads_of(work.spans) == work.ping_threads() and \
        not work.inside() and len(work.held_up()) > 0
    return Shown(passed, f"{milliseconds(work.spans):.0f} ms, {most_at_once(work.spans)} at a time; {others_of(work)}")


def compute_on_threads(server):
    work = observed(server, "/compute/on-threads")
    passed = most_at_once(work.spans) == 2 and len(threads_of(work.spans)) == 2 and \
        not threads_of(work.spans) & work.ping_threads() and len(work.inside()) > 0
    return Shown(passed, f"{milliseconds(work.spans):.0f} ms, {most_at_once(work.spans)} at a time; {others_of(work)}")


def never_awaits(server):
    spans = at_once(server.port, "/never-awaits", 5)
    passed = len(spans) == 5 and most_at_once(spans) == 1 and threads_of(spans) == {loop_thread(server.port)}
    return Shown(passed, crowd(spans))


def plain(server):
    spans = at_once(server.port, "/plain", 5)
    passed = len(spans) == 5 and most_at_once(spans) > 1 and len(threads_of(spans)) > 1 and \
        loop_thread(server.port) not in threads_of(spans)
    return Shown(passed, crowd(spans))


LESSONS = [
    Lesson("three waits of 100 ms, one after another", "300 ms: each begins when the one before it has ended",
           waits_in_turn, "Straight-line code waits in a straight line."),
    Lesson("the same three, gathered", "100 ms: all three have begun before one ends, on one thread",
           waits_together, "What does not need another's result can wait beside it: casgi_gather."),
    Lesson(f"{MANY} requests, each blocking a thread for 100 ms", f"at most {BLOCKING_THREADS} at a time, as there are so many threads",
           thousand_blocking, "A wait that holds a thread is limited by the threads."),
    Lesson(f"{MANY} requests, each awaiting 100 ms", "hundreds wait at the same time, on the loop's one thread",
           thousand_awaiting, "A wait that holds nothing costs a few KiB: casgi_sleep, receive, sockets, queries."),
    Lesson("sleep(1) in a handler", "it runs on the loop's thread; no other request is answered meanwhile",
           sleep_on_the_loop, "Who blocks the loop stops everybody."),
    Lesson("sleep(1) on a thread", "it runs on another thread; others are answered meanwhile",
           sleep_on_a_thread, "A library that blocks belongs on a thread: casgi_to_thread."),
    Lesson("two heavy computations, gathered on the loop", "one begins when the other has ended, on the loop's thread; no other request is answered meanwhile",
           compute_on_the_loop, "Tasks take turns where they wait. A computation never waits."),
    Lesson("two heavy computations on threads", "both at the same time, on two threads; others are answered meanwhile",
           compute_on_threads, "Threads run in parallel: C has no global lock."),
    Lesson("5 requests to an async handler that never awaits", "one at a time, on the loop's thread",
           never_awaits, "To be called a task does not make a function wait."),
    Lesson("5 requests to its plain form (CASGI_APP_BLOCKING)", "several at the same time, on threads of their own",
           plain, "Code that cannot await is served well by one flag."),
]


# --- the table ---

COLUMNS = (("what was done", 28), ("expected", 32), ("measured", 28), ("what it teaches", 32), ("", 4))


def print_row(*cells):
    wrapped = [textwrap.wrap(cell, width) for cell, (_, width) in zip(cells, COLUMNS)]
    for i in range(max(map(len, wrapped))):
        line = (part[i] if i < len(part) else "" for part in wrapped)
        print("  ".join(text.ljust(width) for text, (_, width) in zip(line, COLUMNS)).rstrip())
    print(flush=True)


def attempt(server, lesson):
    for _ in range(ATTEMPTS):
        shown = lesson.show(server)
        if shown.passed:
            break
    return shown


def run(server):
    """Prints the table; returns how many lessons did not show what they are to show."""
    print_row(*(title for title, _ in COLUMNS))
    failed = 0
    for lesson in LESSONS:
        shown = attempt(server, lesson)
        failed += not shown.passed
        print_row(lesson.done, lesson.expected, shown.measured, lesson.teaches, "yes" if shown.passed else "NO")
    return failed


def start():
    """A server with the module's two applications."""
    module = support.example("concurrency")
    return support.Server("mount", "--no-access-log", "--", "/=" + module, "/plain=" + module + ":plain")


def main():
    argparse.ArgumentParser(prog="./dev lessons", description=__doc__).parse_args()
    with start() as server:
        failed = run(server)
        code = server.stop()
    if code != 0:
        print(f"the server ended with {code}:\n{server.text()}")
    print(f"{len(LESSONS) - failed} of {len(LESSONS)} lessons show what they are to show")
    return 1 if failed or code != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
