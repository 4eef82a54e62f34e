"""The rarer watchers: timers, signals, child processes, and the loop's own turns.

Owns what ``loop.timer``, ``async_``, ``signal``, ``child``, ``check``, ``prepare`` and ``idle`` give;
their interface is ``watcher.Watcher``'s, and gevent's. A one-shot watcher (a timer without ``repeat``,
a child) is stopped by firing.

- Signals go through Python's own handlers, not libuv's: the two would take each other's place, and
  Python's keep the program's ``signal.signal`` meaningful. The loop's wake-up makes them prompt.
- A child is watched by a descriptor of its own (``pidfd_open``, Linux 5.3): in any thread, for the
  process asked for and no other. Elsewhere a thread waits for it.
"""

from __future__ import annotations

import os
import signal as _signal
from _thread import get_ident, start_new_thread
from collections.abc import Callable
from os import close as _close_fd
from os import waitpid
from signal import getsignal, signal
from types import FrameType
from typing import TYPE_CHECKING, Any

from greenscope.runtime.watcher import READ, Watcher
from greenscope.trace.events import Wait, Watch

if TYPE_CHECKING:
    from greenscope.runtime.loop import Loop, TurnHandle, UvTimer

__all__ = [
    "AsyncWatcher",
    "CheckWatcher",
    "ChildWatcher",
    "IdleWatcher",
    "PrepareWatcher",
    "SignalWatcher",
    "TimerOfLoop",
]

_pidfd_open: Callable[[int], int] | None = getattr(os, "pidfd_open", None)


class _ClosedHandle:
    """What a closed watcher has."""

    __slots__ = ()

    closed = True

    def start(self, *_arguments: object) -> None:
        """Refuse."""
        raise ValueError("this watcher is closed; make another one")

    def stop(self) -> None:
        """There is nothing left to stop."""


_CLOSED: Any = _ClosedHandle()


class TimerOfLoop(Watcher):
    """Fires after a time, and then again and again if it is to.

    Args:
        after: seconds until it fires; 0 is in the next round.
        repeat: seconds between the times after that; 0 is only once.
    """

    __slots__ = ("_handle", "after", "repeat")

    watch = int(Watch.TIMER)
    waits_for = int(Wait.TIMER)

    def __init__(self, loop: Loop, handle: UvTimer, after: float, repeat: float, ref: bool) -> None:
        if repeat < 0:
            raise ValueError(f"a timer repeats after 0 or more seconds, not after {repeat}")
        self.after = after
        self.repeat = repeat
        self._handle = handle
        super().__init__(loop, ref)

    def again(self, callback: Callable[..., object], *args: Any) -> None:
        """Start anew, to fire after ``repeat`` seconds; without ``repeat``, stop."""
        if self._active:
            self._deactivate()
        if self.repeat:
            self.after = self.repeat
            self.start(callback, *args)
        else:
            self.stop()

    def close(self) -> None:
        """Stop, and let go of what the loop holds for it. Twice does no harm."""
        super().close()
        self.loop.close_handle(self._handle)
        self._handle = _CLOSED  # whose last callback knows us: freed now, not by the collector

    def describe(self) -> str:
        return f"timer of {self.after:g} s"

    def _detail(self) -> int:
        return self.loop.milliseconds(self.after)

    def _begin(self) -> None:
        self.loop.start_timer(self._handle, self._on_time, self.after, self.repeat)

    def _end(self) -> None:
        self._handle.stop()

    def _on_time(self, _handle: object) -> None:
        self.loop.end_poll()
        self.fire()
        if not self.repeat and self._active:
            self._deactivate()


class AsyncWatcher(Watcher):
    """Fires when somebody, in whatever thread, calls ``send``."""

    __slots__ = ()

    watch = int(Watch.ASYNC)
    waits_for = int(Wait.OTHER)

    def send(self) -> None:
        """Make it fire soon. Several calls before that make it fire once."""
        if get_ident() == self.loop.thread:
            self.fire()
        else:
            self.loop.call_threadsafe(self.fire)

    def describe(self) -> str:
        return "a call of send()"

    def _begin(self) -> None:
        """Nothing: the loop's own wake-up is always there."""

    def _end(self) -> None:
        """Nothing."""


class SignalWatcher(Watcher):
    """Fires when the process gets a signal. While it is started, it stands in for the signal's handler.

    Args:
        signum: which signal.

    Raises:
        ValueError: (by ``start``) not the main thread, where alone Python takes signals.
    """

    __slots__ = ("signum",)

    watch = int(Watch.SIGNAL)
    waits_for = int(Wait.SIGNAL)

    def __init__(self, loop: Loop, signum: int, ref: bool) -> None:
        if not 1 <= signum < _signal.NSIG:
            raise ValueError(f"there is no signal {signum}: they go from 1 to {_signal.NSIG - 1}")
        self.signum = signum
        super().__init__(loop, ref)

    def describe(self) -> str:
        try:
            return f"signal {_signal.Signals(self.signum).name}"
        except ValueError:  # a real-time signal has no name
            return f"signal {self.signum}"

    def _detail(self) -> int:
        return self.signum

    def _begin(self) -> None:
        taken = _taken.get(self.signum)
        if taken is None:
            taken = _TakenSignal(self.signum)
        taken.watchers.append(self)

    def _end(self) -> None:
        _taken[self.signum].remove(self)


class _TakenSignal:
    """A signal that watchers watch, and the handler that is to have it back."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.watchers: list[SignalWatcher] = []
        self.previous = getsignal(signum)
        signal(signum, self.handle)
        _taken[signum] = self

    def handle(self, _signum: int, _frame: FrameType | None) -> None:
        for watcher in list(self.watchers):
            watcher.fire()

    handle.of_a_watcher = True  # type: ignore[attr-defined]

    def remove(self, watcher: SignalWatcher) -> None:
        self.watchers.remove(watcher)
        if not self.watchers:
            del _taken[self.signum]
            if getsignal(self.signum) == self.handle:  # else the program has set another one since
                signal(self.signum, self.previous if self.previous is not None else _signal.SIG_DFL)


_taken: dict[int, _TakenSignal] = {}


class ChildWatcher(Watcher):
    """Fires when a child process has ended, and has taken its status by then.

    Args:
        pid: the process; a child of ours that nobody else waits for.

    Raises:
        ChildProcessError: (by ``start``) there is no such process.
    """

    __slots__ = ("_pidfd", "_thread", "pid", "rpid", "rstatus")

    watch = int(Watch.CHILD)
    waits_for = int(Wait.CHILD)

    def __init__(self, loop: Loop, pid: int, ref: bool) -> None:
        if pid <= 0:
            raise ValueError(f"a child watcher watches one process, by its number; {pid} is none")
        self.pid = pid
        self.rpid = 0
        """The process, once it has ended."""
        self.rstatus: int | None = 0
        """Its status, as ``os.waitpid`` gives it; None if somebody else took it."""
        self._pidfd = -1
        self._thread = False
        super().__init__(loop, ref)
        self.mask = READ

    def describe(self) -> str:
        return f"process {self.pid} to end"

    def fire(self) -> bool:
        """It has ended: take its status, and tell."""
        if self.rpid == 0 and not self._reap():
            return True
        told = super().fire()
        if self._active:
            self._deactivate()
        return told

    def _reap(self) -> bool:
        try:
            pid, status = waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            self.rpid, self.rstatus = self.pid, None
            return True
        self.rpid, self.rstatus = pid, status
        return pid != 0

    def _detail(self) -> int:
        return self.pid

    def _begin(self) -> None:
        if self.rpid:  # it had ended before
            self.loop.run_callback(self.fire)
            return
        if _pidfd_open is None:
            self._begin_thread()
            return
        try:
            self._pidfd = _pidfd_open(self.pid)
        except ProcessLookupError:
            raise ChildProcessError(f"there is no child process {self.pid}, or its status was taken already") from None
        except OSError:  # a kernel without pidfd_open
            self._begin_thread()
            return
        self.descriptor = self.loop.descriptor(self._pidfd)
        self.descriptor.add(self)
        self.descriptor.arm(READ)

    def _end(self) -> None:
        if self._pidfd >= 0:
            self.descriptor.remove(self)
            _close_fd(self._pidfd)
            self._pidfd = -1

    def _begin_thread(self) -> None:
        if not self._thread:
            self._thread = True
            start_new_thread(self._wait_in_thread, ())

    def _wait_in_thread(self) -> None:
        status: int | None
        try:
            _, status = waitpid(self.pid, 0)
        except ChildProcessError:
            status = None
        self.loop.call_threadsafe(self._ended_in_thread, status)

    def _ended_in_thread(self, status: int | None) -> None:
        self.rpid, self.rstatus = self.pid, status
        if self._active:
            self.fire()


class _Turn(Watcher):
    """Fires once in each of the loop's rounds, at a place that libuv knows."""

    __slots__ = ("_handle",)

    waits_for = int(Wait.OTHER)

    def __init__(self, loop: Loop, handle: TurnHandle, ref: bool) -> None:
        self._handle = handle
        super().__init__(loop, ref)

    def close(self) -> None:
        """Stop, and let go of what the loop holds for it. Twice does no harm."""
        super().close()
        self.loop.close_handle(self._handle)
        self._handle = _CLOSED  # whose last callback knows us: freed now, not by the collector

    def _begin(self) -> None:
        self._handle.start(self._on_turn)

    def _end(self) -> None:
        self._handle.stop()

    def _on_turn(self, _handle: object) -> None:
        self.fire()


class CheckWatcher(_Turn):
    """Fires after each poll."""

    __slots__ = ()
    watch = int(Watch.CHECK)


class PrepareWatcher(_Turn):
    """Fires before each poll, which then does not block."""

    __slots__ = ()
    watch = int(Watch.PREPARE)

    def _on_turn(self, _handle: object) -> None:
        self.loop.end_poll()
        self.fire()


class IdleWatcher(Watcher):
    """Fires in the rounds that have nothing else to do: nobody is ready, and the poll has no news."""

    __slots__ = ()
    watch = int(Watch.IDLE)
    waits_for = int(Wait.OTHER)

    def describe(self) -> str:
        return "the loop to be idle"

    def _begin(self) -> None:
        self.loop.idlers.append(self)

    def _end(self) -> None:
        self.loop.idlers.remove(self)
