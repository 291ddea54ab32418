"""The servers that are compared: how each is started, and what it used up."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("CASGI_BUILD") or os.path.join(ROOT, "build")
CASGI = os.path.join(BUILD, "casgi")
SERVER_CORE, LOAD_CORE = ({0}, {1}) if os.cpu_count() > 1 else ({0}, {0})
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 60
work = tempfile.mkdtemp(prefix="casgi-bench-")
os.chmod(work, 0o755)  # h2o started by root reads its file as nobody


def compile_c(source, target, *flags):
    subprocess.run([os.environ.get("CC", "cc"), "-O2", source, "-o", target, *flags], check=True)
    return target


def compile_module(source, target):
    return compile_c(source, target, "-shared", "-fPIC", "-fvisibility=hidden", "-I" + os.path.join(ROOT, "abi"))


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def spawn(command, cores, **options):
    """Starts a program that inherits this process's place on the cores."""
    os.sched_setaffinity(0, cores)
    try:
        return subprocess.Popen(command, **options)
    finally:
        os.sched_setaffinity(0, LOAD_CORE)


def children_of(pid):
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    found += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


class Server:
    """A running server, on core 0 unless told otherwise; .port is where it answers."""

    def __init__(self, kind, task, wrapper=(), ready=True, cores=None):
        self.kind, self.task, self.wrapper = kind, task, list(wrapper)
        self.port = free_port()
        self.folder = tempfile.mkdtemp(dir=work)
        os.chmod(self.folder, 0o755)
        self.errors = open(os.path.join(self.folder, "stderr"), "w+b")
        self.output = open(os.path.join(self.folder, "stdout"), "wb")
        command = [*self.wrapper, *kind.command(self, task)]
        self.began = time.monotonic()
        self.process = spawn(command, cores or SERVER_CORE, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.errors,
                             cwd=self.folder)
        if ready:
            self.wait_ready()

    def wait_ready(self):
        """Returns the seconds from the start to the first answer."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.get()
                return time.monotonic() - self.began
            except OSError:
                time.sleep(0.0001)
        self.errors.seek(0)
        said = self.errors.read().decode("utf-8", "replace").strip()
        self.stop()
        raise RuntimeError(f"{self.kind.name} does not answer: {said[-300:]}")

    def get(self, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise OSError(error) from error
        finally:
            connection.close()

    def cpu(self):
        """Seconds of CPU time of all its processes so far (utime + stime)."""
        ticks = 0
        for pid in children_of(self.process.pid):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
            except OSError:
                pass
        return ticks / TICKS

    def memory(self, table, *names):
        """Bytes of the named lines of /proc/PID/TABLE, over all its processes."""
        total = 0
        for pid in children_of(self.process.pid):
            try:
                with open(f"/proc/{pid}/{table}", encoding="ascii", errors="replace") as file:
                    total += sum(int(line.split()[1]) * 1024 for line in file if line.split(":")[0] in names)
            except OSError:
                pass
        return total

    def private(self):
        return self.memory("smaps_rollup", "Private_Clean", "Private_Dirty")

    def peak(self):
        return self.memory("status", "VmHWM")

    def stop(self):
        """Ends it; strace ends with the program that it watches, valgrind is that program."""
        pids = children_of(self.process.pid)
        watched = self.wrapper[:1] == ["strace"] and len(pids) > 1
        os.kill(pids[1] if watched else pids[0], signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            for pid in children_of(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.errors.close()
        self.output.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()


class Kind:
    """A server one could pick: its name, the tasks it can do, whether it is here, and its command line."""

    def __init__(self, name, tasks, needs, command):
        self.name, self.tasks, self.needs, self.command = name, tasks, needs, command

    def present(self):
        return shutil.which(self.needs) is not None and (self.needs != PYTHON or has_module("uvicorn", "uvloop"))


PYTHON = "/usr/bin/python3"


def has_module(*names):
    return subprocess.run([PYTHON, "-c", "import " + ", ".join(names)], capture_output=True, check=False).returncode == 0


def casgi_command(*options):
    def command(server, task):
        module = {"hello": "examples/hello.so", "json": "examples/json.so", "echo": "examples/echo.so"}.get(task)
        path = os.path.join(BUILD, module) if module else compile_module(os.path.join(HERE, task + ".c"),
                                                                        os.path.join(server.folder, task + ".so"))
        return [CASGI, path, "--port", str(server.port), "--timeout-keep-alive", "600", *options]
    return command


def limit_command(server, task):
    program = os.path.join(work, "limit")
    if not os.path.exists(program):
        compile_c(os.path.join(HERE, "limit.c"), program)
    return [program, str(server.port)] + (["100"] if task == "wait" else [])


def configured(server, name):
    """The peer's configuration with its port and folder filled in."""
    with open(os.path.join(HERE, "peers", name), encoding="utf-8") as file:
        text = file.read().replace("PORT", str(server.port)).replace("FOLDER", server.folder)
    path = os.path.join(server.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(server.folder, "hello.txt"), "w", encoding="utf-8") as file:
        file.write("Hello, World!")
    return path


def nginx_command(server, _task):
    return ["nginx", "-p", server.folder, "-c", configured(server, "nginx.conf")]


def h2o_command(server, _task):
    return ["h2o", "-m", "worker", "-c", configured(server, "h2o.conf")]


def uvicorn_command(server, task):
    app = {"json": "json_again"}.get(task, task)
    return [PYTHON, "-B", "-m", "uvicorn", "--app-dir", os.path.join(HERE, "peers"), "--loop", "uvloop", "--http", "httptools",
            "--no-access-log", "--log-level", "error", "--timeout-keep-alive", "600", "--backlog", "4096",
            "--port", str(server.port), "peer:" + app]


def fastapi_command(server, _task):
    return uvicorn_command(server, "fast_wait")


def node_command(server, task):
    return ["node", os.path.join(HERE, "peers", "peer.js"), str(server.port), task]


def go_command(server, _task):
    program = os.path.join(work, "peer-go")
    if not os.path.exists(program):
        subprocess.run(["go", "build", "-o", program, os.path.join(HERE, "peers", "peer.go")], check=True,
                       env={**os.environ, "GO111MODULE": "off", "GOCACHE": os.path.join(work, "go")})
    return [program, str(server.port)]


LIMIT = Kind("limit", {"hello", "json", "echo", "wait"}, "cc", limit_command)
OURS = Kind("casgi", {"hello", "json", "echo", "wait", "primitives"}, CASGI, casgi_command("--no-access-log", "--log-level", "warning"))
LOGGED = Kind("casgi, access log", {"hello"}, CASGI, casgi_command("--access-log"))
PEERS = [
    Kind("nginx", {"hello"}, "nginx", nginx_command),
    Kind("h2o", {"hello"}, "h2o", h2o_command),
    Kind("node", {"hello", "json", "echo", "wait"}, "node", node_command),
    Kind("uvicorn", {"hello", "json", "echo", "wait"}, PYTHON, uvicorn_command),
    Kind("uvicorn + FastAPI", {"wait"}, PYTHON, fastapi_command),
    Kind("Go net/http", {"wait"}, "go", go_command),
]
