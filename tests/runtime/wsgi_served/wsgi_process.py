"""A WSGI server in a process of its own, for tests that talk to it as strangers do: over the wire.

usage: python wsgi_process.py greenscope|gevent [CERTIFICATE]       says its port on stdout, ends with its stdin

The application is many small ones, by path; each does one thing that a server has to cope with.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

seen: list[str] = []
closed: list[str] = []
body_of_file = bytes(range(256)) * 1000


class Closing:
    """An iterable that notes when it is closed."""

    def __init__(self, name, parts):
        self.name = name
        self.parts = iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        part = next(self.parts)
        if isinstance(part, Exception):
            raise part
        return part

    def close(self):
        closed.append(self.name)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def plain(start_response, body, status="200 OK", headers=()):
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers])
    return [body]


def as_json(start_response, value):
    return plain(start_response, json.dumps(value).encode())


def application(environ, start_response):  # noqa: C901  (a table, a page a line or a few)
    path = environ["PATH_INFO"]
    stream = environ["wsgi.input"]
    if path != "/seen":
        seen.append(path)
    text = [("Content-Type", "text/plain")]
    match path:
        case "/hello":
            return plain(start_response, b"hello")
        case "/seen":
            return as_json(
                start_response,
                {"seen": seen, "closed": closed, "descriptors": descriptors()},
            )
        case "/forget":
            seen.clear()
            closed.clear()
            return plain(start_response, b"")
        case "/environ":
            return as_json(
                start_response, {name: value for name, value in environ.items() if isinstance(value, str | bool)}
            )
        case "/echo":
            return plain(start_response, stream.read())
        case "/bits":
            got = []
            while part := stream.read(3):
                got.append(part.decode("latin-1"))
            return as_json(start_response, got)
        case "/some":
            return plain(start_response, stream.read(3))
        case "/lines":
            first = stream.readline()
            second = stream.readline(2)
            third = next(iter(stream), b"")
            rest = stream.readlines()
            return as_json(start_response, [line.decode("latin-1") for line in (first, second, third, *rest)])
        case "/over":  # past the end of the body there is nothing, and no waiting
            return as_json(
                start_response, [len(stream.read()), len(stream.read()), len(stream.read(10)), len(stream.readline())]
            )
        case "/ignore":
            return plain(start_response, b"ignored")
        case "/parts":
            start_response("200 OK", text)
            return Closing("/parts", [b"a", b"", b"bb", b"ccc"])
        case "/empty":
            start_response("200 OK", text)
            return Closing("/empty", [])
        case "/none":
            start_response("204 No Content", [])
            return Closing("/none", [])
        case "/unchanged":
            start_response("304 Not Modified", [("ETag", '"x"')])
            return []
        case "/write":
            write = start_response("200 OK", text)
            write(b"one ")
            write(b"two ")
            return [b"three"]
        case "/error":
            raise RuntimeError("the application's own mistake")
        case "/late-error":
            start_response("200 OK", text)
            return Closing("/late-error", [b"begun", RuntimeError("after the beginning")])
        case "/early-error":
            start_response("200 OK", text)
            return Closing("/early-error", [RuntimeError("before the first byte")])
        case "/second-thoughts":
            start_response("200 OK", text)
            try:
                raise ValueError("second thoughts")
            except ValueError:
                start_response("503 Service Unavailable", [*text, ("Content-Length", "5")], sys.exc_info())
            return [b"sorry"]
        case "/never-started":
            return [b"no start_response"]
        case "/twice":
            start_response("200 OK", text)
            start_response("200 OK", text)
            return [b"twice"]
        case "/too-little":
            start_response("200 OK", [*text, ("Content-Length", "10")])
            return Closing("/too-little", [b"abc"])
        case "/too-much":
            start_response("200 OK", [*text, ("Content-Length", "3")])
            return Closing("/too-much", [b"abc", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
        case "/split":
            start_response("200 OK", [*text, ("X-Split", "a\r\nX-Injected: yes")])
            return [b"split"]
        case "/text":
            start_response("200 OK", text)
            return ["text, not bytes"]
        case "/latin":
            return plain(start_response, b"", headers=[("X-Latin", "caf\xe9")])
        case "/file":
            start_response("200 OK", [("Content-Length", str(len(body_of_file)))])
            return environ["wsgi.file_wrapper"](io.BytesIO(body_of_file), 4096)
        case "/real-file":
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](open(__file__, "rb"))
        case "/big":
            start_response("200 OK", text)
            return Closing("/big", [b"x" * 65536] * 64)
        case "/slow":
            start_response("200 OK", text)
            return Closing("/slow", (sleeping() for _ in range(50)))
        case _:
            return plain(start_response, b"no such page", "404 Not Found")


def sleeping():
    sleep(0.02)
    return b"tick "


if sys.argv[1] == "gevent":
    from gevent import sleep, spawn
    from gevent.os import tp_read
    from gevent.pywsgi import WSGIServer
else:
    from greenscope.runtime import sleep, spawn
    from greenscope.runtime.os import tp_read
    from greenscope.runtime.wsgi import WSGIServer

server = WSGIServer(("127.0.0.1", 0), application, log=None, **({"certfile": sys.argv[2]} if sys.argv[2:] else {}))
server.start()
print(server.server_port, flush=True)
spawn(lambda: (tp_read(0, 1), server.stop(1)))
server.serve_forever()
