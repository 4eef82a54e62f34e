"""Things that begin at a line, have a number, and end: how many began and ended of each line, and when.

For whatever may be forgotten to be ended: greenlets, timeouts, timers, watchers. A batch's events are sorted by
number, stably, so what a thing was before an event is the event before it in the array, or in the table of those
that go on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.series import Series

__all__ = ["Ended", "Population", "Things"]

_KEEP = 1 << 17
_ROW = np.dtype([("number", "u8"), ("greenlet", "u8"), ("site", "u4"), ("detail", "u4")], align=True)


class Things(NamedTuple):
    """What begins and ends in a batch, in columns, in the order of what happened."""

    number: npt.NDArray[Any]
    begins: npt.NDArray[np.bool_]
    """Or else it ends."""
    at: npt.NDArray[np.int64]
    greenlet: npt.NDArray[Any]
    """Of those that begin: whose it is."""
    site: npt.NDArray[Any]
    """Of those that begin: where; 0 is tracked, and not counted."""
    detail: Any = 0
    """Of those that begin: what else is to be known of it: a timeout's milliseconds, a watcher's descriptor."""


class Ended(NamedTuple):
    """Those whose beginning is known, and ended in a batch."""

    which: npt.NDArray[np.intp]
    """Index into the batch's things."""
    greenlet: npt.NDArray[Any]
    site: npt.NDArray[Any]
    detail: npt.NDArray[Any]


class Population:
    """All of one kind.

    Args:
        width: of a stretch of time, in ns.
        count: how many of the last stretches are kept.
    """

    def __init__(self, width: int, count: int) -> None:
        self.begun = Series(width, count)
        """How many began, by line."""
        self.ended = Series(width, count)
        """How many of those ended, by the line where they began; 0: of those whose beginning was not seen."""
        self._rows = np.empty(0, _ROW)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """Of those that go on."""
        return self._rows["number"]

    def going_on(self, site: int) -> npt.NDArray[Any]:
        """Those that began at a line and have not ended: columns ``number``, ``greenlet`` and ``detail``."""
        return self._rows.take(np.flatnonzero(self._rows["site"] == site))

    def site_of(self, numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        """Where those that go on began; 0 for others."""
        sites = np.zeros(len(numbers), np.uint32)
        found, known = self._find(numbers)
        sites[known] = self._rows["site"][found[known]]
        return sites

    def lose(self) -> None:
        """Events were lost: nobody knows what goes on."""
        self._rows = self._rows[:0]

    def add(self, things: Things) -> Ended:
        """Take up a batch."""
        count = len(things.number)
        order = np.argsort(things.number, kind="stable")
        rows = np.empty(count, _ROW)
        rows["number"], rows["greenlet"], rows["site"] = things.number, things.greenlet, things.site
        rows["detail"] = things.detail
        rows, begins = rows[order], things.begins[order]
        number = np.ascontiguousarray(rows["number"])
        first = np.append(True, number[1:] != number[:-1]) if count else np.zeros(0, bool)
        # What each was before: as the event ahead left it, or, ahead of its first, as the table has it.
        before, was = np.roll(rows, 1), np.roll(begins, 1)
        found, known = self._find(number[first])
        was[first] = known
        heads = np.flatnonzero(first)
        if len(self._rows):
            before[heads[known]] = self._rows[found[known]]
        counts = begins & (rows["site"] != 0)
        self.begun.add(rows["site"][counts], things.at[order[counts]])
        gone = np.flatnonzero(was)  # ended, or begun anew
        sited = gone[before["site"][gone] != 0]
        self.ended.add(before["site"][sited], things.at[order[sited]])
        unseen = np.flatnonzero(first & ~begins & ~was)
        self.ended.add(np.zeros(len(unseen), np.int64), things.at[order[unseen]])
        last = np.append(first[1:], True) if count else first
        kept = self._rows[~np.isin(self._rows["number"], number[last])]
        merged = np.concatenate((kept, rows[last & begins]))
        merged = merged[np.argsort(merged["number"], kind="stable")]
        self._rows = merged if len(merged) <= _KEEP else merged[-(_KEEP // 2) :]
        over = gone[~begins[gone]]
        return Ended(order[over], before["greenlet"][over], before["site"][over], before["detail"][over])

    def _find(self, numbers: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        ids = np.ascontiguousarray(self._rows["number"])
        if not len(ids):
            return np.zeros(len(numbers), np.intp), np.zeros(len(numbers), bool)
        found = np.searchsorted(ids, numbers.astype(np.uint64))
        found[found == len(ids)] = 0
        return found, ids[found] == numbers
