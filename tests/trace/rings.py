"""Rings for tests: fresh ones in memory or in a file, with either writer."""

from __future__ import annotations

from pathlib import Path

from greenscope.trace import _ring, ring_file, ring_notes, ring_python
from greenscope.trace.events import Spawn
from greenscope.trace.ring_file import RingFile, RingSizes

WRITERS = {"c": _ring.Ring, "python": ring_python.Ring}
SMALL = RingSizes(events=64, slots=4, sites=8, string_bytes=512)
INTERNAL = (ring_python.__file__, ring_notes.__file__)
PLUMBING = ("/plumbing/",)

Writer = ring_python.Ring


def new_ring(writer: str, path: Path | None = None, sizes: RingSizes = SMALL) -> tuple[Writer, RingFile]:
    """A ring whose clock stands at 1000 ns."""
    file = ring_file.create(path, hub=1, thread_name="MainThread", sizes=sizes)
    ring = WRITERS[writer](memoryview(file.memory), INTERNAL, PLUMBING, file.lock)
    ring.clock_ns = 1000
    return ring, file


def begin(ring: Writer) -> tuple[int, int]:
    """The hub and the main greenlet, which runs: their handles."""
    hub = ring.spawn(Spawn.HUB, ring.string("hub"), 0, 0)
    main = ring.spawn(Spawn.MAIN, ring.string("main"), 0, 0)
    ring.switch(main)
    return hub, main
