"""What the program says itself, what the watchdog saw, and who was refused: spans, requests, marks, stalls.

The last thousand of each are kept, and what goes on. A span or a request has a number, by which its
end finds its beginning; one whose beginning was lost is not kept, since nobody could say what it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.events import Kind, unpack
from greenscope.trace.records import Site

__all__ = ["Note", "Notes", "Refusal", "frames_of"]

_KEEP = 1000
_KEEP_OPEN = 1 << 14
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Note:
    """One of them, from when to when (CLOCK_MONOTONIC ns).

    ``name`` is a span's; the lines of a request: its id, and what it asks for; what a mark says; the
    stack of a stall, innermost frame first. ``end`` is 0 while it goes on. ``how`` (an ``Exit``) and
    ``error`` (the class of an exception) say how it ended, ``status`` what a request was answered with,
    ``blocked`` (a ``Blocked``) what the thread of a stall did in the kernel, and ``computed`` the nanoseconds that
    it can have computed at most (by when it was noticed, or in all), -1 if that is not known. ``number`` is that of a
    span or a request in its ring, 0 for all else.
    """

    greenlet: int
    start: int
    end: int
    name: str
    site: int = 0
    how: int = 0
    error: str = ""
    status: int = 0
    blocked: int = 0
    computed: int = -1
    number: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """That ``greenlet`` wanted to wait where ``other`` did, for a descriptor in one direction (``watch``)."""

    at: int
    greenlet: int
    other: int
    watch: int
    fd: int
    peer: str
    site: int


class _Pairs:
    """Spans, or requests: what begins, and ends by its number."""

    def __init__(self, begin: Kind, end: Kind) -> None:
        self.kept: deque[Note] = deque(maxlen=_KEEP)
        self.open: dict[int, Note] = {}
        self._begin, self._end = begin, end

    def add(
        self,
        events: npt.NDArray[Any],
        kinds: npt.NDArray[np.uint8],
        at: npt.NDArray[np.int64],
        text: Callable[[int], str],
        error: Callable[[int], str],
    ) -> None:
        begins, ends = np.flatnonzero(kinds == self._begin), np.flatnonzero(kinds == self._end)
        begun, ended = events["arg"][begins] & _LOW, events["arg"][ends] & _LOW
        # Only those that are still open, or among the last to end, are looked at one by one.
        going_on = np.fromiter(self.open, np.uint64, len(self.open))
        known = np.flatnonzero(np.isin(ended, np.concatenate((begun, going_on))))
        last = known[-_KEEP:]
        for number in going_on[np.isin(going_on, ended) & ~np.isin(going_on, ended[last])].tolist():
            del self.open[number]
        shown = begins[~np.isin(begun, ended) | np.isin(begun, ended[last])]
        for index in shown.tolist():
            event = events[index]
            number, start = unpack(int(event["arg"]))[0], int(at[index])
            self.open[number] = Note(int(event["greenlet"]), start, 0, text(index), int(event["site"]), number=number)
        for index in ends[last].tolist():
            event = events[index]
            number, raised = unpack(int(event["arg"]))
            note = self.open.pop(number, None)
            if note is not None:
                how, status = int(event["reason"]), int(event["aux"])
                self.kept.append(replace(note, end=int(at[index]), how=how, error=error(raised), status=status))
        while len(self.open) > _KEEP_OPEN:  # where they ended was lost
            del self.open[next(iter(self.open))]


class Notes:
    """All of them, of one ring."""

    def __init__(self, name: Callable[[int], str]) -> None:
        self._name = name
        self.spans = _Pairs(Kind.SPAN_BEGIN, Kind.SPAN_END)
        self.requests = _Pairs(Kind.REQUEST_BEGIN, Kind.REQUEST_END)
        self.marks: deque[Note] = deque(maxlen=_KEEP)
        self.stalls: deque[Note] = deque(maxlen=_KEEP)
        """What the watchdog saw; the last may go on."""
        self.refusals: deque[Refusal] = deque(maxlen=_KEEP)

    def add(
        self, events: npt.NDArray[Any], kinds: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], texts: dict[int, str]
    ) -> None:
        """Take up a batch: its events, their kinds and times, and what their text records said."""
        for index in np.flatnonzero(kinds == Kind.WATCHER_REFUSE)[-_KEEP:].tolist():
            self._refusal(events[index], int(at[index]), texts.get(index, ""))
        if not ((kinds >= Kind.SPAN_BEGIN) & (kinds <= Kind.STALL_END)).any():
            return
        name = self._name
        self.spans.add(events, kinds, at, lambda index: name(unpack(int(events["arg"][index]))[1]), name)
        self.requests.add(events, kinds, at, lambda index: texts.get(index, ""), name)
        for index in np.flatnonzero(kinds == Kind.MARK)[-_KEEP:].tolist():
            time = int(at[index])
            greenlet, site = int(events["greenlet"][index]), int(events["site"][index])
            self.marks.append(Note(greenlet, time, time, texts.get(index, ""), site))
        for index in np.flatnonzero((kinds == Kind.STALL_BEGIN) | (kinds == Kind.STALL_END))[-2 * _KEEP :].tolist():
            self._stall(events[index], int(at[index]), texts.get(index, ""))

    def _refusal(self, event: np.void, at: int, peer: str) -> None:
        other, fd = unpack(int(event["arg"]))[1], int(event["aux"]) - 1
        who, watch, site = int(event["greenlet"]), int(event["reason"]), int(event["site"])
        self.refusals.append(Refusal(at, who, other, watch, fd, peer, site))

    def _stall(self, event: np.void, at: int, stack: str) -> None:
        if event["kind"] == Kind.STALL_BEGIN:
            since = min(int(event["arg"]), at)
            who, reason, computed = int(event["greenlet"]), int(event["reason"]), _computed(event)
            self.stalls.append(Note(who, since, 0, stack, blocked=reason, computed=computed))
        elif self.stalls and not self.stalls[-1].end:
            last = self.stalls[-1]
            end = max(min(last.start + int(event["arg"]), at), last.start)
            self.stalls[-1] = replace(last, end=end, computed=_computed(event))


def _computed(event: np.void) -> int:
    """How much a stall's thread can have computed (ns); -1 if it is not known."""
    return (int(event["site"]) - 1) * 1000 if event["site"] else -1


def frames_of(stack: str) -> tuple[Site, ...]:
    """The stack that a stall was recorded with, the innermost frame first."""
    return tuple(_frame(line) for line in stack.split("\n") if line)


def _frame(line: str) -> Site:
    file, _, rest = line.partition("\t")
    number, _, function = rest.partition("\t")
    return Site(file, int(number) if number.isascii() and number.isdecimal() else 0, function)
