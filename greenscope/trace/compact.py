"""Makes a finished ring as small as what is in it, in place."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from greenscope.trace.reader import RingReader
from greenscope.trace.ring_layout import EVENT, MAX_BURST, read_field, write_field

__all__ = ["compact"]


def compact(path: Path, ended_ns: int) -> None:
    """Cut off the part of the event ring that was never reached. The ring must have no writer any more.

    Args:
        path: the ring.
        ended_ns: when its writer was seen to have ended (CLOCK_MONOTONIC); kept if it did not say so itself,
            so that what ran when it was killed is known to have run until then.

    Raises:
        RingFormatError: the file is not a ring.
    """
    reader = RingReader(path)  # checks it
    head, capacity, known_end = reader.head, reader.info.event_capacity, reader.end_ns()
    reader.close()
    # Room for a burst beyond the last record: readers leave that much out.
    needed = 1 << max(head + MAX_BURST - 1, 2 * MAX_BURST - 1).bit_length()
    with open(path, "r+b") as file:
        with mmap.mmap(file.fileno(), 0) as memory, memoryview(memory) as buffer:
            if known_end is None:
                write_field(buffer, "end_monotonic_ns", ended_ns)
            needed = min(needed, capacity)
            size = read_field(buffer, "event_offset") + needed * EVENT.size
            write_field(buffer, "event_capacity", needed)
        os.ftruncate(file.fileno(), size)
