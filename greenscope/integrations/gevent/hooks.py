"""What a gevent program does now and then, and is told in Python: calls in threads, uncaught exceptions, stalls.

Each is a method of a class in Python, put around itself; none is on the way of a switch. At level ``io`` the calls of
sockets are, too, and below that they are gevent's own again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from time import CLOCK_MONOTONIC, clock_gettime_ns
from typing import Any

import gevent
import gevent.hub
import gevent.socket
import gevent.ssl
import gevent.threadpool

from greenscope.trace.events import Detail, Exit, Snapshot
from greenscope.trace.here import here, thread_local
from greenscope.trace.levels import levels
from greenscope.trace.socket_calls import CALLS, Call, errno_of
from greenscope.trace.stall_log import log_of

__all__ = ["put_hooks"]

_gevent: Any = import_module("greenscope.integrations.gevent._gevent")

_ABOUT = 100  # bytes of a name that are recorded
_LOOKUPS = {"getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"}
_pools: dict[int, int] = {}  # their numbers, by what tells one from another: they are few, and live long
_spawn_in_thread: Callable[..., Any] = gevent.threadpool.ThreadPool.spawn
_print_exception: Callable[..., Any] = gevent.hub.Hub.print_exception


def put_hooks() -> None:
    """Put them into gevent's classes."""
    gevent.threadpool.ThreadPool.spawn = _spawn
    gevent.hub.Hub.print_exception = _printed
    levels.on_stall = _log_stall
    levels.on_change(_record_calls)


@wraps(_spawn_in_thread)
def _spawn(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
    recorder = here.recorder
    if recorder is None:
        return _spawn_in_thread(self, func, *args, **kwargs)
    number = _pools.setdefault(id(self), len(_pools))
    name = getattr(func, "__qualname__", None) or getattr(func, "__name__", None)
    if not isinstance(name, str):  # a proxy of something far away may have anything under any name
        name = type(func).__qualname__
    about = (
        args[0].encode("utf-8", "replace")[:_ABOUT] if name in _LOOKUPS and args and isinstance(args[0], str) else b""
    )
    number_of_job = recorder.job_put(number, self._maxsize, name, about)
    put, call = clock_gettime_ns(CLOCK_MONOTONIC), _gevent.job(func)

    def over(result: Any) -> None:
        how = Exit.RETURNED if result is not None and result.successful() else Exit.RAISED
        if recorder is here.recorder:
            began = call.began_ns or clock_gettime_ns(CLOCK_MONOTONIC)
            recorder.job_end(number_of_job, how, max(0, began - put) // 1_000_000)

    try:
        result = _spawn_in_thread(self, call, *args, **kwargs)
    except BaseException:
        over(None)
        raise
    result.rawlink(over)
    return result


@wraps(_print_exception)
def _printed(self: Any, context: Any, t: Any, v: Any, tb: Any) -> Any:
    recorder = here.recorder
    if recorder is not None:
        recorder.snapshot_because(Snapshot.EXCEPTION)
    return _print_exception(self, context, t, v, tb)


def _log_stall(text: str) -> None:
    """Tell the program's log of a stall, in a greenlet: a handler may wait, which the hub must not."""
    log = log_of()
    if log is not None:
        gevent.spawn(log, "%s", text).name = "stall-log"


# -- the calls of sockets, at level io ------------------------------------------------------------------------------


class _Calling(thread_local):
    """The handles of this thread's greenlets that are in a call."""

    def __init__(self) -> None:
        self.handles: set[int] = set()


_calling = _Calling()
_own: list[tuple[type, str, Any]] = []


def _record_calls(level: Detail) -> None:
    if (level >= Detail.IO) == bool(_own):
        return
    while _own and level < Detail.IO:
        cls, name, function = _own.pop()
        setattr(cls, name, function)
    if level >= Detail.IO:
        for cls in (gevent.socket.socket, gevent.ssl.SSLSocket):
            for name, call in CALLS.items():
                for owner in cls.__mro__:  # a part of it may have the method
                    function = vars(owner).get(name)
                    if function is not None and owner.__module__.startswith("gevent."):
                        if not hasattr(function, "__wrapped__"):
                            _own.append((owner, name, function))
                            setattr(owner, name, _recorded(function, call, name == "connect_ex"))
                        break


def _recorded(function: Callable[..., Any], call: Call, gives_errno: bool) -> Callable[..., Any]:
    @wraps(function)
    def recorded(self: Any, *arguments: Any, **keywords: Any) -> Any:
        recorder = here.recorder
        handle, handles = recorder.current if recorder is not None else 0, _calling.handles
        if recorder is None or handle in handles:  # of calls within calls only the outermost is recorded
            return function(self, *arguments, **keywords)
        tls = getattr(self, "_sslobj", None) is not None
        recorder.op_begin(call.op, tls, 0, self.fileno())
        handles.add(handle)
        try:
            result = function(self, *arguments, **keywords)
        except BaseException as error:
            recorder.op_end(call.op, errno_of(error), 0, type(error).__name__.encode())
            raise
        finally:
            handles.discard(handle)
        if gives_errno:
            recorder.op_end(call.op, result, 0, b"")
        else:
            recorder.op_end(call.op, 0, call.counted(result, arguments), b"")
        return result

    return recorded
