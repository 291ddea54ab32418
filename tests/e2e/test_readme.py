"""Every block of the README works as it is written. tests/README.md says what a block is taken for."""

import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

import support
from support import PATIENCE, wait_until

README = os.path.join(support.SOURCE, "README.md")
LOG_LINE = re.compile(r"(TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL): ")
NOT_SERVING = {"check", "help", "version", "--help", "--version", "-h"}


def blocks(path):
    """(language, text, number of its first line) of each fenced block."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield match.group(1), match.group(2), text.count("\n", 0, match.start()) + 2


def commands(text):
    """The lines of a shell block; those continued with a backslash in one."""
    lines = text.replace("\\\n", " ").split("\n")
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def words_of(command):
    return shlex.split(command, comments=True)


def serves(command):
    words = words_of(command)
    return words[0] == "casgi" and bool(words[1:]) and words[1] not in NOT_SERVING


def pattern(line):
    """The regular expression of a line of a transcript."""
    def one(piece):
        if piece.startswith("[") and len(piece) > 1:
            return r"\[[0-9a-f]+\]"
        if piece.isdigit():
            return r"\d+"
        return {"...": ".*", "'": "[‘’']", "‘": "[‘’']", "’": "[‘’']"}.get(piece, re.escape(piece))
    pieces = re.split(r"(\[[0-9a-f]{8,}\]|\d+|\.\.\.|[‘’'])", line.rstrip())
    return re.compile("".join(map(one, pieces)) + "$")


class Terminal:
    """A command in a terminal of its own; .lines is what it printed."""

    def __init__(self, command, cwd, env):
        self.lines, self.rest = [], b""
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(words_of(command), cwd=cwd, env={**env, "TERM": "xterm", "NO_COLOR": "1"},
                                        stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        os.set_blocking(self.master, False)

    def read(self):
        try:
            while part := os.read(self.master, 65536):
                self.rest += part
        except (BlockingIOError, OSError): # the latter: it has ended
            pass
        *lines, self.rest = self.rest.split(b"\n")
        self.lines += [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        return self.lines

    def text(self):
        return "\n".join(self.lines)

    def port(self):
        return int(wait_until(lambda: re.search(r"http://[\d.]+:(\d+)", "\n".join(self.read())), "the address").group(1))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read()
            time.sleep(0.01)
        return self.process.poll()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self.master)


class Transcript:
    """Follows a server's output line by line and does what it tells of."""

    def __init__(self, test, lines, terminal):
        self.test, self.lines, self.terminal = test, lines, terminal
        self.at = 0 # in the terminal's lines
        self.saved = {}

    def follow(self):
        skipping = False
        for number, line in enumerate(self.lines):
            if line.strip() == "...":
                skipping = True
            elif LOG_LINE.match(line):
                self.act(number, line)
                self.expect(pattern(line), line, skipping)
                skipping = False
            elif error := re.match(r"(\S+):\d+:\d+: error: ", line):
                self.expect(re.compile(rf"{re.escape(error.group(1))}:\d+:\d+: error: "), line, True)

    def act(self, number, line):
        request = re.search(r'"GET (\S+) HTTP/1\.1" (\d+)', line)
        save = re.match(r"INFO: +(\S+): reloading$", line)
        if request:
            self.test.assertEqual(self.test.fetch(self.terminal.port(), request.group(1)), int(request.group(2)), line)
        if save:
            self.save(save.group(1), self.lines[number + 1:])

    def save(self, name, behind):
        path = os.path.join(self.test.folder, name)
        if name not in self.saved:
            with open(path, encoding="utf-8") as file:
                self.saved[name] = file.read()
        lines = self.saved[name].split("\n")
        for line in behind:
            if re.match(r"INFO: +\S+: reloading$", line):
                break
            shown = re.match(r" *(\d+) \| (.*)$", line)
            if shown:
                lines[int(shown.group(1)) - 1] = shown.group(2)
        support.replace_file(path, "\n".join(lines))

    def expect(self, wanted, line, anywhere):
        """The next line of the log, or, with anywhere, one that still comes."""
        def found():
            lines = self.terminal.read()
            while self.at < len(lines):
                self.at += 1
                actual = lines[self.at - 1]
                if wanted.match(actual) or (not anywhere and LOG_LINE.match(actual)):
                    return actual
            return None
        try:
            actual = wait_until(found, "this line", PATIENCE)
        except AssertionError as error:
            self.test.fail(f"{error}:\n{line}\nin\n{self.terminal.text()}")
        self.test.assertRegex(actual, wanted, self.terminal.text())


class Readme(support.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prefix = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.prefix)
        subprocess.run(["cmake", "--install", support.BUILD, "--prefix", cls.prefix], check=True, stdout=subprocess.DEVNULL)
        cls.env = {**os.environ, "PATH": os.path.join(cls.prefix, "bin") + ":" + os.environ["PATH"],
                   "PKG_CONFIG_PATH": os.path.join(cls.prefix, "lib/pkgconfig"), "CASGI_PORT": "0"}

    def fetch(self, port, target="/"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{target}", timeout=PATIENCE) as response:
            return response.status

    def body(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as response:
            return response.read()

    def test_every_block_works_as_it_is_written(self):
        kinds = {"c": self.application, "sh": self.shell, "console": self.transcript}
        count = 0
        for language, text, line in blocks(README):
            if language in kinds:
                with self.subTest(f"README.md:{line}"):
                    count += 1
                    kinds[language](text)
        self.assertGreater(count, 3)

    # ---- c ----

    def application(self, text):
        support.replace_file(os.path.join(self.folder, "myapp.c"), text)
        flags = subprocess.run(["pkg-config", "--cflags", "casgi"], env=self.env, check=True, capture_output=True, text=True).stdout.split()
        subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", *flags, "myapp.c", "-o", "block.so"], cwd=self.folder, check=True)
        self.serve("casgi ./block.so", [])

    # ---- sh ----

    def shell(self, text):
        lines = commands(text)
        for number, line in enumerate(lines):
            if line.startswith("./dev "):
                self.dev(line)
            elif serves(line):
                self.serve(line, lines[number + 1:])
                return
            else:
                self.succeeds(line)

    def dev(self, command):
        """Runs it in a copy whose build is the one that is tested: nothing is compiled or installed for it."""
        repository = os.path.join(self.folder, "repository")
        if not os.path.exists(repository):
            shutil.copytree(os.path.join(support.SOURCE, "examples", "hello"), os.path.join(repository, "examples", "hello"))
            shutil.copy(os.path.join(support.SOURCE, "dev"), repository)
            os.symlink(support.BUILD, os.path.join(repository, "build"))
            self.stand_in("cmake", f'[ "$1" != --install ] || exec {shutil.which("cmake")} --install "$2" --prefix "$PREFIX"')
            self.stand_in("ctest", f'echo "$*" >>{repository}/tested')
            self.stand_in("dpkg-query", "echo installed")
        prefix = os.path.join(self.folder, "prefix")
        env = {**self.env, "PATH": os.path.join(self.folder, "bin") + ":" + self.env["PATH"], "PREFIX": prefix,
               "XDG_CACHE_HOME": self.folder}
        if words_of(command)[1] == "serve":
            self.serve_and_save(command, repository, env)
            return
        done = subprocess.run(words_of(command), cwd=repository, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        made = {"test": os.path.join(repository, "tested"), "install": os.path.join(prefix, "bin", "casgi")}
        self.assertTrue(os.path.exists(made[words_of(command)[1]]), done.stdout)

    def stand_in(self, name, script):
        os.makedirs(os.path.join(self.folder, "bin"), exist_ok=True)
        path = os.path.join(self.folder, "bin", name)
        support.replace_file(path, f"#!/bin/sh\n{script}\n")
        os.chmod(path, 0o755)

    def serve_and_save(self, command, repository, env):
        terminal = Terminal(command, repository, env)
        self.addCleanup(terminal.close)
        port = terminal.port()
        source = os.path.join(repository, "examples", "hello", "hello.c")
        self.assertEqual(wait_until(lambda: self.body(port), "an answer"), b"Hello, World!")
        with open(source, encoding="utf-8") as file:
            text = file.read()
        support.replace_file(source, text.replace("Hello, World!", "Saved"))
        wait_until(lambda: self.body(port) == b"Saved", "the answer after a save")
        self.assertEqual(terminal.stop(), 0, terminal.text())

    def succeeds(self, command):
        done = subprocess.run(["sh", "-c", command], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def serve(self, command, behind):
        terminal = Terminal(re.sub(r"--port[= ]\d+", "--port 0", command), self.folder, self.env)
        self.addCleanup(terminal.close)
        port = terminal.port()
        self.assertEqual(wait_until(lambda: self.fetch(port), "an answer"), 200)
        for line in behind:
            self.succeeds(re.sub(r"(127\.0\.0\.1|localhost):\d+", rf"\1:{port}", line))
        self.assertEqual(terminal.stop(), 0, terminal.text())

    # ---- console ----

    def transcript(self, text):
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            if serves(command):
                terminal = Terminal(re.sub(r"--port[= ]\d+", "--port 0", command), self.folder, self.env)
                self.addCleanup(terminal.close)
                Transcript(self, lines, terminal).follow()
                self.assertEqual(terminal.stop(), 0, terminal.text())
            else:
                self.assert_prints(command, lines)

    def assert_prints(self, command, lines):
        actual = self.succeeds(command).rstrip("\n").split("\n")
        skipping = False
        for line in lines:
            if line.strip() == "...":
                skipping = True
                continue
            while skipping and actual and not pattern(line).match(actual[0]):
                actual.pop(0)
            self.assertTrue(actual, f"{command} does not print {line}")
            self.assertRegex(actual.pop(0), pattern(line))
            skipping = False
        self.assertTrue(skipping or not actual, actual)

    def test_it_is_short(self):
        with open(README, encoding="utf-8") as file:
            self.assertLess(len(file.readlines()), 200)


if __name__ == "__main__":
    unittest.main()
