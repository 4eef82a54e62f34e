"""The strip of a replay: what each greenlet did after each step, and the hub.

By step and not by time: a wait of a second and one of a microsecond are both one idea. Who changes is noted while the
events are followed, a few bytes a change.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from greenscope.trace.analysis.states import POLL, Life, State
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Kind
from greenscope.trace.records import Event

__all__ = ["Lane", "Lives", "Strip"]

_NONE = 0xFF
_STATES = {Life.RUNNING: State.RUNNING, Life.READY: State.READY, Life.WAITING: State.WAITING}
_CHANGING = frozenset({
    Kind.GREENLET_SPAWN, Kind.GREENLET_READY, Kind.GREENLET_SWITCH, Kind.GREENLET_THROW, Kind.GREENLET_PARK,
    Kind.GREENLET_EXIT,
})  # fmt: skip
_MOST_LANES = 50


class Lane(NamedTuple):
    """One greenlet's: parts ``[first step, last step, state, reason]`` in order; nothing where nothing is known of it.

    The reason is what it waits for, one of ``Wait``; of the hub, ``POLL``.
    """

    greenlet: int
    name: str
    parts: list[list[int]]


class Strip(NamedTuple):
    """The lanes of those who were there between two steps: the hub's first, the others as they appeared."""

    first: int
    last: int
    lanes: list[Lane]
    lanes_total: int


class Lives:
    """Who was what from which step on."""

    def __init__(self) -> None:
        self._steps, self._greenlets, self._states, self._reasons = array("I"), array("Q"), array("B"), array("B")
        self._hub = _NONE
        self._sorted: _Lanes | None = None
        self._hubs: dict[int, None] = {}

    def note(self, step: int, event: Event, ran: int | None, steps: Steps) -> None:
        """An event was followed; ``ran`` did so before it."""
        if event.kind in _CHANGING and event.greenlet != steps.hub:
            self._put(step, event.greenlet, steps)
        if ran is not None and ran not in (steps.running, steps.hub, event.greenlet):
            self._put(step, ran, steps)
        if steps.running is not None and steps.running not in (ran, steps.hub, event.greenlet):
            self._put(step, steps.running, steps)
        self._note_hub(step, steps)

    def lose(self, step: int, steps: Steps) -> None:
        """From a step on nothing is known of those of whom something is known by then."""
        for number in steps.greenlets:
            self._append(step, number, _NONE)
        self._append(step, steps.hub, _NONE)
        self._hub = _NONE

    def _note_hub(self, step: int, steps: Steps) -> None:
        state = _NONE
        if steps.running == steps.hub:
            state = State.WAITING if steps.blocks else State.RUNNING
        if state != self._hub:
            self._hub = state
            self._hubs[steps.hub] = None
            self._append(step, steps.hub, state, POLL if state == State.WAITING else 0)

    def _put(self, step: int, number: int, steps: Steps) -> None:
        one = steps.greenlets.get(number)
        state = _STATES.get(one.life, _NONE) if one is not None else _NONE
        wait = one.wait if one is not None and state == State.WAITING else None
        self._append(step, number, state, wait.reason if wait is not None else 0)

    def _append(self, step: int, number: int, state: int, reason: int = 0) -> None:
        self._steps.append(step)
        self._greenlets.append(number)
        self._states.append(state)
        self._reasons.append(reason)
        self._sorted = None

    def strip(self, first: int, last: int, most: int, name: Callable[[int], str]) -> Strip:
        """As of ``Replay.strip``; of more than there is room for those are shown that change most."""
        if self._sorted is None:
            self._sorted = _sorted(self._greenlets, self._steps, self._states, self._reasons)
        lanes = self._sorted
        # Of each: its last change by the first step, and how many come after that by the last.
        begins = np.searchsorted(lanes.keys, _key(lanes.groups, first), "right") - 1
        pasts = np.searchsorted(lanes.keys, _key(lanes.groups, last), "right")
        known = begins >= lanes.firsts
        changes = lanes.told[pasts] - lanes.told[np.maximum(begins + 1, lanes.firsts)]
        there = np.flatnonzero((changes > 0) | (known & (lanes.states[begins] != _NONE)))
        of_hub = np.isin(lanes.greenlets[there], list(self._hubs))
        appeared = lanes.steps[lanes.firsts[there]]
        shown = np.lexsort((appeared, -changes[there], ~of_hub))[:_MOST_LANES]
        shown = shown[np.lexsort((appeared[shown], ~of_hub[shown]))]
        found = []
        for lane in there[shown].tolist():
            number, begin = int(lanes.greenlets[lane]), max(int(begins[lane]), int(lanes.firsts[lane]))
            kept = slice(begin, int(pasts[lane]))
            parts = _parts(lanes.steps[kept], lanes.states[kept], lanes.reasons[kept], first, last, most)
            found.append(Lane(number, name(number), parts))
        return Strip(first, last, found, len(there))


class _Lanes(NamedTuple):
    """All changes, those of one greenlet after those of another, each in order."""

    greenlets: npt.NDArray[np.uint64]
    """Each once."""
    groups: npt.NDArray[np.int64]
    """Their numbers among themselves."""
    firsts: npt.NDArray[np.intp]
    """Where the changes of each begin."""
    steps: npt.NDArray[np.int64]
    states: npt.NDArray[np.uint8]
    reasons: npt.NDArray[np.uint8]
    told: npt.NDArray[np.int64]
    """Before each, and after the last, how many changes to something that is shown there were."""
    keys: npt.NDArray[np.int64]
    """Of each change: greenlet's number among them, and step."""


def _sorted(greenlets: array[int], steps: array[int], states: array[int], reasons: array[int]) -> _Lanes:
    of, at = np.array(greenlets, np.uint64), np.array(steps, np.int64)
    order = np.argsort(of, kind="stable")
    of, at = of[order], at[order]
    firsts = np.flatnonzero(np.append(True, of[1:] != of[:-1])[: len(of)])
    groups = np.arange(len(firsts))
    keys = _key(np.repeat(groups, np.diff(np.append(firsts, len(of)))), at)
    what, why = np.array(states, np.uint8)[order], np.array(reasons, np.uint8)[order]
    return _Lanes(of[firsts], groups, firsts, at, what, why, np.append(0, np.cumsum(what != _NONE)), keys)


def _key(groups: npt.NDArray[np.int64], step: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64]:
    return groups << 32 | step


def _parts(
    steps: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    reasons: npt.NDArray[np.uint8],
    first: int,
    last: int,
    most: int,
) -> list[list[int]]:
    """One greenlet's changes as what it was between two steps."""
    steps = np.maximum(steps, first)
    ends = np.append(steps[1:], last + 1)[: len(steps)]
    if len(steps) > most:
        bucket = -(-(last - first + 1) // most)
        pixel = (steps - first) // bucket
        order = np.lexsort((steps - ends, pixel))  # of each, the longest first
        longest = order[np.append(True, pixel[order][1:] != pixel[order][:-1])]
        steps, states, reasons = first + pixel[longest] * bucket, states[longest], reasons[longest]
        ends = np.append(steps[1:], last + 1)
    shown: list[list[int]] = []
    for at, until, state, reason in zip(steps.tolist(), ends.tolist(), states.tolist(), reasons.tolist(), strict=True):
        if state == _NONE or until <= at:
            continue
        if shown and shown[-1][2:] == [state, reason] and shown[-1][1] == at - 1:
            shown[-1][1] = until - 1
        else:
            shown.append([at, until - 1, state, reason])
    return shown
