"""What the ready queue holds: wakeables, each the one way to wake one parked greenlet.

Owns the entries of the ready queue that are calls, and which implementation of the others is used:
``_parking.c``, or ``parking`` where there was no compiler.

A greenlet that parks does so *on* a wakeable: it puts itself into ``greenlet`` and takes itself out
again when it goes on. Whoever has news for it, a watcher that fired, a timeout, ``kill``, puts the
wakeable into the ready queue, with ``exception`` if the news is to be raised. So

- a greenlet is in the ready queue at most once (``queued``), however many things happen to it; no call
  comes between the mark and the queue, because a signal's handler that raises there would part them;
- an entry whose ``greenlet`` is None was cancelled in the meantime, and the hub skips it;
- for sockets the watcher itself is the entry: a wait allocates nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from greenscope.trace.events import Ready, Timeouts, Wait

if TYPE_CHECKING:
    from greenscope.runtime.parking import Armed, Board, Place, State, Waiter, Wakeable
else:
    try:
        from greenscope.runtime._parking import (
            Armed,
            Board,
            Place,
            State,
            Waiter,
            Wakeable,
            use_numbers,
        )
    except ImportError:
        from greenscope.runtime.parking import Armed, Board, Place, State, Waiter, Wakeable
    else:
        use_numbers(int(Wait.YIELD), int(Ready.OTHER), int(Ready.GREENLET), int(Timeouts.SOCKET))

__all__ = ["Armed", "Board", "Callback", "Place", "State", "Waiter", "Wakeable", "running"]

# Any, because every greenlet gets a ``_state``, and plain ones have no place to declare it.
running: Callable[[], Any] = getcurrent


class Callback(Wakeable):
    """A function the hub calls when it comes to this entry; it must not wait."""

    __slots__ = ("args", "callback")

    def __init__(self, callback: Callable[..., object], *args: Any) -> None:
        super().__init__()
        self.queued = True
        self.callback: Callable[..., object] | None = callback
        self.args = args

    @property
    def pending(self) -> bool:
        """Whether it is still to be called."""
        return self.callback is not None

    def stop(self) -> None:
        """Do not call it."""
        self.callback = None
        self.args = ()

    close = stop

    def call(self) -> None:
        callback, args = self.callback, self.args
        self.stop()  # it is not pending while it runs
        if callback is not None:
            callback(*args)
