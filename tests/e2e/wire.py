"""HTTP/1.1 as it is on the wire: a client that sends what it is told and reads responses strictly. It never retries and
never mends anything: a byte out of place fails the test."""

import errno
import socket
import time

import support

QUIET = 0.2  # seconds without a byte that are taken as proof that none comes


class Response:
    """status, reason, fields (pairs, names in lower case), body, chunks (None: not chunked), trailers, interim (the
    responses of the 1xx kind before it)."""

    def __init__(self, head):
        line, *fields = head.decode("latin-1").split("\r\n")
        version, status, self.reason = line.split(" ", 2)
        if version != "HTTP/1.1" or len(status) != 3:
            raise AssertionError(f"no status line: {line!r}")
        self.status = int(status)
        self.fields = [parse_field(field) for field in fields]
        self.body, self.chunks, self.trailers, self.interim = b"", None, [], []

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def get(self, name):
        """The value of the one field of that name; None if there is none."""
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{name} comes {len(values)} times: {values}")
        return values[0] if values else None


def parse_field(line):
    name, colon, value = line.partition(": ")
    if not colon or not name or name != name.strip() or any(c in line for c in "\r\n\0"):
        raise AssertionError(f"no header field: {line!r}")
    return name.lower(), value


class Connection:
    """A raw connection. `with Connection(server) as c: c.send(b"..."); c.response()`."""

    def __init__(self, server, receive_buffer=None, address=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in (address or " ")[0] else socket.AF_INET
        self.sock = socket.socket(family)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if family != socket.AF_UNIX else None
        self.sock.settimeout(support.PATIENCE)
        try:
            self.sock.connect(address or ("127.0.0.1", server.port))
        except OSError:
            self.sock.close()
            raise
        self.data = b""  # received, not yet used

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def finish(self):
        """Says that nothing more is sent (FIN)."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
        return self

    def reset(self):
        """Vanishes (RST)."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def _more(self):
        part = self.sock.recv(65536)
        self.data += part
        return part

    def until(self, marker):
        """The bytes up to the marker and with it."""
        while marker not in self.data:
            if not self._more():
                raise AssertionError(f"the connection ended before {marker!r}: {self.data!r}")
        end = self.data.index(marker) + len(marker)
        taken, self.data = self.data[:end], self.data[end:]
        return taken

    def exactly(self, size):
        while len(self.data) < size:
            if not self._more():
                raise AssertionError(f"the connection ended {size - len(self.data)} bytes early: {self.data!r}")
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def response(self, method="GET"):
        """The next final response, whole."""
        interim = []
        while True:
            response = Response(self.until(b"\r\n\r\n")[:-4])
            if response.status >= 200:
                break
            interim.append(response)
        response.interim = interim
        self._read_body(response, method)
        return response

    def _read_body(self, response, method):
        length, coding = response.get("content-length"), response.get("transfer-encoding")
        if length is not None and coding is not None:
            raise AssertionError("both content-length and transfer-encoding")
        if method == "HEAD" or response.status in (204, 304):
            return
        if coding is not None:
            if coding != "chunked":
                raise AssertionError(f"transfer-encoding is {coding!r}")
            self._read_chunks(response)
        elif length is not None:
            response.body = self.exactly(int(length))
        else:
            response.body = self.rest()

    def chunk(self):
        """The next chunk's bytes; b"": the last one, without its trailers."""
        line = self.until(b"\r\n")[:-2]
        size = int(line, 16)
        if line != b"%x" % size:
            raise AssertionError(f"a chunk's size is written {line!r}")
        data = self.exactly(size)
        if size and self.exactly(2) != b"\r\n":
            raise AssertionError("a chunk is longer than its size")
        return data

    def _read_chunks(self, response):
        response.chunks = list(iter(self.chunk, b""))
        response.body = b"".join(response.chunks)
        while (line := self.until(b"\r\n")[:-2].decode("latin-1")):
            response.trailers.append(parse_field(line))

    def head(self):
        """The head of the next response alone."""
        return Response(self.until(b"\r\n\r\n")[:-4])

    def rest(self):
        """All bytes until the server ends the connection in good order."""
        while self._more():
            pass
        taken, self.data = self.data, b""
        return taken

    def ended(self):
        """How the server ended the connection, without another byte: "closed" or "reset". Ends our side as well."""
        try:
            data = self.rest()
            self.finish()
        except ConnectionResetError:
            return "reset"
        if data:
            raise AssertionError(f"more bytes came: {data!r}")
        return "closed"

    def quiet(self, seconds=QUIET):
        """Whether not a byte comes for so long, and no end either."""
        if self.data:
            return False
        self.sock.settimeout(seconds)
        try:
            self._more()
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(support.PATIENCE)

    def push(self, data, most, patience=1.0):
        """Sends `data` again and again, up to `most` bytes, until none was taken for `patience` seconds; how many were."""
        taken, deadline = 0, time.monotonic() + patience
        self.sock.setblocking(False)
        try:
            while taken < most and time.monotonic() < deadline:
                try:
                    taken += self.sock.send(data[taken % len(data):])
                    deadline = time.monotonic() + patience
                except BlockingIOError:
                    time.sleep(0.01)
        finally:
            self.sock.settimeout(support.PATIENCE)
        return taken


def get(target="/", *fields, method="GET", version="1.1", host="test"):
    """The bytes of a request without a body."""
    lines = [f"{method} {target} HTTP/{version}", *([f"Host: {host}"] if host else []), *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(target, body, *fields):
    return get(target, *fields, f"Content-Length: {len(body)}", method="POST") + body


def chunked(*chunks, trailers=b""):
    """A body in chunks, with the last one."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"
