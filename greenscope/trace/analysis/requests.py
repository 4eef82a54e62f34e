"""Every request that was begun and ended, in columns: when, by whom, how, and how its time divides.

What a list, a table of routes and an export are made of. A batch's requests are paired by their numbers, one at a
time; how their time divides is counted for all that end in a batch together, as soon as they have ended, so that it
outlives the spans. The newest are kept, and what goes on; one whose beginning was lost is counted, and no more,
since nobody could say what it was. One that may have ended unseen is not said to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.request_parts import ENDED, KINDS, READY, RUNNING, WAITING, parts_of
from greenscope.trace.analysis.request_text import Said, said_by
from greenscope.trace.analysis.timeline import Folded, Timeline
from greenscope.trace.events import Exit, Kind

__all__ = ["KEEP", "Outcome", "Request", "Requests"]

KEEP = 1 << 15
"""So many that ended are kept, at least."""

_KEEP_OPEN = 1 << 14
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROW = np.dtype(
    [
        ("number", "i8"),
        ("greenlet", "u8"),
        ("ended_by", "u8"),  # the greenlet that said that it ended
        ("start", "i8"),
        ("end", "i8"),
        ("parts", "i8", (KINDS,)),
        ("site", "u4"),
        ("route", "u4"),
        ("status", "u2"),
        ("how", "u1"),
        ("outcome", "u1"),
    ],
    align=True,
)
_REMAINING_ROUTES = "all other routes"
_MOST_ROUTES = 4096


@unique
class Outcome(IntEnum):
    """What became of a request."""

    GOING_ON = 0
    DONE = 1
    LOST = 2  # its end was overwritten before it was read


@dataclass(frozen=True, slots=True)
class Request:
    """One request; times are CLOCK_MONOTONIC ns.

    ``greenlet`` is where it was begun, and ``ended_by`` who said that it ended, 0 if nobody did. ``end`` is 0
    while it goes on, and of one whose end was lost. ``how`` is an ``Exit``, ``error`` the class of an exception.
    ``wall`` is how long it took, or has taken by now; of one that was lost, until events were. It divides into
    ``running``, ``ready`` (could have run, and did not: starved), ``waits`` by reason (a ``Wait``), ``ended`` (its
    greenlet had ended, and another went on), and ``unknown``, of which nothing is known.
    """

    number: int
    greenlet: int
    start: int
    end: int
    said: Said
    outcome: Outcome
    status: int
    how: int
    error: str
    site: int
    ended_by: int
    wall: int
    running: int
    ready: int
    waits: dict[int, int]
    ended: int
    unknown: int

    @property
    def until(self) -> int:
        """When it ended, or how far is looked."""
        return self.start + self.wall

    @property
    def waiting(self) -> int:
        """How long it waited, for all reasons together."""
        return sum(self.waits.values())

    @property
    def failed(self) -> bool:
        """Whether it raised, or was answered with a status from 500 on."""
        return _failed(self.how, self.status)


class Requests:
    """All of one ring.

    Args:
        timeline: that of the ring, told of each batch before this is.
        name: gives the text of a string's number.
        keep: so many that ended are kept; up to twice as many for a while.
    """

    def __init__(self, timeline: Timeline, name: Callable[[int], str], keep: int = KEEP) -> None:
        self._timeline = timeline
        self._name = name
        self._keep = keep
        self.ended = 0
        """How many ended, and were seen from their beginning."""
        self.without_begin = 0
        """How many ended whose beginning was lost."""
        self.forgotten = 0
        """How many are not kept any more."""
        self.listeners: list[Callable[[npt.NDArray[Any]], None]] = []
        """Each is told of those that ended, once: their rows, but for ``parts``."""
        self.routes: list[str] = []
        """By the numbers that rows have."""
        self._route_numbers: dict[str, int] = {}
        self._rows = np.zeros(64, _ROW)
        self._count = 0
        self._said: list[Said] = []
        self._errors: dict[int, str] = {}  # by number, of those that have one
        self._open: dict[int, int] = {}  # number: row
        self._unsure: dict[int, list[int]] = {}  # greenlet: the requests that may have ended when events were lost

    def __len__(self) -> int:
        return self._count

    @property
    def going_on(self) -> int:
        """How many have not ended, as far as is known."""
        return int(np.count_nonzero(self.outcomes() == Outcome.GOING_ON))

    def add(self, folded: Folded | None, lost: int) -> None:
        """Take up a batch: as it was folded, and how many records were lost before it."""
        if lost:
            self._lose()
        if folded is None:
            return
        which = np.flatnonzero((folded.kinds == Kind.REQUEST_BEGIN) | (folded.kinds == Kind.REQUEST_END))
        if len(which):
            ended = self._pair(folded, which)
            if len(ended):
                rows = self._rows[ended]
                self._rows["parts"][ended] = parts_of(self._timeline, rows["greenlet"], rows["start"], rows["end"])
                for listener in self.listeners:
                    listener(rows)
        if len(self._open) > _KEEP_OPEN:  # where they ended was lost, or nobody ends them
            for number in list(self._open)[: len(self._open) - _KEEP_OPEN]:
                row = self._open.pop(number)
                self._rows["outcome"][row], self._rows["end"][row] = Outcome.LOST, self._timeline.last
        if self._count - len(self._open) > 2 * self._keep:
            self._forget()

    # -- asking ---------------------------------------------------------------------------------

    def rows(self, now: int) -> npt.NDArray[Any]:
        """All that are kept, in the order of their beginnings, as columns.

        ``number``, ``greenlet``, ``start``, ``end`` (``now`` of those that go on; when events were lost, of those
        that were), ``route``, ``status``, ``how``, ``outcome``, and ``parts`` (see ``request_parts``); a copy.
        """
        return self._until(np.arange(self._count), now)

    def outcomes(self) -> npt.NDArray[np.uint8]:
        """The ``Outcome`` of each that is kept."""
        found = self._rows["outcome"][: self._count].copy()
        unsure = [self._open[number] for of in self._unsure.values() for number in of if number in self._open]
        if unsure:
            index = np.array(unsure)
            greenlets = self._rows["greenlet"][index]
            rows, known = self._timeline.lanes.find(greenlets)
            lanes = self._timeline.lanes.rows
            alive = known.copy()
            alive[known] = lanes["exit"][rows[known]] < 0
            found[index[~alive]] = Outcome.LOST
        return found

    def shown(self, rows: npt.NDArray[Any], which: Iterable[int]) -> list[Request]:
        """Some of ``rows``' answer, by their places in it, as requests."""
        return [self._request(rows[index], index) for index in which]

    def find(self, number: int, now: int) -> Request | None:
        """A request by its number; None if it is not kept."""
        places = np.flatnonzero(self._rows["number"][: self._count] == number)[-1:]
        return self._request(self._until(places, now)[0], int(places[0])) if len(places) else None

    def said(self, place: int) -> Said:
        """What the request at a place of ``rows``' answer said."""
        return self._said[place]

    def has_ended(self, number: int) -> bool:
        """Whether a request's end was seen, and it is still kept."""
        rows = self._rows[: self._count]
        return bool((rows["outcome"][rows["number"] == number] == Outcome.DONE).any())

    def error(self, number: int) -> str:
        """The class of the exception that ended a request; empty if there was none."""
        return self._errors.get(number, "")

    def _until(self, places: npt.NDArray[np.intp], now: int) -> npt.NDArray[Any]:
        """Rows as they are by now."""
        rows = self._rows.take(places)
        rows["outcome"] = self.outcomes()[places]
        goes_on = rows["outcome"] == Outcome.GOING_ON
        rows["end"][goes_on] = np.maximum(rows["start"][goes_on], now)
        unsummed = np.flatnonzero(rows["outcome"] != Outcome.DONE)
        if len(unsummed):
            some = rows[unsummed]
            rows["parts"][unsummed] = parts_of(self._timeline, some["greenlet"], some["start"], some["end"])
        return rows

    def _request(self, row: np.void, place: int) -> Request:
        parts = row["parts"].tolist()
        number, wall = int(row["number"]), int(row["end"] - row["start"])
        outcome = Outcome(int(row["outcome"]))
        return Request(
            number=number,
            greenlet=int(row["greenlet"]),
            start=int(row["start"]),
            end=int(row["end"]) if outcome is Outcome.DONE else 0,
            said=self._said[place],
            outcome=outcome,
            status=int(row["status"]),
            how=int(row["how"]),
            error=self.error(number),
            site=int(row["site"]),
            ended_by=int(row["ended_by"]),
            wall=wall,
            running=parts[RUNNING],
            ready=parts[READY],
            waits={reason: ns for reason, ns in enumerate(parts[WAITING:ENDED]) if ns},
            ended=parts[ENDED],
            unknown=max(wall - sum(parts), 0),
        )

    # -- taking up ------------------------------------------------------------------------------

    def _pair(self, folded: Folded, which: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Take up what began and what ended: the rows of those that ended."""
        events = folded.events[which]
        begins = (events["kind"] == Kind.REQUEST_BEGIN).tolist()
        count = sum(begins)
        first = self._make_room(count)
        new = self._rows[first : first + count]
        began = events["kind"] == Kind.REQUEST_BEGIN
        new["number"] = (events["arg"][began] & _LOW).astype(np.int64)
        new["greenlet"], new["site"] = events["greenlet"][began], events["site"][began]
        new["start"] = folded.at[which[began]]
        self._count += count
        numbers, greenlets = (events["arg"] & _LOW).tolist(), events["greenlet"].tolist()
        row, going_on, said, texts = first, self._open, self._said, folded.texts
        routes: list[int] = []
        ended: list[int] = []
        ends: list[int] = []
        for place, (index, begin, number) in enumerate(zip(which.tolist(), begins, numbers, strict=True)):
            if begin:
                if self._unsure:
                    self._lose_of(greenlets[place])
                what = said_by(texts.get(index, ""))
                said.append(what)
                routes.append(self._route(what.route))
                going_on[number] = row
                row += 1
            elif number in going_on:
                ended.append(going_on.pop(number))
                ends.append(place)
            else:
                self.without_begin += 1
        new["route"] = routes
        rows = np.array(ended, np.intp)
        over = events[ends]
        self._rows["end"][rows] = folded.at[which[ends]]
        self._rows["ended_by"][rows], self._rows["how"][rows] = over["greenlet"], over["reason"]
        self._rows["status"][rows], self._rows["outcome"][rows] = over["aux"], Outcome.DONE
        raised = over["arg"] >> _HALF
        for place in np.flatnonzero(raised).tolist():
            self._errors[numbers[ends[place]]] = self._name(int(raised[place]))
        self.ended += len(rows)
        return rows

    def _route(self, route: str) -> int:
        number = self._route_numbers.get(route)
        if number is None:
            if len(self.routes) >= _MOST_ROUTES:
                route = _REMAINING_ROUTES
                if route in self._route_numbers:
                    return self._route_numbers[route]
            number = self._route_numbers[route] = len(self.routes)
            self.routes.append(route)
        return number

    def _make_room(self, count: int) -> int:
        """Rows for so many more: where they begin."""
        first = self._count
        if first + count > len(self._rows):
            rows = np.zeros((first + count) * 3 // 2, _ROW)
            rows[:first] = self._rows[:first]
            self._rows = rows
        else:
            self._rows[first : first + count] = np.zeros((), _ROW)
        return first

    def _forget(self) -> None:
        """Drop the oldest that ended."""
        rows = self._rows[: self._count]
        kept = np.ones(self._count, bool)
        over = np.ones(self._count, bool)
        over[list(self._open.values())] = False
        oldest = np.flatnonzero(over)[: -self._keep]
        kept[oldest] = False
        for number in rows["number"][oldest].tolist():
            self._errors.pop(number, None)
        self.forgotten += len(oldest)
        places = np.flatnonzero(kept)
        now_at = np.cumsum(kept) - 1
        self._open = {number: int(now_at[row]) for number, row in self._open.items()}
        self._said = [self._said[place] for place in places.tolist()]
        self._rows, self._count = rows.take(places), len(places)

    def _lose(self) -> None:
        """Events were lost: what goes on may have ended."""
        self._unsure.clear()
        gap = self._timeline.gaps_at[-1]
        for number, row in self._open.items():
            if not self._rows["end"][row]:
                self._rows["end"][row] = max(gap, int(self._rows["start"][row]))
            self._unsure.setdefault(int(self._rows["greenlet"][row]), []).append(number)

    def _lose_of(self, greenlet: int) -> None:
        """A greenlet begins a request, after events were lost: what it served before that has ended."""
        for number in self._unsure.pop(greenlet, ()):
            row = self._open.pop(number, None)
            if row is not None:
                self._rows["outcome"][row] = Outcome.LOST


def _failed(how: int, status: int) -> bool:
    return how == Exit.RAISED or status >= 500
