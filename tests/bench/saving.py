"""From a save to the first answer by the new code, under --reload."""

import os
import shutil
import statistics
import time

from servers import CASGI, PATIENCE, Kind, Server, compile_module, work

SOURCE = """\
#include <casgi/casgi.h>

static int app(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "ANSWER");
}
CASGI_APP(app)
"""
# A compiler that writes down when it ended.
COMPILER = '#!/bin/sh\ncc "$@"\nstatus=$?\ndate +%s.%N >"$COMPILED_AT.new"\nmv "$COMPILED_AT.new" "$COMPILED_AT"\nexit $status\n'


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def wait_for(server, answer):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status, body = server.get()
        if status == 200 and body == answer:
            return time.time()
    raise RuntimeError(f"the save was not answered; still {body!r}")


def reloading(path):
    def command(server, _task):
        return [CASGI, path, "--reload", "--port", str(server.port), "--no-access-log", "--log-level", "warning"]
    return Kind("casgi --reload", {"hello"}, CASGI, command)


def saved_module(count):
    """Seconds from the rename of a new .so to its first answer, each time."""
    folder = os.path.join(work, "module")
    os.makedirs(folder)
    made = []
    for number in range(2):
        source = write(os.path.join(work, f"saved{number}.c"), SOURCE.replace("ANSWER", f"answer {number}"))
        made.append(compile_module(source, os.path.join(work, f"saved{number}.so")))
    shutil.copy(made[1], os.path.join(folder, "app.so"))
    times = []
    with Server(reloading(os.path.join(folder, "app.so")), "hello") as server:
        for turn in range(count):
            fresh = shutil.copy(made[turn % 2], os.path.join(work, "fresh.so"))
            began = time.time()
            os.replace(fresh, os.path.join(folder, "app.so"))
            times.append(wait_for(server, f"answer {turn % 2}".encode()) - began)
    return times


def saved_source(count):
    """(seconds from a saved .c to its first answer, seconds of it after the compiler's end), medians."""
    folder = os.path.join(work, "source")
    os.makedirs(folder)
    path = os.path.join(folder, "app.c")
    write(path, SOURCE)
    compiler = write(os.path.join(work, "cc"), COMPILER)
    os.chmod(compiler, 0o755)
    compiled_at = os.path.join(work, "compiled")
    os.environ.update(CC=compiler, COMPILED_AT=compiled_at)
    whole, after = [], []
    try:
        with Server(reloading(path), "hello") as server:
            for turn in range(count):
                fresh = write(os.path.join(work, "fresh.c"), SOURCE.replace("ANSWER", f"turn {turn}"))
                began = time.time()
                os.replace(fresh, path)
                ended = wait_for(server, f"turn {turn}".encode())
                with open(compiled_at, encoding="ascii") as file:
                    after.append(ended - float(file.read()))
                whole.append(ended - began)
    finally:
        del os.environ["CC"], os.environ["COMPILED_AT"]
    return statistics.median(whole), statistics.median(after)
