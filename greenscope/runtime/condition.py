"""Conditions: wait for a change that somebody makes while holding a lock.

Owns ``Condition``, the standard library's, over the locks of this runtime. Who waits lets go of the
lock meanwhile and has it again when it goes on, whatever it goes on with: the thing it waited for, the
end of its time, or a kill.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar

from greenscope.runtime.hub import get_hub
from greenscope.runtime.line import Linkable, Place, park_for, withdraw
from greenscope.runtime.rlock import RLock
from greenscope.trace.events import Wait

__all__ = ["Condition"]

T = TypeVar("T")

_LOCK = Wait.LOCK


class Condition:
    """A line of greenlets that wait for a change, and the lock that guards what changes.

    Args:
        lock: an ``RLock`` or a ``Lock``; None for an ``RLock`` of its own.
    """

    def __init__(self, lock: Any = None) -> None:
        self._lock = lock = RLock() if lock is None else lock
        self._waiting = waiting = Linkable()
        self._line: deque[Place] = waiting._queue_up()
        self._is_owned: Callable[[], bool] = getattr(lock, "_is_owned", lock.locked)
        # Looked up at each call: the lock's class has others while more is recorded.
        if hasattr(lock, "_release_save"):
            self._release_save: Callable[[], Any] = lambda: lock._release_save()  # noqa: PLW0108
            self._restore: Callable[[Any], object] = lambda saved: lock._acquire_restore(saved)  # noqa: PLW0108
        else:
            self._release_save = lambda: lock.release()  # noqa: PLW0108
            self._restore = lambda _: lock.acquire()

    def acquire(self, *arguments: Any, **keywords: Any) -> Any:
        """Acquire the lock."""
        return self._lock.acquire(*arguments, **keywords)

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def __enter__(self) -> Any:
        return self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, value, trace)

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock, wait to be notified, and take the lock again.

        Args:
            timeout: seconds to wait at most, not counting the time until the lock is had again.

        Returns:
            Whether it was notified.

        Raises:
            RuntimeError: this greenlet does not hold the lock.
        """
        self._require_lock()
        hub = get_hub()
        place = Place(_LOCK, self._waiting._number(hub), "a condition")
        line = self._line
        line.append(place)
        saved = self._release_save()
        try:
            return park_for(hub, place, timeout) or not withdraw(line, place)
        except BaseException:
            if not withdraw(line, place):  # notified, and will not look: the next one may
                self._wake(1)
            raise
        finally:
            self._take_lock_again(saved)

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until ``predicate`` returns something true, for at most ``timeout`` seconds; what it returned last."""
        due = None if timeout is None else monotonic() + timeout
        result = predicate()
        while not result:
            left = None if due is None else due - monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """Wake up to ``n`` of those who wait, the longest first.

        Raises:
            RuntimeError: this greenlet does not hold the lock.
        """
        self._require_lock()
        self._wake(n)

    def notify_all(self) -> None:
        """Wake everybody who waits; raises as ``notify`` does."""
        self.notify(len(self._line))

    notifyAll = notify_all  # noqa: N815  (the standard library's older name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._lock!r}, {len(self._line)} waiting>"

    def _require_lock(self) -> None:
        if not self._is_owned():
            raise RuntimeError("a condition is waited for and notified while holding its lock: acquire it first")

    def _wake(self, n: int) -> None:
        line = self._line
        while n > 0 and line:
            try:
                place = line.popleft()
            except IndexError:  # it waits no longer
                return
            if place.give():
                n -= 1

    def _take_lock_again(self, saved: Any) -> None:
        # A kill or a timeout that strikes meanwhile has to wait: `with` is about to release the lock.
        error: BaseException | None = None
        while True:
            try:
                self._restore(saved)
                break
            except BaseException as again:
                error = again
        if error is not None:
            raise error
