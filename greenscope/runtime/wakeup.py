"""Signals end the poll.

Owns ``SignalWakeup``, through which Python tells the loop of the main thread that there was a signal.
"""

from __future__ import annotations

import sys
from _socket import socketpair  # not socket's, which would make what the program put in socket.socket's place
from _thread import get_ident
from collections.abc import Callable
from errno import EAGAIN, EWOULDBLOCK
from os import write as _write
from signal import SIGINT, default_int_handler, getsignal, set_wakeup_fd, signal, valid_signals
from types import FrameType
from typing import TYPE_CHECKING

from greenscope.runtime.watcher import READ

if TYPE_CHECKING:
    from greenscope.runtime.loop import Loop

__all__ = ["SignalWakeup"]


class SignalWakeup:
    """Makes a signal end the poll: Python writes a byte, the loop sees it, and the handler runs then.

    The handler runs between any two lines, so what Python's own raises for Ctrl-C would cut one of the
    hub's in half: a timer has fired, say, and its greenlet is never told. ``take_interrupt`` is asked
    before that. A handler that the program has set is left alone.

    Python has one such descriptor. One that the program had set before, or sets by the green ``signal``
    module, is in ``forward``: it gets the bytes when the loop does.
    """

    __slots__ = ("_mine", "_on_interrupt", "_poll", "_theirs", "_thread", "forward", "forward_warns")

    def __init__(self, loop: Loop, take_interrupt: Callable[[], bool]) -> None:
        self._mine, self._theirs = socketpair()
        self._mine.setblocking(False)
        self._theirs.setblocking(False)
        self._poll = loop.poll_handle(self._mine.fileno())
        self._poll.start(READ, self._on_signal)
        self._thread = get_ident()
        self.forward = set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        self.forward_warns = True

        def on_interrupt(number: int, frame: FrameType | None) -> None:
            if not take_interrupt():
                default_int_handler(number, frame)

        self._on_interrupt = on_interrupt
        if getsignal(SIGINT) is default_int_handler:
            signal(SIGINT, on_interrupt)

    def is_ours(self, handler: object) -> bool:
        """Whether a handler of SIGINT is the one that stands in for Python's own."""
        return handler is self._on_interrupt

    def handler_may_wake(self) -> bool:
        """Whether the program has set a handler of a signal, which could wake a greenlet when that comes."""
        handlers = [getsignal(number) for number in valid_signals()]
        return any(
            callable(handler)
            and handler is not default_int_handler
            and not self.is_ours(handler)
            and not hasattr(handler, "of_a_watcher")  # that one counts for itself, or is not to count
            for handler in handlers
        )

    def take_interrupt(self) -> None:
        """Put that handler into the place of Python's own."""
        signal(SIGINT, self._on_interrupt)

    @property
    def fd(self) -> int:
        """Where Python writes the signals' numbers."""
        return self._theirs.fileno()

    def close(self) -> None:
        """Give the wake-up back to whoever had it."""
        if get_ident() == self._thread:
            mine = self._theirs.fileno()
            current = set_wakeup_fd(self.forward)
            if current != mine:  # taken over since: leave it
                set_wakeup_fd(current)
            self.give_interrupt_back()
        self._poll.close()
        self._mine.close()
        self._theirs.close()

    def give_interrupt_back(self) -> None:
        """Let Ctrl-C do what it does in Python, unless the program has set a handler since."""
        if getsignal(SIGINT) is self._on_interrupt:
            signal(SIGINT, default_int_handler)

    def _on_signal(self, _poll: object, _events: int | None, _error: int | None) -> None:
        # The handlers run as soon as Python code does, which is here; and may raise, which is why
        # the bytes are read in one go and what is left makes the loop come back.
        try:
            numbers = self._mine.recv(4096)
        except BlockingIOError:
            return
        if self.forward >= 0:
            try:
                _write(self.forward, numbers)
            except OSError as error:
                if self.forward_warns or error.errno not in (EAGAIN, EWOULDBLOCK):
                    print(f"the signal wakeup fd {self.forward} cannot be written to: {error}", file=sys.stderr)

    ON_SIGNAL = _on_signal.__code__
    """Where handlers run, for the hub to know what one raised."""
