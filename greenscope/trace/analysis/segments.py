"""What a screen shows of spans: themselves, or, where they are denser than its pixels, what they come to.

A pixel in which three or more spans of a lane end becomes two segments: what it mostly was, and
*running* for its share of the time. So a lane costs at most two segments a pixel however much
happened in it. All lanes of a screen are done at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.states import State

__all__ = ["GOES_ON", "Columns", "in_segments", "joined"]

GOES_ON = 2
"""Flag of a segment that has no end yet."""

_LOOKED_AT = 64  # spans of a pixel, for what it mostly waited for


class Columns(NamedTuple):
    """Segments, each lane's in time's order. ``flag``: 1 it stands for several spans, 2 it goes on."""

    greenlet: npt.NDArray[np.uint64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    state: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]
    flag: npt.NDArray[np.uint8]


def in_segments(spans: SpanArray, bucket: int) -> Columns:
    """Spans as a screen shows them.

    Args:
        spans: of any number of greenlets, one after the other, each in time's order.
        bucket: nanoseconds a pixel.
    """
    start, end = np.ascontiguousarray(spans["start"]), np.ascontiguousarray(spans["end"])
    greenlet = spans["greenlet"]
    pixel = -(-end // bucket)  # the one in which it ends
    new = np.ones(len(spans), bool)
    new[1:] = (pixel[1:] != pixel[:-1]) | (greenlet[1:] != greenlet[:-1])
    first = np.flatnonzero(new)
    past = np.append(first[1:], len(spans))[: len(first)]
    # Only the first that ends in a pixel can be longer than one, and is then shown as it is.
    begun = first + (end[first] - start[first] >= 2 * bucket)
    dense = past - begun >= 3
    begun, past = begun[dense], past[dense]
    marks = np.zeros(len(spans) + 1, np.int8)
    marks[begun] += 1
    marks[past] -= 1
    inside = np.cumsum(marks[:-1], dtype=np.int8) > 0
    alone = np.flatnonzero(~inside)
    shown = Columns(greenlet[alone], start[alone], end[alone], spans["state"][alone], spans["reason"][alone],
                    np.zeros(len(alone), np.uint8))  # fmt: skip
    if not len(begun):
        return shown
    mostly, ran = _summaries(spans, end - start, np.flatnonzero(inside), begun, past)
    busy = np.flatnonzero(ran)
    order = np.argsort(np.concatenate((2 * alone, 2 * begun, 2 * begun[busy] + 1)))
    runs = Columns(mostly.greenlet[busy], mostly.start[busy], mostly.start[busy] + ran[busy],
                   np.full(len(busy), State.RUNNING, np.uint8), np.zeros(len(busy), np.uint8),
                   np.ones(len(busy), np.uint8))  # fmt: skip
    return joined((shown, mostly, runs), order)


def joined(parts: Sequence[Columns], order: npt.NDArray[np.intp] | None = None) -> Columns:
    """Columns one after the other, and then in an order."""
    columns: list[Any] = [np.concatenate([part[number] for part in parts]) for number in range(len(Columns._fields))]
    return Columns(*(columns if order is None else (column[order] for column in columns)))


def _summaries(
    spans: SpanArray,
    length: npt.NDArray[np.int64],
    inside: npt.NDArray[np.intp],
    begun: npt.NDArray[np.intp],
    past: npt.NDArray[np.intp],
) -> tuple[Columns, npt.NDArray[np.int64]]:
    """Spans ``[begun, past)`` of each pixel as what it mostly was, and how long it ran besides."""
    state = spans["state"]

    def total(counts: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        sums = np.concatenate(([0], np.cumsum(np.where(counts, length, 0))))
        return sums[past] - sums[begun]

    ready, waited = total(state == State.READY), total(state == State.WAITING)
    ran = total((state == State.RUNNING) | (state == State.STALLED))
    waits = (waited >= ready) & (waited >= ran)
    runs = ~waits & (ran > ready)

    # What it waited for longest: the greatest of (length, earlier first) among a pixel's first spans.
    sizes = past - begun
    place = inside - np.repeat(begun, sizes)
    rank = np.minimum(length[inside], 1 << 56) * _LOOKED_AT + (_LOOKED_AT - 1 - place)
    rank[(state[inside] != State.WAITING) | (place >= _LOOKED_AT)] = -1
    best = np.maximum.reduceat(rank, np.cumsum(sizes) - sizes)
    longest = begun + np.where(best < 0, 0, _LOOKED_AT - 1 - best % _LOOKED_AT)

    mostly = Columns(
        greenlet=spans["greenlet"][begun],
        start=spans["start"][begun],
        end=spans["end"][past - 1],
        state=np.select([waits, runs], [State.WAITING, State.RUNNING], State.READY).astype(np.uint8),
        reason=np.where(waits & (waited > 0), spans["reason"][longest], 0).astype(np.uint8),
        flag=np.ones(len(begun), np.uint8),
    )
    return mostly, np.where(runs, 0, ran)
