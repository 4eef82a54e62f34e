"""Space: reserved in a ring's file before it is touched. The twin of ``_reserve.c``, which says why.

Whoever makes the file reserves the header, the first step of each section, and all of the watchdog's, which
is written by a thread that cannot wait; the writer reserves what follows, when it first needs it.
"""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from os import fstat as _fstat  # by name: patching puts others in their place
from os import pwrite as _pwrite

from greenscope.trace.ring_layout import EVENT, EVENT_STEP, HEADER_SIZE, SECTION_STEP, SITE, SLOT_SIZE, read_field

__all__ = ["FileSpace", "Section", "reserve_beginning", "sections_of"]

_allocate = getattr(os, "posix_fallocate", None)  # macOS has none; it tries again when a signal interrupts it


def reserve(fd: int, offset: int, length: int) -> None:
    """Reserve a part of the file that was never touched.

    Raises:
        OSError: there is no space for it.
    """
    if _allocate is not None:
        _allocate(fd, offset, length)
    # Where it is to be had otherwise, zeros are cheaper than to fault in pages; elsewhere they take the space.
    end = offset + length
    with suppress(OSError) if _allocate is not None else nullcontext():
        while offset < end:
            offset += _pwrite(fd, bytes(min(end - offset, 1 << 18)), offset)


class Section:
    """A part of the file, in bytes: it may be used up to ``reserved``, which grows a step at a time up to ``size``.

    Where there is no more space, ``size`` becomes what is there.
    """

    __slots__ = ("offset", "reserved", "size", "step")

    def __init__(self, offset: int, size: int, step: int) -> None:
        self.offset = offset
        self.size = size
        self.step = step
        self.reserved = min(step, size)


def sections_of(header: bytes | memoryview) -> dict[str, Section]:
    """The sections, as a fresh file's header says."""

    def section(offset: str, capacity: str, item: int, step: int | None = SECTION_STEP) -> Section:
        size = read_field(header, capacity) * item
        return Section(read_field(header, offset), size, step or size)

    return {
        "strings": section("string_offset", "string_size", 1),
        "sites": section("site_offset", "site_capacity", SITE.size),
        "slots": section("slot_offset", "slot_capacity", SLOT_SIZE),
        "watch": section("watch_offset", "watch_capacity", EVENT.size, None),
        "events": section("event_offset", "event_capacity", EVENT.size, EVENT_STEP),
    }


def reserve_beginning(fd: int, header: bytes | memoryview) -> None:
    """Reserve the header and the first step of each section.

    Raises:
        OSError: there is no space for it.
    """
    reserve(fd, 0, HEADER_SIZE)
    for section in sections_of(header).values():
        if section.reserved:
            reserve(fd, section.offset, section.reserved)


class FileSpace:
    """Reserves space in one file for as long as the descriptor is still that file's.

    A program that closes all descriptors it does not know may have got the number again for a file of its
    own, which must not grow.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._identity = self._identify()

    def extend(self, section: Section, end: int) -> bool:
        """Reserve as much of the section as ``end`` needs, or say that there is not so much, and will not be."""
        if end > section.size:
            return False
        wanted = min(-(-end // section.step) * section.step, section.size)
        try:
            if self._fd >= 0:
                if self._identify() != self._identity:
                    raise OSError("the descriptor was closed")
                reserve(self._fd, section.offset + section.reserved, wanted - section.reserved)
        except OSError:
            section.size = section.reserved  # for good: to ask again costs a system call each time
            return False
        section.reserved = wanted
        return True

    def _identify(self) -> tuple[int, int]:
        if self._fd < 0:
            return (0, 0)
        status = _fstat(self._fd)
        return status.st_dev, status.st_ino
