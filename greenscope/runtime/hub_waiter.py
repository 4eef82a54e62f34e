"""gevent's ``Waiter``: for what is built by hand of switches.

Owns that class, which programs find as ``hub.Waiter``. The runtime itself parks on ``waiter.Waiter``.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from greenscope.runtime.current import get_hub
from greenscope.runtime.exceptions import ConcurrentObjectUseError
from greenscope.runtime.waiter import Waiter as Parking
from greenscope.trace.events import Ready, Wait

if TYPE_CHECKING:
    from greenscope.runtime.hub import Hub

__all__ = ["Waiter"]

_NOTHING = object()


class Waiter:
    """One greenlet waits, somebody else has a value or an exception for it. gevent's, for what is built by hand.

    ``switch`` and ``throw`` may come before ``get``; they are for the hub: a callback, or a watcher's.
    """

    __slots__ = ("_error", "_parking", "_value", "hub")

    def __init__(self, hub: Hub | None = None) -> None:
        self.hub = hub if hub is not None else get_hub()
        self.clear()

    def clear(self) -> None:
        """Be as new."""
        self._parking: Parking | None = None
        self._value: Any = _NOTHING
        self._error: BaseException | None = None

    def ready(self) -> bool:
        """Whether there is a value or an exception."""
        return self._error is not None or self._value is not _NOTHING

    def successful(self) -> bool:
        """Whether there is a value."""
        return self._value is not _NOTHING and self._error is None

    @property
    def value(self) -> Any:
        """The value; None if there is none."""
        return None if self._value is _NOTHING else self._value

    @property
    def exc_info(self) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
        """The exception, as ``sys.exc_info`` would give it."""
        error = self._error
        return (type(error), error, error.__traceback__) if error is not None else None

    def switch(self, value: object = None) -> None:
        """Give it a value; whoever waits goes on in the hub's next round."""
        self._value = value
        self._tell()

    __call__ = switch

    def switch_args(self, *args: object) -> None:
        """``switch``, with a tuple."""
        self.switch(args)

    def throw(self, *exc_info: Any) -> None:
        """Give it an exception, as ``raise`` would take it, or as ``sys.exc_info`` gives it."""
        kind, value, trace = (*exc_info, None, None, None)[:3]
        if isinstance(kind, BaseException):
            value = kind
        elif not isinstance(value, BaseException):
            value = kind() if value is None else kind(value)
        self._error = value.with_traceback(trace) if trace is not None else value
        self._tell()

    def get(self) -> Any:
        """Wait for the value and return it, or raise the exception; at once if it is there.

        Raises:
            ConcurrentObjectUseError: another greenlet waits on it.
        """
        if not self.ready():
            if self._parking is not None:
                raise ConcurrentObjectUseError(f"cannot wait on {self!r}: another greenlet does")
            self._parking = Parking(Wait.OTHER, 0, "a value")
            try:
                self.hub.park(self._parking)
            finally:
                self._parking = None
        if self._error is not None:
            raise self._error
        return self._value

    def _tell(self) -> None:
        if self._parking is not None:
            self._parking.wake(Ready.OTHER, 0)

    def __repr__(self) -> str:
        how = "with a value" if self.successful() else "with an exception" if self.ready() else "empty"
        return f"<Waiter {how}{', waited on' if self._parking is not None else ''}>"
