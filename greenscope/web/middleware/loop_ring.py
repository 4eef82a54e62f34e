"""The ring of an event loop's thread: its hub is the loop, and its greenlets are the tasks that serve requests.

It begins with the first request that the middleware sees in that loop, and has what belongs to requests: the
coroutine of each, and every task that is made on its behalf. What else the loop does is the time in between, and is
recorded as its poll; a callback that holds the loop there is seen by the watchdog all the same.

Two things are put into the loop, both by its public names: a task factory, which calls the one that was there, and
``call_soon``, by which a future says that it is done. Nothing is taken out again: the loop ends with its thread.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
import weakref
from _thread import _local
from contextvars import ContextVar
from itertools import count
from types import CodeType, FrameType
from typing import Any

from greenscope.trace.events import Ready, Spawn, Wait
from greenscope.trace.here import here
from greenscope.trace.recorder import Recorder, open_recorder
from greenscope.web.middleware.lanes import Lane, lane_of
from greenscope.web.middleware.waits import Waits, plumbing

__all__ = ["LoopRing", "loop_ends", "ring_of", "serving"]

_MOST_NAMES = 300  # a recording has room for so many, and no more
_COROUTINE = 0x280  # flags of code: of coroutines, and of asynchronous generators
_numbers = count(1)
serving: ContextVar[Lane | None] = ContextVar("greenscope_serving", default=None)
"""The lane on whose behalf what runs in this context runs."""


class _OfThread(_local):
    ring: LoopRing | None = None


_here = _OfThread()


class LoopRing:
    """Records the lanes of one loop.

    Args:
        loop: it runs in this thread.
        recorder: its ring's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, recorder: Recorder) -> None:
        self.loop = weakref.ref(loop)
        self.recorder = recorder
        self._waits = Waits(recorder)
        self._waiting: dict[int, list[Lane]] = {}  # by the id of the future, which the lanes' frames hold
        self._names: set[str] = set()
        self._hub = recorder.spawn(Spawn.HUB, recorder.string("event loop"), 0, 0)
        self._told = self._put_into(loop)
        recorder.idles_in(_idle_code())
        recorder.poll_begin(1)

    @property
    def handle(self) -> int:
        """Of the lane that runs."""
        return self.recorder.current

    def lane(self, coroutine: Any, name: str, parent: int = 0) -> Lane:
        """A lane that is ready to run.

        Args:
            coroutine: what it will run.
            name: its name.
            parent: whose child it is; 0: the loop's.
        """
        recorder = self.recorder
        if name not in self._names:
            if len(self._names) >= _MOST_NAMES or len(name) > 100:
                name = name.partition(" ")[0][:32]
            else:
                self._names.add(name)
        handle = recorder.spawn(Spawn.GREENLET, recorder.string(name), 1, parent or self._hub)
        recorder.ready(handle, Ready.SPAWN, parent or self._hub)
        return Lane(self, coroutine, handle)

    # What a lane says.

    def begin(self, lane: Lane, thrown: bool) -> int:
        """It is about to run; gives the lane that runs already, for ``back``, or 0."""
        recorder = self.recorder
        outer = recorder.current
        if outer != self._hub:
            recorder.give_way(outer, 0)
        else:
            outer = 0
            recorder.poll_end(1)
        if lane.waits_for:  # nobody said that it was ready
            self._forget(lane)
            recorder.ready(lane.handle, Ready.OTHER, 0)
        (recorder.throw if thrown else recorder.switch)(lane.handle)
        return outer

    def park(self, lane: Lane, coroutine: Any, future: Any) -> None:
        """It waits."""
        recorder = self.recorder
        kind, site = self._waits.of(coroutine, future)
        other = lane_of(future) if kind is Wait.JOIN else None
        # Which lock or queue it is nobody says: each wait is for something of its own.
        whom = other.number - 1 if other is not None and other.handle else -1
        recorder.park_there(site, kind, recorder.resource(), whom, 0)
        if future is None:
            recorder.ready(lane.handle, Ready.YIELD, lane.handle)
        else:
            lane.waits_for = id(future)
            self._waiting.setdefault(lane.waits_for, []).append(lane)

    def exit(self, lane: Lane, handle: int, how: int) -> None:
        """It has ended."""
        if lane.waits_for:
            self._forget(lane)
        self.recorder.exit(handle, how)

    def back(self, outer: int) -> None:
        """Who ran before goes on: a lane, or the loop."""
        if outer:
            self.recorder.switch(outer)
        elif self.recorder.current == self._hub:
            self.recorder.poll_begin(1)

    # What the loop says.

    def _put_into(self, loop: asyncio.AbstractEventLoop) -> bool:
        loop.set_task_factory(_factory(loop.get_task_factory(), self))
        call_soon, waiting = loop.call_soon, self._waiting

        def told(callback: Any, *arguments: Any, **keywords: Any) -> asyncio.Handle:
            if arguments and waiting:
                lanes = waiting.pop(id(arguments[0]), None)
                if lanes is not None:
                    self._ready(lanes, arguments[0])
            return call_soon(callback, *arguments, **keywords)

        try:
            loop.call_soon = told  # type: ignore[method-assign, assignment]
        except AttributeError:  # then it is ready when it runs
            return False
        return True

    def _ready(self, lanes: list[Lane], future: Any) -> None:
        recorder = self.recorder
        by, ended = recorder.current, lane_of(future)
        reason = Ready.GREENLET
        if by == self._hub:
            reason, by = (Ready.GREENLET, ended.number) if ended is not None else (Ready.OTHER, 0)
        for lane in lanes:
            lane.waits_for = 0
            recorder.ready(lane.handle, reason, by)

    def _forget(self, lane: Lane) -> None:
        lanes = self._waiting.get(lane.waits_for, [])
        if lane in lanes:
            lanes.remove(lane)
            if not lanes:
                del self._waiting[lane.waits_for]
        lane.waits_for = 0


def ring_of(loop: asyncio.AbstractEventLoop) -> LoopRing | None:
    """The ring of a loop, which runs in this thread; None if nothing is recorded here, or a hub has a ring here."""
    ring = _here.ring
    if ring is not None:
        if ring.loop() is loop and ring.recorder is here.recorder:
            return ring
        ring.recorder.close()  # of a loop that was here before, or of the process that this one was forked from
        _here.ring = None
    if here.recorder is not None:
        return None
    recorder = open_recorder(next(_numbers), threading.current_thread().name, plumbing())
    if not recorder.recording:
        return None
    ring = _here.ring = LoopRing(loop, recorder)
    return ring


def loop_ends() -> None:
    """The application of this thread's loop was shut down in good order, and whatever ends the process is part of that.

    uvicorn ends by the signal that it was told to end by, and then nothing of Python's own end is run.
    """
    ring = _here.ring
    if ring is not None and ring.recorder is here.recorder:
        ring.recorder.say_ended()


def _factory(earlier: Any, ring: LoopRing) -> Any:
    """A task factory: what is made on a request's behalf is a lane of it."""

    def make(loop: Any, coroutine: Any, **keywords: Any) -> Any:
        context = keywords.get("context")
        parent = serving.get() if context is None else context.get(serving)
        if parent is not None and not isinstance(coroutine, Lane) and ring.recorder is here.recorder:
            spawner = ring.handle if ring.handle != ring._hub else parent.handle
            coroutine = ring.lane(coroutine, getattr(coroutine, "__qualname__", "task"), spawner)
        if earlier is not None:
            return earlier(loop, coroutine, **keywords)
        return asyncio.Task(coroutine, loop=loop, **keywords)

    return make


def _idle_code() -> CodeType:
    """Where the loop polls: the standard library's in its selector, another one, in C, where it was run."""
    frame: FrameType | None = sys._getframe(1)
    idle = selectors.DefaultSelector.select.__code__
    while frame is not None:
        outer = frame.f_back
        if frame.f_code.co_name == "_run" and frame.f_code.co_filename == asyncio.events.__file__:
            return selectors.DefaultSelector.select.__code__
        if outer is not None and frame.f_code.co_flags & _COROUTINE and not outer.f_code.co_flags & _COROUTINE:
            idle = outer.f_code  # under the outermost coroutine
        frame = outer
    return idle
