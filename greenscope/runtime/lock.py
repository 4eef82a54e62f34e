"""Locks: at most so many greenlets at a time.

Owns ``Semaphore``, ``BoundedSemaphore`` and ``Lock``. A release hands over to the greenlet that has
waited longest, so nobody who comes later can overtake it. A greenlet that is killed between being
given its turn and taking it passes it on.

Refuses ``release`` of a lock that nobody holds; only the plain ``Semaphore`` may be released at will.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType

from greenscope.runtime.greenlet import park_for
from greenscope.runtime.hub import get_hub
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Ready, Wait

__all__ = ["BoundedSemaphore", "Lock", "Semaphore"]


class _Turn(Waiter):
    """One greenlet's place in the line."""

    __slots__ = ("granted",)

    def __init__(self, resource: int, what: str) -> None:
        super().__init__(Wait.LOCK, resource, what)
        self.granted = False


class Semaphore:
    """Lets ``value`` greenlets in at a time.

    Args:
        value: how many may still come in.
    """

    _what = "a semaphore"

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError(f"a semaphore starts at 0 or more, not at {value}")
        self.counter = value
        self._line: deque[_Turn] = deque()
        self._resource = 0

    def locked(self) -> bool:
        """Whether the next one would have to wait."""
        return self.counter <= 0

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Come in.

        Args:
            blocking: whether to wait for that.
            timeout: seconds to wait at most; None or -1 is for ever.

        Returns:
            Whether it may come in.
        """
        if self.counter > 0:
            self.counter -= 1
            return True
        if not blocking:
            return False
        hub = get_hub()
        if not self._resource:
            self._resource = hub.recorder.resource()
        turn = _Turn(self._resource, self._what)
        self._line.append(turn)
        try:
            park_for(hub, turn, None if timeout == -1 else timeout)
        except BaseException:
            if turn.granted:
                self._hand_over()
            raise
        finally:
            if not turn.granted:
                self._line.remove(turn)
        return turn.granted

    def release(self) -> None:
        """Go out, and let in whoever has waited longest."""
        self._hand_over()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.counter} free, {len(self._line)} waiting>"

    def _hand_over(self) -> None:
        if self._line:
            turn = self._line.popleft()
            turn.granted = True
            turn.wake(Ready.GREENLET, get_hub().recorder.current)
        else:
            self.counter += 1


class BoundedSemaphore(Semaphore):
    """A semaphore that refuses to be released more often than it was acquired.

    Raises:
        ValueError: on such a release.
    """

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._most = value

    def release(self) -> None:
        """Go out, and let in whoever has waited longest."""
        if self.counter >= self._most:
            raise ValueError(f"this semaphore was released more often than acquired: all {self._most} are free")
        super().release()


class Lock(Semaphore):
    """Lets one greenlet in at a time; any greenlet may let the next one in."""

    _what = "a lock"

    def __init__(self) -> None:
        super().__init__(1)

    def release(self) -> None:
        """Go out, and let in whoever has waited longest.

        Raises:
            RuntimeError: nobody is in.
        """
        if self.counter:
            raise RuntimeError("this lock is not held by anybody")
        super().release()
