"""Semaphores: at most so many greenlets at a time; what the locks are built of.

Owns ``Semaphore`` and ``BoundedSemaphore``. A release hands over to the greenlet that has waited longest,
so nobody who comes later can overtake it. A greenlet that is killed between being given its turn and
taking it passes it on. Any thread may acquire and release; see ``line`` for how.

``counter`` is how many may come in, and 0 while somebody waits. Takes gevent's arguments: a negative time
is over at once.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.line import (
    NOBODY,
    NUMBER,
    Link,
    Linkable,
    Place,
    name_awaited,
    park_for,
    stay,
    tell,
    unlink,
    withdraw,
)
from greenscope.runtime.waiter import State, running
from greenscope.trace.events import Resource, Wait

__all__ = ["BoundedSemaphore", "Semaphore"]

_LOCK = Wait.LOCK


class Semaphore(Linkable):
    """Lets ``value`` greenlets in at a time.

    Args:
        value: how many may still come in.
        hub: as gevent's; a semaphore of ours serves every hub.
    """

    __slots__ = ("_holder", "_signals", "_watchers", "counter")

    _what = "a semaphore"
    _kind = Resource.SEMAPHORE
    _has_holder = False  # whether one greenlet at a time is in, which the recording is told of

    def __init__(self, value: int = 1, hub: object = None) -> None:  # noqa: ARG002
        if value < 0:
            raise ValueError(f"a semaphore starts at 0 or more, not at {value}")
        self._line = NOBODY
        self._resource = 0
        self._hub_number = 0
        self._watchers: deque[Any] = NOBODY  # who wants to know, and does not come in
        self._holder: Any = None  # the greenlet that is in, if it has one at a time
        self._signals = False  # somebody else has let the next one in: whom a wait is up to is not known
        self.counter = value

    def locked(self) -> bool:
        """Whether the next one would have to wait."""
        return self.counter <= 0

    def ready(self) -> bool:
        """Whether the next one could come in."""
        return self.counter > 0

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Come in.

        Args:
            blocking: whether to wait for that.
            timeout: seconds to wait at most; None is for ever, less than 0 is as 0.

        Returns:
            Whether it may come in.
        """
        if self.counter > 0:
            self.counter -= 1
            return True
        return bool(blocking) and self._take_turn(timeout)

    def release(self) -> int:
        """Go out, and let in whoever has waited longest; how many may still come in."""
        if self._line or self._watchers:
            self._hand_over()
        else:
            self.counter += 1
        return self.counter

    def wait(self, timeout: float | None = None) -> int:
        """Wait until somebody could come in, without coming in; how many could."""
        if self.counter <= 0:
            hub = get_hub()
            stay(hub, self._watched(), Place(_LOCK, self._number(hub), self._what), self.ready, timeout)
        return self.counter

    def rawlink(self, callback: Callable[..., object]) -> None:
        """Have this hub call ``callback`` with this object, once, when somebody could come in.

        Raises:
            TypeError: it cannot be called.
        """
        self._watched().append(Link(callback, self))
        if self.counter > 0:
            tell(self._watchers)

    def unlink(self, callback: Callable[..., object]) -> None:
        """Undo ``rawlink``."""
        unlink(self._watchers, callback)

    def linkcount(self) -> int:
        """How many greenlets and functions wait for it."""
        return len(self._line) + len(self._watchers)

    def __enter__(self) -> bool:
        if self.counter > 0:
            self.counter -= 1
            return True
        return self._take_turn(None)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line or self._watchers:
            self._hand_over()
        else:
            self.counter += 1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.counter} free, {len(self._line)} waiting>"

    def _take_turn(self, timeout: float | None, in_with: bool = False) -> bool:
        """Wait for a turn; whether it came within ``timeout`` seconds. ``in_with``: it lasts as long as a ``with``."""
        hub = get_hub()
        line = self._queue_up()
        place = Place(_LOCK, self._resource if self._hub_number == hub.number else self._number(hub), self._what)
        try:
            line.append(place)
            while self.counter > 0 and line:  # released meanwhile, by another thread or a signal's handler
                self.counter -= 1
                self._hand_over()
            if self._has_holder and not place.given:
                self._name_holder(hub, place, in_with)
            if timeout is None:
                hub.park(place)
                return True
            if park_for(hub, place, timeout):
                return True
        except BaseException:
            if not withdraw(line, place):
                self._hand_over()
            elif self._has_holder:
                self._name_again()
            raise
        if not withdraw(line, place):
            return True
        if self._has_holder:
            self._name_again()
        return False

    def _name_holder(self, hub: Hub, place: Place, in_with: bool) -> None:
        """Say in the recording who holds it, since somebody is about to wait for that.

        Whoever waits for a lock of its own is not said to wait for itself: it may be a lock that is used as a
        signal, and another one's to release. Nobody puts a ``with`` around a signal.
        """
        holder = self._holder
        state: State | None = getattr(holder, "_state", None)
        if state is not None and state.hub is hub:  # handles of another thread's hub mean others here
            hub.recorder.acquire(state.handle, self._kind, 1, place.resource, 0)
            if not self._signals and (in_with or holder is not running()):
                name_awaited(place, state.handle & NUMBER)

    def _name_again(self) -> None:
        """The holder is another one, or the line's first is: to name the holder to the first of the line is enough."""
        try:
            first: Place = self._line[0]
        except IndexError:
            return
        if first.greenlet is None:  # it is about to park, and asks itself
            return
        state, holder = first.state, getattr(self._holder, "_state", None)
        whom = 0
        if holder is not None and holder.hub is state.hub and not self._signals:
            whom = holder.handle
        if get_ident() == state.hub.thread:
            state.hub.recorder.awaits(state.handle, first.resource, whom)
        elif not state.hub.loop.closed:
            state.hub.loop.call_threadsafe(state.hub.recorder.awaits, state.handle, first.resource, whom)

    def _hand_over(self) -> None:
        while True:
            if not self._line:
                self.counter += 1
                self._holder = None
                if self._watchers:
                    tell(self._watchers)
                return
            try:
                place = self._line.popleft()
            except IndexError:  # whoever it was waits no longer
                continue
            if self._has_holder:
                try:
                    if self._holder is not None and self._holder is not running():
                        self._signals = True
                except RuntimeError:  # greenlet has been finalized: the interpreter is about to end
                    pass
                self._holder = place.greenlet
            if place.give():
                if self._has_holder and self._line:
                    self._name_again()
                return

    def _watched(self) -> deque[Any]:
        if self._watchers is NOBODY:
            watchers: deque[Any] = deque()
            if self._watchers is NOBODY:  # as in _queue_up
                self._watchers = watchers
        return self._watchers


class BoundedSemaphore(Semaphore):
    """A semaphore that refuses to be released more often than it was acquired.

    One of a single turn is a lock by another name, and the recording is told who is in, as of a lock.

    Raises:
        ValueError: on such a release.
    """

    __slots__ = ("_has_holder", "_most")

    def __init__(self, value: int = 1, hub: object = None) -> None:
        super().__init__(value, hub)
        self._most = value
        self._has_holder = value == 1

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Come in; arguments and result as of ``Semaphore.acquire``."""
        if self.counter > 0:
            self.counter -= 1
            if self._has_holder:
                try:
                    self._holder = running()
                except RuntimeError:  # greenlet has been finalized: the interpreter is about to end
                    pass
            return True
        return bool(blocking) and self._take_turn(timeout)

    def release(self) -> int:
        """Go out, and let in whoever has waited longest; how many may still come in."""
        if self.counter >= self._most:
            raise self._too_often()
        if self._line or self._watchers:
            self._hand_over()
        else:
            self.counter += 1
            self._holder = None
        return self.counter

    def __enter__(self) -> bool:
        if self.counter > 0:
            self.counter -= 1
            if self._has_holder:
                try:
                    self._holder = running()
                except RuntimeError:  # greenlet has been finalized: the interpreter is about to end
                    pass
            return True
        return self._take_turn(None, True)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.counter >= self._most:
            raise self._too_often()
        if self._line or self._watchers:
            self._hand_over()
        else:
            self.counter += 1
            self._holder = None

    def _too_often(self) -> ValueError:
        return ValueError(f"this semaphore was released more often than acquired: all {self._most} are free")
