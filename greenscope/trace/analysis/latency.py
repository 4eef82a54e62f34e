"""How promptly the hub serves: how long ready greenlets wait, and how long it stays away from its poll."""

from __future__ import annotations

from array import array
from collections import deque

__all__ = ["AwaySeries", "LatencyHistogram"]

_SECOND = 1_000_000_000
_SUB_BITS = 4  # a bucket is 1/16 of its power of two: within 6 %


class LatencyHistogram:
    """Scheduling latencies of the last seconds, in logarithmic buckets: a p99 that needs no sorting."""

    def __init__(self, seconds: int = 10) -> None:
        self._seconds: deque[tuple[int, dict[int, int]]] = deque(maxlen=seconds)

    def add(self, at: int, latency: int) -> None:
        """A greenlet that ran at ``at`` had been ready for ``latency`` ns."""
        second = at // _SECOND
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, {}))
        shift = max(latency.bit_length() - _SUB_BITS - 1, 0)
        bucket = (shift << (_SUB_BITS + 1)) + (latency >> shift)
        counts = self._seconds[-1][1]
        counts[bucket] = counts.get(bucket, 0) + 1

    def quantile(self, share: float, now: int) -> int:
        """The latency that this share of the last seconds' wake-ups stayed within; 0 when there were none."""
        oldest = now // _SECOND - (self._seconds.maxlen or 0)
        total: dict[int, int] = {}
        for second, counts in self._seconds:
            if second > oldest:
                for bucket, count in counts.items():
                    total[bucket] = total.get(bucket, 0) + count
        left = sum(total.values()) * share
        for bucket in sorted(total):
            left -= total[bucket]
            if left <= 0:
                shift = bucket >> (_SUB_BITS + 1)
                return (bucket & ((1 << (_SUB_BITS + 1)) - 1)) << shift
        return 0


class AwaySeries:
    """The longest time away from the poll that touches each stretch of time since the ring began.

    A stretch is a tenth of a second at first, and twice as long whenever there would be too many.
    """

    MOST = 1 << 14

    def __init__(self, start: int) -> None:
        self._start = start
        self._bucket = _SECOND // 10
        self._values = array("Q")

    def add(self, begin: int, end: int) -> None:
        """The hub was away from its poll from ``begin`` to ``end``."""
        while (end - self._start) // self._bucket >= self.MOST:
            self._bucket *= 2
            values = self._values
            self._values = array("Q", [max(values[i : i + 2]) for i in range(0, len(values), 2)])
        first, last = (begin - self._start) // self._bucket, (end - self._start) // self._bucket
        if last >= len(self._values):
            self._values.extend([0] * (last + 1 - len(self._values)))
        length = end - begin
        for index in range(max(first, 0), last + 1):
            if self._values[index] < length:
                self._values[index] = length

    def values(self, begin: int, end: int, limit: int) -> tuple[int, int, list[int]]:
        """At most ``limit`` values over ``[begin, end)``: a value's width, the first one's start, the values."""
        first = max((begin - self._start) // self._bucket, 0)
        last = max((end - self._start) // self._bucket + 1, first + 1)
        step = -(-(last - first) // (limit - 1))
        first -= first % step
        known = self._values
        values = [max(known[i : i + step], default=0) for i in range(first, last, step)]
        return self._bucket * step, self._start + first * self._bucket, values
