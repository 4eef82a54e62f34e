"""The lock that its holder may acquire again.

Owns ``RLock``: a semaphore, who came in through it, and how often. It belongs to a greenlet as the
standard library's does to a thread. Refuses ``release`` by anybody else.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX
from types import TracebackType
from typing import Any

from greenscope.runtime.semaphore import Semaphore
from greenscope.runtime.waiter import running
from greenscope.trace.events import Resource

__all__ = ["RLock", "require_time"]


class RLock:
    """A lock that the greenlet that holds it may acquire again.

    Args:
        hub: as gevent's; a lock of ours serves every hub.
    """

    __slots__ = ("__weakref__", "_block", "_count", "_owner")

    def __init__(self, hub: object = None) -> None:
        self._block = _Block(1, hub)
        self._owner: Any = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Come in, or come in once more.

        Args:
            blocking: whether to wait for that.
            timeout: seconds to wait at most; -1 or None is for ever.

        Returns:
            Whether it is in.

        Raises:
            ValueError: a time for a call that does not wait, or a negative one.
            OverflowError: a time that is longer than the standard library's locks take.
        """
        if timeout != -1 and timeout is not None:
            require_time(blocking, timeout)
        elif timeout == -1:
            timeout = None
        try:
            me = running()
        except RuntimeError:  # greenlet has been finalized: the interpreter is about to end, and nobody else runs
            me = None
        if self._owner is me:
            self._count += 1
            return True
        block = self._block
        if block.counter > 0:
            block.counter -= 1
        elif not blocking or not self._take_turn(timeout):
            return False
        self._owner = me
        self._count = 1
        return True

    def __enter__(self) -> bool:
        try:
            me = running()
        except RuntimeError:  # greenlet has been finalized: the interpreter is about to end, and nobody else runs
            me = None
        if self._owner is me:
            self._count += 1
            return True
        block = self._block
        if block.counter > 0:
            block.counter -= 1
        else:
            self._take_turn(None)
        self._owner = me
        self._count = 1
        return True

    def release(self) -> None:
        """Go out; when it was the last time, let in whoever has waited longest.

        Raises:
            RuntimeError: another greenlet is in, or nobody.
        """
        try:
            me = running()
        except RuntimeError:  # as above
            me = None
        if self._owner is not me:
            raise RuntimeError(f"cannot release a lock that this greenlet does not hold: {self!r}")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._block._hand_over()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._block.counter <= 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} owner={self._owner!r} count={self._count}>"

    def _take_turn(self, timeout: float | None) -> bool:
        owner = self._owner
        if owner is not None:  # else it is being handed over, and who gets it is known there
            self._block._holder = owner
        return self._block._take_turn(timeout)

    # What a condition does with it.

    def _is_owned(self) -> bool:
        return self._owner is running()

    def _release_save(self) -> tuple[int, Any]:
        """Go out, however often one came in; returns what ``_acquire_restore`` takes."""
        if self._owner is not running():
            raise RuntimeError(f"cannot release a lock that this greenlet does not hold: {self!r}")
        saved = self._count, self._owner
        self._count = 0
        self._owner = None
        self._block._hand_over()
        return saved

    def _acquire_restore(self, saved: tuple[int, Any]) -> None:
        """Come in again, as often as before."""
        block = self._block
        if block.counter > 0:
            block.counter -= 1
        else:
            self._take_turn(None)
        self._count, self._owner = saved

    def _recursion_count(self) -> int:
        return self._count if self._owner is running() else 0

    def _at_fork_reinit(self) -> None:
        """Forget who held it; for the child of a fork, where nobody else runs."""
        self._block = _Block(1)
        self._owner = None
        self._count = 0


class _Block(Semaphore):
    """What waits in a lock that can be acquired again."""

    __slots__ = ()

    _what = "a lock"
    _kind = Resource.LOCK
    _has_holder = True


def require_time(blocking: object, timeout: float) -> None:
    """Refuse a time as the standard library's locks do, in their words: programs and tests look for them.

    Raises:
        ValueError: there is one for a call that does not wait, or it is negative.
        OverflowError: it is longer than they take.
    """
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
