"""Clients that ask all the time, on kept and on new connections, and never try again: what fails is a failed request."""

import socket
import threading

from support import PATIENCE


class LostRequest(Exception):
    pass


class Connection:
    """One HTTP/1.1 connection, of the plain kind: content-length answers, no pipelining."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def close(self):
        self.sock.close()

    def _more(self):
        part = self.sock.recv(65536)
        if not part:
            raise LostRequest(f"closed in the middle of an answer, after {self.rest!r}")
        self.rest += part

    def get(self, path="/"):
        """(status, body, whether the server will close)"""
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        length = int(fields["content-length"])
        while len(self.rest) < length:
            self._more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return int(lines[0].split()[1]), body, fields.get("connection", "").lower() == "close"


class Load:
    """`with Load(port, kept=4, new=2) as load: ...`; then load.failures, load.answered."""

    def __init__(self, port, kept, new):
        self.port = port
        self.failures = []
        self.answered = 0
        self.reopened = 0
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(keep,)) for keep in [True] * kept + [False] * new]

    def _ask(self, connection):
        status, body, closing = connection.get()
        if status != 200:
            raise LostRequest(f"answered with {status}: {body!r}")
        with self.lock:
            self.answered += 1
        return closing

    def _run(self, keep):
        connection = None
        try:
            while not self.ending.is_set():
                if connection is None:
                    connection = Connection(self.port)
                if self._ask(connection) or not keep:
                    connection.close()
                    connection = None
                    with self.lock:
                        self.reopened += 1
        except (OSError, LostRequest, ValueError) as error:
            with self.lock:
                self.failures.append(f"{'kept' if keep else 'new'}: {error!r}")
        finally:
            if connection is not None:
                connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.ending.set()
        for thread in self.threads:
            thread.join(PATIENCE)
