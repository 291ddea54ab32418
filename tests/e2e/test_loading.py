"""What `casgi WORD` and `casgi check WORD` load, and each way in which they cannot: a sentence of its own and exit code 4.
(test_check.py has those that damaged files cause, test_reload.py and test_install.py sources, test_apps.py names.)"""

import os
import subprocess
import unittest

import support
from support import Server, TestCase, build_module, example, run

HANDLER = r"""
#include <casgi/casgi.h>
static int %(name)s(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "%(name)s");
}
CASGI_APP_RECORD(record_%(name)s, "%(name)s", %(name)s, %(flags)s);
"""


def handler(name, flags="CASGI_APP_HTTP"):
    return HANDLER % {"name": name, "flags": flags}


class Case(TestCase):
    def module(self, source, name="app"):
        return build_module(self.folder, source, name)

    def assert_refused(self, word, *sentences, options=(), check=True):
        commands = [(word, "--port", "0", *options)] + ([("check", word, *options)] if check else [])
        for arguments in commands:
            code, text = run(*arguments, cwd=self.folder)
            self.assertEqual(code, 4, text)
            for sentence in sentences:
                self.assertIn(sentence, text)
            self.assertNotIn("running on", text)


class Refused(Case):
    def test_a_file_that_may_not_be_read(self):
        path = self.module(handler("app") + 'CASGI_MODULE("m", "1", &record_app);')
        os.chmod(path, 0)
        os.chmod(self.folder, 0o755)
        user = {"user": 65534} if os.geteuid() == 0 else {}
        try:
            done = subprocess.run([support.BIN, path, "--port", "0"], capture_output=True, text=True, timeout=support.PATIENCE, check=False, **user)
        except PermissionError:
            self.skipTest("another user cannot reach the program")
        self.assertEqual(done.returncode, 4)
        self.assertIn("cannot be read: permission denied", done.stderr)

    def test_an_empty_file(self):
        with open(os.path.join(self.folder, "empty.so"), "wb"):
            pass
        self.assert_refused("./empty.so", "is empty")

    def test_an_object_file_and_a_program(self):
        source = os.path.join(self.folder, "main.c")
        with open(source, "w", encoding="ascii") as file:
            file.write("int main(void) { return 0; }\n")
        for flags, sentence in ((["-c"], "an object file, not a shared object"), ([], "a program, not a shared object"),
                                (["-no-pie"], "a program, not a shared object")):
            subprocess.run(["cc", *flags, source, "-o", os.path.join(self.folder, "it.so")], check=True)
            self.assert_refused("./it.so", sentence)

    def test_an_interface_we_lack(self):
        path = self.module(handler("app") + 'static const char *const needs[] = { "casgi.tasks/1", "casgi.teapots/7", NULL };\n'
                           'CASGI_MODULE_NEEDS("m", "1", needs, &record_app);')
        self.assert_refused(path, "needs the interface casgi.teapots/7")

    def test_a_flag_of_the_future(self):
        path = self.module(handler("app", "CASGI_APP_HTTP | 0x4000u") + 'CASGI_MODULE("m", "1", &record_app);')
        self.assert_refused(path, "asks for something this casgi does not know", check=False)

    def test_create_failed_with_its_message(self):
        path = self.module("""
#include <casgi/casgi.h>
static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    (void)host;
    (void)casgi_error_set(out_error, CASGI_EINVAL, "%d words, the last is %s", argc, argv[argc - 1]);
    return NULL;
}
static const casgi_app_record_t record = { "app", NULL, create, NULL, CASGI_APP_HTTP, 0, { 0 } };
CASGI_MODULE("m", "1", &record);
""")
        self.assert_refused(path, "the application app could not be made: 3 words, the last is b", options=("--", "a", "b"))

    def test_an_exception_in_create(self): # DESIGN 2.11
        source = """
#include <casgi/casgi.h>
static int handle(casgi_app_t *, const casgi_scope_t *, casgi_receive_t *, casgi_send_t *) { return 0; }
static casgi_app_t *create(const casgi_host_t *, int argc, char **, casgi_error_t *)
{
    static casgi_app_t app = { CASGI_HANDLER(handle), nullptr, { 0, 0 } };
    if (argc > 1) {
        throw argc;
    }
    return &app;
}
static const casgi_app_record_t record = { "app", nullptr, CASGI_CREATE(create), nullptr, CASGI_APP_HTTP, 0, { 0 } };
CASGI_MODULE("m", "1", &record);
"""
        path = build_module(self.folder, source, language="cpp")
        self.assert_refused(path, "could not be made: its create threw a C++ exception", options=("--", "throw"))
        with Server(path) as server:
            self.assertEqual(server.get()[0], 500)

    def test_one_of_several_must_be_chosen(self):
        path = self.module(handler("one") + handler("two") + 'CASGI_MODULE("m", "1", &record_one, &record_two);')
        self.assert_refused(path, "has several applications, choose one as", "it has: one, two", check=False)
        self.assert_refused(path + ":three", "has no application called three; it has: one, two")

    def test_no_ready_made_app_of_that_name(self):
        self.assert_refused("teapot", "no ready-made application is called teapot", "inspect", "mount")

    def test_a_ready_made_name_that_is_a_file_here(self):
        self.module(handler("app") + 'CASGI_MODULE("m", "1", &record_app);', "mine")
        self.assert_refused("mine", "for the file here say ./mine.so")

    def test_a_crash_in_a_constructor_is_told_by_check(self):
        path = self.module(handler("app") + 'CASGI_MODULE("m", "1", &record_app);\n#include <stdlib.h>\n'
                           "__attribute__((constructor)) static void leave(void) { exit(0); }")
        code, text = run("check", path)
        self.assertEqual(code, 4)
        self.assertIn("ends the process while it is loaded, with exit code 0", text)

    def test_what_fails_in_create_or_destroy_is_told_by_check(self):
        path = self.module("""
#include <casgi/casgi.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
static int handle(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    return casgi_respond(send, 200, "text/plain", "ok");
}
static casgi_app_t app = { handle, NULL, { 0, 0 } };
static int fails_at_end;
static void fail(void)
{
    signal(SIGBUS, SIG_DFL);
    raise(SIGBUS);
}
static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    fails_at_end = strcmp(argv[1], "later") == 0;
    if (strcmp(argv[1], "crash") == 0) {
        fail();
    } else if (strcmp(argv[1], "leave") == 0) {
        exit(5);
    }
    return &app;
}
static void destroy(casgi_app_t *self)
{
    if (fails_at_end) {
        fail();
    }
}
static const casgi_app_record_t record = { "app", NULL, create, destroy, CASGI_APP_HTTP, 0, { 0 } };
CASGI_MODULE("m", "1", &record);
""")
        for word, sentence in (("crash", "crashes while its application is made, in create: SIGBUS"),
                               ("leave", "ends the process while its application is made, with exit code 5"),
                               ("later", "crashes while its application is ended, in destroy: SIGBUS")):
            code, text = run("check", path, "--", word)
            self.assertEqual(code, 4, text)
            self.assertIn("name: m", text)
            self.assertIn(sentence, text)
        self.assertEqual(run("check", path, "--", "well")[0], 0)

    def test_a_source_without_a_compiler(self):
        source = os.path.join(self.folder, "app.c")
        with open(source, "w", encoding="ascii") as file:
            file.write(handler("app") + 'CASGI_MODULE("m", "1", &record_app);')
        code, text = run(source, "--port", "0", env={"CC": "/nonexistent/cc", "XDG_CACHE_HOME": self.folder})
        self.assertEqual(code, 4, text)
        self.assertIn("/nonexistent/cc", text)


class Loaded(Case):
    def test_an_app_is_chosen_by_its_name(self):
        path = self.module(handler("one") + handler("two") + 'CASGI_MODULE("m", "1", &record_one, &record_two);')
        for name in ("one", "two"):
            with Server(f"{path}:{name}") as server:
                self.assertEqual(server.get()[2], name.encode())

    def test_the_one_called_app_is_the_default(self):
        path = self.module(handler("one") + handler("app") + 'CASGI_MODULE("m", "1", &record_one, &record_app);')
        with Server(path) as server:
            self.assertEqual(server.get()[2], b"app")

    def test_the_only_one_is_the_default(self):
        path = self.module(handler("admin") + 'CASGI_MODULE("m", "1", &record_admin);')
        with Server(path) as server:
            self.assertEqual(server.get()[2], b"admin")

    def test_the_log_names_the_application_that_was_chosen(self):
        path = self.module(handler("only") + 'CASGI_MODULE("m", "2.1", &record_only);')
        with Server(path) as server:
            server.wait_log(r"INFO: +Loaded .*app\.so: m 2\.1, application \"only\"$")
        with Server(example("hello")) as server: # neither module nor version is named
            server.wait_log(r"INFO: +Loaded .*hello\.so: application \"app\"$")

    def test_a_path_is_relative_to_the_current_directory(self):
        self.module(handler("app") + 'CASGI_MODULE("m", "1", &record_app);', "mine")
        for word in ("mine.so", "./mine.so", os.path.join("..", os.path.basename(self.folder), "mine.so")):
            with Server(word, cwd=self.folder) as server:
                self.assertEqual(server.get()[2], b"app")

    def test_check_tells_what_it_is(self):
        path = self.module(handler("one") + handler("two", "CASGI_APP_HTTP | CASGI_APP_LIFESPAN | CASGI_APP_CANCEL_ON_DISCONNECT")
                           + 'static const char *const needs[] = { "casgi.tasks/1", NULL };\n'
                           'CASGI_MODULE_NEEDS("teapot", "2.5", needs, &record_one, &record_two);')
        code, text = run("check", path)
        self.assertEqual(code, 0, text)
        for line in ("name: teapot", "version: 2.5", "application: one (http)", "needs interfaces: casgi.tasks/1"):
            self.assertIn(line + "\n", text)
        self.assertRegex(text, r"application: two \(http lifespan cancel-on-disconnect\)\n")
        self.assertRegex(text, r"ABI: 1\.\d+\n")
        self.assertRegex(text, r"needs libraries: .*\n")

    def test_check_warns_of_names_that_clash(self):
        path = self.module(handler("app") + 'CASGI_MODULE("m", "1", &record_app);\n'
                           'CASGI_EXPORT char *l64a(long value);\nCASGI_EXPORT char *l64a(long value) { (void)value; return NULL; }\n')
        code, text = run("check", path)
        self.assertEqual(code, 0)
        self.assertIn("warning: l64a is also defined by ", text)

    def test_a_module_may_bring_libraries_of_its_own(self):
        with open(os.path.join(self.folder, "tea.c"), "w", encoding="ascii") as file:
            file.write('const char *tea(void);\nconst char *tea(void) { return "tea"; }\n')
        subprocess.run(["cc", "-shared", "-fPIC", "tea.c", "-o", "libtea.so"], cwd=self.folder, check=True)
        with open(os.path.join(self.folder, "app.c"), "w", encoding="ascii") as file:
            file.write("const char *tea(void);\n" + handler("app").replace('"text/plain", "app"', '"text/plain", tea()')
                       + 'CASGI_MODULE("m", "1", &record_app);')
        subprocess.run(["cc", "-shared", "-fPIC", "-I" + support.ABI, "app.c", "-o", "app.so", "-L.", "-ltea",
                        "-Wl,-rpath,$ORIGIN"], cwd=self.folder, check=True)
        code, text = run("check", os.path.join(self.folder, "app.so"))
        self.assertEqual(code, 0, text)
        self.assertIn("libtea.so", text)
        with Server(os.path.join(self.folder, "app.so")) as server:
            self.assertEqual(server.get()[2], b"tea")
        os.remove(os.path.join(self.folder, "libtea.so"))
        self.assert_refused("./app.so", "needs the library libtea.so, which is not to be found")

    def test_a_symbol_that_a_library_lacks_is_said_of_the_library(self):
        for name, text in (("tea.c", "int pot(void);\nint tea(void);\nint tea(void) { return pot(); }\n"),
                           ("app.c", "int tea(void);\n" + handler("app").replace("200", "tea()") + 'CASGI_MODULE("m", "1", &record_app);')):
            with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
                file.write(text)
        subprocess.run(["cc", "-shared", "-fPIC", "tea.c", "-o", "libtea.so"], cwd=self.folder, check=True)
        subprocess.run(["cc", "-shared", "-fPIC", "-I" + support.ABI, "app.c", "-o", "app.so", "-L.", "-ltea",
                        "-Wl,-rpath,$ORIGIN"], cwd=self.folder, check=True)
        self.assert_refused("./app.so", "app.so needs the library ", "libtea.so, which uses pot, which no library defines")

    def test_the_words_behind_two_dashes_are_the_applications(self):
        with Server(example("state"), "--", os.path.join(self.folder, "--port")) as server:
            self.assertEqual(server.get()[0], 200)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "--port")))


if __name__ == "__main__":
    unittest.main()
