"""Makes a copy of a ring, live or dead, that is consistent and no larger than what is in it.

Sections are copied in an order in which what comes later covers all that came earlier, and they lie in
the file in that order:

    events        newest first: should the writer overtake the copy, it is the oldest that are missing
    watchdog's    events
    greenlets     each slot whole; read after the events, so never behind them
    sites         append-only: all that events and slots name is there by now
    strings       likewise, and all that the sites name

The copy gets its name when it is whole. It needs nothing of the writer, and can be made in the traced
process itself: no lock is waited for, and the GIL is let go of for every read and write. What it says of
its writer is what was so when it was taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from os import close as _close  # by name: patching puts others in their place
from os import ftruncate as _ftruncate
from os import getpid as _getpid
from os import open as _open
from os import pwrite as _pwrite
from os import rename as _rename
from pathlib import Path
from time import CLOCK_MONOTONIC
from time import clock_gettime_ns as _clock_ns

from greenscope.trace.events import Kind
from greenscope.trace.ring_layout import (
    CAPACITY_UNIT,
    END_OF_TIME,
    EVENT,
    HEADER_SIZE,
    MAX_BURST,
    SITE,
    SLOT_SIZE,
    VERSION,
    WATCH_BURST,
    read_field,
    write_field,
)
from greenscope.trace.ring_source import RingSource

__all__ = ["snapshot"]

_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
_RECORDS_AT_ONCE = _CHUNK // EVENT.size


def snapshot(
    source: Path, target: Path, reason: int = 0, *, ended_ns: int = 0, since: tuple[int, int] = (0, 0)
) -> None:
    """Copy a ring.

    Args:
        source: the ring, or a snapshot of one.
        target: where the copy goes; what is there is replaced when the copy is whole.
        reason: why it is taken, for the header.
        ended_ns: when the writer was seen to have ended (CLOCK_MONOTONIC), if it died and somebody saw it.
            Without that it died at its last event.
        since: the number of the first event to copy (``head``, as it was then), and of the watchdog's
            (``watch_head``); those before them are as if lost.

    Raises:
        RingFormatError: the source is not a ring, or is cut short meanwhile.
        OSError: it cannot be read, or the copy cannot be written.
    """
    ring = RingSource(source)
    try:
        now = _clock_ns(CLOCK_MONOTONIC)
        unnamed = target.with_name(f".{target.name}-{_getpid()}-{now}.new")
        fd = _open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _copy(ring, fd, reason, now, ended_ns, since)
            _rename(unnamed, target)
        except BaseException:
            unnamed.unlink()
            raise
        finally:
            _close(fd)
    finally:
        ring.close()


def _copy(ring: RingSource, fd: int, reason: int, now: int, ended_ns: int, since: tuple[int, int]) -> None:
    state = ring.state()
    header = memoryview(bytearray(ring.read(0, HEADER_SIZE)))
    new: dict[str, int] = {"version": VERSION}
    if not ring.info.snapshot_ns:  # a snapshot of a snapshot was taken when that was
        new |= {"snapshot_ns": now, "snapshot_reason": reason}

    end, last = _copy_events(ring, fd, HEADER_SIZE, new, since[0])
    end, last_watched = _copy_watch(ring, fd, end, new, since[1])
    new["slot_offset"] = end
    end = _append(fd, end, _joined(ring.slots()))
    new["slot_used"] = new["slot_capacity"] = (end - new["slot_offset"]) // SLOT_SIZE
    sites = min(ring.field("site_count"), ring.fixed("site_capacity"))
    new |= {"site_offset": end, "site_count": sites, "site_capacity": sites}
    end = _append(fd, end, _pieces(ring, "site_offset", sites * SITE.size))
    strings = min(ring.field("string_used"), ring.fixed("string_size"))
    new |= {"string_offset": end, "string_used": strings, "string_size": strings}
    end = _append(fd, end, _pieces(ring, "string_offset", strings))

    if state == "died" and not read_field(header, "end_monotonic_ns"):
        alive = read_field(header, "alive_ns")
        seen = (last, last_watched, ring.info.start_monotonic_ns, alive if alive < END_OF_TIME else 0)
        new["end_monotonic_ns"] = ended_ns or max(seen)
    elif state == "live" and not read_field(header, "closed"):
        new |= {"end_monotonic_ns": 0, "end_wall_ns": 0}  # it may be about to say so
    for name, value in new.items():
        write_field(header, name, value)
    _write(fd, header, 0)
    _ftruncate(fd, end)


def _copy_events(ring: RingSource, fd: int, offset: int, new: dict[str, int], since: int) -> tuple[int, int]:
    """Copy the hub's events: where the section ends, and the time of the last of them."""
    section = ring.events
    head, capacity = ring.extent(section)
    oldest = max(section.oldest(head, capacity), min(since, head))
    # Readers leave out what could be in the making, so there is room for that as well.
    room = -(-(head - oldest + MAX_BURST) // CAPACITY_UNIT) * CAPACITY_UNIT
    start, last = head, 0
    while start > oldest:
        end, start = start, max(oldest, start - _RECORDS_AT_ONCE)
        data = ring.records(section, start, end, capacity)
        whole = min(max(start, section.oldest(*ring.extent(section))), end)
        _write_records(fd, offset, room, whole, data[(whole - start) * EVENT.size :])
        if end == head:
            last = _last_time(data)
        if whole > start:  # overtaken
            start = whole
            break
        # A damaged file may be one large hole; its first piece may share a block with what is before it.
        piece = oldest + _RECORDS_AT_ONCE
        if _ZEROS.startswith(data) and piece < start == ring.after_hole(section, piece, start, capacity):
            start = piece
    new |= {"event_offset": offset, "event_capacity": room, "event_limit": room, "head": head, "first": start}
    return offset + room * EVENT.size, last


def _copy_watch(ring: RingSource, fd: int, offset: int, new: dict[str, int], since: int) -> tuple[int, int]:
    """Copy the watchdog's events: where the section ends, and the time of the last of them."""
    section = ring.watch
    if not ring.fixed(section.capacity):
        return offset, 0
    head, capacity = ring.extent(section)
    start = max(section.oldest(head, capacity), min(since, head))
    data = ring.records(section, start, head, capacity)
    whole = min(max(start, section.oldest(*ring.extent(section))), head)
    # Its size is what tells a reader which is the oldest.
    room = head - whole + WATCH_BURST
    _write_records(fd, offset, room, whole, data[(whole - start) * EVENT.size :])
    new |= {"watch_offset": offset, "watch_capacity": room, "watch_head": head}
    return offset + room * EVENT.size, _last_time(data)


def _last_time(records: bytes) -> int:
    """When the last event was, as far as that can be told; 0 if it cannot."""
    for at in range(len(records) - EVENT.size, -1, -EVENT.size):
        time_ns, _, kind, *_ = EVENT.unpack_from(records, at)
        if kind != Kind.TEXT:
            return time_ns if time_ns < END_OF_TIME else 0
    return 0


def _write_records(fd: int, offset: int, room: int, number: int, records: bytes) -> None:
    """Write records to where a ring of this capacity has them, the first being this number."""
    first = number % room
    until_wrap = (room - first) * EVENT.size
    _write(fd, records[:until_wrap], offset + first * EVENT.size)
    _write(fd, records[until_wrap:], offset)


def _pieces(ring: RingSource, offset: str, size: int) -> Iterator[bytes]:
    start = ring.fixed(offset)
    return (ring.read(start + done, min(_CHUNK, size - done)) for done in range(0, size, _CHUNK))


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in larger pieces."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= _CHUNK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _append(fd: int, at: int, pieces: Iterable[bytes]) -> int:
    """Write a section: where it ends."""
    for piece in pieces:
        _write(fd, piece, at)
        at += len(piece)
    return at


def _write(fd: int, data: bytes | memoryview, at: int) -> None:
    if _ZEROS.startswith(data):
        return  # a hole stays a hole: a damaged file may have large ones
    view = memoryview(data)
    while view:
        written = _pwrite(fd, view, at)
        view, at = view[written:], at + written
