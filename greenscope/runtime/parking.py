"""Parking, waking and switching, step by step: what ``_parking.c`` does faster.

Owns the five types that a wait goes through, and refuses everything that is rare, which is the hub's
and the watchers' business. ``waiter`` says which of the two implementations is used; they are held to
the same behaviour by the same tests.

A greenlet parks *on* a wakeable: it puts itself into ``greenlet``, says what it waits for to the
recorder, and switches to the hub. Whoever has news puts the wakeable into the ready queue. The hub
takes it out and switches to the greenlet, which takes itself out of ``greenlet`` and goes on.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from greenscope.trace.events import Ready, Timeouts, Wait

if TYPE_CHECKING:
    from greenlet import greenlet

    from greenscope.runtime.hub import Hub
    from greenscope.runtime.timeout import Timeout
    from greenscope.trace.recorder import Recorder

__all__ = ["Armed", "Board", "Place", "State", "Waiter", "Wakeable"]

_BY_GREENLET = int(Ready.GREENLET)
_OF_SOCKET = int(Timeouts.SOCKET)
_READ = 1


class State:
    """What the runtime knows of one greenlet; found as ``greenlet._state``.

    Holds no reference to the greenlet while it runs, so that one that ended is freed at once.
    """

    __slots__ = ("board", "handle", "hub", "timeout_number", "timeouts", "waiting_on", "yielder")

    def __init__(self, hub: Hub, board: Board, handle: int) -> None:
        self.hub = hub
        self.board = board
        self.handle = handle
        self.timeout_number = 0
        """That of the timeout of the wait that it is in, until it fires; 0: it has none."""
        self.waiting_on: Wakeable | None = None
        self.timeouts: list[Timeout] = []
        self.yielder: Waiter | None = None

    def deadline_ms(self) -> int:
        """Milliseconds until the first of the active timeouts is due, at least 1; 0 if there is none."""
        if not self.timeouts:
            return 0
        left = min(timeout.due for timeout in self.timeouts) - monotonic()
        return max(1, int(left * 1000 + 0.999))


class Wakeable:
    """An entry of the ready queue. See ``waiter`` for its life."""

    __slots__ = (
        "counts",
        "descriptor",
        "early",
        "exception",
        "fd",
        "greenlet",
        "mask",
        "peer",
        "queued",
        "reason",
        "resource",
        "state",
    )

    greenlet: greenlet | None
    exception: BaseException | None
    state: State
    descriptor: Any

    def __init__(self) -> None:
        self.greenlet = None
        self.exception = None
        self.queued = False
        self.early = False
        self.counts = True
        self.reason = 0
        self.resource = 0
        self.fd = -1
        self.peer = b""
        self.mask = 0

    def describe(self) -> str:
        """What a greenlet that is parked on this waits for, for a person to read."""
        return "something"

    def call(self) -> None:
        """What the hub does when it comes to this entry and nobody is parked on it: nothing, it was cancelled."""

    def wait(self) -> bool:
        """Park until this watcher of a descriptor fires; as ``Board.wait_io``.

        Returns:
            False if that cannot be done: it belongs to another thread's loop, or is closed.
        """
        descriptor = self.descriptor
        board: Board | None = getattr(descriptor, "board", None)
        if board is None or board.closed or board.thread != get_ident():
            return False
        board.wait_io(self)
        return True

    def wake(self, reason: int, by: int) -> bool:
        """Make the parked greenlet ready, for ``reason``.

        Args:
            reason: who does it (``Ready``), which says what ``by`` numbers: a watcher, greenlet or timeout.
            by: its number in the recording; 0 if there is none.

        Returns:
            False if it is ready already, or not parked. One who parks after that goes on at once (``early``).
        """
        if self.greenlet is None:
            self.early = True
            return False
        if self.queued:
            return False
        state = self.state
        board = state.board
        if get_ident() != board.thread:
            board.call_threadsafe(self.wake, Ready.OTHER, 0)
            return True
        board.record_ready(state.handle, reason, by)
        self.queued = True
        board.ready.append(self)
        return True


class Waiter(Wakeable):
    """A place to park that is neither a descriptor nor a timer: a lock, a queue, an event, a join.

    Args:
        reason: what for, one of ``Wait``.
        resource: the number of what is waited for, in the recording.
        what: it, in words.
    """

    __slots__ = ("what",)

    def __init__(self, reason: int, resource: int = 0, what: str = "") -> None:
        super().__init__()
        self.reason = int(reason)
        self.resource = resource
        self.what = what

    def describe(self) -> str:
        return self.what or "something"


class Place(Waiter):
    """One greenlet's place in a line; see ``line``. What it is given, if there is something to give, is in ``item``."""

    __slots__ = ("given", "item")

    def __init__(self, reason: int, resource: int = 0, what: str = "") -> None:
        super().__init__(reason, resource, what)
        self.given = False
        self.item: Any = None

    def give(self) -> bool:
        """Wake the greenlet, whatever thread it is in; called once, by who took the place out of its line.

        Returns:
            False if it is gone: its thread has ended, or stayed in the parent when this process was forked.
        """
        self.given = True
        if self.greenlet is None:
            self.early = True
            if self.greenlet is None:  # it has not parked yet, and will not
                return True
        state = self.state
        board = state.board
        if board.closed:
            return False
        if get_ident() != board.thread:
            board.call_threadsafe(self.wake, Ready.OTHER, 0)
            return True
        if not self.queued:
            board.record_ready(state.handle, _BY_GREENLET, board.recorder.current)
            self.queued = True
            board.ready.append(self)
        return True


class Board:
    """Who parks and who is ready in one thread: what a loop is built on.

    Args:
        ready: the ready queue.
        recorder: is told of every step.
        recording: whether it records.
    """

    hub: Hub

    def __init__(self, ready: deque[Wakeable], recorder: Recorder, recording: bool) -> None:  # noqa: ARG002
        self.ready = ready
        self.recorder = recorder
        self.active = 0
        self.rounds = 0
        """How many the hub has begun: as long as it is the same, whoever runs has kept it."""
        self.closed = False
        self.thread = get_ident()
        self.record_wait = recorder.wait
        self.record_park = recorder.park
        self.record_give_way = recorder.give_way
        self.record_ready = recorder.ready
        self.record_switch = recorder.switch
        self.record_fire = recorder.fire
        self.record_stop = recorder.watcher_stop
        self.record_timeout = recorder.timeout_start
        self.record_cancel = recorder.timeout_cancel

    def call_threadsafe(self, function: Any, *arguments: object) -> None:
        """Have this thread call ``function`` soon; the loop knows how."""
        raise NotImplementedError

    def wait_io(self, watcher: Wakeable) -> None:
        """Park until a descriptor's watcher fires; ``Hub.wait`` says what may be raised."""
        self._wait_io(watcher, False)

    def wait_io_within(self, watcher: Wakeable) -> None:
        """The same, and the greenlet's last timeout, which is of this wait only, is recorded with it: a socket's."""
        self._wait_io(watcher, True)

    def _wait_io(self, watcher: Wakeable, within: bool) -> None:
        me, state = self._current()
        if watcher.greenlet is not None:
            self.hub.refuse_second_wait(watcher)
        while watcher.mask & ~watcher.descriptor.armed:  # again, if a signal's handler closed it meanwhile
            watcher.descriptor.arm(watcher.mask)
        watcher.greenlet = me
        watcher.state = state
        state.waiting_on = watcher
        counts = watcher.counts
        self.active += counts
        earlier, state.timeout_number = state.timeout_number, 0  # of a wait that a signal's handler interrupted
        try:  # from here on, because Ctrl-C can strike in the next line
            if within and state.timeouts:
                state.timeout_number = self.record_timeout(_OF_SOCKET, state.timeouts[-1].granted)
            self.record_wait(watcher.reason, watcher.resource, watcher.fd, state.deadline_ms(), watcher.peer)
            self._switch(watcher)
        finally:
            watcher.greenlet = None
            self.active -= counts
            self.record_stop(watcher.reason, watcher.resource, watcher.fd)
            number, state.timeout_number = state.timeout_number, earlier
            if number:  # it has not fired
                self.record_cancel(_OF_SOCKET, number)

    def park(self, waiter: Wakeable) -> None:
        """Park until somebody calls ``waiter.wake``; not at all if that was done before."""
        me, state = self._current()
        waiter.greenlet = me
        waiter.state = state
        if waiter.early:
            waiter.greenlet = None
            return
        state.waiting_on = waiter
        try:
            self.record_park(waiter.reason, waiter.resource, waiter.fd, state.deadline_ms(), b"")
            self._switch(waiter)
        finally:
            waiter.greenlet = None

    def give_way(self) -> None:
        """Let everybody else who is ready run, and go on."""
        me, state = self._current()
        waiter = state.yielder
        if waiter is None or waiter.queued or waiter.greenlet is not None:
            waiter = state.yielder = Waiter(Wait.YIELD, 0, "its turn")
        waiter.greenlet = me
        waiter.state = state
        state.waiting_on = waiter
        self.record_give_way(state.handle, state.deadline_ms())
        waiter.queued = True
        self.ready.append(waiter)
        try:
            self._switch(waiter)
        finally:
            waiter.greenlet = None

    def run_ready(self) -> int:
        """Switch to whoever is ready by now, in order: the hub's round.

        Returns:
            How many that were.
        """
        ready = self.ready
        count = len(ready)
        self.rounds += 1
        entry: Wakeable | None = None
        try:
            for _ in range(count):
                entry = ready.popleft()
                target = entry.greenlet
                if target is None or entry.exception is not None:
                    self.hub.special(entry)
                else:
                    self.record_switch(entry.state.handle)
                    entry.queued = False
                    target.switch(entry)
                entry = None
        finally:
            # Ctrl-C can strike between taking an entry and switching to it. It goes back.
            if entry is not None and entry.queued and entry not in ready:
                ready.appendleft(entry)
        return count

    def _current(self) -> tuple[Any, State]:
        me: Any = getcurrent()
        state: State | None = getattr(me, "_state", None)
        if state is None or state.hub is not self.hub:  # that of a hub which was destroyed: nobody would be woken
            state = self.hub.state_of(me)
        return me, state

    def _switch(self, entry: Wakeable) -> None:
        if self.hub.switch() is not entry:
            self.hub.refuse_switch(getcurrent(), entry)


class Armed:
    """Whom the kernel's news of one descriptor are for.

    Args:
        board: of the loop whose descriptor it is.
    """

    __slots__ = ("armed", "board", "others", "reader", "writer")

    def __init__(self, board: Board) -> None:
        self.board = board
        self.armed = 0
        self.reader: Any = None
        self.writer: Any = None
        self.others: list[Any] = []

    def several_events(self, events: int | None) -> None:
        """The news that are not for one who waits to read, alone."""
        raise NotImplementedError

    def on_events(self, _poll: object, events: int | None, _error: int | None) -> None:
        """The kernel's news, as libuv gives them."""
        watcher = self.reader
        if events == _READ and not self.others and watcher is not None and watcher.greenlet is not None:
            if not watcher.queued:
                board = self.board
                board.record_fire(watcher.state.handle, watcher.reason, watcher.resource, watcher.fd)
                watcher.queued = True
                board.ready.append(watcher)
        else:
            self.several_events(events)
