"""Signals: handlers that may wait, and the standard library's ``signal`` as if there were no hub.

Owns ``signal_handler``, gevent's, which calls a function in a greenlet of its own; and the functions whose
answers the hub of the main thread would change otherwise. That hub takes two things of Python's, the
handler of Ctrl-C (so that the hub is not cut in half) and the wake-up descriptor (so that handlers run
although it polls). Here both look free: Ctrl-C's handler is Python's own, and a wake-up descriptor of
the program's gets the numbers of signals when the hub does.

A program that calls the standard library's own ``set_wakeup_fd`` takes it from the hub: handlers then run
when the hub next has other news. SIGCHLD is no exception to anything: children are watched without it.
"""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGINT, default_int_handler
from signal import getsignal as _getsignal
from signal import set_wakeup_fd as _set_wakeup_fd
from signal import signal as _signal
from types import FrameType
from typing import Any

from greenscope.runtime.current import current
from greenscope.runtime.greenlet import Greenlet
from greenscope.runtime.hub import get_hub
from greenscope.runtime.wakeup import SignalWakeup

__implements__ = ["getsignal", "set_wakeup_fd", "signal"]
__all__ = ["getsignal", "set_wakeup_fd", "signal", "signal_handler"]

Handler = Callable[[int, FrameType | None], Any] | int | None


def getsignal(signalnum: int, /) -> Handler:
    """What handles a signal, as the program has set it."""
    handler: Handler = _getsignal(signalnum)
    wakeup = _wakeup()
    return default_int_handler if wakeup is not None and wakeup.is_ours(handler) else handler


def signal(signalnum: int, handler: Handler, /) -> Handler:
    """Set what handles a signal; what did before.

    Raises:
        ValueError: not the main thread, or no such signal.
        TypeError: a handler that cannot be called.
    """
    wakeup = _wakeup()
    if wakeup is not None and signalnum == SIGINT and handler is default_int_handler:
        before = getsignal(signalnum)
        wakeup.take_interrupt()
        return before
    old: Handler = _signal(signalnum, handler)
    return default_int_handler if wakeup is not None and wakeup.is_ours(old) else old


def set_wakeup_fd(fd: int, /, *, warn_on_full_buffer: bool = True) -> int:
    """Set the descriptor that gets the numbers of signals, -1 for none; the one before.

    Raises:
        ValueError: not the main thread; or no descriptor, or one that blocks.
    """
    wakeup = _wakeup()
    if wakeup is None:
        return _set_wakeup_fd(fd, warn_on_full_buffer=warn_on_full_buffer)
    _set_wakeup_fd(fd)  # which looks at it
    _set_wakeup_fd(wakeup.fd, warn_on_full_buffer=False)
    before, wakeup.forward = wakeup.forward, fd
    wakeup.forward_warns = warn_on_full_buffer
    return before


class signal_handler:  # noqa: N801  (gevent's name)
    """Call a function in a greenlet of its own each time the process gets a signal.

    Args:
        signalnum: which signal.
        handler: what to call.
        args, kwargs: what with.

    Raises:
        TypeError: ``handler`` cannot be called.
        ValueError: not the main thread, or no such signal.
    """

    def __init__(self, signalnum: int, handler: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        if not callable(handler):
            raise TypeError(f"a signal's handler is a function; {handler!r} cannot be called")
        self.hub = get_hub()
        self.handler = handler
        self.args = args
        self.kwargs = kwargs
        self.watcher = self.hub.loop.signal(signalnum, ref=False)
        self.watcher.start(self.handle)

    @property
    def ref(self) -> bool:
        """Whether it keeps the loop alive; at first it does not."""
        return self.watcher.ref

    @ref.setter
    def ref(self, value: bool) -> None:
        self.watcher.ref = value

    def handle(self) -> None:
        """Do what is done when the signal comes."""
        Greenlet.spawn(self.handler, *self.args, **self.kwargs)

    def cancel(self) -> None:
        """Give the signal back to the handler it had before."""
        self.watcher.stop()
        self.watcher.close()


def _wakeup() -> SignalWakeup | None:
    """The main thread's, if this is it and has a hub."""
    hub = current.hub
    return hub.loop.signals if hub is not None else None


for _function in (getsignal, set_wakeup_fd, signal):
    _function.__module__ = "signal"  # where they are found after patching, and what the interpreter's tests look at
