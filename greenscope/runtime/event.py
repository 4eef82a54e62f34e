"""Events and results: many greenlets wait for one thing to happen, once.

Owns ``Event`` (a flag to wait for) and ``AsyncResult`` (a value or an exception to wait for). Everybody
who waits is woken, in the order in which they began to; what was linked is called. Any thread may set
them, one without a hub too. Refuses nothing: setting twice is fine.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

from greenscope.runtime.line import NOBODY, Linkable, tell
from greenscope.runtime.timeout import Timeout

__all__ = ["AsyncResult", "Event"]

T = TypeVar("T")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Event(Linkable):
    """A flag, at first not set, that greenlets can wait for."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        super().__init__()
        self._set = False

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._set

    isSet = ready = is_set  # noqa: N815  (the standard library's older name)

    def set(self) -> None:
        """Set the flag and wake everybody who waits for it."""
        self._set = True
        if self._line:
            tell(self._line)

    def clear(self) -> None:
        """Take the flag back."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, for at most ``timeout`` seconds; whether it was."""
        return self._set or self._await("an event", timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'set' if self._set else 'not set'}, {len(self._line)} waiting>"

    def _at_fork_reinit(self) -> None:
        """Forget who waits; for the child of a fork, where nobody else runs."""
        self._line = NOBODY


class AsyncResult(Linkable, Generic[T]):
    """A value or an exception that somebody provides later."""

    __slots__ = ("_error", "_exc_info", "_ready", "value")

    def __init__(self) -> None:
        super().__init__()
        self._ready = False
        self._error: BaseException | None = None
        self._exc_info: ExcInfo | tuple[()] = ()
        self.value: Any = None

    @property
    def exception(self) -> BaseException | None:
        """The exception that was provided; None if there is none (yet)."""
        return self._error

    @property
    def exc_info(self) -> ExcInfo | tuple[()]:
        """The exception as ``sys.exc_info`` would give it; empty if there is none (yet)."""
        return self._exc_info

    def ready(self) -> bool:
        """Whether there is a value or an exception."""
        return self._ready

    done = ready

    def successful(self) -> bool:
        """Whether there is a value."""
        return self._ready and self._error is None

    def set(self, value: Any = None) -> None:
        """Provide the value."""
        self.value = value
        self._error, self._exc_info = None, ()
        self._ready = True
        if self._line:
            self._tell()

    set_result = set  # noqa: A003  (gevent's name)

    def set_exception(self, exception: BaseException | type[BaseException], exc_info: Any = None) -> None:
        """Provide the exception, to be raised by ``get``.

        Args:
            exception: it.
            exc_info: what ``sys.exc_info`` gave, for its traceback.
        """
        if isinstance(exception, type):
            exception = exception()
        self.value = None
        self._error = exception
        self._exc_info = tuple(exc_info) if exc_info else (type(exception), exception, exception.__traceback__)
        self._ready = True
        if self._line:
            self._tell()

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for it, for at most ``timeout`` seconds; the value, or None."""
        if not self._ready:
            self._await("a result", timeout)
        return self.value

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Wait for it, and give the value or raise the exception.

        Args:
            block: whether to wait.
            timeout: seconds to wait at most, or a ``Timeout``.

        Raises:
            Timeout: there is none after ``timeout`` seconds, or none now and ``block`` is false.
            BaseException: the exception that was provided.
        """
        if not self._ready:
            if not block:
                raise Timeout
            if timeout is None:
                self._await("a result", None)
            else:
                self._await_or_raise(timeout)
        if self._error is not None:
            raise self._error.with_traceback(self._exc_info[2] if self._exc_info else None)
        return self.value

    def result(self, timeout: float | None = None) -> Any:
        """``get``, by the name that futures have for it."""
        return self.get(timeout=timeout)

    def get_nowait(self) -> Any:
        """``get`` without waiting."""
        return self.get(block=False)

    def cancel(self) -> Literal[False]:
        """Futures have it; nobody knows here what would have to be cancelled."""
        return False

    def cancelled(self) -> Literal[False]:
        """Whether it was cancelled, which cannot be."""
        return False

    def __call__(self, source: Any) -> None:
        """Take over how ``source`` ended, so that a greenlet can be linked to it."""
        if source.successful():
            self.set(source.value)
        else:
            self.set_exception(source.exception, getattr(source, "exc_info", None))

    def __repr__(self) -> str:
        how = "not set" if not self._ready else f"value={self.value!r}" if self._error is None else repr(self._error)
        return f"<{type(self).__name__} {how}, {len(self._line)} waiting>"

    def _await_or_raise(self, timeout: float | Timeout) -> None:
        timer = Timeout.start_new(timeout)
        try:
            self._await("a result", None)
        except Timeout as error:
            if error is not timer or not self._ready:
                raise
        finally:
            timer.cancel()
