"""From events to moves: what each event does to which lanes, for a batch at once.

Most events concern the lane of their own greenlet. But a greenlet that goes on takes the thread
from the hub, one that parks gives it back, and should two run at once, the first one's run is over.
Those are moves of lanes that the event does not name; who they are depends on who was the hub and
who ran at that moment, both carried along the batch.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from greenscope.trace.events import Kind, Spawn, Watch

__all__ = ["Move", "Moves", "carried", "moves_of"]


@unique
class Move(IntEnum):
    """What happens to a lane."""

    NONE = 0
    SPAWN = 1
    NAME = 2
    READY = 3
    RUN = 4
    THROWN = 5
    PARK = 6
    EXIT = 7
    TIMER = 8  # it starts one
    POLL = 9  # the hub asks the kernel
    POLLED = 10  # and has its answer
    OVERTAKEN = 11  # it ran, and another runs now: one of the two is wrong
    HUB_RUNS = 12
    HUB_GIVES_WAY = 13
    CARRY = 14  # what it did when the batch began; the first of each lane


_OF_KIND = np.zeros(256, np.uint8)
for _kind, _move in {
    Kind.GREENLET_SPAWN: Move.SPAWN,
    Kind.GREENLET_NAME: Move.NAME,
    Kind.GREENLET_READY: Move.READY,
    Kind.GREENLET_SWITCH: Move.RUN,
    Kind.GREENLET_THROW: Move.THROWN,
    Kind.GREENLET_PARK: Move.PARK,
    Kind.GREENLET_EXIT: Move.EXIT,
    Kind.WATCHER_START: Move.TIMER,
    Kind.POLL_BEGIN: Move.POLL,
    Kind.POLL_END: Move.POLLED,
}.items():
    _OF_KIND[_kind] = _move


class Moves(NamedTuple):
    """Columns, in the order of what happened."""

    move: npt.NDArray[np.uint8]
    greenlet: npt.NDArray[np.uint64]
    event: npt.NDArray[np.intp]
    """Index of the event in the batch."""
    hub: npt.NDArray[np.uint64]
    """Who was the hub then."""
    illegal: int
    """How often two ran at once."""
    running: int
    """Who runs in the end, 0 for none or the hub."""


def carried(given: npt.NDArray[np.bool_], values: npt.NDArray[Any], before: Any) -> npt.NDArray[Any]:
    """``values`` where they are given, and from there on; ``before`` ahead of the first."""
    latest = np.maximum.accumulate(np.where(given, np.arange(1, len(given) + 1), 0))
    return np.concatenate((np.array([before], values.dtype), values))[latest]


def moves_of(events: npt.NDArray[Any], kinds: npt.NDArray[np.uint8], hub: int, running: int) -> Moves:
    """The moves of a batch.

    Args:
        events: the batch's events.
        kinds: their kinds.
        hub: the hub's number when it begins, 0 for unknown.
        running: who runs then, 0 for none or the hub.
    """
    move = _OF_KIND[kinds]
    move[(move == Move.TIMER) & (events["reason"] != Watch.TIMER)] = Move.NONE
    event = np.flatnonzero(move)
    move, greenlet = move[event], events["greenlet"][event]

    says_hub = move == Move.POLL
    spawns = np.flatnonzero(move == Move.SPAWN)
    says_hub[spawns] = events["reason"][event[spawns]] == Spawn.HUB
    hubs = carried(says_hub, greenlet, hub)
    runs = (move == Move.RUN) | (move == Move.THROWN)
    of_hub = runs & (greenlet == hubs)
    if of_hub.any():  # the hub is not switched to: it is where a greenlet switches from
        kept = ~of_hub
        move, event, greenlet, hubs, runs = move[kept], event[kept], greenlet[kept], hubs[kept], runs[kept]

    parks = move == Move.PARK
    ran, now = _running(move, greenlet, runs, runs | parks | (move == Move.POLL), running)
    overtakes = runs & (ran != 0) & (ran != greenlet)
    back = (parks | ((move == Move.EXIT) & (ran == greenlet))) & (hubs != 0)
    gives_way = runs & (hubs != 0)

    # Each event's own move, with that of the one it overtakes before it and the hub's after it.
    counts = 1 + overtakes.astype(np.intp) + (back | gives_way)
    own = np.cumsum(counts) - counts + overtakes
    source = np.repeat(np.arange(len(move)), counts)
    moves = move[source]
    greenlets = greenlet[source]
    moves[own[overtakes] - 1], greenlets[own[overtakes] - 1] = Move.OVERTAKEN, ran[overtakes]
    moves[own[back] + 1], greenlets[own[back] + 1] = Move.HUB_RUNS, hubs[back]
    moves[own[gives_way] + 1], greenlets[own[gives_way] + 1] = Move.HUB_GIVES_WAY, hubs[gives_way]
    return Moves(moves, greenlets, event[source], hubs[source], int(np.count_nonzero(overtakes)), now)


def _running(
    move: npt.NDArray[np.uint8],
    greenlet: npt.NDArray[np.uint64],
    runs: npt.NDArray[np.bool_],
    decides: npt.NDArray[np.bool_],
    running: int,
) -> tuple[npt.NDArray[np.uint64], int]:
    """Who ran before each move, and who runs after the last.

    A switch, a park and a poll say who does; an exit says that nobody does, if it was that greenlet.
    """
    if not len(move):
        return np.zeros(0, np.uint64), running
    latest = np.maximum.accumulate(np.where(decides, np.arange(1, len(move) + 1), 0))
    after = np.concatenate((np.array([running], np.uint64), np.where(runs, greenlet, np.uint64(0))))[latest]
    ends = (move == Move.EXIT) & (after == greenlet)
    if ends.any():
        ended = np.concatenate(([0], np.cumsum(ends)))
        after[ended[1:] > ended[latest]] = 0
    before = np.concatenate((np.array([running], np.uint64), after[:-1]))
    return before, int(after[-1])
