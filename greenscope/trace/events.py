"""Every kind of event there is, once: its number, the fields it fills, and what it means.

A record is 32 bytes of integers (``docs/ring-format.md``):

    time_ns u64 · greenlet u64 · kind u8 · reason u8 · aux u16 · site u32 · arg u64

``_ring_layout.h`` (for the C writer) and ``frontend/src/protocol/events.ts`` are generated from
this module by ``python -m tools.generate``; a test fails when they are out of date. Numbers are
part of the file format: a kind that is retired keeps its number, a new one takes the next.

Two packings recur in ``arg``: a resource (a watcher, a lock, a queue …) is a 32-bit serial number
in the low half, and the high half holds what belongs to it, a descriptor or milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique

__all__ = [
    "EVENT_KINDS",
    "NO_FD",
    "Exit",
    "Kind",
    "KindDoc",
    "Ready",
    "Spawn",
    "Timeouts",
    "Wait",
    "Watch",
    "pack",
    "unpack",
]

NO_FD = 0xFFFFFFFF
"""The descriptor of a resource that has none."""


@unique
class Kind(IntEnum):
    """What happened."""

    TEXT = 0
    GREENLET_SPAWN = 1
    GREENLET_NAME = 2
    GREENLET_READY = 3
    GREENLET_SWITCH = 4
    GREENLET_THROW = 5
    GREENLET_PARK = 6
    GREENLET_EXIT = 7
    WATCHER_OPEN = 16
    WATCHER_START = 17
    WATCHER_FIRE = 18
    WATCHER_STOP = 19
    WATCHER_CLOSE = 20
    TIMEOUT_START = 32
    TIMEOUT_FIRE = 33
    TIMEOUT_CANCEL = 34
    POLL_BEGIN = 48
    POLL_END = 49


@unique
class Spawn(IntEnum):
    """Reasons of ``greenlet_spawn``: what kind of greenlet began."""

    GREENLET = 0
    HUB = 1
    MAIN = 2
    RAW = 3


@unique
class Wait(IntEnum):
    """Reasons of ``greenlet_park``: what the greenlet waits for."""

    OTHER = 0
    READ = 1
    WRITE = 2
    TIMER = 3
    LOCK = 4
    QUEUE = 5
    EVENT = 6
    JOIN = 7
    YIELD = 8
    # 9 is the hub's own, for the poll: greenscope.trace.analysis.states.POLL
    THREAD = 10
    CHILD = 11
    SIGNAL = 12


@unique
class Ready(IntEnum):
    """Reasons of ``greenlet_ready``: who made it ready, and so what ``arg`` numbers."""

    OTHER = 0
    WATCHER = 1
    GREENLET = 2
    TIMEOUT = 3
    SPAWN = 4
    KILL = 5
    CLOSE = 6
    YIELD = 7


@unique
class Exit(IntEnum):
    """Reasons of ``greenlet_exit``: how it ended."""

    RETURNED = 0
    RAISED = 1
    KILLED = 2


@unique
class Watch(IntEnum):
    """Reasons of the ``watcher_…`` kinds: what the watcher watches."""

    READ = 1
    WRITE = 2
    TIMER = 3
    ASYNC = 4
    SIGNAL = 5
    CHILD = 6
    CHECK = 7
    IDLE = 8
    PREPARE = 9


@unique
class Timeouts(IntEnum):
    """Reasons of the ``timeout_…`` kinds: where the timeout comes from."""

    SCOPE = 0
    SOCKET = 1


@dataclass(frozen=True, slots=True)
class KindDoc:
    """How one kind fills the fields of a record; an empty string is a field left at 0."""

    name: str
    meaning: str
    greenlet: str = "the greenlet"
    reason: str = ""
    aux: str = ""
    site: str = ""
    arg: str = ""


EVENT_KINDS: dict[Kind, KindDoc] = {
    Kind.TEXT: KindDoc(
        "text",
        "bytes that belong to the record before it (a peer's address); not an event of its own",
        greenlet="bytes",
        reason="how many bytes this record carries, 1 to 28",
        aux="how many text records follow this one",
        site="bytes",
        arg="bytes",
    ),
    Kind.GREENLET_SPAWN: KindDoc(
        "greenlet_spawn",
        "a greenlet began to exist (it is not ready before its greenlet_ready)",
        reason="Spawn",
        aux="1 if the name is its function's, to be shown with the greenlet's number",
        site="where it was spawned",
        arg="the greenlet that spawned it (0: none)",
    ),
    Kind.GREENLET_NAME: KindDoc(
        "greenlet_name",
        "the greenlet is called this from here on; follows every spawn",
        aux="1 if the name is its function's, to be shown with the greenlet's number",
        arg="string",
    ),
    Kind.GREENLET_READY: KindDoc(
        "greenlet_ready",
        "it can run, and waits for the hub to get to it",
        reason="Ready",
        arg="the watcher, greenlet or timeout that made it ready",
    ),
    Kind.GREENLET_SWITCH: KindDoc("greenlet_switch", "the hub switched to it: it runs"),
    Kind.GREENLET_THROW: KindDoc(
        "greenlet_throw", "the hub switched to it by raising in it (a timeout, a kill, a closed socket): it runs"
    ),
    Kind.GREENLET_PARK: KindDoc(
        "greenlet_park",
        "it switched to the hub, to wait",
        reason="Wait",
        aux="descriptor + 1 where there is one (65535: larger; see watcher_open)",
        site="the first frame outside greenscope's runtime",
        arg="resource, and milliseconds until its deadline << 32 (0: no deadline)",
    ),
    Kind.GREENLET_EXIT: KindDoc("greenlet_exit", "it ended", reason="Exit"),
    Kind.WATCHER_OPEN: KindDoc(
        "watcher_open",
        "a watcher was made; text records with the peer's address may follow",
        greenlet="the greenlet that runs",
        reason="Watch",
        arg="resource, and descriptor << 32",
    ),
    Kind.WATCHER_START: KindDoc(
        "watcher_start",
        "somebody began to wait on it",
        greenlet="the greenlet that runs",
        reason="Watch",
        arg="resource, and descriptor << 32, or milliseconds << 32 for a timer",
    ),
    Kind.WATCHER_FIRE: KindDoc(
        "watcher_fire",
        "the loop saw what it watches for",
        greenlet="the greenlet that waits on it; what runs, if a function is to be called instead",
        reason="Watch",
        arg="resource, and descriptor << 32",
    ),
    Kind.WATCHER_STOP: KindDoc(
        "watcher_stop",
        "nobody waits on it any more",
        greenlet="the greenlet that runs",
        reason="Watch",
        arg="resource, and descriptor << 32",
    ),
    Kind.WATCHER_CLOSE: KindDoc(
        "watcher_close",
        "the watcher is gone, and its descriptor may be reused",
        greenlet="the greenlet that runs",
        reason="Watch",
        arg="resource, and descriptor << 32",
    ),
    Kind.TIMEOUT_START: KindDoc(
        "timeout_start",
        "a timeout began to count for the greenlet that runs",
        reason="Timeouts",
        site="the first frame outside greenscope's runtime",
        arg="timeout, and milliseconds << 32",
    ),
    Kind.TIMEOUT_FIRE: KindDoc(
        "timeout_fire", "its time is over: it will be raised in the greenlet", reason="Timeouts", arg="timeout"
    ),
    Kind.TIMEOUT_CANCEL: KindDoc(
        "timeout_cancel", "it was stopped before its time was over", reason="Timeouts", arg="timeout"
    ),
    Kind.POLL_BEGIN: KindDoc(
        "poll_begin", "the hub asks the kernel", greenlet="the hub", aux="1 if it will block until something happens"
    ),
    Kind.POLL_END: KindDoc("poll_end", "the kernel answered", greenlet="the hub", aux="how many watchers fired"),
}


def pack(low: int, high: int) -> int:
    """Two 32-bit numbers as one ``arg``."""
    return (low & 0xFFFFFFFF) | (high & 0xFFFFFFFF) << 32


def unpack(arg: int) -> tuple[int, int]:
    """The ``(low, high)`` halves of an ``arg``."""
    return arg & 0xFFFFFFFF, arg >> 32
