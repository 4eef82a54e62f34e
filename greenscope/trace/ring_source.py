"""A ring file opened for reading: checked, and read by position.

It is read with ``pread`` and not mapped: the pages are the same, and a file that is cut short while
somebody looks at it is a short read, where a mapping would kill the viewer with SIGBUS. ``pread``
lets go of the GIL as well, so that a thread of the traced process can copy a ring without holding
up its hub. A file is untrusted: everything the header says is checked before it is used.

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
from greenscope.trace.ring_layout import (
    CAPACITY_UNIT,
    END_OF_TIME,
    EVENT,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    MAX_BURST,
    SITE,
    SLOT_SIZE,
    WATCH_BURST,
    read_bytes,
    read_field,
)

__all__ = ["VERSIONS", "RingInfo", "RingSource", "Section"]

VERSIONS = (1, 2)
"""What can be read."""

_MOST_EVENTS = 1 << 31
_MOST_WATCHED = 1 << 16
_MOST_SLOTS = 1 << 20
_MOST_SITES = 1 << 24
_MOST_STRING_BYTES = 1 << 30
_SLOT_TRIES = 16
_SLOTS_AT_ONCE = 1 << 13


@dataclass(frozen=True, slots=True)
class RingInfo:
    """What the header says for good. Times are CLOCK_MONOTONIC and wall nanoseconds of the same moment."""

    path: Path
    version: int
    pid: int
    hub: int
    process_start: int
    """Ticks from boot to the process's start, 0: unknown; with ``boot_id`` it tells the uses of a number apart."""
    thread_name: str
    thread_id: int
    host: str
    boot_id: str
    writer: str
    executable: str
    argv: tuple[str, ...]
    start_monotonic_ns: int
    start_wall_ns: int
    event_capacity: int
    stall_ns: int
    """The watchdog's threshold; 0: none watched."""
    snapshot_ns: int
    """When this snapshot was taken (CLOCK_MONOTONIC); 0: it is the ring itself."""
    snapshot_reason: int


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
            self._check()
        except BaseException:
            self.close()
            raise
        self.events = Section(self.field("event_offset"), "head", "event_capacity", MAX_BURST, self.field("first"))
        self.watch = Section(self.field("watch_offset"), "watch_head", "watch_capacity", WATCH_BURST)
        self.info = self._info()

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
            RingFormatError: there is room for nothing, where there was some before.
        """
        head, capacity = self.field(section.head), self.field(section.capacity)
        if capacity < section.burst:
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
        """The slots in use, each whole: as it was at one moment."""
        used = min(self.field("slot_used"), self.field("slot_capacity"))
        offset = self.field("slot_offset")
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
        for _ in range(_SLOT_TRIES):
            before, slot, after = self.read(at, 4), self.read(at, SLOT_SIZE), self.read(at, 4)
            if not before[0] & 1 and before == after:
                return slot
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
        """When the writer ended (CLOCK_MONOTONIC), or its snapshot was taken, as far as the file says; else None."""
        end = self.field("end_monotonic_ns") or self.info.snapshot_ns
        return end if 0 < end < END_OF_TIME else None

    def _is_locked(self) -> bool:
        try:
            _flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        _flock(self._fd, fcntl.LOCK_UN)
        return False

    # -- the header -----------------------------------------------------------------------------

    def _size(self) -> int:
        return _fstat(self._fd).st_size

    def _header(self) -> bytes:
        return self.read(0, HEADER_SIZE)

    def _check(self) -> None:
        status = _fstat(self._fd)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(EISDIR, "is a directory", str(self.path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(EINVAL, "is not a regular file", str(self.path))
        path = self.path
        if status.st_size < HEADER_SIZE:
            raise RingFormatError(f"{path} is not a ring: it has {status.st_size} bytes, a header has {HEADER_SIZE}")
        if read_bytes(self._header(), "magic") != MAGIC:
            raise RingFormatError(f"{path} is not a ring: it does not begin with a ring's magic bytes")
        version = self.field("version")
        if version not in VERSIONS:
            raise RingFormatError(
                f"{path} is a ring of version {version}; this greenscope reads {' and '.join(map(str, VERSIONS))}"
            )
        # Sizes after the counters that promise them: the file of a living ring grows.
        head, capacity = self.field("head"), self.field("event_capacity")
        self._check_numbers(head, capacity)
        watch = self.field("watch_capacity")
        sections = {
            "strings": (self.field("string_offset"), self.field("string_size")),
            "sites": (self.field("site_offset"), self.field("site_capacity") * SITE.size),
            "greenlets": (self.field("slot_offset"), self.field("slot_capacity") * SLOT_SIZE),
            "events": (self.field("event_offset"), min(head, capacity) * EVENT.size),
            "watchdog's events": (self.field("watch_offset") if watch else HEADER_SIZE, watch * EVENT.size),
        }
        size = self._size()
        for name, (offset, length) in sections.items():
            if offset < HEADER_SIZE or offset + length > size:
                raise RingFormatError(
                    f"{path} is damaged or cut short: its {name} end at byte {offset + length} of {size}"
                )

    def _check_numbers(self, head: int, capacity: int) -> None:
        path = self.path
        if not CAPACITY_UNIT <= capacity <= _MOST_EVENTS or capacity % CAPACITY_UNIT:
            raise RingFormatError(
                f"{path} is damaged: it says it holds {capacity} events, "
                f"not a multiple of {CAPACITY_UNIT} up to {_MOST_EVENTS}"
            )
        for name, most in (
            ("string_size", _MOST_STRING_BYTES),
            ("site_capacity", _MOST_SITES),
            ("slot_capacity", _MOST_SLOTS),
        ):
            if self.field(name) > most:
                raise RingFormatError(
                    f"{path} is damaged: its {name} is {self.field(name)}, no ring has more than {most}"
                )
        watch = self.field("watch_capacity")
        if watch and not WATCH_BURST <= watch <= _MOST_WATCHED:
            raise RingFormatError(
                f"{path} is damaged: its watch_capacity is {watch}, not from {WATCH_BURST} to {_MOST_WATCHED}"
            )
        first = self.field("first")
        if first > head:
            raise RingFormatError(f"{path} is damaged: it says its oldest event is number {first} of {head}")
        for name, what in (("start_monotonic_ns", "began"), ("snapshot_ns", "was copied")):
            if self.field(name) >= END_OF_TIME:
                raise RingFormatError(
                    f"{path} is damaged: it says it {what} {self.field(name)} ns after its machine began"
                )

    def _info(self) -> RingInfo:
        header = self._header()

        def number(name: str) -> int:
            return read_field(header, name)

        def text(name: str) -> str:
            return read_bytes(header, name).rstrip(b"\0").decode("utf-8", "replace")

        return RingInfo(
            path=self.path,
            version=number("version"),
            pid=number("pid"),
            hub=number("hub"),
            process_start=number("process_start"),
            thread_name=text("thread_name"),
            thread_id=number("thread_id"),
            host=text("host"),
            boot_id=read_bytes(header, "boot_id").hex(),
            writer=text("writer"),
            executable=text("executable"),
            argv=tuple(text("argv").split("\0")),
            start_monotonic_ns=number("start_monotonic_ns"),
            start_wall_ns=number("start_wall_ns"),
            event_capacity=number("event_capacity"),
            stall_ns=number("stall_ns"),
            snapshot_ns=number("snapshot_ns"),
            snapshot_reason=number("snapshot_reason"),
        )


_NOBODY = bytes(8)
