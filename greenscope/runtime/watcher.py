"""Watchers of descriptors, and of the time that ``sleep`` takes: what most waits park on.

Owns ``IoWatcher`` and ``TimerWatcher``, and ``Watcher``, which they and the rarer ones (``watchers``)
have in common. They know how to begin, to fire and to end, and tell the recorder; what libuv wants is
``loop``'s business. A watcher is made once and used many times, in one of two ways at a time:

- a greenlet waits on it (``Hub.wait``): the watcher itself is the entry of the ready queue;
- ``start(callback, *args)``: the hub calls that each time it fires, until ``stop``. gevent's interface.

Between the two there is nothing to tell: fired, a watcher goes into the ready queue, and the hub
switches to whoever waits there, or calls what is to be called.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenscope.runtime.waiter import State, Wakeable
from greenscope.trace.events import ORIGIN_SHIFT, Ready, Wait, Watch

if TYPE_CHECKING:
    from greenscope.runtime.loop import Descriptor, Loop, Timer

__all__ = ["READ", "WATCH_READ", "WRITE", "IoWatcher", "TimerWatcher", "Watcher"]

READ = 1  # libuv's numbers, which are also Watch's
WRITE = 2

# Looking a member of an enumeration up costs as much as recording the event.
WATCH_READ = int(Watch.READ)
_TIMER = int(Watch.TIMER)


class Watcher(Wakeable):
    """What all watchers have: gevent's interface, and the greenlet that waits.

    A kind of watcher says what it is (``watch``, ``reason``), and how the loop begins and ends to
    watch (``_begin``, ``_end``); the loop calls ``fire``.
    """

    __slots__ = ("_active", "args", "callback", "loop")

    watch: int
    waits_for: int

    def __init__(self, loop: Loop, ref: bool = True, fd: int = -1, peer: bytes = b"") -> None:
        super().__init__()
        self.fd = fd
        self.peer = peer
        self.reason = self.waits_for
        self.loop = loop
        self.callback: Callable[..., object] | None = None
        self.args: tuple[Any, ...] | None = None
        self._active = False
        self.counts = ref
        # Where a connection comes from is in the upper bits of what it waits for.
        self.resource = loop.recorder.watcher_open(self.watch | self.waits_for & ~0xFF, self.fd, self.peer)

    def start(self, callback: Callable[..., object], *args: Any) -> None:
        """Have the hub call ``callback(*args)`` each time it fires. The callback must not wait.

        Raises:
            TypeError: ``callback`` cannot be called.
            AssertionError: a greenlet waits on it.
        """
        if not callable(callback):
            raise TypeError(f"a watcher calls a function; {callback!r} cannot be called")
        if self.greenlet is not None:
            raise AssertionError(f"a greenlet waits for {self.describe()}; a callback cannot be started beside it")
        self.callback = callback
        self.args = args
        if not self._active:
            self._activate()

    def stop(self) -> None:
        """Fire no more, and forget the callback. Does nothing to one that is not started."""
        self.callback = self.args = None
        if self._active and self.greenlet is None:
            self._deactivate()

    def close(self) -> None:
        """Stop, and let go of what the loop holds for it. Twice does no harm."""
        self.stop()
        if self.resource >= 0:
            self.loop.recorder.watcher_close(self.watch, self.resource, self.fd)
            self.resource = -1

    @property
    def active(self) -> bool:
        """Whether it is started, or a greenlet waits on it."""
        return self._active

    @property
    def pending(self) -> bool:
        """Whether it has fired, and the hub has not come to it yet."""
        return self.queued

    @property
    def ref(self) -> bool:
        """Whether it keeps the loop alive while it is active."""
        return self.counts

    @ref.setter
    def ref(self, value: bool) -> None:
        if self._active:
            self.loop.active += bool(value) - self.counts
        self.counts = bool(value)

    priority = None
    """gevent's, for its libev loop; ours serves in the order of the news."""

    # The hub's and the loop's side.

    def wait_begins(self, greenlet: Any, state: State) -> None:
        """A greenlet is about to wait on it."""
        self.greenlet = greenlet
        self.state = state
        self._activate()

    def wait_ends(self) -> None:
        """It waits no more."""
        self.greenlet = None
        if self._active:
            self._deactivate()

    def cancel(self, error: BaseException) -> None:
        """Raise ``error`` in the greenlet that waits, if one does."""
        if self.greenlet is not None and self.exception is None:
            self.exception = error
            self.wake(Ready.CLOSE, self.loop.recorder.current)

    def fire(self) -> bool:
        """The loop's news; False if nobody wants it."""
        if self.greenlet is None and self.callback is None:
            return False
        if not self.queued:
            loop = self.loop
            if self.greenlet is not None:
                handle = self.state.handle
                loop.record_fire(handle, self.watch, self.resource, self._detail())
            else:
                loop.recorder.watcher_fire(self.watch, self.resource, self._detail())
            self.queued = True
            loop.ready.append(self)
        return True

    def call(self) -> None:
        callback = self.callback
        if callback is not None:
            assert self.args is not None
            callback(*self.args)

    def describe(self) -> str:
        return Watch(self.watch).name.lower()

    def _activate(self) -> None:
        self._begin()
        self._active = True
        loop = self.loop
        loop.active += self.counts
        loop.record_start(self.watch, self.resource, self._detail())

    def _deactivate(self) -> None:
        self._active = False
        loop = self.loop
        loop.active -= self.counts
        if not loop.closed:
            self._end()
            loop.record_stop(self.watch, self.resource, self._detail())

    def _detail(self) -> int:
        """What goes with the resource into a record: the descriptor, or milliseconds."""
        return self.fd

    def _begin(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        how = "pending" if self.queued else "active" if self._active else "stopped"
        return f"<{type(self).__name__} watcher of {self.describe()}, {how}>"


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


class IoWatcher(Watcher):
    """Waits until a descriptor can be read, or written, or either.

    ``Hub.wait`` starts and stops it by itself, without the calls. The kernel is told at the first wait,
    and then not before it fires for nobody.
    """

    __slots__ = ("waits_for", "watch")

    def __init__(
        self, loop: Loop, descriptor: Descriptor, events: int, peer: bytes, ref: bool, origin: int = 0
    ) -> None:
        # One number for both: Wait's and Watch's agree for reading and writing.
        self.watch = WATCH_READ if events & READ else int(Watch.WRITE)
        self.waits_for = self.watch | origin << ORIGIN_SHIFT
        super().__init__(loop, ref, descriptor.fd, peer)
        self.mask = events
        self.descriptor: Descriptor | _NoDescriptor = descriptor
        descriptor.add(self)

    @property
    def events(self) -> int:
        """What it waits for: 1 to read, 2 to write, 3 for either."""
        return self.mask

    @property
    def active(self) -> bool:
        """Whether it is started, or a greenlet waits on it."""
        return self._active or self.greenlet is not None

    def close(self) -> None:
        """Let go of the descriptor; comes before the descriptor is closed. Twice does no harm."""
        super().close()
        descriptor, self.descriptor = self.descriptor, _CLOSED
        descriptor.remove(self)

    def describe(self) -> str:
        peer = f" ({self.peer.decode(errors='replace')})" if self.peer else ""
        what = {READ: "read", WRITE: "write"}.get(self.mask, "read or write")
        return f"{what} on fd {self.fd}{peer}"

    def _begin(self) -> None:
        if self.mask & ~self.descriptor.armed:
            self.descriptor.arm(self.mask)

    def _end(self) -> None:
        """Nothing: a descriptor is disarmed when it fires for nobody."""


class TimerWatcher(Watcher):
    """Waits for time to pass: what ``sleep`` parks on."""

    __slots__ = ("_timer", "ms")

    watch = _TIMER
    waits_for = int(Wait.TIMER)

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self._timer: Timer | None = None
        self.ms = 0

    def release(self) -> None:
        """Put it with the idle ones, for the next sleep."""
        if self.greenlet is not None or self._active:  # Ctrl-C struck on the way into wait_ends
            self.wait_ends()
        if not self.queued:
            self.counts = True
            self.loop._sleepers.append(self)

    def describe(self) -> str:
        return f"sleep of {self.ms} ms"

    def _detail(self) -> int:
        return self.ms

    def _begin(self) -> None:
        self._timer = self.loop.call_later(self.ms, self._fire)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self.fire()
