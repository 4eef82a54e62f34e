"""Requests and the program's spans as a distributed trace has them: which trace each is of, and what it is within.

What a greenlet begins is within what it began before and has not ended; and a greenlet is within what the one that
spawned it was, when it did. A request that brought a ``traceparent`` is of that trace, under its own span id, which
those that it called have been told. Anything else begins a trace.

Ids that nobody has given are made of the ring and the number, so the same recording gives the same ones each time.
Each is told once, when it ended. One whose beginning was lost is only counted: nobody could say what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

import numpy as np

from greenscope.trace.analysis.request_text import Said, said_by
from greenscope.trace.analysis.timeline import Folded
from greenscope.trace.events import Kind, unpack

__all__ = ["Context", "Ended", "Traces"]

_MOST_OPEN = 1 << 14
_MOST_INHERITED = 1 << 16
_BEGINS = (Kind.SPAN_BEGIN, Kind.REQUEST_BEGIN)
_ENDS = (Kind.SPAN_END, Kind.REQUEST_END)
_NOTES = np.array([*_BEGINS, *_ENDS], np.uint8)
_ALL = np.array([*_NOTES, Kind.GREENLET_SPAWN, Kind.GREENLET_EXIT], np.uint8)
_SAMPLED = 1


class Context(NamedTuple):
    """Where something is in a trace; ids in hexadecimal digits."""

    trace: str
    span: str
    sampled: bool


@dataclass(frozen=True, slots=True)
class _Open:
    """A request, or a span, that began."""

    number: int
    greenlet: int
    name: str
    said: Said | None
    context: Context
    parent: str
    remote: bool
    start: int
    site: int


@dataclass(frozen=True, slots=True)
class Ended(_Open):
    """A request, or a span, that ended. Times are CLOCK_MONOTONIC ns.

    ``name`` is a span's, and ``said`` what a request said, None of a span. ``parent`` is the id of the span that it is
    within, empty if it is the first of its trace; ``remote`` whether that one is of who sent the request. ``how`` (an
    ``Exit``), ``error`` and ``status`` are as of ``Note``.
    """

    end: int
    how: int
    error: str
    status: int


class Traces:
    """Those of one ring.

    Args:
        ring: what tells it from all others.
        name: gives the text of a string's number.
    """

    def __init__(self, ring: str, name: Callable[[int], str]) -> None:
        self.without_begin = 0
        """How many ended whose beginning was lost, or is not kept any more."""
        self._ring = ring
        self._name = name
        self._open: dict[tuple[bool, int], _Open] = {}  # by whether it is a request, and its number
        self._within: dict[int, list[_Open]] = {}  # by greenlet: what it is in, the innermost last
        self._inherited: dict[int, Context] = {}  # by greenlet: what it was spawned in

    def add(self, folded: Folded | None, lost: int) -> list[Ended]:
        """Take up a batch: what ended in it, in that order.

        Args:
            folded: it, as of ``Timeline.apply``.
            lost: how many records were lost before it.
        """
        if lost:  # what was within what is not known any more; what goes on still ends by its number
            self._within.clear()
            self._inherited.clear()
        if folded is None:
            return []
        kinds = folded.kinds
        notes = np.isin(kinds, _NOTES)
        if not self._within and not self._inherited and not notes.any():
            return []
        ended: list[Ended] = []
        for index in np.flatnonzero(np.isin(kinds, _ALL)).tolist():
            kind, event = int(kinds[index]), folded.events[index]
            greenlet = int(event["greenlet"])
            if kind == Kind.GREENLET_SPAWN:
                context = self._context(int(event["arg"]))
                if context is not None:
                    self._inherited[greenlet] = context
            elif kind == Kind.GREENLET_EXIT:
                self._inherited.pop(greenlet, None)
                self._within.pop(greenlet, None)
            elif kind in _BEGINS:
                self._begin(kind == Kind.REQUEST_BEGIN, folded, index)
            else:
                found = self._end(kind == Kind.REQUEST_END, event, int(folded.at[index]))
                ended += [found] if found is not None else []
        self._forget()
        return ended

    def made_id(self, what: str, size: int) -> str:
        """An id for something of this ring: so many bytes, in hexadecimal digits."""
        return blake2b(f"{self._ring}/{what}".encode(), digest_size=size).hexdigest()

    def _context(self, greenlet: int) -> Context | None:
        within = self._within.get(greenlet)
        return within[-1].context if within else self._inherited.get(greenlet)

    def _begin(self, is_request: bool, folded: Folded, index: int) -> None:
        event = folded.events[index]
        greenlet = int(event["greenlet"])
        number, string = unpack(int(event["arg"]))
        said = said_by(folded.texts.get(index, "")) if is_request else None
        outer = self._context(greenlet)
        own = self.made_id(f"{'request' if is_request else 'span'}/{number}", 8)
        remote = False
        named = _named(said) if said is not None else None
        if said is not None and named is not None:
            context, parent, remote = named, said.parent, bool(said.parent)
        elif outer is not None:
            context, parent = Context(outer.trace, own, outer.sampled), outer.span
        else:
            context, parent = Context(self.made_id(f"trace/{own}", 16), own, True), ""
        name = "" if is_request else self._name(string)
        opened = _Open(number, greenlet, name, said, context, parent, remote, int(folded.at[index]), int(event["site"]))
        self._open[is_request, number] = opened
        self._within.setdefault(greenlet, []).append(opened)

    def _end(self, is_request: bool, event: np.void, at: int) -> Ended | None:
        number, error = unpack(int(event["arg"]))
        opened = self._open.pop((is_request, number), None)
        if opened is None:
            self.without_begin += 1
            return None
        within = self._within.get(opened.greenlet)
        if within is not None:
            within[:] = [each for each in within if each is not opened]
            if not within:
                del self._within[opened.greenlet]
        begun = {each.name: getattr(opened, each.name) for each in fields(opened)}
        status, how = int(event["aux"]), int(event["reason"])
        return Ended(**begun, end=at, how=how, error=self._name(error), status=status)

    def _forget(self) -> None:
        """Keep memory bounded: of what began, and of which nobody said that it ended, the oldest."""
        for key in list(islice(self._open, max(len(self._open) - _MOST_OPEN, 0))):
            opened = self._open.pop(key)
            within = self._within.pop(opened.greenlet, [])
            kept = [each for each in within if each is not opened]
            if kept:
                self._within[opened.greenlet] = kept
        for greenlet in list(islice(self._inherited, max(len(self._inherited) - _MOST_INHERITED, 0))):
            del self._inherited[greenlet]


def _named(said: Said) -> Context | None:
    """Where a request says that it is; None if it does not."""
    if not said.traceparent:
        return None
    _, trace, span, flags = said.traceparent.split("-")
    if not int(trace, 16) or not int(span, 16):  # no valid ids
        return None
    return Context(trace, span, bool(int(flags, 16) & _SAMPLED))
