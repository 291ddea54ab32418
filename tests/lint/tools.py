"""Checks by the compiler, clang-format and clang-tidy, two or more files at a time."""

import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from source import ours, read, select


def run_each(function, paths):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [finding for findings in pool.map(function, paths) for finding in findings]


def run(command, root):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def check_format(root, files):
    paths = ours(select(files, ".c", ".h", ".cpp"))
    status, output = run(["clang-format", "--dry-run", "-Werror", *paths], root) if paths else (0, "")
    return [line for line in output.split("\n") if "error:" in line] or ([output] if status else [])


def check_alone(root, files):
    """Each example compiles by itself as its author's compiler does by default, and each header in the server's way."""
    def compile_alone(path):
        compiler = "c++" if path.endswith(".cpp") else "cc"
        status, output = run([compiler, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Iabi", "-Iapps/kit", *subject(path)],
                             root)
        return [f"{path}:1: does not compile alone:\n{output}"] if status else []

    def subject(path):
        if path.endswith(".h"):
            return ["-std=gnu11", "-D_GNU_SOURCE", "-Iserver", "-isystem", "/usr/include/postgresql", "-x", "c",
                    "-include", path, os.devnull]
        return [path]
    headers = [path for room in ("server/", "abi/", "apps/kit/") for path in select(files, ".h", under=room)]
    return run_each(compile_alone, headers + select(files, ".c", ".cpp", under="examples/"))


TIDY_BUILD = "build-debug"  # ./dev lint configures it, for its compile_commands.json


def check_tidy(root, files):
    """clang-tidy on the server and the apps. What passed with the same text, headers and rules is not run again."""
    cache = os.path.join(root, TIDY_BUILD, "lint")
    os.makedirs(cache, exist_ok=True)
    headers = "".join(read(root, path) for path in [*select(files, ".h"), ".clang-tidy"])

    def tidy(path):
        key = hashlib.sha256((path + read(root, path) + headers).encode()).hexdigest()
        passed = os.path.join(cache, key)
        if os.path.exists(passed):
            return []
        status, output = run(["clang-tidy", "--quiet", "-p", TIDY_BUILD, path], root)
        if status == 0:
            with open(passed, "w", encoding="utf-8"):
                return []
        return [line for line in output.split("\n") if "error:" in line] or [f"{path}:1: {output}"]
    return run_each(tidy, select(files, ".c", under="server/") + select(files, ".c", under="apps/"))


TOOLS = {"format": check_format, "alone": check_alone, "tidy": check_tidy}
