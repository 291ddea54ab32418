"""Test cases that share one server: it is started for the class, and must end in good order (which, under the address
sanitizer, says that nothing leaked). A failed test shows the log it left."""

import os
import tempfile
import unittest
import urllib.parse

import support
from wire import Connection, get

APPS = os.path.join(support.SOURCE, "tests", "e2e", "apps")


def build(folder, name):
    """tests/e2e/apps/NAME.c as folder/NAME.so."""
    with open(os.path.join(APPS, name + ".c"), encoding="utf-8") as file:
        return support.build_module(folder, file.read(), name)


def quote(text):
    return urllib.parse.quote(text, safe="")


def steps(*words):
    """Steps of the scripted probe as a query: steps("receive", ("start", 200, "x-a=b"), ("end", "bye"))."""
    def one(word):
        if isinstance(word, str):
            return word
        return ":".join([word[0], *("=".join(quote(part) for part in str(text).split("=", 1)) for text in word[1:])])
    return ",".join(one(word) for word in words)


class Served(unittest.TestCase):
    APP = "inspect"  # a ready-made app, or a path
    SOURCE = None  # or a file of tests/e2e/apps, and which of its applications
    ARGUMENTS = ()
    CODE = 0  # what the server ends with

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.class_folder = folder.name
        app = cls.APP
        if cls.SOURCE:
            name, colon, application = cls.SOURCE.partition(":")
            app = build(folder.name, name) + colon + application
        cls.server = support.Server(*cls.ARGUMENTS, app, cwd=folder.name)
        cls.server.app = app
        cls.addClassCleanup(cls.server.kill)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        if code != cls.CODE:
            raise AssertionError(f"the server ended with {code}:\n{cls.server.text()}")

    def run(self, result=None):
        begin = len(self.server.log) if hasattr(self, "server") else 0 # a class that is skipped has none
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print(f"\n--- the server's log during {self.id()} ---\n" + "\n".join(self.server.log[begin:]))

    def connect(self, **how):
        connection = Connection(self.server, **how)
        self.addCleanup(connection.close)
        return connection

    def ask(self, data, method="GET"):
        """One request on a connection of its own."""
        return self.connect().send(data).response(method)


class Scripted(Served):
    """With the scripted probe, tests/e2e/apps/steps.c. Each test's requests are called by the test's own name."""
    SOURCE = "steps"

    def setUp(self):
        self.name = self._testMethodName

    def target(self, *words):
        return f"/{self.name}?" + steps(*words)

    def script(self, *words, fields=(), **how):
        """A request without a body that has these steps taken."""
        return get(self.target(*words), *fields, **how)

    def log(self):
        """A line for each step that is behind the request's handler."""
        return self.ask(get(f"/log/{self.name}")).body.decode().splitlines()

    def wait_step(self, line):
        return support.wait_until(lambda: line in self.log(), f"the step {line!r}; there are {self.log()}")

    def wait_done(self):
        self.wait_step("done")
        return self.log()[:-1]

    def open(self, gate=None):
        self.ask(get(f"/open/{gate or self.name}"))
