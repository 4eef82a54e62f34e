"""Who worked for a request: the greenlet that it was begun in, and all those spawned for it while it went on.

A greenlet belongs to a request if it was spawned while the request went on, by one that belongs to it. So the
requests of a connection that is kept open, one after the other in one greenlet, do not mix; and a request
within another has a part of the other's greenlets. One that outlives the request belongs to it all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.lane import ALIVE
from greenscope.trace.analysis.spans import SpanArray
from greenscope.trace.analysis.timeline import Timeline

__all__ = ["MOST", "Member", "Tree", "names_of", "tree_of"]

MOST = 1 << 14
"""So many greenlets of one request are told apart at most."""


@dataclass(frozen=True, slots=True)
class Member:
    """One of a request's greenlets. ``depth`` is 0 for that it was begun in.

    ``spawned_at`` is when the request has it from, ``ended_at`` when it ended, 0 while it lives, or if that was lost.
    """

    greenlet: int
    parent: int
    depth: int
    spawned_at: int
    ended_at: int
    spawn_site: int


@dataclass(frozen=True, slots=True)
class Tree:
    """All of them: each before those it spawned, siblings in the order of their births."""

    start: int
    end: int
    total: int
    """How many greenlets it has; ``members`` are at most ``MOST`` of them, who are nearest to the first."""
    members: tuple[Member, ...]
    complete: bool
    """Whether nothing of that time was lost, or is forgotten."""
    spans: dict[int, SpanArray]
    """What each did in the request's time, by its number; cut at the edges of that."""


def tree_of(timeline: Timeline, greenlet: int, start: int, end: int) -> Tree:
    """The greenlets of a request.

    Args:
        timeline: of its ring.
        greenlet: the one that it was begun in.
        start: when it began.
        end: when it ended, or how far it has come.
    """
    rows = timeline.lanes.rows
    young = np.flatnonzero((rows["spawned_at"] >= start) & (rows["spawned_at"] <= end) & (rows["spawned_at"] > 0))
    young = young[rows["greenlet"][young] != greenlet]
    # A parent is told by its number, and numbers rise: those of a damaged file may not, and are found once.
    found = [young[:0]]
    level = np.array([greenlet], np.uint64)
    while len(level) and len(young):
        belongs = np.isin(rows["parent"][young], level)
        found.append(young[belongs])
        young = young[~belongs]
        level = rows["greenlet"][found[-1]]
    every = np.concatenate(found)
    members = _in_order(timeline, greenlet, start, every[: MOST - 1])
    gap = any(start <= at < end for at in timeline.gaps_at)
    ids = np.array(sorted(member.greenlet for member in members), np.uint64)
    complete = not gap and timeline.forgotten_until <= start
    return Tree(start, end, 1 + len(every), members, complete, _spans(timeline, ids, start, end))


def names_of(timeline: Timeline, tree: Tree, what: str) -> dict[int, str]:
    """What a request's greenlets are called, by their numbers.

    Args:
        timeline: of its ring.
        tree: the greenlets.
        what: what it asks for. Its first greenlet is called so, if that is known: a connection that is kept open is
            named after its newest request.
    """
    names: dict[int, str] = {}
    for member in tree.members:
        lane = timeline.lanes.get(member.greenlet)
        names[member.greenlet] = f"greenlet #{member.greenlet}" if lane is None else lane.label
    if what:
        names[tree.members[0].greenlet] = what
    return names


def _in_order(timeline: Timeline, greenlet: int, start: int, found: npt.NDArray[np.intp]) -> tuple[Member, ...]:
    rows = timeline.lanes.rows
    own = timeline.lanes.row(greenlet)
    root = Member(greenlet, 0, 0, start, _ended_at(rows[own]) if own >= 0 else 0, 0)
    children: dict[int, list[np.void]] = {}
    for row in rows[found[np.argsort(rows["spawned_at"][found], kind="stable")]]:
        children.setdefault(int(row["parent"]), []).append(row)
    members: list[Member] = []
    waiting = [root]
    while waiting:
        member = waiting.pop()
        members.append(member)
        waiting.extend(_child(row, member) for row in reversed(children.pop(member.greenlet, [])))
    return tuple(members)


def _child(row: np.void, parent: Member) -> Member:
    spawned_at, site = int(row["spawned_at"]), int(row["spawn_site"])
    return Member(int(row["greenlet"]), parent.greenlet, parent.depth + 1, spawned_at, _ended_at(row), site)


def _ended_at(row: np.void) -> int:
    return 0 if row["exit"] == ALIVE else int(row["ended_at"])


def _spans(timeline: Timeline, ids: npt.NDArray[np.uint64], start: int, end: int) -> dict[int, SpanArray]:
    """What some greenlets did in a window, what goes on among it, cut at its edges; by their numbers, sorted."""
    ended = timeline.spans(ids, start, end + 1)  # with what begins at its end: it says what ended a wait
    lanes = timeline.lanes
    rows, known = lanes.find(ids)
    rows = rows[known]
    going_on = lanes.open.take(rows[lanes.rows["goes_on"][rows]])
    going_on = going_on[going_on["start"] <= end]
    going_on["end"] = end
    both = np.concatenate((ended, going_on))
    both = both.take(np.argsort(both["greenlet"], kind="stable"))
    both["start"], both["end"] = np.maximum(both["start"], start), np.minimum(both["end"], end)
    first = np.searchsorted(both["greenlet"], ids)
    past = np.searchsorted(both["greenlet"], ids, "right")
    pairs = zip(ids.tolist(), first.tolist(), past.tolist(), strict=True)
    return {greenlet: both[begin:over] for greenlet, begin, over in pairs}
