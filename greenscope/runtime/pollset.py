"""Waiting for any of many descriptors: what ``select``, ``poll`` and the selectors park on.

Owns ``wait_for_any``, which parks until something has happened, and says nothing of what: whoever asks
looks again, and so sees all that is ready by then.

One descriptor to be read or written is one watcher. For more, or for urgent data, there is an epoll set of
the wait's own: a set is a descriptor itself, which can be read when anything in it is ready, so the loop
waits for that. That is one watcher for a thousand descriptors; the set keeps none of the loop's watchers
for the same descriptors from their news; and a descriptor that is closed meanwhile leaves it by itself, and
the wait goes on, as the kernel's own does. Where no set can be had (no epoll, no descriptor left), every
descriptor gets a watcher.
"""

from __future__ import annotations

import select as stdlib
from errno import EBADF, EMFILE, ENFILE, ENOMEM, ENOSPC, EPERM
from typing import Any

from greenscope.runtime.hub import get_hub
from greenscope.runtime.resolve import peer_of
from greenscope.runtime.timeout import SocketTimeout, WaitTimeout
from greenscope.runtime.waiter import Waiter
from greenscope.runtime.watcher import READ, WRITE
from greenscope.trace.events import Ready, Wait

__all__ = ["READABLE", "URGENT", "WRITABLE", "describe", "wait_for_any"]

_epoll: Any = getattr(stdlib, "epoll", None)  # the original's numbers are poll's

READABLE = stdlib.POLLIN | getattr(stdlib, "POLLRDNORM", 0) | getattr(stdlib, "POLLRDBAND", 0)
WRITABLE = stdlib.POLLOUT | getattr(stdlib, "POLLWRNORM", 0) | getattr(stdlib, "POLLWRBAND", 0)
URGENT = stdlib.POLLPRI

_SHOWN = 8
_OUT_OF = {EMFILE, ENFILE, ENOMEM, ENOSPC}


def wait_for_any(interest: dict[int, int], seconds: float | None, what: str) -> bool:
    """Park until a descriptor may have news, or ``seconds`` are over; None is for ever.

    Args:
        interest: poll's mask for each descriptor.
        seconds: time to wait at most.
        what: who waits, for the recording: ``select``, ``poll``.

    Returns:
        True; or False if the one descriptor was closed meanwhile. Its number may be somebody else's by now, so
        it must not be waited for again.
    """
    if len(interest) == 1:
        [(fd, mask)] = interest.items()
        events = _simple(mask)
        if events:
            try:
                _wait_for_one(fd, events, seconds, describe(interest, what))
            except OSError as error:
                if error.errno not in {EBADF, EPERM}:
                    raise
                return error.errno == EPERM  # a file that is always ready: who asks will see
            return True
    if _epoll is not None:
        try:
            epoll = _epoll()
        except OSError as error:
            if error.errno not in _OUT_OF:
                raise
        else:
            with epoll:
                if _fill(epoll, interest):
                    _wait_for_one(epoll.fileno(), READ, seconds, describe(interest, what))
            return True
    _wait_for_each(interest, seconds, what)
    return True


def describe(interest: dict[int, int], what: str) -> str:
    """Who waits for which descriptors, for a person: ``select of r5 r6 w7``, ``poll of r5 127.0.0.1:80``."""
    parts = []
    for fd, mask in list(interest.items())[:_SHOWN]:
        letters = "r" * bool(mask & READABLE) + "w" * bool(mask & WRITABLE)
        parts.append(f"{letters or 'x'}{fd}")
    if len(interest) > _SHOWN:
        parts.append(f"and {len(interest) - _SHOWN} more")
    elif len(interest) == 1:
        parts.extend(filter(None, [peer_of(*interest)]))
    return f"{what} of {' '.join(parts)}"


def _simple(mask: int) -> int:
    """The loop's events for a mask that is only of reading and writing; else 0."""
    if mask & ~(READABLE | WRITABLE):
        return 0
    return (READ if mask & READABLE else 0) | (WRITE if mask & WRITABLE else 0)


def _fill(epoll: Any, interest: dict[int, int]) -> bool:
    """Put them in; False if one was closed since it was looked at, which is news."""
    for fd, mask in interest.items():
        try:
            epoll.register(fd, mask)
        except OSError as error:
            if error.errno == EBADF:
                return False
            if error.errno != EPERM:  # a file that is always ready, and so has no news
                raise
    return True


def _wait_for_one(fd: int, events: int, seconds: float | None, what: str) -> None:
    hub = get_hub()
    watcher = hub.loop.io(fd, events, peer=what.encode())
    try:
        if seconds is None:
            hub.wait_io(watcher)
        else:
            with WaitTimeout(seconds, False, ref=False):
                hub.wait_io_within(watcher)
    finally:
        watcher.close()


def _wait_for_each(interest: dict[int, int], seconds: float | None, what: str) -> None:
    hub = get_hub()
    waiter = Waiter(Wait.OTHER, 0, describe(interest, what) if interest else f"{what} of nothing")
    watchers = []
    try:
        for fd, mask in interest.items():
            try:
                watcher = hub.loop.io(fd, _simple(mask & (READABLE | WRITABLE)) or READ)
            except OSError as error:
                if error.errno == EPERM:
                    continue
                if error.errno == EBADF:
                    return
                raise
            watchers.append(watcher)
            watcher.start(waiter.wake, Ready.WATCHER, watcher.resource)
        if seconds is None:
            hub.park(waiter)
        else:
            with SocketTimeout(seconds, False):
                hub.park(waiter)
    finally:
        for watcher in watchers:
            watcher.close()
