"""The command line from outside: help, version, usage errors, options that reach the wire."""

import os
import subprocess
import unittest

import support


class Commands(support.TestCase):
    def test_help_and_version_end_with_0(self):
        for word in ("help", "--help", "-h"):
            code, text = support.run(word)
            self.assertEqual(0, code)
            self.assertIn("--timeout-keep-alive SECONDS", text)
        for name in os.listdir(os.path.join(support.SOURCE, "apps")):
            if name != "kit":
                self.assertIn(name, text.split("Listening")[0])
        for word in ("version", "--version"):
            code, text = support.run(word)
            self.assertEqual(0, code)
            self.assertRegex(text, r"^casgi \d+\.\d+\.\d+\n$")

    def test_what_cannot_be_printed_is_no_success(self):
        for arguments in (("help",), ("version",), ("check", support.example("hello"))):
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([support.BIN, *arguments], stdout=full, stderr=subprocess.DEVNULL, check=False)
            self.assertNotEqual(0, done.returncode, arguments)

    def test_usage_errors_end_with_2_and_one_sentence(self):
        hello = support.example("hello")
        for arguments, sentence in (((), "no application given"),
                                    ((hello, "--relod"), "did you mean --reload?"),
                                    ((hello, "--port", "65536"), '--port: "65536" is too large; at most 65535'),
                                    ((hello, "--port"), "--port needs a value: --port PORT"),
                                    ((hello, "--bind", "nonsense"), "is not an address"),
                                    ((hello, "--header", "a\nb: c"), "--header: the name of"),
                                    ((hello, "other.so"), "one word too many"),
                                    (("chekc", hello), "did you mean casgi check?")):
            code, text = support.run(*arguments)
            self.assertEqual(2, code, text)
            self.assertIn(sentence, text)
            self.assertEqual(1, text.count("\n"), text)

    def test_variables_give_what_the_command_line_does_not(self):
        code, text = support.run(support.example("hello"), env={"CASGI_PORT": "x"})
        self.assertEqual(2, code)
        self.assertIn('the environment variable CASGI_PORT: "x" is not a whole number', text)
        with support.Server(support.example("hello"), env={"CASGI_HEADER": "X-From: environment"}) as server:
            self.assertEqual("environment", server.get()[1]["x-from"])

    def test_a_slip_of_a_variable_is_asked_about_and_serves_all_the_same(self):
        with support.Server(support.example("hello"), env={"CASGI_PROT": "80"}) as server:
            server.wait_log(r"WARNING: +The environment variable CASGI_PROT is none of casgi's; did you mean that of --port\?")
            self.assertEqual(200, server.get()[0])

    def test_an_env_file_is_read_first(self):
        path = os.path.join(self.folder, "env")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# for the test\nexport CASGI_HEADER='X-From: file'\n")
        with support.Server(support.example("hello"), "--env-file", path) as server:
            self.assertEqual("file", server.get()[1]["x-from"])
        with open(path, "a", encoding="utf-8") as file:
            file.write("BAD\n")
        code, text = support.run(support.example("hello"), "--env-file", path)
        self.assertEqual(2, code)
        self.assertIn(f"{path}:3: NAME=VALUE is expected", text)


class Fields(support.TestCase):
    def test_default_and_configured_fields(self):
        hello = support.example("hello")
        with support.Server(hello, "--header", "X-One: 1", "--header", "x-two:2") as server:
            fields = server.get()[1]
            self.assertEqual(("1", "2"), (fields["x-one"], fields["x-two"]))
            self.assertRegex(fields["date"], r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
            self.assertIn("casgi", fields["server"])
        with support.Server(hello, "--no-date-header", "--no-server-header") as server:
            fields = server.get()[1]
            self.assertNotIn("date", fields)
            self.assertNotIn("server", fields)


if __name__ == "__main__":
    unittest.main()
