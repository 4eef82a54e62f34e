"""Putting an item into a queue and getting one, as long as nobody has to wait: the twin of ``_queue_base.c``.

Owns ``Base``, of which the queues are made when the extension could not be built. What holds the items is
``queue``, and ``_store`` and ``_take`` are how; ``_room`` is how many more fit. Who has to wait, and who is
waited for, is the business of ``simple_queue``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Base"]

T = TypeVar("T")


class Base(Generic[T]):
    """A queue, as far as nobody has to wait."""

    __slots__ = ("_count", "_getters", "_putters", "_room", "_store", "_take", "queue")

    queue: Any
    _getters: deque[Any]
    _putters: deque[Any]
    _store: Callable[[T], object]
    _take: Callable[[], T]
    _room: float
    _count: int

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Put an item in.

        Args:
            item: it.
            block: whether to wait for room.
            timeout: seconds to wait at most.

        Raises:
            Full: there was no room.
            ShutDown: it was shut down.
            ValueError: a negative time.
        """
        if self._getters and self._hand(item):
            return
        if self._room > 0:
            self._room -= 1
            self._count += 1
            try:
                self._store(item)
            except BaseException:  # of items that cannot be compared
                self._room += 1
                self._count -= 1
                raise
            if self._getters:
                self._match()
        else:
            self._wait_for_room(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Take the item whose turn it is.

        Args:
            block: whether to wait for one.
            timeout: seconds to wait at most.

        Raises:
            Empty: there was none.
            ShutDown: it was shut down, and there is nothing in it.
            ValueError: a negative time.
        """
        if self.queue:
            try:
                item: T = self._take()
            except IndexError:  # another thread took it
                return self._wait_for_item(block, timeout, None)
            self._room += 1
            if self._putters:
                self._admit()
            return item
        return self._wait_for_item(block, timeout, None)

    def _hand(self, item: T) -> bool:
        raise NotImplementedError

    def _match(self) -> None:
        raise NotImplementedError

    def _admit(self) -> None:
        raise NotImplementedError

    def _wait_for_room(self, item: T, block: bool, timeout: float | None) -> None:
        raise NotImplementedError

    def _wait_for_item(self, block: bool, timeout: float | None, wanted: Any) -> T:
        raise NotImplementedError
