"""``greenscope profile`` of a program whose waits are known, living and dead; and of what is no ring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from greenscope.trace.events import Spawn, Wait, Watch
from tests.cli.test_ps import service
from tests.trace.rings import RingSizes, begin, new_ring

# It times its own waits from outside: what a profile says of them cannot be longer.
KNOWN = """
import time
from greenscope.runtime import Semaphore, joinall, sleep, socket, spawn

measured = {}

def timed(what, call, *args):
    began = time.monotonic_ns()
    call(*args)
    measured[what] = measured.get(what, 0) + time.monotonic_ns() - began

lock = Semaphore(1)
ours, theirs = socket.socketpair()

def naps():
    for _ in range(3):
        timed("naps", sleep, 0.03)

def holds():
    for _ in range(2):
        with lock:
            sleep(0.04)

def wants():
    for _ in range(2):
        timed("wants", lock.acquire)
        lock.release()

def reads():
    for _ in range(4):
        timed("reads", ours.recv, 1)

def writes():
    for _ in range(4):
        sleep(0.02)
        theirs.send(b"x")

def hogs():
    sleep(0.15)
    until = time.monotonic() + 0.1
    while time.monotonic() < until: pass

def suffers():
    sleep(0.16)

joinall([spawn(f) for f in (naps, holds, wants, reads, writes, hogs, suffers)])
print(measured, flush=True)
"""


def profile(*arguments: object, code: int = 0) -> str:
    command = [sys.executable, "-m", "greenscope", "profile", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    if code == 0:
        assert done.stderr == ""
        return done.stdout
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def hub_of(*arguments: object) -> dict[str, Any]:
    answer = json.loads(profile(*arguments, "--json"))
    (hub,) = answer["hubs"]
    return hub


def of_function(hub: dict[str, Any], function: str, reason: str) -> dict[str, Any]:
    (row,) = [row for row in hub["rows"] if row["reason"] == reason and row["site"]["function"] == function]
    return row


@pytest.fixture
def known() -> tuple[int, dict[str, int]]:
    """The number of a process that ended, and what it measured."""
    with subprocess.Popen([sys.executable, "-c", KNOWN], stdout=-1, text=True) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return process.pid, eval(said)


def test_known_waits_are_summed_up_by_line_and_kept_apart_from_sleeps(known: tuple[int, dict[str, int]]) -> None:
    pid, measured = known
    hub = hub_of(pid)
    for function, reason, kind, count, least in (
        ("timed", "timer", "sleep", 3, 3 * 29_000_000),
        ("timed", "read", "wait", 4, 4 * 19_000_000),
        ("timed", "lock", "wait", 2, 60_000_000),
    ):
        row = of_function(hub, function, reason)
        what = {"timer": "naps", "read": "reads", "lock": "wants"}[reason]
        assert (row["kind"], row["count"], row["still"]) == (kind, count, 0)
        assert least <= row["total_ns"] <= measured[what]
        assert row["longest_ns"] <= row["total_ns"]
        assert row["mean_ns"] == row["total_ns"] // count
    main = of_function(hub, "<module>", "join")
    assert 250_000_000 <= main["total_ns"] <= hub["to_ns"]
    assert hub["state"] == "ended"


def test_who_woke_whom_is_told_with_the_line_of_the_sleeper(known: tuple[int, dict[str, int]]) -> None:
    hub = hub_of(known[0], "--by", "waker")
    woken = {(row["what"], row["sleeper"], row["reason"]): row["count"] for row in hub["rows"]}
    assert woken["holds", "wants", "lock"] == 2
    assert woken["its timer", "naps", "timer"] == 3
    (lock,) = [row for row in hub["rows"] if row["what"] == "holds"]
    assert lock["site"]["function"] == "timed"


def test_latency_and_load_show_who_had_the_hub_and_who_waited_for_it(known: tuple[int, dict[str, int]]) -> None:
    hub = hub_of(known[0], "--by", "latency")
    (sufferer,) = [row for row in hub["rows"] if row["what"] == "suffers"]
    assert hub["longest_ns"] >= sufferer["longest_ns"]
    assert sum(each["count"] for each in hub["classes"]) == hub["times"] == sum(row["count"] for row in hub["rows"])
    assert sum(each["total_ns"] for each in hub["classes"]) == hub["total_ns"] == hub["ready_ns"]
    hub = hub_of(known[0], "--by", "load")
    assert hub["rows"][0]["what"] == "hogs"
    assert 99_000_000 <= hub["rows"][0]["longest_ns"] <= hub["longest_ns"]
    assert hub["busy_ns"] + hub["polled_ns"] <= hub["to_ns"]
    assert hub["busy_ns"] == sum(row["total_ns"] for row in hub["rows"])
    assert hub["loads"][-1]["count"] >= 8  # of ten milliseconds each, wholly taken by it


def test_a_window_has_the_part_that_lies_within_and_greenlets_can_be_chosen(known: tuple[int, dict[str, int]]) -> None:
    pid, _ = known
    whole = hub_of(pid, "--by", "reason")
    end = whole["to_ns"] // 1000 * 1000
    half = f"{end // 2}ns"
    parts = [hub_of(pid, "--by", "reason", "--to", half), hub_of(pid, "--by", "reason", "--from", half)]
    for field in ("ran_ns", "ready_ns", "waited_ns", "slept_ns", "idle_ns"):
        assert sum(part[field] for part in parts) == whole[field]
    assert parts[0]["to_ns"] == parts[1]["from_ns"] == end // 2
    naps = hub_of(pid, "--greenlet", "naps")
    (row,) = naps["rows"]
    assert (row["reason"], row["count"]) == ("timer", 3)
    assert hub_of(pid, "--greenlet", row["longest_greenlet"])["rows"] == naps["rows"]
    assert "nothing of that was recorded" in profile(pid, "--from", "1h")


def test_whole_stacks_are_folded_where_they_were_recorded(tmp_path: Path) -> None:
    environment = {**os.environ, "GREENSCOPE_STACKS": "1"}
    with subprocess.Popen([sys.executable, "-c", KNOWN], stdout=-1, text=True, env=environment) as process:
        process.communicate(timeout=60)
    lines = dict(line.rsplit(" ", 1) for line in profile(process.pid, "--collapsed").splitlines())
    (naps,) = [stack for stack in lines if stack.startswith("naps (")]
    assert naps.count(";") == 2
    assert naps.endswith(";[timer]")
    assert ";timed (<string>:" in naps
    assert int(lines[naps]) >= 3 * 29_000
    rows = hub_of(process.pid, "--by", "stack")["rows"]
    (row,) = [row for row in rows if [frame["function"] for frame in row["stack"]] == ["timed", "naps"]]
    assert row["total_ns"] // 1000 == int(lines[naps])


LIVING = """
from greenscope.runtime import Event, sleep, spawn
spawn(Event().wait)
sleep(0.01)
print("ready", flush=True)
sleep(1000)
"""


def test_what_goes_on_counts_until_now_and_until_its_end_when_it_was_killed() -> None:
    with service(LIVING) as process:
        first = of_event(hub_of(process.pid))
        then = of_event(hub_of(process.pid))
        assert first["still"] == then["still"] == 1
        assert then["total_ns"] > first["total_ns"] >= 10_000_000
    hub = hub_of(process.pid)
    assert hub["state"] == "died"
    assert of_event(hub) == of_event(hub_of(process.pid))
    assert of_event(hub)["total_ns"] <= hub["to_ns"]


def of_event(hub: dict[str, Any]) -> dict[str, Any]:
    (row,) = [row for row in hub["rows"] if row["reason"] == "event"]
    return row


@pytest.mark.parametrize("writer", ["c", "python"])
def test_a_ring_that_has_wrapped_is_told_from_what_is_left_on(tmp_path: Path, writer: str) -> None:
    ring, file = new_ring(writer, tmp_path / "a.gsr", RingSizes(events=64, slots=4, sites=8, string_bytes=512))
    _, main = begin(ring)
    idle = ring.spawn(Spawn.GREENLET, ring.string("idle"), 0, main)
    ring.park(Wait.LOCK, 3, -1, 0, b"")
    ring.switch(idle)
    ring.park(Wait.QUEUE, 4, -1, 0, b"")
    for number in range(100):
        ring.clock_ns = 1_000_000 * (number + 1)
        ring.ready(main, 0, 0)
        ring.switch(main)
        ring.park(Wait.LOCK, 3, -1, 0, b"")
    file.close()
    hub = hub_of(tmp_path / "a.gsr", "--by", "reason")
    assert hub["lost"] > 200
    length = hub["to_ns"] - hub["from_ns"]
    (queue,) = [row for row in hub["rows"] if row["reason"] == "queue"]
    assert queue["total_ns"] == length > 0
    assert "records were overwritten" in profile(tmp_path / "a.gsr")


@pytest.mark.parametrize("writer", ["c", "python"])
def test_peers_are_known_though_what_opened_their_watchers_was_overwritten(tmp_path: Path, writer: str) -> None:
    ring, file = new_ring(writer, tmp_path / "a.gsr", RingSizes(events=64, slots=4, sites=8, string_bytes=512))
    _, main = begin(ring)
    watcher = ring.watcher_open(Watch.READ, 7, b"10.0.0.5:6379")
    for number in range(100):
        ring.clock_ns = 1_000_000 * (number + 1)
        ring.wait(Watch.READ, watcher, 7, 0, b"10.0.0.5:6379")
        ring.fire(main, Watch.READ, watcher, 7)
        ring.switch(main)
    file.close()
    (row,) = hub_of(tmp_path / "a.gsr", "--by", "peer")["rows"]
    assert (row["what"], row["reason"]) == ("10.0.0.5:6379", "read")
    assert row["count"] > 5
    wakers = hub_of(tmp_path / "a.gsr", "--by", "waker")["rows"]
    assert {(row["what"], row["sleeper"]) for row in wakers} == {("10.0.0.5:6379", "main")}


def test_what_a_ring_says_cannot_command_the_terminal(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    _, main = begin(ring)
    ring.rename(main, ring.string("\x1b[31mred\n"), 0)
    ring.park(Wait.LOCK, 3, -1, 0, b"")
    file.close()
    for by in ("load", "latency", "waker", "line"):
        assert "\x1b" not in profile(tmp_path / "a.gsr", "--by", by)


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "a.gsr").write_text("not a ring")
    assert "is not a ring" in profile(tmp_path / "a.gsr", code=2)
    assert "neither the number of a process nor a file" in profile("nonsense", code=2)
    assert "has no ring" in profile(1, code=2)
    ring, file = new_ring("c", tmp_path / "b.gsr")
    begin(ring)
    file.close()
    good = tmp_path / "b.gsr"
    assert "no time at all" in profile(good, "--from", "2s", "--to", "1s", code=2)
    assert "is not a time" in profile(good, "--from", "soon", code=2)
    assert "no greenlet is called 'nobody'" in profile(good, "--greenlet", "nobody", code=2)
    assert "--collapsed is stacks" in profile(good, "--collapsed", "--by", "peer", code=2)
    assert "'colour' is not one of" in profile(good, "--by", "colour", code=2)
    assert "0 is not in the range" in profile(good, "--limit", "0", code=2)
