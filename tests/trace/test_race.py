"""A writer at full speed, three readers and a snapshotter, each a process: nothing torn, every loss counted."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("GREENSCOPE_RACE_SECONDS", "3"))
READERS = [(64, 0.0), (5000, 0.0), (1 << 16, 0.002)]  # by small steps, by large ones, and too slow


def start(stack: contextlib.ExitStack, *args: object) -> subprocess.Popen[str]:
    """One of the processes, at its start."""
    command = [sys.executable, "-m", "tests.trace.race", *map(str, args)]
    child = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, stderr=-1, text=True))
    stack.callback(child.kill)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n", child.communicate()[1]
    return child


def result(child: subprocess.Popen[str], given: str = "") -> dict[str, int]:
    """What it counted; fails with its error, if it found one."""
    out, err = child.communicate(given, timeout=SECONDS + 60)
    assert child.returncode == 0, err
    counts: dict[str, int] = json.loads(out)
    return counts


def test_no_record_slot_or_snapshot_is_ever_torn_and_losses_are_counted_exactly(tmp_path: Path) -> None:
    path = tmp_path / "a.gsr"
    with contextlib.ExitStack() as stack:
        writer = start(stack, "writer", path, SECONDS)
        readers = [start(stack, "reader", path, limit, pause) for limit, pause in READERS]
        snapshotter = start(stack, "snapshotter", path, tmp_path / "b.gsr")
        written = result(writer, "go\n")
        counts = [result(reader) for reader in readers]
        taken = result(snapshotter)
    print("writer", written, "readers", *counts, "snapshotter", taken, sep="\n")
    assert [count["position"] for count in counts] == [written["records"]] * len(READERS)
    assert sum(count["gaps"] for count in counts) > 0, "nobody was overtaken: the race was none"
    assert taken["snapshots"] > 0


def test_snapshots_that_a_program_asks_for_at_full_speed_are_never_torn_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GREENSCOPE_STALL_MS", "1000000")  # the race's clock is not the watchdog's
    monkeypatch.setenv("GREENSCOPE_SNAPSHOTS", "100000")
    with contextlib.ExitStack() as stack:
        counts = result(start(stack, "recorder", min(SECONDS, 10)), "go\n")
    print("recorder", counts)
    assert counts["snapshots"] > 0
    assert counts["events"] > 0
