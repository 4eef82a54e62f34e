"""Where every byte of a ring file (``.gsr``) is.

    0      header         4096 B   what and whose this is; where the sections are; head and counters
           strings        append-only: u32 length, UTF-8 bytes, padded to 4; the id is the offset
           sites          append-only: 16 B each: file u32, function u32 (strings), line u32, caller u32 (site)
           greenlets      128 B a slot, one a living greenlet, changed in place under a sequence number
           watch          32 B a record, the watchdog's own ring
           events         32 B a record, a multiple of 16 of them, a ring

The file has its full size from the beginning, as a hole: a section's space is reserved a step at a time,
before it is first touched. All numbers are little-endian. ``docs/ring-format.md`` says it in words;
``_ring_layout.h`` is generated from here, so that the C writer, its Python twin and the reader cannot
disagree.
"""

from __future__ import annotations

import struct

__all__ = [
    "CAPACITY_UNIT",
    "END_OF_TIME",
    "EVENT",
    "EVENT_STEP",
    "FLAG_NUMBERED",
    "HANDLE_BITS",
    "HEADER",
    "HEADER_SIZE",
    "MAGIC",
    "MAX_BURST",
    "PEER_BYTES",
    "SECTION_STEP",
    "SITE",
    "SLOT",
    "SLOT_FIELDS",
    "SLOT_SIZE",
    "STACK_FRAMES",
    "STATES",
    "TEXT_BYTES",
    "VERSION",
    "WATCH_BURST",
    "padded4",
    "read_bytes",
    "read_field",
    "write_field",
]

MAGIC = b"\x89GSR\r\n\x1a\n"
"""As PNG's: not text, and a transfer that changes line ends is noticed."""

VERSION = 2
HEADER_SIZE = 4096

HEADER: dict[str, tuple[int, str]] = {
    "magic": (0, "8s"),
    "version": (8, "I"),
    "header_size": (12, "I"),
    "pid": (16, "I"),
    "hub": (20, "I"),
    "start_monotonic_ns": (24, "Q"),
    "start_wall_ns": (32, "Q"),
    "boot_id": (40, "16s"),
    "thread_id": (56, "Q"),
    "string_offset": (64, "Q"),
    "string_size": (72, "Q"),
    "site_offset": (80, "Q"),
    "site_capacity": (88, "Q"),
    "slot_offset": (96, "Q"),
    "slot_capacity": (104, "Q"),
    "event_offset": (112, "Q"),
    "event_capacity": (120, "Q"),
    "watch_offset": (128, "Q"),
    "watch_capacity": (136, "Q"),
    "process_start": (144, "Q"),
    "event_limit": (152, "Q"),
    # The writer changes what follows, and event_capacity where it finds no more space. Each head is alone on its
    # cache line: readers poll it, and the watchdog's is written by another thread.
    "head": (192, "Q"),
    "string_used": (256, "Q"),
    "site_count": (264, "I"),
    "slot_used": (268, "I"),
    "strings_lost": (272, "I"),
    "sites_lost": (276, "I"),
    "slots_lost": (280, "I"),
    "closed": (284, "I"),
    "end_monotonic_ns": (288, "Q"),
    "end_wall_ns": (296, "Q"),
    "space_lost": (304, "I"),
    "detail": (308, "I"),
    "watch_head": (320, "Q"),
    "alive_ns": (328, "Q"),
    "stall_ns": (384, "Q"),
    "snapshot_ns": (392, "Q"),
    "first": (400, "Q"),
    "snapshot_reason": (408, "I"),
    # Texts, padded with NUL; argv joins its items with NUL.
    "thread_name": (512, "64s"),
    "host": (576, "64s"),
    "writer": (640, "64s"),
    "executable": (704, "512s"),
    "argv": (1216, "2048s"),
}
"""Header fields: offset and :mod:`struct` code."""

EVENT = struct.Struct("<QQBBHIQ")
"""time_ns, greenlet, kind, reason, aux, site, arg."""

SITE = struct.Struct("<IIII")
"""file, function, line, caller."""

SLOT = struct.Struct("<IIQQIIQQQIBBBBQIBB2x48s")
"""sequence, name, greenlet, since_ns, resource, fd + 1, deadline_ns, run_ns, switches, site, state, reason,
flags, peer length; on the second cache line: parent, spawn site, spawn reason, origin, peer."""

SLOT_SIZE = 128
SLOT_FIELDS: dict[str, int] = {
    "sequence": 0,
    "name": 4,
    "greenlet": 8,
    "since_ns": 16,
    "resource": 24,
    "fd_plus_1": 28,
    "deadline_ns": 32,
    "run_ns": 40,
    "switches": 48,
    "site": 56,
    "state": 60,
    "reason": 61,
    "flags": 62,
    "peer_length": 63,
    "parent": 64,
    "spawn_site": 72,
    "spawn_reason": 76,
    "origin": 77,
    "peer": 80,
}
"""Offsets within a slot, for the C writer."""

STATES = {"free": 0, "spawned": 1, "ready": 2, "running": 3, "waiting": 4}
"""States of a greenlet's slot."""

FLAG_NUMBERED = 1
"""Slot flag and ``aux`` of spawn and name: the name is its function's; show it with the number."""

PEER_BYTES = 48
"""A slot keeps this much of a peer's address; the text records after watcher_open keep all."""

TEXT_BYTES = 28
"""A text record carries this many bytes: 16 before its kind and reason, 12 after its aux."""

MAX_BURST = 8
"""The writer publishes ``head`` after at most this many records, so as many may be half written."""

END_OF_TIME = 1 << 62
"""No clock has come so far (ns): a time from here on is damage. Sums of times before it fit into 63 bits."""

WATCH_BURST = 128
"""As MAX_BURST, for ``watch_head``: a stall's stack is published whole."""

CAPACITY_UNIT = 16
"""A capacity of events is a multiple of this: twice a burst, so that a reader always has something to keep."""

EVENT_STEP = 256 << 10
SECTION_STEP = 64 << 10
"""Bytes of events, and of any other section, whose space is reserved at once. Whoever makes the file
reserves the header, the first step of each section and all of watch; the writer reserves what follows."""

STACK_FRAMES = 64
"""A whole stack has at most so many frames: of a deeper one the outermost are left out."""

HANDLE_BITS = 40
"""A handle is a greenlet's number, and above this many bits its slot + 1 (0: it found none)."""


def read_field(buffer: bytes | memoryview, name: str) -> int:
    """A number of the header."""
    offset, code = HEADER[name]
    value: int = struct.unpack_from("<" + code, buffer, offset)[0]
    return value


def read_bytes(buffer: bytes | memoryview, name: str) -> bytes:
    """A bytes field of the header, with its padding."""
    offset, code = HEADER[name]
    value: bytes = struct.unpack_from("<" + code, buffer, offset)[0]
    return value


def write_field(buffer: memoryview, name: str, value: int | bytes) -> None:
    """Set one field of the header; bytes that are too long are cut."""
    offset, code = HEADER[name]
    # In one store: pack_into clears the place first, and whoever is killed just then has left no head at all.
    data = struct.pack("<" + code, value)
    buffer[offset : offset + len(data)] = data


def padded4(length: int) -> int:
    """The next multiple of four."""
    return (length + 3) & ~3
