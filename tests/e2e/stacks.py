"""What the tests of stacks share: the module whose handlers are found where they are, and whether stacks can be shown."""

import os
import subprocess
import unittest

import support

# Its requests: /sleep and /spin hold up the loop while a file called "hold" is there, at least a second; /wait gives
# way for 3 s; /crash dies. The answer of /sleep is what is left of its sleep, and how long it took, in ms.
SOURCE = """
#include <casgi/casgi.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000L + t.tv_nsec / 1000000L;
}

static unsigned sleep_on_the_loop(void)
{
    unsigned left = 0;
    do {
        left += sleep(1); /* here it sleeps */
    } while (!access("hold", F_OK));
    return left;
}

static void spin_on_the_loop(void)
{
    long end = now() + 1000;
    while (now() < end || !access("hold", F_OK)) { /* here it spins */
    }
}

static void write_to_nowhere(void)
{
    *(volatile int *)8 = 1; /* here it dies */
}

static int recurse(int depth)
{
    volatile char frame[512];
    frame[0] = (char)depth;
    return recurse(depth + 1) + frame[0]; /* here it goes down */
}

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    char text[64] = "done\\n";
    long began = now();
    (void)self, (void)receive;
    if (!strcmp(scope->path.ptr, "/sleep")) {
        unsigned left = sleep_on_the_loop();
        snprintf(text, sizeof(text), "%u %ld", left, now() - began);
    } else if (!strcmp(scope->path.ptr, "/spin")) {
        spin_on_the_loop();
    } else if (!strcmp(scope->path.ptr, "/wait")) {
        casgi_sleep(3000);
    } else if (!strcmp(scope->path.ptr, "/crash")) {
        write_to_nowhere();
    } else if (!strcmp(scope->path.ptr, "/abort")) {
        abort();
    } else if (!strcmp(scope->path.ptr, "/recurse")) {
        recurse(0);
    }
    return casgi_respond(send, 200, "text/plain", text);
}
CASGI_APP(answer)
"""


def line_of(text):
    """Where in the module's source it says so."""
    return next(number for number, line in enumerate(SOURCE.split("\n"), 1) if text in line)


def require_stacks():
    """Skips the test where stacks cannot be shown: built without libdw, or nobody may look at another process here."""
    if not os.path.exists(os.path.join(support.BUILD, "parts", "unwind.so")):
        raise unittest.SkipTest("this casgi was built without libdw")
    other = subprocess.Popen(["sleep", "60"])
    try:
        code, text = support.run("--stack-of", str(other.pid))
    finally:
        other.kill()
        other.wait()
    if code and ("Operation not permitted" in text or "Permission denied" in text):
        raise unittest.SkipTest("no process may look at another here: " + text.strip())
