"""Channels: a hand meets a hand; an item is never put down in between.

Owns ``Channel``, gevent's queue without any room: ``put`` waits until somebody gets, ``get`` until
somebody puts. As two have to leave their lines at once, a lock of the interpreter guards the moment;
nobody waits while holding it.
"""

from __future__ import annotations

from _thread import RLock
from collections import deque
from queue import Empty, Full
from types import GenericAlias
from typing import Any, Generic, Self, TypeVar

from greenscope.runtime.hub import get_hub
from greenscope.runtime.line import Linkable, Place, park_for, withdraw
from greenscope.trace.events import Wait

__all__ = ["Channel"]

T = TypeVar("T")

_QUEUE = Wait.QUEUE


class Channel(Generic[T]):
    """Hands items over from greenlets that put to greenlets that get.

    Args:
        maxsize: 1, or left out; there is no other.
    """

    def __init__(self, maxsize: int = 1) -> None:
        if maxsize != 1:
            raise ValueError(f"a channel hands over one item at a time; it cannot have a size of {maxsize}")
        self.getters: deque[Place] = deque()
        self.putters: deque[Place] = deque()
        self._returned: deque[T] = deque()  # whose getter was killed on the way
        self._guard = RLock()
        self._resources = Linkable()

    __class_getitem__: Any = classmethod(GenericAlias)

    @property
    def balance(self) -> int:
        """How many more wait to put than wait to get."""
        return len(self.putters) - len(self.getters)

    def qsize(self) -> int:
        """Nothing is ever in it."""
        return 0

    def empty(self) -> bool:
        """Nothing is ever in it."""
        return True

    def full(self) -> bool:
        """There is never room in it."""
        return True

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Hand an item over.

        Args:
            item: it.
            block: whether to wait for somebody who gets.
            timeout: seconds to wait at most.

        Raises:
            Full: nobody did.
        """
        with self._guard:
            while self.getters:
                getter = self.getters.popleft()
                getter.item = item
                if getter.give():
                    return
            if not block:
                raise Full
            place = self._place("somebody to get from a channel")
            place.item = item
            self.putters.append(place)
        if not self._met(self.putters, place, timeout):
            raise Full

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Take an item.

        Args:
            block: whether to wait for somebody who puts.
            timeout: seconds to wait at most.

        Raises:
            Empty: nobody did.
        """
        with self._guard:
            if self._returned:
                return self._returned.popleft()
            while self.putters:
                putter = self.putters.popleft()
                item: T = putter.item
                if putter.give():
                    return item
            if not block:
                raise Empty
            place = self._place("somebody to put into a channel")
            self.getters.append(place)
        try:
            met = self._met(self.getters, place, timeout)
        except BaseException:
            if place.given:
                self._give_back(place.item)
            raise
        if not met:
            raise Empty
        got: T = place.item
        return got

    def put_nowait(self, item: T) -> None:
        """``put`` without waiting."""
        self.put(item, block=False)

    def get_nowait(self) -> T:
        """``get`` without waiting."""
        return self.get(block=False)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """``get``; the class ``StopIteration`` as an item ends the iteration."""
        item = self.get()
        if item is StopIteration:
            raise item
        return item

    def __repr__(self) -> str:
        return f"<Channel {len(self.getters)} waiting to get, {len(self.putters)} to put>"

    def _place(self, what: str) -> Place:
        return Place(_QUEUE, self._resources._number(get_hub()), what)

    def _met(self, line: deque[Place], place: Place, timeout: float | None) -> bool:
        try:
            if park_for(get_hub(), place, timeout):
                return True
        except BaseException:
            with self._guard:
                withdraw(line, place)
            raise
        with self._guard:
            return not withdraw(line, place)

    def _give_back(self, item: Any) -> None:
        with self._guard:
            while self.getters:
                getter = self.getters.popleft()
                getter.item = item
                if getter.give():
                    return
            self._returned.appendleft(item)
