"""Sums by key in equal stretches of time: the last so many stretches, of so many keys at most.

What has to be counted over events (how often a line was come to, how many of a thing there are) is counted a
batch at a time, in columns. A key is a number, mostly that of a call site.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.spans import distinct

__all__ = ["Covered", "Series", "stretches"]

_Numbers = npt.NDArray[np.int64]


class Series:
    """Sums by key and stretch of time.

    Args:
        width: of a stretch, in ns.
        count: how many of the last stretches are kept.
        most: of how many keys; beyond that the smaller half is forgotten.
    """

    def __init__(self, width: int, count: int, most: int = 1 << 10) -> None:
        self.width = width
        self.newest = 0
        """Number of the newest stretch: it begins at this many times ``width``."""
        self._count, self._most = count, most
        self._rows: dict[int, int] = {}
        self._sums: _Numbers = np.zeros((0, count), np.int64)
        self._about = np.zeros(0, np.uint64)

    @property
    def keys(self) -> list[int]:
        """Of what there are sums."""
        return list(self._rows)

    @property
    def first(self) -> int:
        """Number of the oldest stretch kept."""
        return self.newest - self._count + 1

    def of(self, key: int) -> _Numbers:
        """Its sums, the oldest stretch first."""
        row = self._rows.get(key)
        if row is None:
            return np.zeros(self._count, np.int64)
        return np.roll(self._sums[row], -((self.newest + 1) % self._count))

    def about(self, key: int) -> int:
        """What was last said to be behind it: a greenlet."""
        return int(self._about[self._rows[key]])

    def add(self, keys: npt.NDArray[Any], at: _Numbers, amounts: Any = 1, about: Any = 0) -> None:
        """Add amounts, each to its key's sum in the stretch of its time; ``about`` is who is behind each."""
        if not len(keys):
            return
        number = at // self.width
        self.move_to(int(number.max()))
        kept = number >= self.first
        if not kept.all():
            keys, number = keys[kept], number[kept]
            amounts = amounts[kept] if isinstance(amounts, np.ndarray) else amounts
            about = about[kept] if isinstance(about, np.ndarray) else about
            if not len(keys):
                return
        if (keys == keys[0]).all():
            row = np.full(len(keys), self._row(int(keys[0])), np.intp)
        else:
            which = distinct(keys)
            row = np.array([self._row(key) for key in which.tolist()], np.intp)[np.searchsorted(which, keys)]
        np.add.at(self._sums.reshape(-1), row * self._count + number % self._count, amounts)
        self._about[row] = about
        if len(self._rows) > self._most:
            self._forget()

    def move_to(self, newest: int) -> None:
        """Begin the stretches up to this one."""
        if newest <= self.newest:
            return
        first = max(self.newest + 1, newest - self._count + 1)
        self._sums[:, np.arange(first, newest + 1) % self._count] = 0
        self.newest = newest

    def _row(self, key: int) -> int:
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self._rows)
            if row == len(self._sums):
                more = max(16, row)
                self._sums = np.concatenate((self._sums, np.zeros((more, self._count), np.int64)))
                self._about = np.concatenate((self._about, np.zeros(more, np.uint64)))
        return row

    def _forget(self) -> None:
        rows = np.fromiter(self._rows.values(), np.intp, len(self._rows))
        totals = np.abs(self._sums[rows]).sum(1)
        largest = np.argsort(-totals, kind="stable")[: self._most // 2]
        keys = self.keys
        self._rows = {keys[index]: row for row, index in enumerate(largest.tolist())}
        self._sums, self._about = self._sums[rows[largest]], self._about[rows[largest]]


class Covered(Series):
    """How much of each stretch is known: what was not read is not there."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__(width, count)

    @property
    def known(self) -> _Numbers:
        """Nanoseconds of each stretch, the oldest first."""
        return self.of(0)

    def add_time(self, begin: int, end: int) -> None:
        """Everything is known from ``begin`` to ``end``."""
        width = self.width
        first, last = max(begin // width, end // width - self._count + 1), end // width
        edges = np.arange(first, last + 2, dtype=np.int64) * width
        inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
        self.add(np.zeros(len(inside), np.int64), edges[:-1], np.maximum(inside, 0))


def stretches(high: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_], forgiven: int) -> list[tuple[int, int]]:
    """Where something went on: from which place to which, the latter not included.

    Args:
        high: where it did.
        known: where one can say.
        forgiven: so many places where it did not, one after the other, do not end it; those that are not known
            do not count.
    """
    found: list[tuple[int, int]] = []
    places = np.flatnonzero(high)
    misses = np.concatenate(([0], np.cumsum(known & ~high)))
    for place in places.tolist():
        if found and misses[place] - misses[found[-1][1]] <= forgiven:
            found[-1] = found[-1][0], place + 1
        else:
            found.append((place, place + 1))
    return found
