"""The viewer beside an application, as processes that are traced start it and ask it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import httpx
import pytest

from greenscope.web import beside
from greenscope.web.access import Answer, token_of
from greenscope.web.beside import FACTS, LOCK, Viewer, forward, proof, start, stop

HERE = [("Host", "127.0.0.1:8000"), ("Accept", "text/html")]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests here: a viewer takes a second to start."""
    return tmp_path_factory.mktemp("beside") / "greenscope"


@pytest.fixture(autouse=True)
def here(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENSCOPE_DIR", str(directory))
    monkeypatch.setattr(beside, "_started", [])


@pytest.fixture(scope="module", autouse=True)
def ended(directory: Path) -> Iterator[None]:
    yield
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GREENSCOPE_DIR", str(directory))
        stop()


def running(seconds: float = 30) -> Viewer:
    deadline = time.monotonic() + seconds
    while (viewer := start()) is None:
        assert time.monotonic() < deadline, "no viewer started"
        time.sleep(0.02)
    return viewer


def get(path: str, query: str = "", remote: str = "127.0.0.1", headers: list[tuple[str, str]] = HERE) -> Answer:
    return forward("GET", path, query, headers, remote=remote)


ASKS = """
import sys, time
from greenscope.web import beside
sys.stdin.readline()
while (viewer := beside.start()) is None:
    time.sleep(0.02)
print(viewer.pid, len(set(sys.modules) & {"fastapi", "starlette", "numpy", "uvicorn", "plotly"}), flush=True)
"""


def test_many_processes_that_ask_at_once_get_one_viewer_which_is_nobodys_child(directory: Path) -> None:
    askers = [subprocess.Popen([sys.executable, "-c", ASKS], stdin=-1, stdout=-1, text=True) for _ in range(4)]
    for asker in askers:
        assert asker.stdin is not None
        asker.stdin.write("\n")
        asker.stdin.flush()
    answers = {asker.communicate(timeout=60)[0] for asker in askers}
    assert len(answers) == 1
    pid, heavy = map(int, answers.pop().split())
    assert heavy == 0
    assert running().pid == pid
    assert os.getsid(pid) == pid  # a Ctrl-C for the program is not for it
    for name in ("viewer.json", "viewer.lock", "viewer.log"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    listeners = Path(f"/proc/{pid}/fd")
    assert sum(str(each.readlink()).startswith("socket:") for each in listeners.iterdir()) <= 4


def test_page_script_and_rings_are_brought() -> None:
    running()
    page = get("/")
    assert page.status == 200
    assert b"<!doctype html" in page.body
    headers = dict(page.headers)
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "content-length" not in headers
    assert forward("GET", "/", "", [*HERE, ("if-none-match", headers["etag"])], remote="::1")[::2] == (304, b"")
    assert forward("HEAD", "/", "", HERE, remote="::1")[::2] == (200, b"")
    assert len(get("/plotly.min.js").body) > 1_000_000
    rings = json.loads(get("/api/rings").body)
    assert rings["stream"] == "poll"
    assert get("/api/rings/nönne+?/at", "greenlet=1&time=0").status == 404
    begun = forward(
        "POST", "/api/rings/none/poll", "", [*HERE, ("content-type", "application/json")], b"[]", remote="::1"
    )
    assert begun.status == 404
    assert b"there is no ring 'none'" in begun.body


def test_who_may_not_see_it_is_refused_before_anybody_is_asked(directory: Path) -> None:
    assert get("/", remote="10.0.0.1").status == 403
    assert get("/", headers=[("host", "evil.example")]).status == 403
    assert forward("POST", "/", "", [*HERE, ("origin", "http://evil.example")], remote="127.0.0.1").status == 403
    brought = get("/", f"token={token_of(directory)}", remote="10.0.0.1", headers=[("host", "shop.example")])
    cookie = dict(brought.headers)["set-cookie"].split(";")[0]
    running()
    assert get("/", remote="10.0.0.1", headers=[("host", "shop.example"), ("cookie", cookie)]).status == 200


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "status"),
    [
        ("DELETE", "/", "", b"", 405),
        ("GET", "nothing", "", b"", 404),
        ("POST", "/api/rings/a/poll", "", b"x" * 100_000, 413),
        ("GET", "/", "a b\r\nx: y", b"", 400),
        ("GET", "/a\r\nx: y", "", b"", 404),
        ("GET", "/../../etc/passwd", "", b"", 404),
    ],
)
def test_what_makes_no_sense_is_answered(method: str, path: str, query: str, body: bytes, status: int) -> None:
    running()
    assert forward(method, path, query, HERE, body, remote="127.0.0.1").status == status


def test_the_viewer_answers_another_name_only_to_who_has_its_key() -> None:
    viewer = running()
    url, host = f"http://127.0.0.1:{viewer.port}/", {"host": "shop.example"}
    assert httpx.get(url, headers=host).status_code == 403
    assert httpx.get(url, headers={**host, "x-greenscope-key": "guessed"}).status_code == 403
    answer = httpx.get(url, headers={**host, "x-greenscope-key": viewer.key})
    assert answer.status_code == 200
    assert answer.headers["x-greenscope-proof"] == proof(viewer.key)


def test_a_viewer_that_died_is_replaced_and_who_asks_meanwhile_is_told_to_ask_again() -> None:
    before = running()
    os.kill(before.pid, signal.SIGKILL)
    while (answer := get("/")).status == 200:
        pass
    assert answer.status == 503
    assert dict(answer.headers)["refresh"] == "1"
    assert b'<script src="again.js">' in answer.body  # for an address with a fragment, in which a refresh is a jump
    again = get("/again.js")
    assert (again.status, dict(again.headers)["content-type"]) == (200, "text/javascript")
    assert b"reload" in again.body
    deadline = time.monotonic() + 30
    while (after := running()) == before:  # it is killed, and the kernel has not let go of its lock yet
        assert time.monotonic() < deadline
    assert after.key != before.key
    assert get("/").status == 200


def test_a_forked_child_asks_the_same_viewer_and_keeps_no_lock(
    monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    viewer = running()
    fd = os.open(directory / "other.lock", os.O_RDWR | os.O_CREAT, 0o600)
    monkeypatch.setattr(beside, "_held", {fd})  # as another thread would, in the middle of a start
    pid = os.fork()
    if not pid:
        try:
            os.fstat(fd)
        except OSError:
            os._exit(0 if start() == viewer else 1)
        os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(fd)


def test_the_viewer_ends_when_it_is_told_to_and_when_its_directory_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "gone"
    monkeypatch.setenv("GREENSCOPE_DIR", str(directory))
    viewer = running()
    end = os.pidfd_open(viewer.pid)
    (directory / LOCK).unlink()
    assert wait_for(end)
    os.close(end)
    end = os.pidfd_open(running().pid)
    stop()
    assert wait_for(end)
    os.close(end)
    stop()  # there is none


def wait_for(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 30)[0])


def test_a_viewer_that_cannot_start_is_tried_thrice_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENSCOPE_DIR", str(tmp_path / "broken"))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    statuses = set()
    deadline = time.monotonic() + 30
    while (answer := get("/")).status == 503 and time.monotonic() < deadline:
        statuses.add(answer.status)
    assert answer.status == 502
    assert b"it ended 3 times after it was started" in answer.body
    assert b"viewer.log says why" in answer.body


@pytest.fixture
def impostor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listens where the facts say that the viewer does, and the lock is held."""
    directory = tmp_path / "impostor"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("GREENSCOPE_DIR", str(directory))
    with socket.create_server(("127.0.0.1", 0)) as listener, open(directory / LOCK, "w") as lock:
        flock(lock, LOCK_EX)
        facts = {"port": listener.getsockname()[1], "key": "k", "pid": os.getpid()}
        (directory / FACTS).write_text(json.dumps(facts))
        yield listener


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"is not it"),
        (b"HTTP/1.1 200 OK\r\nx-greenscope-proof: 00\r\ncontent-length: 2\r\n\r\nhi", b"is not it"),
        (b"SSH-2.0-x\r\n", b"BadStatusLine"),
    ],
)
def test_what_answers_in_the_viewers_place_is_not_believed(impostor: socket.socket, said: bytes, why: bytes) -> None:
    def answer() -> None:
        connection, _ = impostor.accept()
        connection.recv(1 << 16)
        connection.sendall(said)
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    found = get("/")
    thread.join()
    assert found.status == 502
    assert why in found.body


GOES_ON = """
import os, socket, threading
from greenscope.web.beside import forward, proof
{runtime}
ticks, sent = threading.Event(), threading.Event()
listener = socket.socket(fileno=int(os.environ["LISTENER"]))

def viewer():  # answers when the hub has gone on meanwhile, and not before
    connection, _ = listener.accept()
    connection.recv(1 << 16)
    ticks.wait(20)
    head = f"HTTP/1.1 200 OK\\r\\nx-greenscope-proof: {{proof('k')}}\\r\\ncontent-length: 1000000\\r\\n\\r\\n"
    connection.sendall(head.encode() + bytes(1000000))
    sent.set()
    connection.close()

threading.Thread(target=viewer).start()
asking = spawn(forward, "GET", "/", "", [("host", "localhost")], remote="127.0.0.1")
for _ in range(5):
    sleep(0.001)
ticks.set()
sent.wait(20)  # and keep the hub: all of it is there when it is read
turns = 0
while not asking.ready():
    turns += 1
    sleep(0)
print(get(asking).status, turns > 8)
"""


@pytest.mark.parametrize(
    "runtime",
    [
        "from greenscope.runtime import sleep, spawn, socket as _; get = lambda greenlet: greenlet.get()",
        "import gevent.socket; from gevent import sleep, spawn; get = lambda greenlet: greenlet.get()",
    ],
    ids=["greenscope", "gevent"],
)
def test_a_hub_that_is_not_patched_goes_on_while_its_greenlet_asks(impostor: socket.socket, runtime: str) -> None:
    impostor.set_inheritable(True)
    environment: dict[str, Any] = {**os.environ, "LISTENER": str(impostor.fileno())}
    command = [sys.executable, "-c", textwrap.dedent(GOES_ON.format(runtime=runtime))]
    child = subprocess.run(
        command, env=environment, pass_fds=[impostor.fileno()], capture_output=True, text=True, timeout=60
    )
    assert (child.stdout, child.stderr) == ("200 True\n", "")
