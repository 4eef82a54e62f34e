"""gevent's loop, recorded: the class that gevent's configuration is given, and what begins with a thread's first loop.

A thread's first loop is the sign that it gets a hub. So its making opens the thread's ring and puts greenlet's tracer
into place, which each thread has for itself. The loop asks the kernel between a prepare and a check watcher of ours:
the last before the poll, the first after it.

Only libev's loop in C is known, gevent's default on Linux. The others are in Python, where following each watcher would
cost more than the watcher.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import gevent
import gevent.hub
import gevent.timeout
from gevent._hub_local import get_hub_if_exists
from gevent._waiter import Waiter
from greenlet import gettrace, settrace

from greenscope.errors import GreenscopeError
from greenscope.integrations.gevent.hooks import put_hooks
from greenscope.integrations.gevent.told import know_waits, tell_methods
from greenscope.trace.events import Snapshot
from greenscope.trace.here import thread_local
from greenscope.trace.recorder import Recorder, open_recorder

__all__ = ["Loop", "use_recorded_loop"]

_gevent: Any = import_module("greenscope.integrations.gevent._gevent")

# Where gevent itself waits is worth telling only if no line of the program's led there.
_PLUMBING = (f"{Path(gevent.__file__).parent}{os.sep}",)
_LIBEV = "gevent.libev.corecext"
_current_thread = threading.current_thread

_numbers = itertools.count(1)


class _Guard:
    """Closes the ring of a thread that ends, by being in its thread-local storage."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder: Recorder | None = recorder
        self.process = os.getpid()

    # At the end of the interpreter names are gone, and the ring was said to have ended. In a fork, threads that are
    # there no more are taken down by the one that is left, before all hooks: their rings are the parent's.
    def close(self, end: Any = _gevent.end, ending: Any = sys.is_finalizing, process: Any = os.getpid) -> None:
        """The thread's hub is gone."""
        recorder, self.recorder = self.recorder, None
        if recorder is not None and not ending() and self.process == process():
            before = end()
            recorder.close()
            if before is not None and gettrace() is _gevent.switched:
                settrace(before)

    __del__ = close


class _Here(thread_local):
    guard: _Guard | None = None


_here = _Here()


def _begin() -> None:
    """A ring for this thread, which has a hub, or is about to; what it had before is its parent's, or closed."""
    number = next(_numbers)
    recorder = open_recorder(number, _current_thread().name, _PLUMBING)
    guard = _here.guard
    if guard is not None:
        guard.recorder = None
    _here.guard = _Guard(recorder)
    _gevent.begin(recorder, number)
    before = settrace(_gevent.switched)
    if before is not _gevent.switched:
        _gevent.chain(before)


def _after_fork_in_child() -> None:
    global _numbers  # noqa: PLW0603  (a child counts its hubs from 1 again)
    _numbers = itertools.count(1)
    if _here.guard is not None:
        _here.guard.recorder = None
        _here.guard = None
    _gevent.left()


class Loop:
    """What is recorded of a loop, as the base of a class that also has libev's."""

    _watches: tuple[Any, ...] = ()

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if _here.guard is None:
            _begin()
        # By their own classes: these two are not the program's.
        this: Any = self
        watches = this.WatcherModule
        before = watches.prepare(self, ref=False, priority=this.MINPRI)
        after = watches.check(self, ref=False, priority=this.MAXPRI)
        before.start(_gevent.poll_begins)
        after.start(_gevent.poll_ends, self)
        self._watches = (before, after)
        self._defaults_before = _defaults_destroyed[0]

    def run(self, *arguments: Any, **keywords: Any) -> Any:
        """As gevent's: its frame is how the watchdog tells a hub that idles from one that calls a function."""
        done = super().run(*arguments, **keywords)  # type: ignore[misc]
        if not arguments and not keywords:  # as a hub runs it, for which that is the end
            self._nothing_left()
        return done

    def _nothing_left(self) -> None:
        """Everybody waits, and nobody will be woken: gevent is about to raise LoopExit in the main greenlet."""
        guard = _here.guard
        recorder = guard.recorder if guard is not None else None
        left = _gevent.left_by()
        if recorder is not None and left is not None:
            recorder.loop_exit(*left)
            recorder.snapshot_because(Snapshot.LOOP_EXIT)

    def destroy(self) -> Any:
        """As gevent's; the thread's ring is closed, if it was this loop's."""
        this: Any = self
        watches, self._watches = self._watches, ()
        if not this.default:
            _close(watches)
        elif self._defaults_before == _defaults_destroyed[0]:
            _close(watches)
            _defaults_destroyed[0] += 1
        else:  # libev's default loop is gone already, by another object: nothing of it may be touched
            _left.append(watches)
        done = super().destroy()  # type: ignore[misc]
        hub = get_hub_if_exists()
        if hub is None or hub.loop is self:
            guard, _here.guard = _here.guard, None
            if guard is not None:
                guard.close()
        return done


_defaults_destroyed = [0]
_left: list[Any] = []


def _close(watches: tuple[Any, ...]) -> None:
    for watch in watches:
        watch.stop()
        watch.close()


def use_recorded_loop() -> None:
    """Have gevent make recorded loops.

    Raises:
        GreenscopeError: a hub has begun already in this thread; gevent is configured for another loop.
    """
    if get_hub_if_exists() is not None:
        raise GreenscopeError(
            "gevent's hub has begun already, before greenscope could follow it: import greenscope.auto first of all"
        )
    libev: Any = gevent.config.loop
    if f"{libev.__module__}.{libev.__qualname__}" != f"{_LIBEV}.loop":
        raise GreenscopeError(
            f"gevent is set to use the loop {libev.__module__}.{libev.__qualname__}, which cannot be followed:"
            " unset GEVENT_LOOP, or set it to libev-cext"
        )
    corecext = import_module(_LIBEV)

    _gevent.know(gevent.hub.Hub, gevent.Greenlet, Waiter, gevent.timeout.Timeout._on_expiration)
    know_waits()
    tell_methods()
    put_hooks()
    _gevent.on_fork(_begin)
    # gevent.core has all names of the module that its loop says it is from.
    names = {"WatcherModule": corecext, "__module__": _LIBEV}
    recorded = type("loop", (Loop, _gevent.loop_class(corecext)), names)
    gevent.config.loop = recorded
    gevent.Greenlet.add_spawn_callback(_gevent.spawned)
    os.register_at_fork(after_in_child=_after_fork_in_child)
