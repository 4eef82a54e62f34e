"""All the spans that ended, of every greenlet, in columns: appended a batch at a time, asked a window at a time.

One array a greenlet would be ten thousand appends a batch where greenlets are short. So a batch's
spans are one *chunk*, sorted by greenlet and then by time, with an index of where each greenlet's
begin. A live ring is folded in small pieces: small chunks are merged, so that there are few.
A greenlet's history is what its chunks say, one after the other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SPAN", "SpanArray", "SpanStore", "distinct", "put"]

SPAN = np.dtype(
    [
        ("start", "i8"),
        ("end", "i8"),
        ("about", "u8"),  # the resource that is waited for; who made it ready
        ("deadline", "u8"),
        ("greenlet", "u8"),
        ("site", "u4"),
        ("fd", "u4"),  # NO_FD: none
        ("peer", "u4"),  # a number of Texts
        ("state", "u1"),
        ("reason", "u1"),
    ],
    align=True,
)
"""A span as it is stored; what its fields mean is said in ``lane.Span``."""

SpanArray = npt.NDArray[Any]
"""An array of ``SPAN``."""

_MOST_IN_CHUNK = 1 << 14  # merging costs a copy, and the large batches of a reader that is behind need none


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Each value once, sorted; numpy's ``unique`` takes several times as long."""
    values = np.sort(values)
    return values[np.append(True, values[1:] != values[:-1])] if len(values) else values


def put(rows: npt.NDArray[Any], where: npt.NDArray[np.intp], values: npt.NDArray[Any]) -> None:
    """``rows[where] = values`` for structured arrays, which numpy copies field by field: here as so many bytes."""
    raw = np.dtype((np.void, rows.dtype.itemsize))
    rows.view(raw)[where] = values.view(raw)


def _runs(values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Where each run of equal values begins, and where the last one ends."""
    if not len(values):
        return np.zeros(1, np.intp)
    return np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1, [len(values)]))


class _Chunk:
    """Spans sorted by greenlet and then by time."""

    __slots__ = ("ends", "greenlets", "spans", "starts", "where")

    def __init__(self, spans: SpanArray) -> None:
        self.spans = spans
        self.where = _runs(spans["greenlet"])
        self.greenlets = np.ascontiguousarray(spans["greenlet"][self.where[:-1]])
        self.starts = int(spans["start"].min())
        self.ends = int(spans["end"].max())

    def merged(self, newer: _Chunk) -> _Chunk:
        both = np.concatenate((self.spans, newer.spans))
        return _Chunk(both.take(np.argsort(both["greenlet"], kind="stable")))


class SpanStore:
    """The chunks, oldest first."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def texts(self) -> list[npt.NDArray[Any]]:
        """The columns of texts, for ``Texts.keep``."""
        return [chunk.spans["peer"] for chunk in self._chunks]

    def append(self, spans: SpanArray) -> None:
        """Add spans, sorted by greenlet and then by time, each later than what its greenlet has here."""
        if not len(spans):
            return
        chunk = _Chunk(spans)
        self._count += len(spans)
        chunks = self._chunks
        # Each is at least twice as long as the next, or too long to grow: a span is moved a few times in all.
        while chunks and len(chunks[-1].spans) < 2 * len(chunk.spans):
            if len(chunks[-1].spans) + len(chunk.spans) > _MOST_IN_CHUNK:
                break
            chunk = chunks.pop().merged(chunk)
        chunks.append(chunk)

    def forget_before(self, time: int) -> None:
        """Drop the spans that ended before a time, or then."""
        kept: list[_Chunk] = []
        for chunk in self._chunks:
            if chunk.ends <= time:
                continue
            later = chunk.spans["end"] > time
            kept.append(chunk if later.all() else _Chunk(chunk.spans.take(np.flatnonzero(later))))
        self._chunks = kept
        self._count = sum(len(chunk.spans) for chunk in kept)

    def window(self, greenlet: int, start: int, end: int) -> SpanArray:
        """One greenlet's spans that touch a window."""
        pieces = [piece for _, piece in self._pieces(np.array([greenlet], np.uint64), start, end)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces or [np.empty(0, SPAN)])

    def windows(self, greenlets: npt.NDArray[np.uint64], start: int, end: int) -> SpanArray:
        """The spans of several greenlets that touch a window, one greenlet after the other, each in time's order."""
        pieces: list[list[SpanArray]] = [[] for _ in greenlets]
        for number, piece in self._pieces(greenlets, start, end):
            pieces[number].append(piece)
        return np.concatenate([piece for of_one in pieces for piece in of_one] or [np.empty(0, SPAN)])

    def of(self, greenlet: int) -> SpanArray:
        """All of one greenlet's spans."""
        found = [
            chunk.spans[slice(*chunk.where[index : index + 2])]
            for chunk in self._chunks
            if (index := int(np.searchsorted(chunk.greenlets, np.uint64(greenlet)))) < len(chunk.greenlets)
            and chunk.greenlets[index] == greenlet
        ]
        return found[0] if len(found) == 1 else np.concatenate(found or [np.empty(0, SPAN)])

    def each(self) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.intp], SpanArray]]:
        """Chunk by chunk: its greenlets, where each begins (and where the last ends), the spans."""
        return ((chunk.greenlets, chunk.where, chunk.spans) for chunk in self._chunks)

    def _pieces(self, greenlets: npt.NDArray[np.uint64], start: int, end: int) -> Iterator[tuple[int, SpanArray]]:
        for chunk in self._chunks:
            if chunk.ends <= start or chunk.starts >= end:
                continue
            found = np.searchsorted(chunk.greenlets, greenlets)
            found[found == len(chunk.greenlets)] = 0
            for number in np.flatnonzero(chunk.greenlets[found] == greenlets).tolist():
                first, past = chunk.where[found[number] : found[number] + 2].tolist()
                first = bisect_right(chunk.spans["end"], start, first, past)
                past = bisect_left(chunk.spans["start"], end, first, past)
                if first < past:
                    yield number, chunk.spans[first:past]
