"""A replay over the real application: what the page is answered, and what it is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.conftest import Viewer

PROGRAM = """
from greenscope.runtime import joinall, sleep, socket, spawn
one, other = socket.socketpair()
def server():
    other.sendall(other.recv(100))
def client():
    one.sendall(b"hello")
    one.recv(100)
joinall([spawn(server), spawn(client)])
sleep(0.001)
"""


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("replayed")
    (directory / "app.py").write_text(PROGRAM)
    rings = directory / "rings"
    environment = {**os.environ, "GREENSCOPE_DIR": str(rings), "GREENSCOPE_DETAIL": "teach"}
    subprocess.run([sys.executable, str(directory / "app.py")], env=environment, check=True, timeout=60)
    (ring,) = rings.glob("*.gsr")
    return ring


@pytest.fixture
def replay(viewer: Viewer, ring: Path) -> Iterator[httpx.Client]:
    copied = viewer.directory / "copied"
    copied.write_bytes(ring.read_bytes())
    copied.rename(viewer.directory / ring.name)  # the viewer sees all of it or nothing
    with httpx.Client(base_url=f"{viewer.url}/api/rings/{ring.stem}") as client:
        deadline = time.monotonic() + 20
        while client.get("/replay").status_code == 404 and time.monotonic() < deadline:
            time.sleep(0.05)
        yield client


def test_it_is_stepped_through_over_http(replay: httpx.Client, ring: Path) -> None:
    overview = replay.get("/replay").json()
    assert overview["complete"] is True
    assert overview["detail"] == "teach"
    assert overview["lesson"] is False  # nobody asks in vain
    assert [one["name"] for one in overview["greenlets"]] == ["main", "server #3", "client #4"]
    (file,) = overview["files"]
    assert (file["text"], file["why_not"]) == (PROGRAM, None)
    frames = replay.get("/replay/frames", params={"from": 0, "to": 200}).json()["frames"]
    assert [frame["step"] for frame in frames] == list(range(overview["steps"]))
    parked = next(frame for frame in frames if frame["kind"] == "greenlet_park" and frame["reason"] == "read")
    causes = replay.get("/replay/why", params={"step": parked["step"], "lang": "zh"}).json()["causes"]
    assert "recv()" in causes[0]["words"]
    strip = replay.get("/replay/strip", params={"from": 0, "to": overview["steps"] - 1}).json()
    assert strip["lanes"][0]["greenlet"] == overview["hub"]


def test_what_cannot_be_asked_is_refused_in_words(replay: httpx.Client) -> None:
    for path in ("/why?step=99999", "/frames?from=5&to=2", "/frames?from=0&to=999", "/frames?from=-1&to=2",
                 "/strip?from=9&to=3", "/strip?from=0&to=99999", "/strip?from=0&to=3&most=0", "?lang=fr",
                 "/frames?from=99999&to=99999", "/why?step=1e400", "/why?step=99999999999999999999999"):  # fmt: skip
        refused = replay.get(f"/replay{path}")
        assert (refused.status_code, bool(refused.json()["detail"])) == (422, True), path


def test_of_a_ring_that_there_is_none_of_nothing_is_replayed(viewer: Viewer) -> None:
    for path in ("", "/frames", "/why?step=0", "/strip?from=0&to=1"):
        assert httpx.get(f"{viewer.url}/api/rings/none/replay{path}").status_code == 404
