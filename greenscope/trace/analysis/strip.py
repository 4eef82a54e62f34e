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
    """The lanes of those who were there between two steps: the hub's first."""

    first: int
    last: int
    lanes: list[Lane]
    lanes_total: int


class Lives:
    """Who was what from which step on."""

    def __init__(self) -> None:
        self._steps, self._greenlets, self._states, self._reasons = array("I"), array("Q"), array("B"), array("B")
        self._hub = _NONE
        self._sorted: tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.uint16]] | None = None
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
        """As of ``Replay.strip``."""
        greenlets, steps, states = self._by_greenlet()
        past = np.append(np.flatnonzero(greenlets[1:] != greenlets[:-1]) + 1, len(greenlets))[: len(greenlets)]
        begin = 0
        lanes: list[tuple[bool, int, Lane]] = []
        for end in past.tolist():
            number = int(greenlets[begin])
            parts = _parts(steps[begin:end], states[begin:end], first, last, most)
            if parts:
                lanes.append((number not in self._hubs, int(steps[begin]), Lane(number, "", parts)))
            begin = end
        lanes.sort(key=lambda lane: lane[:2])
        shown = [lane._replace(name=name(lane.greenlet)) for _, _, lane in lanes[:_MOST_LANES]]
        return Strip(first, last, shown, len(lanes))

    def _by_greenlet(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
        """The changes of each: whose, at which step, and to what, the state in the low half and the reason above."""
        if self._sorted is None:
            greenlets, steps = np.array(self._greenlets, np.uint64), np.array(self._steps, np.int64)
            order = np.argsort(greenlets, kind="stable")
            states = np.array(self._states, np.uint16) + np.array(self._reasons, np.uint16) * np.uint16(256)
            self._sorted = greenlets[order], steps[order], states[order]
        return self._sorted


def _parts(
    steps: npt.NDArray[np.int64], states: npt.NDArray[np.uint16], first: int, last: int, most: int
) -> list[list[int]]:
    """One greenlet's changes as what it was between two steps."""
    begin = max(int(np.searchsorted(steps, first, "right")) - 1, 0)
    past = int(np.searchsorted(steps, last, "right"))
    steps, states = np.maximum(steps[begin:past], first), states[begin:past]
    ends = np.append(steps[1:], last + 1)[: len(steps)]
    bucket = -(-(last - first + 1) // most)
    if len(steps) > most:
        pixel = (steps - first) // bucket
        order = np.lexsort((steps - ends, pixel))  # of each, the longest first
        longest = order[np.append(True, pixel[order][1:] != pixel[order][:-1])]
        steps, states = first + pixel[longest] * bucket, states[longest]
        ends = np.append(steps[1:], last + 1)
    shown: list[list[int]] = []
    for at, until, both in zip(steps.tolist(), ends.tolist(), states.tolist(), strict=True):
        state, reason = both & 0xFF, both >> 8
        if state == _NONE or until <= at:
            continue
        if shown and shown[-1][2:] == [state, reason] and shown[-1][1] == at - 1:
            shown[-1][1] = until - 1
        else:
            shown.append([at, until - 1, state, reason])
    return shown
