"""What the tests of the kit share: probes linked with it, and a PostgreSQL cluster of their own."""

import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import support
from served import APPS


def libraries():
    """What a module that uses the kit is linked with."""
    with open(os.path.join(support.BUILD, "casgi-kit.pc"), encoding="utf-8") as file:
        line = re.search(r"^Libs: (.*)$", file.read(), re.MULTILINE).group(1)
    return [os.path.join(support.BUILD, "libcasgi_kit.a"), *line.split()[2:]]


def build(folder, name):
    """tests/e2e/apps/NAME.c as folder/NAME.so."""
    target = os.path.join(folder, name + ".so")
    subprocess.run(["cc", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-Bsymbolic,--exclude-libs,ALL", "-g", "-Wall",
                    "-Wextra", "-Werror", "-I" + support.ABI, "-I" + os.path.join(support.SOURCE, "apps", "kit"),
                    os.path.join(APPS, name + ".c"), "-o", target, *libraries()], check=True)
    return target


def needs(part, example):
    """Skips a test where the kit was built without that part."""
    return unittest.skipUnless(os.path.exists(support.example(example)), f"the kit has no {part} here")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def programs():
    """The folder of PostgreSQL's server programs; None if there is none."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda path: int(path.split("/")[4]))
    on_path = shutil.which("postgres")
    return os.path.dirname(found[-1]) if found else os.path.dirname(os.path.realpath(on_path)) if on_path else None


class Asking:
    """For a test case with ask(): asking while something else is done."""

    def in_background(self, *asked, **how):
        """Asks in a thread; the result is in .answer after join()."""
        thread = threading.Thread(target=lambda: setattr(thread, "answer", self.ask(*asked, **how)), daemon=True)
        thread.answer = None
        thread.start()
        return thread

    def join(self, thread):
        thread.join(support.PATIENCE)
        self.assertIsNotNone(thread.answer, "no answer came")
        return thread.answer


class Cluster:
    """A PostgreSQL server with data of its own in a temporary folder, on a Unix socket in it, and on a loopback port if
    the tests want TLS. PostgreSQL refuses to be run by root: then it is the user postgres, or nobody."""

    def __init__(self, tls=False):
        self.bin = programs()
        if not self.bin:
            raise unittest.SkipTest("there is no PostgreSQL server here")
        self.folder = tempfile.mkdtemp(prefix="casgi-pg-")
        self.data = os.path.join(self.folder, "data")
        self.who = self._who()
        self.tls = tls
        self.port = None
        self.process = None
        if self.who:
            os.chown(self.folder, self.who.pw_uid, self.who.pw_gid)
        try:
            self._run("initdb", "-D", self.data, "-U", "casgi", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
            if tls:
                self._prepare_tls()
            self.start()
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _who():
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                pass
        raise unittest.SkipTest("there is no user that PostgreSQL could be run by")

    def _how(self):
        how = {"cwd": self.folder, "env": {"PATH": os.environ["PATH"], "HOME": self.folder, "LC_ALL": "C"},
               "stdin": subprocess.DEVNULL}
        if self.who:
            how.update(user=self.who.pw_uid, group=self.who.pw_gid, extra_groups=[])
        return how

    def _run(self, program, *arguments, patience=120):
        done = subprocess.run([os.path.join(self.bin, program), *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=patience, check=False, **self._how())
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode:
            raise AssertionError(f"{program} ended with {done.returncode}:\n{text}")
        return text

    def _prepare_tls(self):
        certificate, key = os.path.join(self.data, "server.crt"), os.path.join(self.data, "server.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days",
                        "2", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        os.chmod(key, 0o600)
        if self.who:
            os.chown(key, self.who.pw_uid, self.who.pw_gid)
            os.chown(certificate, self.who.pw_uid, self.who.pw_gid)
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as file:
            file.write("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")

    def start(self):
        """Starts it, and waits until it answers; on another port if somebody took the first."""
        for _ in range(5):
            self.port = self.port or (free_port() if self.tls else 5432)
            options = ["-c", f"listen_addresses={'127.0.0.1' if self.tls else ''}", "-c", f"port={self.port}",
                       "-c", f"ssl={'on' if self.tls else 'off'}", "-c", "fsync=off", "-c", "max_connections=60",
                       "-c", f"unix_socket_directories={self.folder}"]
            with open(os.path.join(self.folder, "log"), "ab") as log:
                self.process = subprocess.Popen([os.path.join(self.bin, "postgres"), "-D", self.data, *options],
                                                stdout=log, stderr=log, start_new_session=True, **self._how())
            support.wait_until(lambda: self.process.poll() is not None or self._answers(), "PostgreSQL to answer")
            if self.process.poll() is None:
                return
            self.port = None
        raise AssertionError("PostgreSQL does not start:\n" + self.log())

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def _answers(self):
        done = subprocess.run([os.path.join(self.bin, "pg_isready"), "-q", "-h", self.folder, "-p", str(self.port)],
                              check=False, timeout=support.PATIENCE, **self._how())
        return done.returncode == 0

    def stop(self, how=signal.SIGINT):
        """SIGINT: its clients are told and closed; SIGQUIT: at once."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(support.PATIENCE)

    def remove(self):
        try:
            self.stop(signal.SIGQUIT)
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait(support.PATIENCE)
            shutil.rmtree(self.folder, ignore_errors=True)

    def conninfo(self, **more):
        words = {"host": self.folder, "port": self.port, "user": "casgi", "dbname": "postgres", **more}
        return " ".join(f"{key}={value}" for key, value in words.items())

    def sql(self, text):
        """Lines of values separated by "|", as psql prints them, on a connection of its own."""
        return self._run("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(), "-c",
                         text).splitlines()

    def running(self, what):
        """How many sessions of the probe are at a statement that contains this."""
        return int(self.sql("select count(*) from pg_stat_activity where application_name = 'probe' and state = 'active'"
                            f" and query like '%{what}%'")[0])


class Session:
    """A psql of the test's own, which keeps what it holds (locks) until it is closed."""

    def __init__(self, cluster):
        self.process = subprocess.Popen([os.path.join(cluster.bin, "psql"), "-X", "-A", "-t", "-q", "-d",
                                         cluster.conninfo()], stdout=subprocess.PIPE,
                                        **{**cluster._how(), "stdin": subprocess.PIPE})

    def run(self, sql):
        """Runs it and waits until it is done."""
        self.process.stdin.write(f"{sql};\n\\echo done\n".encode())
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError("psql ended")
            if line == b"done\n":
                return

    def close(self):
        self.process.stdin.close()
        self.process.wait(support.PATIENCE)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
