"""One ring being followed: its reader, the timeline it is folded into, and the clock of its screen."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.diagnoses import Thresholds
from greenscope.trace.analysis.requests import Requests
from greenscope.trace.analysis.totals import Totals
from greenscope.trace.examination import Examination, monotonic_ns
from greenscope.trace.reader import RingInfo

__all__ = ["Listing", "Rates", "Session", "monotonic_ns"]

_CHUNK = 1 << 15  # folded in some 10 ms, in which nobody else is served
_log = logging.getLogger("greenscope")
_EXAMINE_NS = 400_000_000
_RATE_NS = 2_000_000_000
_KEPT_NS = 2_000_000_000
_KEPT_TIMES = 20  # what takes long is made so much the rarer: at most a twentieth of the time goes into it


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


class _Kept(NamedTuple):
    until: int | None  # None: for good
    answer: dict[str, Any]


@dataclass(slots=True)
class Listing:
    """A ring that there is, open or not; ``state`` is as in :meth:`RingReader.state`."""

    id: str
    info: RingInfo
    state: str


class Session(Examination):
    """Follows one ring file for the pages that look at it.

    Args:
        path: the ring.
        thresholds: from when on something is called wrong.
        clock: the monotonic clock, in ns; a test's own.

    Raises:
        RingFormatError: the file is not a ring.
        OSError: it cannot be read.
    """

    def __init__(
        self, path: Path, thresholds: Thresholds | None = None, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        super().__init__(path, thresholds, clock)
        self.id = path.stem
        self.requests = Requests(self.timeline, self.reader.string)
        self.totals = Totals()
        self.requests.listeners.append(self.totals.add_requests)
        self.model.followers += [self.requests.add, self.totals.add]
        self.found_last: set[tuple[object, ...]] = set()
        """The causes of what was found when that was last looked for."""
        self.pages = 0  # how many look at it
        self.failed = False
        self._examined = -_EXAMINE_NS
        self._examined_last = False  # when there was nothing more to come
        self._samples: deque[_Sample] = deque([_Sample(clock(), 0, 0, 0)])
        self._kept: dict[Hashable, _Kept] = {}

    @property
    def behind(self) -> int:
        """How many records wait to be read; none where the file was cut short meanwhile."""
        if not self.failed:
            try:
                return super().behind
            except GreenscopeError as error:
                _log.warning("%s", error)
                self.failed = True
        return 0

    @property
    def unfinished(self) -> bool:
        """Whether there is, or may be, more to read."""
        return not self.failed and (self.state == "live" or self.behind > 0)

    def follow(self, limit: int = _CHUNK) -> int:
        """Read and fold what is new, a piece of it; as of ``Examination.follow``."""
        behind = super().follow(limit)
        self._sample(self._clock())
        return behind

    def examine(self) -> None:
        """Find what is wrong by now, unless that was asked a moment ago, or nothing can have changed."""
        now = self._clock()
        if self.failed or self._examined_last or now - self._examined < _EXAMINE_NS or self.behind > _CHUNK:
            return
        self._examined = now
        self._examined_last = not self.unfinished
        try:
            self.found_last = {finding.cause for finding in self.findings()}
        except Exception:  # noqa: BLE001 - a file is untrusted, and what else it shows must go on
            _log.exception("%s cannot be diagnosed", self.info.path)
            self._examined_last = True

    def kept(self, what: Hashable, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """An answer that is costly: made at most every few seconds, and not again when nothing can have changed.

        Args:
            what: which of them.
            make: makes it.
        """
        began, found = self._clock(), self._kept.get(what)
        if found is not None and (found.until is None or began < found.until):
            return found.answer
        last = not self.unfinished
        answer = make()
        now = self._clock()
        self._kept[what] = _Kept(None if last else now + max(_KEPT_NS, _KEPT_TIMES * (now - began)), answer)
        return answer

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

    def _sample(self, now: int) -> None:
        samples, timeline = self._samples, self.timeline
        if now - samples[-1].at >= _RATE_NS // 20 or len(samples) == 1:
            samples.append(_Sample(now, timeline.events, timeline.switches, timeline.run_time))
            while len(samples) > 2 and now - samples[1].at >= _RATE_NS:
                samples.popleft()
