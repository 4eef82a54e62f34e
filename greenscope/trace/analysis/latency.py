"""How promptly the hub serves: how long ready greenlets wait, and how long it stays away from its poll."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.series import Covered

__all__ = ["BUCKETS", "AwaySeries", "LatencyHistogram", "LoadSeries", "bucket", "least"]

_SECOND = 1_000_000_000
_SUB_BITS = 4  # a bucket is 1/16 of its power of two: within 6 %
BUCKETS = 64 << (_SUB_BITS + 1)
"""There are fewer buckets than this."""

_Times = npt.NDArray[np.int64]


class LatencyHistogram:
    """Scheduling latencies of the last seconds, in logarithmic buckets: a p99 that needs no sorting."""

    def __init__(self, seconds: int = 10) -> None:
        self._seconds: deque[tuple[int, npt.NDArray[Any]]] = deque(maxlen=seconds)

    def add(self, at: _Times, latency: _Times) -> None:
        """Greenlets that ran at ``at``, no sooner than those before them, had been ready for ``latency`` ns."""
        if not len(at):
            return
        second = at // _SECOND
        for number in np.unique(second)[-(self._seconds.maxlen or 0) :].tolist():
            counts = np.bincount(bucket(latency[second == number]), minlength=BUCKETS)
            if self._seconds and self._seconds[-1][0] == number:
                counts += self._seconds.pop()[1]
            self._seconds.append((number, counts))

    def quantile(self, share: float, now: int) -> int:
        """The latency that this share of the last seconds' wake-ups stayed within; 0 when there were none."""
        oldest = now // _SECOND - (self._seconds.maxlen or 0)
        total = sum((counts for second, counts in self._seconds if second > oldest), np.zeros(BUCKETS, np.int64))
        within = np.cumsum(total)
        if not within[-1]:
            return 0
        return least(int(np.searchsorted(within, within[-1] * share)))


def least(number: int) -> int:
    """The smallest time in a bucket."""
    return (number & ((1 << (_SUB_BITS + 1)) - 1)) << (number >> (_SUB_BITS + 1))


def bucket(latency: _Times) -> _Times:
    """The numbers of the buckets that times are in: greater for greater ones."""
    shift = np.maximum(np.frexp(latency.astype(np.float64))[1].astype(np.int64) - _SUB_BITS - 1, 0)
    shift -= (latency >> shift < 1 << _SUB_BITS) & (shift > 0)  # a float may have been rounded up
    return (shift << (_SUB_BITS + 1)) + (latency >> shift)


class AwaySeries:
    """The longest time away from the poll that touches each stretch of time since the ring began.

    A stretch is a tenth of a second at first, and twice as long whenever there would be too many.
    """

    MOST = 1 << 14

    def __init__(self, start: int) -> None:
        self._start = start
        self._bucket = _SECOND // 10
        self._values = np.zeros(0, np.int64)

    def add(self, begin: _Times, end: _Times) -> None:
        """The hub was away from its poll from ``begin`` to ``end``, several times, one after the other."""
        if not len(end):
            return
        while (int(end[-1]) - self._start) // self._bucket >= self.MOST:
            self._bucket *= 2
            even, odd = self._values[::2], self._values[1::2]
            self._values = np.maximum(even, np.pad(odd, (0, len(even) - len(odd))))
        first, last = (begin - self._start) // self._bucket, (end - self._start) // self._bucket
        length = end - begin
        values = np.pad(self._values, (0, max(int(last[-1]) + 1 - len(self._values), 0)))
        np.maximum.at(values, last, length)
        for index in np.flatnonzero(first < last).tolist():  # few: no two touch the same edge of a stretch
            stretch = slice(max(first[index], 0), last[index])
            values[stretch] = np.maximum(values[stretch], length[index])
        self._values = values

    def values(self, begin: int, end: int, limit: int) -> tuple[int, int, list[int]]:
        """At most ``limit`` values over ``[begin, end)``: a value's width, the first one's start, the values."""
        first = max((begin - self._start) // self._bucket, 0)
        last = max((end - self._start) // self._bucket + 1, first + 1)
        step = -(-(last - first) // (limit - 1))
        first -= first % step
        known = self._values
        values = [int(known[i : i + step].max(initial=0)) for i in range(first, last, step)]
        return self._bucket * step, self._start + first * self._bucket, values


class LoadSeries:
    """Which share of its time the hub was away from its poll, in each of the last stretches of time.

    A hub that never came to its poll was away since it began; what it did while events were lost is not known.

    Args:
        start: when the ring began (CLOCK_MONOTONIC ns).
        width: of a stretch, in ns.
        count: how many of the last stretches are kept.
    """

    def __init__(self, start: int, width: int = _SECOND, count: int = 300) -> None:
        self.away: bool | None = True
        """Whether the hub is away, as far as was read; None if that is not known."""
        self.since = start
        """Since when."""
        self.busy, self.polled = 0, 0
        """How long it was away, and was not, of all that is known, until ``since`` (ns)."""
        self._width, self._count = width, count
        self._known, self._away = Covered(width, count), Covered(width, count)

    def lose(self) -> None:
        """Events were lost: what was known last is true no more."""
        self.away = None

    def add(self, ended: npt.NDArray[np.bool_], at: _Times) -> None:
        """Polls began, or ``ended``, at these times, none before the one ahead of it."""
        if not len(at):
            return
        begin, away = np.concatenate(([self.since], at[:-1])), np.concatenate(([bool(self.away)], ended[:-1]))
        first = begin[0] if self.away is not None else at[0]
        self._known.add_time(int(first), int(at[-1]))
        busy = int((at - begin)[away].sum())
        self.busy += busy
        self.polled += int(at[-1] - first) - busy
        gone = np.flatnonzero(away)
        if len(gone):
            self._add_away(begin[gone], at[gone])
        self.away, self.since = bool(ended[-1]), int(at[-1])

    def shares(self, now: int, count: int) -> list[float | None]:
        """The shares of the last so many stretches up to ``now``, from 0 to 1; None where nothing is known."""
        away, known = self._sums(now, count)
        pairs = zip(away.tolist(), known.tolist(), strict=True)
        return [min(gone / total, 1.0) if total > 0 else None for gone, total in pairs]

    def share(self, now: int, count: int) -> float | None:
        """The share of the last so many stretches together."""
        away, known = self._sums(now, count)
        return min(int(away.sum()) / int(known.sum()), 1.0) if known.any() else None

    def _sums(self, now: int, count: int) -> tuple[_Times, _Times]:
        """How much of each stretch the hub was away, and of how much that is known."""
        last, count = now // self._width, min(count, self._count)
        away, known = self._kept(self._away, last, count), self._kept(self._known, last, count)
        if self.away is not None:  # what goes on
            edges = np.arange(last - count + 1, last + 2, dtype=np.int64) * self._width
            more = np.maximum(np.minimum(edges[1:], now) - np.maximum(edges[:-1], self.since), 0)
            known += more
            if self.away:
                away += more
        return away, known

    def _add_away(self, begin: _Times, end: _Times) -> None:
        """Time away, by the stretches' edges: how much of it lies before each, and so how much between two."""
        last = int(end[-1]) // self._width
        first = max(int(begin[0]) // self._width, last - self._count + 1)
        edges = np.arange(first, last + 2, dtype=np.int64) * self._width
        sums = np.concatenate(([0], np.cumsum(end - begin)))
        began = np.searchsorted(begin, edges)
        before = sums[began] - np.where(began > 0, np.maximum(end[began - 1] - edges, 0), 0)
        self._away.add(np.zeros(len(edges) - 1, np.int64), edges[:-1], np.diff(before))

    def _kept(self, covered: Covered, last: int, count: int) -> _Times:
        """Its sums of the stretches up to ``last``; nothing in those that are not kept."""
        sums = np.zeros(count, np.int64)
        number = np.arange(last - count + 1, last + 1) - covered.first
        inside = (number >= 0) & (number < self._count)
        sums[inside] = covered.known[number[inside]]
        return sums
