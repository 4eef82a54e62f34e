"""Amounts of time summed by a key, in columns: how much, how often, the longest, how they are spread.

A key is a few numbers (a reason and a line, say). What is grouped are millions, and the keys are few, so a batch is
sorted by key and summed at once, and only its distinct keys are looked up one by one. Memory is bounded: of too many
keys those with the smaller sums go into one row for the rest, so that the sums over all rows stay right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.latency import BUCKETS, bucket, least
from greenscope.trace.analysis.spans import SpanArray, distinct

__all__ = ["Grouped", "Key", "Sum"]

Key = tuple[int, ...]

_MOST = 1 << 16
_REST = 0  # its row
_EXACT = 100  # of fewer amounts the 99th percentile is the longest

_ROW = np.dtype(
    [
        ("total", "i8"),
        ("count", "i8"),
        ("still", "i8"),
        ("longest", "i8"),
        ("at", "i8"),
        ("greenlet", "u8"),
        ("site", "u4"),
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class Sum:
    """What one key comes to, in ns; ``key`` is empty for the rest.

    ``still`` is how many go on. ``at``, ``greenlet`` and ``site`` are of the longest. ``p99`` is the time that 99 of a
    hundred stayed within, to 6 %; of fewer than a hundred, the longest.
    """

    key: Key
    total: int
    count: int
    still: int
    longest: int
    p99: int
    at: int
    greenlet: int
    site: int


class Grouped:
    """Sums by key.

    Args:
        most: so many keys are told apart; beyond that the smaller half are summed up as the rest.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = max(most, 2)
        self._keys: list[Key] = [()]
        self._numbers: dict[Key, int] = {}
        self._rows: npt.NDArray[Any] = np.zeros(1, _ROW)
        # How often each bucket of each row occurred: the row times BUCKETS plus the bucket, sorted.
        self._cells = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)

    def add(
        self,
        columns: Sequence[npt.NDArray[Any]],
        amounts: npt.NDArray[np.int64],
        of: SpanArray,
        still: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Add amounts.

        Args:
            columns: of each amount the first number of its key, of each the second …
            amounts: ns, none below 0.
            of: the span that each is of.
            still: whether each goes on.
        """
        if not len(amounts):
            return
        code = _numbered(columns)
        order = np.lexsort((-amounts, code))
        first = np.flatnonzero(np.append(True, np.diff(code[order]) != 0))
        longest = order[first]
        keys = list(zip(*(column[longest].tolist() for column in columns), strict=True))
        rows = np.array([self._row(key) for key in keys], np.int64)
        sums = self._rows
        sums["total"][rows] += np.add.reduceat(amounts[order], first)
        sums["count"][rows] += np.diff(np.append(first, len(order)))
        if still is not None:
            sums["still"][rows] += np.add.reduceat(still[order].astype(np.int64), first)
        better = (amounts[longest] > sums["longest"][rows]) | (sums["greenlet"][rows] == 0)
        best, longest = rows[better], longest[better]
        sums["longest"][best] = amounts[longest]
        for name, field in (("at", "start"), ("greenlet", "greenlet"), ("site", "site")):
            sums[name][best] = of[field][longest]
        self._spread(rows[code] * BUCKETS + bucket(amounts), np.ones(len(amounts), np.int64))
        if len(self._numbers) > self._most:
            self._shorten()

    def sums(self) -> list[Sum]:
        """Each key's, that with the greatest total first; the rest is the last."""
        used = np.flatnonzero(self._rows["count"])
        used = used[np.lexsort((-self._rows["count"][used], -self._rows["total"][used], used == _REST))]
        return [self._sum(row) for row in used.tolist()]

    def merge(self, into: Callable[[Key], Key]) -> None:
        """Put keys together: each becomes another, or stays."""
        keys = [into(key) for key in self._keys[1:]]
        self._put_into(dict.fromkeys(keys), keys)

    def _row(self, key: Key) -> int:
        row = self._numbers.get(key)
        if row is None:
            row = self._numbers[key] = len(self._keys)
            self._keys.append(key)
            if row == len(self._rows):
                self._rows = np.concatenate((self._rows, np.zeros(max(row, 16), _ROW)))
        return row

    def _spread(self, cells: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
        cells, counts = np.concatenate((self._cells, cells)), np.concatenate((self._counts, counts))
        order = np.argsort(cells, kind="stable")
        cells, counts = cells[order], counts[order]
        first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])) if len(cells) else np.zeros(0, np.intp)
        self._cells = cells[first]
        self._counts = np.add.reduceat(counts, first) if len(cells) else counts

    def _shorten(self) -> None:
        totals = self._rows["total"][1 : len(self._keys)]
        kept = set((np.argsort(-totals, kind="stable")[: self._most // 2] + 1).tolist())
        keys = [key if row in kept else () for row, key in enumerate(self._keys[1:], 1)]
        self._put_into({key: None for key in keys if key}, keys)

    def _put_into(self, new: dict[Key, None], keys: list[Key]) -> None:
        """Give all keys but the rest's new ones; the empty one is the rest's."""
        old = self._rows[: len(self._keys)]
        new.pop((), None)
        self._keys = [(), *new]
        self._numbers = {key: row for row, key in enumerate(self._keys) if row}
        to = np.array([_REST, *(self._numbers.get(key, _REST) for key in keys)], np.int64)
        rows = np.zeros(len(self._keys), _ROW)
        for name in ("total", "count", "still"):
            np.add.at(rows[name], to, old[name])
        order = np.lexsort((old["longest"], old["count"] > 0))  # the last one put stays
        for name in ("longest", "at", "greenlet", "site"):
            rows[name][to[order]] = old[name][order]
        self._rows = rows
        cells, counts = self._cells, self._counts
        self._cells, self._counts = cells[:0], counts[:0]
        self._spread(to[cells // BUCKETS] * BUCKETS + cells % BUCKETS, counts)

    def _sum(self, row: int) -> Sum:
        total, count, still, longest, at, greenlet, site = self._rows[row].item()
        p99 = longest
        if count >= _EXACT:
            first, past = np.searchsorted(self._cells, (row * BUCKETS, (row + 1) * BUCKETS)).tolist()
            within = np.cumsum(self._counts[first:past])
            cell = self._cells[first + int(np.searchsorted(within, -(-count * 99 // 100)))]
            p99 = least(int(cell % BUCKETS))
        return Sum(self._keys[row], total, count, still, longest, p99, at, greenlet, site)


def _numbered(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """A number for each row of the columns, from 0 on without a gap, the same for equal ones."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values = distinct(column)
        if len(values) > 1:
            code = code * len(values) + np.searchsorted(values, column)
            code = np.searchsorted(distinct(code), code)
    return code
