"""One file descriptor in the loop, and everybody who watches it.

Owns ``Descriptor``: the one ``Poll`` handle that libuv allows, what the kernel was told to watch for,
and whom news are for. What is not wanted any more is noticed when it comes (*lazy stop*): a handle
stays armed between waits, and is stopped when it fires and nobody waits.
"""

from __future__ import annotations

import errno
from os import fstat as _fstat
from typing import TYPE_CHECKING

from greenscope.runtime.waiter import Armed
from greenscope.runtime.watcher import READ, WRITE, IoWatcher

if TYPE_CHECKING:
    from greenscope.runtime.loop import Loop, UvPoll
    from greenscope.runtime.watchers import ChildWatcher

__all__ = ["Descriptor"]


class Descriptor(Armed):
    """One file descriptor in the loop: its ``Poll`` handle and its watchers.

    The first watcher of each direction, which is nearly always the only one, is found at once.
    """

    __slots__ = ("_changed", "_identity", "_loop", "_poll", "_told_kernel", "fd")

    reader: IoWatcher | None
    writer: IoWatcher | None
    others: list[IoWatcher | ChildWatcher]

    def __init__(self, loop: Loop, fd: int) -> None:
        super().__init__(loop)
        self._loop = loop
        self.fd = fd
        self._told_kernel = False
        self._changed = False
        self._identity = _identity(fd)
        self._poll: UvPoll | None = loop.poll_handle(fd)

    def is_same(self) -> bool:
        """Whether the number still stands for the file it did."""
        try:
            return _identity(self.fd) == self._identity
        except OSError:
            return False

    def add(self, watcher: IoWatcher | ChildWatcher) -> None:
        """Take a watcher in."""
        if watcher.__class__ is IoWatcher and watcher.mask == READ and self.reader is None:
            self.reader = watcher
        elif watcher.__class__ is IoWatcher and watcher.mask == WRITE and self.writer is None:
            self.writer = watcher
        else:
            self.others.append(watcher)

    def arm(self, events: int) -> None:
        """Have the kernel watch for ``events`` too, from the next poll on.

        Raises:
            OSError: EBADF, nothing watches it any more.
        """
        if self._poll is None:
            raise OSError(errno.EBADF, f"descriptor {self.fd} was closed without closing its socket")
        self.armed |= events
        self._change()

    def tell_kernel(self) -> None:
        """The loop is about to poll: have it watch for what is armed by now.

        Not before: until then somebody may close the descriptor by its number, and libuv ends the process
        when the kernel refuses it.
        """
        self._changed = False
        if self._poll is None:
            return
        if not self.is_same():
            self.abandon()
        elif self.armed:
            self._told_kernel = True
            self._poll.start(self.armed, self.on_events)

    def _change(self) -> None:
        if not self._changed:
            self._changed = True
            self._loop.changed.append(self)

    def remove(self, watcher: IoWatcher | ChildWatcher) -> None:
        """Take a watcher out; with the last one the handle goes."""
        if self.reader is watcher:
            self.reader = None
        elif self.writer is watcher:
            self.writer = None
        elif watcher in self.others:
            self.others.remove(watcher)
        if self.reader is None and self.writer is None and not self.others:
            self._close()

    def abandon(self) -> None:
        """Close what watches this descriptor, and tell whoever waits."""
        for watcher in (self.reader, self.writer, *self.others):
            if watcher.__class__ is IoWatcher:
                callback, args = watcher.callback, watcher.args
                watcher.cancel(OSError(errno.EBADF, "File descriptor was closed behind its socket"))
                watcher.close()
                if callback is not None:  # it will see for itself
                    self._loop.run_callback(callback, *(args or ()))
        self._close()

    def _close(self) -> None:
        poll, self._poll = self._poll, None
        if poll is None:
            return
        self._loop.forget_descriptor(self.fd, poll, self._told_kernel)

    def several_events(self, events: int | None) -> None:
        """The kernel's news, where they are not for one who waits to read, alone."""
        if events is None:
            self.armed = 0
            events = READ | WRITE
        wanted = 0
        for other in (self.reader, self.writer, *self.others):
            if other is not None and events & other.mask and other.fire():
                wanted |= other.mask
        if self.armed & events & ~wanted:
            self._disarm(events & ~wanted)

    def _disarm(self, events: int) -> None:
        poll = self._poll
        if poll is None:
            return
        self.armed &= ~events
        if self.armed:
            self._change()
        else:
            poll.stop()


def _identity(fd: int) -> tuple[int, int]:
    status = _fstat(fd)
    return status.st_dev, status.st_ino
