"""Calls in many greenlets: apply, map and imap, for whatever can spawn.

Owns ``Mapping``, the half of groups and pools that is about calls, and their iterators. ``imap`` is lazy:
a greenlet of its own walks over the arguments, no further than the pool has room and ``maxsize`` lets it;
who iterates waits for the next result only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from greenscope.runtime.greenlet import Greenlet
from greenscope.runtime.queue import Queue
from greenscope.runtime.semaphore import Semaphore

__all__ = ["IMap", "IMapUnordered", "Mapping"]


class Mapping:
    """What can ``spawn``, and so call functions: here, all at once, or one after the other."""

    def spawn(self, *args: Any, **kwargs: Any) -> Greenlet:
        """A started greenlet with these arguments."""
        raise NotImplementedError

    def apply(
        self, func: Callable[..., Any], args: Iterable[Any] | None = None, kwds: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func`` in a greenlet of this group, and wait for what it returns.

        Called by a greenlet of this very group, it calls ``func`` at once: to wait for room could take for ever.

        Raises:
            BaseException: what ``func`` raised.
        """
        arguments, keywords = tuple(args or ()), kwds or {}
        if self._apply_here():
            return func(*arguments, **keywords)
        return self.spawn(func, *arguments, **keywords).get()

    def apply_cb(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwds: dict[str, Any] | None = None,
        callback: Callable[[Any], object] | None = None,
    ) -> Any:
        """``apply``, and then ``callback`` with the result, in a greenlet of its own."""
        result = self.apply(func, args, kwds)
        if callback is not None:
            self._spawn_outside(callback, result)
        return result

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwds: dict[str, Any] | None = None,
        callback: Callable[[Any], object] | None = None,
    ) -> Greenlet:
        """A greenlet that calls ``func``, and then ``callback`` with the result unless it failed; never waits.

        It is one of this group if there is room.
        """
        arguments, keywords = tuple(args or ()), kwds or {}
        if self._use_outside():
            return self._spawn_outside(self.apply_cb, func, arguments, keywords, callback)
        greenlet = self.spawn(func, *arguments, **keywords)
        if callback is not None:
            greenlet.link_value(_PassResult(callback))
        return greenlet

    def map(self, func: Callable[..., Any], iterable: Iterable[Any]) -> list[Any]:
        """What ``func`` returns for each, in order; waits for all.

        Raises:
            BaseException: what one of the calls raised.
        """
        return list(self.imap(func, iterable))

    def map_cb(
        self, func: Callable[..., Any], iterable: Iterable[Any], callback: Callable[[Any], object] | None = None
    ) -> list[Any]:
        """``map``, and then ``callback`` with the list."""
        result = self.map(func, iterable)
        if callback is not None:
            callback(result)
        return result

    def map_async(
        self, func: Callable[..., Any], iterable: Iterable[Any], callback: Callable[[Any], object] | None = None
    ) -> Greenlet:
        """A greenlet that gives what ``map`` does, outside of this group."""
        return Greenlet.spawn(self.map_cb, func, iterable, callback)

    def imap(self, func: Callable[..., Any], *iterables: Iterable[Any], maxsize: int | None = None) -> IMap:
        """Iterates over what ``func`` returns, in order of the arguments; a call that failed raises there.

        Args:
            func: is called with an item of each iterable.
            iterables: where the arguments come from; the shortest decides.
            maxsize: how many results may wait to be taken before no further call is made; None is no limit.
        """
        return IMap.spawn(func, zip(*iterables, strict=False), self.spawn, maxsize)

    def imap_unordered(
        self, func: Callable[..., Any], *iterables: Iterable[Any], maxsize: int | None = None
    ) -> IMapUnordered:
        """``imap``, in the order in which the calls end."""
        return IMapUnordered.spawn(func, zip(*iterables, strict=False), self.spawn, maxsize)

    def _apply_here(self) -> bool:
        return False

    def _use_outside(self) -> bool:
        return True

    def _spawn_outside(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Greenlet:
        raise NotImplementedError


class _PassResult:
    """Calls a function with the value of a greenlet that ended."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[Any], object]) -> None:
        self.callback = callback

    def __call__(self, source: Greenlet) -> None:
        self.callback(source.value)


_END: Any = object()


class _Failure:
    """An exception on its way to who iterates."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class IMapUnordered(Greenlet, Iterator[Any]):
    """Walks over arguments and spawns a call for each; iterates over the results as they come.

    Args:
        function: what to call.
        arguments: a tuple for each call.
        spawn: starts a call.
        maxsize: how many results may wait to be taken; None is no limit.

    Raises:
        ValueError: a negative size.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Iterator[tuple[Any, ...]],
        spawn: Callable[..., Greenlet],
        maxsize: int | None = None,
    ) -> None:
        super().__init__()
        self._call = function
        self._arguments = arguments
        self._spawn_call = spawn
        # Room for results, taken by the call and given back by who takes the result.
        self._room = Semaphore(maxsize) if maxsize else None
        if maxsize is not None and maxsize < 0:
            raise ValueError(f"a number of results is 0 or more, not {maxsize}")
        self._results: Queue[Any] = Queue()
        self._running = 0
        self._all_spawned = False
        self._over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """The next result.

        Raises:
            StopIteration: there is none left.
            BaseException: what the call raised; the iteration can go on.
        """
        if self._over or (self.dead and not self._all_spawned):  # killed before it ran
            raise StopIteration
        result = self._next_result()
        if result is _END:
            self._over = True
            raise StopIteration
        if self._room is not None:
            self._room.release()
        if isinstance(result, _Failure):
            raise result.error
        return result

    next = __next__

    def _run(self) -> None:
        number = -1
        try:
            for number, call in enumerate(self._arguments):
                if self._room is not None:
                    self._room.acquire()
                self._running += 1
                try:
                    greenlet = self._spawn_call(self._call, *call)
                except BaseException:
                    self._running -= 1
                    raise
                deliver = _Deliver(self, number)
                joined_by = getattr(greenlet, "joined_by", None)
                if joined_by is None:
                    greenlet.rawlink(deliver.ended)
                elif not joined_by(deliver):
                    deliver.ended(greenlet)
        except Exception as error:  # of the arguments' iterator
            self._put(number + 1, _Failure(error))
        finally:
            self._arguments = iter(())
            self._all_spawned = True
            if not self._running:
                self._put_end()

    # What is different if the order matters.

    def _next_result(self) -> Any:
        return self._results.get()

    def _put(self, _number: int, result: Any) -> None:
        self._results.put(result)

    def _put_end(self) -> None:
        self._results.put(_END)

    def _delivered(self, number: int, greenlet: Greenlet) -> None:
        self._running -= 1
        error = greenlet.exception
        self._put(number, greenlet.value if error is None else _Failure(error))
        if self._all_spawned and not self._running:
            self._put_end()


class IMap(IMapUnordered):
    """Walks over arguments and spawns a call for each; iterates over the results in the arguments' order."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Iterator[tuple[Any, ...]],
        spawn: Callable[..., Greenlet],
        maxsize: int | None = None,
    ) -> None:
        super().__init__(function, arguments, spawn, maxsize)
        self._early: dict[int, Any] = {}  # results whose turn it is not yet
        self._turn = 0

    def _next_result(self) -> Any:
        early = self._early
        while self._turn not in early:
            got = self._results.get()
            if got is _END:
                return _END
            number, result = got
            early[number] = result
        result = early.pop(self._turn)
        self._turn += 1
        return result

    def _put(self, number: int, result: Any) -> None:
        self._results.put((number, result))


class _Deliver:
    """Brings the result of a call to who collects them."""

    __slots__ = ("number", "to")

    def __init__(self, to: IMapUnordered, number: int) -> None:
        self.to = to
        self.number = number

    def ended(self, greenlet: Greenlet) -> None:
        """What the greenlet calls at its end, in its thread."""
        self.to._delivered(self.number, greenlet)
