"""The file a ring lives in: made, its space reserved, locked while its writer lives, closed.

The file has its full size from the beginning, and takes no more space than was reserved of it: the
beginning here, what follows by the writer (``ring_space.py``). The writer holds a lock on the file for
as long as it lives, and the kernel lets go of it however the process ends: *live* is "the lock is held",
which no reuse of a process number can confuse. ``flock`` rather than ``fcntl``: a process that reads its
own ring must not lose the lock when it closes that second descriptor.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import platform
import socket
import sys
import threading
import time
from dataclasses import dataclass, replace
from errno import EEXIST, EFBIG
from os import close as _close  # by name: patching puts others in their place
from os import fstat as _fstat
from pathlib import Path

from greenscope import __version__
from greenscope.errors import GreenscopeError
from greenscope.trace.ring_layout import (
    CAPACITY_UNIT,
    EVENT,
    EVENT_STEP,
    HEADER_SIZE,
    MAGIC,
    SITE,
    SLOT_SIZE,
    VERSION,
    WATCH_BURST,
    write_field,
)
from greenscope.trace.ring_space import reserve_beginning

__all__ = ["UNNAMED", "RingFile", "RingSizes", "create", "is_locked"]

UNNAMED = ".new"
"""Ends the name of a ring that is being made; one that stays was left by a process that died meanwhile."""


@dataclass(frozen=True, slots=True)
class RingSizes:
    """How much a ring keeps.

    Args:
        events: records; a multiple of 16. The default is 32 MiB of them.
        slots: living greenlets that are known however long ago they began.
        sites: different lines of code.
        string_bytes: file, function and greenlet names.
        watch: records of the watchdog; 0, or more than 128, so that a stall's stack fits.
    """

    events: int = 1 << 20
    slots: int = 1 << 14
    sites: int = 1 << 14
    string_bytes: int = 1 << 20
    watch: int = 1 << 11

    def __post_init__(self) -> None:
        if self.events <= 0 or self.events % CAPACITY_UNIT:
            raise GreenscopeError(f"a ring holds a multiple of {CAPACITY_UNIT} events, not {self.events}")
        if self.watch and self.watch <= WATCH_BURST:
            raise GreenscopeError(f"a ring holds more than {WATCH_BURST} records of the watchdog, not {self.watch}")

    @property
    def total_bytes(self) -> int:
        """The size of the file, of which a small program takes only a part."""
        return (
            HEADER_SIZE
            + self.string_bytes
            + self.sites * SITE.size
            + self.slots * SLOT_SIZE
            + (self.watch + self.events) * EVENT.size
        )


@dataclass(slots=True)
class RingFile:
    """A mapped ring, and the descriptor that holds its lock and reserves its space.

    ``path`` is None, and ``lock`` -1, in memory only.
    """

    memory: mmap.mmap
    path: Path | None
    lock: int
    identity: tuple[int, int] = (0, 0)
    """Device and inode of what ``lock`` was opened for."""

    def release(self) -> None:
        """Let go of the lock, and of the mapping, which goes when its last user does."""
        if self.lock >= 0:
            lock, self.lock = self.lock, -1
            if _identity(lock) != self.identity:
                # The program has closed what it does not know, and may have the numbers for its own: also that of
                # the mapping's copy, which `mmap` would close with it.
                _abandoned.append(self.memory)
                return
            _close(lock)
        with contextlib.suppress(BufferError):  # somebody still looks at it
            self.memory.close()

    def close(self) -> None:
        """Say in the file that its writer ended in good order, and when; nothing more once it is let go of."""
        if self.memory.closed:
            return
        with memoryview(self.memory) as buffer:
            write_field(buffer, "end_monotonic_ns", time.clock_gettime_ns(time.CLOCK_MONOTONIC))
            write_field(buffer, "end_wall_ns", time.time_ns())
            write_field(buffer, "closed", 1)


_abandoned: list[mmap.mmap] = []


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = _fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def create(path: Path | None, hub: int, thread_name: str, sizes: RingSizes) -> RingFile:
    """A fresh ring, with its header written.

    Args:
        path: where; None keeps it in memory that no other process sees.
        hub: number of the hub within the process, from 1.
        thread_name: name of the thread the hub runs in.
        sizes: how much it keeps; less, where a file may not be so large.

    Raises:
        FileExistsError: the name is taken.
        OSError: the file cannot be made, or there is no space for it.
    """
    header = _header(hub, thread_name, sizes)
    if path is None:
        memory = mmap.mmap(-1, sizes.total_bytes)
        memory[: len(header)] = header
        return RingFile(memory, None, -1)
    # It gets its name when it is whole, so that no reader meets (or locks) half a ring.
    unnamed = path.with_name(f"{path.stem}-{time.monotonic_ns()}{UNNAMED}")
    fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    lock = -1
    try:
        header, total = _grow(fd, header, sizes)
        reserve_beginning(fd, header)
        memory = mmap.mmap(fd, total)
        # Python's mmap keeps a copy of its descriptor, and a forked child keeps it too. The lock
        # is on a second opening of the file, so that closing that one lets go of it.
        lock = os.open(unnamed, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = _fstat(lock)
        memory[: len(header)] = header
        _give_name(unnamed, path)
    except BaseException:
        unnamed.unlink(missing_ok=True)
        if lock >= 0:
            _close(lock)
        raise
    finally:
        _close(fd)
    return RingFile(memory, path, lock, (status.st_dev, status.st_ino))


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


def _grow(fd: int, header: bytes, sizes: RingSizes) -> tuple[bytes, int]:
    """Give the file its full size, or, where a limit on files is below that, fewer events."""
    wanted = sizes.events
    while True:
        try:
            os.ftruncate(fd, sizes.total_bytes)
        except OSError as error:
            fewer = sizes.events // 2 // CAPACITY_UNIT * CAPACITY_UNIT
            if error.errno != EFBIG or fewer * EVENT.size < EVENT_STEP:
                raise
            sizes = replace(sizes, events=fewer)
            continue
        if sizes.events < wanted:
            changed = bytearray(header)
            write_field(memoryview(changed), "event_capacity", sizes.events)
            write_field(memoryview(changed), "space_lost", 1)
            header = bytes(changed)
        return header, sizes.total_bytes


def _give_name(unnamed: Path, path: Path) -> None:
    """As ``rename``, but what has the name already keeps it."""
    try:
        os.link(unnamed, path)
    except FileExistsError:
        raise
    except OSError:  # a file system that knows no second name
        if path.exists():
            raise FileExistsError(EEXIST, os.strerror(EEXIST), str(path)) from None
        os.rename(unnamed, path)
    else:
        unnamed.unlink()


def _header(hub: int, thread_name: str, sizes: RingSizes) -> bytes:
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
        "watch_offset": (offset := offset + sizes.slots * SLOT_SIZE),
        "watch_capacity": sizes.watch,
        "event_offset": offset + sizes.watch * EVENT.size,
        "event_capacity": sizes.events,
        "event_limit": sizes.events,
        "process_start": _process_start(),
        "thread_name": _fitting(thread_name, 64),
        "host": _fitting(socket.gethostname(), 64),
        "writer": _fitting(
            f"greenscope {__version__}, {platform.python_implementation()} {platform.python_version()}", 64
        ),
        "executable": _fitting(sys.executable or "", 512),
        "argv": _fitting("\0".join(sys.orig_argv), 2048),
    }
    header = bytearray(HEADER_SIZE)
    for name, value in fields.items():
        write_field(memoryview(header), name, value)
    return bytes(header)


def _fitting(text: str, size: int) -> bytes:
    return text.encode("utf-8", "surrogateescape")[: size - 1]


def _boot_id() -> bytes:
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def _process_start() -> int:
    """When this process began, in ticks since its machine did; 0 where that is not to be had.

    With the boot, it tells a process from a later one that was given the same number.
    """
    try:
        # The command's name, in parentheses, may hold anything, also parentheses.
        return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
