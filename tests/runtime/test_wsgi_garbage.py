"""A connection that ends is freed at once, whatever became of it: a server must not live on its collector."""

from __future__ import annotations

import gc
import io

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import socket
from tests.runtime.wsgi_help import serving

HEAD = b" HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
MESSAGES = {
    "nothing": b"",
    "a page": b"GET /" + HEAD + b"\r\n",
    "pages": (b"GET /" + HEAD + b"\r\n") * 5,
    "an iterator's page": b"GET /pieces" + HEAD + b"\r\n",
    "an application that fails": b"GET /fails" + HEAD + b"\r\n",
    "a body": b"POST /" + HEAD + b"Content-Length: 3\r\n\r\nabc",
    "a body in chunks": b"POST /" + HEAD + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
    "a body that nobody reads": b"POST /pieces" + HEAD + b"Content-Length: 3\r\n\r\nabc",
    "a body that breaks off": b"POST /" + HEAD + b"Content-Length: 3\r\n\r\nab",
    "a bad chunk": b"POST /" + HEAD + CHUNKED + b"x\r\n",
    "a bad method": b"G@T /" + HEAD + b"\r\n",
    "a long line": b"GET /" + b"a" * 10_000 + HEAD + b"\r\n",
    "many headers": b"GET /" + HEAD + b"X: y\r\n" * 200 + b"\r\n",
    "half a head": b"GET / HT",
    "another protocol": b"GET /" + HEAD + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n",
}


def application(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise ValueError("the application's own mistake")
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/pieces":
        return iter([b"a", b"b"])
    return [environ["wsgi.input"].read()]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_connection_leaves_nothing_to_the_collector(message):
    with (
        serving(application, log=None, error_log=io.StringIO()) as server,
        socket.create_connection(server.address),  # there all the time, so that the server's clock does not end
    ):

        def talk() -> None:
            with socket.create_connection(server.address) as client:
                client.sendall(message)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            runtime.sleep(0)

        for _ in range(3):  # what is made once
            talk()
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                talk()
            assert gc.collect() == 0
        finally:
            gc.enable()
