"""What a ring's header says, checked: a file is untrusted, and its numbers are believed here or nowhere.

A number that no ring has is refused, so that nobody who believes them later asks for memory, time or
bytes without end. What the writer goes on changing (``head``, the counters) is not here for good, and is
checked against this by whoever reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from greenscope.errors import RingFormatError
from greenscope.trace.ring_layout import (
    CAPACITY_UNIT,
    END_OF_TIME,
    EVENT,
    HEADER_SIZE,
    MAGIC,
    SITE,
    SLOT_SIZE,
    WATCH_BURST,
    read_bytes,
    read_field,
)

__all__ = ["VERSIONS", "RingInfo", "check", "info_of"]

VERSIONS = (1, 2)
"""What can be read."""

_MOST_EVENTS = 1 << 31
_MOST_WATCHED = 1 << 16
_MOST = {"string_size": 1 << 30, "site_capacity": 1 << 24, "slot_capacity": 1 << 20}


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


def check(path: Path, header: bytes, size: int) -> None:
    """Refuse what is no ring, and what cannot be true.

    Args:
        path: the file, for the message.
        header: its first bytes.
        size: how many bytes it has.

    Raises:
        RingFormatError: this is not a ring, or one that cannot be read.
    """
    if len(header) < HEADER_SIZE:
        raise RingFormatError(f"{path} is not a ring: it has {len(header)} bytes, a header has {HEADER_SIZE}")
    if read_bytes(header, "magic") != MAGIC:
        raise RingFormatError(f"{path} is not a ring: it does not begin with a ring's magic bytes")
    version = read_field(header, "version")
    if version not in VERSIONS:
        raise RingFormatError(
            f"{path} is a ring of version {version}; this greenscope reads {' and '.join(map(str, VERSIONS))}"
        )
    wrong = _wrong_number(header) or _wrong_place(header, size)
    if wrong:
        raise RingFormatError(f"{path} is damaged{wrong}")


def _wrong_number(header: bytes) -> str:
    capacity, watch = read_field(header, "event_capacity"), read_field(header, "watch_capacity")
    if not CAPACITY_UNIT <= capacity <= _MOST_EVENTS or capacity % CAPACITY_UNIT:
        return f": it says it holds {capacity} events, not a multiple of {CAPACITY_UNIT} up to {_MOST_EVENTS}"
    for name, most in _MOST.items():
        if read_field(header, name) > most:
            return f": its {name} is {read_field(header, name)}, no ring has more than {most}"
    if watch and not WATCH_BURST <= watch <= _MOST_WATCHED:
        return f": its watch_capacity is {watch}, not from {WATCH_BURST} to {_MOST_WATCHED}"
    head, first = read_field(header, "head"), read_field(header, "first")
    if first > head:
        return f": it says its oldest event is number {first} of {head}"
    for name, what in (("start_monotonic_ns", "began"), ("snapshot_ns", "was copied")):
        if read_field(header, name) >= END_OF_TIME:
            return f": it says it {what} {read_field(header, name)} ns after its machine began"
    return ""


def _wrong_place(header: bytes, size: int) -> str:
    def number(name: str) -> int:
        return read_field(header, name)

    watch = number("watch_capacity")
    sections = {
        "strings": (number("string_offset"), number("string_size")),
        "sites": (number("site_offset"), number("site_capacity") * SITE.size),
        "greenlets": (number("slot_offset"), number("slot_capacity") * SLOT_SIZE),
        "events": (number("event_offset"), min(number("head"), number("event_capacity")) * EVENT.size),
        "watchdog's events": (number("watch_offset") if watch else HEADER_SIZE, watch * EVENT.size),
    }
    for name, (offset, length) in sections.items():
        if offset < HEADER_SIZE or offset + length > size:
            return f" or cut short: its {name} end at byte {offset + length} of {size}"
    return ""


def info_of(path: Path, header: bytes) -> RingInfo:
    """What a checked header says for good."""

    def number(name: str) -> int:
        return read_field(header, name)

    def text(name: str) -> str:
        return read_bytes(header, name).rstrip(b"\0").decode("utf-8", "replace")

    return RingInfo(
        path=path,
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
