"""One greenlet's history: spans in columns, and what is asked of them.

A lane grows at its end only. Beside the columns it keeps running sums of the time it ran and the
time it was ready, so that the shares of any window are two subtractions. That is the whole
level-of-detail machinery: a pixel that holds a thousand spans costs two binary searches, exact at
every zoom, with no pyramid of summaries to build or to keep up to date.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from greenscope.trace.analysis.states import Life, State

__all__ = ["Lane", "Segment", "Span"]


# Which of the three sums a state counts into.
_KIND: dict[int, int] = {State.RUNNING: 0, State.READY: 1, State.WAITING: 2, State.STALLED: 0}


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
    """The spans of one greenlet, oldest first."""

    def __init__(self, greenlet: int, name: str = "?", numbered: bool = True, parent: int = 0) -> None:
        self.greenlet = greenlet
        self.name = name
        self.numbered = numbered
        self.parent = parent
        self.spawn_reason = 0
        self.spawn_site = 0
        self.site = 0  # where it last parked
        self.timer_due = 0  # when the timer that it last started is due
        self.life = Life.UNKNOWN
        self.exit: int | None = None
        self.ended_at = 0
        self.switches = 0
        self.run_time = 0
        self.open: Span | None = None
        self._start = array("Q")
        self._end = array("Q")
        self._state = array("B")
        self._reason = array("B")
        self._resource = array("L")
        self._fd = array("q")
        self._deadline = array("Q")
        self._site = array("L")
        self._by = array("Q")
        self._peer: list[str] = []
        self._ran = array("q")  # sums up to and with the span
        self._was_ready = array("q")
        self._waited = array("q")

    def __len__(self) -> int:
        return len(self._start) + (self.open is not None)

    @property
    def label(self) -> str:
        """Its name as it is shown."""
        return f"{self.name} #{self.greenlet}" if self.numbered else self.name

    @property
    def alive(self) -> bool:
        """Whether it has not exited."""
        return self.exit is None

    @property
    def begins(self) -> int:
        """When the oldest span kept began, 0 for none."""
        return self._start[0] if self._start else self.open.start if self.open else 0

    @property
    def ends(self) -> int:
        """When the newest span that ended did so, 0 for none."""
        return self._end[-1] if self._end else 0

    # -- growing --------------------------------------------------------------------------------

    def finish(self, at: int) -> Span | None:
        """End what goes on: the span that ended."""
        span = self.open
        if span is None:
            return None
        self.open = None
        span.end = max(at, span.start)
        length = span.end - span.start
        running = span.state in (State.RUNNING, State.STALLED)
        if running:
            self.run_time += length
        self._start.append(span.start)
        self._end.append(span.end)
        self._state.append(span.state)
        self._reason.append(span.reason)
        self._resource.append(span.resource)
        self._fd.append(span.fd)
        self._deadline.append(span.deadline)
        self._site.append(span.site)
        self._by.append(span.by)
        self._peer.append(span.peer)
        for sums, counts in (
            (self._ran, running),
            (self._was_ready, span.state is State.READY),
            (self._waited, span.state is State.WAITING),
        ):
            sums.append((sums[-1] if sums else 0) + (length if counts else 0))
        return span

    def forget_before(self, time: int) -> int:
        """Drop the spans that ended before a time: how many. The sums keep their base; only differences are used."""
        count = bisect_right(self._end, time)
        if not count:
            return 0
        for column in (
            self._start,
            self._end,
            self._state,
            self._reason,
            self._resource,
            self._fd,
            self._deadline,
            self._site,
            self._by,
            self._ran,
            self._was_ready,
            self._waited,
        ):
            del column[:count]
        del self._peer[:count]
        return count

    # -- asking ---------------------------------------------------------------------------------

    def span_at(self, time: int, now: int, slack: int = 0) -> Span | None:
        """What it did at a time; failing that, the nearest span within ``slack``."""
        if self.open is not None and self.open.start <= time <= now:
            return self._open_until(now)
        index = bisect_right(self._start, time) - 1
        if index >= 0 and self._end[index] >= time:
            return self._span(index)
        near = [i for i in (index, index + 1) if 0 <= i < len(self._start)]
        spans = [self._span(i) for i in near]
        if self.open is not None:
            spans.append(self._open_until(now))
        spans = [s for s in spans if s.start - slack <= time <= s.end + slack]
        return min(spans, key=lambda s: max(s.start - time, time - s.end), default=None)

    def spans(self) -> Iterator[Span]:
        """All that has ended, oldest first."""
        return (self._span(index) for index in range(len(self._start)))

    def next_to(self, span: Span, step: int) -> Span | None:
        """The span before (-1) or after (1) one of this lane's, however it ended."""
        index = bisect_left(self._start, span.start)
        while index < len(self._start) and self._end[index] < span.end and self._start[index] == span.start:
            index += 1  # several may begin at one time: those before it are empty
        index += step
        if 0 <= index < len(self._start):
            return self._span(index)
        return self.open if step > 0 and index == len(self._start) else None

    def shares(self, start: int, end: int, now: int) -> tuple[int, int, int]:
        """Nanoseconds it ran, was ready, and waited within a window."""
        first, last = self._overlapping(start, end)
        sums = self._sums(first, last, start, end)
        if self.open is not None:
            sums[_KIND[self.open.state]] += max(0, min(now, end) - max(self.open.start, start))
        return sums[0], sums[1], sums[2]

    def count(self, start: int, end: int, now: int) -> int:
        """How many spans touch a window."""
        first, last = self._overlapping(start, end)
        return last - first + (self.open is not None and self.open.start < end and now > start)

    def segments(self, start: int, end: int, now: int, bucket: int) -> list[Segment]:
        """What a screen shows of ``[start, end)``: spans, or two segments a bucket where they are denser.

        Args:
            start: a multiple of ``bucket``, so that a window that moves does not shimmer.
            end: likewise.
            now: how far the span that goes on has come.
            bucket: nanoseconds a pixel.
        """
        first, last = self._overlapping(start, end)
        shown: list[Segment] = []
        index = first
        while index < last:
            begins, ends = self._start[index], self._end[index]
            # The bucket in which this span ends: does anything else begin and end in there?
            until = -(-ends // bucket) * bucket
            if ends - begins >= 2 * bucket or index + 2 >= last or self._end[index + 2] > until:
                shown.append(Segment(begins, ends, self._state[index], self._reason[index], 0))
                index += 1
                continue
            # Three or more spans end within one bucket: say what they come to.
            past = bisect_right(self._end, until, index, last)
            shown.extend(self._summary(index, past))
            index = past
        if self.open is not None and self.open.start < end and now > start:
            shown.append(Segment(self.open.start, now, self.open.state, self.open.reason, 2))
        return shown

    def _summary(self, first: int, past: int) -> Iterator[Segment]:
        """Spans ``[first, past)`` as what it mostly was, and as running for its share of the time."""
        begins, ends = self._start[first], self._end[past - 1]
        ran, ready, waited = self._sums(first, past, begins, ends)
        if waited >= ready and waited >= ran:
            longest = max(
                (i for i in range(first, min(past, first + 64)) if self._state[i] == State.WAITING),
                key=lambda i: self._end[i] - self._start[i],
                default=first,
            )
            yield Segment(begins, ends, State.WAITING, self._reason[longest] if waited else 0, 1)
        elif ready >= ran:
            yield Segment(begins, ends, State.READY, 0, 1)
        else:
            yield Segment(begins, ends, State.RUNNING, 0, 1)
            return
        if ran:
            yield Segment(begins, begins + ran, State.RUNNING, 0, 1)

    def _overlapping(self, start: int, end: int) -> tuple[int, int]:
        first = bisect_right(self._end, start)
        return first, max(first, bisect_left(self._start, end))

    def _sums(self, first: int, last: int, start: int, end: int) -> list[int]:
        """Time it ran, was ready, and waited, in spans ``[first, last)`` cut to the window."""
        sums = [0, 0, 0]
        if last <= first:
            return sums
        for index in {first, last - 1}:  # these may reach beyond the window
            length = min(self._end[index], end) - max(self._start[index], start)
            sums[_KIND[self._state[index]]] += max(0, length)
        if last - first > 2:
            for kind, column in enumerate((self._ran, self._was_ready, self._waited)):
                sums[kind] += column[last - 2] - column[first]
        return sums

    def _span(self, index: int) -> Span:
        return Span(
            start=self._start[index],
            end=self._end[index],
            state=State(self._state[index]),
            reason=self._reason[index],
            resource=self._resource[index],
            fd=self._fd[index],
            deadline=self._deadline[index],
            site=self._site[index],
            by=self._by[index],
            peer=self._peer[index],
        )

    def _open_until(self, now: int) -> Span:
        assert self.open is not None
        span = self.open
        return Span(
            start=span.start,
            end=max(now, span.start),
            state=span.state,
            reason=span.reason,
            resource=span.resource,
            fd=span.fd,
            deadline=span.deadline,
            site=span.site,
            by=span.by,
            peer=span.peer,
        )
