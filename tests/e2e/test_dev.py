"""The `dev` script, in a folder of its own, with stand-ins for the programs it calls: what it installs, when, and how."""

import os
import shutil
import subprocess
import tempfile
import unittest

SOURCE = os.environ.get("CASGI_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLAIN_TOOLS = ("bash", "env", "dirname", "sed", "nproc", "mkdir", "rm", "cat", "sh", "xargs", "base64")
RECORD = 'echo "$(basename "$0") $*" >>"$CALLS"\n'


class Dev(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.bin = os.path.join(self.root, "bin")
        self.calls_file = os.path.join(self.root, "calls")
        os.mkdir(self.bin)
        shutil.copy(os.path.join(SOURCE, "dev"), self.root)
        for tool in PLAIN_TOOLS + ("basename",):
            os.symlink(shutil.which(tool), os.path.join(self.bin, tool))
        os.mkdir(os.path.join(self.root, "build"))
        self.stand_in("cmake", RECORD)
        self.stand_in("ctest", RECORD)
        self.stand_in("build/casgi", 'echo "casgi got $*"\n')
        self.stand_in("apt-cache", "exit 0\n")
        self.stand_in("apt-get", RECORD)
        self.user(1000)
        self.installed("*")

    def stand_in(self, name, script):
        path = os.path.join(self.root, name) if "/" in name else os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!" + shutil.which("bash") + "\n" + script)
        os.chmod(path, 0o755)

    def user(self, uid):
        self.stand_in("id", f"echo {uid}\n")

    def installed(self, pattern):
        """dpkg-query knows the packages that match the shell pattern, and none else."""
        self.stand_in("dpkg-query", f'case "${{@: -1}}" in {pattern}) echo "installed " ;; *) exit 1 ;; esac\n')

    def dev(self, *arguments, **environment):
        done = subprocess.run([os.path.join(self.root, "dev"), *arguments], capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False,
                              env={"PATH": self.bin, "CALLS": self.calls_file, **environment})
        self.output = done.stdout + done.stderr
        return done.returncode

    def calls(self, program):
        if not os.path.exists(self.calls_file):
            return []
        with open(self.calls_file, encoding="utf-8") as file:
            return [line.strip() for line in file if line.startswith(program + " ")]

    def test_with_nothing_missing_neither_sudo_nor_apt_is_touched(self):
        self.stand_in("sudo", RECORD)
        self.stand_in("apt-cache", RECORD)
        for command in ("serve", "test", "build", "install"):
            self.assertEqual(self.dev(command, *(["PREFIX=" + self.root] if command == "install" else [])), 0, self.output)
        self.assertEqual(self.calls("sudo") + self.calls("apt-get") + self.calls("apt-cache"), [])

    def test_root_installs_without_sudo_and_only_what_is_missing(self):
        self.stand_in("sudo", RECORD)
        self.user(0)
        self.installed("[!l]*")
        self.assertEqual(self.dev("build"), 0, self.output)
        self.assertEqual(self.calls("sudo"), [])
        (call,) = self.calls("apt-get")
        self.assertTrue(call.startswith("apt-get install -y "), call)
        self.assertIn(" libuv1-dev ", call)
        self.assertNotIn(" cmake", call)

    def test_what_is_missing_is_listed_before_it_is_installed(self):
        self.user(0)
        self.installed("[!l]*")
        self.dev("build")
        self.assertLess(self.output.index("Missing packages: libc6-dev libuv1-dev"), self.output.index("+ env "))

    def test_a_user_installs_through_sudo_and_sees_the_command(self):
        self.stand_in("sudo", RECORD + '"$@"\n')
        self.installed("[!l]*")
        self.assertEqual(self.dev("build"), 0, self.output)
        self.assertEqual(len(self.calls("sudo")), 1)
        self.assertIn("+ " + self.calls("sudo")[0], self.output)
        self.assertEqual(len(self.calls("apt-get")), 1)

    def test_without_root_and_sudo_the_exact_line_is_shown(self):
        self.installed("[!c]*")
        self.assertEqual(self.dev("build"), 1)
        self.assertIn("    apt-get update && apt-get install -y --no-install-recommends cmake curl\n", self.output)
        self.assertEqual(self.calls("apt-get") + self.calls("cmake"), [])

    def test_a_sudo_that_refuses_leads_to_the_same_line(self):
        self.stand_in("sudo", RECORD + "exit 1\n")
        self.installed("[!c]*")
        self.assertEqual(self.dev("build"), 1)
        self.assertIn("apt-get install -y --no-install-recommends cmake curl\n", self.output)
        self.assertEqual(self.calls("cmake"), [])

    def test_lists_are_fetched_only_if_they_lack_the_package(self):
        self.user(0)
        self.installed("[!l]*")
        self.dev("build")
        self.assertNotIn("apt-get update -q", self.calls("apt-get"))
        self.stand_in("apt-cache", "exit 100\n")
        self.dev("build")
        self.assertIn("apt-get update -q", self.calls("apt-get"))

    def test_tests_need_more_than_serving_does(self):
        self.user(0)
        self.installed("[!lp]*")
        self.dev("serve")
        self.dev("test")
        serve, test = self.calls("apt-get")
        self.assertNotIn("libcmocka-dev", serve)
        self.assertIn("libcmocka-dev", test)

    def test_arguments_of_serve_reach_casgi(self):
        self.assertEqual(self.dev("serve", "--host", "0.0.0.0", "--log-level", "trace"), 0, self.output)
        self.assertIn("casgi got examples/hello/hello.c --reload --host 0.0.0.0 --log-level trace\n", self.output)

    def test_serve_says_what_it_does(self):
        self.dev("serve", "--port", "9000")
        for text in ("examples/hello/hello.c, ", "build/casgi examples/hello/hello.c --reload --port 9000\n",
                     "http://127.0.0.1:9000/\n", "save examples/hello/hello.c ", "Ctrl-C\n"):
            self.assertIn(text, self.output)

    def test_serve_names_the_address_that_its_options_give(self):
        for arguments, url in ((["--host=::1", "--port=81"], "http://[::1]:81/"),
                               (["--host", "0.0.0.0"], "http://127.0.0.1:8000/"),
                               (["--port", "0"], "the address that casgi prints below"),
                               (["--uds", "/run/x"], "curl --unix-socket /run/x http://localhost/")):
            self.dev("serve", *arguments)
            self.assertIn("Open      " + url + "\n", self.output)

    def test_what_follows_serve_may_come_from_the_environment(self):
        self.dev("serve", CASGI_PORT="8123")
        self.assertIn("http://127.0.0.1:8123/\n", self.output)

    def test_listing_the_tests_compiles_nothing(self):
        self.assertEqual(self.dev("test", "-N"), 0, self.output)
        self.assertEqual([call for call in self.calls("cmake") if "--build" in call], [])
        self.assertEqual(len(self.calls("ctest")), 1)
        self.assertEqual(self.dev("test", "-L", "unit"), 0, self.output)
        self.assertEqual(len([call for call in self.calls("cmake") if "--build" in call]), 1)

    def test_install_says_how_to_use_a_prefix_of_ones_own(self):
        self.assertEqual(self.dev("install", PREFIX=self.root), 0, self.output)
        self.assertIn(f"export PATH=$PATH:{self.root}/bin PKG_CONFIG_PATH={self.root}/lib/pkgconfig\n", self.output)

    def test_install_says_what_the_kit_lacks(self):
        self.installed("[!l]*|lib[!p]*")
        self.assertEqual(self.dev("install", PREFIX=self.root), 0, self.output)
        self.assertEqual(self.output.splitlines()[-1], "Its kit lacks what needs libpq-dev; with them installed, do this again")
        self.installed("*")
        self.assertEqual(self.dev("install", PREFIX=self.root), 0, self.output)
        self.assertNotIn("lacks", self.output)

    def test_build_needs_what_every_example_needs(self):
        self.user(0)
        self.installed("[!l]*|lib[!pcs]*")
        self.assertEqual(self.dev("build"), 0, self.output)
        (call,) = self.calls("apt-get")
        for package in ("libpq-dev", "libcurl4-openssl-dev", "libsqlite3-dev"):
            self.assertIn(" " + package, call)

    def fuzzer(self, name, script):
        os.makedirs(os.path.join(self.root, "build-fuzz/tests"), exist_ok=True)
        self.stand_in("build-fuzz/tests/fuzz_room_" + name, RECORD + script)

    def test_every_fuzzer_runs_with_the_seed_given(self):
        self.fuzzer("one", "exit 1\n")
        self.fuzzer("two", "")
        self.assertEqual(self.dev("fuzz", "5", "", "4711"), 1, self.output)
        for name in ("one", "two"):
            (call,) = self.calls("fuzz_room_" + name)
            self.assertIn(" -seed=4711 -max_total_time=5 ", call)

    def test_what_a_fuzzer_finds_ends_the_output_as_text(self):
        self.fuzzer("one", 'printf "\\0x" >found && echo "Test unit written to found" && exit 1\n')
        self.assertEqual(self.dev("fuzz", "5"), 1)
        self.assertIn("base64 -d >found <<<AHg= && build-fuzz/tests/fuzz_room_one found", self.output.splitlines()[-1])

    def test_fuzz_refuses_what_is_no_number(self):
        self.assertEqual(self.dev("fuzz", "http1"), 1)
        self.assertIn("SECONDS, NAME and SEED", self.output)

    def test_an_unknown_command_is_refused(self):
        self.assertEqual(self.dev("sevre"), 1)
        self.assertIn("no command 'sevre'", self.output)

    def test_help_lists_every_command(self):
        for way in (["help"], ["--help"], ["-h"], []):
            self.assertEqual(self.dev(*way), 0)
            for command in ("serve", "test", "build", "lessons", "bench", "fuzz", "lint", "install"):
                self.assertRegex(self.output, f"(?m)^  {command}  ")


if __name__ == "__main__":
    unittest.main()
