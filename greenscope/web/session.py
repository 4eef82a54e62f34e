"""One ring being followed: its reader, the timeline it is folded into, and the clock of its screen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from greenscope.trace.analysis import Timeline
from greenscope.trace.reader import RingInfo, RingReader

__all__ = ["Listing", "Rates", "Session", "monotonic_ns"]

_CHUNK = 1 << 15  # folded in some 10 ms, in which nobody else is served
_RATE_NS = 2_000_000_000
_LIVENESS_NS = 200_000_000


def monotonic_ns() -> int:
    """The clock the rings are written with."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Rates(NamedTuple):
    """What happened in the last two seconds."""

    events_per_second: float
    switches_per_second: float
    mean_slice_ns: int


class _Sample(NamedTuple):
    at: int
    events: int
    switches: int
    run_time: int


@dataclass(slots=True)
class Listing:
    """A ring that there is, open or not; ``state`` is as in :meth:`RingReader.state`."""

    id: str
    info: RingInfo
    state: str


class Session:
    """Follows one ring file.

    Args:
        path: the ring.
        stall_ns: a run this long is a stall.
        clock: the monotonic clock, in ns; a test's own.

    Raises:
        RingFormatError: the file is not a ring.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, stall_ns: int, clock: Callable[[], int] = monotonic_ns) -> None:
        self.id = path.stem
        self.reader = RingReader(path)
        self.info = self.reader.info
        self.timeline = Timeline(self.info.start_monotonic_ns, self.reader.string, stall_ns)
        self.state = self.reader.state()
        self.pages = 0  # how many look at it
        self.failed = False
        self._clock = clock
        self._checked = clock()
        self._alive_at = self._checked if self.state == "live" else 0
        self._samples: deque[_Sample] = deque([_Sample(self._checked, 0, 0, 0)])

    @property
    def behind(self) -> int:
        """How many records wait to be read."""
        return max(self.reader.head - self.reader.position, 0)

    @property
    def unfinished(self) -> bool:
        """Whether there is, or may be, more to read."""
        return not self.failed and (self.state == "live" or self.behind > 0)

    def follow(self) -> int:
        """Read and fold what is new, a bounded piece of it.

        Returns:
            How many records are still to be read.
        """
        # Look whether it lives before reading: what it wrote before it died is then read for certain.
        now = self._clock()
        if self.state == "live" and now - self._checked >= _LIVENESS_NS:
            self._checked = now
            self.state = self.reader.state()
            if self.state == "live":
                self._alive_at = now
        batch = self.reader.read_batch(_CHUNK)
        if batch:
            # The table is read after the events, so it is never behind them.
            self.timeline.apply(batch, self.reader.greenlets() if batch.lost else ())
        self._sample(now)
        return self.behind

    def now(self) -> int:
        """The right end of the time axis: this moment while it lives, then its end as far as it is known.

        A process that was killed in the middle of a stall left no event after the stall began; what is known
        is when it was last seen alive.
        """
        if self.state == "live":
            return max(self._clock(), self.timeline.last)
        end = self.reader.end_ns()
        return max(self.timeline.last, self._alive_at if end is None else end)

    def begin(self) -> int:
        """The left end: when the ring began, or the oldest that is kept."""
        return max(self.info.start_monotonic_ns, self.timeline.forgotten_until)

    def relative(self, at: int) -> int:
        """A time as the page has it: since the ring began."""
        return at - self.info.start_monotonic_ns

    def rates(self) -> Rates:
        """Per second, over the last two seconds; nothing happens any more once it ended."""
        if self.state != "live":
            return Rates(0.0, 0.0, 0)
        first, last = self._samples[0], self._samples[-1]
        seconds = max(last.at - first.at, 1) / 1e9
        switches = last.switches - first.switches
        return Rates(
            events_per_second=(last.events - first.events) / seconds,
            switches_per_second=switches / seconds,
            mean_slice_ns=(last.run_time - first.run_time) // switches if switches else 0,
        )

    def close(self) -> None:
        """Let go of the file."""
        self.reader.close()

    def _sample(self, now: int) -> None:
        samples, timeline = self._samples, self.timeline
        if now - samples[-1].at >= _RATE_NS // 20 or len(samples) == 1:
            samples.append(_Sample(now, timeline.events, timeline.switches, timeline.run_time))
            while len(samples) > 2 and now - samples[1].at >= _RATE_NS:
                samples.popleft()
