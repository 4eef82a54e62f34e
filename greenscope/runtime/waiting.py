"""Waiting for many things: greenlets, events, semaphores, whatever can be linked to.

Owns ``iwait`` and ``wait`` (for anything with ``rawlink`` and ``unlink``), ``joinall`` and ``killall`` (for
greenlets). What is waited for may end in any thread. Refuses nothing by itself.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self

import greenlet as _greenlet
from greenlet import GreenletExit

from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.line import Place, name_awaited, park_for
from greenscope.runtime.links import Ending
from greenscope.runtime.timeout import Timeout
from greenscope.runtime.waiter import running
from greenscope.trace.events import Ready, Wait

__all__ = ["iwait", "joinall", "kill", "killall", "wait"]

_JOIN = Wait.JOIN


class iwait:  # noqa: N801  (gevent's, a function there)
    """Gives objects as they become ready: iterate over it, in a ``with`` if not to the end.

    Args:
        objects: each with ``rawlink`` and ``unlink``: greenlets, events, results, semaphores.
        timeout: seconds, from the first step on, after which it ends; None is never.
        count: how many to give at most; None is all.
    """

    def __init__(self, objects: Sequence[Any], timeout: float | None = None, count: int | None = None) -> None:
        self._objects = objects = list(objects)
        self._left = len(objects) if count is None else min(count, len(objects))
        self._timeout = timeout
        self._due: float | None = None
        self._ready: deque[Any] = deque()
        self._place: Place | None = None
        self._linked = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """The next that is ready.

        Raises:
            StopIteration: there was none in time, or enough have been given.
        """
        if self._left <= 0:
            self._end()
            raise StopIteration
        if not self._linked:
            self._begin()
        try:
            if not self._ready and not self._wait():
                raise StopIteration
            self._left -= 1
            return self._ready.popleft()
        except BaseException:
            self._end()
            raise

    def _begin(self) -> None:
        self._linked = True
        if self._timeout is not None:
            self._due = monotonic() + self._timeout
        try:
            for one in self._objects:
                one.rawlink(self._tell)
        except BaseException:
            self._end()
            raise

    def _wait(self) -> bool:
        hub = get_hub()
        self._place = place = Place(_JOIN, 0, f"one of {len(self._objects)} things")
        try:
            if self._ready:  # another thread was quicker
                return True
            park_for(hub, place, None if self._due is None else max(0, self._due - monotonic()))
        finally:
            self._place = None
        return bool(self._ready)

    def _tell(self, one: Any) -> None:
        self._ready.append(one)
        place = self._place
        if place is not None:
            place.give()

    def _end(self) -> None:
        objects, self._objects = self._objects, []
        self._left = 0
        if self._linked:
            for one in objects:
                unlink = getattr(one, "unlink", None)
                if unlink is not None:
                    unlink(self._tell)


def wait(
    objects: Sequence[Any] | None = None, timeout: float | None = None, count: int | None = None
) -> list[Any] | bool:
    """Wait for objects to be ready; or, without any, until the hub has nothing left to wait for.

    Args:
        objects: as for ``iwait``.
        timeout: seconds to wait at most.
        count: how many to wait for; None is all.

    Returns:
        Those that are ready, in the order they became so; without objects, whether nothing is left.
    """
    if objects is None:
        return get_hub().join(timeout)
    return list(iwait(objects, timeout, count))


class _Gathering(Place):
    """Who joins many greenlets: woken when enough of them have ended."""

    __slots__ = ("ended_ones", "raises", "rest", "wanted")

    def __init__(self, wanted: int, raises: bool, of: int) -> None:
        super().__init__(_JOIN, 0, f"{of} greenlets to end")
        self.ended_ones: list[Any] = []
        self.wanted = wanted
        self.raises = raises
        self.rest: Iterator[Any] | None = None  # of those it waits for, if that is all of them, whom it has not named

    def ended(self, one: Any) -> None:
        """What a greenlet calls at its end, in its thread."""
        self.ended_ones.append(one)
        if len(self.ended_ones) >= self.wanted or (self.raises and one.exception is not None):
            self.give()
        elif one is self.item and self.rest is not None:
            self.name_next()

    def name_last(self, hub: Hub, all_of: list[Any]) -> None:
        """Say in the recording that it waits for each of these, by the last: most likely it ends last."""
        self.rest = reversed(all_of)
        name_awaited(self, self._next(hub))
        if len(all_of) == 1 and isinstance(self.item, Ending):
            self.resource = self.item._resource_in(hub)  # a wait for one end, as its own ``join`` is

    def name_next(self) -> None:
        """The one that was named has ended."""
        hub = self.state.hub
        if self.greenlet is not None and get_ident() == hub.thread:
            hub.recorder.awaits(self.state.handle, 0, self._next(hub))

    def _next(self, hub: Hub) -> int:
        self.item = next((one for one in self.rest or () if not one.ready()), None)
        return self.item._number_in(hub) if isinstance(self.item, Ending) else 0


def joinall(
    greenlets: Iterable[Any],
    timeout: float | None = None,
    raise_error: bool = False,
    count: int | None = None,
) -> list[Any]:
    """Wait until greenlets have ended.

    Args:
        greenlets: which; or other things that ``wait`` waits for.
        timeout: seconds to wait at most, for all together.
        raise_error: whether to raise what the first that failed raised, as soon as it has.
        count: how many to wait for; None is all.

    Returns:
        Those that have ended, in the order they did.
    """
    waiting = list(greenlets)
    if not all(hasattr(one, "joined_by") for one in waiting):
        return _join_anything(waiting, timeout, raise_error, count)
    wanted = len(waiting) if count is None else min(count, len(waiting))
    gathering = _Gathering(wanted, raise_error, len(waiting))
    done = gathering.ended_ones
    joined = []
    try:
        for one in waiting:
            if one.joined_by(gathering):
                joined.append(one)
            else:
                done.append(one)
        if len(done) < wanted and not (raise_error and _failed(done)):
            hub = get_hub()
            if wanted == len(waiting) and not raise_error:
                gathering.name_last(hub, joined)
            park_for(hub, gathering, timeout)
    finally:
        for one in joined:
            if not one.ready():
                one.left_by(gathering)
    if raise_error:
        failed = _failed(done)
        if failed is not None:
            raise failed
    return done[:wanted] if count is not None else done


def _failed(done: list[Any]) -> BaseException | None:
    return next((one.exception for one in done if one.exception is not None), None)


def _join_anything(waiting: list[Any], timeout: float | None, raise_error: bool, count: int | None) -> list[Any]:
    done = []
    with iwait(waiting, timeout, count) as ended:
        for one in ended:
            done.append(one)
            error = getattr(one, "exception", None) if raise_error else None
            if error is not None:
                raise error
    return done


def kill(greenlet: Any, exception: BaseException | type[BaseException] = GreenletExit) -> None:
    """Raise ``exception`` in a greenlet, of ``spawn_raw`` too, in the hub's next round; waits for nothing."""
    killall([greenlet], exception, block=False)


def killall(
    greenlets: Iterable[Any],
    exception: BaseException | type[BaseException] = GreenletExit,
    block: bool = True,
    timeout: float | None = None,
) -> None:
    """Raise ``exception`` in greenlets, and wait until they have ended; one that has not run yet never will.

    Args:
        greenlets: which; those of ``spawn_raw`` too, whose end is not waited for longer than a turn.
        exception: what to raise in each.
        block: whether to wait.
        timeout: seconds to wait at most, for all together.

    Raises:
        Timeout: some had not ended by then.
    """
    targets = list(greenlets)
    raw = [one for one in targets if not hasattr(one, "joined_by")]
    for one in targets:
        if hasattr(one, "joined_by"):
            one.kill(exception, block=False)
    hub = get_hub() if raw else None
    for one in raw:
        if hub is not None and not one.dead:
            _raise_in_raw(hub, one, exception)
    if block:
        with Timeout(timeout):
            if hub is not None and running() is not hub:
                hub.give_way()
            joinall([one for one in targets if hasattr(one, "joined_by")])


def _raise_in_raw(hub: Hub, target: _greenlet.greenlet, exception: BaseException | type[BaseException]) -> None:
    error = exception() if isinstance(exception, type) else exception
    hub.raise_in(target, error, Ready.KILL, hub.recorder.current)
