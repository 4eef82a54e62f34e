"""The states of a greenlet, and the one table of how events may lead from one to the next.

An event that the table does not allow is counted and shown, never hidden: it means that the
runtime, the recorder or this table is wrong. It is followed all the same, since the event says
what is true now. ``UNKNOWN`` is where a greenlet is when events were lost; from there all is legal.
"""

from __future__ import annotations

from enum import IntEnum, unique

from greenscope.trace.events import Kind, Ready, Wait

__all__ = ["BY_GREENLET", "LABELS", "POLL", "TRANSITIONS", "Life", "State", "label"]


@unique
class State(IntEnum):
    """What a span shows. A stall is a run longer than the threshold."""

    RUNNING = 0
    READY = 1
    WAITING = 2
    STALLED = 3


@unique
class Life(IntEnum):
    """Where a greenlet is between two events."""

    UNKNOWN = 0
    SPAWNED = 1
    READY = 2
    RUNNING = 3
    WAITING = 4
    EXITED = 5


POLL = 9
"""The hub's reason to wait, a number that ``Wait`` leaves free for it."""

LABELS = {
    Wait.OTHER: "other",
    Wait.READ: "read",
    Wait.WRITE: "write",
    Wait.TIMER: "timer",
    Wait.LOCK: "lock",
    Wait.QUEUE: "queue",
    Wait.EVENT: "event",
    Wait.JOIN: "join",
    Wait.YIELD: "yield",
    Wait.THREAD: "thread",
    Wait.CHILD: "child process",
    Wait.SIGNAL: "signal",
    Wait.LOOKUP: "look-up",
    POLL: "poll",
}
"""What a waiting greenlet waits for, in a word."""

BY_GREENLET = frozenset({Ready.GREENLET, Ready.SPAWN, Ready.KILL, Ready.CLOSE})
"""Who makes one ready so is a greenlet, or the hub."""

# What each kind of event makes of a greenlet in each place of its life.
TRANSITIONS: dict[tuple[Life, Kind], Life] = {
    (Life.SPAWNED, Kind.GREENLET_READY): Life.READY,
    (Life.SPAWNED, Kind.GREENLET_SWITCH): Life.RUNNING,  # the main greenlet, that made the hub
    (Life.SPAWNED, Kind.GREENLET_EXIT): Life.EXITED,  # killed before it began
    (Life.READY, Kind.GREENLET_READY): Life.READY,  # a timeout or a kill overtakes
    (Life.READY, Kind.GREENLET_SWITCH): Life.RUNNING,
    (Life.READY, Kind.GREENLET_THROW): Life.RUNNING,
    (Life.READY, Kind.GREENLET_EXIT): Life.EXITED,  # killed before it began
    (Life.RUNNING, Kind.GREENLET_PARK): Life.WAITING,
    (Life.RUNNING, Kind.GREENLET_EXIT): Life.EXITED,
    (Life.WAITING, Kind.GREENLET_READY): Life.READY,
}


def label(state: int, reason: int) -> str:
    """A state in words: "waiting: read"."""
    if state == State.WAITING:
        return f"waiting: {LABELS.get(reason, 'other')}"
    return State(state).name.lower()
