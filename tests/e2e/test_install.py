"""What `./dev install` puts into a prefix is all that an author of modules needs."""

import os
import shutil
import subprocess
import tempfile
import unittest

import support
from stacks import require_stacks

MYAPP = """\
#include <casgi/casgi.h>

static int myapp(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "mine");
}
CASGI_APP(myapp)
"""
CMAKE_PROJECT = """\
cmake_minimum_required(VERSION 3.22)
project(mine LANGUAGES C)
find_package(casgi 0.1 REQUIRED)
add_library(myapp MODULE myapp.c)
target_link_libraries(myapp PRIVATE casgi::casgi)
"""


class Install(support.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prefix = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.prefix)
        subprocess.run(["cmake", "--install", support.BUILD, "--prefix", cls.prefix], check=True, stdout=subprocess.DEVNULL)
        cls.env = {"PATH": os.path.join(cls.prefix, "bin") + ":" + os.environ["PATH"],
                   "PKG_CONFIG_PATH": os.path.join(cls.prefix, "lib/pkgconfig"), "CMAKE_PREFIX_PATH": cls.prefix}
        cls.casgi = os.path.join(cls.prefix, "bin", "casgi")

    def setUp(self):
        super().setUp()
        support.replace_file(os.path.join(self.folder, "myapp.c"), MYAPP)

    def shell(self, command):
        done = subprocess.run(command, shell=True, cwd=self.folder, env={**os.environ, **self.env}, capture_output=True,
                              text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout

    def test_the_flags_hide_everything_but_the_module(self):
        self.assertIn("-fvisibility=hidden", self.shell("pkg-config --cflags casgi"))
        self.assertEqual(self.shell("pkg-config --libs casgi").strip(), "-Wl,-Bsymbolic,--exclude-libs,ALL")

    def test_one_line_of_cc_makes_a_module_that_is_served(self):
        self.shell("cc -shared -fPIC $(pkg-config --cflags casgi) myapp.c -o myapp.so")
        with support.Server("myapp.so", program=self.casgi, cwd=self.folder) as server:
            self.assertEqual(server.get()[2], b"mine")

    def test_a_module_exports_one_symbol(self):
        self.shell("cc -shared -fPIC $(pkg-config --cflags casgi) myapp.c -o myapp.so $(pkg-config --libs casgi)")
        symbols = [line.split()[-1] for line in self.shell("nm -D --defined-only myapp.so").splitlines()]
        self.assertEqual(symbols, ["casgi_module_1"])

    def test_a_source_file_is_served_and_followed(self):
        source = os.path.join(self.folder, "myapp.c")
        with support.Server("myapp.c", "--reload", program=self.casgi, cwd=self.folder) as server:
            support.wait_until(lambda: server.get()[2] == b"mine", "the first answer")
            support.replace_file(source, MYAPP.replace('"mine"', '"changed"'))
            support.wait_until(lambda: server.get()[2] == b"changed", "the answer after a save")

    def test_the_cmake_package_makes_the_same_module(self):
        support.replace_file(os.path.join(self.folder, "CMakeLists.txt"), CMAKE_PROJECT)
        self.shell("cmake -G Ninja -S . -B build && cmake --build build")
        with support.Server("build/libmyapp.so", program=self.casgi, cwd=self.folder) as server:
            self.assertEqual(server.get()[2], b"mine")

    def test_ready_made_apps_are_found_by_name(self):
        with support.Server("inspect", program=self.casgi, cwd=self.folder) as server:
            self.assertEqual(server.get()[0], 200)

    def test_the_page_that_draws_a_timeline_is_found(self):
        with support.Server("inspect", "--trace", "trace.json", program=self.casgi, cwd=self.folder) as server:
            self.assertEqual(server.stop(), 0)
            page = os.path.join(os.path.realpath(self.prefix), "share", "casgi", "timeline.html")
            self.assertTrue(os.path.exists(page))
            self.assertIn(f" opens in {page} and in ", server.text())

    def test_stacks_are_shown(self):
        require_stacks()
        with support.Server("inspect", program=self.casgi) as server:
            code, text = support.run("--stack-of", str(server.process.pid), program=self.casgi)
            self.assertEqual(code, 0, text)
            self.assertIn(" main at ", text)

    def test_every_header_is_installed(self):
        ours = {name for name in os.listdir(os.path.join(support.ABI, "casgi")) if name.endswith(".h")}
        installed = {name for name in os.listdir(os.path.join(self.prefix, "include", "casgi")) if name.endswith(".h")}
        self.assertEqual(installed, ours)


if __name__ == "__main__":
    unittest.main()
