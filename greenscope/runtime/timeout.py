"""Timeouts: an exception that the hub raises in a greenlet when its time is over.

Owns ``Timeout`` and ``with_timeout``. A timeout belongs to the greenlet that started it and counts
until it is cancelled; every greenlet knows its own, so that a wait can be shown with its deadline.
Refuses to be started twice. In the recording it is a timeout, not a watcher: its libuv timer is an
implementation detail, taken from a list of idle ones. And most timeouts end before the hub runs again,
so the timer is not started before it does (``Loop.unarmed``): nothing could fire sooner.

A timeout keeps the loop alive (``ref``), because it will do something; a socket's does not, because
the socket's watcher does already.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Self

from greenlet import greenlet

from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.loop import Timer, milliseconds
from greenscope.runtime.parked import explain
from greenscope.runtime.waiter import State, running
from greenscope.trace.events import Ready, Timeouts

__all__ = ["Timeout", "with_timeout"]


class Timeout(BaseException):
    """Raise in the current greenlet after ``seconds``, unless cancelled before.

    As a scope it starts on the way in and is cancelled on the way out::

        with Timeout(5):
            answer = connection.recv(100)

    Args:
        seconds: time until it is raised; 0 or less is at the next turn of the hub, None is never.
        exception: what to raise; None or a text for the timeout itself; False for the timeout itself,
            which the scope then swallows.
        ref: whether it keeps the loop alive.
    """

    __slots__ = ("_greenlet", "_number", "_ref", "_state", "_timer", "due", "exception", "granted", "seconds")

    _reason = int(Timeouts.SCOPE)
    _with_wait = False  # whether it is recorded with the one wait that it is for, and not by itself

    due: float
    """When it is raised, by ``time.monotonic``."""

    granted: int
    """Milliseconds from its start to then, as the recording says."""

    def __init__(
        self,
        seconds: float | None = None,
        exception: BaseException | type[BaseException] | str | bool | None = None,
        ref: bool = True,
    ) -> None:
        self.seconds = seconds
        self.exception = exception
        self._ref = ref
        self._greenlet: greenlet | None = None
        self._timer: Timer | None = None

    @classmethod
    def start_new(
        cls,
        timeout: float | Timeout | None = None,
        exception: BaseException | type[BaseException] | str | bool | None = None,
        ref: bool = True,
    ) -> Timeout:
        """A started timeout: a new one of so many seconds; or the one given, started if it was not."""
        if isinstance(timeout, Timeout):
            if not timeout.pending:
                timeout.start()
            return timeout
        new = cls(timeout, exception, ref)
        new.start()
        return new

    @property
    def pending(self) -> bool:
        """Whether it counts."""
        return self._greenlet is not None

    def start(self) -> None:
        """Begin to count, for the greenlet that calls this.

        Raises:
            AssertionError: it counts already.
        """
        if self._greenlet is not None:
            raise AssertionError(f"{self!r} counts already; cancel it before starting it again")
        seconds = self.seconds
        if seconds is None:
            return
        me = running()
        try:
            state: State = me._state
        except AttributeError:
            state = get_hub().state_of(me)
        hub = state.hub
        loop = hub.loop
        if loop.closed:  # that of a hub which was destroyed, where nobody would be told
            hub = get_hub()
            loop, state = hub.loop, hub.state_of(me)
        ms = milliseconds(seconds)
        self.due = monotonic() + seconds  # and then what the recording has as its beginning: no more is left than `ms`
        self.granted = ms
        if not self._with_wait:
            self._number = hub.record_timeout(self._reason, ms)
        self._state = state
        self._greenlet = me
        state.timeouts.append(self)
        if self._ref:
            loop.active += 1
        loop.unarmed.append(self)

    def cancel(self) -> None:
        """Count no more; does nothing if it does not count."""
        if self._greenlet is None:
            return
        state = self._state
        hub = state.hub
        # First of all, and without a call in which Ctrl-C could strike: what still fires finds nobody.
        self._greenlet = None
        if self._ref:
            hub.loop.active -= 1
        timer = self._timer
        if timer is not None:
            self._timer = None
            timer.stop()
        elif self.due:
            _take(hub.loop.unarmed, self)
        if self.due and not self._with_wait:  # else it has fired, and is about to be raised
            hub.record_cancel(self._reason, self._number)
        _take(state.timeouts, self)

    close = cancel

    def __enter__(self) -> Self:
        """Start, unless it was started before."""
        if self._greenlet is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Cancel; swallow itself if it is silent."""
        self.cancel()
        return value is self and self.exception is False

    def __str__(self) -> str:
        if self.seconds is None:
            return ""
        unit = "second" if self.seconds == 1 else "seconds"
        if self.exception is False:
            return f"{self.seconds} {unit} (silent)"
        if self.exception is None:
            return f"{self.seconds} {unit}"
        return f"{self.seconds} {unit}: {self.exception}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self) or 'never'}{' pending' if self.pending else ''}>"

    def _error(self) -> BaseException:
        wanted = self.exception
        if wanted is None or isinstance(wanted, bool | str):
            return self
        return wanted() if isinstance(wanted, type) else wanted

    def arm(self, now: float) -> None:
        """Start the timer; the loop's, when the hub is about to ask the kernel."""
        self._timer = self._state.hub.loop.call_later(milliseconds(self.due - now), self._expire)

    def _forget(self) -> None:
        self._greenlet = None
        _take(self._state.timeouts, self)
        if self._ref:
            self._state.hub.loop.active -= 1

    def _expire(self) -> None:
        # Runs in the loop. The timer is somebody else's from here on.
        self._timer = None
        self.due = 0.0
        state = self._state
        hub = state.hub
        if self._number:
            hub.recorder.timeout_fire(state.handle, self._reason, self._number)
        if not self._delivered(hub):
            hub.call(self._deliver, hub)

    def _delivered(self, hub: Hub) -> bool:
        target = self._greenlet
        if target is None:  # cancelled
            return True
        if target.dead:
            self._forget()
            return True
        error = self._error()
        if error is not self.exception and self.exception is not False:  # the program's own is not written on
            explain(error, target)
        if hub.interrupt(target, error, Ready.TIMEOUT, self._number):
            self._forget()
            return True
        return False

    def _deliver(self, hub: Hub) -> None:
        if self._delivered(hub):
            return
        target = self._greenlet
        assert target is not None
        if hub.is_parked(target):  # another error comes first; if that does not end this scope, it is our turn
            hub.call(self._deliver, hub)
        else:
            self._forget()
            hub.throw_in(target, self._error())


def _take(timeouts: list[Timeout], timeout: Timeout) -> None:
    """Take it out of a list, in which it is last, nearly always."""
    if timeouts[-1] is timeout:
        timeouts.pop()
    else:
        timeouts.remove(timeout)


class SocketTimeout(Timeout):
    """The timeout of a wait for sockets."""

    __slots__ = ()

    _reason = int(Timeouts.SOCKET)


class WaitTimeout(SocketTimeout):
    """That of one wait of a socket, by ``Hub.wait_io_within``: raises the standard library's TimeoutError."""

    __slots__ = ()

    _with_wait = True

    def _expire(self) -> None:
        state = self._state
        self._number = 0
        if state.timeouts[-1] is self:  # and not that of a handler which waits, while it struck before our wait began
            self._number, state.timeout_number = state.timeout_number, 0
        super()._expire()

    def _error(self) -> BaseException:
        return TimeoutError("timed out") if self.exception is None else super()._error()


def with_timeout(seconds: float | None, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
    """Call ``function``, for at most ``seconds``.

    Args:
        seconds: as for ``Timeout``.
        timeout_value: what to return if the time is over; without it ``Timeout`` is raised.

    Returns:
        What ``function`` returned.
    """
    missing = object()
    instead = keywords.pop("timeout_value", missing)
    timeout = Timeout.start_new(seconds)
    try:
        try:
            return function(*arguments, **keywords)
        except Timeout as error:
            if error is timeout and instead is not missing:
                return instead
            raise
    finally:
        timeout.cancel()
