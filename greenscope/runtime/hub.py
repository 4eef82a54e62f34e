"""The hub: the greenlet that runs when nobody else can, and decides who goes on.

One a thread. Its whole life is two steps, again and again (``_rounds``):

1. switch to every greenlet that was ready when the round began, in order;
2. ask the kernel: until something happens if nobody is ready by now; else without waiting, and only
   when a millisecond (``BUDGET``) has gone by since it was asked last.

A greenlet that has to wait says what for and switches to the hub (``wait``, ``park``); when the news
has come, the hub switches back. These steps are ``parking``'s, and in C. A round takes a *snapshot* of
the ready queue, and has an end: a greenlet that makes itself ready over and over (``sleep(0)``) runs
once a round, and never keeps the others from the kernel's news.

Nothing ends the hub: not an exception in a greenlet (printed, and kept by the greenlet), nor one in a
callback. What is meant for the whole program, KeyboardInterrupt and SystemExit, is raised in the main
greenlet, and so is ``LoopExit`` when everybody waits for something that cannot happen any more.

It refuses to wait itself: callbacks that run in the hub must not.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from _thread import _count as _thread_count
from _thread import get_ident
from collections.abc import Callable
from sys import getswitchinterval
from time import monotonic
from time import sleep as native_sleep
from types import TracebackType
from typing import Any

import greenlet as _greenlet
from greenlet import GreenletExit, getcurrent

from greenscope.runtime.current import (
    alive,
    current,
    get_hub,
    main_thread_ident,
    next_number,
    others_may_wake,
    register,
    thread_name,
)
from greenscope.runtime.exceptions import BlockingSwitchOutError, ConcurrentObjectUseError, InvalidSwitchError, LoopExit
from greenscope.runtime.hub_waiter import Waiter
from greenscope.runtime.loop import Loop
from greenscope.runtime.parked import in_words, left_by, line_of, name_of, parked
from greenscope.runtime.waiter import Callback, State, Wakeable, running
from greenscope.runtime.waiter import Waiter as Parking
from greenscope.runtime.wakeup import SignalWakeup
from greenscope.runtime.watcher import IoWatcher, Watcher
from greenscope.trace.events import Ready, Snapshot, Spawn, Wait
from greenscope.trace.levels import levels
from greenscope.trace.recorder import open_recorder
from greenscope.trace.stall_log import log_of

__all__ = [
    "ConcurrentObjectUseError",
    "Hub",
    "InvalidSwitchError",
    "LoopExit",
    "Waiter",
    "get_hub",
    "idle",
    "reinit",
    "sleep",
]

BUDGET = 0.001
"""Seconds after which the kernel is asked, though somebody is ready all the time."""

# A thread that wants the GIL takes it from whoever has kept it for the switch interval. A poll lets go of
# it sooner, for a moment that is too short for the other thread to wake up in, and makes it begin to wait
# anew: without a longer moment now and then, somebody who is always ready would starve all threads.
_FOR_THREADS = 0.00005


class Hub(_greenlet.greenlet):
    """The hub of one thread; ``get_hub`` makes it."""

    __slots__ = (
        "_joiners",
        "give_way",
        "loop",
        "number",
        "park",
        "ready",
        "record_cancel",
        "record_park",
        "record_ready",
        "record_timeout",
        "recorder",
        "thread",
        "wait_io",
        "wait_io_within",
    )

    give_way: Callable[[], None]
    """Let everybody else who is ready run, and go on."""

    park: Callable[[Parking], None]
    """Park the current greenlet until somebody calls the waiter's ``wake``; raises as ``wait`` does."""

    wait_io: Callable[[IoWatcher], None]
    """``wait``, for a descriptor's watcher."""

    wait_io_within: Callable[[IoWatcher], None]
    """The same, and the last timeout that was started, which is of this wait only, is recorded with it."""

    def __init__(self) -> None:
        main = running()
        while main.parent is not None:
            main = main.parent
        super().__init__(None, main)
        self.thread = get_ident()
        self.number = next_number()
        self.recorder = recorder = open_recorder(self.number, thread_name())
        self.loop = Loop(recorder, self._callback_failed)
        self.loop.hub = self
        self.ready = self.loop.ready
        self.give_way = self.loop.give_way
        self.park = self.loop.park
        self.wait_io = self.loop.wait_io
        self.wait_io_within = self.loop.wait_io_within
        self._joiners: list[Parking] = []
        self.record_park = recorder.park
        self.record_ready = recorder.ready
        self.record_timeout = recorder.timeout_start
        self.record_cancel = recorder.timeout_cancel
        recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
        first = recorder.spawn(Spawn.MAIN, recorder.string("main"), 0, 0)
        main._state = State(self, self.loop, first)
        recorder.switch(first)
        if self.thread == main_thread_ident[0]:
            self.loop.handle_signals(self._take_interrupt)
        alive.add(self)

    # What a greenlet calls in order to wait.

    def wait(self, watcher: Watcher) -> None:
        """Park the current greenlet until ``watcher`` fires.

        Raises:
            ConcurrentObjectUseError: another greenlet waits on it.
            InvalidSwitchError: something that is not the hub switched to the greenlet.
            OSError: EBADF, the watcher or its descriptor is closed.
            BaseException: what a timeout, ``kill`` or ``close`` had raised here.
        """
        if watcher.callback is not None:
            raise ConcurrentObjectUseError(f"cannot wait for {watcher.describe()}: it was started, to call a function")
        if watcher.__class__ is IoWatcher:
            self.wait_io(watcher)
        else:
            self.wait_on(watcher)

    def wait_on(self, watcher: Watcher) -> None:
        """``wait``, for every other watcher."""
        me = running()
        state: State | None = getattr(me, "_state", None)
        if state is None or state.hub is not self:  # that of a hub which was destroyed: nobody would be woken
            state = self.state_of(me)
        if watcher.greenlet is not None:
            self.refuse_second_wait(watcher)
        state.waiting_on = watcher
        try:
            watcher.wait_begins(me, state)
            self.record_park(watcher.reason, watcher.resource, -1, state.deadline_ms(), b"")
            if self.switch() is not watcher:
                self.refuse_switch(me, watcher)
        finally:
            watcher.wait_ends()

    def cancel_wait(self, watcher: Watcher, error: BaseException, close_watcher: bool = False) -> None:
        """Raise ``error`` in the greenlet that waits on ``watcher``, if one does; and close that, if told to."""
        watcher.cancel(error)
        if close_watcher:
            watcher.close()

    def join(self, timeout: float | None = None) -> bool:
        """Park until nothing is left to wait for, for at most ``timeout`` seconds.

        Returns:
            Whether that is so: no watcher, timeout or ready greenlet keeps the loop alive.
        """
        waiter = Parking(Wait.JOIN, 0, "everything to end")
        self._joiners.append(waiter)
        fired: list[bool] = []
        loop = self.loop
        timer = None
        if timeout is not None:
            timer = loop.call_later(loop.milliseconds(timeout), lambda: fired.append(waiter.wake(Ready.TIMEOUT, 0)))
        try:
            self.park(waiter)
        finally:
            if timer is not None and not fired:
                timer.stop()
            ended = waiter not in self._joiners  # _nothing_left took it out
            if not ended:
                self._joiners.remove(waiter)
        return ended

    def run_callback(self, callback: Callable[..., object], *args: Any) -> Callback:
        """Have the hub call ``callback(*args)`` in its next round; it must not wait. Can be stopped until then."""
        return self.loop.run_callback(callback, *args)

    # What wakes or ends greenlets from elsewhere.

    def interrupt(self, target: _greenlet.greenlet, error: BaseException, reason: Ready, by: int) -> bool:
        """Raise ``error`` in a parked greenlet, at the hub's next round.

        Returns:
            False if that cannot be done now: it is not parked, or is about to be raised in already.
        """
        state: State | None = getattr(target, "_state", None)
        entry = state.waiting_on if state is not None else None
        if entry is None or entry.greenlet is not target or entry.exception is not None:
            return False
        entry.exception = error
        entry.wake(reason, by)
        return True

    def raise_in(self, target: _greenlet.greenlet, error: BaseException, reason: Ready, by: int) -> None:
        """Raise ``error`` in a greenlet as soon as that can be done; not at all if it ends before."""
        if not self.interrupt(target, error, reason, by):
            self.ready.append(Callback(self._raise_later, target, error, reason, by))

    def is_parked(self, target: _greenlet.greenlet) -> bool:
        """Whether a greenlet waits through the hub, and not for another one that it switched to."""
        state: State | None = getattr(target, "_state", None)
        entry = state.waiting_on if state is not None else None
        return entry is not None and entry.greenlet is target

    def throw_in(self, target: _greenlet.greenlet, error: BaseException) -> None:
        """Raise ``error``, at once, in a greenlet that is not parked. For what the hub calls in its rounds."""
        self.recorder.throw(self.state_of(target).handle)
        target.throw(error)

    def call(self, function: Any, *arguments: Any) -> None:
        """Have the hub call ``function`` in its next round; it must not wait."""
        self.ready.append(Callback(function, *arguments))

    @property
    def threadpool(self) -> Any:
        """The hub's thread pool, made when first asked for."""
        pool = self.__dict__.get("_threadpool")
        if pool is None:
            pool = self.__dict__["_threadpool"] = self.threadpool_class(self.threadpool_size, hub=self)
        return pool

    threadpool_class: Any = None
    """What ``threadpool`` is made of; ``greenscope.runtime.threadpool`` sets it."""

    threadpool_size = 10

    def state_of(self, target: _greenlet.greenlet) -> State:
        """What the runtime knows of a greenlet of this thread, which need not be one of its own.

        Raises:
            BlockingSwitchOutError: it is the hub, which has nobody to switch to.
        """
        if target is self:
            raise BlockingSwitchOutError("a callback that runs in the hub must not wait; spawn a greenlet for it")
        state: State | None = getattr(target, "_state", None)
        if state is None or state.hub is not self:
            recorder = self.recorder
            name = recorder.string(getattr(target, "name", "") or "raw greenlet")
            state = State(self, self.loop, recorder.spawn(Spawn.RAW, name, 1, recorder.current))
            target._state = state  # type: ignore[attr-defined]
            recorder.switch(state.handle)
        return state

    def handle_error(
        self, context: object, kind: type[BaseException], value: BaseException, trace: TracebackType | None
    ) -> None:
        """Deal with an exception that nobody caught: print it, and raise in main what is meant for the program.

        Args:
            context: the greenlet or the function it comes from; None for a callback of the loop.
            kind, value, trace: the exception, as ``sys.exc_info`` gives it.
        """
        if issubclass(kind, self.SYSTEM_ERROR):
            self.handle_system_error(kind, value)
        elif not issubclass(kind, self.NOT_ERROR):
            self.recorder.snapshot_because(Snapshot.EXCEPTION)
            self.print_exception(context, kind, value, trace)

    def handle_system_error(
        self,
        kind: type[BaseException],
        value: BaseException | None,
        trace: TracebackType | None = None,  # noqa: ARG002
    ) -> None:
        """Raise in the main greenlet what is meant for the whole program."""
        main = self.parent
        assert main is not None
        self.raise_in(main, value if value is not None else kind(), Ready.OTHER, 0)

    def print_exception(
        self, context: object, kind: type[BaseException], value: BaseException, trace: TracebackType | None
    ) -> None:
        """Say on stderr (or ``exception_stream``) what nobody caught, and where it comes from."""
        stream = self.exception_stream
        if stream is None:
            return
        with contextlib.suppress(Exception):  # stderr is closed, or full: nobody can be told, and we go on
            traceback.print_exception(kind, value, trace, file=stream)
            where = "a callback of the loop" if context is None else name_of(context)
            print(f"{where} failed with {kind.__name__}", file=stream)

    NOT_ERROR: tuple[type[BaseException], ...] = (GreenletExit,)
    """What ends a greenlet without a word."""

    SYSTEM_ERROR: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit)
    """What is meant for the whole program, and raised in its main greenlet."""

    @property
    def exception_stream(self) -> Any:
        """Where exceptions are printed: stderr, as it is then, unless set; None is nowhere."""
        return self._streams[0] if self._streams else sys.stderr

    @exception_stream.setter
    def exception_stream(self, stream: Any) -> None:
        self._streams = (stream,)

    _streams: tuple[Any, ...] = ()  # the one that was set, if one was

    def destroy(self, destroy_loop: bool | None = None) -> None:  # noqa: ARG002  (gevent's; the loop always goes)
        """End the hub in good order: its handles are closed, its recording says so. Main greenlet only."""
        if getcurrent() is not self.parent:
            raise RuntimeError("only the main greenlet of its thread can destroy a hub")
        if current.hub is self:
            guard = current.guard
            if guard is not None:
                guard.hub = None
            current.hub = current.guard = None
        main: Any = self.parent
        if hasattr(main, "_state"):
            del main._state
        pool = self.__dict__.pop("_threadpool", None)
        if pool is not None:
            pool.end()
        self.loop.close()
        if not self.dead:
            self.throw(GreenletExit)
        self.recorder.close()
        alive.discard(self)

    # The hub's own side.

    def run(self, _result: object = None) -> None:
        """What the hub's greenlet does; after a fork, begun by the end of the greenlet that forked."""
        while not self.loop.closed:
            try:
                self._rounds()
            except GreenletExit:
                return
            except BaseException:  # of a raw greenlet that is our child; or Ctrl-C, in the lines below
                self.handle_error(None, *sys.exc_info())

    def _rounds(self) -> None:
        # This `while` is the event loop.
        loop = self.loop
        ready = self.ready
        recorder = self.recorder
        run_ready = loop.run_ready
        poll_begin = recorder.poll_begin
        poll_end = recorder.poll_end
        poll, nowait, once = loop.run, loop.NOWAIT, loop.ONCE
        unarmed, changed = loop.unarmed, loop.changed
        poll_by = threads_by = 0.0
        while True:
            run_ready()
            if unarmed or changed:
                loop.before_poll()
            count = len(ready)
            if count:
                now = monotonic()
                if now < poll_by:
                    continue
                poll_begin(0)
                poll(nowait)
                poll_end(len(ready) - count)
                poll_by = now + BUDGET
                if now > threads_by and _thread_count():
                    native_sleep(_FOR_THREADS)
                    threads_by = now + getswitchinterval()
            elif loop.idlers:
                self._poll_idle()
            elif loop.active:
                poll_begin(1)
                poll(once)
                poll_end(len(ready))
                poll_by = 0.0
            else:
                self._nothing_left()

    def refuse_second_wait(self, watcher: Wakeable) -> None:
        """Raise what a greenlet gets that waits where another one does."""
        self.record_refusal(watcher)
        raise ConcurrentObjectUseError(
            f"cannot wait for {watcher.describe()}: greenlet {name_of(watcher.greenlet)} waits for it already"
            + (line_of(watcher.greenlet) if watcher.greenlet is not None else "")
        )

    def record_refusal(self, watcher: Wakeable) -> None:
        """Say in the recording that who runs may not wait on ``watcher``, because another greenlet does."""
        if watcher.fd >= 0:
            self.recorder.watcher_refuse(
                watcher.reason, watcher.resource, watcher.fd, watcher.state.handle, watcher.peer
            )

    def refuse_switch(self, target: _greenlet.greenlet, entry: Wakeable) -> None:
        """Raise what a greenlet gets that somebody else than the hub switched to."""
        raise InvalidSwitchError(f"{name_of(target)} was switched to while it waited for {entry.describe()}")

    def special(self, entry: Wakeable) -> None:
        """An entry that is not simply switched to: cancelled, a callback, or with something to raise."""
        entry.queued = False
        target = entry.greenlet
        error, entry.exception = entry.exception, None
        if target is None:
            callback = getattr(entry, "callback", None)
            try:
                entry.call()
            except BaseException as raised:
                if isinstance(raised, GreenletExit) and self.loop.closed:
                    raise  # `destroy`, called by main, in which this callback has raised
                self.handle_error(callback, *sys.exc_info())
        elif error is not None:
            self.recorder.throw(entry.state.handle)
            target.throw(error)

    def _raise_later(self, target: _greenlet.greenlet, error: BaseException, reason: Ready, by: int) -> None:
        if target.dead or self.interrupt(target, error, reason, by):
            return
        if self.is_parked(target):  # the other error first
            self.call(self._raise_later, target, error, reason, by)
        else:
            self.throw_in(target, error)

    def _poll_idle(self) -> None:
        """A poll that does not block; without news, it is the turn of who waits for that."""
        recorder, loop, ready = self.recorder, self.loop, self.ready
        recorder.poll_begin(0)
        loop.run(loop.NOWAIT)
        recorder.poll_end(len(ready))
        if not ready:
            for watcher in list(loop.idlers):
                watcher.fire()

    def _nothing_left(self) -> None:
        main = self.parent
        assert main is not None
        if self.ready:  # a signal's handler had news since it was looked at
            return
        if not self.loop.has_calls():
            joiners, self._joiners = self._joiners, []
            for waiter in joiners:
                waiter.wake(Ready.OTHER, 0)
        if self.ready:
            return
        signals = self.loop.signals
        # The calls last: a thread that has ended since may have left one.
        if others_may_wake() or (signals is not None and signals.handler_may_wake()) or self.loop.has_calls():
            self.recorder.poll_begin(1)
            self.loop.run(self.loop.ONCE)
            self.recorder.poll_end(len(self.ready))
            return
        waiting = parked(self)
        self.recorder.loop_exit(left_by(waiting), len(waiting))
        self.recorder.snapshot_because(Snapshot.LOOP_EXIT)
        error = LoopExit(f"every greenlet waits, and nothing is left that could wake one:\n{in_words(waiting)}")
        del waiting
        if not self.interrupt(main, error, Ready.OTHER, 0):
            main.throw(error)

    def _take_interrupt(self) -> bool:
        """Ctrl-C while the hub runs is main's; while a greenlet runs, it strikes there.

        A greenlet that stands for a thread of a patched program leaves it to main, as threads do; but if main
        has not come to take the last one, the thread is what does not end, and it strikes there after all.
        """
        me = getcurrent()
        main = self.parent
        assert main is not None
        if me is self:
            self.raise_in(main, KeyboardInterrupt(), Ready.OTHER, 0)
            return True
        is_thread: bool = getattr(me, "is_thread", False)
        return is_thread and self.interrupt(main, KeyboardInterrupt(), Ready.OTHER, 0)

    def _callback_failed(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        # A signal that ends a poll has its handler run first thing in the loop's callback for it. What it raises
        # is main's, as it would be the main thread's without a hub: a handler of SIGALRM that raises ends a wait.
        if trace is not None and trace.tb_frame.f_code is SignalWakeup.ON_SIGNAL:
            self.handle_system_error(kind, value)
        else:
            self.handle_error(None, kind, value, trace)

    def __repr__(self) -> str:
        return f"<Hub {self.number} of {self.recorder.path or 'no recording'}>"


def _log_stall(text: str) -> None:
    """Tell the program's log of a stall, in a greenlet: a handler may wait, which the hub must not."""
    from greenscope.runtime.greenlet import Greenlet

    log = log_of()
    if log is not None:
        Greenlet.spawn(log, "%s", text).name = "stall-log"


levels.on_stall = _log_stall


def sleep(seconds: float = 0, ref: bool = True) -> None:
    """Park the current greenlet for ``seconds``; with 0, only let the others run first.

    Args:
        seconds: how long.
        ref: whether it keeps the loop alive.
    """
    hub = current.hub
    if hub is None:
        hub = get_hub()
    if seconds <= 0:
        hub.give_way()
        return
    watcher = hub.loop.sleeper(seconds)
    if not ref:
        watcher.counts = False
    try:
        hub.wait_on(watcher)
    finally:
        watcher.release()


def idle(priority: int = 0) -> None:  # noqa: ARG001  (gevent's)
    """Park the current greenlet until the loop has nothing else to do."""
    hub = get_hub()
    watcher = hub.loop.idle()
    try:
        hub.wait_on(watcher)
    finally:
        watcher.close()


def reinit(hub: Hub | None = None) -> None:
    """gevent's, to be called in the child after a fork; here the child has a hub of its own by then."""


class _HubToBe(_greenlet.greenlet):
    """What a greenlet that has forked returns to, in the child: the hub, made if nobody has needed it before.

    A hub has a recording; a child that becomes another program at once would leave it behind, empty.
    """

    def __init__(self, main: _greenlet.greenlet) -> None:
        super().__init__(None, main)

    def run(self, *_result: object) -> Any:
        return get_hub().switch()


register(Hub, _HubToBe)
