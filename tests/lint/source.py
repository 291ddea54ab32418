"""What the checks read: the files of the repository, and C text without its comments and strings."""

import os
import re
import subprocess

SKIPPED = re.compile(r"^(build|build-[^/]*|\.git)/|__pycache__/")
TAKEN_AS_IT_IS = {"tests/bench/limit.c"}  # the yardstick: not written here, so not held to our style


def files_of(root):
    """Every file that is or could be committed, as a path relative to the root; in a tree without git, every file."""
    paths = listed_by_git(root) or {os.path.relpath(os.path.join(folder, name), root)
                                    for folder, _, names in os.walk(root) for name in names}
    return sorted(p for p in paths if not SKIPPED.search(p) and os.path.isfile(os.path.join(root, p)))


def listed_by_git(root):
    try:
        listing = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                 capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return set()
    return set(listing.stdout.decode().split("\0")) - {""}


def select(paths, *suffixes, under=""):
    return [p for p in paths if p.endswith(suffixes) and p.startswith(under)]


def ours(paths):
    return [p for p in paths if p not in TAKEN_AS_IT_IS]


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def code_of(text):
    """The text with comments and the insides of strings blanked, line for line."""
    def blank(match):
        token = match.group()
        if token.startswith("/"):
            return re.sub(r"[^\n]", " ", token)
        return token[0] + " " * (len(token) - 2) + token[-1]
    return TOKENS.sub(blank, text)
