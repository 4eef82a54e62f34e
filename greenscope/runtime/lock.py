"""Locks: at most one greenlet at a time, or so many.

Owns ``Lock``, and ``DummySemaphore``, which lets everybody in; exports what gevent has in this module,
``Semaphore``, ``BoundedSemaphore`` and ``RLock``, and the standard library's ``Condition``.

Refuses ``release`` of a lock that nobody holds; only the plain ``Semaphore`` may be released at will.
``Lock`` and ``RLock`` take the arguments of the standard library's locks: -1 is for ever, other negative
times are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Literal

from greenscope.runtime.condition import Condition
from greenscope.runtime.rlock import RLock, require_time
from greenscope.runtime.semaphore import BoundedSemaphore, Semaphore
from greenscope.runtime.waiter import running
from greenscope.trace.events import Resource

__all__ = ["BoundedSemaphore", "Condition", "DummySemaphore", "Lock", "RLock", "Semaphore"]


class Lock(Semaphore):
    """Lets one greenlet in at a time; any greenlet may let the next one in."""

    __slots__ = ()

    _what = "a lock"
    _kind = Resource.LOCK
    _has_holder = True

    def __init__(self) -> None:
        super().__init__(1)

    def __enter__(self) -> bool:
        if not self.counter:
            return self._take_turn(None, True)
        self.counter = 0
        try:
            self._holder = running()
        except RuntimeError:  # greenlet has been finalized: the interpreter is about to end
            pass
        return True

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Come in.

        Args:
            blocking: whether to wait for that.
            timeout: seconds to wait at most; -1 or None is for ever.

        Returns:
            Whether it may come in.

        Raises:
            ValueError: a time for a call that does not wait, or a negative one.
            OverflowError: a time that is longer than the standard library's locks take.
        """
        if timeout != -1 and timeout is not None:
            require_time(blocking, timeout)
        elif timeout == -1:
            timeout = None
        if not self.counter:
            return bool(blocking) and self._take_turn(timeout)
        self.counter = 0
        try:
            self._holder = running()
        except RuntimeError:  # as above
            pass
        return True

    def release(self) -> int:
        """Go out, and let in whoever has waited longest.

        Raises:
            RuntimeError: nobody is in.
        """
        if self.counter:
            raise RuntimeError("this lock is not held by anybody: release it once for each acquire")
        if self._line or self._watchers:
            self._hand_over()
        else:
            self.counter = 1
            self._holder = None
        return self.counter

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.counter:
            raise RuntimeError("this lock is not held by anybody: release it once for each acquire")
        if self._line or self._watchers:
            self._hand_over()
        else:
            self.counter = 1
            self._holder = None


class DummySemaphore:
    """Lets everybody in; for where a semaphore is wanted and no limit is.

    Args:
        value: is not looked at.
    """

    def __init__(self, value: object = None) -> None:
        """Forget ``value``."""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> Literal[True]:  # noqa: ARG002
        """Come in, at once."""
        return True

    def release(self) -> None:
        """Go out."""

    def wait(self, timeout: float | None = None) -> int:  # noqa: ARG002
        """Somebody could come in."""
        return 1

    def locked(self) -> bool:
        """Nobody ever has to wait."""
        return False

    def ready(self) -> bool:
        """Somebody could come in."""
        return True

    def rawlink(self, callback: Callable[..., object]) -> None:
        """Nothing will change that ``callback`` could be told of."""

    def unlink(self, callback: Callable[..., object]) -> None:
        """Undo ``rawlink``."""

    def __enter__(self) -> None:
        """Come in."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go out."""
