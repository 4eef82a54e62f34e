"""Rings of dead processes are kept for a while, within limits; living ones are never touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from greenscope.trace.recorder import open_recorder
from greenscope.trace.ring_file import RingFile
from greenscope.trace.ring_layout import write_field
from greenscope.trace.ring_pruning import KeepLimits, prune, prune_now_and_then
from greenscope.trace.rings import rings_in
from greenscope.trace.snapshot import snapshot
from tests.trace.rings import begin, new_ring

HOUR = 3600
ALL = KeepLimits(seconds=24 * HOUR, rings=100, bytes=1 << 40)
NONE = KeepLimits(seconds=0, rings=0, bytes=0)


def make(path: Path, hours_ago: float, living: bool = False) -> RingFile:
    """A ring that was written to last so long ago."""
    ring, file = new_ring("c", path)
    then = time.time_ns() - int(hours_ago * HOUR * 1e9)
    with memoryview(file.memory) as header:
        write_field(header, "start_monotonic_ns", 1000)
        write_field(header, "start_wall_ns", then)
    begin(ring)
    os.utime(path, ns=(then, then))
    if not living:
        file.release()
    return file


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.gsr"))


def test_the_oldest_beyond_each_limit_go(tmp_path: Path) -> None:
    for hours in range(1, 7):
        make(tmp_path / f"{hours}-1.gsr", hours)
    size = rings_in(tmp_path)[0].size_bytes

    def gone(limits: KeepLimits) -> list[str]:
        return sorted(ring.path.name for ring in prune(tmp_path, limits, dry_run=True))

    assert gone(ALL) == []
    assert gone(KeepLimits(4.5 * HOUR, 100, 1 << 40)) == ["5-1.gsr", "6-1.gsr"]
    assert gone(KeepLimits(24 * HOUR, 4, 1 << 40)) == ["5-1.gsr", "6-1.gsr"]
    assert gone(KeepLimits(24 * HOUR, 100, 3 * size)) == ["4-1.gsr", "5-1.gsr", "6-1.gsr"]
    assert len(names(tmp_path)) == 6
    assert len(prune(tmp_path, KeepLimits(24 * HOUR, 4, 1 << 40))) == 2
    assert names(tmp_path) == ["1-1.gsr", "2-1.gsr", "3-1.gsr", "4-1.gsr"]


def test_what_lives_stays_and_what_no_recorder_named_and_snapshots(tmp_path: Path) -> None:
    live = make(tmp_path / "1-1.gsr", 100, living=True)
    make(tmp_path / "2-1.gsr", 100)
    make(tmp_path / "2-1-1700000000.gsr", 100)
    make(tmp_path / "kept.gsr", 100)
    snapshot(tmp_path / "1-1.gsr", tmp_path / "9-1.gsr")
    (tmp_path / "3-1.gsr").write_text("no ring")
    prune(tmp_path, NONE)
    assert names(tmp_path) == ["1-1.gsr", "3-1.gsr", "9-1.gsr", "kept.gsr"]
    live.release()


def test_a_long_lived_process_that_died_just_now_is_not_old(tmp_path: Path) -> None:
    """The time of a mapped file may be that of its making."""
    ring, file = new_ring("c", tmp_path / "1-1.gsr")
    long_ago = time.time_ns() - 100 * HOUR * 10**9
    with memoryview(file.memory) as header:
        write_field(header, "start_monotonic_ns", 1000)
        write_field(header, "start_wall_ns", long_ago)
    ring.clock_ns = 1000 + 100 * HOUR * 10**9
    ring.poll_begin(1)
    ring.watcher_open(1, 3, b"a text record is the last one")
    os.utime(tmp_path / "1-1.gsr", ns=(long_ago, long_ago))
    file.release()
    assert prune(tmp_path, ALL) == []


def test_what_was_left_half_made_goes_unless_it_is_being_made(tmp_path: Path) -> None:
    for name, seconds_ago in {"1-1-123.new": 1000, "2-1-124.new": 1}.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - seconds_ago,) * 2)
    prune(tmp_path, ALL)
    assert [path.name for path in tmp_path.glob("*.new")] == ["2-1-124.new"]


def test_a_dead_processes_socket_goes_and_one_that_is_listened_on_stays(tmp_path: Path) -> None:
    for number in (11, 12, 13):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / f"{number}.sock"))
        if number == 12:
            served = listener
            served.listen()
        else:
            listener.close()
        if number != 13:
            os.utime(tmp_path / f"{number}.sock", (time.time() - 1000,) * 2)
    prune(tmp_path, ALL)
    assert sorted(path.name for path in tmp_path.glob("*.sock")) == ["12.sock", "13.sock"]
    served.close()


def test_it_is_done_now_and_then_and_by_one_at_a_time(tmp_path: Path) -> None:
    make(tmp_path / "1-1.gsr", 1)
    prune(tmp_path, ALL)
    prune_now_and_then(tmp_path, NONE)
    assert names(tmp_path) == ["1-1.gsr"]  # it was done a moment ago
    os.utime(tmp_path / ".pruned", (0, 0))
    pruner = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / ".pruned")], stdin=-1, stdout=-1)
    with pruner:
        assert pruner.stdout is not None
        pruner.stdout.readline()
        prune_now_and_then(tmp_path, NONE)
        assert names(tmp_path) == ["1-1.gsr"]  # another does it
        pruner.communicate(b"")
    prune_now_and_then(tmp_path, NONE)
    assert names(tmp_path) == []


HOLD = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_a_clock_that_was_set_does_not_end_pruning(tmp_path: Path) -> None:
    make(tmp_path / "1-1.gsr", 100)
    (tmp_path / ".pruned").touch()
    os.utime(tmp_path / ".pruned", (time.time() + 10 * 24 * HOUR,) * 2)
    prune_now_and_then(tmp_path, NONE)
    assert names(tmp_path) == []


def test_a_hub_that_opens_its_ring_prunes(trace_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENSCOPE_KEEP_HOURS", "2")
    trace_directory.mkdir(mode=0o700)
    make(trace_directory / "1-1.gsr", 1)
    make(trace_directory / "2-1.gsr", 3)
    recorder = open_recorder(1, "MainThread")
    assert names(trace_directory) == ["1-1.gsr", f"{os.getpid()}-1.gsr"]
    recorder.close()


@pytest.mark.parametrize("name", ["GREENSCOPE_KEEP_HOURS", "GREENSCOPE_KEEP_RINGS", "GREENSCOPE_KEEP_MB"])
def test_a_limit_that_makes_no_sense_is_said_and_not_used(
    name: str, trace_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "-1")
    trace_directory.mkdir(mode=0o700)
    make(trace_directory / "1-1.gsr", 3)
    recorder = open_recorder(1, "MainThread")
    assert recorder.path is not None
    assert f"{name} is '-1': give" in capsys.readouterr().err
    assert len(names(trace_directory)) == 2
    recorder.close()


CROWD = """
import os, sys
from greenscope.trace import ring_pruning
from greenscope.trace.recorder import open_recorder
from greenscope.trace.reader import RingReader
ring_pruning._EVERY_SECONDS = ring_pruning._SHARE = 0  # each one prunes
for number in range(int(sys.argv[1])):
    if os.fork() == 0:
        recorder = open_recorder(1, "MainThread")
        recorder.poll_begin(1)
        assert recorder.path is not None and recorder.path.exists()
        reader = RingReader(recorder.path)
        assert (reader.info.pid, reader.state(), reader.head) == (os.getpid(), "live", 1)
        os._exit(0)
    if number % 4 == 3:
        for _ in range(4):
            assert os.wait()[1] == 0
"""


def test_processes_that_come_and_go_and_all_prune_never_lose_a_living_ring(
    trace_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENSCOPE_KEEP_RINGS", "3")
    crowds = [subprocess.Popen([sys.executable, "-c", CROWD, "100"], stderr=-1, text=True) for _ in range(2)]
    for crowd in crowds:
        assert crowd.communicate(timeout=60)[1] == ""
        assert crowd.returncode == 0
    assert 1 <= len(names(trace_directory)) < 200 // 2  # who finds another at it leaves it to him
    prune(trace_directory, KeepLimits(24 * HOUR, 3, 1 << 40))
    assert len(names(trace_directory)) == 3
