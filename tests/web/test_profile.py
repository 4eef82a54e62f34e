"""Where the time went, as the page gets it: bounded, not made too often, and as docs/protocol.md has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from greenscope.trace.analysis.profile import By
from greenscope.trace.analysis.states import State
from greenscope.trace.events import Ready, Spawn, Wait
from greenscope.trace.recorder import Recorder, open_recorder
from greenscope.web.profile import profile
from greenscope.web.session import Session
from tests.web.conftest import Viewer

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
PROGRAM = """
import greenscope.runtime as g

def serve(server):
    connection, _ = server.accept()
    connection.recv(10)
    g.sleep(0.02)
    connection.sendall(b"!")

server = g.socket.create_server(("127.0.0.1", 0))
serving = g.spawn(serve, server)
g.sleep(0)
client = g.socket.create_connection(server.getsockname())
client.sendall(b"?")
client.recv(10)
serving.join()
locks = [g.Semaphore(0) for _ in range(120)]
waiting = [g.spawn(lock.acquire) for lock in locks]
g.sleep(0)
for lock in locks:
    lock.release()
g.joinall(waiting)
"""


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of a program which waited for a peer, for many locks, for time and for connections; and ended."""
    directory = tmp_path_factory.mktemp("profiled")
    (directory / "app.py").write_text(PROGRAM)
    rings = directory / "rings"
    environment = {**os.environ, "GREENSCOPE_DIR": str(rings)}
    subprocess.run([sys.executable, str(directory / "app.py")], env=environment, check=True)
    (ring,) = rings.glob("*.gsr")
    return ring


@pytest.fixture
def session(ring: Path) -> Iterator[Session]:
    with closing(Session(ring)) as session:
        while session.follow():
            pass
        yield session


def rows(answer: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Those under a heading; none if it is not there."""
    return [row for each in answer["parts"] if each["part"] == part for row in each["rows"]]


def test_each_wait_is_under_its_heading_with_the_state_it_has_on_the_timeline(session: Session) -> None:
    answer = profile(session, By.LINE)
    assert [part["part"] for part in answer["parts"]] == ["wait", "sleep", "idle"]
    (accepts,) = rows(answer, "idle")
    assert (accepts["label"], accepts["state"], accepts["reason"]) == ("accept", State.WAITING, Wait.READ)
    sleeps = rows(answer, "sleep")
    assert any(row["label"] == "timer" and row["site"]["line"] == PROGRAM.splitlines().index("    g.sleep(0.02)") + 1
               for row in sleeps)  # fmt: skip
    assert sum(part["total"] for part in answer["parts"]) == sum(answer[key] for key in ("waited", "slept", "idle"))


def test_the_longest_is_found_again_on_the_timeline(session: Session) -> None:
    (row,) = [row for row in rows(profile(session, By.REASON), "sleep") if row["label"] == "timer"]
    start, greenlet = session.info.start_monotonic_ns + row["longest_start"], row["longest_greenlet"]
    lane = session.timeline.lanes.get(greenlet["id"])
    assert lane is not None
    assert lane.label == greenlet["name"]
    (span,) = session.timeline.spans(np.array([greenlet["id"]], np.uint64), start, start + 1)
    assert (span["start"], span["end"] - span["start"]) == (start, row["longest"])


def test_of_many_rows_the_greatest_are_told_and_how_many_there_are(session: Session) -> None:
    (waits,) = [part for part in profile(session, By.RESOURCE)["parts"] if part["part"] == "wait"]
    assert waits["rows_total"] >= 120
    assert len(waits["rows"]) == 50
    totals = [row["total"] for row in waits["rows"]]
    assert totals == sorted(totals, reverse=True)
    assert waits["total"] > sum(totals)


def test_latency_and_load_have_their_charts_and_nothing_else_has(session: Session) -> None:
    answers = {by: profile(session, by) for by in By}
    assert {by for by, answer in answers.items() if answer["spread"]} == {By.LATENCY, By.LOAD}
    assert {by for by, answer in answers.items() if answer["load"]} == {By.LOAD}
    for by in (By.LATENCY, By.LOAD):
        spread = answers[by]["spread"]
        assert sum(each["count"] for each in spread["classes"]) == spread["count"] > 0
        assert sum(each["total"] for each in spread["classes"]) == spread["total"]
    assert {row["state"] for row in rows(answers[By.LATENCY], "hub")} == {State.READY}
    assert {row["state"] for row in rows(answers[By.LOAD], "hub")} == {State.RUNNING}
    assert {row["state"] for row in rows(answers[By.REASON], "hub")} == {State.READY, State.RUNNING}


def test_every_field_is_in_the_protocols_page_and_no_other(session: Session) -> None:
    block = PROTOCOL.split("\nProfile = {")[1].split("\n```")[0]
    answer = profile(session, By.LOAD)
    (part,) = answer["parts"]
    told = {*answer, *part, *part["rows"][0], *answer["spread"], *answer["load"], *part["rows"][0]["longest_greenlet"],
            *answer["spread"]["classes"][0], *answer["load"]["classes"][0]}  # fmt: skip
    assert told == set(re.findall(r'"(\w+)": ', block))


def test_it_is_made_once_for_all_pages_and_not_again_when_nothing_can_come(ring: Path) -> None:
    now = 10**18
    with closing(Session(ring, clock=lambda: now)) as session:
        while session.follow():
            pass
        first = profile(session, By.PEER)
        now += 10**12
        assert profile(session, By.PEER) is first
        assert profile(session, By.LINE) is not first


@pytest.fixture
def living(trace_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A hub that goes on."""
    monkeypatch.setenv("GREENSCOPE_STALL_MS", "0")
    recorder = open_recorder(1, "MainThread")
    recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
    recorder.switch(recorder.spawn(Spawn.MAIN, recorder.string("main"), 0, 0))
    yield recorder
    recorder.close()


def test_of_a_living_process_it_is_made_again_after_two_seconds_and_later_if_it_takes_long(living: Recorder) -> None:
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert living.path is not None
    with closing(Session(living.path, clock=lambda: now)) as session:
        session.follow()
        first = profile(session, By.REASON)
        now += 1_900_000_000
        assert profile(session, By.REASON) is first
        now += 200_000_000
        again = profile(session, By.REASON)
        assert again["to"] - first["to"] == 2_100_000_000

        def slow() -> dict[str, Any]:
            nonlocal now
            now += 500_000_000
            return {"at": now}

        answer = session.kept("slow", slow)
        now += 9_900_000_000
        assert session.kept("slow", slow) is answer
        now += 200_000_000
        assert session.kept("slow", slow) is not answer


def test_what_was_overwritten_before_it_was_read_is_no_time(living: Recorder) -> None:
    main, other = 2, living.spawn(Spawn.GREENLET, living.string("other"), 0, 2)
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    for _ in range(10_000):  # a ring of a megabyte wraps
        living.ready(other, Ready.SPAWN, main)
        living.park(Wait.YIELD, 0, -1, 0, b"")
        living.switch(other)
        living.ready(main, Ready.SPAWN, other)
        living.park(Wait.YIELD, 0, -1, 0, b"")
        living.switch(main)
    assert living.path is not None
    with closing(Session(living.path)) as session:
        while session.follow():
            pass
        assert session.timeline.lost
        assert session.info.start_monotonic_ns + profile(session, By.REASON)["from"] > began


def test_the_viewer_answers_it_and_refuses_what_it_does_not_know(viewer: Viewer, living: Recorder) -> None:
    assert living.path is not None
    path = f"{viewer.url}/api/rings/{living.path.stem}/profile"
    deadline = time.monotonic() + 10
    while httpx.get(path).status_code == 404 and time.monotonic() < deadline:
        pass  # until the viewer has seen the ring
    assert httpx.get(path).json()["by"] == "line"
    for by in By:
        assert httpx.get(path, params={"by": by}).json()["by"] == by
    assert httpx.get(path, params={"by": "weather"}).status_code == 422
    assert httpx.get(f"{viewer.url}/api/rings/none/profile").status_code == 404
