"""The lanes of all greenlets in columns, one row a greenlet, sorted by its number; and what goes on in each.

A program may run ten thousand greenlets in a batch of events, so a row is a row of an array and no
object. ``Lane`` is what is asked of one greenlet: a copy of its row, made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.lane import ALIVE, Lane
from greenscope.trace.analysis.spans import SPAN, SpanArray, SpanStore
from greenscope.trace.analysis.texts import Texts

__all__ = ["LANE", "Lanes"]

LANE = np.dtype(
    [
        ("greenlet", "u8"),
        ("parent", "u8"),
        ("timer_due", "i8"),  # when the timer that it last started is due
        ("spawned_at", "i8"),  # 0: not seen
        ("ended_at", "i8"),
        ("switches", "i8"),
        ("run_time", "i8"),
        ("begins", "i8"),  # of the oldest span kept
        ("ends", "i8"),  # of the newest
        ("spans", "i8"),  # how many are kept
        ("spawn_site", "u4"),
        ("site", "u4"),  # where it last parked
        ("name", "u4"),  # a number of Texts
        ("exit", "i2"),
        ("spawn_reason", "u1"),
        ("life", "u1"),
        ("numbered", "?"),
        ("goes_on", "?"),  # whether `open` has a span
    ],
    align=True,
)
"""What is known of a greenlet, but for its spans."""

_UNKNOWN_NAME = 1  # of Texts


class Lanes(Mapping[int, Lane]):
    """Every greenlet that is known, by number.

    ``rows`` and ``open`` (the span that goes on, where ``rows["goes_on"]``) are parallel arrays; the
    fold changes them in place.
    """

    def __init__(self, spans: SpanStore, texts: Texts) -> None:
        self.rows: npt.NDArray[Any] = np.empty(0, LANE)
        self.open: SpanArray = np.empty(0, SPAN)
        self.ids: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._room = self.rows, self.open, self.ids
        self._spans = spans
        self._texts = texts

    @property
    def texts(self) -> list[npt.NDArray[Any]]:
        """The columns of texts, for ``Texts.keep``."""
        return [self.rows["name"], self.open["peer"]]

    def text(self, number: int) -> str:
        """What a number in one of those columns stands for."""
        return self._texts[number]

    # -- as a mapping ---------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids.tolist())

    def __getitem__(self, greenlet: int) -> Lane:
        row = self.row(greenlet)
        if row < 0:
            raise KeyError(greenlet)
        return self.at(row)

    def living(self) -> list[Lane]:
        """Those that have not exited, in the order of their numbers."""
        return self.some(np.flatnonzero(self.rows["exit"] == ALIVE))

    def exited(self) -> list[Lane]:
        """Those that have, in the order of their ends."""
        ended = np.flatnonzero(self.rows["exit"] != ALIVE)
        return self.some(ended[np.argsort(self.rows["ended_at"][ended], kind="stable")])

    def some(self, rows: npt.NDArray[np.intp]) -> list[Lane]:
        """The lanes of some rows."""
        spans, texts = self._spans, self._texts
        return [
            Lane(row, going_on, spans, texts)
            for row, going_on in zip(self.rows.take(rows).tolist(), self.open.take(rows).tolist(), strict=True)
        ]

    def at(self, row: int) -> Lane:
        """The lane of a row."""
        return Lane(self.rows[row].item(), self.open[row].item(), self._spans, self._texts)

    def within(self, start: int, end: int) -> npt.NDArray[np.intp]:
        """Rows that have something to show in a window: in the order of their numbers."""
        rows = self.rows
        begins = np.where(rows["spans"] > 0, rows["begins"], self.open["start"])
        alive = (rows["exit"] == ALIVE) & ((rows["spans"] > 0) | rows["goes_on"])
        ended = (rows["exit"] != ALIVE) & (rows["ended_at"] >= start)
        return np.flatnonzero((alive | ended) & (begins < end))

    # -- rows -----------------------------------------------------------------------------------

    def row(self, greenlet: int) -> int:
        """Where a greenlet's row is; -1 if it is not known."""
        index = int(np.searchsorted(self.ids, np.uint64(greenlet)))
        return index if index < len(self.ids) and self.ids[index] == greenlet else -1

    def find(self, greenlets: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Where the rows of greenlets are, and which are known at all."""
        if not len(self.ids):
            return np.zeros(len(greenlets), np.intp), np.zeros(len(greenlets), bool)
        rows = np.searchsorted(self.ids, greenlets)
        rows[rows == len(self.ids)] = 0
        return rows, self.ids[rows] == greenlets

    def add(self, greenlets: npt.NDArray[np.uint64]) -> None:
        """Rows for greenlets that have none, sorted and each once."""
        known, total = len(self.ids), len(self.ids) + len(greenlets)
        if total > len(self._room[0]):
            self._make_room(total + total // 2)
        rows, going_on, ids = self._room
        self.rows, self.open, self.ids = rows[:total], going_on[:total], ids[:total]
        new = self.rows[known:]
        new[...], self.open[known:] = np.zeros((), LANE), np.zeros((), SPAN)
        new["greenlet"], new["name"], new["numbered"], new["exit"] = greenlets, _UNKNOWN_NAME, True, ALIVE
        self.ids[known:] = greenlets
        if known and greenlets[0] < self.ids[known - 1]:  # a greenlet of before a gap, or a damaged file
            self._keep(np.argsort(self.ids, kind="stable"))

    def drop(self, gone: npt.NDArray[np.bool_]) -> None:
        """Forget rows."""
        self._keep(np.flatnonzero(~gone))

    def count_spans(self) -> None:
        """Say anew which spans are kept of each, after some were forgotten."""
        rows = self.rows
        rows["spans"] = rows["begins"] = rows["ends"] = 0
        for greenlets, where, spans in self._spans.each():
            found, known = self.find(greenlets)
            found, first, last = found[known], where[:-1][known], where[1:][known] - 1
            rows["begins"][found] = np.where(rows["spans"][found], rows["begins"][found], spans["start"][first])
            rows["ends"][found] = spans["end"][last]
            rows["spans"][found] += last - first + 1

    def _keep(self, rows: npt.NDArray[np.intp]) -> None:
        self.rows, self.open, self.ids = self._room = self.rows.take(rows), self.open.take(rows), self.ids.take(rows)

    def _make_room(self, total: int) -> None:
        """Greenlets come all the time: were there room for those only that are there, each batch would copy them."""
        room = np.empty(total, LANE), np.empty(total, SPAN), np.empty(total, np.uint64)
        for larger, column in zip(room, (self.rows, self.open, self.ids), strict=True):
            larger[: len(column)] = column
        self._room = room
