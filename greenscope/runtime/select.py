"""The standard library's ``select`` module, green: ``select``, ``poll`` and ``epoll`` that let others run.

Each asks the kernel first, without waiting, and parks only if nothing is ready; then it asks again, so an
answer has everything that is ready at that time. What is wrong is refused as the standard library does.

Two differences. ``select`` takes descriptors of 1024 and more. And a call that need not wait lets the others
run all the same, always if it finds nothing in no time, and else now and then: a program that asks in a loop
would keep them from what it asks for.

``epoll`` is here although gevent has none: a set is itself a descriptor that can be waited for, so it costs
nothing to let it be green, and a program that uses one need not be changed. ``kqueue`` and ``devpoll`` are
not, and monkey patching takes them away: they would block the hub.
"""

from __future__ import annotations

import select as stdlib
from collections.abc import Iterable, Sequence
from errno import EBADF
from math import ceil
from os import strerror
from time import monotonic
from types import TracebackType
from typing import Any, Self

from greenscope.runtime.current import current
from greenscope.runtime.hub import get_hub
from greenscope.runtime.pollset import READABLE, URGENT, WRITABLE, describe, wait_for_any
from greenscope.runtime.seconds import seconds_of
from greenscope.runtime.socket_waiting import release
from greenscope.runtime.timeout import WaitTimeout
from greenscope.runtime.watcher import READ, IoWatcher

__all__ = ["error", "poll", "select"]
__implements__ = ["poll", "select"]

error = OSError

_poll = stdlib.poll
_select: Any = stdlib.select  # not ours below
_epoll: Any = getattr(stdlib, "epoll", None)
_TURN = 16  # answers at once before the others' turn
_at_once = 0
_MOST_MS = (1 << 31) - 1
_BAD = stdlib.POLLNVAL
_ANY = stdlib.POLLIN | stdlib.POLLPRI | stdlib.POLLOUT
_TROUBLE = stdlib.POLLHUP | stdlib.POLLERR  # what select calls readable
_BROKEN = stdlib.POLLERR  # and writable

FileDescriptorLike = Any  # a number, or what has a fileno()
_Found = tuple[list[Any], list[Any], list[Any]]


def select(
    rlist: Iterable[FileDescriptorLike],
    wlist: Iterable[FileDescriptorLike],
    xlist: Iterable[FileDescriptorLike],
    timeout: float | None = None,
    /,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Wait until something can be read, written, or has urgent data.

    Args:
        rlist, wlist, xlist: descriptors, or what has one.
        timeout: seconds to wait at most; 0 is not at all, None is for ever.

    Returns:
        Those of each list that are ready.

    Raises:
        TypeError, ValueError: what is no descriptor, or no time.
        OSError: EBADF, a descriptor is closed.
    """
    seconds = None
    if timeout is not None:
        try:
            seconds = seconds_of(timeout)
        except TypeError:
            raise TypeError(f"timeout must be a float or None, not {type(timeout).__name__}") from None
        if seconds < 0:
            raise ValueError(f"timeout must be non-negative, not {timeout}")
    for items in (rlist, wlist, xlist):
        if not isinstance(items, Iterable):
            raise TypeError(f"arguments 1-3 must be sequences, not {type(items).__name__}")
    lists = tuple(items if isinstance(items, list | tuple) else list(items) for items in (rlist, wlist, xlist))
    try:
        found: _Found = _select(*lists, 0)
        if any(found) and (not _turn_is_over() or any(found := _select(*lists, 0))):
            return found
        if seconds == 0:
            get_hub().give_way()
            return found
    except ValueError:  # a number beyond what the kernel's own select takes; or below 0, which is refused below
        return _select_by_poll(lists, seconds, False)
    return _select_by_poll(lists, seconds, True)


def _select_by_poll(lists: tuple[Sequence[Any], ...], seconds: float | None, asked: bool) -> _Found:
    # The descriptors are what they are now: an object may be closed before the answer.
    numbers = [[_descriptor(each) for each in items] for items in lists]
    poller = _poll()
    interest: dict[int, int] = {}
    for fds, mask in zip(numbers, (READABLE, WRITABLE, URGENT), strict=True):
        for fd in fds:
            interest[fd] = interest.get(fd, 0) | mask
    for fd, mask in interest.items():
        poller.register(fd, mask)
    news = dict(_news(poller, interest, seconds, "select", asked))
    if any(events & _BAD for events in news.values()):
        raise OSError(EBADF, strerror(EBADF))
    masks = (READABLE | _TROUBLE, WRITABLE | _BROKEN, URGENT)
    readable, writable, urgent = (
        [each for fd, each in zip(fds, items, strict=True) if fd in news and news[fd] & mask]
        for fds, items, mask in zip(numbers, lists, masks, strict=True)
    )
    return readable, writable, urgent


class poll:  # noqa: N801  (the standard library's name)
    """Waits for the descriptors that are registered with it."""

    __slots__ = ("_interest", "_poll", "_polling")

    def __init__(self) -> None:
        self._poll = _poll()
        self._interest: dict[int, int] = {}
        self._polling = False

    def register(self, fd: FileDescriptorLike, eventmask: int = _ANY, /) -> None:
        """Wait for these events of a descriptor, from now on; replaces what it was registered for."""
        number = _descriptor(fd)
        self._poll.register(number, eventmask)
        self._interest[number] = eventmask

    def modify(self, fd: FileDescriptorLike, eventmask: int, /) -> None:
        """Wait for other events of a descriptor.

        Raises:
            FileNotFoundError: it is not registered.
        """
        number = _descriptor(fd)
        self._poll.modify(number, eventmask)
        self._interest[number] = eventmask

    def unregister(self, fd: FileDescriptorLike, /) -> None:
        """Forget a descriptor.

        Raises:
            KeyError: it is not registered.
        """
        number = _descriptor(fd)
        self._poll.unregister(number)
        del self._interest[number]

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        """Wait until something happened.

        Args:
            timeout: milliseconds to wait at most; 0 is not at all, None or less than 0 is for ever.

        Returns:
            Each descriptor that has news, and its events. POLLNVAL is one that is closed.

        Raises:
            RuntimeError: another greenlet polls this object.
        """
        seconds = _patience(timeout, 1000)
        if self._polling:
            raise RuntimeError("concurrent poll() invocation: another greenlet polls with this object")
        self._polling = True
        try:
            return _news(self._poll, self._interest, seconds, "poll")
        finally:
            self._polling = False


if _epoll is not None:
    __all__ += ["epoll"]
    __implements__ += ["epoll"]

    class epoll:  # noqa: N801  (the standard library's name)
        """An epoll set of the kernel's, whose ``poll`` lets others run; all else is the set's own."""

        __slots__ = ("__weakref__", "_epoll", "_members", "_watcher", "_what")

        def __init__(self, sizehint: int = -1, flags: int = 0) -> None:
            self._hold(_epoll(sizehint, flags))

        def _hold(self, kernels: Any) -> None:
            self._epoll = kernels
            self._watcher: IoWatcher | None = None
            # For the recording: what is in the set, as far as we were told, and how to say it; None when that changed.
            self._members: dict[int, int] = {}
            self._what: bytes | None = None

        @classmethod
        def fromfd(cls, fd: int, /) -> Self:
            """The set that a descriptor stands for."""
            new = cls.__new__(cls)
            new._hold(_epoll.fromfd(fd))
            return new

        @property
        def closed(self) -> bool:
            """Whether it was closed."""
            return bool(self._epoll.closed)

        def fileno(self) -> int:
            """Its descriptor."""
            return int(self._epoll.fileno())

        def register(self, fd: FileDescriptorLike, eventmask: int | None = None) -> None:
            """Wait for events of a descriptor, from now on."""
            if eventmask is None:
                self._epoll.register(fd)
            else:
                self._epoll.register(fd, eventmask)
            self._members[_descriptor(fd)] = _ANY if eventmask is None else eventmask
            self._what = None

        def modify(self, fd: FileDescriptorLike, eventmask: int) -> None:
            """Wait for other events of a descriptor."""
            self._epoll.modify(fd, eventmask)
            self._members[_descriptor(fd)] = eventmask
            self._what = None

        def unregister(self, fd: FileDescriptorLike) -> None:
            """Forget a descriptor."""
            self._epoll.unregister(fd)
            self._members.pop(_descriptor(fd), None)
            self._what = None

        def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
            """Wait until something happened.

            Args:
                timeout: seconds to wait at most; 0 is not at all, None or less than 0 is for ever.
                maxevents: how many events to return at most.

            Returns:
                Descriptors and their events.
            """
            seconds = _patience(timeout, 1)
            events: list[tuple[int, int]] = self._epoll.poll(0, maxevents)
            if events and (not _turn_is_over() or (events := self._epoll.poll(0, maxevents))):
                return events
            if seconds == 0:
                get_hub().give_way()
                return events
            end = None if seconds is None else monotonic() + seconds
            while True:
                self._wait(seconds)
                events = self._epoll.poll(0, maxevents)
                if events or (end is not None and (seconds := end - monotonic()) <= 0):
                    return events

        def close(self) -> None:
            """Close it; whoever waits in ``poll`` gets EBADF."""
            watcher, self._watcher = self._watcher, None
            kernels = self._epoll
            hub = current.hub
            if hub is not None and not hub.loop.closed and not kernels.closed:
                hub.loop.closing_fd(kernels.fileno())
            release([] if watcher is None else [watcher], kernels.close)

        def __enter__(self) -> Self:
            if self._epoll.closed:
                raise ValueError("I/O operation on closed epoll object")
            return self

        def __exit__(
            self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
        ) -> None:
            self.close()

        def __del__(self) -> None:
            if getattr(self, "_watcher", None) is not None:
                self.close()

        def _wait(self, seconds: float | None) -> None:
            hub = get_hub()
            what = self._what
            if what is None:  # a set of many is not described: what is in it changes, and its watcher stays
                what = self._what = describe(self._members, "epoll").encode() if len(self._members) == 1 else b"epoll"
            watcher = self._watcher
            if watcher is not None and watcher.greenlet is None and (watcher.loop, watcher.peer) != (hub.loop, what):
                self._watcher = None
                release([watcher], None)
                watcher = None
            mine = None
            if watcher is None:
                watcher = self._watcher = hub.loop.io(self._epoll.fileno(), READ, peer=what)
            elif watcher.greenlet is not None or watcher.loop is not hub.loop:
                watcher = mine = hub.loop.io(self._epoll.fileno(), READ, peer=what)  # several poll at a time
            try:
                if seconds is None:
                    hub.wait_io(watcher)
                else:
                    with WaitTimeout(seconds, False, ref=False):
                        hub.wait_io_within(watcher)
            finally:
                if mine is not None:
                    mine.close()


def _news(
    poller: Any, interest: dict[int, int], seconds: float | None, what: str, asked: bool = False
) -> list[tuple[int, int]]:
    """What the poller has, after a wait if there is none; at once, if it was asked already."""
    news: list[tuple[int, int]]
    if not asked:
        news = poller.poll(0)
        if news and (not _turn_is_over() or (news := poller.poll(0))):
            return news
        if seconds == 0:
            get_hub().give_way()
            return news
    end = None if seconds is None else monotonic() + seconds
    while True:
        same = wait_for_any(interest.copy(), seconds, what)
        news = poller.poll(0)
        if not same and not news:
            return [(fd, _BAD) for fd in interest]
        if news or (end is not None and (seconds := end - monotonic()) <= 0):
            return news


def _turn_is_over() -> bool:
    """Let the others run, if calls have had an answer at once too often; what was ready then may be no more.

    A loop around ``select`` whose socket can always be written would otherwise never let anybody else run.
    """
    global _at_once  # noqa: PLW0603  (threads that count it at the same time lose a few, which does no harm)
    _at_once += 1
    if _at_once < _TURN:
        return False
    _at_once = 0
    get_hub().give_way()
    return True


def _patience(timeout: float | None, per_second: int) -> float | None:
    """Seconds to wait, of a time in milliseconds (1000 per second) or seconds; None is for ever."""
    if timeout is None:
        return None
    try:
        value = seconds_of(timeout)
    except TypeError:
        raise TypeError(f"timeout must be an integer or None, not {type(timeout).__name__}") from None
    ms = ceil(value * 1000 / per_second)
    if abs(ms) > _MOST_MS:
        raise OverflowError(f"timeout is too large: {timeout}; use None to wait for ever")
    return ms / 1000 if value >= 0 else None


def _descriptor(thing: FileDescriptorLike) -> int:
    if isinstance(thing, int):
        number = thing
    else:
        method = getattr(thing, "fileno", None)
        if method is None:
            raise TypeError("argument must be an int, or have a fileno() method.")
        number = method()
        if not isinstance(number, int):
            raise TypeError("fileno() returned a non-integer")
    if number < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({number})")
    return number


for _name, _value in vars(stdlib).items():
    if _name not in globals() and _name.isupper():
        globals()[_name] = _value
