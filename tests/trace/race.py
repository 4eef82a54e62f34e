"""Processes that race for one ring: ``python -m tests.trace.race ROLE PATH …``, driven by ``test_race.py``.

The writer goes as fast as it can. Whatever it writes as record ``n`` says so in several of its fields: a
record of two halves, a slot of two moments, a text or a name of another event cannot agree with itself.
A reader and the snapshotter print what they counted, as JSON; the first thing that does not agree ends
them with an AssertionError.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from greenscope.trace.events import Kind, Spawn
from greenscope.trace.reader import RingReader
from greenscope.trace.recorder import open_recorder
from greenscope.trace.records import Batch
from greenscope.trace.ring_file import RingSizes
from greenscope.trace.snapshot import snapshot
from tests.trace.rings import Writer, new_ring

SIZES = RingSizes(events=3 << 12, slots=64, sites=64, string_bytes=64 << 20, watch=0)
MIX = 2654435761
U32 = 0xFFFFFFFF


def peer(number: int) -> str:
    """A text of two records."""
    return f"{number:>20}".ljust(50, "<")


def write(path: Path, seconds: float) -> None:
    ring, file = new_ring("c", path, SIZES)
    n = fill(ring, seconds)
    file.close()
    print(json.dumps({"records": n}))


def record(seconds: float) -> None:
    """Write as a program does, and ask for snapshots meanwhile, which the watchdog makes."""
    recorder = open_recorder(1, "MainThread")
    assert recorder.path is not None
    n = fill(recorder, seconds, lambda: os.kill(os.getpid(), signal.SIGUSR2))
    recorder.close()
    counts = {"records": n, "snapshots": 0, "events": 0, "lost": 0, "slots": 0}
    for path in (recorder.path.parent / "snapshots").glob("*.gsr"):
        check_snapshot(path, counts)
    print(json.dumps(counts))


def fill(ring: Writer, seconds: float, now_and_then: Callable[[], None] = lambda: None) -> int:
    """Write for a while, and call a function after every 150,000 records: how many were written."""
    n = 0

    def spawn(name: str) -> int:
        nonlocal n
        ring.clock_ns = n + 1  # 0 would be the real clock
        handle = ring.spawn(Spawn.GREENLET, ring.string(name), 1, 0)
        n += 2
        return handle

    living = [spawn(f"greenlet {n}") for _ in range(20)]
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + seconds
    rounds = 0
    start, ready, opened = ring.watcher_start, ring.ready, ring.watcher_open
    while time.monotonic() < end:
        for _ in range(100):
            for _ in range(15):
                ring.clock_ns = n + 1
                start(n & 0xFF, n, n * MIX)
                n += 1
            ring.clock_ns = n + 1
            ready(living[n % 20], n & 1, n)  # 0 and 1: not by a greenlet, so that all of n is kept
            n += 1
        ring.clock_ns = n + 1
        opened(n & 0xFF, n & U32, peer(n).encode())
        n += 3
        ring.clock_ns = n
        ring.exit(living[n % 20], 0)
        n += 1
        living[(n - 1) % 20] = spawn(f"greenlet {n}")
        rounds += 1
        if rounds % 100 == 0:
            now_and_then()
    return n


def check(reader: RingReader, batch: Batch, position: int) -> int:
    """Hold a batch to the pattern; how many records it stands for, with those lost."""
    events = batch.events
    if not len(events):
        return batch.lost
    kinds = events["kind"]
    numbers = events["time_ns"] - np.uint64(1)
    # The second record of a spawn has the time of the first; an exit's clock is one behind.
    numbers += (kinds == Kind.GREENLET_NAME).astype(np.uint64) + (kinds == Kind.GREENLET_EXIT).astype(np.uint64)
    width = np.where(kinds == Kind.WATCHER_OPEN, 3, 1).astype(np.uint64)
    assert numbers[0] == position + batch.lost, (numbers[0], position, batch.lost)
    assert (numbers[1:] == numbers[:-1] + width[:-1]).all(), "an event is missing, or twice there"

    starts = events[kinds == Kind.WATCHER_START]
    n = numbers[kinds == Kind.WATCHER_START]
    assert (starts["reason"] == (n & np.uint64(0xFF))).all()
    high = (n * np.uint64(MIX)) & np.uint64(U32)
    assert (starts["arg"] == ((n & np.uint64(U32)) | (high << np.uint64(32)))).all()
    readies = events[kinds == Kind.GREENLET_READY]
    n = numbers[kinds == Kind.GREENLET_READY]
    assert (readies["reason"] == (n & np.uint64(1))).all()
    assert (readies["arg"] == n).all()
    opened = np.flatnonzero(kinds == Kind.WATCHER_OPEN).tolist()
    assert sorted(batch.texts) == opened
    for index in opened:
        assert batch.texts[index] == peer(int(numbers[index]))
    for index in np.flatnonzero(kinds == Kind.GREENLET_NAME).tolist():
        assert reader.string(int(events["arg"][index])) == f"greenlet {numbers[index] - np.uint64(1)}"
    return batch.lost + int(width.sum())


def check_table(reader: RingReader) -> int:
    """Hold the slots to the pattern: how many there are."""
    slots = reader.greenlets()
    for slot in slots:
        if slot.state == "ready":
            assert slot.reason == (slot.since_ns - 1) & 1, slot
        else:
            assert slot.name == f"greenlet {slot.since_ns - 1}", slot
    return len(slots)


def read(path: Path, limit: int, pause: float) -> None:
    counts = {"batches": 0, "events": 0, "lost": 0, "gaps": 0, "position": 0, "slots": 0}
    with contextlib.closing(RingReader(path)) as reader:
        print("ready", flush=True)
        ended = False
        while not ended or reader.position < reader.head:
            ended = reader.state() == "ended"
            before = reader.position
            batch = reader.read_batch(limit)
            assert check(reader, batch, before) == reader.position - before
            counts["batches"] += 1
            counts["events"] += len(batch)
            counts["lost"] += batch.lost
            counts["gaps"] += batch.lost > 0
            if counts["batches"] % 16 == 0:
                counts["slots"] += check_table(reader)
            time.sleep(pause)
        counts["position"] = reader.position
        assert counts["lost"] == reader.lost
    print(json.dumps(counts))


def check_snapshot(path: Path, counts: dict[str, int]) -> None:
    """Hold a snapshot to the pattern: its events, its table, and its names, none of which may be missing."""
    with contextlib.closing(RingReader(path)) as reader:
        position = 0
        while position < reader.head:
            batch = reader.read_batch()
            position += check(reader, batch, position)
            counts["events"] += len(batch)
            counts["lost"] += batch.lost
        assert position == reader.head == reader.position
        counts["slots"] += check_table(reader)
    counts["snapshots"] += 1


def take_snapshots(path: Path, target: Path) -> None:
    counts = {"snapshots": 0, "events": 0, "lost": 0, "slots": 0}
    with contextlib.closing(RingReader(path)) as ring:
        print("ready", flush=True)
        ended = False
        while not ended:
            ended = ring.state() == "ended"
            snapshot(path, target)
            check_snapshot(target, counts)
    print(json.dumps(counts))


if __name__ == "__main__":
    role, path, *rest = sys.argv[1:]
    if role == "recorder":
        record(float(path))
    elif role == "writer":
        write(Path(path), float(rest[0]))
    elif role == "reader":
        read(Path(path), int(rest[0]), float(rest[1]))
    else:
        take_snapshots(Path(path), Path(rest[0]))
