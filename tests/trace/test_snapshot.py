"""Snapshots: copies of rings that are consistent, small, and say what was so when they were taken."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from greenscope.errors import RingFormatError
from greenscope.trace.events import Kind, Wait, Watch
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Gap, GreenletSlot, Site
from greenscope.trace.ring_file import RingSizes
from greenscope.trace.ring_layout import EVENT, write_field
from greenscope.trace.snapshot import snapshot
from tests.trace.rings import begin, new_ring, watch

SIZES = RingSizes(events=4096, slots=64, sites=64, string_bytes=4096, watch=256)


def everything(path: Path) -> tuple[list[Event | Gap], list[GreenletSlot], list[list[Site]]]:
    """All that a reader can say of a ring."""
    with contextlib.closing(RingReader(path)) as reader:
        records = reader.read()
        sites = [reader.stack(record.site) for record in records if isinstance(record, Event)]
        names = [reader.string(e.arg) for e in records if isinstance(e, Event) and e.kind == Kind.GREENLET_NAME]
        assert "?" not in names
        return records, reader.greenlets(), sites


@pytest.mark.parametrize("events", [0, 1, 40, 4000, 5000, 50_000])
def test_a_snapshot_reads_as_its_ring_does(tmp_path: Path, events: int) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr", SIZES)
    begin(ring)
    gone = ring.spawn(0, ring.string("gone"), 1, 0)
    worker = ring.spawn(0, ring.string("worker"), 1, 0)
    ring.exit(gone, 0)
    ring.switch(worker)
    for number in range(events):
        ring.watcher_start(Watch.READ, number, 0)
    ring.watcher_open(Watch.READ, 3, b"an address of more than twenty-eight bytes")
    ring.park(Wait.READ, 1, 3, 0, b"peer")
    watch(file, Kind.STALL_BEGIN, 900, b"a.py\t1\tf\n" * 10)
    watch(file, Kind.STALL_END, 2000)
    snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr")
    assert everything(tmp_path / "b.gsr") == everything(tmp_path / "a.gsr")
    snapshot(tmp_path / "b.gsr", tmp_path / "c.gsr")
    assert everything(tmp_path / "c.gsr") == everything(tmp_path / "a.gsr")


def test_a_snapshot_is_as_large_as_what_is_in_it_and_its_owners_alone(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr", RingSizes())
    begin(ring)
    snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr")
    status = (tmp_path / "b.gsr").stat()
    assert (tmp_path / "a.gsr").stat().st_size > 32 << 20
    assert status.st_size < 12_000
    assert status.st_mode & 0o777 == 0o600


def test_a_snapshot_of_a_ring_that_wrapped_says_exactly_what_was_lost(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr", SIZES)
    for number in range(10_000):
        ring.watcher_start(Watch.READ, number, 0)
    snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr")
    with contextlib.closing(RingReader(tmp_path / "b.gsr")) as reader:
        lost, *events = reader.read()
        assert isinstance(lost, Gap)
        assert [event.arg for event in events if isinstance(event, Event)] == list(range(lost.lost, 10_000))
        assert (reader.head, reader.lost) == (10_000, 10_000 - 4096 + 8)


def test_watchdog_events_that_were_lost_stay_counted(tmp_path: Path) -> None:
    _, file = new_ring("c", tmp_path / "a.gsr", SIZES)
    for number in range(1000):
        watch(file, Kind.STALL_END, 1000 + number)
    snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr")
    for path in (tmp_path / "a.gsr", tmp_path / "b.gsr"):
        with contextlib.closing(RingReader(path)) as reader:
            assert len(reader.read()) == 128
            assert (reader.watch_lost, reader.lost) == (872, 0)


def test_a_snapshot_of_a_living_ring_is_neither_live_nor_dead_and_ends_when_it_was_taken(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    ring.poll_begin(1)
    snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr", reason=3)
    with contextlib.closing(RingReader(tmp_path / "b.gsr")) as reader:
        assert reader.state() == "snapshot"
        assert reader.end_ns() == reader.info.snapshot_ns > 1000
        assert reader.info.snapshot_reason == 3
    snapshot(tmp_path / "b.gsr", tmp_path / "c.gsr", reason=4)
    with (
        contextlib.closing(RingReader(tmp_path / "b.gsr")) as first,
        contextlib.closing(RingReader(tmp_path / "c.gsr")) as second,
    ):
        assert (second.state(), second.end_ns()) == ("snapshot", first.end_ns())
        assert second.info.snapshot_reason == 3


def test_a_snapshot_of_a_ring_whose_writer_said_goodbye_has_ended_when_that_was(tmp_path: Path) -> None:
    _, file = new_ring("c", tmp_path / "a.gsr")
    file.close()
    snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr")
    with (
        contextlib.closing(RingReader(tmp_path / "a.gsr")) as ring,
        contextlib.closing(RingReader(tmp_path / "b.gsr")) as copy,
    ):
        assert (copy.state(), copy.end_ns()) == ("ended", ring.end_ns())


WRITER = """
import os, signal
from greenscope.trace.recorder import open_recorder
recorder = open_recorder(1, "MainThread")
recorder.poll_begin(1)
print(recorder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("ended_ns", [0, 1 << 61])
def test_a_snapshot_of_a_killed_writers_ring_died_at_its_last_event_or_when_that_was_seen(
    tmp_path: Path, ended_ns: int
) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    snapshot(Path(done.stdout.strip()), tmp_path / "b.gsr", ended_ns=ended_ns)
    with contextlib.closing(RingReader(tmp_path / "b.gsr")) as reader:
        (event,) = reader.read()
        assert isinstance(event, Event)
        assert (reader.state(), reader.end_ns()) == ("died", ended_ns or event.time_ns)


def test_a_ring_of_version_1_is_read_and_copied_as_one_of_version_2(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr", SIZES)
    begin(ring)
    with memoryview(file.memory) as buffer:  # which had no more than this
        for name, value in {"version": 1, "watch_offset": 0, "watch_capacity": 0, "process_start": 0}.items():
            write_field(buffer, name, value)
    snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr")
    assert everything(tmp_path / "b.gsr") == everything(tmp_path / "a.gsr")
    with contextlib.closing(RingReader(tmp_path / "b.gsr")) as reader:
        assert reader.info.version == 2


def test_a_snapshot_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.gsr").write_bytes(b"no ring")
    (tmp_path / "b.gsr").write_bytes(b"before")
    with pytest.raises(RingFormatError, match="has 7 bytes"):
        snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr")
    new_ring("c", tmp_path / "c.gsr")
    os.truncate(tmp_path / "c.gsr", 5000)
    with pytest.raises(RingFormatError, match="cut short"):
        snapshot(tmp_path / "c.gsr", tmp_path / "b.gsr")
    assert (tmp_path / "b.gsr").read_bytes() == b"before"
    new_ring("c", tmp_path / "d.gsr")
    with pytest.raises(OSError):
        snapshot(tmp_path / "d.gsr", tmp_path / "nowhere" / "e.gsr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        snapshot(tmp_path / "d.gsr", tmp_path / "folder")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.gsr", "b.gsr", "c.gsr", "d.gsr", "folder"}


def test_taking_snapshots_asks_for_nothing_but_the_standard_library(tmp_path: Path) -> None:
    new_ring("c", tmp_path / "a.gsr")
    program = f"""
import sys
from pathlib import Path
import greenscope.runtime
from greenscope.trace.snapshot import snapshot
snapshot(Path({str(tmp_path / "a.gsr")!r}), Path({str(tmp_path / "b.gsr")!r}))
print({{"numpy", "click", "fastapi"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert done.stdout == "set()\n"


def test_a_file_that_is_one_large_hole_is_read_and_copied_at_once(tmp_path: Path) -> None:
    new_ring("c", tmp_path / "a.gsr")
    with (tmp_path / "a.gsr").open("r+b") as file, mmap.mmap(file.fileno(), 4096) as memory:
        records = 1 << 30
        with memoryview(memory) as buffer:
            write_field(buffer, "event_capacity", records)
            write_field(buffer, "head", records + 5)
        file.truncate(file.seek(0, os.SEEK_END) + records * EVENT.size)
    snapshot(tmp_path / "a.gsr", tmp_path / "b.gsr")
    assert (tmp_path / "b.gsr").stat().st_blocks * 512 < 1 << 20
    for path in (tmp_path / "a.gsr", tmp_path / "b.gsr"):
        with contextlib.closing(RingReader(path)) as reader:
            batches = 0
            while reader.position < reader.head:
                assert not len(reader.read_batch())
                batches += 1
            assert batches < 10
            assert reader.lost == records + 5
