"""The event loop: libuv, through pyuv, and everything one has to know of them.

Owns descriptors, timers, the thread-safe wake-up and the signal wake-up; the only module that
imports pyuv. A callback of libuv marks a wakeable, appends it to the ready queue and returns: it
never switches greenlets, so the loop is never entered twice.

Facts that shaped it, each measured on pyuv 1.4.0 with libuv 1.13:

- Two ``Poll`` handles on one descriptor: the second silently wins. So there is one, shared by all
  the watchers of it (``Descriptor``).
- A new ``Poll`` makes its descriptor non-blocking, and so every duplicate of it: a terminal would be
  for the shell as well. It is put back; libuv does not need it.
- Stopping a ``Poll`` and starting it again is two ``epoll_ctl`` calls. So it stays armed between
  waits, and is stopped when it fires and nobody waits (*lazy stop*).
- The kernel is told at the next poll, and libuv aborts the process if the descriptor is gone by
  then. So a watcher is closed before its descriptor; and what was armed is handed to libuv just before a
  poll (``before_poll``), if the descriptor is still the same.
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
import sys
from _thread import get_ident
from collections import Counter, deque
from collections.abc import Callable
from operator import attrgetter
from os import get_blocking, set_blocking
from signal import set_wakeup_fd
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from greenscope.errors import MissingDependencyError
from greenscope.runtime.descriptor import Descriptor
from greenscope.runtime.waiter import Board, Callback
from greenscope.runtime.wakeup import SignalWakeup
from greenscope.runtime.watcher import READ, WRITE, IoWatcher, TimerWatcher
from greenscope.runtime.watchers import (
    AsyncWatcher,
    CheckWatcher,
    ChildWatcher,
    IdleWatcher,
    PrepareWatcher,
    SignalWatcher,
    TimerOfLoop,
)
from greenscope.trace.recorder import Recorder

if TYPE_CHECKING:
    from greenscope.runtime.timeout import Timeout

try:
    import pyuv
except ImportError as error:
    raise MissingDependencyError(
        f"greenscope.runtime needs pyuv, which is not installed ({error}). Its last release, 1.4.0, cannot be "
        "compiled by plain pip on this Python. In a checkout of greenscope run `make build`; elsewhere run "
        "`pip install --no-index --find-links dist greenscope` with the wheels that `make wheels` leaves in dist/"
    ) from error

__all__ = ["READ", "WRITE", "Descriptor", "IoWatcher", "Loop", "Timer", "TimerWatcher", "milliseconds"]

UvPoll: TypeAlias = "pyuv.Poll"
UvTimer: TypeAlias = "pyuv.Timer"
TurnHandle: TypeAlias = "pyuv.Check | pyuv.Prepare"
_Handle = TypeVar("_Handle", bound="pyuv.Handle")

ErrorHook = Callable[[type[BaseException], BaseException, TracebackType | None], object]

_MAX_MS = 0xFFFFFFFF
_due = attrgetter("due")
_epoll = getattr(select, "epoll", None)  # kept: monkey patching takes it away


def milliseconds(seconds: float) -> int:
    """A time in whole milliseconds, rounded up; at least 0, at most what a record holds (49 days)."""
    if seconds <= 0:
        return 0
    if seconds >= _MAX_MS / 1000:
        return _MAX_MS
    return math.ceil(seconds * 1000)


class Loop(Board):
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
        "_sleepers",
        "_timers",
        "_update_time",
        "_uv",
        "changed",
        "idlers",
        "record_fire",
        "record_start",
        "record_stop",
        "run",
        "signals",
        "unarmed",
    )

    NOWAIT: int = pyuv.UV_RUN_NOWAIT
    ONCE: int = pyuv.UV_RUN_ONCE

    def __init__(self, recorder: Recorder, on_error: ErrorHook) -> None:
        super().__init__(deque(), recorder, recorder.recording)
        self.record_fire = recorder.fire
        self.record_start = recorder.watcher_start
        self.record_stop = recorder.watcher_stop
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
        self.idlers: list[IdleWatcher] = []
        self.changed: list[Descriptor] = []
        self.unarmed: list[Timeout] = []
        self.signals: SignalWakeup | None = None
        # Removes what libuv leaves behind (see above). kqueue forgets a closed descriptor by itself.
        self._epoll = _epoll.fromfd(os.dup(self._uv.fileno())) if _epoll is not None else None

    # The watchers, by gevent's names.

    def io(
        self,
        fd: int,
        events: int,
        ref: bool = True,
        priority: int | None = None,  # noqa: ARG002
        *,
        peer: bytes = b"",
        origin: int = 0,
    ) -> IoWatcher:
        """A watcher of a descriptor; close it before the descriptor is closed.

        Args:
            fd: the descriptor. Several watchers may watch the same one.
            events: 1 to read, 2 to write, 3 for either.
            ref: whether it keeps the loop alive while somebody waits for it.
            priority: gevent's, and ignored.
            peer: what is at the other end, for the recording.
            origin: whether it was connected to or accepted, for the recording (``Origin``).

        Raises:
            OSError: EBADF; or EPERM, for a file that is always ready, such as a regular one.
            ValueError: there are no such events.
        """
        if events not in {READ, WRITE, READ | WRITE}:
            raise ValueError(f"a descriptor is watched to read (1), to write (2) or for either (3), not for {events!r}")
        return IoWatcher(self, self.descriptor(fd), events, peer, ref, origin)

    def timer(self, after: float, repeat: float = 0.0, ref: bool = True) -> TimerOfLoop:
        """A watcher that fires after so many seconds, and then every ``repeat`` seconds if that is not 0."""
        return TimerOfLoop(self, self._quiet(pyuv.Timer(self._uv)), after, repeat, ref)

    def async_(self, ref: bool = True) -> AsyncWatcher:
        """A watcher that fires when its ``send`` is called, in whatever thread."""
        return AsyncWatcher(self, ref)

    def signal(self, signum: int, ref: bool = True) -> SignalWatcher:
        """A watcher that fires when the process gets a signal; to be started in the main thread."""
        return SignalWatcher(self, signum, ref)

    def child(self, pid: int, trace: int = 0, ref: bool = True) -> ChildWatcher:  # noqa: ARG002
        """A watcher that fires when a child process has ended; ``trace`` is libev's, and ignored."""
        return ChildWatcher(self, pid, ref)

    def check(self, ref: bool = True) -> CheckWatcher:
        """A watcher that fires after each poll."""
        return CheckWatcher(self, self._quiet(pyuv.Check(self._uv)), ref)

    def prepare(self, ref: bool = True) -> PrepareWatcher:
        """A watcher that fires before each poll."""
        return PrepareWatcher(self, self._quiet(pyuv.Prepare(self._uv)), ref)

    def idle(self, ref: bool = True) -> IdleWatcher:
        """A watcher that fires when there is nothing else to do."""
        return IdleWatcher(self, ref)

    def run_callback(self, callback: Callable[..., object], *args: object) -> Callback:
        """Have the hub call ``callback(*args)`` in its next round, in order; it must not wait.

        Returns:
            What can be stopped until then.
        """
        entry = Callback(callback, *args)
        self.ready.append(entry)
        return entry

    def run_callback_threadsafe(self, callback: Callable[..., object], *args: object) -> Callback:
        """``run_callback``, from whatever thread."""
        entry = Callback(callback, *args)
        if get_ident() == self.thread:
            self.ready.append(entry)
        else:
            self.call_threadsafe(self.ready.append, entry)
        return entry

    # What watchers are made of.

    def descriptor(self, fd: int) -> Descriptor:
        """What the loop knows of a descriptor; raises as ``io`` does."""
        descriptor = self._descriptors.get(fd)
        if descriptor is not None and not descriptor.is_same():
            # Somebody closed the descriptor behind our back, and its number was given out again.
            descriptor.abandon()
            descriptor = None
        if descriptor is None:
            descriptor = self._descriptors[fd] = Descriptor(self, fd)
        return descriptor

    def poll_handle(self, fd: int) -> UvPoll:
        """The one ``Poll`` of a descriptor; raises as ``io`` does."""
        blocking = get_blocking(fd)
        try:
            handle = self._quiet(pyuv.Poll(self._uv, fd))
        except pyuv.error.PollError as error:
            code = -error.args[0]
            if code == errno.EPERM:
                raise OSError(
                    code, f"descriptor {fd} is not one the kernel can wait for (a regular file?): read it directly"
                ) from None
            raise OSError(code, os.strerror(code)) from None
        if blocking:
            set_blocking(fd, True)
        return handle

    def forget_descriptor(self, fd: int, poll: UvPoll, told_kernel: bool) -> None:
        """Close a descriptor's handle, and take what libuv leaves out of the epoll set."""
        if self._inherited:
            return
        del self._descriptors[fd]
        if not poll.closed:
            poll.close()
        if told_kernel and self._epoll is not None:
            try:
                self._epoll.unregister(fd)
            except OSError:  # the kernel was not told yet, or has forgotten it
                pass

    def closing_fd(self, fd: int) -> bool:
        """A descriptor is about to be closed: let go of it, and tell whoever still waits. Whether anybody did."""
        descriptor = self._descriptors.get(fd)
        if descriptor is None:
            return False
        descriptor.abandon()
        return True

    def start_timer(self, handle: UvTimer, callback: Callable[[Any], object], after: float, repeat: float) -> None:
        """Have a timer count: never early, which is what the rounding is for."""
        self._update_time()
        ms, every = milliseconds(after), milliseconds(repeat)
        handle.start(callback, (ms + 1.5) / 1000 if ms else 0.0, (every + 0.5) / 1000 if every else 0.0)

    def end_poll(self) -> None:
        """From a callback that comes before the poll: have it not block."""
        self._uv.stop()

    def close_handle(self, handle: pyuv.Handle) -> None:
        """Close a handle, if the loop is still there and has not done so."""
        if not self.closed and not handle.closed:
            handle.close()

    @staticmethod
    def milliseconds(seconds: float) -> int:
        """A time in whole milliseconds, rounded up."""
        return milliseconds(seconds)

    @staticmethod
    def _quiet(handle: _Handle) -> _Handle:
        # Not referenced: what keeps the loop alive is our own count.
        handle.ref = False
        return handle

    def call_later(self, ms: int, target: Callable[[], object]) -> Timer:
        """Call ``target`` in ``ms`` milliseconds; 0 is in the next round. ``stop`` what is returned, or let it fire."""
        self._update_time()
        # One more, because "now" was truncated as well: never early. The half survives the float.
        seconds = (ms + 1.5) / 1000 if ms else 0.0
        idle = self._timers
        if idle:  # not pop(): from here to the start there is no call in which Ctrl-C could strike, and lose it
            timer = idle[-1]
            del idle[-1]
        else:
            timer = Timer(self)
        timer.target = target
        timer.start_handle(timer.on_time, seconds, 0.0)
        return timer

    def before_poll(self) -> None:
        """Tell the kernel of what is watched since this was called last, and start the timers of timeouts."""
        changed = self.changed
        while changed:
            changed.pop().tell_kernel()
        timeouts = self.unarmed[:]
        del self.unarmed[: len(timeouts)]
        if len(timeouts) > 1:  # of those that are over by now, the one that was over first is raised first
            timeouts.sort(key=_due)
        now = monotonic()
        for timeout in timeouts:
            timeout.arm(now)

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

    def has_calls(self) -> bool:
        """Whether another thread has asked for a call that was not made yet."""
        return bool(self._calls)

    def handle_signals(self, take_interrupt: Callable[[], bool]) -> None:
        """Let signals end a poll, so that Python's handlers run at once. For the main thread.

        Args:
            take_interrupt: is asked first when Ctrl-C is pressed; False leaves it to Python.
        """
        if self.signals is None:
            self.signals = SignalWakeup(self, take_interrupt)

    def close(self) -> None:
        """Close every handle; nothing may wait any more."""
        if self.closed:
            return
        self.closed = True
        if self.signals is not None:
            self.signals.close()
            self.signals = None
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
        if self.signals is not None:
            set_wakeup_fd(-1)
            self.signals.give_interrupt_back()

    def census(self) -> dict[str, int]:
        """How many of libuv's handles of each kind are open, without the timers kept for reuse: leaks show here."""
        kinds = Counter(type(handle).__name__ for handle in self._uv.handles if not handle.closed)
        kinds["Timer"] -= len(self._timers)
        return {kind: count for kind, count in kinds.items() if count}

    def _run_calls(self, _handle: pyuv.Async) -> None:
        calls = self._calls
        while calls:
            function, arguments = calls.popleft()
            try:
                function(*arguments)
            except BaseException:  # the next one is another thread's, and not to blame
                self._on_error(*sys.exc_info())


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
            try:
                self._stop_handle()
            finally:  # Ctrl-C can strike after the call
                loop._timers.append(self)

    def _on_time(self, _handle: pyuv.Timer) -> None:
        loop = self._loop
        loop._uv.stop()
        target, self.target = self.target, None
        loop._timers.append(self)
        if target is not None:
            target()


def _ignore(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    """What the callbacks of a closed loop raise."""
