"""Which methods of gevent's wait, for what, and which of them end such waits: what ``_told.c`` puts around them.

Some waits are through code in Python, which is known by itself: ``know_waits``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import gevent
import gevent.event
import gevent.hub
import gevent.lock
import gevent.queue
import gevent.subprocess
import gevent.threadpool

from greenscope.trace.events import Resource, Wait

__all__ = ["know_waits", "tell_methods"]

_gevent: Any = import_module("greenscope.integrations.gevent._gevent")

# class: (role, reason, kind, methods)…; a method that a class does not have in this release of gevent is passed over.
_METHODS: dict[Any, tuple[tuple[int, Wait, Resource, str], ...]] = {
    gevent.lock.Semaphore: (
        (_gevent.ACQUIRES, Wait.LOCK, Resource.SEMAPHORE, "acquire __enter__"),
        (_gevent.RELEASES, Wait.OTHER, Resource.SEMAPHORE, "release __exit__"),
        (_gevent.WAITS, Wait.LOCK, Resource.SEMAPHORE, "wait"),
    ),
    gevent.lock.BoundedSemaphore: ((_gevent.RELEASES, Wait.OTHER, Resource.SEMAPHORE, "release"),),
    gevent.event.Event: (
        (_gevent.WAITS, Wait.EVENT, Resource.EVENT, "wait"),
        (_gevent.NOTIFIES, Wait.OTHER, Resource.EVENT, "set"),
    ),
    gevent.event.AsyncResult: (
        (_gevent.WAITS, Wait.EVENT, Resource.RESULT, "get wait result"),
        (_gevent.NOTIFIES, Wait.OTHER, Resource.RESULT, "set set_exception set_result"),
    ),
    gevent.queue.SimpleQueue: (
        (_gevent.BOTH, Wait.QUEUE, Resource.QUEUE, "put put_nowait get get_nowait"),
        (_gevent.WAITS, Wait.QUEUE, Resource.QUEUE, "peek"),
    ),
    gevent.queue.Queue: (
        (_gevent.WAITS, Wait.QUEUE, Resource.QUEUE, "join"),
        (_gevent.NOTIFIES, Wait.OTHER, Resource.QUEUE, "task_done"),
    ),
    gevent.queue.Channel: ((_gevent.BOTH, Wait.QUEUE, Resource.QUEUE, "put put_nowait get get_nowait"),),
    gevent.Greenlet: (
        (_gevent.JOINS, Wait.JOIN, Resource.OTHER, "join get"),
        (_gevent.KILLS, Wait.JOIN, Resource.OTHER, "kill throw _maybe_kill_before_start"),
        (_gevent.LATER, Wait.OTHER, Resource.OTHER, "start_later"),
    ),
}
# Functions, which modules of gevent have under their names.
_FUNCTIONS = ("joinall", "killall")

# The innermost code in Python, of gevent's, of a wait that is in no object; of calls in threads, also its callers.
_WAITS: tuple[tuple[Wait, Any, str], ...] = (
    (Wait.YIELD, gevent.hub, "sleep"),
    (Wait.JOIN, gevent.hub.Hub, "join"),
    (Wait.JOIN, gevent.hub.Hub, "destroy"),
    (Wait.CHILD, gevent.subprocess.Popen, "wait"),
    (Wait.CHILD, gevent.subprocess.Popen, "communicate"),
    (Wait.THREAD, gevent.threadpool.ThreadPool, "apply"),
)
_LOOKUPS = "gethostbyname gethostbyname_ex getaddrinfo gethostbyaddr getnameinfo"


def tell_methods() -> None:
    """Have them note what they are about."""
    for cls, rows in _METHODS.items():
        for role, reason, kind, names in rows:
            for name in names.split():
                if name in vars(cls):
                    _gevent.tell(cls, name, role, reason, kind)
    for name in _FUNCTIONS:
        old = getattr(gevent, name)
        new = _gevent.telling(old, _gevent.JOINS, Wait.JOIN, Resource.OTHER)
        for module in _modules():
            if getattr(module, name, None) is old:
                setattr(module, name, new)


def _modules() -> Iterator[Any]:
    yield gevent
    for name in ("greenlet", "pool", "hub"):
        yield import_module(f"gevent.{name}")


def know_waits() -> None:
    """Name the code that waits by itself."""
    for reason, where, name in _WAITS:
        code = getattr(getattr(where, name), "__code__", None)
        if code is not None:
            _gevent.know_code(code, reason)
    from gevent.resolver.thread import Resolver

    for name in _LOOKUPS.split():
        code = getattr(getattr(Resolver, name), "__code__", None)
        if code is not None:
            _gevent.know_code(code, Wait.LOOKUP)
