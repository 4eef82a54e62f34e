"""Waiting for a descriptor, whoever it belongs to: gevent's ``wait_read`` and its kind.

For code that has a descriptor and a library of its own to use it (a database's client, say). A wait ends
when the descriptor is ready, when the time is over, or with EBADF when somebody calls ``cancel_wait`` or
closes a green socket with that descriptor. Also owns how watchers are let go of before their descriptor is
closed, each in the thread of its loop: libuv ends the process otherwise.
"""

from __future__ import annotations

import errno
from _thread import get_ident
from collections.abc import Callable
from typing import Any

from greenscope.runtime.hub import ConcurrentObjectUseError, get_hub
from greenscope.runtime.timeout import WaitTimeout
from greenscope.runtime.watcher import READ, WRITE, IoWatcher

__all__ = [
    "cancel_wait",
    "cancel_wait_ex",
    "let_go",
    "release",
    "timeout_default",
    "wait",
    "wait_on_socket",
    "wait_read",
    "wait_readwrite",
    "wait_write",
]

timeout_default: Any = object()
"""The default of an argument ``timeout_exc``: the standard library's TimeoutError."""


class cancel_wait_ex(OSError):  # noqa: N801  (gevent's name)
    """What a wait ends with that was cancelled: EBADF."""

    def __init__(self) -> None:
        super().__init__(errno.EBADF, "File descriptor was closed in another greenlet")


def wait(watcher: IoWatcher, timeout: float | None = None, timeout_exc: Any = timeout_default, hub: Any = None) -> None:
    """Park until a watcher fires.

    Args:
        watcher: such as ``hub.loop.io`` gives.
        timeout: seconds; None is for ever.
        timeout_exc: what to raise when they are over, a TimeoutError if it is not given.
        hub: gevent's; has to be this thread's.

    Raises:
        ConcurrentObjectUseError: another greenlet waits on this watcher.
        OSError: EBADF, the wait was cancelled or the descriptor closed.
    """
    hub = hub or get_hub()
    if watcher.greenlet is not None:
        hub.record_refusal(watcher)
    if watcher.callback is not None or watcher.greenlet is not None:
        raise ConcurrentObjectUseError(f"cannot wait for {watcher.describe()}: it is in use by another greenlet")
    if timeout is None:
        hub.wait_io(watcher)
        return
    with WaitTimeout(timeout, None if timeout_exc is timeout_default else timeout_exc, ref=False):
        hub.wait_io_within(watcher)


def wait_read(fileno: int, timeout: float | None = None, timeout_exc: Any = timeout_default) -> None:
    """Park until a descriptor can be read; as ``wait``."""
    _wait_for(fileno, READ, timeout, timeout_exc)


def wait_write(
    fileno: int, timeout: float | None = None, timeout_exc: Any = timeout_default, event: object = None
) -> None:
    """Park until a descriptor can be written; as ``wait``. ``event`` is gevent's, and ignored."""
    del event
    _wait_for(fileno, WRITE, timeout, timeout_exc)


def wait_readwrite(
    fileno: int, timeout: float | None = None, timeout_exc: Any = timeout_default, event: object = None
) -> None:
    """Park until a descriptor can be read or written; as ``wait``. ``event`` is gevent's, and ignored."""
    del event
    _wait_for(fileno, READ | WRITE, timeout, timeout_exc)


def wait_on_socket(socket: Any, watcher: IoWatcher, timeout_exc: Any = None) -> None:
    """Park until a green socket's watcher fires, or its timeout is over."""
    socket._wait(watcher, timeout_exc)


def cancel_wait(watcher: IoWatcher, error: type[BaseException] | BaseException = cancel_wait_ex) -> None:
    """Raise ``error`` in the greenlet that waits on a watcher, if one does."""
    watcher.cancel(error() if isinstance(error, type) else error)


def _wait_for(fileno: int, events: int, timeout: float | None, timeout_exc: Any) -> None:
    watcher = get_hub().loop.io(fileno, events)
    try:
        wait(watcher, timeout, timeout_exc)
    finally:
        watcher.close()


def let_go(watchers: list[IoWatcher]) -> list[IoWatcher]:
    """Close the watchers whose loop is this thread's, or no more, and wake who waits; the others."""
    me = get_ident()
    elsewhere = []
    for watcher in watchers:
        if watcher.loop.thread == me or watcher.loop.closed:
            watcher.cancel(cancel_wait_ex())
            watcher.close()
        else:
            elsewhere.append(watcher)
    return elsewhere


def release(watchers: list[IoWatcher], then: Callable[[], object] | None) -> None:
    """Close watchers, each in the thread of its loop, and only after that do what closes the descriptor."""
    elsewhere = let_go(watchers)
    if elsewhere:
        elsewhere[0].loop.call_threadsafe(release, elsewhere, then)
    elif then is not None:
        then()
