"""The clients of the lessons: one that asks again and again, and many that ask at once."""

import contextlib
import http.client
import socket

from spans import parse

PATIENCE = 60


class Client:
    """One connection, kept alive."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def spans(self, path):
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise AssertionError(f"GET {path}: {response.status}")
        return parse(body)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.connection.close()


def loop_thread(port):
    with Client(port) as client:
        return client.spans("/ping")[0].thread


def answer_of(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise AssertionError(f"answered {head[:80]!r}")
    return body


def at_once(port, path, count):
    """The spans of so many requests, on as many connections, all sent before one answer is read."""
    request = f"GET {path} HTTP/1.1\r\nHost: lessons\r\nConnection: close\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(count)]
        for sock in socks:
            sock.sendall(request)
        return [span for sock in socks for span in parse(answer_of(sock))]
