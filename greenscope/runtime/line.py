"""Lines: who waits for a turn, an item or an event, first come first served, whatever the thread.

Owns ``Linkable``, the base of what can be waited for or linked
to, and ``park_for``. Locks, queues and events are each a line and a rule of who leaves it. Refuses to
make a hub for whoever only wakes others: a thread that never waits has none.

Two threads may be at the same line, and a signal's handler can run between any two lines of code. No
lock is held, because the interpreter's own does it, if one keeps to three rules:

- a check and the change that relies on it have no call between them: the interpreter gives the turn to
  another thread only at calls and at the end of loops, and a method of a deque, list or dict is whole;
- who joins a line looks once more, *after* joining, whether there is something to have by now; who
  provides something provides it first and then looks who waits. One of them sees the other;
- to take a place out of its line is what decides. Whoever waits no longer tries that; if the place is
  not there any more, it was given what it waited for, and has it.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from collections.abc import Callable
from typing import Any

from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.timeout import Timeout
from greenscope.runtime.waiter import Place, Waiter
from greenscope.trace.events import NOT_STARTED, Wait

__all__ = [
    "NOBODY",
    "NUMBER",
    "Link",
    "Linkable",
    "Place",
    "name_awaited",
    "number_of",
    "park_for",
    "require_callable",
    "stay",
    "tell",
    "unlink",
    "withdraw",
]

NOBODY: Any = ()
"""A line that nobody has joined yet."""

NUMBER = (1 << 40) - 1
"""What of a handle is the greenlet's number."""

_EVENT = Wait.EVENT


class Link:
    """A function that was linked to something, and the hub that is to call it."""

    __slots__ = ("callback", "hub", "source")

    def __init__(self, callback: Callable[..., object], source: object) -> None:
        require_callable(callback)
        self.callback = callback
        self.source = source
        self.hub = get_hub()

    def give(self) -> bool:
        """Have the hub call it."""
        hub = self.hub
        if get_ident() == hub.thread:
            hub.call(self.callback, self.source)
        else:
            hub.loop.call_threadsafe(self.callback, self.source)
        return True


class Linkable:
    """What greenlets can wait for and functions be linked to; a subclass says when it is ``ready``."""

    __slots__ = ("__weakref__", "_hub_number", "_line", "_resource")

    def __init__(self) -> None:
        self._line: deque[Any] = NOBODY  # of Place and Link
        self._resource = 0
        self._hub_number = 0

    def ready(self) -> bool:
        """Whether there is nothing to wait for."""
        raise NotImplementedError

    def rawlink(self, callback: Callable[..., object]) -> None:
        """Have this hub call ``callback`` with this object, once, when it is ready; it must not wait.

        Raises:
            TypeError: it cannot be called.
        """
        self._queue_up().append(Link(callback, self))
        if self.ready():
            self._tell()

    def unlink(self, callback: Callable[..., object]) -> None:
        """Undo ``rawlink``; does nothing if it was called, or never linked."""
        unlink(self._line, callback)

    def linkcount(self) -> int:
        """How many greenlets and functions wait for it."""
        return len(self._line)

    def _tell(self) -> None:
        """Everybody leaves the line."""
        tell(self._line)

    def _queue_up(self) -> deque[Any]:
        """The line, to join it: made when the first does, because most are never joined, and it is not small."""
        if self._line is NOBODY:
            line: deque[Any] = deque()
            if self._line is NOBODY:  # another thread may have made it in between
                self._line = line
        return self._line

    def _number(self, hub: Hub) -> int:
        """Its number in the recording of ``hub``; another hub counts for itself."""
        if self._hub_number != hub.number:
            self._resource = hub.recorder.resource()
            self._hub_number = hub.number
        return self._resource

    def _await(self, what: str, timeout: float | None) -> bool:
        """Stay in the line until everybody leaves it; False if ``timeout`` seconds were over first."""
        hub = get_hub()
        line = self._line
        if line is NOBODY:
            line = self._queue_up()
        resource = self._resource if self._hub_number == hub.number else self._number(hub)
        return stay(hub, line, Place(_EVENT, resource, what), self.ready, timeout)


def stay(hub: Hub, line: deque[Any], place: Place, ready: Callable[[], bool], timeout: float | None) -> bool:
    """Stay in ``line`` until everybody leaves it, or it is ``ready`` already; False if the time was over first."""
    try:
        line.append(place)
        if not ready():
            if timeout is None:
                hub.park(place)
                return True
            if park_for(hub, place, timeout):
                return True
    except BaseException:
        withdraw(line, place)
        raise
    return not withdraw(line, place) or ready()


def tell(line: deque[Any]) -> None:
    """Everybody, places and links, leaves ``line`` with what they waited for."""
    while line:
        try:
            one = line.popleft()
        except IndexError:  # another thread tells them as well
            return
        one.give()


def unlink(line: deque[Any], callback: Callable[..., object]) -> None:
    """Take the first link to ``callback`` out of ``line``, if there is one."""
    for one in list(line):
        if isinstance(one, Link) and one.callback == callback:
            withdraw(line, one)
            return


def withdraw(line: deque[Any] | list[Any], place: object) -> bool:
    """Take a place out of its line; False if somebody else has, who gives it what it waited for."""
    try:
        line.remove(place)
    except (ValueError, AttributeError):  # it is not there, or the line was not even made
        return False
    return True


def name_awaited(waiter: Waiter, number: int) -> None:
    """Say, before it parks, which greenlet it is that it waits for: the recording has that in a descriptor's place."""
    if number <= NOT_STARTED:
        waiter.fd = number - 1


def number_of(handle: int) -> int:
    """The number of a greenlet in the recording."""
    return handle & NUMBER


def park_for(hub: Hub, waiter: Waiter, timeout: float | Timeout | None) -> bool:
    """Park until ``waiter`` is woken; False if ``timeout`` seconds were over first.

    A ``Timeout`` instead of seconds is started if it was not, and raised when its time is over.
    """
    if timeout is None:
        hub.park(waiter)
        return True
    if isinstance(timeout, Timeout):
        timer, given = timeout, True
    else:
        timer, given = Timeout(timeout), False
    try:
        if not timer.pending:
            timer.start()
        hub.park(waiter)
    except Timeout as error:
        if given or error is not timer:
            raise
        error.__traceback__ = None  # whose frames know the timer: freed now, not by the collector
        return False
    finally:
        timer.cancel()
    return True


def require_callable(callback: object) -> None:
    """Refuse what cannot be called at once, and not when the time has come.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(callback):
        raise TypeError(f"what is linked is called when the time comes; {callback!r} cannot be called")
