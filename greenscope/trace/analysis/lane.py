"""One greenlet's history: what is asked of it.

The shares of any window are sums over the spans that touch it, and those are found by two binary
searches: exact at every zoom, with no pyramid of summaries to build or to keep up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from greenscope.trace.analysis.segments import GOES_ON, in_segments
from greenscope.trace.analysis.spans import SpanStore
from greenscope.trace.analysis.states import Life, State
from greenscope.trace.analysis.texts import Texts
from greenscope.trace.events import NO_FD

__all__ = ["ALIVE", "Lane", "Segment", "Span"]

ALIVE = -1
"""How a greenlet exited that has not."""


class Segment(NamedTuple):
    """A stretch of a lane as a screen shows it. ``flag``: 1 it stands for several spans, 2 it goes on."""

    start: int
    end: int
    state: int
    reason: int
    flag: int


@dataclass(slots=True)
class Span:
    """One state of one greenlet, from when to when (CLOCK_MONOTONIC ns), and what it was about.

    ``reason`` is a ``Wait`` of a waiting span, a ``Ready`` of a ready one, and 1 of a running one
    that began with an exception. ``deadline`` is when its timeout is due, or the timer it waits for.
    ``site`` is where it parked, or, of a running span, where it went on. ``by`` is the watcher,
    greenlet or timeout that made it ready. ``end`` is 0 while it goes on.
    """

    start: int
    state: State
    reason: int = 0
    end: int = 0
    resource: int = 0
    fd: int = -1
    deadline: int = 0
    site: int = 0
    by: int = 0
    peer: str = ""


class Lane:
    """A greenlet as it was when it was asked for. Its spans are looked up when they are."""

    def __init__(self, row: tuple[Any, ...], going_on: tuple[Any, ...], spans: SpanStore, texts: Texts) -> None:
        self.greenlet: int
        self.run_time: int
        (self.greenlet, self.parent, self.timer_due, self.spawned_at, self.ended_at, self.switches, self.run_time,
         self._begins, self.ends, self._kept, self.spawn_site, self.site, self._name, self._exit, self.spawn_reason,
         self._life, self.numbered, self._goes_on) = row  # fmt: skip
        self._going_on = going_on
        self._spans = spans
        self._texts = texts

    def __len__(self) -> int:
        return self._kept + self._goes_on  # type: ignore[no-any-return]  # a row is a tuple of anything

    @property
    def name(self) -> str:
        """What its function or the program calls it."""
        return self._texts[self._name]

    @property
    def label(self) -> str:
        """Its name as it is shown."""
        return f"{self.name} #{self.greenlet}" if self.numbered else self.name

    @property
    def life(self) -> Life:
        """Where it is between two events."""
        return Life(self._life)

    @property
    def alive(self) -> bool:
        """Whether it has not exited."""
        return self._exit == ALIVE  # type: ignore[no-any-return]

    @property
    def exit(self) -> int | None:
        """How it exited; None if it has not."""
        return None if self._exit == ALIVE else self._exit

    @property
    def open(self) -> Span | None:
        """What goes on."""
        return _span(self._going_on, self._texts) if self._goes_on else None

    @property
    def begins(self) -> int:
        """When the oldest span kept began, 0 for none."""
        return self._begins if self._kept else self._going_on[0] if self._goes_on else 0

    # -- asking ---------------------------------------------------------------------------------

    def spans(self) -> Iterator[Span]:
        """All that has ended, oldest first."""
        return (_span(span, self._texts) for span in self._spans.of(self.greenlet).tolist())

    def span_at(self, time: int, now: int, slack: int = 0) -> Span | None:
        """What it did at a time; failing that, the nearest span within ``slack``."""
        going_on = self._open_until(now)
        if going_on is not None and going_on.start <= time <= now:
            return going_on
        near = self._spans.window(self.greenlet, time - slack - 1, time + slack + 1)
        index = int(np.searchsorted(near["start"], time, "right")) - 1
        if index >= 0 and near["end"][index] >= time:
            return self._span(near[index])
        spans = [self._span(near[i]) for i in (index, index + 1) if 0 <= i < len(near)]
        if going_on is not None:
            spans.append(going_on)
        spans = [s for s in spans if s.start - slack <= time <= s.end + slack]
        return min(spans, key=lambda s: max(s.start - time, time - s.end), default=None)

    def next_to(self, span: Span, step: int) -> Span | None:
        """The span before (-1) or after (1) one of this lane's, however it ended."""
        spans = self._spans.of(self.greenlet)
        index = int(np.searchsorted(spans["start"], span.start))
        while index < len(spans) and spans["end"][index] < span.end and spans["start"][index] == span.start:
            index += 1  # several may begin at one time: those before it are empty
        index += step
        if 0 <= index < len(spans):
            return self._span(spans[index])
        return self.open if step > 0 and index == len(spans) else None

    def shares(self, start: int, end: int, now: int) -> tuple[int, int, int]:
        """Nanoseconds it ran, was ready, and waited within a window."""
        spans = self._spans.window(self.greenlet, start, end)
        inside = np.minimum(spans["end"], end) - np.maximum(spans["start"], start)
        state = spans["state"]
        sums = {of: int(inside[state == of].sum()) for of in State}
        going_on = self.open
        if going_on is not None:
            sums[going_on.state] += max(0, min(now, end) - max(going_on.start, start))
        return sums[State.RUNNING] + sums[State.STALLED], sums[State.READY], sums[State.WAITING]

    def count(self, start: int, end: int, now: int) -> int:
        """How many spans touch a window."""
        going_on = self.open
        goes_on = going_on is not None and going_on.start < end and now > start
        return len(self._spans.window(self.greenlet, start, end)) + goes_on

    def segments(self, start: int, end: int, now: int, bucket: int) -> list[Segment]:
        """What a screen shows of ``[start, end)``: spans, or two segments a bucket where they are denser.

        Args:
            start: a multiple of ``bucket``, so that a window that moves does not shimmer.
            end: likewise.
            now: how far the span that goes on has come.
            bucket: nanoseconds a pixel.
        """
        columns = in_segments(self._spans.window(self.greenlet, start, end), bucket)
        shown = [Segment(*values) for values in zip(*(column.tolist() for column in columns[1:]), strict=True)]
        going_on = self.open
        if going_on is not None and going_on.start < end and now > start:
            shown.append(Segment(going_on.start, now, going_on.state, going_on.reason, GOES_ON))
        return shown

    def _span(self, span: np.void) -> Span:
        return _span(tuple(span.item()), self._texts)

    def _open_until(self, now: int) -> Span | None:
        span = self.open
        return None if span is None else replace(span, end=max(now, span.start))


def _span(values: tuple[Any, ...], texts: Texts) -> Span:
    start, end, about, deadline, _, site, fd, peer, state, reason = values
    waits = state == State.WAITING
    return Span(
        start=start,
        end=end,
        state=State(state),
        reason=reason,
        resource=about if waits else 0,
        fd=-1 if fd == NO_FD else fd,
        deadline=deadline,
        site=site,
        by=0 if waits else about,
        peer=texts[peer],
    )
