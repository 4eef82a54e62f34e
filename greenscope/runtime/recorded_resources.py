"""Level ``io``: who holds what, the edges of the graph of who waits for whom.

Coming in through a lock, a semaphore or a condition, taking from a queue, seeing an event or a result set are
acquisitions; going out, notifying, putting and setting are releases. Below the level only this is recorded, by
the locks themselves: who holds one, when somebody is about to wait for it. See ``detail``.

A lock that its holder acquires again is acquired and released once, as others see it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from greenscope.runtime.channel import Channel
from greenscope.runtime.condition import Condition
from greenscope.runtime.current import current
from greenscope.runtime.detail import from_level
from greenscope.runtime.event import AsyncResult, Event
from greenscope.runtime.lock import Lock
from greenscope.runtime.rlock import RLock
from greenscope.runtime.semaphore import BoundedSemaphore, Semaphore
from greenscope.runtime.simple_queue import SimpleQueue
from greenscope.trace.events import Detail, Resource
from greenscope.trace.here import here

__all__ = ["record_resources"]

Holds = Callable[[Any, Any], bool]


def _record(thing: Any, what: Resource, acquires: bool) -> None:
    recorder, hub = here.recorder, current.hub
    if recorder is None or hub is None or hub.recorder is not recorder:
        return
    number, left = _numbered(thing, hub)
    if acquires:
        recorder.acquire(0, what, 0, number, left)
    else:
        recorder.release(what, number, left)


def _numbered(thing: Any, hub: Any) -> tuple[int, int]:
    """Its number in the recording, which is what greenlets that wait for it are recorded with, and what is left."""
    if isinstance(thing, SimpleQueue):
        return thing._number()[1], len(thing)
    if isinstance(thing, Channel):
        return thing._resources._number(hub), 0
    if isinstance(thing, RLock):
        return thing._block._number(hub), thing._block.counter
    if isinstance(thing, Condition):
        return thing._waiting._number(hub), 0
    return thing._number(hub), max(0, getattr(thing, "counter", 0))


def _acquires(cls: type, name: str, what: Resource, holds: Holds = lambda _thing, result: bool(result)) -> None:
    """A call of this method that ``holds`` afterwards is an acquisition."""
    function = getattr(cls, name)

    @wraps(function)
    def recorded(self: Any, *arguments: Any, **keywords: Any) -> Any:
        result = function(self, *arguments, **keywords)
        if holds(self, result):
            _record(self, what, True)
        return result

    from_level(Detail.IO, cls, name, recorded)


def _releases(cls: type, name: str, what: Resource, gone: Holds = lambda _thing, _result: True) -> None:
    """A call of this method is a release; whomever it wakes runs, and so acquires, after that."""
    function = getattr(cls, name)

    @wraps(function)
    def recorded(self: Any, *arguments: Any, **keywords: Any) -> Any:
        result = function(self, *arguments, **keywords)
        if gone(self, result):
            _record(self, what, False)
        return result

    from_level(Detail.IO, cls, name, recorded)


def _always(_thing: Any, _result: Any) -> bool:
    return True


def _first_time(lock: RLock, result: Any) -> bool:
    return bool(result) and lock._count == 1


def _last_time(lock: RLock, _result: Any) -> bool:
    return lock._owner is None or lock._count == 0


def record_resources() -> None:
    """Have all of them recorded at level ``io`` and above."""
    semaphores = (Semaphore, Resource.SEMAPHORE), (BoundedSemaphore, Resource.SEMAPHORE), (Lock, Resource.LOCK)
    for cls, what in semaphores:
        for name in ("acquire", "__enter__"):
            _acquires(cls, name, what)
        for name in ("release", "__exit__"):
            _releases(cls, name, what)
    for name in ("acquire", "__enter__"):
        _acquires(RLock, name, Resource.RLOCK, _first_time)
    _acquires(RLock, "_acquire_restore", Resource.RLOCK, _always)
    for name in ("release", "_release_save"):  # __exit__ calls release
        _releases(RLock, name, Resource.RLOCK, _last_time)
    _acquires(Condition, "wait", Resource.CONDITION)
    _releases(Condition, "notify", Resource.CONDITION)  # which notify_all calls
    for queue in (SimpleQueue, Channel):
        _acquires(queue, "get", Resource.QUEUE, _always)
        _releases(queue, "put", Resource.QUEUE)
    _acquires(Event, "wait", Resource.EVENT)
    _releases(Event, "set", Resource.EVENT)
    _acquires(AsyncResult, "get", Resource.RESULT, _always)
    for name in ("set", "set_exception"):
        _releases(AsyncResult, name, Resource.RESULT)
