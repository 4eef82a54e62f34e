"""The event loop: libuv, through pyuv, and everything one has to know of them.

Owns descriptors, timers, the thread-safe wake-up and the signal wake-up; the only module that
imports pyuv. A callback of libuv marks a wakeable, appends it to the ready queue and returns: it
never switches greenlets, so the loop is never entered twice.

Facts that shaped it, each measured on pyuv 1.4.0 with libuv 1.13:

- Two ``Poll`` handles on one descriptor: the second silently wins. So there is one, shared by the
  watchers of both directions (``Descriptor``).
- Stopping a ``Poll`` and starting it again is two ``epoll_ctl`` calls. So it stays armed between
  waits, and is stopped when it fires and nobody waits (*lazy stop*).
- The kernel is told at the next poll, and libuv aborts the process if the descriptor is gone by
  then. So a watcher is closed before its descriptor, and arming looks whether it is still the same.
- libuv leaves a closed handle's descriptor in the epoll set. While a duplicate (``dup``, a forked
  child) keeps the file open it goes on reporting, and libuv spins. So ``close`` removes it.
- A poll error (a reset peer) stops the handle, and says EBADF: not a fact about the descriptor.
  The waiters are woken; their system call knows what it is.
- Times are truncated to milliseconds, "now" too, negative ones refused, and counted from when it last
  looked at the clock. So: update, round up, clamp.
- A timer that is due runs *before* the poll, which then blocks although somebody is ready. ``stop``
  in the callback makes that poll return at once.
- What a callback raises goes to ``loop.excepthook``; the built-in one ends the process on SystemExit.
- A handle that is not referenced does not keep ``run`` from returning, so all are unreferenced but
  one ``Async``; whether anything is left to wait for is our own count (``active``).
- libuv retries EINTR by itself: Python's signal handlers run only when a callback does.
"""

from __future__ import annotations

import errno
import math
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from greenscope.errors import MissingDependencyError
from greenscope.runtime.waiter import Wakeable
from greenscope.runtime.watcher import READ, WATCH_READ, WRITE, IoWatcher, TimerWatcher
from greenscope.trace.recorder import Recorder

try:
    import pyuv
except ImportError as error:
    raise MissingDependencyError(
        f"greenscope.runtime needs pyuv, which is not installed ({error}). Its last release, 1.4.0, cannot be "
        "compiled by plain pip on this Python. In a checkout of greenscope run `make build`; elsewhere run "
        "`pip install --no-index --find-links dist greenscope` with the wheels that `make wheels` leaves in dist/"
    ) from error

__all__ = ["READ", "WRITE", "Descriptor", "IoWatcher", "Loop", "Timer", "TimerWatcher", "milliseconds"]

ErrorHook = Callable[[type[BaseException], BaseException, TracebackType | None], object]

_MAX_MS = 0xFFFFFFFF


def milliseconds(seconds: float) -> int:
    """A time in whole milliseconds, rounded up; at least 0, at most what a record holds (49 days)."""
    if seconds <= 0:
        return 0
    if seconds >= _MAX_MS / 1000:
        return _MAX_MS
    return math.ceil(seconds * 1000)


class Loop:
    """One libuv loop, its ready queue, and the count of what it still waits for.

    Args:
        recorder: is told of every watcher.
        on_error: gets what a callback raises, as ``sys.excepthook`` would.
    """

    __slots__ = (
        "_async",
        "_calls",
        "_descriptors",
        "_epoll",
        "_inherited",
        "_on_error",
        "_signals",
        "_sleepers",
        "_timers",
        "_update_time",
        "_uv",
        "active",
        "closed",
        "ready",
        "record_fire",
        "record_start",
        "record_stop",
        "recorder",
        "run",
        "thread",
    )

    NOWAIT: int = pyuv.UV_RUN_NOWAIT
    ONCE: int = pyuv.UV_RUN_ONCE

    def __init__(self, recorder: Recorder, on_error: ErrorHook) -> None:
        self.recorder = recorder
        self.record_fire = recorder.fire
        self.record_start = recorder.watcher_start
        self.record_stop = recorder.watcher_stop
        self.ready: deque[Wakeable] = deque()
        self.active = 0
        self.closed = False
        self.thread = threading.get_ident()
        self._inherited = False
        self._uv = pyuv.Loop()
        self._on_error: Any = on_error
        self._uv.excepthook = on_error
        self.run = self._uv.run
        self._update_time = self._uv.update_time
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._async = pyuv.Async(self._uv, self._run_calls)
        self._descriptors: dict[int, Descriptor] = {}
        self._timers: list[Timer] = []
        self._sleepers: list[TimerWatcher] = []
        self._signals: _SignalWakeup | None = None
        # Removes what libuv leaves behind (see above). kqueue forgets a closed descriptor by itself.
        self._epoll = select.epoll.fromfd(os.dup(self._uv.fileno())) if hasattr(select, "epoll") else None

    def io(self, fd: int, events: int, peer: bytes = b"") -> IoWatcher:
        """A watcher of ``fd``, for READ or for WRITE; close it before the descriptor is closed.

        Raises:
            OSError: EBADF; or EPERM, for a file that is always ready, such as a regular one.
        """
        descriptor = self._descriptors.get(fd)
        if descriptor is not None and not descriptor.can_take(events):
            # Somebody closed the descriptor behind our back, and its number was given out again; or
            # let two objects share one. The last one has it, the first is told.
            descriptor.abandon()
            descriptor = None
        if descriptor is None:
            descriptor = self._descriptors[fd] = Descriptor(self, fd)
        return IoWatcher(self, descriptor, events, peer)

    def call_later(self, ms: int, target: Callable[[], object]) -> Timer:
        """Call ``target`` in ``ms`` milliseconds; 0 is in the next round. ``stop`` what is returned, or let it fire."""
        idle = self._timers
        timer = idle.pop() if idle else Timer(self)
        timer.target = target
        self._update_time()
        # One more, because "now" was truncated as well: never early. The half survives the float.
        timer.start_handle(timer.on_time, (ms + 1.5) / 1000 if ms else 0.0, 0.0)
        return timer

    def sleeper(self, seconds: float) -> TimerWatcher:
        """A watcher to wait on for ``seconds``; ``release`` it afterwards."""
        watcher = self._sleepers.pop() if self._sleepers else TimerWatcher(self)
        watcher.ms = milliseconds(seconds)
        return watcher

    def call_threadsafe(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the loop's thread call ``function`` soon, between two greenlets. Any thread may ask."""
        self._calls.append((function, arguments))
        if not self.closed:
            try:
                self._async.send()
            except pyuv.error.HandleClosedError:  # its thread closed it between these two lines
                pass

    def handle_signals(self, take_interrupt: Callable[[], bool]) -> None:
        """Let signals end a poll, so that Python's handlers run at once. For the main thread.

        Args:
            take_interrupt: is asked first when Ctrl-C is pressed; False leaves it to Python.
        """
        if self._signals is None:
            self._signals = _SignalWakeup(self._uv, take_interrupt)

    def close(self) -> None:
        """Close every handle; nothing may wait any more."""
        if self.closed:
            return
        self.closed = True
        if self._signals is not None:
            self._signals.close()
            self._signals = None
        for descriptor in list(self._descriptors.values()):
            descriptor.abandon()
        for handle in self._uv.handles:
            if not handle.closed:
                handle.close()
        self._timers.clear()
        self._sleepers.clear()
        self._uv.run(pyuv.UV_RUN_NOWAIT)  # libuv's own half of closing
        if self._epoll is not None:
            self._epoll.close()
        # Freeing libuv's loop is what closes its descriptors, and must not wait for the garbage collector.
        self._on_error = self._uv.excepthook = _ignore
        del self._uv, self.run, self._update_time

    def leave_to_parent(self) -> None:
        """Touch it no more: after a fork the epoll set in the kernel is the parent's, and this a copy."""
        self.closed = self._inherited = True
        self._epoll = None
        if self._signals is not None:
            signal.set_wakeup_fd(-1)
            self._signals.give_interrupt_back()

    def _run_calls(self, _handle: pyuv.Async) -> None:
        calls = self._calls
        while calls:
            function, arguments = calls.popleft()
            try:
                function(*arguments)
            except BaseException:  # the next one is another thread's, and not to blame
                self._on_error(*sys.exc_info())


class Descriptor:
    """One file descriptor in the loop: its ``Poll`` handle and the watcher of each direction."""

    __slots__ = ("_identity", "_loop", "_poll", "_told_kernel", "armed", "fd", "reader", "writer")

    def __init__(self, loop: Loop, fd: int) -> None:
        self._loop = loop
        self.fd = fd
        self.armed = 0
        self.reader: IoWatcher | None = None
        self.writer: IoWatcher | None = None
        self._told_kernel = False
        self._identity = _identity(fd)
        try:
            poll = pyuv.Poll(loop._uv, fd)
        except pyuv.error.PollError as error:
            code = -error.args[0]
            if code == errno.EPERM:
                raise OSError(
                    code, f"descriptor {fd} is not one the kernel can wait for (a regular file?): read it directly"
                ) from None
            raise OSError(code, os.strerror(code)) from None
        poll.ref = False
        self._poll: pyuv.Poll | None = poll

    def can_take(self, events: int) -> bool:
        """Whether a watcher for this direction can be added."""
        try:
            same = _identity(self.fd) == self._identity
        except OSError:
            same = False
        return same and (self.reader if events == READ else self.writer) is None

    def arm(self, events: int) -> None:
        """Have the kernel watch for ``events`` too.

        Raises:
            OSError: EBADF, the descriptor was closed, or is another file now.
        """
        if self._poll is None or _identity(self.fd) != self._identity:
            raise OSError(errno.EBADF, f"descriptor {self.fd} was closed without closing its socket")
        self.armed |= events
        self._told_kernel = True
        self._poll.start(self.armed, self._on_events)

    def remove(self, watcher: IoWatcher) -> None:
        """Take a watcher out; with the last one the handle goes."""
        if self.reader is watcher:
            self.reader = None
        elif self.writer is watcher:
            self.writer = None
        if self.reader is None and self.writer is None:
            self._close()

    def abandon(self) -> None:
        """Close what watches this descriptor, and tell whoever waits."""
        for watcher in (self.reader, self.writer):
            if watcher is not None:
                watcher.cancel(OSError(errno.EBADF, "File descriptor was closed behind its socket"))
                watcher.close()
        self._close()

    def _close(self) -> None:
        poll, self._poll = self._poll, None
        if poll is None:
            return
        loop = self._loop
        if loop._inherited:
            return
        del loop._descriptors[self.fd]
        if not poll.closed:
            poll.close()
        if self._told_kernel and loop._epoll is not None:
            try:
                loop._epoll.unregister(self.fd)
            except OSError:  # the kernel was not told yet, or has forgotten it
                pass

    def _on_events(self, _poll: pyuv.Poll, events: int | None, _error: int | None) -> None:
        if events == READ:  # nearly always, and worth a path of its own
            watcher = self.reader
            if watcher is not None and watcher.greenlet is not None:
                if not watcher.queued:
                    handle = watcher.state.handle
                    loop = self._loop
                    loop.record_fire(handle, WATCH_READ, watcher.resource, watcher.fd)
                    watcher.queued = True
                    loop.ready.append(watcher)
                return
        elif events is None:
            self.armed = 0
            events = READ | WRITE
        unwanted = 0
        if events & READ and not ((watcher := self.reader) is not None and watcher.fire()):
            unwanted = READ
        if events & WRITE and not ((watcher := self.writer) is not None and watcher.fire()):
            unwanted |= WRITE
        if unwanted and self.armed & unwanted:
            self._disarm(unwanted)

    def _disarm(self, events: int) -> None:
        poll = self._poll
        if poll is None:
            return
        self.armed &= ~events
        if self.armed:
            poll.start(self.armed, self._on_events)
        else:
            poll.stop()


class Timer:
    """Calls a function once, on the loop, after a time; goes back to the idle ones by itself.

    Making and closing a libuv handle is slow, and a handle keeps its last callback alive; so the
    handle's callback is always this object's, and the target is dropped as soon as it is over.
    """

    __slots__ = ("_loop", "_stop_handle", "on_time", "start_handle", "target")

    def __init__(self, loop: Loop) -> None:
        handle = pyuv.Timer(loop._uv)
        handle.ref = False
        self._loop = loop
        self._stop_handle = handle.stop
        self.start_handle = handle.start
        self.on_time = self._on_time
        self.target: Callable[[], object] | None = None

    def stop(self) -> None:
        """Call it no more. Not for a timer that has fired: that is somebody else's by now."""
        self.target = None
        loop = self._loop
        if not loop.closed:
            self._stop_handle()
            loop._timers.append(self)

    def _on_time(self, _handle: pyuv.Timer) -> None:
        loop = self._loop
        loop._uv.stop()
        target, self.target = self.target, None
        loop._timers.append(self)
        if target is not None:
            target()


class _SignalWakeup:
    """Makes a signal end the poll: Python writes a byte, the loop sees it, and the handler runs then.

    The handler runs between any two lines, so what Python's own raises for Ctrl-C would cut one of the
    hub's in half: a timer has fired, say, and its greenlet is never told. ``take_interrupt`` is asked
    before that. A handler that the program has set is left alone.
    """

    __slots__ = ("_mine", "_on_interrupt", "_poll", "_previous", "_theirs")

    def __init__(self, uv: pyuv.Loop, take_interrupt: Callable[[], bool]) -> None:
        self._mine, self._theirs = socket.socketpair()
        self._mine.setblocking(False)
        self._theirs.setblocking(False)
        self._poll = pyuv.Poll(uv, self._mine.fileno())
        self._poll.ref = False
        self._poll.start(READ, self._on_signal)
        self._previous = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)

        def on_interrupt(number: int, frame: FrameType | None) -> None:
            if not take_interrupt():
                signal.default_int_handler(number, frame)

        self._on_interrupt = on_interrupt
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, on_interrupt)

    def close(self) -> None:
        """Give the wake-up back to whoever had it."""
        if threading.current_thread() is threading.main_thread():
            mine = self._theirs.fileno()
            current = signal.set_wakeup_fd(self._previous)
            if current != mine:  # taken over since: leave it
                signal.set_wakeup_fd(current)
            self.give_interrupt_back()
        self._poll.close()
        self._mine.close()
        self._theirs.close()

    def give_interrupt_back(self) -> None:
        """Let Ctrl-C do what it does in Python, unless the program has set a handler since."""
        if signal.getsignal(signal.SIGINT) is self._on_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _on_signal(self, _poll: pyuv.Poll, _events: int | None, _error: int | None) -> None:
        # The handlers run as soon as Python code does, which is here; and may raise, which is why
        # the bytes are read in one go and what is left makes the loop come back.
        try:
            self._mine.recv(4096)
        except BlockingIOError:
            pass


def _ignore(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    """What the callbacks of a closed loop raise."""


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
