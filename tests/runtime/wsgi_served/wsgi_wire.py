"""A client of ``wsgi_process``: sends bytes, reads answers, goes away; and how requests are written.

Plain sockets that block, TLS or not: what is asserted with them is what a proxy or an attacker would notice.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO

import pytest

HERE = Path(__file__).parent
CERTIFICATE = str(HERE.parent / "localhost.pem")
KIND = os.environ.get("WSGI_SERVER", "greenscope")
SECONDS = 10


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    version: int


class Connection:
    """A client that sends what it is told and reads what it gets."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")

    def makefile(self, mode: str) -> Connection:
        return self  # all of its answers come from one buffer

    def __getattr__(self, name):
        return getattr(self.file, name)

    def close(self) -> None:
        """HTTPResponse closes what it reads; the connection goes on."""

    def flush(self) -> None:
        pass

    def send(self, *parts: bytes) -> Connection:
        for part in parts:
            self.socket.sendall(part)
        return self

    def answer(self, method: str = "GET") -> Answer:
        response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]
        response.begin()
        return Answer(response.status, response.headers, response.read(), response.version)

    def ended(self) -> bool:
        """Whether the server has closed it and sent nothing more."""
        try:
            return self.file.read(1) == b""
        except (ConnectionResetError, ssl.SSLEOFError):
            return True

    def half_close(self) -> None:
        """Send no more; the answers are still read."""
        if isinstance(self.socket, ssl.SSLSocket):
            pytest.skip("a TLS connection of Python's cannot be closed half")
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Go away without a word."""
        self.file.close()
        raw = socket.socket(fileno=self.socket.detach())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    def rest(self) -> bytes:
        try:
            return self.file.read()
        except ConnectionResetError:
            return b""

    def end(self) -> None:
        self.file.close()
        self.socket.close()


class Server:
    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.scheme = scheme
        self.tls = ssl.create_default_context(cafile=CERTIFICATE) if scheme == "https" else None
        self.connections: list[Connection] = []

    def connect(self) -> Connection:
        self.connections.append(Connection(self.port, self.tls))
        return self.connections[-1]

    def ask(self, data: bytes, method: str = "GET") -> Answer:
        return self.connect().send(data).answer(method)

    def get(self, path: str) -> Answer:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    def noted(self) -> dict:
        return json.loads(self.get("/seen").body)

    def comes(self, condition: Callable[[dict], bool]) -> bool:
        """Whether what the server notes comes to this; asked again and again, because it ends on its own time."""
        end = monotonic() + SECONDS
        while not condition(self.noted()):
            if monotonic() > end:
                return False
            self.hang_up()
        return True

    def hang_up(self) -> None:
        while self.connections:
            self.connections.pop().end()


def request(path: str, *headers: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: x", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def post(path: str, body: bytes, *headers: str) -> bytes:
    return request(path, f"Content-Length: {len(body)}", *headers, method="POST", body=body)


def chunked(path: str, *chunks: bytes, trailer: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return request(path, "Transfer-Encoding: chunked", method="POST", body=body + b"0\r\n" + trailer + b"\r\n")


def said(errors: IO[str]) -> str:
    errors.seek(0)
    return errors.read()


@contextmanager
def serving(scheme: str) -> Iterator[Server]:
    """``wsgi_process``, serving over HTTP or HTTPS; it has to stop in good order."""
    command = [
        sys.executable,
        str(HERE / "wsgi_process.py"),
        KIND,
        *([CERTIFICATE] if scheme == "https" else []),
    ]
    with (
        TemporaryFile("w+") as errors,  # not a pipe, which nobody would empty
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as started,
    ):
        try:
            assert started.stdout is not None
            line = started.stdout.readline()
            assert line, said(errors)
            server = Server(int(line), scheme)
            yield server
            server.hang_up()
            started.communicate("x", timeout=SECONDS)
            assert started.returncode == 0, said(errors)
        finally:
            started.kill()
