"""What the tests of gunicorn serve, under this runtime and under gevent: a WSGI application that says who answered."""

import fcntl
import hashlib
import os
import time
from pathlib import Path


def app(environ, start_response):
    """Answer with the worker's pid and what it got, in a time that the path says."""
    path = environ["PATH_INFO"]
    if path == "/work":
        time.sleep(0.01)
    elif path == "/long":
        time.sleep(0.7)
    elif path == "/forever":
        Path("waits").touch()
        time.sleep(1000)
    elif path == "/fails":
        raise ValueError("this application fails")
    elif path == "/lock":  # blocks the hub, until a signal's handler raises
        Path("hangs").touch()
        with open("locked", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
    elif path == "/hash":  # and this, whatever comes
        Path("hangs").touch()
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", (1 << 31) - 1)
    elif path == "/file":
        file = open(__file__, "rb")  # noqa: SIM115  (its wrapper closes it)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](file)
    elif path == "/streamed":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"%d\n" % number for number in range(3))
    got = len(environ["wsgi.input"].read())
    facts = [
        os.getpid(),
        environ.get("greenscope.request", "-"),
        environ["wsgi.url_scheme"],
        environ.get("REMOTE_ADDR", ""),
        got,
    ]
    body = " ".join(map(str, facts)).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
