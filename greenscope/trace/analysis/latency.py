"""How promptly the hub serves: how long ready greenlets wait, and how long it stays away from its poll."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BUCKETS", "AwaySeries", "LatencyHistogram", "bucket", "least"]

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
