"""Watchers that call a function: who started each, whether it fired, whether it is over, and what came of it.

What is built by hand of watchers and the hub waits so: a greenlet starts a watcher with a function, parks, and the
function wakes it. The events name no function at level ``switch``; but a greenlet that waits on a watcher itself says
both in one breath, so a start without a park after it, and a fire without a ready after it, are those of functions.

What a function did is seen by what the hub did until it has polled once more: made somebody ready, started another
watcher, spawned. Functions of one round are not told apart: if any did something, none is said to have done nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.timeline import Folded
from greenscope.trace.events import Kind, Ready, Watch

__all__ = ["Callbacks", "Called"]

_KEEP = 1 << 15
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_POLLS = 2  # after these the functions of a fire have been called
_WATCHED = (Watch.READ, Watch.WRITE, Watch.CHILD)
_BY_HUB = (Ready.GREENLET, Ready.SPAWN, Ready.KILL, Ready.CLOSE)
_STARTED = np.dtype(
    [
        ("resource", "u8"),
        ("starter", "u8"),
        ("started", "i8"),
        ("fired", "i8"),  # 0: not yet
        ("over", "i8"),  # 0: not yet
        ("fd", "u4"),
        ("watch", "u1"),
        ("polls", "u1"),  # that have to come until it is known what the function did
        ("did", "?"),
    ]
)


@dataclass(frozen=True, slots=True)
class Called:
    """One start of such a watcher; ``fired`` and ``over`` are 0 if that has not come to be."""

    resource: int
    started: int
    fired: int
    over: int
    fd: int
    watch: int
    idle: bool
    """Whether it is known that nothing came of the call."""


class Callbacks:
    """Those of descriptors and child processes, of one ring, by watcher; each with its last start."""

    def __init__(self) -> None:
        self._started: npt.NDArray[Any] = np.empty(0, _STARTED)  # sorted by resource

    def __len__(self) -> int:
        return len(self._started)

    def by(self, greenlet: int, since: int) -> list[Called]:
        """What a greenlet started last, from a time on."""
        rows = self._started
        found = rows[(rows["starter"] == greenlet) & (rows["started"] >= since)]
        return [
            Called(resource, started, fired, over, fd, watch, bool(fired) and not polls and not did)
            for resource, _, started, fired, over, fd, watch, polls, did in found.tolist()
        ]

    def add(self, folded: Folded | None, hub: int, lost: int) -> None:
        """Take up a batch: what came of it, the hub's number, and how many records were lost before it."""
        if lost:  # of those, nobody can say whether they fired
            self._started = self._started[:0]
        if folded is None:
            return
        events, kinds, at = folded.events, folded.kinds, folded.at
        known = self._started["resource"]
        starts = self._starts(folded)
        if not len(starts) and not len(known):
            return
        arg = events["arg"]
        new = np.zeros(len(starts), _STARTED)
        new["resource"], new["starter"], new["started"] = arg[starts] & _LOW, events["greenlet"][starts], at[starts]
        new["fd"], new["watch"] = arg[starts] >> _HALF, events["reason"][starts]
        last = _lasts(new["resource"])
        new, index = new[last], starts[last]
        kept = self._started[~np.isin(known, new["resource"])]
        rows = np.concatenate((kept, new))
        begin = np.concatenate((np.full(len(kept), -1), index))
        order = np.argsort(rows["resource"], kind="stable")
        rows, begin = rows[order], begin[order]

        did = np.concatenate(([0], np.cumsum(_did(events, kinds, hub))))
        polls = np.flatnonzero(kinds == Kind.POLL_BEGIN)
        self._see(rows, begin, did, polls, np.full(len(rows), 0), np.flatnonzero(rows["polls"] > 0))
        self._fires(rows, begin, folded, did, polls)
        stops = np.flatnonzero((kinds == Kind.WATCHER_STOP) | (kinds == Kind.WATCHER_CLOSE))
        row, event = _of(rows, begin, arg[stops] & _LOW, stops)
        rows["over"][row] = at[event]  # the last of each, since they are in order
        if len(rows) > _KEEP:
            rows = rows[np.sort(np.argsort(rows["started"], kind="stable")[-_KEEP // 2 :])]
        self._started = rows

    def _starts(self, folded: Folded) -> npt.NDArray[np.intp]:
        """Starts of watchers that nobody parks on."""
        events, kinds = folded.events, folded.kinds
        starts = np.flatnonzero((kinds == Kind.WATCHER_START) & np.isin(events["reason"], _WATCHED))
        after = np.minimum(starts + 1, len(events) - 1)
        parks: npt.NDArray[np.bool_] = kinds[after] == Kind.GREENLET_PARK
        parks &= events["greenlet"][after] == events["greenlet"][starts]
        parks &= (events["arg"][after] & _LOW) == (events["arg"][starts] & _LOW)
        return starts[~parks]

    def _fires(
        self,
        rows: npt.NDArray[Any],
        begin: npt.NDArray[np.intp],
        folded: Folded,
        did: npt.NDArray[np.intp],
        polls: npt.NDArray[np.intp],
    ) -> None:
        events, kinds = folded.events, folded.kinds
        fires = np.flatnonzero((kinds == Kind.WATCHER_FIRE) & np.isin(events["reason"], _WATCHED))
        after = np.minimum(fires + 1, len(events) - 1)
        wakes = (kinds[after] == Kind.GREENLET_READY) & (events["reason"][after] == Ready.WATCHER)
        fires = fires[~wakes]
        row, event = _of(rows, begin, events["arg"][fires] & _LOW, fires)
        if not len(row):
            return
        rows["over"][row] = 0
        rows["fired"][row] = folded.at[event]
        # Whatever came of any fire counts, so the window is from the first in this batch on.
        first = np.full(len(rows), len(kinds))
        np.minimum.at(first, row, event)
        fired = np.unique(row)
        last = np.zeros(len(rows), np.intp)
        np.maximum.at(last, row, event)
        rows["polls"][fired] = _POLLS
        rows["did"][fired] |= did[last[fired]] > did[first[fired]]
        self._see(rows, begin, did, polls, last, fired)

    def _see(
        self,
        rows: npt.NDArray[Any],
        begin: npt.NDArray[np.intp],
        did: npt.NDArray[np.intp],
        polls: npt.NDArray[np.intp],
        start: npt.NDArray[np.intp],
        some: npt.NDArray[np.intp],
    ) -> None:
        """What came of the calls of ``some`` rows, from event ``start`` of the batch on."""
        some = some[begin[some] <= start[some]]
        if not len(some):
            return
        ahead = np.searchsorted(polls, start[some])
        left = rows["polls"][some].astype(np.intp)
        seen = np.minimum(len(polls) - ahead, left)
        end = np.append(polls, len(did) - 1)[np.where(seen == left, ahead + left - 1, len(polls))]
        rows["did"][some] |= did[end] > did[start[some]]
        rows["polls"][some] = left - seen


def _did(events: npt.NDArray[Any], kinds: npt.NDArray[np.uint8], hub: int) -> npt.NDArray[np.bool_]:
    """Where the hub, and so a function that it called, did what may wake somebody, now or later."""
    by_hub = events["arg"] == hub
    readies = kinds == Kind.GREENLET_READY
    did: npt.NDArray[np.bool_] = readies & (
        (events["reason"] == Ready.OTHER) | (by_hub & np.isin(events["reason"], _BY_HUB))
    )
    did |= (kinds == Kind.GREENLET_SPAWN) & by_hub
    did |= ((kinds == Kind.WATCHER_START) | (kinds == Kind.WATCHER_OPEN)) & (events["greenlet"] == hub)
    return did


def _of(
    rows: npt.NDArray[Any], begin: npt.NDArray[np.intp], resources: npt.NDArray[np.uint64], index: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of the watchers that events are about, and those events; without events before the start."""
    if not len(rows):
        return index[:0], index[:0]
    ids = np.ascontiguousarray(rows["resource"])
    found = np.searchsorted(ids, resources)
    found[found == len(ids)] = 0
    hit = (ids[found] == resources) & (begin[found] < index)
    return found[hit], index[hit]


def _lasts(resources: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Index of the last of each."""
    _, first = np.unique(resources[::-1], return_index=True)
    return np.sort(len(resources) - 1 - first)
