"""Reads a ring, live or left behind, without a lock and without the writer's help.

``read`` copies what is new, then looks at ``head`` again and drops what the writer overtook in the
meantime. What was lost is never passed over in silence: a ``Gap`` stands where it was, with how
many. A file is untrusted: everything the header says is checked before it is used, and an id that
leads nowhere reads as "?".
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from greenscope.errors import RingFormatError
from greenscope.trace import ring_file
from greenscope.trace.events import Kind
from greenscope.trace.records import END_OF_TIME, Event, Gap, GreenletSlot, Site
from greenscope.trace.ring_layout import (
    EVENT,
    FLAG_NUMBERED,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    MAX_BURST,
    PEER_BYTES,
    SITE,
    SLOT,
    SLOT_SIZE,
    STATES,
    VERSION,
    read_bytes,
    read_field,
)

__all__ = ["RingInfo", "RingReader"]

_STATE_NAMES = {number: name for name, number in STATES.items()}
_SLOT_TRIES = 16
_LONGEST_STRING = 4096  # strings of a damaged file may overlap, and come to far more than the file


@dataclass(frozen=True, slots=True)
class RingInfo:
    """What the header says. Times are CLOCK_MONOTONIC and wall nanoseconds of the same moment."""

    path: Path
    pid: int
    hub: int
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


class RingReader:
    """Follows one ring from its oldest event on.

    Args:
        path: a ``.gsr`` file.

    Raises:
        RingFormatError: it is not one, or one that this version cannot read.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < HEADER_SIZE:
                raise RingFormatError(f"{path} is not a ring: it has {size} bytes, a header has {HEADER_SIZE}")
            self._memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        self._buffer = memoryview(self._memory)
        self._check(size)
        self._capacity = self._field("event_capacity")
        self._events = self._field("event_offset")
        self._head = memoryview(self._buffer)[HEADER["head"][0] : HEADER["head"][0] + 8].cast("Q")
        self._position = 0
        self._strings: dict[int, str] = {}
        self._sites: dict[int, Site] = {}
        self.lost = 0
        self.info = self._info()

    def close(self) -> None:
        """Unmap the file."""
        self._head.release()
        self._buffer.release()
        self._memory.close()

    # -- events ---------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        """How many records were ever written."""
        return self._head[0]

    @property
    def position(self) -> int:
        """How many of them were read or lost."""
        return self._position

    def skip_to(self, position: int) -> None:
        """Go on at this record, if it is ahead; those before it are neither read nor counted as lost.

        Args:
            position: number of the record to read next; beyond ``head`` is at ``head``.
        """
        self._position = max(self._position, min(position, self._head[0]))

    def read(self, limit: int = 1 << 16) -> list[Event | Gap]:
        """What is new, in the order of records; an empty list when nothing is.

        Args:
            limit: at most this many records.
        """
        head = self._head[0]
        start = max(self._position, head + MAX_BURST - self._capacity)
        end = min(head, start + limit)
        if start >= end:
            return []
        data = self._copy(start, end)
        # Whatever the writer has reached by now may have been overwritten while it was copied.
        whole = min(max(start, self._head[0] + MAX_BURST - self._capacity), end)
        lost = whole - self._position
        events: list[Event | Gap] = []
        if lost:
            self.lost += lost
            events.append(Gap(lost))
        left = self._decode(data[(whole - start) * EVENT.size :], events)
        self._position = end - left
        return events

    def _copy(self, start: int, end: int) -> bytes:
        first = start & (self._capacity - 1)
        count = end - start
        until_wrap = min(count, self._capacity - first)
        at = self._events + first * EVENT.size
        data = bytes(self._buffer[at : at + until_wrap * EVENT.size])
        if count > until_wrap:
            data += bytes(self._buffer[self._events : self._events + (count - until_wrap) * EVENT.size])
        return data

    def _decode(self, data: bytes, events: list[Event | Gap]) -> int:
        """Append the events of whole records; say how many at the end still lack their text records."""
        text = b""
        owner, owner_number = -1, 0  # index of the event that waits for its text
        for number, record in enumerate(EVENT.iter_unpack(data)):
            if record[2] == Kind.TEXT:
                if owner < 0:  # what it belongs to was lost
                    continue
                raw = data[number * EVENT.size : (number + 1) * EVENT.size]
                text += (raw[:16] + raw[20:])[: record[3]]
                if record[4] == 0:
                    events[owner] = events[owner]._replace(text=text.decode("utf-8", "replace"))  # type: ignore[union-attr]
                    owner, text = -1, b""
                continue
            owner, text = -1, b""
            events.append(Event(*record))
            if record[2] == Kind.WATCHER_OPEN and record[4]:
                owner, owner_number = len(events) - 1, number
        if owner < 0 or owner_number == 0:
            return 0
        events.pop()
        return len(data) // EVENT.size - owner_number

    # -- what the events' numbers mean ----------------------------------------------------------

    def string(self, number: int) -> str:
        """An interned text, the first 4096 bytes of it; "" for 0, "?" for a number that leads nowhere."""
        if number == 0:
            return ""
        found = self._strings.get(number)
        if found is None:
            used = min(self._field("string_used"), self._field("string_size"))
            offset = self._field("string_offset")
            if number + 4 > used:
                return "?"
            (length,) = struct.unpack_from("<I", self._buffer, offset + number)
            if number + 4 + length > used:
                return "?"
            start = offset + number + 4
            text = bytes(self._buffer[start : start + min(length, _LONGEST_STRING)])
            found = self._strings[number] = text.decode("utf-8", "replace")
        return found

    def site(self, number: int) -> Site | None:
        """A call site; None for 0, which is "unknown", and for a number that leads nowhere."""
        found = self._sites.get(number)
        if found is None:
            if not 0 < number < min(self._field("site_count"), self._field("site_capacity")):
                return None
            at = self._field("site_offset") + number * SITE.size
            file, function, line, _ = SITE.unpack_from(self._buffer, at)
            found = self._sites[number] = Site(self.string(file), line, self.string(function))
        return found

    def greenlets(self) -> list[GreenletSlot]:
        """The greenlet table as it is now: every living greenlet, however long ago its events were lost."""
        offset = self._field("slot_offset")
        rows = []
        for index in range(min(self._field("slot_used"), self._field("slot_capacity"))):
            row = self._slot(offset + index * SLOT_SIZE)
            if row is not None:
                rows.append(row)
        return rows

    def _slot(self, at: int) -> GreenletSlot | None:
        for _ in range(_SLOT_TRIES):
            (before,) = struct.unpack_from("<I", self._buffer, at)
            data = bytes(self._buffer[at : at + SLOT_SIZE])
            if before % 2 == 0 and struct.unpack_from("<I", self._buffer, at)[0] == before:
                break
        else:
            return None  # its writer died, or was stopped, in the middle of it
        (_, name, greenlet, since, resource, fd_plus_1, deadline, run_ns, switches, site, state, reason, flags,
         peer_length, parent, spawn_site, spawn_reason, peer) = SLOT.unpack(data)  # fmt: skip
        if greenlet == 0:
            return None
        return GreenletSlot(
            greenlet=greenlet,
            name=self.string(name),
            numbered=bool(flags & FLAG_NUMBERED),
            parent=parent,
            spawn_reason=spawn_reason,
            state=_STATE_NAMES.get(state, "free"),
            reason=reason,
            since_ns=since,
            resource=resource,
            fd=fd_plus_1 - 1 if fd_plus_1 else None,
            peer=peer[: min(peer_length, PEER_BYTES)].decode("utf-8", "replace"),
            deadline_ns=deadline,
            site=site,
            spawn_site=spawn_site,
            run_ns=run_ns,
            switches=switches,
        )

    # -- the writer -----------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        """How much of each section is used, and how much did not fit."""
        names = ("string_used", "site_count", "slot_used", "strings_lost", "sites_lost", "slots_lost")
        return {name: self._field(name) for name in names}

    def state(self) -> str:
        """``live``; ``ended``, if the writer said goodbye; ``died``, if it was killed or crashed."""
        if self._field("closed"):
            return "ended"
        try:
            return "live" if ring_file.is_locked(self._path) else "died"
        except OSError:  # the file was removed; a mapping outlives its name
            return "died"

    def end_ns(self) -> int | None:
        """When the writer ended (CLOCK_MONOTONIC), if it said so or was seen to; else None."""
        return self._field("end_monotonic_ns") or None

    # -- the header -----------------------------------------------------------------------------

    def _field(self, name: str) -> int:
        return read_field(self._buffer, name)

    def _text(self, name: str) -> str:
        return read_bytes(self._buffer, name).rstrip(b"\0").decode("utf-8", "replace")

    def _check(self, size: int) -> None:
        if read_bytes(self._buffer, "magic") != MAGIC:
            raise RingFormatError(f"{self._path} is not a ring: it does not begin with a ring's magic bytes")
        version = self._field("version")
        if version != VERSION:
            raise RingFormatError(f"{self._path} is a ring of version {version}; this greenscope reads {VERSION}")
        capacity = self._field("event_capacity")
        if capacity < 2 * MAX_BURST or capacity & (capacity - 1):
            raise RingFormatError(f"{self._path} is damaged: it says it holds {capacity} events, not a power of two")
        start = self._field("start_monotonic_ns")
        if start >= END_OF_TIME:
            raise RingFormatError(f"{self._path} is damaged: it says it began {start} ns after its machine did")
        sections = {
            "strings": (self._field("string_offset"), self._field("string_size")),
            "sites": (self._field("site_offset"), self._field("site_capacity") * SITE.size),
            "greenlets": (self._field("slot_offset"), self._field("slot_capacity") * SLOT_SIZE),
            "events": (self._field("event_offset"), capacity * EVENT.size),
        }
        for name, (offset, length) in sections.items():
            if offset < HEADER_SIZE or offset + length > size:
                raise RingFormatError(
                    f"{self._path} is damaged or cut short: its {name} end at byte {offset + length} of {size}"
                )

    def _info(self) -> RingInfo:
        return RingInfo(
            path=self._path,
            pid=self._field("pid"),
            hub=self._field("hub"),
            thread_name=self._text("thread_name"),
            thread_id=self._field("thread_id"),
            host=self._text("host"),
            boot_id=read_bytes(self._buffer, "boot_id").hex(),
            writer=self._text("writer"),
            executable=self._text("executable"),
            argv=tuple(self._text("argv").split("\0")),
            start_monotonic_ns=self._field("start_monotonic_ns"),
            start_wall_ns=self._field("start_wall_ns"),
            event_capacity=self._field("event_capacity"),
        )
