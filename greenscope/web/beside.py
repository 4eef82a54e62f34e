"""The viewer beside an application: started once a host, asked through the application.

This runs in the traced process, so it is the standard library alone and holds nothing: no thread, no
connection, no child. What it does is start the viewer, a process of its own (``cli/beside.py``), and pass requests
on to it.

**One viewer** a trace directory, and so one a user, is a lock. Who finds ``viewer.lock`` free takes it, starts the
viewer and gives it the locked descriptor: from there on the kernel holds it for as long as the viewer lives. So
any number of processes may ask at once, before or after a fork, and a viewer that was killed is one that nobody has to
clean up after. ``viewer.json`` says where it listens, and its key; while the lock is held, it is that viewer's.

Nothing here waits for a viewer that starts: who asks meanwhile is told to ask again in a second.
"""

from __future__ import annotations

import hmac
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fcntl import F_DUPFD_CLOEXEC, LOCK_EX, LOCK_NB
from fcntl import fcntl as _fcntl
from fcntl import flock as _flock
from pathlib import Path

# Not from os, where patching puts others: these are over in a moment, and nobody else's child is waited for.
from posix import posix_spawn as _posix_spawn
from posix import waitpid as _waitpid
from typing import Any
from urllib.parse import quote

from greenscope.errors import GreenscopeError
from greenscope.trace.recorder import trace_directory
from greenscope.web.access import Answer, from_environment, page

__all__ = ["FACTS", "KEY_HEADER", "LOCK", "LOCK_FD", "PROOF_HEADER", "Viewer", "forward", "proof", "start", "stop"]

LOCK, FACTS, LOG = "viewer.lock", "viewer.json", "viewer.log"
LOCK_FD = 3
"""The descriptor of the lock, in the viewer."""
KEY_HEADER = "x-greenscope-key"
PROOF_HEADER = "x-greenscope-proof"

_METHODS = frozenset({"GET", "HEAD", "POST"})
_PASSED = ("accept", "content-type", "if-none-match", "if-modified-since")
_BROUGHT_BACK = frozenset(
    {
        "cache-control",
        "content-security-policy",
        "content-type",
        "cross-origin-resource-policy",
        "etag",
        "last-modified",
        "referrer-policy",
        "retry-after",
        "x-content-type-options",
    }
)
_MOST_ASKED, _MOST_ANSWERED = 1 << 16, 1 << 26
_CONNECT_SECONDS, _SILENT_SECONDS, _SECONDS = 1.0, 5.0, 15.0
_AGAIN = "again.js"
_STARTS, _STARTS_SECONDS = 3, 60.0
_ROOT = Path(__file__).parent.parent.parent
_started: list[float] = []


@dataclass(frozen=True, slots=True)
class Viewer:
    """The viewer that runs: where it listens on loopback, and the key of those who pass requests on."""

    port: int
    key: str
    pid: int


def start() -> Viewer | None:
    """See to it that this trace directory has its viewer; takes a few milliseconds, and waits for none.

    Returns:
        The viewer; None while it starts, which takes a second or two.

    Raises:
        GreenscopeError: it ends whenever it is started, or there is no interpreter to start it with.
        OSError: the trace directory cannot be used.
    """
    directory = trace_directory()
    fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    _held.add(fd)
    try:
        try:
            _flock(fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return _facts(directory)
        with suppress(FileNotFoundError):
            (directory / FACTS).unlink()
        _spawn(directory, fd)
        return None
    finally:
        _held.discard(fd)
        os.close(fd)


def stop() -> None:
    """End the viewer of this trace directory, if there is one; it is gone a moment later."""
    directory = trace_directory(create=False)
    with suppress(OSError):
        fd = os.open(directory / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            _flock(fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            viewer = _facts(directory)
            if viewer is not None:
                os.kill(viewer.pid, signal.SIGTERM)
        finally:
            os.close(fd)


def forward(
    method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes = b"", *, remote: str
) -> Answer:
    """Ask the viewer, for a client of the application, and bring back its answer.

    Never raises for what the client sent or the viewer did: that is an answer, too. It is over within 15 seconds,
    and brings at most 64 MiB. It waits in the sockets of the hub that the calling thread has, if it has one,
    whether or not the program is patched; else in the thread.

    Args:
        method: the request's.
        path: what follows the dashboard's base, decoded, with its slash: ``/`` is the page. (The page's addresses are
            relative: the base itself without its slash is for the caller to redirect.)
        query: the query string as it came.
        headers: the request's, all of them.
        body: at most 64 KiB.
        remote: the client's address, by the socket and not by a header: WSGI's REMOTE_ADDR.

    Returns:
        The status, the headers without ``content-length``, and the body; none for HEAD, 204 and 304.
    """
    given = [(name.lower(), value) for name, value in headers]
    as_page = any(name == "accept" and "text/html" in value for name, value in given)
    try:
        refused = from_environment(trace_directory).judge(remote, path, query, given)
        if refused is not None:
            return refused
        if method not in _METHODS:
            return page(405, f"{method} is not for the dashboard", as_page, [("allow", "GET, HEAD, POST")])
        if path == f"/{_AGAIN}":  # of the page that says so, and so not the viewer's
            again = b"setTimeout(() => location.reload(), 1000);\n"
            return Answer(200, [("content-type", "text/javascript"), ("cache-control", "no-store")], again)
        if not path.startswith("/"):
            return page(404, "there is nothing of the dashboard here", as_page)
        if len(body) > _MOST_ASKED:
            return page(413, f"{len(body)} bytes are more than the dashboard is ever sent", as_page)
        viewer = start()
        if viewer is None:
            return _later("the viewer is starting; this page asks again by itself", as_page)
        target = quote(path, safe="/:@!$&'()*+,;=~-._") + (f"?{query}" if query else "")
        passed = {name: value for name, value in given if name in _PASSED}
        return _ask(viewer, method, target, passed, body)
    except ConnectionError:
        return _later("the viewer is just ending, or starting; this page asks again by itself", as_page)
    except (http.client.InvalidURL, ValueError):
        return page(400, "this is no address", as_page)
    except http.client.HTTPException as error:
        return page(502, f"the viewer cannot be asked: it answers with {error!r}", as_page)
    except (OSError, GreenscopeError) as error:
        return page(502, f"the viewer cannot be asked: {error}", as_page)


def proof(key: str) -> str:
    """What an answer carries that is the viewer's, and not somebody else's who got its port."""
    return hmac.digest(key.encode(), b"greenscope viewer", "sha256").hex()


def _ask(viewer: Viewer, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    deadline = time.monotonic() + _SECONDS
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port)
    create, give_way = _of_the_hub()
    # Before anything is connected: its own way is that of the standard library's sockets.
    connection.sock = create(("127.0.0.1", viewer.port), _CONNECT_SECONDS)
    try:
        connection.sock.settimeout(_SILENT_SECONDS)
        sent = {**headers, KEY_HEADER: viewer.key, "connection": "close"}
        connection.request(method, target, body or None, sent)
        response = connection.getresponse()
        if not hmac.compare_digest(response.getheader(PROOF_HEADER, ""), proof(viewer.key)):
            raise GreenscopeError(f"what answers on port {viewer.port} is not it")
        parts: list[bytes] = []
        size = 0
        while part := response.read1(1 << 16):
            parts.append(part)
            size += len(part)
            give_way()  # megabytes of script come without a wait
            if size > _MOST_ANSWERED or time.monotonic() > deadline:
                raise GreenscopeError(f"its answer is too large, or comes too slowly: {size} bytes so far")
        kept = [(name.lower(), value) for name, value in response.getheaders() if name.lower() in _BROUGHT_BACK]
        return Answer(response.status, kept, b"".join(parts))
    finally:
        connection.close()


def _of_the_hub() -> tuple[Callable[[tuple[str, int], float], Any], Callable[[], object]]:
    """The ``create_connection`` that lets the others of this thread's hub go on, and what gives way to them.

    Looked up among what the program has loaded: nothing on this side of the data imports a runtime.
    """
    loaded: Mapping[str, Any] = sys.modules
    with suppress(KeyError, AttributeError):  # not loaded; another version
        if loaded["gevent._hub_local"].get_hub_if_exists() is not None:
            return loaded["gevent.socket"].create_connection, loaded["gevent"].sleep
    with suppress(KeyError, AttributeError):
        if loaded["greenscope.runtime.current"].current.hub is not None:
            return loaded["greenscope.runtime.socket"].create_connection, loaded["greenscope.runtime"].sleep
    return socket.create_connection, lambda: None


def _later(text: str, as_page: bool) -> Answer:
    # Where there is a fragment, as in a request's address, a browser takes a refresh as a jump within the page.
    headers = [("retry-after", "1"), *([("refresh", "1")] if as_page else [])]
    return page(503, text, as_page, headers, script=_AGAIN)


def _facts(directory: Path) -> Viewer | None:
    try:
        found = json.loads((directory / FACTS).read_bytes())
        return Viewer(int(found["port"]), str(found["key"]), int(found["pid"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # not there yet


def _spawn(directory: Path, lock: int) -> None:
    """Start the viewer: no child of this process, in no session of it, with none of its descriptors but the lock."""
    now = time.monotonic()
    recent = [at for at in _started if now - at < _STARTS_SECONDS]
    if len(recent) >= _STARTS:
        raise GreenscopeError(f"it ended {_STARTS} times after it was started; {directory / LOG} says why")
    if not sys.executable:
        raise GreenscopeError("it cannot be started: sys.executable names no interpreter")
    _started[:] = [*recent, now]
    unwanted = ("PYTHONWARNINGS", "PYTHONINSPECT", "PYTHONSTARTUP")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment.update(GREENSCOPE="0", GREENSCOPE_DIR=str(directory))  # it is not to trace itself
    # Last in the path: what the program's directory holds is to stand in for no module of the viewer's.
    code = f"import sys; sys.path.append({str(_ROOT)!r}); from greenscope.cli.beside import main; main()"
    python = [sys.executable, "-P", "-c", code, str(directory)]
    high = _fcntl(lock, F_DUPFD_CLOEXEC, 10)  # not LOCK_FD itself, which would close it on exec
    _held.add(high)
    try:
        log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        # A shell that ends at once makes the viewer init's child: nobody here has to wait for it, or sees it.
        pid = _posix_spawn(
            "/bin/sh",
            ["sh", "-c", '"$@" &', "sh", *python],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(directory / LOG), log, 0o600),
                (os.POSIX_SPAWN_DUP2, high, LOCK_FD),
            ],
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD],
        )
        with suppress(ChildProcessError):  # somebody waits for all children
            _waitpid(pid, 0)
    finally:
        _held.discard(high)
        os.close(high)


_held: set[int] = set()


def _let_go() -> None:
    """In a forked child: a lock that another thread of its parent was about to hand over would live on with it."""
    for fd in _held:
        with suppress(OSError):
            os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
