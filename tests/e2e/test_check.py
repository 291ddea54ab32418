"""What cannot be loaded: each cause has its sentence and exit code 4, at `casgi check` and at serving alike."""

import os
import unittest

import support
from support import TestCase, example

RECORD = '#include <casgi/casgi.h>\nstatic int app(casgi_app_t *a, const casgi_scope_t *b, casgi_receive_t *c, ' \
         'casgi_send_t *d) { (void)a, (void)b, (void)c, (void)d; return 0; }\nCASGI_APP(app)\n'


class CannotBeLoaded(TestCase):
    def assert_refused(self, path, part):
        for arguments in (("check", path), (path, "--port", "0")):
            code, text = support.run(*arguments)
            self.assertEqual(code, 4, text)
            self.assertIn(part, text)

    def edited(self, edit):
        with open(example("stream"), "rb") as file: # one that uses libc
            data = bytearray(file.read())
        path = os.path.join(self.folder, "edited.so")
        with open(path, "wb") as file:
            file.write(edit(data))
        return path

    def test_no_such_file(self):
        self.assert_refused("absent.so", "absent.so: there is no such file")

    def test_a_directory(self):
        self.assert_refused(self.folder, "is a directory, not a module")

    def test_not_elf(self):
        self.assert_refused(self.edited(lambda data: b"hello"), "it is not an ELF file")

    def test_wrong_architecture(self):
        self.assert_refused(self.edited(lambda data: data[:18] + b"\xf3\0" + data[20:]), "is built for riscv")

    def test_truncated(self):
        self.assert_refused(self.edited(lambda data: data[:len(data) * 2 // 3]), "is truncated")

    def test_not_a_module(self):
        path = support.build_module(self.folder, "int nothing(void) { return 0; }\n")
        self.assert_refused(path, "exports no casgi_module_1")

    def test_another_major(self):
        self.assert_refused(self.edited(lambda data: data.replace(b"casgi_module_1", b"casgi_module_2")),
                            "is built for ABI major 2")

    def test_missing_library(self):
        self.assert_refused(self.edited(lambda data: data.replace(b"libc.so.6", b"libq.so.6")),
                            "needs the library libq.so.6")

    def test_unresolved_symbol(self):
        path = support.build_module(self.folder, RECORD + "int tea(void);\nint pour(void);\nint pour(void) { return tea(); }\n"
                                    "int (*volatile brewed)(void) = pour;\n")
        self.assert_refused(path, "uses tea, which neither it nor a library it links defines")

    def test_unknown_application(self):
        code, text = support.run(example("hello") + ":admin", "--port", "0")
        self.assertEqual(code, 4)
        self.assertIn("has no application called admin; it has: app", text)

    def test_a_crash_in_a_constructor(self):
        path = support.build_module(self.folder, RECORD + "#include <signal.h>\n__attribute__((constructor)) static void "
                                    "boil(void) { signal(SIGBUS, SIG_DFL); raise(SIGBUS); }\n")
        code, text = support.run("check", path)
        self.assertEqual(code, 4)
        self.assertIn("crashes while it is loaded, in one of its constructors: SIGBUS", text)


class Good(TestCase):
    def test_check_says_what_it_is(self):
        code, text = support.run("check", example("json"))
        self.assertEqual(code, 0, text)
        self.assertIn("name: json\nversion: 0\nABI: 1.", text)
        self.assertIn("application: app (http)\n", text)
        self.assertIn("libcjson.so.1", text)
        self.assertNotIn("warning", text)


if __name__ == "__main__":
    unittest.main()
