"""Folds batches of events into lanes of spans: folding in pieces gives what folding at once gives.

No clock, no I/O: time is what the events say, and "now" is an argument wherever it matters. After a
gap nobody's state is known; the greenlet table, read after the gap, says it for whoever has not
changed since, and the events to come say it for the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.fold import Fold
from greenscope.trace.analysis.lane import ALIVE
from greenscope.trace.analysis.lanes import Lanes
from greenscope.trace.analysis.latency import AwaySeries, LatencyHistogram, LoadSeries
from greenscope.trace.analysis.moves import moves_of
from greenscope.trace.analysis.notes import Notes
from greenscope.trace.analysis.resume import resume
from greenscope.trace.analysis.segments import GOES_ON, Columns, in_segments, joined
from greenscope.trace.analysis.spans import SpanArray, SpanStore
from greenscope.trace.analysis.stalls import Stall, Stalls
from greenscope.trace.analysis.texts import Texts
from greenscope.trace.analysis.watchers import Watchers
from greenscope.trace.events import Kind
from greenscope.trace.records import END_OF_TIME, Batch, GreenletSlot

__all__ = ["DEFAULT_STALL_NS", "Folded", "Timeline"]

DEFAULT_STALL_NS = 100_000_000
_GAPS = 1000
_LANE_IN_SPANS = 16  # what a lane counts as; more than its memory, so that a row's number has 16 bits, which sort fast


class Folded(NamedTuple):
    """A batch as it was folded, for whoever counts what is in it."""

    events: npt.NDArray[Any]
    kinds: npt.NDArray[np.uint8]
    at: npt.NDArray[np.int64]
    """The events' times, none before the one ahead of it."""
    fold: Fold | None
    """What came of them; None if nobody moved."""
    texts: dict[int, str]
    """What their text records said, by the event's place in the batch."""


class Timeline:
    """Every greenlet's lane, and what the hub's events come to.

    Args:
        start: when the ring began (CLOCK_MONOTONIC ns).
        name: gives the text of a string's number.
        stall_ns: a run this long is a stall.
        keep_spans: about how many spans are kept before the oldest are forgotten; a lane counts as 16.
    """

    def __init__(
        self,
        start: int,
        name: Callable[[int], str],
        stall_ns: int = DEFAULT_STALL_NS,
        keep_spans: int = 1_000_000,
    ) -> None:
        self.start = start
        self.stall_ns = stall_ns
        self.hub = 0
        self.running = 0
        """The greenlet that runs, 0 for none or the hub."""
        self.ready_count = 0
        """How many greenlets are ready and wait for the hub."""
        self.events = 0
        self.lost = 0
        self.gaps = 0
        self.gaps_at: deque[int] = deque(maxlen=_GAPS)
        """When the last event before each of the newest gaps happened."""
        self.illegal = 0
        self.switches = 0
        self.run_time = 0
        self.last = start
        self.forgotten_until = 0
        self._texts = Texts()
        self._spans = SpanStore()
        self.lanes = Lanes(self._spans, self._texts)
        self.stalls = Stalls(self._texts)
        self.watchers = Watchers(self._texts)
        self.latency = LatencyHistogram()
        self.away = AwaySeries(start)
        self.load = LoadSeries(start)
        self.notes = Notes(name)
        self.listeners: list[Callable[[SpanArray], None]] = []
        """Each is told what ended, by greenlet and then by time, before any of it may be forgotten."""
        self._name = name
        self._keep = keep_spans
        self._poll_ended = 0

    def apply(self, batch: Batch, table: Iterable[GreenletSlot] = ()) -> Folded | None:
        """Fold what a reader gave.

        Args:
            batch: the events that follow what was folded before.
            table: the greenlet table, read after them; used if events were lost before them.

        Returns:
            The events as they were folded; None if there were none.
        """
        events, texts = batch.events, batch.texts
        if batch.lost:
            self.gaps += 1
            self.lost += batch.lost
            self.gaps_at.append(self.last)
            self._resume(events, table)
        self.events += len(events)
        sound = events["time_ns"] < END_OF_TIME
        if not sound.all():  # a damaged file
            self.illegal += len(events) - int(np.count_nonzero(sound))
            place = np.cumsum(sound) - 1
            texts = {int(place[index]): text for index, text in texts.items() if sound[index]}
            events = events.take(np.flatnonzero(sound))
        folded = self._fold(events, texts) if len(events) else None
        self._forget()
        return folded

    def away_since(self) -> int:
        """When the hub last came back from its poll; 0 while it is in it."""
        return self._poll_ended

    def stall_now(self, now: int) -> Stall | None:
        """The stall that goes on, if one does."""
        lane = self.lanes.get(self.running)
        span = lane.open if lane is not None else None
        if lane is None or span is None or now - span.start < self.stall_ns:
            return None
        return Stall(lane.greenlet, lane.label, span.start, 0, self.ready_count, span.site, 0)

    def segments(self, greenlets: npt.NDArray[np.uint64], start: int, end: int, now: int, bucket: int) -> Columns:
        """What a screen shows of some lanes: each one's segments in time's order; see ``Lane.segments``."""
        shown = in_segments(self._spans.windows(greenlets, start, end), bucket)
        rows, known = self.lanes.find(greenlets)
        rows = rows[known]
        going_on = self.lanes.open.take(rows[self.lanes.rows["goes_on"][rows]])
        going_on = going_on[going_on["start"] < end] if now > start else going_on[:0]
        count = len(going_on)
        more = Columns(going_on["greenlet"], going_on["start"], np.full(count, now, np.int64), going_on["state"],
                       going_on["reason"], np.full(count, GOES_ON, np.uint8))  # fmt: skip
        return joined((shown, more))

    def spans(self, greenlets: npt.NDArray[np.uint64], start: int, end: int) -> SpanArray:
        """What of some lanes has ended and touches a window: each one's spans in time's order."""
        return self._spans.windows(greenlets, start, end)

    def chunks(self) -> Iterator[SpanArray]:
        """All that has ended and is kept, in pieces: each sorted by greenlet and then by time, the oldest first."""
        return (spans for _, _, spans in self._spans.each())

    def going_on(self, now: int) -> SpanArray:
        """What has not ended, as if it did now."""
        spans = self.lanes.open.take(np.flatnonzero(self.lanes.rows["goes_on"]))
        spans["end"] = np.maximum(spans["start"], now)
        return spans

    def _fold(self, events: npt.NDArray[Any], texts: dict[int, str]) -> Folded:
        # A finalizer that ran while an event was made has written one before it; or the file is damaged.
        # Lanes are searched by time, so they never go back.
        at = np.maximum(np.maximum.accumulate(events["time_ns"].astype(np.int64)), self.last)
        kinds = np.ascontiguousarray(events["kind"])
        self.last = int(at[-1])
        self._poll(kinds, at)
        self.notes.add(events, kinds, at, texts)
        self.watchers.begin(events, kinds, texts)
        moves = moves_of(events, kinds, self.hub, self.running)
        fold = None
        if len(moves.move):
            fold = Fold(moves, events, at, self.lanes, self.watchers, self._text, self.stall_ns, self.ready_count)
            self._spans.append(fold.closed)
            self.hub, self.running, self.ready_count = int(moves.hub[-1]), moves.running, fold.ready
            self.illegal += fold.illegal
            self.switches += fold.switches
            self.run_time += fold.run_time
            self.latency.add(fold.ran_at, fold.latency)
            if len(fold.stalls) or self.stalls.waiting:
                self.stalls.add(fold.stalls, *fold.polls())
            self._tell(fold.closed)
        self.watchers.end()
        return Folded(events, kinds, at, fold, texts)

    def _tell(self, ended: SpanArray) -> None:
        for listener in self.listeners:
            listener(ended)

    def _poll(self, kinds: npt.NDArray[np.uint8], at: npt.NDArray[np.int64]) -> None:
        """Take up how long the hub was away from its poll."""
        polls = np.flatnonzero((kinds == Kind.POLL_BEGIN) | (kinds == Kind.POLL_END))
        if not len(polls):
            return
        ended = np.where(kinds[polls] == Kind.POLL_END, at[polls], 0)
        before = np.concatenate(([self._poll_ended], ended[:-1]))
        back = (kinds[polls] == Kind.POLL_BEGIN) & (before != 0)
        self.away.add(before[back], at[polls][back])
        self._poll_ended = int(ended[-1])
        self.load.add(kinds[polls] == Kind.POLL_END, at[polls])

    def _text(self, string: int) -> int:
        return self._texts.number(self._name(string))

    def _resume(self, events: npt.NDArray[Any], table: Iterable[GreenletSlot]) -> None:
        """Events were lost: who still does what it did, and who does what now."""
        sound = events["time_ns"] < END_OF_TIME
        following = int(events["time_ns"][np.argmax(sound)]) if sound.any() else 0
        self._poll_ended = 0
        self.load.lose()
        table = list(table)
        self.watchers.learn(table)
        after = resume(self.lanes, self._texts, table, self.hub, self.last, max(following, self.last), self.stall_ns)
        self._spans.append(after.closed)
        self.hub, self.running, self.ready_count = after.hub, after.running, after.ready
        self.run_time += after.run_time
        nothing = np.zeros(0, np.int64)
        self.stalls.add(after.stalls, nothing, nothing)
        self._tell(after.closed)

    def _forget(self) -> None:
        """Keep memory bounded: when there is too much, drop the older half of the time kept."""
        if len(self._spans) + _LANE_IN_SPANS * len(self.lanes) > self._keep:
            self.forgotten_until = horizon = (max(self.forgotten_until, self.start) + self.last + 1) // 2
            self.stalls.forget_before(horizon)
            rows = self.lanes.rows
            self.lanes.drop((rows["exit"] != ALIVE) & (rows["ended_at"] < horizon))
            self._spans.forget_before(horizon)
            self.lanes.count_spans()
        if self._texts.full:
            self._texts.keep([*self.lanes.texts, *self.watchers.texts, *self._spans.texts])
