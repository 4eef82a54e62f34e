"""The chain of what a request was up to at each moment, that its end waited for: its critical path.

It is walked backwards from the request's end. A greenlet that waited until another of the request's ended the wait
hands the path over: what that one did before is what took the time. Where a greenlet was born, its parent goes on.
Where it is not said who ended a wait for an end (asyncio's ``gather`` does not know), it is taken for the end of
that of its own children which ended last. Every other wait (for a peer, a timer, somebody outside) is on the path
itself, and so is having been ready and not run. The pieces cover the request's time exactly, without gap or overlap:
for what is not known, one says so.

Between two such hand-overs the path is a slice of a lane's spans, so a step is taken a hand-over, and not a span.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.request_tree import Member, Tree
from greenscope.trace.analysis.spans import SPAN, SpanArray
from greenscope.trace.analysis.states import BY_GREENLET, State, label
from greenscope.trace.events import NO_FD, Ready, Wait

__all__ = ["ENDED", "UNKNOWN", "UNSTARTED", "critical_path", "merged", "piece_label"]

UNKNOWN, ENDED, UNSTARTED = 4, 5, 6
"""States of pieces, beside ``State``: nothing is known; its greenlet had ended, and none of the request's went on;
the greenlet that the request waited for existed, and was not made ready yet."""

_LABELS = {
    State.READY: "starved",
    State.STALLED: "running",
    UNKNOWN: "unknown",
    ENDED: "its greenlet had ended",
    UNSTARTED: "not started",
}
_LOW = np.uint64(0xFFFFFFFF)


def critical_path(tree: Tree, ended_by: int = 0) -> SpanArray:
    """The pieces in the order of time, as spans: what each was about is as the timeline has it.

    Args:
        tree: the request's greenlets.
        ended_by: the greenlet that said that it ended; where the walk begins, if it is one of them.
    """
    return _Walk(tree).walk(ended_by)


def piece_label(state: int, reason: int) -> str:
    """What a piece is in words: "running", "starved", "waiting: lock"."""
    return _LABELS.get(state) or label(state, reason)


def merged(path: SpanArray) -> list[tuple[int, int, int]]:
    """The path as (greenlet, from, to), each as long as it stays in one greenlet."""
    if not len(path):
        return []
    first = np.flatnonzero(np.append(True, path["greenlet"][1:] != path["greenlet"][:-1]))
    ends = np.append(path["start"][first[1:]], path["end"][-1])
    return list(zip(path["greenlet"][first].tolist(), path["start"][first].tolist(), ends.tolist(), strict=True))


class _Lane:
    """One greenlet's spans, and which of its waits another of the request's ended."""

    __slots__ = ("by", "handed", "made_ready_by", "member", "spans", "starts")

    def __init__(
        self, member: Member, spans: SpanArray, ids: npt.NDArray[np.uint64], children: list[tuple[int, int]]
    ) -> None:
        self.member = member
        spans = spans[spans["end"] >= spans["start"]]
        self.spans = spans
        self.starts = np.ascontiguousarray(spans["start"])
        state, after = spans["state"], spans[1:]
        woken = (state[:-1] == State.WAITING) & (after["state"] == State.READY)
        woken &= (after["start"] == spans["end"][:-1]) & np.isin(after["reason"], tuple(BY_GREENLET))
        by = after["about"] & _LOW
        woken &= np.isin(by, ids) & (by != member.greenlet)
        if children:
            by, woken = _by_last_child(spans, by, woken, children)
        self.handed = np.flatnonzero(woken)
        self.by = by[self.handed].tolist()
        first = spans[:1][(state[:1] == State.READY) & np.isin(spans["reason"][:1], tuple(BY_GREENLET))]
        self.made_ready_by = int(first["about"][0] & _LOW) if len(first) else 0


def _by_last_child(
    spans: SpanArray, by: npt.NDArray[np.uint64], woken: npt.NDArray[np.bool_], children: list[tuple[int, int]]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Who ended each wait, with those for an end that nobody is said to have ended; the children as (end, number)."""
    waits, after = spans[:-1], spans[1:]
    joins = np.flatnonzero(
        (waits["state"] == State.WAITING)
        & (waits["reason"] == Wait.JOIN)
        & (after["state"] == State.READY)
        & (after["reason"] == Ready.OTHER)
        & (by == 0)
        & (after["start"] == waits["end"])
    )
    ends = np.array([end for end, _ in children], np.int64)
    last = np.searchsorted(ends, waits["end"][joins], "right") - 1
    during = (last >= 0) & (ends[last] > waits["start"][joins])
    joins, last = joins[during], last[during]
    by, woken = by.copy(), woken.copy()
    by[joins], woken[joins] = np.array([number for _, number in children], np.uint64)[last], True
    return by, woken


class _Walk:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        ids = np.array([member.greenlet for member in tree.members], np.uint64)
        self._ids = ids
        self._members = {member.greenlet: member for member in tree.members}
        self._children: dict[int, list[tuple[int, int]]] = {}
        for member in sorted(tree.members, key=lambda member: member.ended_at):
            if member.ended_at:
                self._children.setdefault(member.parent, []).append((member.ended_at, member.greenlet))
        self._lanes: dict[int, _Lane] = {}
        self._pieces: list[SpanArray] = []
        self._seen: set[int] = set()
        self._seen_at = -1

    def walk(self, ended_by: int) -> SpanArray:
        tree = self._tree
        root = tree.members[0].greenlet
        now, who = tree.end, ended_by if ended_by in self._members else root
        now = self._top(who, now)
        while now > tree.start:
            lane = self._lane(who)
            last = int(np.searchsorted(lane.starts, now, "left")) - 1
            if last < 0:
                if who == root:
                    self._add(who, tree.start, now, UNKNOWN)
                    break
                # It was born: what made its parent come to that goes on there.
                member, other = lane.member, lane.made_ready_by
                if other in self._members and self._known_before(other, now) == now:
                    who = other
                    continue
                born = min(max(member.spawned_at, tree.start), now)
                self._add(who, born, now, UNSTARTED if tree.complete else UNKNOWN)
                who, now = member.parent, born
                continue
            known = int(lane.spans["end"][last])
            if known < now:  # what it did from there on was lost
                self._add(who, known, now, UNKNOWN)
                now = known
                continue
            who, now = self._back(lane, last, now)
        return self._joined()

    def _back(self, lane: _Lane, last: int, now: int) -> tuple[int, int]:
        """Take the spans before a time, back to a hand-over: who goes on before it, and until when."""
        spans, who = lane.spans, lane.member.greenlet
        at = int(np.searchsorted(lane.handed, last, "right")) - 1
        if at >= 0 and int(spans["end"][lane.handed[at]]) > now:
            at -= 1  # that wait was still to be ended
        if at < 0:
            self._take(spans[: last + 1], now)
            return who, int(spans["start"][0])
        wait = int(lane.handed[at])
        self._take(spans[wait + 1 : last + 1], now)
        begin, end, other = int(spans["start"][wait]), int(spans["end"][wait]), lane.by[at]
        before = self._known_before(other, end) if self._first_time(who, other, end) else None
        if before is None or before <= begin:
            self._take(spans[wait : wait + 1], end)
            return who, begin
        if before < end:  # it had ended by then: in between nobody but who waited is left
            piece = spans[wait : wait + 1].copy()
            piece["start"] = before
            self._pieces.append(piece)
        return other, before

    def _first_time(self, who: int, other: int, at: int) -> bool:
        """Whether the path was not yet handed to somebody at a time: two may wake each other in one nanosecond."""
        if at != self._seen_at:
            self._seen_at, self._seen = at, set()
        self._seen.add(who)
        return other not in self._seen

    def _known_before(self, who: int, at: int) -> int | None:
        """Until when a greenlet did something before a time, or then; None if nothing is known of it."""
        lane = self._lane(who)
        last = int(np.searchsorted(lane.starts, at, "left")) - 1
        if last < 0:
            return None
        return min(int(lane.spans["end"][last]), at)

    def _top(self, who: int, now: int) -> int:
        """The piece after the end of the greenlet with which the walk begins, if it ended: where to begin."""
        ended = self._members[who].ended_at
        if not 0 < ended < now:
            return now
        spans = self._lane(who).spans
        ended = max(ended, self._tree.start, int(spans["end"][-1]) if len(spans) else 0)
        self._add(who, ended, now, ENDED)
        return min(ended, now)

    def _lane(self, who: int) -> _Lane:
        lane = self._lanes.get(who)
        if lane is None:
            lane = self._lanes[who] = _Lane(
                self._members[who], self._tree.spans[who], self._ids, self._children.get(who, [])
            )
        return lane

    def _take(self, spans: SpanArray, now: int) -> None:
        if len(spans):
            spans = spans.copy()
            spans["end"] = np.minimum(spans["end"], now)
            self._pieces.append(spans)

    def _add(self, who: int, start: int, end: int, state: int) -> None:
        if start < end:
            self._pieces.append(_piece(who, start, end, state))

    def _joined(self) -> SpanArray:
        """All pieces in the order of time; where a lane has a gap, a piece that says that it is not known."""
        path = np.concatenate([*reversed(self._pieces)] or [np.empty(0, SPAN)])
        before = np.concatenate(([self._tree.start], path["end"][:-1]))[: len(path)]
        gaps = np.flatnonzero(path["start"] > before)
        if len(gaps):
            missing = np.zeros(len(gaps), SPAN)
            missing["start"], missing["end"] = before[gaps], path["start"][gaps]
            missing["greenlet"], missing["state"], missing["fd"] = path["greenlet"][gaps], UNKNOWN, NO_FD
            path = np.concatenate((path, missing))
        path = path[path["end"] > path["start"]]
        return path.take(np.argsort(path["start"], kind="stable"))


def _piece(who: int, start: int, end: int, state: int) -> SpanArray:
    piece = np.zeros(1, SPAN)
    piece["start"], piece["end"], piece["greenlet"], piece["state"], piece["fd"] = start, end, who, state, NO_FD
    return piece
