"""A ring being followed: read a piece at a time, and asked what is wrong as often as one likes.

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
_LIVENESS_NS = 200_000_000
_SOON_NS = 10_000_000
_TRIES = 10


def monotonic_ns() -> int:
    """The clock the rings are written with."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Examination:
    """Follows one ring: live, dead or a snapshot.

    Args:
        path: it.
        thresholds: from when on something is called wrong.
        clock: the monotonic clock, in ns; a test's own.

    Raises:
        RingFormatError: the file is not a ring; or is cut short, from any method.
        OSError: it cannot be read.
    """

    def __init__(
        self, path: Path, thresholds: Thresholds | None = None, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self.path = path
        self.reader = RingReader(path)
        self.info: RingInfo = self.reader.info
        self.model = Model(self.info.start_monotonic_ns, self.reader, thresholds)
        self.timeline = self.model.timeline
        self.state = self.reader.state()
        """As of ``RingReader.state``, when that was last asked."""
        self.seen: dict[tuple[object, ...], Finding] = {}
        """What was ever found, in the order in which it was first: each cause as it was last."""
        self._clock = clock
        self._checked = clock()
        self._alive_at = self._checked if self.state == "live" else 0

    @property
    def behind(self) -> int:
        """How many records wait to be read."""
        return max(self.reader.head - self.reader.position, 0)

    def follow(self, limit: int = _CHUNK) -> int:
        """Read and fold what is new, a bounded piece of it.

        Args:
            limit: at most this many events.

        Returns:
            How many records are still to be read.
        """
        # Look whether it lives before reading: what it wrote before it died is then read for certain.
        if self._clock() - self._checked >= _LIVENESS_NS:
            self._look_alive()
        batch = self.reader.read_batch(limit)
        if batch:
            # The table is read after the events, so it is never behind them.
            self.model.apply(batch, self.reader.greenlets() if batch.lost else ())
        return self.behind

    def now(self) -> int:
        """The moment that it shows: this one while it lives, then its end as far as it is known.

        A process that was killed in the middle of a stall left no event after the stall began; what is known
        is when it was last seen alive, by its watchdog or here.
        """
        if self.state == "live":
            return max(self._clock(), self.timeline.last)
        end = self.reader.end_ns() or 0
        return max(self.timeline.last, end if self.state == "ended" else max(end, self._alive_at))

    def findings(self) -> list[Finding]:
        """Read what was written by now, and say what is wrong, the worst first."""
        self._look_alive()
        # Reading takes its time, in which more is written: what was read is compared with the moment it was read at.
        for _ in range(_TRIES):
            now, until = self.now(), self.reader.head
            while self.follow() and self.reader.position < until:
                pass
            if self.now() - now < _SOON_NS:
                break
        # Of one moment, if possible: a hub may switch between two rows.
        for _ in range(_TRIES):
            slots = self.reader.greenlets()
            if sum(slot.state == "running" for slot in slots) < 2:
                break
        self.model.complete = not self.reader.counters()["slots_lost"]
        self.model.watched_ns = self.reader.watched_ns
        self.model.look(slots, max(now, max((slot.since_ns for slot in slots), default=0)), self.state)
        found = diagnose(self.model)
        self.seen.update((finding.cause, finding) for finding in found)
        return found

    def wall(self, at: int) -> float:
        """A time of the ring's by the wall clock, in seconds since the epoch."""
        return (self.info.start_wall_ns + at - self.info.start_monotonic_ns) / 1e9

    def close(self) -> None:
        """Let go of the file."""
        self.reader.close()

    def _look_alive(self) -> None:
        now = self._clock()
        if self.state == "live":
            self._checked = now
            self.state = self.reader.state()
            if self.state == "live":
                self._alive_at = now
