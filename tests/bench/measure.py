"""How it is measured: by turns (A B A B ...), the median of the pairwise ratios with its interval."""

import json
import os
import re
import statistics
import subprocess
import time

from servers import HERE, LOAD_CORE, PATIENCE, Server, compile_c, spawn, work


ATTEMPTS = 100


class Failed(Exception):
    pass


def load_program():
    program = os.path.join(work, "load")
    return program if os.path.exists(program) else compile_c(os.path.join(HERE, "load.c"), program)


def load(server, *options, bound=120):
    """One bounded load on core 1; what the load program reports."""
    process = spawn([load_program(), str(server.port), *map(str, options)], LOAD_CORE, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=bound)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f"{server.kind.name}: no end within {bound} s") from None
    if process.returncode != 0:
        raise Failed(f"{server.kind.name}: {errors.decode().strip() or 'the load failed'}")
    return json.loads(output)


def cpu_per_answer(server, *options):
    """Microseconds of the server's CPU time for each answer."""
    before = server.cpu()
    answers = used = 0
    for _ in range(ATTEMPTS):  # a short load on a busy machine may end before the kernel has counted a tick
        answers += load(server, *options)["answers"]
        used = server.cpu() - before
        if answers and used:
            return used / answers * 1e6
    raise Failed(f"{server.kind.name}: {answers} answers within {used} s of CPU time")


def interval(values):
    """The values between which the true median lies with about 95 % (by ranks, no assumption on the distribution)."""
    values = sorted(values)
    away = 0.98 * len(values) ** 0.5
    low = max(0, int(len(values) / 2 - away))
    return values[low], values[len(values) - 1 - low]


class Ratio:
    def __init__(self, ours, theirs):
        self.ours = statistics.median(ours)
        self.theirs = statistics.median(theirs)
        ratios = [a / b for a, b in zip(ours, theirs)]
        self.median = statistics.median(ratios)
        self.low, self.high = interval(ratios)


def compare(one, other, count, figure):
    """Ratio of figure(one) to figure(other), in `count` pairs taken by turns, after one of each that is not counted."""
    figure(one), figure(other)
    ours, theirs = [], []
    for _ in range(count):
        theirs.append(figure(other))
        ours.append(figure(one))
    return Ratio(ours, theirs)


# --- what does not drift: instructions and system calls, as the difference of two bounded runs ---

FEW, MANY = 500, 2500


def instructions(kind):
    def counted(requests):
        with Server(kind, "hello", wrapper=["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]) as server:
            load(server, "--connections", 1, "--requests", requests)
        with open(os.path.join(server.folder, "stderr"), encoding="utf-8", errors="replace") as file:
            return int(re.search(r"Collected : (\d+)", file.read()).group(1))
    return (counted(MANY) - counted(FEW)) / (MANY - FEW)


def system_calls(kind):
    """{name: calls per request}, leaving out what is not done for each."""
    def counted(requests):
        table = os.path.join(work, "strace")
        with Server(kind, "hello", wrapper=["strace", "-c", "-f", "-o", table]) as server:
            load(server, "--connections", 1, "--requests", requests)
        calls = {}
        with open(table, encoding="utf-8") as file:
            for line in file:
                match = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
                if match and match.group(2) != "total":
                    calls[match.group(2)] = int(match.group(1))
        return calls
    few, many = counted(FEW), counted(MANY)
    each = {name: (count - few.get(name, 0)) / (MANY - FEW) for name, count in many.items()}
    return {name: count for name, count in each.items() if count > 0.005}


# --- memory and time ---

def idle_bytes(kind, connections):
    """Private bytes that each of so many open, idle connections holds."""
    with Server(kind, "hello") as server:
        load(server, "--requests", 1000)
        before = server.private()
        holder = spawn([load_program(), str(server.port), "--connections", str(connections), "--hold"], LOAD_CORE,
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            report = json.loads(holder.stdout.readline())
            time.sleep(1)  # what a server lets go of when it is idle, it has let go of
            held = server.private() - before
        finally:
            holder.communicate(timeout=PATIENCE)
        if report["answers"] != connections:
            raise Failed(f"only {report['answers']} of {connections} connections were answered")
        return held / connections


def start_seconds(kind):
    server = Server(kind, "hello", ready=False)
    try:
        return server.wait_ready()
    finally:
        server.stop()
