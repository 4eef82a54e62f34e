"""Rings for tests: fresh ones in memory or in a file, with either writer."""

from __future__ import annotations

import struct
from pathlib import Path

from greenscope.trace import _ring, ring_figures, ring_file, ring_notes, ring_python, ring_sites
from greenscope.trace.events import Kind, Spawn
from greenscope.trace.ring_file import RingFile, RingSizes
from greenscope.trace.ring_layout import EVENT, TEXT_BYTES, read_field, write_field

WRITERS = {"c": _ring.Ring, "python": ring_python.Ring}
SMALL = RingSizes(events=64, slots=4, sites=8, string_bytes=512)
INTERNAL = (ring_python.__file__, ring_figures.__file__, ring_notes.__file__, ring_sites.__file__)
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


def watch(file: RingFile, kind: int, time_ns: int, text: bytes = b"", greenlet: int = 0, arg: int = 0) -> None:
    """Write as the watchdog does: an event of its own ring, and its text."""
    with memoryview(file.memory) as buffer:
        offset, capacity = read_field(buffer, "watch_offset"), read_field(buffer, "watch_capacity")
        head = read_field(buffer, "watch_head")
        pieces = [text[at : at + TEXT_BYTES] for at in range(0, len(text), TEXT_BYTES)]
        EVENT.pack_into(buffer, offset + head % capacity * EVENT.size, time_ns, greenlet, kind, 0, len(pieces), 0, arg)
        for number, piece in enumerate(pieces, start=1):
            at = offset + (head + number) % capacity * EVENT.size
            padded = piece.ljust(TEXT_BYTES, b"\0")
            fields = padded[:16], Kind.TEXT, len(piece), len(pieces) - number, padded[16:]
            struct.pack_into("<16sBBH12s", buffer, at, *fields)
        write_field(buffer, "watch_head", head + 1 + len(pieces))
