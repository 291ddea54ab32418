"""What the end-to-end tests share: a server that is started, waited for, asked, and stopped.

Every wait is for a condition and has a generous bound; no test sleeps for a fixed time and none chooses a port."""

import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

SOURCE = os.environ.get("CASGI_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CASGI_BUILD") or os.path.join(SOURCE, "build")
BIN = os.environ.get("CASGI_BIN") or os.path.join(BUILD, "casgi")
ABI = os.environ.get("CASGI_ABI") or os.path.join(SOURCE, "abi")
SANITIZE = os.environ.get("CASGI_SANITIZE", "")
PATIENCE = 30  # seconds that a condition may take before the test fails
ADDRESS = re.compile(r"http://(?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|localhost):(\d+)")


def example(name):
    return os.path.join(BUILD, "examples", name + ".so")


def app(name):
    return os.path.join(BUILD, "apps", name + ".so")


def wait_until(condition, what="the condition", patience=PATIENCE):
    """Returns the first true value of condition()."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience} s for {what}")
        time.sleep(0.01)


class Server:
    """A running casgi. `with Server("x.so", "--log-level", "debug") as server: server.get("/")`.

    Unless the arguments say where to listen, --port 0 is added and .port is what the server printed. The output of both
    streams is gathered in .log, a list of lines. Leaving the block ends the process, by force if it must be."""

    def __init__(self, *arguments, program=BIN, cwd=None, env=None, wait=True):
        listening = {"--port", "--uds", "--fd", "--bind"}
        if not any(argument.split("=")[0] in listening for argument in arguments):
            cut = arguments.index("--") if "--" in arguments else len(arguments)
            arguments = (*arguments[:cut], "--port", "0", *arguments[cut:])
        self.log = []
        self.port = None
        self.process = subprocess.Popen([program, *arguments], cwd=cwd, env={**os.environ, **(env or {})},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def _read(self):
        with self.process.stdout as output:
            for line in output:
                self.log.append(line.decode("utf-8", "replace").rstrip("\n"))

    def wait_ready(self):
        wait_until(lambda: self._address() or self.process.poll() is not None, "the address in the server's log")
        if not self._address():
            raise AssertionError("the server ended with %s:\n%s" % (self.process.poll(), self.text()))

    def _address(self):
        for line in list(self.log):
            match = ADDRESS.search(line)
            if match:
                self.port = int(match.group(1))
            if match or "unix:" in line:
                return True
        return False

    def text(self):
        return "\n".join(self.log)

    def wait_log(self, pattern, start=0, patience=PATIENCE):
        """The first line from the start-th on that the pattern is found in."""
        def found():
            return next((line for line in self.log[start:] if re.search(pattern, line)), None)
        try:
            return wait_until(found, f"the log to say {pattern!r}", patience)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says:\n{self.text()}") from None

    def connect(self):
        """A raw connection; yours to close."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def raw(self, data):
        """Sends bytes on a new connection, reads until the server closes; half-close is not sent."""
        with self.connect() as sock:
            sock.sendall(data)
            return read_all(sock)

    def request(self, method, path, body=None, headers=None):
        """(status, headers as a lower-cased dict, body) on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def get(self, path="/", headers=None):
        return self.request("GET", path, headers=headers)

    def stop(self, how=signal.SIGTERM, patience=PATIENCE):
        """Sends the signal; returns the exit code (negative: died of a signal)."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.wait(patience)

    def wait(self, patience=PATIENCE):
        code = self.process.wait(patience)
        self.reader.join(patience)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if self.process.poll() is None:
                self.process.terminate()
                self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
        if kind is not None:
            print("\n--- the server's log ---\n" + self.text())


def run(*arguments, program=BIN, cwd=None, env=None, patience=PATIENCE):
    """casgi as a command that ends by itself: (exit code, stdout and stderr together)."""
    done = subprocess.run([program, *arguments], cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patience, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def accepts(path):
    """Whether somebody listens on this Unix socket; that its file is there is not enough."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(path) == 0


def read_all(sock):
    data = b""
    while True:
        try:
            part = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not part:
            return data
        data += part


def build_module(folder, source, name="app", language="c"):
    """Compiles source text into folder/NAME.so, as a stranger would; returns its path."""
    path = os.path.join(folder, name + "." + language)
    with open(path, "w", encoding="utf-8") as file:
        file.write(source)
    target = os.path.join(folder, name + ".so")
    subprocess.run(["c++" if language == "cpp" else "cc", "-shared", "-fPIC", "-fvisibility=hidden", "-I" + ABI, "-g", path,
                    "-o", target], check=True)
    return target


def replace_file(path, text):
    """Saves as editors do: a new file renamed over the old one."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


class TestCase(unittest.TestCase):
    """A test with a folder of its own in self.folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
