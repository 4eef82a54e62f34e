"""The end of a greenlet: who waits for it, and which functions are to be told of it.

Owns ``Ending``, that half of ``Greenlet``, and ``SpawnedLink`` with its two choosy kinds, which ``link``
and the like put between the end and the function: a link is called in the hub, where nothing may wait; so
it spawns a greenlet for the function. It equals the function, so that ``unlink`` finds it by that.

Any thread may wait and link. See ``line`` for how that goes without a lock.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from types import TracebackType
from typing import Any

import greenlet as _greenlet
from greenlet import getcurrent

from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.line import Place, name_awaited, number_of, park_for, require_callable, withdraw
from greenscope.runtime.timeout import Timeout
from greenscope.trace.events import NOT_STARTED, Wait

__all__ = ["Ending", "FailureSpawnedLink", "SpawnedLink", "SuccessSpawnedLink"]

Link = Callable[[Any], object]

_JOIN = Wait.JOIN


class SpawnedLink:
    """Calls a function in a greenlet of its own, with the source that has ended.

    Args:
        callback: the function.
    """

    __slots__ = ("callback",)

    spawn: Callable[..., object]
    """Starts a greenlet; ``greenlet`` sets it."""

    def __init__(self, callback: Callable[..., object]) -> None:
        require_callable(callback)
        self.callback = callback

    def __call__(self, source: Any) -> None:
        self.spawn(self.callback, source)

    def __eq__(self, other: object) -> bool:
        return self is other or self.callback == getattr(other, "callback", other)

    def __hash__(self) -> int:
        return hash(self.callback)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.callback!r}>"


class SuccessSpawnedLink(SpawnedLink):
    """The same, if the source has ended without an exception."""

    __slots__ = ()

    def __call__(self, source: Any) -> None:
        if source.successful():
            self.spawn(self.callback, source)


class FailureSpawnedLink(SpawnedLink):
    """The same, if the source has ended with an exception."""

    __slots__ = ()

    def __call__(self, source: Any) -> None:
        if not source.successful():
            self.spawn(self.callback, source)


class Ending(_greenlet.greenlet):
    """A greenlet that will have a value or an exception, and tells who wants to know."""

    __slots__ = ("_done", "_error", "_handle", "_hub", "_joiners", "_links", "_resource", "value")

    _done: bool
    _error: BaseException | None
    _handle: int
    _hub: Hub
    _joiners: list[Any]
    _links: list[Any] | None
    _resource: int
    value: Any
    name: str

    def ready(self) -> bool:
        """Whether it has ended, and so has a value or an exception."""
        return self._done

    def successful(self) -> bool:
        """Whether it has ended without an exception; being killed is not one."""
        return self._done and self._error is None

    @property
    def exception(self) -> BaseException | None:
        """What its function raised."""
        return self._error

    @property
    def exc_info(self) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
        """What its function raised, as ``sys.exc_info`` would give it."""
        error = self._error
        return (type(error), error, error.__traceback__) if error is not None else None

    # Waiting for it.

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, for at most ``timeout`` seconds; raises nothing if it has not."""
        if not self._done:
            self._await(timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Its value, once it has ended.

        Args:
            block: whether to wait for that.
            timeout: seconds to wait at most.

        Raises:
            Timeout: it has not ended by then.
            BaseException: what its function raised.
        """
        if not self._done:
            if not block:
                raise Timeout
            if timeout is None:
                self._await(None)
            else:
                self._await_or_raise(timeout)
        if self._error is not None:
            raise self._error
        return self.value

    def rawlink(self, callback: Link) -> None:
        """Have the hub call ``callback`` with this greenlet when it has ended; it must not wait."""
        require_callable(callback)
        links = [callback]
        if self._links is None:  # no call between: another thread may link as well
            self._links = links
        else:
            self._links.append(callback)
        if self._done:
            self._call_links()

    def link(self, callback: Link, SpawnedLink: Callable[[Link], Link] = SpawnedLink) -> None:  # noqa: N803
        """Spawn ``callback`` with this greenlet when it has ended."""
        self.rawlink(SpawnedLink(callback))

    def link_value(self, callback: Link, SpawnedLink: Callable[[Link], Link] = SuccessSpawnedLink) -> None:  # noqa: N803
        """Spawn ``callback`` with this greenlet when it has ended without an exception."""
        self.rawlink(SpawnedLink(callback))

    def link_exception(self, callback: Link, SpawnedLink: Callable[[Link], Link] = FailureSpawnedLink) -> None:  # noqa: N803
        """Spawn ``callback`` with this greenlet when it has ended with an exception."""
        self.rawlink(SpawnedLink(callback))

    def unlink(self, callback: Link) -> None:
        """Undo one ``link`` or ``rawlink``."""
        if self._links:
            withdraw(self._links, callback)

    def unlink_all(self) -> None:
        """Undo every link."""
        if self._links is not None:
            self._links.clear()

    def has_links(self) -> bool:
        """Whether anything is linked to its end."""
        return bool(self._links)

    def joined_by(self, place: Any) -> bool:
        """Have ``place.ended`` called with it at its end; False if it has ended."""
        self._joiners.append(place)
        if self._done:  # in another thread, perhaps just now: it is told by it, or not
            return not withdraw(self._joiners, place)
        return True

    def left_by(self, place: Any) -> None:
        """Undo ``joined_by``."""
        withdraw(self._joiners, place)

    def _hub_now(self) -> Hub:
        """Its hub."""
        raise NotImplementedError

    def _number_in(self, hub: Hub) -> int:
        """Its number in the recording of ``hub``; 0 if it is another hub's."""
        if self._hub is not hub:
            return 0
        return number_of(self._handle) or NOT_STARTED

    def _name_to_joiners(self) -> None:
        """It has a number from now on, which those that wait for its end already do not know."""
        recorder = self._hub.recorder
        for place in list(self._joiners):
            if getattr(place, "greenlet", None) is None:  # one that is not parked yet; or a pool, which never parks
                continue
            if place.state.hub is self._hub and place.item is self:
                recorder.awaits(place.state.handle, place.resource, self._handle)

    def _tell_end(self) -> None:
        if self._links:
            self._call_links()  # before the joiners: who goes on after join() finds them called
        joiners = self._joiners
        while joiners:
            try:
                place = joiners.pop(0)
            except IndexError:  # it waits no longer
                break
            place.ended(self)

    def _call_links(self) -> None:
        links = self._links
        hub = self._hub_now()
        here = get_ident() == hub.thread
        while links:
            try:
                link = links.pop(0)
            except IndexError:
                return
            if not here:
                hub.loop.call_threadsafe(link, self)
            elif isinstance(link, SpawnedLink):
                link(self)
            else:
                hub.call(link, self)

    def _resource_in(self, hub: Hub) -> int:
        """The number of its end, as something to wait for, in the recording."""
        if not self._resource:
            self._resource = hub.recorder.resource()
        return self._resource

    def _await(self, timeout: float | None) -> bool:
        if getcurrent() is self:
            raise RuntimeError(f"{self.name} cannot wait for itself to end")
        hub = get_hub()
        place = _Joining(_JOIN, self._resource_in(hub), "")
        place.item = self
        name_awaited(place, self._number_in(hub))
        joiners = self._joiners
        try:
            joiners.append(place)
            if self._done:  # in another thread, just now
                return True
            if timeout is None:
                hub.park(place)
                return True
            return park_for(hub, place, timeout)
        finally:
            if not self._done:
                withdraw(joiners, place)

    def _await_or_raise(self, timeout: float | Timeout) -> None:
        timer = Timeout.start_new(timeout)
        try:
            self._await(None)
        except Timeout as error:
            if error is not timer or not self._done:
                raise
        finally:
            timer.cancel()


class _Joining(Place):
    """Who waits for one greenlet to end: the one in ``item``."""

    __slots__ = ()

    def ended(self, _one: Ending) -> None:
        """What the greenlet calls at its end, in its thread."""
        self.give()

    def describe(self) -> str:
        return f"greenlet {self.item.name} to end"
