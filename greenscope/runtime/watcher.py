"""Watchers: what a greenlet that waits for a descriptor or for time parks on.

Owns ``IoWatcher`` and ``TimerWatcher``, the two entries of the ready queue that the loop makes ready.
They know how to begin, to fire and to end, and tell the recorder; what libuv wants is ``loop``'s
business. A watcher is made once and waited on many times, by one greenlet at a time.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from greenscope.runtime.waiter import State, Wakeable
from greenscope.trace.events import Ready, Wait, Watch

if TYPE_CHECKING:
    from greenscope.runtime.loop import Descriptor, Loop, Timer

__all__ = ["READ", "WATCH_READ", "WRITE", "IoWatcher", "TimerWatcher"]

READ = 1  # libuv's numbers, which are also Watch's
WRITE = 2

# Looking a member of an enumeration up costs as much as recording the event.
WATCH_READ = int(Watch.READ)
_TIMER = int(Watch.TIMER)


class _NoDescriptor:
    """What a closed watcher has."""

    __slots__ = ()

    armed = 0

    def arm(self, _events: int, /) -> None:
        """Refuse."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def remove(self, _watcher: IoWatcher, /) -> None:
        """There is nothing left to remove."""


_CLOSED = _NoDescriptor()


class IoWatcher(Wakeable):
    """Waits for one direction of a descriptor; the ready queue's entry for the greenlet that waits.

    ``Hub.wait`` starts and stops it. The kernel is told at the first wait, and then not before it fires
    for nobody.
    """

    __slots__ = ("descriptor", "fd", "loop", "mask", "peer", "resource", "watch")

    def __init__(self, loop: Loop, descriptor: Descriptor, events: int, peer: bytes) -> None:
        self.greenlet = None
        self.exception = None
        self.queued = False
        self.loop = loop
        self.fd = descriptor.fd
        self.mask = events
        self.peer = peer
        self.descriptor: Descriptor | _NoDescriptor = descriptor
        if events == READ:
            self.watch = WATCH_READ
            descriptor.reader = self
        else:
            self.watch = int(Watch.WRITE)
            descriptor.writer = self
        self.resource = loop.recorder.watcher_open(self.watch, self.fd, peer)

    def fire(self) -> bool:
        """The loop's news; False if nobody waits for it."""
        if self.greenlet is None:
            return False
        if not self.queued:
            loop = self.loop
            handle = self.state.handle
            loop.record_fire(handle, self.watch, self.resource, self.fd)
            self.queued = True
            loop.ready.append(self)
        return True

    def cancel(self, error: BaseException) -> None:
        """Raise ``error`` in the greenlet that waits, if one does."""
        if self.greenlet is not None and self.exception is None:
            self.exception = error
            self.wake(Ready.CLOSE, self.loop.recorder.current)

    def close(self) -> None:
        """Let go of the descriptor; comes before the descriptor is closed. Twice does no harm."""
        descriptor, self.descriptor = self.descriptor, _CLOSED
        if descriptor is not _CLOSED:
            self.loop.recorder.watcher_close(self.watch, self.resource, self.fd)
            descriptor.remove(self)

    def describe(self) -> str:
        peer = f" ({self.peer.decode(errors='replace')})" if self.peer else ""
        return f"{'read' if self.mask == READ else 'write'} on fd {self.fd}{peer}"


class TimerWatcher(Wakeable):
    """Waits for time to pass: what ``sleep`` parks on."""

    __slots__ = ("_loop", "_timer", "ms", "resource")

    fd = -1
    peer = b""
    reason = int(Wait.TIMER)

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop
        self._timer: Timer | None = None
        self.ms = 0
        self.resource = loop.recorder.watcher_open(Watch.TIMER, -1, b"")

    def start(self, greenlet: Any, state: State) -> None:
        """Begin to count."""
        self.greenlet = greenlet
        self.state = state
        loop = self._loop
        loop.active += 1
        loop.record_start(_TIMER, self.resource, self.ms)
        self._timer = loop.call_later(self.ms, self._fire)

    def stop(self) -> None:
        """Count no more."""
        self.greenlet = None
        loop = self._loop
        loop.active -= 1
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        loop.record_stop(_TIMER, self.resource, self.ms)

    def release(self) -> None:
        """Put it with the idle ones, for the next sleep."""
        if not self.queued:
            self._loop._sleepers.append(self)

    def describe(self) -> str:
        return f"sleep of {self.ms} ms"

    def _fire(self) -> None:
        self._timer = None
        if self.greenlet is not None and not self.queued:
            loop = self._loop
            handle = self.state.handle
            loop.record_fire(handle, _TIMER, self.resource, self.ms)
            self.queued = True
            loop.ready.append(self)
