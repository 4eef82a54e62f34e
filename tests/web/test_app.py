"""The viewer as a browser meets it: who may ask, what it answers, what it streams."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from greenscope.trace.events import Exit, Ready, Spawn, Wait, Watch
from greenscope.trace.recorder import Recorder, open_recorder
from tests.waiting import until
from tests.web.conftest import Viewer

WIDTH = 10_000_000_000


@dataclass
class Traced:
    """A hub with a main greenlet and a worker that waits to read, as the recorder tells it."""

    recorder: Recorder
    main: int
    worker: int

    @property
    def id(self) -> str:
        assert self.recorder.path is not None
        return self.recorder.path.stem


@pytest.fixture
def traced(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    monkeypatch.setenv("GREENSCOPE_STALL_MS", "0")  # a watchdog sees that this hub only says that it polls
    recorder = open_recorder(1, "MainThread")
    recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
    main = recorder.spawn(Spawn.MAIN, recorder.string("main"), 0, 0)
    recorder.switch(main)
    worker = recorder.spawn(Spawn.GREENLET, recorder.string("worker"), 1, main)
    recorder.ready(worker, Ready.SPAWN, main)
    recorder.park(Wait.JOIN, recorder.resource(), -1, 0, b"")
    recorder.switch(worker)
    resource = recorder.watcher_open(Watch.READ, 7, b"192.0.2.1:80")
    recorder.watcher_start(Watch.READ, resource, 7)
    recorder.park(Wait.READ, resource, 7, 60_000, b"192.0.2.1:80")
    recorder.poll_begin(1)
    traced = Traced(recorder, main, worker)
    until(lambda: traced.id in {ring["id"] for ring in httpx.get(f"{viewer.url}/api/rings").json()["rings"]})
    yield traced
    recorder.close()


def view(**changes: object) -> str:
    whole = {"type": "view", "serial": 1, "from": 0, "to": WIDTH, "follow": True, "pixels": 1000, "first": 0,
             "count": 50, "search": "", "exited": False}  # fmt: skip
    return json.dumps({**whole, **changes})


@dataclass
class Frame:
    """A segments frame, decoded."""

    serial: int
    snapshot: bool
    segments: list[tuple[float, float, int, int, int, int]]


def decode(data: bytes) -> Frame:
    kind, serial, count, flags, _, _ = struct.unpack_from("<IIIIdd", data)
    assert kind == 1
    at, columns = 32, []
    for code in "ddIBBB":
        column = array(code)
        column.frombytes(data[at : at + count * column.itemsize])
        columns.append(column)
        at += count * column.itemsize
    assert at == len(data)
    return Frame(serial, bool(flags & 1), list(zip(*columns, strict=True)))


class Page:
    """What a page does with the stream."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def next(self, kind: str) -> dict[str, Any]:
        """The next text message of a kind."""
        while True:
            message = self.socket.recv(timeout=10)
            if isinstance(message, str) and json.loads(message)["type"] == kind:
                found: dict[str, Any] = json.loads(message)
                return found

    def frame(self, serial: int = 1) -> Frame:
        """The next frame that answers a view."""
        while True:
            message = self.socket.recv(timeout=10)
            if isinstance(message, bytes) and (frame := decode(message)).serial == serial:
                return frame


@contextmanager
def page(viewer: Viewer, ring: str) -> Iterator[Page]:
    with connect(f"ws://{viewer.host}/api/rings/{ring}/stream") as socket:
        yield Page(socket)


# -- who may ask -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/api/rings", "/plotly.min.js", "/static/none.js"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_another_hosts_name_is_refused_everywhere(viewer: Viewer, path: str, host: str) -> None:
    answer = httpx.get(viewer.url + path, headers={"host": host})
    assert answer.status_code == 403
    assert "Host" in answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_another_pages_request_is_refused(viewer: Viewer, origin: str) -> None:
    assert httpx.get(f"{viewer.url}/api/rings", headers={"origin": origin}).status_code == 403


def test_the_viewers_own_page_may_ask(viewer: Viewer) -> None:
    answer = httpx.get(f"{viewer.url}/api/rings", headers={"origin": viewer.url})
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}])
def test_a_foreign_websocket_is_refused(viewer: Viewer, traced: Traced, headers: dict[str, str]) -> None:
    url = f"ws://{viewer.host}/api/rings/{traced.id}/stream"
    with pytest.raises(InvalidStatus) as refused:
        if "host" in headers:
            name, port = viewer.host.split(":")
            connect(url.replace(name, headers["host"]), sock=socket.create_connection((name, int(port))))
        else:
            connect(url, additional_headers=headers)
    assert refused.value.response.status_code == 403


# -- what it answers -------------------------------------------------------------------------------


def test_the_page_and_plotly_come_from_here(viewer: Viewer) -> None:
    assert "<!doctype html" in httpx.get(viewer.url).text.lower()
    script = httpx.get(f"{viewer.url}/plotly.min.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert len(script.content) > 1_000_000


def test_rings_are_listed_with_whose_they_are(viewer: Viewer, traced: Traced) -> None:
    (ring,) = httpx.get(f"{viewer.url}/api/rings").json()["rings"]
    assert ring["id"] == traced.id
    assert ring["state"] == "live"
    assert ring["thread"] == "MainThread"
    assert ring["argv"]


def test_a_file_that_is_no_ring_is_passed_over(viewer: Viewer, traced: Traced) -> None:
    (viewer.directory / "aaa.gsr").write_bytes(b"not a ring")
    other = open_recorder(2, "other")
    until(lambda: len(httpx.get(f"{viewer.url}/api/rings").json()["rings"]) == 2)
    other.close()


def test_at_says_what_a_greenlet_waits_for_since_when_until_when_and_at_which_line(
    viewer: Viewer, traced: Traced
) -> None:
    with page(viewer, traced.id) as opened:
        now = opened.next("status")["now"]
        row = next(row for row in opened.next("greenlets")["rows"] if row["name"].startswith("worker"))
    answer = httpx.get(
        f"{viewer.url}/api/rings/{traced.id}/at", params={"greenlet": row["id"], "time": now, "width": 1000}
    )
    span = answer.json()
    assert (span["label"], span["fd"], span["peer"], span["open"]) == ("waiting: read", 7, "192.0.2.1:80", True)
    assert span["deadline"] - span["start"] == 60_000_000_000
    assert span["greenlet"]["name"] == f"worker #{row['id']}"
    assert span["parent"]["name"] == "main"
    assert span["site"]["file"] == __file__
    assert span["site"]["function"] == "traced"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/rings/none/at?greenlet=1&time=0", 404),
        ("/api/rings/{id}/at?greenlet=99&time=0", 404),
        ("/api/rings/{id}/at?greenlet=-1&time=0", 422),
        ("/api/rings/{id}/at?greenlet=x&time=0", 422),
        ("/api/rings/{id}/at?greenlet=1&time=" + "9" * 30, 404),
        ("/api/rings/{id}/at?greenlet=1&time=-" + "9" * 30, 404),
        ("/static/../../pyproject.toml", 404),
        ("/static/%2e%2e/app.py", 404),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_not_crashed_on(
    viewer: Viewer, traced: Traced, path: str, status: int
) -> None:
    assert httpx.get(viewer.url + path.format(id=traced.id)).status_code == status


# -- what it streams -------------------------------------------------------------------------------


def test_a_view_is_answered_with_its_lanes_and_a_snapshot(viewer: Viewer, traced: Traced) -> None:
    with page(viewer, traced.id) as opened:
        assert opened.next("hello")["ring"]["id"] == traced.id
        opened.socket.send(view(serial=7))
        lanes = opened.next("lanes")
        assert [lane["name"] for lane in lanes["lanes"]] == ["hub", "main", "worker #3"]
        frame = opened.frame(7)
        assert frame.snapshot
        assert {(greenlet, state, reason) for _, _, greenlet, state, reason, _ in frame.segments} >= {
            (1, 2, 9), (2, 2, Wait.JOIN), (3, 2, Wait.READ), (3, 1, Ready.SPAWN),
        }  # fmt: skip


def test_following_brings_what_is_new(viewer: Viewer, traced: Traced) -> None:
    with page(viewer, traced.id) as opened:
        opened.socket.send(view())
        first = opened.frame()
        recorder = traced.recorder
        recorder.ready(traced.worker, Ready.WATCHER, 2)
        recorder.switch(traced.worker)
        recorder.park(Wait.TIMER, 3, -1, 0, b"")
        while True:
            frame = opened.frame()
            assert not frame.snapshot
            timers = [s for s in frame.segments if s[2] == 3 and s[4] == Wait.TIMER and s[3] == 2]
            if timers:
                break
        waited = [s for s in first.segments if s[2] == 3 and s[3] == 2][-1]
        assert waited[5] & 2
        assert timers[0][0] > waited[0]


def test_search_narrows_lanes_and_table(viewer: Viewer, traced: Traced) -> None:
    with page(viewer, traced.id) as opened:
        for serial, words in enumerate(["worker", "192.0.2.1", "fd 7", "test_app.py"], start=1):
            opened.socket.send(view(serial=serial, search=words))
            opened.frame(serial)
            until_rows = opened.next("greenlets")
            while [row["id"] for row in until_rows["rows"]] not in ([3], [2, 3]):
                until_rows = opened.next("greenlets")


def test_the_table_shows_who_exited_if_asked(viewer: Viewer, traced: Traced) -> None:
    traced.recorder.ready(traced.worker, Ready.KILL, traced.main)
    traced.recorder.throw(traced.worker)
    traced.recorder.exit(traced.worker, Exit.KILLED)
    with page(viewer, traced.id) as opened:
        opened.socket.send(view(exited=True))
        while not (gone := [row for row in opened.next("greenlets")["rows"] if not row["alive"]]):
            pass
        assert (gone[0]["id"], gone[0]["exit"], gone[0]["label"]) == (3, "killed", "exited")


def test_the_table_is_sorted_by_the_viewer(viewer: Viewer, traced: Traced) -> None:
    with page(viewer, traced.id) as opened:
        for sort, descending, expected in [
            ("since", False, [2, 3]),
            ("since", True, [3, 2]),
            ("name", False, [2, 3]),
            ("on", False, [3, 2]),
            ("deadline", False, [3, 2]),
            ("switches", False, [2, 3]),
            ("run_time", True, None),
            ("state", False, [2, 3]),
            ("site", True, [3, 2]),
        ]:
            opened.socket.send(view(sort=sort, descending=descending))
            rows = opened.next("greenlets")["rows"]
            while expected and [row["id"] for row in rows] != expected:
                rows = opened.next("greenlets")["rows"]
            assert len(rows) == 2


DIES_RUNNING = """
import os, sys
from greenscope.runtime import spawn, sleep
def hog():
    sleep(0.001)
    print("hogging", flush=True)
    sys.stdin.read()
spawn(hog).join()
"""


def test_who_ran_when_the_process_was_killed_is_told_and_for_how_long(viewer: Viewer) -> None:
    with subprocess.Popen([sys.executable, "-c", DIES_RUNNING], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        ring = f"{child.pid}-1"
        until(lambda: ring in {found["id"] for found in httpx.get(f"{viewer.url}/api/rings").json()["rings"]})
        with page(viewer, ring) as opened:
            while (running := opened.next("status")["running"]) is None or running["duration"] < 300_000_000:
                pass
            child.kill()
            while (status := opened.next("status"))["state"] == "live":
                pass
    assert status["state"] == "died"
    assert status["running"]["name"].startswith("hog")
    assert status["running"]["duration"] >= 200_000_000
    assert status["longest_stall"]["name"].startswith("hog")
    assert status["stalls"][0]["end"] is None


STARTS = """
import sys, time
from greenscope.runtime import get_hub, sleep
get_hub()
time.sleep(0.3)  # what it imports takes so long
sleep(0.001)
print("started", flush=True)
sys.stdin.read()
"""


def test_how_long_a_program_took_to_start_is_no_stall(viewer: Viewer) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
        ring = f"{child.pid}-1"
        until(lambda: ring in {found["id"] for found in httpx.get(f"{viewer.url}/api/rings").json()["rings"]})
        with page(viewer, ring) as opened:
            while (status := opened.next("status"))["state"] == "live" or not status["events"]:
                pass
    first = min(status["stalls"], key=lambda stall: stall["start"], default=None)
    assert first is None or first["end"] is None  # the one that it died in
    assert status["stalls_total"] == len(status["stalls"])
    assert status["longest_stall"] == first


def test_a_stall_that_goes_on_is_told_while_it_goes_on(viewer: Viewer, traced: Traced) -> None:
    traced.recorder.ready(traced.worker, Ready.WATCHER, 2)
    traced.recorder.poll_end(1)
    traced.recorder.switch(traced.worker)
    with page(viewer, traced.id) as opened:
        while not (stalls := opened.next("status")["stalls"]):
            pass
        assert (stalls[0]["name"], stalls[0]["end"]) == ("worker #3", None)
        assert stalls[0]["duration"] >= 100_000_000
        assert stalls[0]["before"]["function"] == "traced"


def test_a_view_that_makes_no_sense_is_refused_in_words_and_the_stream_goes_on(viewer: Viewer, traced: Traced) -> None:
    with page(viewer, traced.id) as opened:
        for wrong, says in [
            ("{", "JSON"),
            (view(pixels=5), "pixels"),
            (view(count=100_000), "count"),
            (view(more=1), "more"),
            (view(**{"from": 1e300}), "from"),
        ]:
            opened.socket.send(wrong)
            assert says in opened.next("error")["message"]
        opened.socket.send(view(**{"from": -5e17, "to": 5e17, "follow": False, "serial": 3}))
        assert opened.frame(3).snapshot


def test_a_ring_that_is_not_there_closes_the_stream_and_says_why(viewer: Viewer) -> None:
    with page(viewer, "none") as opened, pytest.raises(Exception, match="there is no ring 'none'"):
        opened.socket.recv(timeout=10)


def test_an_ended_ring_is_kept_and_said_to_have_ended(viewer: Viewer, traced: Traced) -> None:
    with page(viewer, traced.id) as opened:
        assert opened.next("status")["state"] == "live"
        traced.recorder.close()
        assert traced.recorder.path is not None
        traced.recorder.path.unlink()
        while (status := opened.next("status"))["state"] == "live":
            pass
        assert status["state"] == "ended"
        assert status["events"] == 14
        assert status["now"] == opened.next("status")["now"]
