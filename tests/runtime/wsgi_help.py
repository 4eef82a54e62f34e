"""What the tests of the WSGI server share: a server, and a client that sends bytes and reads bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import greenscope.runtime as runtime
from greenscope.runtime import socket
from greenscope.runtime.wsgi import WSGIServer

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers with the request's body."""
    data = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [data]


@contextmanager
def serving(application: Any, kind: type[WSGIServer] = WSGIServer, **arguments: Any) -> Iterator[Any]:
    """A server that is stopped afterwards; ``errors`` and ``lines`` are what it wrote."""
    errors, lines = io.StringIO(), io.StringIO()
    arguments = {"log": lines, "error_log": errors, **arguments}
    with kind(("127.0.0.1", 0), application, **arguments) as server:
        server.errors, server.lines = errors, lines
        server.start()
        yield server
    runtime.sleep(0)


def connect(server: Any) -> socket.socket:
    client = socket.create_connection(server.address)
    client.settimeout(20)
    return client


def read_all(client: Any) -> bytes:
    """What comes until the server closes the connection."""
    parts = []
    while data := client.recv(65536):
        parts.append(data)
    return b"".join(parts)


def ask(server: Any, *parts: bytes) -> bytes:
    """Send these, one after the other, and read until the server closes the connection."""
    with connect(server) as client:
        for part in parts:
            client.sendall(part)
            runtime.sleep(0)
        return read_all(client)


def head_and_body(answer: bytes) -> tuple[str, dict[str, str], bytes]:
    """The status, the headers by lowercase name, and what is left, of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return first.removeprefix("HTTP/1.1 "), {name.lower(): value for name, value in headers.items()}, body


def one_answer(file: Any) -> tuple[str, dict[str, str], bytes]:
    """The next answer on a connection that is kept: from ``client.makefile("rb")``, with a Content-Length."""
    lines = []
    while (line := file.readline()) not in {b"\r\n", b""}:
        lines.append(line)
    status, headers, _ = head_and_body(b"".join(lines) + b"\r\n")
    return status, headers, file.read(int(headers.get("content-length", "0")))
