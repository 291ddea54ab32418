"""Our own rules. Each function takes the root and its files and returns findings: "path:line: what is wrong"."""

import re

from source import code_of, ours, read, select

# --- the floors: a room includes only what stands to its left (DESIGN, "The floors") ---

FLOORS = [["base"], ["config", "runtime"], ["net"], ["exchange"], ["protocol", "module", "observe"], ["worker"],
          ["supervisor"]]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# The supervisor never runs application code, so it stays off the loop: base, config, and of net what needs libc only.
SUPERVISOR_SEES = {"base", "config"}
LIBRARIES = {  # third-party headers, and the rooms that may know them
    r"uv\.h": {"runtime", "net"},
    r"openssl/.*": {"net", "runtime/tls"},  # a part: a folder in a room, a shared object of its own
    r"elfutils/.*|dwarf\.h": {"runtime/unwind"},
    r"llhttp\.h": {"protocol"},
    r"nghttp2/.*": {"protocol"},
    r"wslay/.*": {"protocol"},
    r"cjson/.*": set(),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def includes(text):
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1 + match.group().count("\n"), match.group(1), match.group(2)


def needs_the_loop(root, files, header):
    """Whether a header or the .c file behind it includes libuv or the runtime."""
    for path in ("server/" + header, "server/" + header[:-2] + ".c"):
        if path not in files:
            continue
        for _, local, system in includes(read(root, path)):
            if system == "uv.h" or (local or "").startswith("runtime/"):
                return True
    return False


def room_may_include(root, files, room, target, header):
    if target == room:
        return True
    if room == "supervisor":
        return target in SUPERVISOR_SEES or (target == "net" and not needs_the_loop(root, files, header))
    return FLOOR[target] < FLOOR[room]


def check_rooms(root, files):
    findings = []
    for path in select(files, ".c", ".h", under="server/"):
        parts = path.split("/")
        if len(parts) < 3:
            continue  # main.c sees everything
        room = parts[1]
        part = "/".join(parts[1:-1])
        if room not in FLOOR:
            findings.append(f"{path}:1: {room} is not a room of the design")
            continue
        for line, local, system in includes(read(root, path)):
            target = (local or "").split("/")[0]
            if target in FLOOR and not room_may_include(root, files, room, target, local):
                findings.append(f"{path}:{line}: {room} may not include {local}")
            elif local and target not in FLOOR and target != "casgi":
                findings.append(f'{path}:{line}: write "room/file.h", not "{local}"')
            for library, rooms in LIBRARIES.items():
                if re.fullmatch(library, system or "") and not {room, part} & rooms:
                    findings.append(f"{path}:{line}: {room} may not include <{system}>")
    return findings


def check_abi(root, files):
    """The ABI's headers include nothing but three of libc's and each other."""
    findings = []
    for path in select(files, ".h", under="abi/"):
        for line, local, system in includes(read(root, path)):
            if system and system not in ("stddef.h", "stdint.h", "stdbool.h"):
                findings.append(f"{path}:{line}: the ABI includes <{system}>")
            if local and "abi/casgi/" + local not in files:
                findings.append(f'{path}:{line}: the ABI includes "{local}", which is not beside it')
    return findings


# --- calls we do without ---

BANNED = re.compile(r"(?<![\w.>])(v?sprintf|strcpy|strcat|atoi|atol|gets|alloca|strtok)\s*\(")


def check_banned(root, files):
    findings = []
    for path in ours(select(files, ".c", ".h", ".cpp")):
        code = code_of(read(root, path))
        for match in BANNED.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            findings.append(f"{path}:{line}: {match.group(1)} is banned")
    return findings


# --- lengths ---

FUNCTION_LINES, FILE_LINES, EXAMPLE_LINES = 80, 800, 150
# Switches over states may be longer; each is listed here as "path:function".
LONG_SWITCHES = set()


def functions_of(code):
    """(name, line, lines) of each function; our style puts both of its braces into the first column."""
    lines = code.split("\n")
    start = None
    for number, text in enumerate(lines):
        if text == "{":
            start = number
        elif text.startswith("}") and start is not None:
            yield name_above(lines, start), start + 1, number - start + 1
            start = None


def name_above(lines, brace):
    head = ""
    for text in reversed(lines[max(0, brace - 12):brace]):
        head = text + " " + head
        if text[:1].strip() and text[:1] not in "#}":
            break
    match = re.search(r"(\w+)\s*\(", head)
    return match.group(1) if match else "?"


def check_lengths(root, files):
    findings = []
    for path in ours(select(files, ".c", ".h", ".cpp", ".py")):
        text = read(root, path)
        limit = EXAMPLE_LINES - 1 if path.startswith("examples/") else FILE_LINES
        if text.count("\n") > limit:
            findings.append(f"{path}:1: {text.count(chr(10))} lines; at most {limit}")
        if path.endswith(".py"):
            continue
        for name, line, lines in functions_of(code_of(text)):
            table_of_tests = name == "main" and path.startswith("tests/unit/")
            if lines > FUNCTION_LINES and f"{path}:{name}" not in LONG_SWITCHES and not table_of_tests:
                findings.append(f"{path}:{line}: {name} has {lines} lines; at most {FUNCTION_LINES}")
    return findings


# --- the root, and plain text ---

ROOT = {"CMakeLists.txt", "server", "abi", "apps", "examples", "tests", "README.md", ".ci", ".clang-format",
        ".clang-tidy", ".editorconfig", ".gitignore", "CMakePresets.json", "LICENSE", "CHANGELOG.md", "dev"}


def check_root(_root, files):
    found = {path.split("/")[0] for path in files}
    return ([f"{name}:1: does not belong into the root" for name in sorted(found - ROOT)] +
            [f"{name}:1: is missing from the root" for name in sorted(ROOT - found)])


TEXT = (".c", ".h", ".cpp", ".py", ".md", ".txt", ".json", ".in", ".cmake", "dev", ".ci/run")


def check_text(root, files):
    findings = []
    for path in select(files, *TEXT):
        if path.startswith("tests/fuzz/") and not path.endswith((".c", ".txt")):
            continue  # a corpus is bytes
        text = read(root, path)
        if text and not text.endswith("\n"):
            findings.append(f"{path}:{text.count(chr(10)) + 1}: no newline at the end")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip() or "\r" in line:
                findings.append(f"{path}:{number}: white space at the end of the line")
            if "\t" in line:
                findings.append(f"{path}:{number}: a tab")
    return findings


RULES = {"rooms": check_rooms, "abi": check_abi, "banned": check_banned, "lengths": check_lengths,
         "root": check_root, "text": check_text}
