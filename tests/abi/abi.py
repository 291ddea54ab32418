#!/usr/bin/env python3
"""Holds the headers of abi/ to what was promised.

    abi.py headers   each compiles alone as C11, C17, C++11, C++17, C++20, with gcc and clang, without a warning;
                     and so does template.c
    abi.py names     handlers may have any name, and the macros work in several source files of one module
    abi.py layout    every size, offset and number is what the frozen version had (tests/golden/VERSION/layout.c)
    abi.py dump      abidiff finds nothing between the frozen version's dump (abi.xml) and the headers
    abi.py freeze    writes the frozen version anew from abi/: headers, layout.c, abi.xml. Only before a release of it, or
                     when a minor has grown into reserved words: then look at the difference before you commit it.

Exit code 77: what is needed is not installed."""

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ABI = os.path.join(ROOT, "abi")
FROZEN = os.path.join(ROOT, "tests", "golden", "1.0")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
C = [(compiler, standard) for compiler in ("gcc", "clang") for standard in ("c11", "c17")]
CXX = [(compiler, standard) for compiler in ("g++", "clang++") for standard in ("c++11", "c++17", "c++20")]
SKIPPED = 77


def headers():
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(ABI, "casgi", "*.h")))


def compile_text(text, compiler, standard, include=ABI, extra=()):
    """The compiler's complaints; "" if there are none."""
    language = "c++" if "++" in standard else "c"
    done = subprocess.run([compiler, "-std=" + standard, "-x", language, "-fsyntax-only", *WARNINGS, *extra, "-I" + include,
                           "-"], input=text.encode(), stderr=subprocess.PIPE, check=False)
    return done.stderr.decode() if done.returncode else ""


def present(pairs):
    return [pair for pair in pairs if shutil.which(pair[0])]


def report(failures):
    for failure in failures:
        print(failure)
    return 1 if failures else 0


def check_headers():
    failures = []
    for header in headers():
        for compiler, standard in present(C) + present(CXX):
            complaint = compile_text(f"#include <casgi/{header}>\n", compiler, standard)
            if complaint:
                failures.append(f"{header} as {standard} with {compiler}:\n{complaint}")
    return report(failures + check_template())


def check_template():
    with open(os.path.join(ABI, "casgi", "template.c"), encoding="utf-8") as file:
        text = file.read()
    complaints = [compile_text(text, compiler, "gnu11") for compiler in ("gcc", "clang") if shutil.which(compiler)]
    return [f"template.c:\n{complaint}" for complaint in complaints if complaint]


HANDLER = """#include <casgi/casgi.h>
static int {name}(casgi_app_t *a, const casgi_scope_t *b, casgi_receive_t *c, casgi_send_t *d)
{{
    (void)a, (void)b, (void)c;
    return casgi_respond(d, 200, "text/plain", "x");
}}
CASGI_APP({name})
"""
CALLBACK = """#include <casgi/callback.h>
static void {name}(casgi_call_t *call)
{{
    casgi_call_finish(call, 0);
}}
CASGI_CALLBACK_APP({name})
"""
NAMES = ["app", "host", "send", "receive", "scope", "self", "argv", "record", "create", "module", "event", "call", "rc"]


def check_names():
    failures = []
    for compiler, standard in present(C[:1] + C[2:3] + CXX):
        for template in (HANDLER, CALLBACK):
            for name in NAMES:
                complaint = compile_text(template.format(name=name), compiler, standard)
                if complaint:
                    failures.append(f"a handler called {name} as {standard} with {compiler}:\n{complaint}")
    return report(failures + check_two_files())


def check_two_files():
    """Two source files of one module share one variable of imports, and it is not exported."""
    with tempfile.TemporaryDirectory() as folder:
        one, two, target = (os.path.join(folder, name) for name in ("one.c", "two.c", "module.so"))
        with open(one, "w", encoding="utf-8") as file:
            file.write(HANDLER.format(name="handle") + "void *other(void);\nvoid *own(void);\n"
                       "__attribute__((visibility(\"default\"))) int same(void);\n"
                       "int same(void) { return other() == (void *)&casgi_imports_; }\n")
        with open(two, "w", encoding="utf-8") as file:
            file.write("#include <casgi/casgi.h>\nvoid *other(void);\nvoid *other(void) { return &casgi_imports_; }\n")
        subprocess.run(["gcc", "-shared", "-fPIC", "-fvisibility=hidden", "-I" + ABI, one, two, "-o", target], check=True)
        names = subprocess.run(["nm", "-D", "--defined-only", target], stdout=subprocess.PIPE, check=True).stdout.decode()
        exported = sorted(line.split()[-1] for line in names.splitlines())
        if exported != ["casgi_module_1", "same"]:
            return [f"the module exports {exported}"]
        import ctypes  # only here: it loads what was just built
        return [] if ctypes.CDLL(target).same() == 1 else ["two source files have two variables of imports"]


# --- layout ---

def texts(folder, names):
    for name in names:
        with open(os.path.join(folder, "casgi", name), encoding="utf-8") as file:
            yield file.read()


def abi_headers():
    """Those that cross the border; callback.h lives wholly in the module."""
    return [name for name in headers() if name != "callback.h"]


def record_names():
    found = []
    for text in texts(ABI, abi_headers()):
        found += re.findall(r"^(?:typedef )?struct (casgi_\w*\w) \{", text, re.M)
    return [name for name in found if not name.endswith("_")]


def enum_names():
    return [name for text in texts(ABI, abi_headers()) for name in re.findall(r"^enum (casgi_\w+) \{", text, re.M)]


def numbers():
    """(name, value) of every enumerator that has its number written."""
    found = []
    for text in texts(ABI, abi_headers()):
        found += [("CASGI_" + name, value) for name, value in re.findall(r"\bX\((\w+), (-?\d+), \"", text)]
        found += re.findall(r"^    (CASGI_\w+) = (\d+),?", text, re.M)
    return found


def record_layouts():
    """{record: (size, [(member, offset)])}, as clang lays them out."""
    source = "#include <casgi/casgi.h>\n" + "".join(f"struct {name} v_{name};\n" for name in record_names())
    done = subprocess.run(["clang", "-std=gnu11", "-x", "c", "-fsyntax-only", "-Xclang", "-fdump-record-layouts-complete",
                           "-I" + ABI, "-"], input=source.encode(), stdout=subprocess.PIPE, check=True)
    layouts = {}
    for block in done.stdout.decode().split("*** Dumping AST Record Layout")[1:]:
        lines = block.strip("\n").splitlines()
        name = re.search(r"struct (\w+)", lines[0])
        if name and name.group(1) in record_names():
            layouts[name.group(1)] = (int(re.search(r"sizeof=(\d+)", block).group(1)), members(lines[1:]))
    return layouts


def members(lines):
    """Members, those of an unnamed union as the record's own; reserved words may be used up, so they are left out."""
    found, depth = [], 2
    for line in lines:
        match = re.match(r"\s*(\d+) \|( +)(.*)", line)
        if not match or len(match.group(2)) - 1 != depth:
            continue
        if "(anonymous" in match.group(3) or "(unnamed" in match.group(3):
            depth += 2
            continue
        member = match.group(3).split()[-1]
        if not member.startswith("reserved"):
            found.append((member, int(match.group(1))))
    return found


def layout_text():
    lines = ["/* Every size, offset and number of the frozen version. Written by tests/abi/abi.py freeze. */",
             "#include <casgi/casgi.h>", "",
             '#define SIZE(record, size) _Static_assert(sizeof(struct record) == (size), #record)',
             '#define AT(record, member, offset) _Static_assert(offsetof(struct record, member) == (offset), #record)',
             '#define IS(name, number) _Static_assert((name) == (number), #name)', ""]
    for name, (size, found) in sorted(record_layouts().items()):
        lines.append(f"SIZE({name}, {size});")
        lines += [f"AT({name}, {member}, {offset});" for member, offset in found]
    lines += [f"IS({name}, {value});" for name, value in numbers()]
    return "\n".join(lines) + "\n"


def check_layout():
    with open(os.path.join(FROZEN, "layout.c"), encoding="utf-8") as file:
        text = file.read()
    failures = []
    for include in (ABI, FROZEN):
        for compiler, standard in present(C[:1] + C[2:3]):
            complaint = compile_text(text, compiler, standard, include)
            if complaint:
                failures.append(f"{include} with {compiler}:\n{complaint}")
    return report(failures)


# --- dump ---

def write_dump(target):
    """The types as abidw sees them in the debugging information of a library that has one variable of each."""
    names = [f"struct {name}" for name in record_names()] + [f"enum {name}" for name in enum_names()]
    source = "#include <casgi/casgi.h>\n" + "".join(f"{name} abi_{name.split()[1]};\n" for name in names)
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "libabi.so")
        subprocess.run(["gcc", "-std=gnu11", "-x", "c", "-shared", "-fPIC", "-g", "-O0", "-I" + ABI, "-", "-o", library],
                       input=source.encode(), check=True)
        subprocess.run(["abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--out-file", target, library],
                       check=True)


def check_dump():
    if not shutil.which("abidw") or platform.machine() != "x86_64":
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "abi.xml")
        write_dump(target)
        done = subprocess.run(["abidiff", "--no-show-locs", os.path.join(FROZEN, "abi.xml"), target], check=False)
    if done.returncode:
        print("The ABI differs from the frozen one. What is frozen never changes; what grew into reserved words is frozen "
              "anew by tests/abi/abi.py freeze, with a line in CHANGELOG.md and a golden module in the same commit.")
    return done.returncode


def freeze():
    shutil.rmtree(os.path.join(FROZEN, "casgi"), ignore_errors=True)
    os.makedirs(os.path.join(FROZEN, "casgi"))
    for name in headers():
        shutil.copy(os.path.join(ABI, "casgi", name), os.path.join(FROZEN, "casgi", name))
    with open(os.path.join(FROZEN, "layout.c"), "w", encoding="utf-8") as file:
        file.write(layout_text())
    write_dump(os.path.join(FROZEN, "abi.xml"))
    return 0


COMMANDS = {"headers": check_headers, "names": check_names, "layout": check_layout, "dump": check_dump, "freeze": freeze}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    sys.exit(COMMANDS[sys.argv[1]]())
