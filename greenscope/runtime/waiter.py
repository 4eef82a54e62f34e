"""What the ready queue holds: wakeables, each the one way to wake one parked greenlet.

Owns the small state the runtime keeps for every greenlet, and the entries of the ready queue. Refuses
to switch: only the hub does that.

A greenlet that parks does so *on* a wakeable: it puts itself into ``greenlet`` and takes itself out
again when it goes on. Whoever has news for it, a watcher that fired, a timeout, ``kill``, puts the
wakeable into the ready queue, with ``exception`` if the news is to be raised. So

- a greenlet is in the ready queue at most once (``queued``), however many things happen to it; no call
  comes between the mark and the queue, because a signal's handler that raises there would part them;
- an entry whose ``greenlet`` is None was cancelled in the meantime, and the hub skips it;
- for sockets the watcher itself is the entry: a wait allocates nothing.
"""

from __future__ import annotations

import time
from _thread import get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from greenscope.trace.events import Ready, Wait

if TYPE_CHECKING:
    from greenscope.runtime.hub import Hub
    from greenscope.runtime.timeout import Timeout

__all__ = ["Callback", "State", "Waiter", "Wakeable", "running"]

# Any, because every greenlet gets a ``_state``, and plain ones have no place to declare it.
running: Callable[[], Any] = getcurrent


class State:
    """What the runtime knows of one greenlet; found as ``greenlet._state``.

    Holds no reference to the greenlet while it runs, so that one that ended is freed at once.
    """

    __slots__ = ("handle", "hub", "timeouts", "waiting_on", "yielder")

    def __init__(self, hub: Hub, handle: int) -> None:
        self.hub = hub
        self.handle = handle
        self.waiting_on: Wakeable | None = None
        self.timeouts: list[Timeout] = []
        self.yielder: Waiter | None = None

    def deadline_ms(self) -> int:
        """Milliseconds until the first of the active timeouts is due, at least 1."""
        now = time.monotonic()
        left = min(timeout.due for timeout in self.timeouts) - now
        return max(1, int(left * 1000 + 0.999))


class Wakeable:
    """An entry of the ready queue. See the module for its life."""

    __slots__ = ("exception", "greenlet", "queued", "state")

    greenlet: greenlet | None
    exception: BaseException | None
    queued: bool
    state: State

    def __init__(self) -> None:
        self.greenlet = None
        self.exception = None
        self.queued = False

    def describe(self) -> str:
        """What a greenlet that is parked on this waits for, for a person to read."""
        return "something"

    def call(self) -> None:
        """What the hub does when it comes to this entry and nobody is parked on it: nothing, it was cancelled."""

    def wake(self, reason: Ready, by: int) -> bool:
        """Make the parked greenlet ready, for ``reason``; False if it is ready already, or not parked.

        Args:
            reason: who does it, which says what ``by`` numbers: a watcher, greenlet or timeout.
            by: its number in the recording; 0 if there is none.
        """
        if self.greenlet is None or self.queued:
            return False
        state = self.state
        hub = state.hub
        if get_ident() != hub.thread:
            hub.loop.call_threadsafe(self.wake, Ready.OTHER, 0)
            return True
        hub.record_ready(state.handle, reason, by)
        self.queued = True
        hub.ready.append(self)
        return True


class Waiter(Wakeable):
    """A place to park that is neither a descriptor nor a timer: a lock, a queue, an event, a join."""

    __slots__ = ("early", "reason", "resource", "what")

    def __init__(self, reason: Wait, resource: int = 0, what: str = "") -> None:
        self.greenlet = None
        self.exception = None
        self.queued = False
        self.early = False
        self.reason = reason
        self.resource = resource
        self.what = what

    def wake(self, reason: Ready, by: int) -> bool:
        """As every wakeable's; and one that comes before the greenlet has parked (a signal's) is not lost."""
        if self.greenlet is None:
            self.early = True
        return super().wake(reason, by)

    def describe(self) -> str:
        return self.what or self.reason.name.lower()


class Callback(Wakeable):
    """A function the hub calls when it comes to this entry; it must not wait."""

    __slots__ = ("args", "callback")

    def __init__(self, callback: Callable[..., object], *args: Any) -> None:
        self.greenlet = None
        self.exception = None
        self.queued = True
        self.callback: Callable[..., object] | None = callback
        self.args = args

    @property
    def pending(self) -> bool:
        """Whether it is still to be called."""
        return self.callback is not None

    def stop(self) -> None:
        """Do not call it."""
        self.callback = None
        self.args = ()

    close = stop

    def call(self) -> None:
        callback, args = self.callback, self.args
        self.stop()  # it is not pending while it runs
        if callback is not None:
            callback(*args)
