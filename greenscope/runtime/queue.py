"""Queues: one greenlet puts, another gets, first in first out.

Owns ``Queue``; ``Empty`` and ``Full`` are the standard library's. An item goes straight to the greenlet
that has waited longest for one, and a greenlet that waits to put has its item taken in as soon as there
is room, so nobody can overtake. An item whose getter is killed on the way goes back to the front.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from queue import Empty, Full
from typing import Any, Generic, TypeVar

from greenscope.runtime.greenlet import park_for
from greenscope.runtime.hub import get_hub
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Ready, Wait

__all__ = ["Empty", "Full", "Queue"]

T = TypeVar("T")


class _Place(Waiter):
    """One greenlet's place in the line of those who get, or of those who put."""

    __slots__ = ("done", "item")

    def __init__(self, resource: int, what: str, item: Any) -> None:
        super().__init__(Wait.QUEUE, resource, what)
        self.item = item
        self.done = False


class Queue(Generic[T]):
    """Items on their way from some greenlets to others.

    Args:
        maxsize: how many items it holds before ``put`` waits; None, 0 and less are no limit.
        items: what it holds at first.
    """

    def __init__(self, maxsize: int | None = None, items: Iterable[T] = ()) -> None:
        self.maxsize = maxsize if maxsize is not None and maxsize > 0 else None
        self._items: deque[T] = deque(items)
        self._getters: deque[_Place] = deque()
        self._putters: deque[_Place] = deque()
        self._resource = 0

    def qsize(self) -> int:
        """How many items it holds."""
        return len(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        """True: a queue is not nothing because it is empty."""
        return True

    def empty(self) -> bool:
        """Whether ``get`` would wait."""
        return not self._items

    def full(self) -> bool:
        """Whether ``put`` would wait."""
        return self.maxsize is not None and len(self._items) >= self.maxsize

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Put an item in.

        Args:
            item: it.
            block: whether to wait for room.
            timeout: seconds to wait at most.

        Raises:
            Full: there was no room.
        """
        if self._getters:
            self._serve(self._getters.popleft(), item)
        elif not self.full():
            self._items.append(item)
        elif not block:
            raise Full
        else:
            place = self._wait(self._putters, "room in a queue", item, timeout)
            if not place.done:
                raise Full

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Take the item that has been in longest.

        Args:
            block: whether to wait for one.
            timeout: seconds to wait at most.

        Raises:
            Empty: there was none.
        """
        if self._items:
            item = self._items.popleft()
            if self._putters:
                self._admit()
            return item
        if not block:
            raise Empty
        place = self._wait(self._getters, "an item of a queue", None, timeout)
        if not place.done:
            raise Empty
        got: T = place.item
        return got

    def put_nowait(self, item: T) -> None:
        """``put`` without waiting."""
        self.put(item, block=False)

    def get_nowait(self) -> T:
        """``get`` without waiting."""
        return self.get(block=False)

    def __repr__(self) -> str:
        limit = f" of {self.maxsize}" if self.maxsize else ""
        return (
            f"<Queue {len(self._items)}{limit} items, {len(self._getters)} waiting to get, {len(self._putters)} to put>"
        )

    def _wait(self, line: deque[_Place], what: str, item: T | None, timeout: float | None) -> _Place:
        hub = get_hub()
        if not self._resource:
            self._resource = hub.recorder.resource()
        place = _Place(self._resource, what, item)
        line.append(place)
        try:
            park_for(hub, place, timeout)
        except BaseException:
            if place.done and line is self._getters:
                self._give_back(place.item)
            raise
        finally:
            if not place.done:
                line.remove(place)
        return place

    def _serve(self, place: _Place, item: T) -> None:
        place.item = item
        place.done = True
        place.wake(Ready.GREENLET, get_hub().recorder.current)

    def _admit(self) -> None:
        place = self._putters.popleft()
        self._items.append(place.item)
        place.done = True
        place.wake(Ready.GREENLET, get_hub().recorder.current)

    def _give_back(self, item: T) -> None:
        if self._getters:
            self._serve(self._getters.popleft(), item)
        else:
            self._items.appendleft(item)
