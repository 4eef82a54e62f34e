"""A raw file over a descriptor, whose reads and writes park the greenlet instead of blocking the hub.

Owns ``GreenFileIO``, the bottom of every green file: pipes of processes, terminals, ``FileObject``.
What goes on top of it is in ``layers``.

The descriptor stays as blocking as it was: whether it blocks is a property of the open file, which may be
the shell's too (a terminal), or the next process's (a pipe handed on as its standard input), and those
would see errors that they do not expect. So it is polled before each read or write, and a write is of no
more than a pipe takes whole. A regular file is always ready, and read directly; ``FileObjectThread`` is for
files on slow disks.

The descriptor's watcher is closed before the descriptor is, which wakes whoever waits with EBADF.
"""

from __future__ import annotations

import io
from _thread import get_ident
from collections.abc import Callable
from errno import EBADF, EPERM
from fcntl import F_GETFL, fcntl
from os import O_RDONLY, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_SET, fstat, isatty, lseek, readv
from os import close as _close
from os import ftruncate as _ftruncate
from os import write as _write
from select import PIPE_BUF, POLLIN, POLLOUT, poll
from stat import S_ISREG
from typing import TYPE_CHECKING, Any
from warnings import warn

from greenscope.runtime.current import current
from greenscope.runtime.hub import get_hub
from greenscope.runtime.loop import READ, WRITE, IoWatcher
from greenscope.runtime.waiter import running

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["GreenFileIO", "wait_fd", "would_block"]


class GreenFileIO(io.RawIOBase):
    """A raw file over a descriptor.

    Args:
        fd: the descriptor.
        mode: ``rb``, ``wb`` or ``r+b``, as ``open`` takes it: what it may be used for.
        closefd: whether closing the file closes the descriptor.
        owner: an object that the descriptor belongs to, which is closed in its place.
        warns: whether being dropped without being closed is a ResourceWarning.
    """

    def __init__(self, fd: int, mode: str = "rb", closefd: bool = True, owner: Any = None, warns: bool = False) -> None:
        super().__init__()
        regular = S_ISREG(fstat(fd).st_mode)  # first: what is no descriptor is not closed either
        self._fd = fd
        self._closefd = closefd
        self._owner = owner
        self._reads = "r" in mode or "+" in mode
        self._writes = "+" in mode or not mode.startswith("r")
        self._watchers: dict[int, IoWatcher] = {}
        self.mode = mode
        self.name: Any = getattr(owner, "name", fd)
        self._warns = warns
        # A pipe's end is never ready for the direction that it does not have; the system call says so.
        wrong = O_WRONLY if self._reads else O_RDONLY
        self._always_ready = regular or fcntl(fd, F_GETFL) & (O_RDONLY | O_WRONLY | O_RDWR) == wrong

    # Reading and writing.

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what there is, at least a byte, into ``buffer``; how many, and 0 at the end."""
        self._check(self._reads, "reading")
        if not memoryview(buffer).nbytes:
            return 0
        while True:
            while not self._always_ready and would_block(self._fd, POLLIN):
                self._wait(READ)
            try:
                return readv(self._fd, [buffer])
            except BlockingIOError:  # somebody else was quicker
                self._wait(READ)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of ``data``; how many bytes that are."""
        self._check(self._writes, "writing")
        with memoryview(data) as view, view.cast("B") as octets:
            return self._write_all(octets)

    def _write_all(self, octets: memoryview) -> int:
        sent = 0
        while True:
            sent += self.write_some(octets[sent:] if sent else octets)
            if sent >= len(octets):
                return sent

    def write_some(self, octets: memoryview) -> int:
        """Write what the kernel takes, when it takes something; how many bytes it took."""
        while True:
            if not self._always_ready:
                while would_block(self._fd, POLLOUT):
                    self._wait(WRITE)
                octets = octets[:PIPE_BUF]  # a write of more would block, although there is room
            try:
                return _write(self._fd, octets)
            except BlockingIOError:  # there is less room than that
                self._wait(WRITE)

    def _wait(self, events: int) -> None:
        hub = get_hub()
        watcher = self._watchers.get(events)
        if watcher is not None and watcher.loop is not hub.loop:  # another thread's, or the parent's
            del self._watchers[events]
            _release([watcher], None)
            watcher = None
        if watcher is None:
            watcher = self._watchers[events] = hub.loop.io(self._fd, events)
        if watcher.greenlet is None:
            hub.wait(watcher)
        else:  # somebody waits already: two may, as two threads may
            wait_fd(self._fd, events)
        self._check()

    def _check(self, allowed: bool = True, purpose: str = "") -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if not allowed:
            raise io.UnsupportedOperation(f"the file was opened with mode {self.mode!r}, not for {purpose}")

    # Ending.

    def close(self) -> None:
        """Close it; whoever waits on it gets EBADF. Twice does no harm."""
        if self.closed:
            return
        super().close()
        if "_watchers" in self.__dict__:  # else it was never opened
            watchers = list(self._watchers.values())
            self._watchers.clear()
            _release(watchers, self._close_descriptor)

    def _close_descriptor(self) -> None:
        if self._closefd:
            if self._owner is not None:
                self._owner.close()
            else:
                _close(self._fd)

    def _dealloc_warn(self, source: object) -> None:
        # The standard library's buffers call this when they are dropped and not closed.
        if self._warns:
            warn(f"unclosed file {source!r}", ResourceWarning, stacklevel=2, source=source)

    # What is asked of the descriptor.

    def fileno(self) -> int:
        """Its descriptor."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self) -> bool:
        """Whether it may be read."""
        self._check()
        return self._reads

    def writable(self) -> bool:
        """Whether it may be written."""
        self._check()
        return self._writes

    def seekable(self) -> bool:
        """Whether it has a position."""
        self._check()
        try:
            lseek(self._fd, 0, SEEK_CUR)
        except OSError:
            return False
        return True

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        """Change the position; the new one."""
        self._check()
        return lseek(self._fd, offset, whence)

    def truncate(self, size: int | None = None, /) -> int:
        """Cut it off at ``size`` bytes; None is where it stands."""
        self._check(self._writes, "writing")
        end = self.tell() if size is None else size
        _ftruncate(self._fd, end)
        return end

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return isatty(self.fileno())

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fd={self._fd}"
        return f"<GreenFileIO {state} mode={self.mode!r}>"


def _release(watchers: list[IoWatcher], then: Callable[[], object] | None) -> None:
    """Close watchers, each in the thread of its loop, and only after that call ``then``."""
    me = get_ident()
    elsewhere = []
    for watcher in watchers:
        if watcher.loop.thread == me or watcher.loop.closed:
            watcher.cancel(OSError(EBADF, "the file was closed in another greenlet"))
            watcher.close()
        else:
            elsewhere.append(watcher)
    if elsewhere:
        elsewhere[0].loop.call_threadsafe(_release, elsewhere, then)
    elif then is not None:
        then()


def wait_fd(fd: int, events: int, what: bytes = b"") -> None:
    """Park until a descriptor can be read (READ) or written (WRITE); returns at once where nothing can wait for it.

    Args:
        fd: the descriptor.
        events: READ or WRITE.
        what: what it is, for the recording.
    """
    hub = get_hub()
    try:
        watcher = hub.loop.io(fd, events, peer=what)
    except OSError as error:
        if error.errno == EPERM:  # a regular file: always ready
            return
        raise
    try:
        hub.wait(watcher)
    finally:
        watcher.close()


def would_block(fd: int, events: int) -> bool:
    """Whether a read (POLLIN) or write (POLLOUT) would wait now, and there is a greenlet that can do so instead."""
    hub = current.hub
    if hub is not None and running() is hub:  # a callback must not wait; it blocks, as it would anywhere
        return False
    poller = poll()
    poller.register(fd, events)
    return not poller.poll(0)
