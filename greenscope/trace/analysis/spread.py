"""How times are spread, in classes a person can read: from 1 to 2 ms, from 2 to 5 ms, from 5 to 10 ms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.latency import BUCKETS, bucket, least

__all__ = ["Class", "Spread"]

_EDGES = np.array([digit * 10**power for power in range(3, 13) for digit in (1, 2, 5)], np.int64)


@dataclass(frozen=True, slots=True)
class Class:
    """Times from ``least`` on and below ``below`` (0: without end), in ns: how many, and their sum."""

    least: int
    below: int
    count: int
    total: int


class Spread:
    """Counts and sums of times, by class; and finer, for quantiles."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_EDGES) + 1, np.int64)
        self._totals = np.zeros(len(_EDGES) + 1, np.int64)
        self._fine = np.zeros(BUCKETS, np.int64)
        self.longest = 0

    @property
    def count(self) -> int:
        """How many times there are."""
        return int(self._counts.sum())

    @property
    def total(self) -> int:
        """Their sum."""
        return int(self._totals.sum())

    def add(self, times: npt.NDArray[np.int64]) -> None:
        """Add times, in ns."""
        if not len(times):
            return
        number = np.searchsorted(_EDGES, times, "right")
        self._counts += np.bincount(number, minlength=len(self._counts))
        np.add.at(self._totals, number, times)
        self._fine += np.bincount(bucket(times), minlength=BUCKETS)
        self.longest = max(self.longest, int(times.max()))

    def quantile(self, hundredths: int) -> int:
        """The time that so many of a hundred stayed within, to 6 %; 0 if there are none."""
        within = np.cumsum(self._fine)
        rank = -(-int(within[-1]) * hundredths // 100)
        return self.longest if rank == within[-1] else least(int(np.searchsorted(within, rank)))

    def classes(self) -> list[Class]:
        """From the first class that has any to the last."""
        used = np.flatnonzero(self._counts)
        if not len(used):
            return []
        edges = [0, *_EDGES.tolist(), 0]
        return [
            Class(edges[at], edges[at + 1], int(self._counts[at]), int(self._totals[at]))
            for at in range(int(used[0]), int(used[-1]) + 1)
        ]
