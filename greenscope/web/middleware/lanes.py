"""A coroutine as a lane of the ring: stepped through, so that each step's beginning and end is known.

An event loop has no hub, and nothing of it is replaced. Between a task and the coroutine that it runs stands a
``Lane``, which is a coroutine itself: it passes each step on, and what is awaited back, and records between. A step is
what a switch is of a greenlet, and being suspended is being parked. It becomes ready in the moment in which the future
that it waits for has its callbacks put into the loop's queue (``loop_ring``).

A step within a step (an eager task) is recorded as if the outer one had given way meanwhile.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from greenscope.trace.events import Exit

if TYPE_CHECKING:
    from greenscope.web.middleware.loop_ring import LoopRing

__all__ = ["Lane", "lane_of"]

_RETURNED, _RAISED, _KILLED = int(Exit.RETURNED), int(Exit.RAISED), int(Exit.KILLED)
_ID = (1 << 40) - 1


class Lane(Coroutine[Any, Any, Any]):
    """A coroutine that is recorded.

    Args:
        ring: the loop's.
        coroutine: what is run.
        handle: the lane's, in the ring.
    """

    __slots__ = ("__weakref__", "_coroutine", "_ring", "handle", "number", "waits_for")

    def __init__(self, ring: LoopRing, coroutine: Any, handle: int) -> None:
        self._ring = ring
        self._coroutine = coroutine
        self.handle = handle
        """0 when it has ended."""
        self.number = handle & _ID
        """The greenlet's that stands for it."""
        self.waits_for = 0
        """The id of the future that it waits for, while the ring knows it; 0 if it is ready or runs."""

    def send(self, value: Any) -> Any:
        """A step."""
        return self._step(self._coroutine.send, False, value)

    def __next__(self) -> Any:
        return self._step(self._coroutine.send, False, None)

    def throw(self, kind: Any, value: Any = None, trace: TracebackType | None = None, /) -> Any:
        """A step that begins with an exception."""
        error = kind if value is None and isinstance(kind, BaseException) else value
        if error is None:
            error = kind()
        if trace is not None:
            error = error.with_traceback(trace)
        return self._step(self._coroutine.throw, True, error)

    def close(self) -> None:
        """Nobody wants the rest: a step that begins with GeneratorExit, and is its last."""
        if not self.handle:
            self._coroutine.close()
            return
        outer = self._ring.begin(self, True)
        try:
            self._coroutine.close()
        finally:
            self._end(_KILLED)
            self._ring.back(outer)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self  # with __next__, send, throw and close it is what is awaited

    def __iter__(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        """What a task, or who looks at it, asks of a coroutine: its name, its frame, its code."""
        return getattr(self._coroutine, name)

    def _step(self, step: Any, thrown: bool, argument: Any) -> Any:
        outer = self._ring.begin(self, thrown)
        try:
            future = step(argument)
        except StopIteration:
            self._end(_RETURNED)
            raise
        except BaseException as error:
            self._end(_KILLED if type(error).__name__ == "CancelledError" else _RAISED)
            raise
        else:
            self._ring.park(self, self._coroutine, future)
            return future
        finally:
            self._ring.back(outer)

    def _end(self, how: int) -> None:
        if self.handle:
            handle, self.handle = self.handle, 0
            self._ring.exit(self, handle, how)


def lane_of(future: Any) -> Lane | None:
    """The lane whose end a future is; None if it is nobody's."""
    coroutine = future.get_coro() if hasattr(future, "get_coro") else None
    return coroutine if isinstance(coroutine, Lane) else None
