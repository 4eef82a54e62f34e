"""Every kind of event there is, once: its number, the fields it fills, and what it means.

A record is 32 bytes of integers (``docs/ring-format.md``):

    time_ns u64 · greenlet u64 · kind u8 · reason u8 · aux u16 · site u32 · arg u64

``_ring_layout.h`` (for the C writer) and ``frontend/src/protocol/events.ts`` are generated from
this module by ``python -m tools.generate``; a test fails when they are out of date. Numbers are
part of the file format: a kind that is retired keeps its number, a new one takes the next.

Two packings recur in ``arg``: a resource (a watcher, a lock, a queue …) is a 32-bit serial number
in the low half, and the high half holds what belongs to it, a descriptor or milliseconds. Text records may follow any
event: its ``text`` says of what.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique

__all__ = [
    "EVENT_KINDS",
    "FOR_ONE",
    "NOT_STARTED",
    "NO_ERRNO",
    "NO_FD",
    "ORIGIN_SHIFT",
    "Blocked",
    "Detail",
    "Exit",
    "Kind",
    "KindDoc",
    "Op",
    "Origin",
    "Ready",
    "Resource",
    "Snapshot",
    "Spawn",
    "Timeouts",
    "Wait",
    "Watch",
    "pack",
    "unpack",
]

NO_FD = 0xFFFFFFFF
"""The descriptor of a resource that has none."""

NO_ERRNO = 0xFFFF
"""What stands for the errno of an exception that has none."""


NOT_STARTED = 0x7FFFFFFF
"""What stands for the greenlet whose end is waited for, as long as it was not started and has no number."""


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
    WATCHER_REFUSE = 21
    TIMEOUT_START = 32
    TIMEOUT_FIRE = 33
    TIMEOUT_CANCEL = 34
    POLL_BEGIN = 48
    POLL_END = 49
    CALLBACK_BEGIN = 50
    CALLBACK_END = 51
    LOOP_EXIT = 52
    JOB_PUT = 56
    JOB_END = 57
    RESOURCE_ACQUIRE = 64
    RESOURCE_RELEASE = 65
    OP_BEGIN = 80
    OP_END = 81
    SPAN_BEGIN = 96
    SPAN_END = 97
    MARK = 98
    REQUEST_BEGIN = 99
    REQUEST_END = 100
    STALL_BEGIN = 112
    STALL_END = 113
    DETAIL = 114


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
    LOOKUP = 13


FOR_ONE = frozenset({Wait.LOCK, Wait.JOIN})
"""Waits for what one greenlet is to do: let go of a lock, or end. Which, is in the place of a descriptor."""


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
    """Reasons of ``greenlet_exit``, and of the ends of spans, requests and callbacks: how it ended."""

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
class Origin(IntEnum):
    """Where a connection comes from: ``aux`` of ``watcher_open``, and in the greenlet table."""

    UNKNOWN = 0
    CONNECTED = 1
    ACCEPTED = 2


ORIGIN_SHIFT = 8
"""The runtime says it with the watcher's reason, in the bits from here on: a wait costs no more for it."""


@unique
class Timeouts(IntEnum):
    """Reasons of the ``timeout_…`` kinds: where the timeout comes from."""

    SCOPE = 0
    SOCKET = 1


@unique
class Resource(IntEnum):
    """Reasons of the ``resource_…`` kinds: what is held."""

    OTHER = 0
    LOCK = 1
    RLOCK = 2
    SEMAPHORE = 3
    CONDITION = 4
    QUEUE = 5
    EVENT = 6
    RESULT = 7


@unique
class Op(IntEnum):
    """Reasons of the ``op_…`` kinds: the call of a socket."""

    OTHER = 0
    CONNECT = 1
    ACCEPT = 2
    RECV = 3
    RECV_INTO = 4
    RECVFROM = 5
    RECVFROM_INTO = 6
    RECVMSG = 7
    RECVMSG_INTO = 8
    SEND = 9
    SENDALL = 10
    SENDTO = 11
    SENDMSG = 12
    SENDFILE = 13
    HANDSHAKE = 14
    UNWRAP = 15


@unique
class Detail(IntEnum):
    """Reasons of ``detail``: how much is recorded, each level with all that the one before it has."""

    SWITCH = 0
    IO = 1
    TEACH = 2


@unique
class Blocked(IntEnum):
    """Reasons of ``stall_begin``: what the hub's thread did in the kernel when it was looked at."""

    UNKNOWN = 0
    RUNNING = 1
    GIL = 2
    SLEEP = 3
    RECEIVE = 4
    SEND = 5
    CONNECT = 6
    ACCEPT = 7
    POLL = 8
    LOCK = 9
    CHILD = 10
    PIPE = 11
    FILE = 12
    OTHER = 13


@unique
class Snapshot(IntEnum):
    """The header's ``snapshot_reason``: why a snapshot was made."""

    ASKED = 0
    SIGNAL = 1
    EXCEPTION = 2
    LOOP_EXIT = 3
    STALL = 4


@dataclass(frozen=True, slots=True)
class KindDoc:
    """How one kind fills the fields of a record, and what its text says; an empty string is a field left at 0."""

    name: str
    meaning: str
    greenlet: str = "the greenlet"
    reason: str = ""
    aux: str = ""
    site: str = ""
    arg: str = ""
    text: str = ""


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
        site="at level teach: the line that made it ready; where it waits, if the hub did",
        arg="the watcher, greenlet or timeout that made it ready",
    ),
    Kind.GREENLET_SWITCH: KindDoc(
        "greenlet_switch", "the hub switched to it: it runs", site="where it goes on, at level teach"
    ),
    Kind.GREENLET_THROW: KindDoc(
        "greenlet_throw",
        "the hub switched to it by raising in it (a timeout, a kill, a closed socket): it runs",
        site="where it goes on, at level teach",
    ),
    Kind.GREENLET_PARK: KindDoc(
        "greenlet_park",
        "it switched to the hub, to wait",
        reason="Wait",
        aux="descriptor + 1 where there is one (65535: larger; see watcher_open); of a wait for a lock or an end, the"
        " greenlet that holds it or is to end, where that is known",
        site="the first frame outside greenscope's runtime",
        arg="resource (0 of a wait for several ends), and milliseconds until its deadline << 32 (0: no deadline)",
    ),
    Kind.GREENLET_EXIT: KindDoc("greenlet_exit", "it ended", reason="Exit"),
    Kind.WATCHER_OPEN: KindDoc(
        "watcher_open",
        "a watcher was made; text records with the peer's address may follow",
        greenlet="the greenlet that runs",
        reason="Watch",
        aux="1 if the program connected to the peer, 2 if it accepted it, 0 if that is not known",
        site="the first frame outside greenscope's runtime",
        arg="resource, and descriptor << 32",
        text="the peer's address",
    ),
    Kind.WATCHER_START: KindDoc(
        "watcher_start",
        "somebody began to wait on it",
        greenlet="the greenlet that runs",
        reason="Watch",
        site="where that was, at level teach",
        arg="resource, and descriptor << 32, or milliseconds << 32 for a timer",
    ),
    Kind.WATCHER_FIRE: KindDoc(
        "watcher_fire",
        "the loop saw what it watches for",
        greenlet="the greenlet that waits on it; what runs, if a function is to be called instead",
        reason="Watch",
        site="where it waits, at level teach",
        arg="resource, and descriptor << 32",
    ),
    Kind.WATCHER_STOP: KindDoc(
        "watcher_stop",
        "nobody waits on it any more",
        greenlet="the greenlet that runs",
        reason="Watch",
        site="where that was, at level teach",
        arg="resource, and descriptor << 32",
    ),
    Kind.WATCHER_CLOSE: KindDoc(
        "watcher_close",
        "the watcher is gone, and its descriptor may be reused",
        greenlet="the greenlet that runs",
        reason="Watch",
        site="where that was, at level teach",
        arg="resource, and descriptor << 32",
    ),
    Kind.WATCHER_REFUSE: KindDoc(
        "watcher_refuse",
        "somebody wanted to wait on it where another greenlet does, and got an error",
        greenlet="the greenlet that got the error",
        reason="Watch",
        aux="descriptor + 1 (65535: larger)",
        site="the first frame outside greenscope's runtime",
        arg="resource, and the greenlet that waits already << 32",
        text="the peer's address",
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
        "timeout_cancel",
        "it was stopped before its time was over",
        reason="Timeouts",
        site="where that was, at level teach",
        arg="timeout",
    ),
    Kind.POLL_BEGIN: KindDoc(
        "poll_begin", "the hub asks the kernel", greenlet="the hub", aux="1 if it will block until something happens"
    ),
    Kind.POLL_END: KindDoc("poll_end", "the kernel answered", greenlet="the hub", aux="how many watchers fired"),
    Kind.CALLBACK_BEGIN: KindDoc(
        "callback_begin",
        "the hub calls a function",
        greenlet="the hub",
        reason="Watch",
        arg="the watcher it is called for (0: none), and the function's name (string) << 32",
    ),
    Kind.CALLBACK_END: KindDoc("callback_end", "the function is over", greenlet="the hub", reason="Exit"),
    Kind.LOOP_EXIT: KindDoc(
        "loop_exit",
        "everybody waits, and nothing is left that could wake anyone: LoopExit will be raised in the main greenlet",
        greenlet="the one that the main greenlet's wait comes down to, itself or one that it waits for",
        reason="Wait",
        aux="how many greenlets wait (65535: or more)",
        site="where it waits",
        arg="the resource that it waits on, and for how many milliseconds it has << 32",
    ),
    Kind.JOB_PUT: KindDoc(
        "job_put",
        "a function was given to a pool of threads; they take them in that order",
        greenlet="the greenlet that runs",
        reason="the pool: 0 the runtime's own, others in the order in which they were made (255: or later)",
        aux="how many threads it may have (65535: or more)",
        site="the first frame outside greenscope's runtime",
        arg="job, and the function's name (string) << 32",
        text="of a look-up, what is looked up",
    ),
    Kind.JOB_END: KindDoc(
        "job_end",
        "the function is over, and the hub has heard of it; or it was taken back",
        greenlet="the greenlet that runs; mostly the hub",
        reason="Exit",
        arg="job, and for how many milliseconds it had waited for a thread << 32",
    ),
    Kind.RESOURCE_ACQUIRE: KindDoc(
        "resource_acquire",
        "a greenlet holds it from here on: came in through a lock, took from a queue, saw an event set",
        greenlet="the greenlet that holds it",
        reason="Resource",
        aux="1 if it did so earlier, and that is said now because somebody is about to wait for it (who is woken"
        " from that wait, by a greenlet, holds it next)",
        site="where it was acquired, at level teach",
        arg="resource, and what is left in it (turns, items) << 32",
    ),
    Kind.RESOURCE_RELEASE: KindDoc(
        "resource_release",
        "a greenlet holds it no more, or gave to it: went out of a lock, put into a queue, set an event",
        greenlet="the greenlet that held it",
        reason="Resource",
        site="where it was released, at level teach",
        arg="resource, and what is left in it (turns, items) << 32",
    ),
    Kind.OP_BEGIN: KindDoc(
        "op_begin",
        "the greenlet that runs calls its socket",
        reason="Op",
        aux="1 if it is over TLS",
        site="the first frame outside greenscope's runtime, at level teach",
        arg="the watcher that it would wait on (0: none yet), and descriptor << 32",
    ),
    Kind.OP_END: KindDoc(
        "op_end",
        "the call that this greenlet began last is over",
        reason="Op",
        aux="errno (0: it succeeded; 65535: an exception without)",
        arg="how many bytes; the new descriptor, for accept",
        text="the exception's class, if it raised",
    ),
    Kind.SPAN_BEGIN: KindDoc(
        "span_begin",
        "the program began something it has a name for",
        site="where",
        arg="span, and its name (string) << 32",
    ),
    Kind.SPAN_END: KindDoc(
        "span_end",
        "that is over",
        reason="Exit",
        arg="span, and the class of the exception that ended it (string; 0: none) << 32",
    ),
    Kind.MARK: KindDoc("mark", "the program left a mark", site="where", text="what it says"),
    Kind.REQUEST_BEGIN: KindDoc(
        "request_begin",
        "the program began to serve a request",
        site="where",
        arg="request",
        text="its id (empty: it has none); on a second line what it asks for, if that was said",
    ),
    Kind.REQUEST_END: KindDoc(
        "request_end",
        "the request was served",
        reason="Exit",
        aux="the response's status (0: none was said)",
        arg="request, and the class of the exception that ended it (string; 0: none) << 32",
    ),
    Kind.STALL_BEGIN: KindDoc(
        "stall_begin",
        "the hub has not switched for longer than the watchdog's threshold",
        greenlet="the greenlet that runs; the hub, if it is one of its callbacks",
        reason="Blocked",
        site="no line: the most that its thread can have computed by then, in microseconds, + 1 (0: not known)",
        arg="since when it runs (ns)",
        text="the stack, innermost frame first: file, line and function with tabs between, one frame a line",
    ),
    Kind.STALL_END: KindDoc(
        "stall_end",
        "the hub switched again",
        greenlet="the greenlet that ran",
        site="no line: the most that its thread can have computed in it, in microseconds, + 1 (0: not known)",
        arg="how long it ran (ns)",
    ),
    Kind.DETAIL: KindDoc(
        "detail",
        "from here on so much is recorded",
        greenlet="the greenlet that runs",
        reason="Detail",
        aux="the level before",
    ),
}


def pack(low: int, high: int) -> int:
    """Two 32-bit numbers as one ``arg``."""
    return (low & 0xFFFFFFFF) | (high & 0xFFFFFFFF) << 32


def unpack(arg: int) -> tuple[int, int]:
    """The ``(low, high)`` halves of an ``arg``."""
    return arg & 0xFFFFFFFF, arg >> 32
