"""How the time of requests divides: what the greenlet that served each was doing, in sums by state and reason.

Many requests are asked about at once, and each is a stretch of one greenlet's lane. So the lanes' spans are taken
once, each request finds its first and its last by a search, and the sums are one count over all of them, in columns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.lane import ALIVE
from greenscope.trace.analysis.spans import SpanArray, distinct
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.timeline import Timeline

__all__ = ["ENDED", "KINDS", "READY", "RUNNING", "WAITING", "parts_of"]

RUNNING, READY, WAITING = 0, 1, 2
"""Columns of the sums: it ran; it was ready and did not run; from ``WAITING`` on one for each reason to wait."""

_REASONS = 16
ENDED = WAITING + _REASONS
"""The column of the time after its greenlet had ended: the request was ended by another."""

KINDS = ENDED + 1
"""How many columns there are. What is left of a request's time is not known."""

_LONG = 1_000_000_000
_MANY = 64
_MOST = 1 << 62

_Times = npt.NDArray[np.int64]


def parts_of(timeline: Timeline, greenlets: npt.NDArray[np.uint64], starts: _Times, ends: _Times) -> _Times:
    """The sums of each of some requests, in ns: an array of requests by ``KINDS``.

    Args:
        timeline: where their greenlets' spans are.
        greenlets: who serves each.
        starts: when each began.
        ends: when it ended, or as far as it has come.
    """
    sums = np.zeros((len(greenlets), KINDS), np.int64)
    # A few long ones have windows of their own, or all the others' greenlets would be looked through for as long.
    recent = starts >= int(ends.max(initial=0)) - _LONG
    for several in (np.flatnonzero(recent), np.flatnonzero(~recent)):
        together = recent[several].all() or len(several) > _MANY
        if together and len(several):
            width = int(ends[several].max()) - int(starts[several].min()) + 2
            together = width * len(several) < _MOST  # else the file is damaged
        for which in [several] if together else several[:, None]:
            if len(which):
                sums[which] = _sums(timeline, greenlets[which], starts[which], ends[which])
    return sums


def _sums(timeline: Timeline, greenlets: npt.NDArray[np.uint64], starts: _Times, ends: _Times) -> _Times:
    count = len(greenlets)
    begin, end = int(starts.min()), int(ends.max())
    ids = distinct(greenlets)
    spans = _all_spans(timeline, ids, begin, end)
    first, past = _found(spans, ids, greenlets, starts, ends)
    counts = np.maximum(past - first, 0)
    of = np.repeat(np.arange(count), counts)
    index = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(len(of))
    inside = np.minimum(spans["end"][index], ends[of]) - np.maximum(spans["start"][index], starts[of])
    state = spans["state"][index]
    reason = np.minimum(spans["reason"][index], _REASONS - 1).astype(np.intp)
    kind = np.where(state == State.WAITING, WAITING + reason, np.where(state == State.READY, READY, RUNNING))
    sums = np.zeros((count, KINDS), np.int64)
    np.add.at(sums.reshape(-1), of * KINDS + kind, np.maximum(inside, 0))
    rows, known = timeline.lanes.find(greenlets)
    lanes = timeline.lanes.rows
    over = np.flatnonzero(known)
    over = over[lanes["exit"][rows[over]] != ALIVE]
    ended_at = lanes["ended_at"][rows[over]]
    sums[over, ENDED] = np.maximum(ends[over] - np.maximum(ended_at, starts[over]), 0)
    return sums


def _all_spans(timeline: Timeline, ids: npt.NDArray[np.uint64], begin: int, end: int) -> SpanArray:
    """What some greenlets did in a window, with what goes on; one after the other, each in time's order."""
    ended = timeline.spans(ids, begin, end)
    lanes = timeline.lanes
    rows, known = lanes.find(ids)
    rows = rows[known]
    going_on = lanes.open.take(rows[lanes.rows["goes_on"][rows]])
    going_on["end"] = np.maximum(going_on["start"], end)
    if not len(going_on):
        return ended
    both = np.concatenate((ended, going_on))
    return both.take(np.argsort(both["greenlet"], kind="stable"))


def _found(
    spans: SpanArray, ids: npt.NDArray[np.uint64], greenlets: npt.NDArray[np.uint64], starts: _Times, ends: _Times
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The first of each request's spans, and the one past its last.

    A greenlet's place and a time are one number, so that one search is a search in each greenlet's own spans.
    """
    begin, end = int(starts.min()), int(ends.max())
    width = end - begin + 2
    place = np.searchsorted(ids, spans["greenlet"]) * width
    wanted = np.searchsorted(ids, greenlets) * width
    span_ends = place + np.clip(spans["end"] - begin, 0, width - 1)
    span_starts = place + np.clip(spans["start"] - begin, 0, width - 1)
    first = np.searchsorted(span_ends, wanted + (starts - begin), "right")
    past = np.searchsorted(span_starts, wanted + (ends - begin), "left")
    return first, past
