"""The file a ring lives in: made, its space reserved, locked while its writer lives, closed.

Space is reserved before any of it is touched: a write into a hole of a mapped file on a full disk
is SIGBUS, which no program survives. The writer holds a lock on the file for as long as it lives,
and the kernel lets go of it however the process ends: *live* is "the lock is held", which no reuse
of a process number can confuse. ``flock`` rather than ``fcntl``: a process that reads its own
ring must not lose the lock when it closes that second descriptor.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import platform
import socket
import sys
import threading
import time
from dataclasses import dataclass
from os import close as _close  # by name: patching puts others in their place
from os import write as _write
from pathlib import Path

from greenscope import __version__
from greenscope.errors import GreenscopeError
from greenscope.trace.ring_layout import EVENT, HEADER_SIZE, MAGIC, SITE, SLOT_SIZE, VERSION, write_field

__all__ = ["RingFile", "RingSizes", "create", "is_locked"]


@dataclass(frozen=True, slots=True)
class RingSizes:
    """How much a ring keeps.

    Args:
        events: records; a power of two, at least 16. The default is 8 MiB of them.
        slots: living greenlets that are known however long ago they began.
        sites: different lines of code.
        string_bytes: file, function and greenlet names.
    """

    events: int = 1 << 18
    slots: int = 1 << 14
    sites: int = 1 << 14
    string_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        if self.events < 16 or self.events & (self.events - 1):
            raise GreenscopeError(f"a ring holds a power of two of events, at least 16, not {self.events}")

    @property
    def total_bytes(self) -> int:
        """The size of the file."""
        return (
            HEADER_SIZE + self.string_bytes + self.sites * SITE.size + self.slots * SLOT_SIZE + self.events * EVENT.size
        )


@dataclass(slots=True)
class RingFile:
    """A mapped ring, and the descriptor that holds its lock. ``path`` is None in memory only."""

    memory: mmap.mmap
    path: Path | None
    lock: int

    def release(self) -> None:
        """Let go of the lock. The mapping goes when its last user does."""
        if self.lock >= 0:
            _close(self.lock)
            self.lock = -1

    def close(self) -> None:
        """Say in the file that its writer ended in good order, and when."""
        with memoryview(self.memory) as buffer:
            write_field(buffer, "end_monotonic_ns", time.clock_gettime_ns(time.CLOCK_MONOTONIC))
            write_field(buffer, "end_wall_ns", time.time_ns())
            write_field(buffer, "closed", 1)


def create(path: Path | None, hub: int, thread_name: str, sizes: RingSizes) -> RingFile:
    """A fresh ring, with its header written.

    Args:
        path: where; None keeps it in memory that no other process sees.
        hub: number of the hub within the process, from 1.
        thread_name: name of the thread the hub runs in.
        sizes: how much it keeps.

    Raises:
        OSError: the file cannot be made, or there is no space for it.
    """
    if path is None:
        memory, lock = mmap.mmap(-1, sizes.total_bytes), -1
    else:
        # It gets its name when it is whole, so that no reader meets (or locks) half a ring.
        unnamed = path.with_suffix(".new")
        unnamed.unlink(missing_ok=True)
        fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _reserve(fd, sizes.total_bytes)
            memory = mmap.mmap(fd, sizes.total_bytes)
            # Python's mmap keeps a copy of its descriptor, and a forked child keeps it too. The lock
            # is on a second opening of the file, so that closing that one lets go of it.
            lock = os.open(unnamed, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            unnamed.unlink(missing_ok=True)
            raise
        finally:
            _close(fd)
    with memoryview(memory) as buffer:
        _write_header(buffer, hub, thread_name, sizes)
    if path is not None:
        os.rename(unnamed, path)
    return RingFile(memory, path, lock)


def is_locked(path: Path) -> bool:
    """Whether a living writer holds this ring."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        _close(fd)
    return False


def _reserve(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    # macOS has none: zeros written once take the space as well.
    zeros = bytes(1 << 20)
    while size > 0:
        size -= _write(fd, zeros[:size])


def _write_header(buffer: memoryview, hub: int, thread_name: str, sizes: RingSizes) -> None:
    offset = HEADER_SIZE
    fields: dict[str, int | bytes] = {
        "magic": MAGIC,
        "version": VERSION,
        "header_size": HEADER_SIZE,
        "pid": os.getpid(),
        "hub": hub,
        "start_monotonic_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC),
        "start_wall_ns": time.time_ns(),
        "boot_id": _boot_id(),
        "thread_id": threading.get_native_id(),
        "string_offset": offset,
        "string_size": sizes.string_bytes,
        "site_offset": (offset := offset + sizes.string_bytes),
        "site_capacity": sizes.sites,
        "slot_offset": (offset := offset + sizes.sites * SITE.size),
        "slot_capacity": sizes.slots,
        "event_offset": offset + sizes.slots * SLOT_SIZE,
        "event_capacity": sizes.events,
        "thread_name": _fitting(thread_name, 64),
        "host": _fitting(socket.gethostname(), 64),
        "writer": _fitting(
            f"greenscope {__version__}, {platform.python_implementation()} {platform.python_version()}", 64
        ),
        "executable": _fitting(sys.executable or "", 512),
        "argv": _fitting("\0".join(sys.orig_argv), 2048),
    }
    for name, value in fields.items():
        write_field(buffer, name, value)


def _fitting(text: str, size: int) -> bytes:
    return text.encode("utf-8", "surrogateescape")[: size - 1]


def _boot_id() -> bytes:
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)
