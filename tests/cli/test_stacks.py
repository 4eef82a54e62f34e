"""``greenscope stacks``: of a process that waits, one that is blocked, one without a watchdog, and a dead one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SOURCE = """
import ctypes, sys
import greenscope.runtime as g

def inner(event):
    event.wait()

def waiter(event):
    inner(event)

event = g.Event()
greenlets = [g.spawn(waiter, event) for _ in range(7)]
g.sleep(0.05)
print("ready", flush=True)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program with seven parked greenlets, which goes on with some code of the test's."""
    children = []

    def begin(code: str, **environment: str) -> subprocess.Popen[str]:
        script = tmp_path / "script" / "app.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(SOURCE + code)
        child = subprocess.Popen(
            [sys.executable, str(script)], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
        )
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


def stacks(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenscope", "stacks", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_equal_stacks_are_printed_once_with_their_source(start: Start):
    child = start("g.sleep(60)")
    done = stacks(child.pid)
    assert done.returncode == 0, done.stderr
    assert "7 greenlets, waiting" in done.stdout
    assert "waiter #3: event" in done.stdout
    assert "and 2 more" in done.stdout
    assert done.stdout.count("    event.wait()") == 1
    assert "app.py:9 waiter" in done.stdout


def test_json_has_every_frame_and_all_that_the_ring_knows(start: Start):
    child = start("g.sleep(60)")
    answer = json.loads(stacks(child.pid, "--json").stdout)
    assert (answer["pid"], answer["from"], answer["gil"], answer["why"]) == (child.pid, "process", True, None)
    waiters = [one for one in answer["greenlets"] if one["name"].startswith("waiter")]
    assert len(waiters) == 7
    assert {(one["state"], one["reason"]) for one in waiters} == {("waiting", "event")}
    assert [frame["function"] for frame in waiters[0]["stack"]][-3:] == ["inner", "waiter", "Greenlet.run"]


@pytest.mark.parametrize(
    ("code", "environment", "why"),
    [
        ("ctypes.PyDLL(None).sleep(60)", {}, "the interpreter's lock was not to be had"),
        ("g.sleep(60)", {"GREENSCOPE_STALL_MS": "0"}, "it has no watchdog (GREENSCOPE_STALL_MS=0"),
    ],
)
def test_where_the_process_cannot_say_it_the_ring_does_and_why_is_said(
    code: str, environment: dict[str, str], why: str, start: Start
):
    done = stacks(start(code, **environment).pid)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith(why)
    assert "7 greenlets, waiting" in done.stdout
    assert "app.py:6 inner" in done.stdout


def test_a_stopped_process_does_not_keep_one_waiting_for_long(start: Start):
    child = start("g.sleep(60)")
    child.send_signal(signal.SIGSTOP)
    done = stacks(child.pid)
    assert "is it stopped?" in done.stdout
    assert "7 greenlets, waiting" in done.stdout


def test_a_dead_process_is_shown_from_its_ring(start: Start):
    child = start("g.sleep(60)")
    child.kill()
    child.wait()
    done = stacks(child.pid)
    assert done.stdout.splitlines()[1].startswith("the process died")
    assert "7 greenlets, waiting" in done.stdout


@pytest.mark.parametrize("what", ["1", "x", "-1", "99999999999999999999", ""])
def test_what_is_no_process_that_records_is_one_line_and_exit_code_2(what: str):
    done = stacks("--", what)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("greenscope: ")
    assert done.stderr.count("\n") == 1
