"""The hub: the greenlet that runs when nobody else can, and decides who goes on.

One a thread. Its whole life is two steps, again and again (``_rounds``):

1. switch to every greenlet that was ready when the round began, in order;
2. ask the kernel: without waiting if somebody is ready by now, else until something happens.

A greenlet that has to wait says what for and switches to the hub (``wait``, ``park``); when the news
has come, the hub switches back. Because a round takes a *snapshot* of the ready queue, a greenlet that
makes itself ready over and over (``sleep(0)``) can never keep the others from the kernel's news.

Nothing ends the hub: not an exception in a greenlet (printed, and kept by the greenlet), nor one in a
callback. What is meant for the whole program, KeyboardInterrupt and SystemExit, is raised in the main
greenlet, and so is ``LoopExit`` when everybody waits for something that cannot happen any more.

It refuses to wait itself: callbacks that run in the hub must not.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import itertools
import os
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import greenlet as _greenlet
from greenlet import GreenletExit, getcurrent

from greenscope.runtime.loop import IoWatcher, Loop, TimerWatcher
from greenscope.runtime.waiter import Callback, State, Waiter, Wakeable, running
from greenscope.trace.events import Ready, Spawn, Wait
from greenscope.trace.recorder import open_recorder

__all__ = ["ConcurrentWaitError", "Hub", "LoopExit", "SwitchError", "get_hub", "sleep"]

_FOR_MAIN = (KeyboardInterrupt, SystemExit)
_LISTED = 50
_YIELD = int(Wait.YIELD)
_TIMER = int(Wait.TIMER)
_BY_ITSELF = int(Ready.YIELD)


class LoopExit(Exception):
    """Every greenlet waits, and nothing is left that could wake one."""


class SwitchError(AssertionError):
    """A greenlet that waited was switched to by something else than the hub."""


class ConcurrentWaitError(AssertionError):
    """Another greenlet waits on this already."""


class Hub(_greenlet.greenlet):
    """The hub of one thread; ``get_hub`` makes it."""

    __slots__ = (
        "loop",
        "number",
        "ready",
        "record_cancel",
        "record_park",
        "record_ready",
        "record_timeout",
        "record_wait",
        "recorder",
        "thread",
    )

    def __init__(self) -> None:
        main = running()
        while main.parent is not None:
            main = main.parent
        super().__init__(None, main)
        thread = threading.current_thread()
        self.thread = threading.get_ident()
        self.number = next(_numbers)
        self.recorder = recorder = open_recorder(self.number, thread.name)
        self.loop = Loop(recorder, self._callback_failed)
        self.ready = self.loop.ready
        self.record_park = recorder.park
        self.record_wait = recorder.wait
        self.record_ready = recorder.ready
        self.record_timeout = recorder.timeout_start
        self.record_cancel = recorder.timeout_cancel
        recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
        first = recorder.spawn(Spawn.MAIN, recorder.string("main"), 0, 0)
        main._state = State(self, first)
        recorder.switch(first)
        if thread is threading.main_thread():
            self.loop.handle_signals(self._take_interrupt)

    # What a greenlet calls in order to wait.

    def wait(self, watcher: IoWatcher) -> None:
        """Park the current greenlet until ``watcher`` fires.

        Raises:
            ConcurrentWaitError: another greenlet waits on it.
            SwitchError: something that is not the hub switched to the greenlet.
            OSError: EBADF, the watcher or its descriptor is closed.
            BaseException: what a timeout, ``kill`` or ``close`` had raised here.
        """
        # Starting and stopping are written out, not called: this is half of what a request costs.
        me = running()
        try:
            state: State = me._state
        except AttributeError:
            state = self.state_of(me)
        if watcher.greenlet is not None:
            raise ConcurrentWaitError(
                f"cannot wait for {watcher.describe()}: greenlet {_name(watcher.greenlet)} waits for it already"
            )
        watch = watcher.watch
        resource = watcher.resource
        fd = watcher.fd
        if not watcher.descriptor.armed & watcher.mask:
            watcher.descriptor.arm(watcher.mask)
        watcher.greenlet = me
        watcher.state = state
        state.waiting_on = watcher
        loop = self.loop
        loop.active += 1
        try:  # from here on, because Ctrl-C can strike in the next line
            self.record_wait(watch, resource, fd, state.deadline_ms() if state.timeouts else 0, watcher.peer)
            if self.switch() is not watcher:
                raise SwitchError(f"{_name(me)} was switched to while it waited for {watcher.describe()}")
        finally:
            watcher.greenlet = None
            loop.active -= 1
            loop.record_stop(watch, resource, fd)

    def wait_timer(self, watcher: TimerWatcher) -> None:
        """Park the current greenlet until ``watcher``'s time is over; raises as ``wait`` does."""
        me = running()
        try:
            state: State = me._state
        except AttributeError:
            state = self.state_of(me)
        state.waiting_on = watcher
        watcher.start(me, state)
        self.record_park(_TIMER, watcher.resource, -1, state.deadline_ms() if state.timeouts else 0, b"")
        try:
            if self.switch() is not watcher:
                raise SwitchError(f"{_name(me)} was switched to while it waited for {watcher.describe()}")
        finally:
            watcher.stop()

    def park(self, waiter: Waiter) -> None:
        """Park the current greenlet until somebody calls ``waiter.wake``; raises as ``wait`` does."""
        me = running()
        try:
            state: State = me._state
        except AttributeError:
            state = self.state_of(me)
        waiter.greenlet = me
        waiter.state = state
        if waiter.early:
            waiter.greenlet = None
            return
        state.waiting_on = waiter
        try:
            self.record_park(waiter.reason, waiter.resource, -1, state.deadline_ms() if state.timeouts else 0, b"")
            if self.switch() is not waiter:
                raise SwitchError(f"{_name(me)} was switched to while it waited for {waiter.describe()}")
        finally:
            waiter.greenlet = None

    def give_way(self) -> None:
        """Let everybody else who is ready run, and the kernel's news in, and go on."""
        me = running()
        try:
            state: State = me._state
        except AttributeError:
            state = self.state_of(me)
        waiter = state.yielder
        if waiter is None or waiter.queued:
            waiter = state.yielder = Waiter(Wait.YIELD, 0, "its turn")
        waiter.greenlet = me
        waiter.state = state
        state.waiting_on = waiter
        self.record_park(_YIELD, 0, -1, state.deadline_ms() if state.timeouts else 0, b"")
        self.record_ready(state.handle, _BY_ITSELF, state.handle)
        waiter.queued = True
        self.ready.append(waiter)
        try:
            if self.switch() is not waiter:
                raise SwitchError(f"{_name(me)} was switched to while it waited for its turn")
        finally:
            waiter.greenlet = None

    def cancel_wait(self, watcher: IoWatcher, error: BaseException) -> None:
        """Raise ``error`` in the greenlet that waits on ``watcher``, if one does."""
        watcher.cancel(error)

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

    def state_of(self, target: _greenlet.greenlet) -> State:
        """What the runtime knows of a greenlet of this thread, which need not be one of its own.

        Raises:
            RuntimeError: it is the hub, which has nobody to switch to.
        """
        if target is self:
            raise RuntimeError("a callback that runs in the hub must not wait; spawn a greenlet for it")
        state: State | None = getattr(target, "_state", None)
        if state is None or state.hub is not self:
            recorder = self.recorder
            name = recorder.string(getattr(target, "name", "") or "raw greenlet")
            state = State(self, recorder.spawn(Spawn.RAW, name, 1, recorder.current))
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
        if issubclass(kind, _FOR_MAIN):
            main = self.parent
            assert main is not None
            self.raise_in(main, value, Ready.OTHER, 0)
        elif not issubclass(kind, GreenletExit) and sys.stderr is not None:
            with contextlib.suppress(Exception):  # stderr is closed, or full: nobody can be told, and we go on
                traceback.print_exception(kind, value, trace, file=sys.stderr)
                where = "a callback of the loop" if context is None else _name(context)
                print(f"{where} failed with {kind.__name__}", file=sys.stderr)

    def destroy(self) -> None:
        """End the hub in good order: its handles are closed, its recording says so. Main greenlet only."""
        if getcurrent() is not self.parent:
            raise RuntimeError("only the main greenlet of its thread can destroy a hub")
        if current.hub is self:
            current.hub = None
            current.guard = None
        main: Any = self.parent
        if hasattr(main, "_state"):
            del main._state
        self.loop.close()
        if not self.dead:
            self.throw(GreenletExit)
        self.recorder.close()

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
        next_ready = ready.popleft
        recorder = self.recorder
        record_switch = recorder.switch
        poll_begin = recorder.poll_begin
        poll_end = recorder.poll_end
        poll, nowait, once = loop.run, loop.NOWAIT, loop.ONCE
        entry: Wakeable | None = None
        try:
            while True:
                for _ in range(len(ready)):
                    entry = next_ready()
                    target = entry.greenlet
                    if target is None or entry.exception is not None:
                        self._special(entry)
                    else:
                        record_switch(entry.state.handle)
                        entry.queued = False
                        target.switch(entry)
                entry = target = None
                count = len(ready)
                if count:
                    poll_begin(0)
                    poll(nowait)
                    poll_end(len(ready) - count)
                elif loop.active:
                    poll_begin(1)
                    poll(once)
                    poll_end(len(ready))
                else:
                    self._nothing_left()
        finally:
            # Ctrl-C can strike between taking an entry and switching to it. It goes back.
            if entry is not None and entry.queued and entry not in ready:
                ready.appendleft(entry)

    def _special(self, entry: Wakeable) -> None:
        """An entry that is not simply switched to: cancelled, a callback, or with something to raise."""
        entry.queued = False
        if isinstance(entry, Callback):
            try:
                entry.function(*entry.arguments)
            except BaseException:
                self.handle_error(entry.function, *sys.exc_info())
            return
        target = entry.greenlet
        error, entry.exception = entry.exception, None
        if target is not None and error is not None:
            self.recorder.throw(entry.state.handle)
            target.throw(error)

    def _raise_later(self, target: _greenlet.greenlet, error: BaseException, reason: Ready, by: int) -> None:
        if target.dead or self.interrupt(target, error, reason, by):
            return
        if self.is_parked(target):  # the other error first
            self.call(self._raise_later, target, error, reason, by)
        else:
            self.throw_in(target, error)

    def _nothing_left(self) -> None:
        main = self.parent
        assert main is not None
        if self.ready:  # a signal's handler had news since it was looked at
            return
        parked = list(self._parked())
        lines = [f"  {_name(target)}: {what}" for target, what in parked[:_LISTED]]
        if len(parked) > _LISTED:
            lines.append(f"  and {len(parked) - _LISTED} more")
        error = LoopExit("every greenlet waits, and nothing is left that could wake one:\n" + "\n".join(lines))
        if not self.interrupt(main, error, Ready.OTHER, 0):
            main.throw(error)

    def _parked(self) -> list[tuple[_greenlet.greenlet, str]]:
        # There is no list of all greenlets, because keeping one would cost every spawn; the garbage
        # collector has one, and this is the end of the program, or nearly.
        found: list[tuple[Any, str]] = []
        for target in gc.get_objects():
            if isinstance(target, _greenlet.greenlet):
                state: State | None = getattr(target, "_state", None)
                entry = state.waiting_on if state is not None and state.hub is self else None
                if entry is not None and entry.greenlet is target:
                    found.append((target, f"{entry.describe()}{_line(target)}"))
        found.sort(key=lambda pair: (pair[0] is not self.parent, pair[0]._state.handle & 0xFFFFFFFFFF))
        return found

    def _take_interrupt(self) -> bool:
        """Ctrl-C while the hub runs is main's; while a greenlet runs, it strikes there, as it does in a thread."""
        if getcurrent() is not self:
            return False
        main = self.parent
        assert main is not None
        self.raise_in(main, KeyboardInterrupt(), Ready.OTHER, 0)
        return True

    def _callback_failed(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        self.handle_error(None, kind, value, trace)

    def __repr__(self) -> str:
        return f"<Hub {self.number} of {self.recorder.path or 'no recording'}>"


def get_hub() -> Hub:
    """The hub of this thread; made if there is none yet."""
    hub = current.hub
    if hub is None:
        hub = current.hub = Hub()
        current.guard = _Guard(hub)
    return hub


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
    loop = hub.loop
    watcher = loop.sleeper(seconds)
    if not ref:
        loop.active -= 1
    try:
        hub.wait_timer(watcher)
    finally:
        if not ref:
            loop.active += 1
        watcher.release()


class _Guard:
    """Ends the hub of a thread that ends, by being in its thread-local storage."""

    def __init__(self, hub: Hub) -> None:
        self.hub: Hub | None = hub

    def __del__(self) -> None:
        hub, self.hub = self.hub, None
        if hub is not None and hub.thread == threading.get_ident() and not hub.loop.closed:
            hub.loop.close()
            hub.recorder.close()


class _Current(threading.local):
    hub: Hub | None = None
    guard: _Guard | None = None


current = _Current()
_numbers = itertools.count(1)
_inherited: list[Hub] = []


def _name(thing: object) -> str:
    name = getattr(thing, "name", None)
    if isinstance(name, str):
        return name
    if isinstance(thing, _greenlet.greenlet):
        return "main" if thing.parent is None else "raw greenlet"
    return getattr(thing, "__qualname__", None) or repr(thing)


def _line(target: _greenlet.greenlet) -> str:
    """`` at FILE:LINE``, of the first frame of a parked greenlet that is not ours."""
    frame = target.gr_frame
    here = __file__.removesuffix("hub.py")
    while frame is not None and frame.f_code.co_filename.startswith(here):
        frame = frame.f_back
    return f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""


def _after_fork_in_child() -> None:
    """Give the child no part of its parent's hub.

    The two share the epoll set in the kernel, so the child must not touch the loop. Its greenlets stay
    where they are and are never switched to, as threads are not; the one that called fork goes on.
    """
    global _numbers  # noqa: PLW0603  (a child counts its hubs from 1 again)
    _numbers = itertools.count(1)
    hub = current.hub
    if hub is None:
        return
    _inherited.append(hub)  # freeing it would close handles of the shared loop
    if current.guard is not None:
        current.guard.hub = None
    current.hub = current.guard = None
    hub.loop.leave_to_parent()
    forker = running()
    for target in (forker, hub.parent):
        if target is not None and getattr(target, "_state", None) is not None:
            del target._state  # type: ignore[union-attr]
    if forker is not hub.parent and forker is not hub:
        forker.parent = get_hub()


def _at_exit() -> None:
    hub = current.hub
    if hub is not None and getcurrent() is hub.parent:
        hub.destroy()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
