"""Events and results: many greenlets wait for one thing to happen, once.

Owns ``Event`` (a flag to wait for) and ``AsyncResult`` (a value or an exception to wait for). Everybody
who waits is woken, in the order in which they began to. Refuses nothing: setting twice is fine.
"""

from __future__ import annotations

from typing import Any

from greenscope.runtime.greenlet import park_for
from greenscope.runtime.hub import get_hub
from greenscope.runtime.timeout import Timeout
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Ready, Wait

__all__ = ["AsyncResult", "Event"]


class _Waitable:
    """The greenlets that wait for something, and its number in the recording."""

    def __init__(self) -> None:
        self._waiters: list[Waiter] = []
        self._resource = 0

    def ready(self) -> bool:
        """Whether it has happened."""
        raise NotImplementedError

    def _park(self, what: str, timeout: float | None) -> bool:
        hub = get_hub()
        if not self._resource:
            self._resource = hub.recorder.resource()
        waiter = Waiter(Wait.EVENT, self._resource, what)
        self._waiters.append(waiter)
        try:
            # Once more: a signal's handler may have set it since the caller looked.
            return self.ready() or park_for(hub, waiter, timeout)
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake_all(self) -> None:
        waiters, self._waiters = self._waiters, []
        by = get_hub().recorder.current if waiters else 0
        for waiter in waiters:
            waiter.wake(Ready.GREENLET, by)


class Event(_Waitable):
    """A flag, at first not set, that greenlets can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._set = False

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._set

    def ready(self) -> bool:
        """Whether the flag is set."""
        return self._set

    def set(self) -> None:
        """Set the flag and wake everybody who waits for it."""
        self._set = True
        self._wake_all()

    def clear(self) -> None:
        """Take the flag back."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, for at most ``timeout`` seconds; whether it was."""
        return self._set or self._park("an event", timeout) or self._set

    def __repr__(self) -> str:
        return f"<Event {'set' if self._set else 'not set'}, {len(self._waiters)} waiting>"


class AsyncResult(_Waitable):
    """A value or an exception that somebody provides later."""

    def __init__(self) -> None:
        super().__init__()
        self._ready = False
        self.value: Any = None
        self.exception: BaseException | None = None

    def ready(self) -> bool:
        """Whether there is a value or an exception."""
        return self._ready

    def successful(self) -> bool:
        """Whether there is a value."""
        return self._ready and self.exception is None

    def set(self, value: Any = None) -> None:
        """Provide the value."""
        self.value, self.exception, self._ready = value, None, True
        self._wake_all()

    def set_exception(self, exception: BaseException) -> None:
        """Provide the exception, to be raised by ``get``."""
        self.value, self.exception, self._ready = None, exception, True
        self._wake_all()

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for it, for at most ``timeout`` seconds; the value, or None."""
        if not self._ready:
            self._park("a result", timeout)
        return self.value

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Wait for it, and give the value or raise the exception.

        Raises:
            Timeout: there is none after ``timeout`` seconds, or none now and ``block`` is false.
        """
        if not self._ready:
            if not block:
                raise Timeout
            timer = Timeout.start_new(timeout)
            try:
                self._park("a result", None)
            except Timeout as error:
                if error is not timer or not self._ready:
                    raise
            finally:
                timer.cancel()
        if self.exception is not None:
            raise self.exception
        return self.value

    def get_nowait(self) -> Any:
        """``get`` without waiting."""
        return self.get(block=False)

    def __call__(self, source: Any) -> None:
        """Take over how ``source`` ended, so that a greenlet can be linked to it."""
        if source.successful():
            self.set(source.value)
        else:
            self.set_exception(source.exception)
