"""A ring file opened for reading: checked, and read by position.

It is read with ``pread`` and not mapped: the pages are the same, and a file that is cut short while
somebody looks at it is a short read, where a mapping would kill the viewer with SIGBUS. ``pread``
lets go of the GIL as well, so that a thread of the traced process can copy a ring without holding
up its hub.

This module knows sections and bytes; what they mean is the reader's (events, names) and the
snapshot's (copies) business. The traced process imports it, so it needs nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EINVAL, EISDIR, ENXIO
from fcntl import flock as _flock  # by name: patching puts others in their place
from os import close as _close
from os import fstat as _fstat
from os import lseek as _lseek
from os import open as _open
from os import pread as _pread
from pathlib import Path

from greenscope.errors import RingFormatError
from greenscope.trace.ring_header import RingInfo, check, info_of
from greenscope.trace.ring_layout import (
    END_OF_TIME,
    EVENT,
    HEADER,
    HEADER_SIZE,
    MAX_BURST,
    SLOT_SIZE,
    WATCH_BURST,
    read_field,
)

__all__ = ["RingSource", "Section"]

_SLOT_TRIES = 16
_SLOTS_AT_ONCE = 1 << 13


@dataclass(frozen=True, slots=True)
class Section:
    """A ring of records within the file: that of the hub's thread, or that of its watchdog."""

    offset: int
    head: str
    capacity: str
    burst: int
    """So many records beyond ``head`` may be in the making."""
    first: int = 0
    """The oldest record that is there: a snapshot does not have what was lost."""

    def oldest(self, head: int, capacity: int) -> int:
        """The oldest record that nobody can be overwriting while ``head`` stands where it does."""
        return min(head, max(self.first, head + self.burst - capacity))


class RingSource:
    """One ring file.

    Args:
        path: a ``.gsr`` file.

    Raises:
        RingFormatError: it is not one, or one that this version cannot read.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Not blocking: a FIFO without a writer would be waited for.
        self._fd = _open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._header = self._checked_header()
        except BaseException:
            self.close()
            raise
        offset, first = self.fixed("event_offset"), self.fixed("first")
        self.events = Section(offset, "head", "event_capacity", MAX_BURST, first)
        self.watch = Section(self.fixed("watch_offset"), "watch_head", "watch_capacity", WATCH_BURST)
        self.info: RingInfo = info_of(path, self._header)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            _close(self._fd)
            self._fd = -1

    # -- bytes ----------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file.

        Raises:
            RingFormatError: it ends before them.
        """
        data = _pread(self._fd, size, offset)
        if len(data) == size:
            return data
        parts = [data]
        missing = size - len(data)
        while missing:  # one call gives at most 2 GiB
            data = _pread(self._fd, missing, offset + size - missing)
            if not data:
                raise RingFormatError(
                    f"{self.path} is cut short: byte {offset + size} is wanted, it has {self._size()} bytes"
                )
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def fixed(self, name: str) -> int:
        """A number of the header that its writer leaves as it is: as it was when it was checked."""
        return read_field(self._header, name)

    def field(self, name: str) -> int:
        """A number of the header, as it is now; 0 for one that version 1 did not have."""
        offset, code = HEADER[name]
        value: int = struct.unpack("<" + code, self.read(offset, struct.calcsize("<" + code)))[0]
        return value

    # -- records --------------------------------------------------------------------------------

    def extent(self, section: Section) -> tuple[int, int]:
        """``head`` and how many records there is room for.

        The writer sets a capacity before ``head`` passes it, so ``head`` is read first.

        Raises:
            RingFormatError: there is more room than there was, or none: it shrinks at most.
        """
        head, capacity = self.field(section.head), self.field(section.capacity)
        if not section.burst <= capacity <= self.fixed(section.capacity):
            raise RingFormatError(f"{self.path} is damaged: it says it holds {capacity} records")
        return head, capacity

    def records(self, section: Section, start: int, end: int, capacity: int) -> bytes:
        """Records ``[start, end)`` as they are now; whether they are whole is for :meth:`extent` to say afterwards."""
        first = start % capacity
        until_wrap = min(end - start, capacity - first)
        data = self.read(section.offset + first * EVENT.size, until_wrap * EVENT.size)
        if end - start > until_wrap:
            data += self.read(section.offset, (end - start - until_wrap) * EVENT.size)
        return data

    def after_hole(self, section: Section, number: int, end: int, capacity: int) -> int:
        """The first of records ``[number, end)`` that is not in a hole of the file, ``end`` if all are.

        A writer leaves none; a damaged file may say that it holds gibibytes of events and have none of them.
        """
        while number < end:
            index = number % capacity
            at = section.offset + index * EVENT.size
            try:
                empty = (_lseek(self._fd, at, os.SEEK_DATA) - at) // EVENT.size
            except OSError as error:
                if error.errno != ENXIO:
                    return number
                empty = end - number  # nothing but a hole up to the file's end
            if empty <= 0:
                return number
            number += min(empty, capacity - index)
        return end

    # -- greenlets ------------------------------------------------------------------------------

    def slots(self) -> Iterator[bytes]:
        """The slots in use, each whole: as it was at one moment.

        But for one that changes faster than it can be copied, as that of a greenlet does which yields without end: who
        it is does not change and is whole, what it does may be of two moments.
        """
        used = min(self.field("slot_used"), self.fixed("slot_capacity"))
        offset = self.fixed("slot_offset")
        for begin in range(0, used, _SLOTS_AT_ONCE):
            size = min(_SLOTS_AT_ONCE, used - begin) * SLOT_SIZE
            at = offset + begin * SLOT_SIZE
            before, data, after = (self.read(at, size) for _ in range(3))
            for start in range(0, size, SLOT_SIZE):
                slot: bytes | None = data[start : start + SLOT_SIZE]
                sequence = before[start : start + 4]
                if sequence[0] & 1 or after[start : start + 4] != sequence:
                    slot = self._slot(at + start)
                if slot is not None and slot[8:16] != _NOBODY:
                    yield slot

    def _slot(self, at: int) -> bytes | None:
        sequences: set[bytes] = set()
        latest = b""
        for _ in range(_SLOT_TRIES):
            before, slot, after = self.read(at, 4), self.read(at, SLOT_SIZE), self.read(at, 4)
            if not before[0] & 1 and before == after:
                return slot
            sequences |= {before, after}
            if len(sequences) > _SLOT_TRIES and _who(slot) == _who(latest):
                return bytes([slot[0] & ~1]) + slot[1:]  # whoever reads a copy of it takes it for whole
            latest = slot
        return None  # its writer died, or was stopped, in the middle of it

    # -- the writer -----------------------------------------------------------------------------

    def state(self) -> str:
        """``live``; ``ended``, if the writer said goodbye; ``died``, if it was killed or crashed.

        A snapshot says what was so when it was taken, but for one of a living ring: that is a ``snapshot``.
        """
        if self.field("closed"):
            return "ended"
        if self.info.snapshot_ns:
            return "died" if self.field("end_monotonic_ns") else "snapshot"
        return "live" if self._is_locked() else "died"

    def end_ns(self) -> int | None:
        """When the writer ended (CLOCK_MONOTONIC), or its snapshot was taken, as far as the file says; else None.

        Of one that died it is when its watchdog last looked, half a stall's threshold before at most.
        """
        end = self.field("end_monotonic_ns") or self.info.snapshot_ns
        if not end and self.state() == "died":
            end = self.field("alive_ns")
        return end if 0 < end < END_OF_TIME else None

    def _is_locked(self) -> bool:
        try:
            _flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        _flock(self._fd, fcntl.LOCK_UN)
        return False

    # -- the file -------------------------------------------------------------------------------

    def _size(self) -> int:
        return _fstat(self._fd).st_size

    def _checked_header(self) -> bytes:
        mode = _fstat(self._fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(EISDIR, "is a directory", str(self.path))
        if not stat.S_ISREG(mode):
            raise OSError(EINVAL, "is not a regular file", str(self.path))
        header = _pread(self._fd, HEADER_SIZE, 0)
        # The size after the counters: what they promise is there before them.
        check(self.path, header, self._size())
        return header


_NOBODY = bytes(8)


def _who(slot: bytes) -> bytes:
    """What of a slot stays the same as long as its greenlet lives: name, number, parent, where and why spawned."""
    return slot[4:16] + slot[64:77]
