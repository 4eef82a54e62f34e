"""A ring being diagnosed: read as far as it is written, and asked what is wrong, as often as one likes.

Refuses to wait, and to be told: whoever watches a living process asks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from greenscope.trace.analysis.diagnoses import Finding, Thresholds, diagnose
from greenscope.trace.analysis.model import Model
from greenscope.trace.reader import RingInfo, RingReader

__all__ = ["Examination", "monotonic_ns"]

_CHUNK = 1 << 18
_TRIES = 10


def monotonic_ns() -> int:
    """The clock the rings are written with."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Examination:
    """One ring, live, dead or a snapshot.

    Args:
        path: it.
        thresholds: from when on something is called wrong.
        clock: the monotonic clock, in ns; a test's own.

    Raises:
        RingFormatError: the file is not a ring.
        OSError: it cannot be read.
    """

    def __init__(
        self, path: Path, thresholds: Thresholds | None = None, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._reader = RingReader(path)
        self._clock = clock
        self.info: RingInfo = self._reader.info
        self.model = Model(self.info.start_monotonic_ns, self._reader, thresholds)
        self.model.watched_ns = self.info.stall_ns
        self.state = self._reader.state()
        """As of ``RingReader.state``, when it was last read."""
        self._alive_at = 0

    def findings(self) -> list[Finding]:
        """Read what is new, and say what is wrong by now."""
        reader, model = self._reader, self.model
        # Whether it lives, first: what it wrote before it died is then read for certain.
        self.state = reader.state()
        if self.state == "live":
            self._alive_at = self._clock()
        until = reader.head
        while True:
            batch = reader.read_batch(_CHUNK)
            if batch:
                model.apply(batch, reader.greenlets() if batch.lost else ())
            if reader.position >= until:
                break
        # Of one moment, if possible: a hub may switch between two rows.
        for _ in range(_TRIES):
            now = self._clock()
            slots = reader.greenlets()
            if sum(slot.state == "running" for slot in slots) < 2:
                break
        if self.state != "live":
            now = max(reader.end_ns() or 0, self._alive_at, *(slot.since_ns for slot in slots), 0)
        model.look(slots, now, self.state)
        return diagnose(model)

    def wall(self, at: int) -> float:
        """A time of the ring's by the wall clock, in seconds since the epoch."""
        return (self.info.start_wall_ns + at - self.info.start_monotonic_ns) / 1e9

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
