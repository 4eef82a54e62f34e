"""The bare queue, and how items and greenlets find each other across threads.

Owns ``SimpleQueue``, whose subclasses in ``queue`` keep their items otherwise or count what is done with
them, and ``ShutDown``, the standard library's where it has one.

An item goes straight to the greenlet that has waited longest for one, and a greenlet that waits to put
has its item taken in as soon as there is room, so nobody can overtake. An item whose getter is killed on
the way goes back to the front. Any thread may put and get; see ``line`` for how. The room that is left is
a number of its own, infinite for a queue without a limit, so that to look and to take is one step.
"""

from __future__ import annotations

import queue as _stdlib
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from queue import Empty, Full
from time import sleep as _let_other_threads_run
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.line import NOBODY, Place, park_for, withdraw
from greenscope.runtime.timeout import Timeout
from greenscope.trace.events import Wait

if TYPE_CHECKING:
    from greenscope.runtime.queue_base import Base
else:
    try:
        from greenscope.runtime._queue_base import Base as _Base
    except ImportError:
        from greenscope.runtime.queue_base import Base
    else:

        class Base(_Base, Generic[TypeVar("T")]):
            """The queue of C, which takes a type in brackets."""

            __slots__ = ()


__all__ = ["ShutDown", "SimpleQueue"]

T = TypeVar("T")

Ways = tuple[Callable[[Any], object], Callable[[], Any]]

_QUEUE = Wait.QUEUE
_PEEK: Any = object()  # the item of a getter that only wants to look
_REFUSED: Any = object()  # what whoever waits is given when the queue is shut down

if TYPE_CHECKING:

    class ShutDown(Exception):
        """The queue was shut down."""

else:
    ShutDown = getattr(_stdlib, "ShutDown", None)
    if ShutDown is None:

        class ShutDown(Exception):
            """The queue was shut down; the standard library has it from Python 3.13 on."""


class SimpleQueue(Base[T]):
    """Items on their way from some greenlets to others, first in, first out.

    A subclass may keep them otherwise: it overrides ``_create_queue``, ``_put``, ``_get``, ``_peek``.

    Args:
        maxsize: how many items it holds before ``put`` waits; None, 0 and less are no limit.
        items: what it holds at first.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_hub_number",
        "_resource",
        "is_shutdown",
        "maxsize",
    )

    def __init__(self, maxsize: int | None = None, items: Iterable[T] = ()) -> None:
        self.maxsize = maxsize if maxsize is not None and maxsize > 0 else None
        self._getters = NOBODY
        self._putters = NOBODY
        self._resource = 0
        self._hub_number = 0
        self.is_shutdown = False
        if items:
            self._init(maxsize, items)
        else:  # as the standard library calls it
            self._init(maxsize)
        self._count = held = self._qsize()
        self._room = inf if self.maxsize is None else self.maxsize - held
        kind = type(self)
        if kind._put in built_in and kind._get in built_in and kind._init is SimpleQueue._init:
            self._store, self._take = self._ways()
        else:
            self._store, self._take = partial(kind._put, self), partial(kind._get, self)

    __class_getitem__: Any = classmethod(GenericAlias)

    def qsize(self) -> int:
        """How many items it holds."""
        return self._qsize()

    def __len__(self) -> int:
        return self._qsize()

    def __bool__(self) -> bool:
        """True: a queue is not nothing because it is empty."""
        return True

    def empty(self) -> bool:
        """Whether ``get`` would wait."""
        return not self._qsize()

    def full(self) -> bool:
        """Whether ``put`` would wait."""
        return self.maxsize is not None and self._qsize() >= self.maxsize

    def copy(self) -> Self:
        """A queue of the same kind that holds the same items."""
        return type(self)(self.maxsize, self.queue)

    def peek(self, block: bool = True, timeout: float | None = None) -> T:
        """The item that ``get`` would take; it stays. Takes and raises what ``get`` does."""
        try:
            return self._peek()
        except IndexError:
            return self._wait_for_item(block, timeout, _PEEK)

    def put_nowait(self, item: T) -> None:
        """``put`` without waiting."""
        self.put(item, block=False)

    def get_nowait(self) -> T:
        """``get`` without waiting."""
        return self.get(block=False)

    def peek_nowait(self) -> T:
        """``peek`` without waiting."""
        return self.peek(block=False)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """``get``; the class ``StopIteration`` as an item ends the iteration."""
        item = self.get()
        if item is StopIteration:
            raise item
        return item

    def __repr__(self) -> str:
        limit = f" of {self.maxsize}" if self.maxsize else ""
        waiting = f"{len(self._getters)} waiting to get, {len(self._putters)} to put"
        return f"<{type(self).__name__} {self._qsize()}{limit} items, {waiting}>"

    # How the items are kept.

    def _init(self, maxsize: int | None, items: Iterable[T] = ()) -> None:  # noqa: ARG002  (gevent's signature)
        self.queue = self._create_queue(items)

    def _create_queue(self, items: Iterable[T] = ()) -> Any:
        return deque(items)

    def _qsize(self) -> int:
        return len(self.queue)

    def _put(self, item: T) -> None:
        self.queue.append(item)

    def _get(self) -> T:
        got: T = self.queue.popleft()
        return got

    def _peek(self) -> T:
        first: T = self.queue[0]
        return first

    def _put_back(self, item: T) -> None:
        self.queue.appendleft(item)

    def _ways(self) -> Ways:
        """How to put and to get, without a call of ours in between."""
        return self.queue.append, self.queue.popleft

    # Who waits, and who gets what.

    def _number(self) -> tuple[Hub, int]:
        hub = get_hub()
        if self._hub_number != hub.number:
            self._resource = hub.recorder.resource()
            self._hub_number = hub.number
        return hub, self._resource

    def _wait_for_room(self, item: T, block: bool, timeout: float | None) -> None:
        if self.is_shutdown:
            raise ShutDown
        if not block:
            raise Full
        _require_time(timeout)
        hub, resource = self._number()
        place = Place(_QUEUE, resource, "room in a queue")
        place.item = item
        try:
            if self._putters is NOBODY:
                putters: deque[Place] = deque()
                if self._putters is NOBODY:  # another thread may have made it in between
                    self._putters = putters
            self._putters.append(place)
            self._admit()
            self._refuse_if_shut_down()
            there_is = park_for(hub, place, timeout)
        except BaseException:
            withdraw(self._putters, place)
            raise
        if not there_is and withdraw(self._putters, place):
            raise Full
        if place.item is _REFUSED:
            raise ShutDown

    def _wait_for_item(self, block: bool, timeout: float | None, wanted: Any) -> T:
        if self.is_shutdown:
            raise ShutDown
        if not block:
            raise Empty
        if timeout is not None:
            _require_time(timeout)
        hub, resource = self._number()
        place = Place(_QUEUE, resource, "an item of a queue")
        place.item = wanted
        there_is = True
        try:
            if self._getters is NOBODY:
                getters: deque[Place] = deque()
                if self._getters is NOBODY:
                    self._getters = getters
            self._getters.append(place)
            if self.queue:
                self._match()
            self._refuse_if_shut_down()
            if timeout is None:
                hub.park(place)
            else:
                there_is = park_for(hub, place, timeout)
        except BaseException:
            if not withdraw(self._getters, place) and wanted is not _PEEK:
                self._give_back(place)
            raise
        if not there_is and withdraw(self._getters, place):
            raise Empty
        item: Any = _item_of(place)
        if item is _REFUSED:
            raise ShutDown
        return item  # type: ignore[no-any-return]

    def _hand(self, item: T) -> bool:
        """Give ``item`` to the first who waits for one; False if nobody does any more."""
        getters = self._getters
        while getters:
            try:
                place = getters.popleft()
            except IndexError:  # it waits no longer
                break
            looks = place.item is _PEEK
            place.item = item
            if looks:
                place.give()
                continue
            self._count += 1
            if place.give():
                return True
            self._count -= 1
        return False

    def _match(self) -> None:
        """Give what is in the queue to those who wait for it, as when two threads passed each other."""
        getters = self._getters
        while self.queue and getters:
            try:
                item = self._take()  # first the item: a place could not be put back into its line
            except IndexError:
                continue
            try:
                place = getters.popleft()
            except IndexError:
                self._put_back(item)
                continue
            looks = place.item is _PEEK
            place.item = item
            if not place.give() or looks:
                self._put_back(item)
                continue
            self._room += 1
            self._admit()

    def _admit(self) -> None:
        """Take in what others wait to put, as far as there is room."""
        putters = self._putters
        while putters and self._room > 0:
            self._room -= 1
            try:
                place = putters.popleft()
            except IndexError:
                self._room += 1
                continue
            self._count += 1
            self._store(place.item)
            place.give()
            if self._getters:
                self._match()

    def _give_back(self, place: Place) -> None:
        """Whoever had this place was killed with an item in its hands."""
        item = _item_of(place)
        if item is not _REFUSED:
            self._room -= 1
            self._put_back(item)
            if self._getters:
                self._match()

    def _refuse_if_shut_down(self) -> None:
        """Tell those who wait that the queue was shut down."""
        if not self.is_shutdown:
            return
        lines = (self._putters,) if self.queue else (self._putters, self._getters)
        for line in lines:
            while line:
                try:
                    place = line.popleft()
                except IndexError:
                    break
                place.item = _REFUSED
                place.give()


built_in: set[Callable[..., object]] = {SimpleQueue._put, SimpleQueue._get}
"""The ways to put and to get for which ``_ways`` stands; a subclass that overrides them is asked instead."""


def _item_of(place: Place) -> Any:
    while not place.given:
        # Another thread has taken the place out of its line and is about to give: some lines of code of
        # its own, for which it needs the interpreter.
        _let_other_threads_run(0)
    item, place.item = place.item, None
    return item


def _require_time(timeout: Any) -> None:
    if timeout is not None and not isinstance(timeout, Timeout) and timeout < 0:
        raise ValueError(f"'timeout' must be a non-negative number, not {timeout}")
