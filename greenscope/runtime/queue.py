"""Queues: one greenlet puts, another gets.

Owns ``Queue`` (first in, first out), ``LifoQueue`` and ``PriorityQueue``, which count what has been done
with their items and can be joined, so that ``JoinableQueue`` is ``Queue``. The bare ``SimpleQueue`` and
``Channel``, which holds nothing, are in modules of their own, and so is how greenlets wait. ``Empty``,
``Full`` and, where it has one, ``ShutDown`` are the standard library's.
"""

from __future__ import annotations

from _thread import RLock
from collections import deque
from collections.abc import Iterable
from functools import partial
from heapq import heapify, heappop, heappush
from math import inf
from queue import Empty, Full
from typing import Any, Self, TypeVar

from greenscope.runtime.channel import Channel
from greenscope.runtime.line import NOBODY, Place, stay, tell
from greenscope.runtime.simple_queue import ShutDown, SimpleQueue, Ways, built_in
from greenscope.trace.events import Wait

__all__ = [
    "Channel",
    "Empty",
    "Full",
    "JoinableQueue",
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "ShutDown",
    "SimpleQueue",
]

T = TypeVar("T")

_QUEUE = Wait.QUEUE


class Queue(SimpleQueue[T]):
    """Items on their way from some greenlets to others, and whether they have been dealt with.

    Args:
        maxsize: how many items it holds before ``put`` waits; None, 0 and less are no limit.
        items: what it holds at first.
        unfinished_tasks: how many items are to be dealt with; None is as many as it holds.
    """

    __slots__ = ("_joiners",)

    def __init__(
        self, maxsize: int | None = None, items: Iterable[T] = (), unfinished_tasks: int | None = None
    ) -> None:
        super().__init__(maxsize, items)
        self._joiners: deque[Any] = NOBODY
        if unfinished_tasks is not None:
            self._count = unfinished_tasks

    @property
    def unfinished_tasks(self) -> int:
        """How many items were put in and not yet reported by ``task_done``."""
        return self._count

    def task_done(self) -> None:
        """An item that was got has been dealt with.

        Raises:
            ValueError: more often than items were put in.
        """
        if self._count <= 0:
            raise ValueError("task_done() called too many times: once for each item that was put in")
        self._count = left = self._count - 1
        if not left:
            tell(self._joiners)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until every item has been dealt with, for at most ``timeout`` seconds; whether they have."""
        if not self._count:
            return True
        hub, resource = self._number()
        place = Place(_QUEUE, resource, "a queue's items to be dealt with")
        if self._joiners is NOBODY:
            joiners: deque[Any] = deque()
            if self._joiners is NOBODY:  # another thread may have made it in between
                self._joiners = joiners
        return stay(hub, self._joiners, place, self._all_done, timeout)

    def shutdown(self, immediate: bool = False) -> None:
        """Let nothing more in, and nobody wait any longer: ``put`` raises ``ShutDown``, ``get`` when it is empty.

        Args:
            immediate: whether to drop what it holds.
        """
        self.is_shutdown = True
        self._room = -inf
        if immediate:
            while self.queue:
                try:
                    self._take()
                except IndexError:
                    break
                if self._count > 0:
                    self.task_done()
        self._refuse_if_shut_down()

    def copy(self) -> Self:
        """A queue of the same kind that holds the same items."""
        return type(self)(self.maxsize, self.queue, self._count)

    def _all_done(self) -> bool:
        return not self._count


JoinableQueue = Queue


class LifoQueue(Queue[T]):
    """A queue that gives what was put in last."""

    __slots__ = ()

    def _create_queue(self, items: Iterable[T] = ()) -> Any:
        return list(items)

    def _get(self) -> T:
        got: T = self.queue.pop()
        return got

    def _peek(self) -> T:
        last: T = self.queue[-1]
        return last

    def _put_back(self, item: T) -> None:
        self.queue.append(item)

    def _ways(self) -> Ways:
        return self.queue.append, self.queue.pop


class PriorityQueue(Queue[T]):
    """A queue that gives the smallest item first."""

    __slots__ = ("_guard",)

    def _create_queue(self, items: Iterable[T] = ()) -> Any:
        # Items may compare themselves in Python, where another thread can come in between.
        self._guard = RLock()
        heap: list[Any] = list(items)
        heapify(heap)
        return heap

    def _put(self, item: T) -> None:
        _push(self._guard, self.queue, item)

    def _get(self) -> T:
        smallest: T = _pop(self._guard, self.queue)
        return smallest

    def _put_back(self, item: T) -> None:
        self._put(item)

    def _ways(self) -> Ways:
        return partial(_push, self._guard, self.queue), partial(_pop, self._guard, self.queue)


def _push(guard: Any, heap: list[Any], item: Any) -> None:
    with guard:
        try:
            heappush(heap, item)
        except BaseException:  # it cannot be compared with another; and is in already, somewhere
            heap[:] = [one for one in heap if one is not item]
            heapify(heap)
            raise


def _pop(guard: Any, heap: list[Any]) -> Any:
    with guard:
        return heappop(heap)


built_in.update((LifoQueue._get, PriorityQueue._put, PriorityQueue._get))
