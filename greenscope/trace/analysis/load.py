"""How busy the hub is: how much of each stretch of time it was away from its poll, and how long each time.

Whatever runs is a running span, the hub's own or a greenlet's, and the rest of the time the hub polls. So the load
of a stretch is what ran in it, of what is known of it; where events were lost neither is known, and neither counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.spread import Spread
from greenscope.trace.analysis.states import POLL, State

__all__ = ["HubLoad", "LoadClass"]

_WIDTH = 10_000_000
_MOST = 1 << 14
_CLASSES = 10

_Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LoadClass:
    """How many stretches had a load from ``least`` to ``most``, of 1."""

    least: float
    most: float
    count: int


class HubLoad:
    """The hub's load within a window.

    Args:
        begin: the window's begin (CLOCK_MONOTONIC ns).
        end: and its end.
    """

    def __init__(self, begin: int, end: int) -> None:
        self.width = _WIDTH
        """Of a stretch, in ns: twice as much whenever there would be too many."""
        self.away = Spread()
        """Times away from the poll."""
        self.away_longest_at = 0
        """When the longest of them began."""
        self.busy = 0
        self.polled = 0
        self._begin, self._end = begin, end
        self._busy = np.zeros(0, np.int64)
        self._polled = np.zeros(0, np.int64)
        self._poll_ended = 0

    @property
    def load(self) -> float:
        """Of all that is known."""
        return self.busy / (self.busy + self.polled) if self.busy + self.polled else 0.0

    def add(self, spans: SpanArray, hub: int, gaps: Iterable[int]) -> None:
        """Take up spans.

        Args:
            spans: sorted by greenlet and then by time, later than those before.
            hub: who is the hub.
            gaps: times at which events were lost.
        """
        runs = (spans["state"] == State.RUNNING) | (spans["state"] == State.STALLED)
        polls = (spans["state"] == State.WAITING) & (spans["reason"] == POLL) & (spans["greenlet"] == hub)
        for of, is_busy in ((runs, True), (polls, False)):
            some = np.flatnonzero(of)
            begin = np.clip(spans["start"][some], self._begin, self._end)
            end = np.clip(spans["end"][some], self._begin, self._end)
            self._add(begin, end, is_busy)
        some = np.flatnonzero(polls)
        if len(some):
            self._add_away(spans["start"][some], spans["end"][some], gaps)

    def finish(self, now: int, gaps: Iterable[int]) -> None:
        """What was added last has gone on until now; if the hub does not poll, it is away."""
        if self._poll_ended and self._poll_ended < now:
            self._add_away(np.array([now]), np.array([now]), gaps)

    def classes(self) -> list[LoadClass]:
        """How many stretches were how busy, of those of which at least half is known."""
        known = self._busy + self._polled
        some = np.flatnonzero(known * 2 >= self.width)
        number = np.minimum(self._busy[some] * _CLASSES // known[some], _CLASSES - 1)
        counts = np.bincount(number, minlength=_CLASSES).tolist()
        return [LoadClass(at / _CLASSES, (at + 1) / _CLASSES, count) for at, count in enumerate(counts)]

    def _add_away(self, start: _Times, end: _Times, gaps: Iterable[int]) -> None:
        began = np.concatenate(([self._poll_ended], end[:-1]))
        self._poll_ended = int(end[-1])
        known = began > 0
        for gap in gaps:
            known &= (gap < began) | (gap > start)
        began, ended = np.maximum(began[known], self._begin), np.minimum(start[known], self._end)
        began, ended = began[began < ended], ended[began < ended]
        times = ended - began
        if len(times) and int(times.max()) > self.away.longest:
            self.away_longest_at = int(began[np.argmax(times)])
        self.away.add(times)

    def _add(self, begin: _Times, end: _Times, is_busy: bool) -> None:
        some = begin < end
        begin, end = begin[some] - self._begin, end[some] - self._begin
        if not len(begin):
            return
        if is_busy:
            self.busy += int((end - begin).sum())
        else:
            self.polled += int((end - begin).sum())
        last = int(end.max())
        while last // self.width >= _MOST:
            self.width *= 2
            self._busy, self._polled = _halved(self._busy), _halved(self._polled)
        count = max(len(self._busy), last // self.width + 1)
        self._busy, self._polled = _padded(self._busy, count), _padded(self._polled, count)
        sums = self._busy if is_busy else self._polled
        first, past = begin // self.width, end // self.width
        # What lies in one stretch; of the others the two ends, and all that is between.
        inside = first == past
        np.add.at(sums, first[inside], (end - begin)[inside])
        begin, end, first, past = begin[~inside], end[~inside], first[~inside], past[~inside]
        np.add.at(sums, first, (first + 1) * self.width - begin)
        np.add.at(sums, past, end - past * self.width)
        steps = np.zeros(count + 1, np.int64)
        np.add.at(steps, first + 1, 1)
        np.add.at(steps, past, -1)
        sums += np.cumsum(steps[:-1]) * self.width


def _halved(sums: _Times) -> _Times:
    even = _padded(sums, len(sums) + len(sums) % 2)
    return even[::2] + even[1::2]


def _padded(sums: _Times, count: int) -> _Times:
    return np.pad(sums, (0, count - len(sums)))
