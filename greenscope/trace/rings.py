"""The rings in a directory: whose each is, and whether its writer lives.

Only headers are read, four kilobytes a ring, and the last event's time, so that thousands are listed at
once. What is no ring, or is gone by the time it is looked at, is passed over: the directory belongs to
many processes. Numbers of processes are reused; among the rings of one number, those of the living
process are meant, or else those of the one that began last. One process is one boot of the machine and
one moment in it when the process began.
"""

from __future__ import annotations

import os
import shlex
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fcntl import LOCK_NB, LOCK_SH
from fcntl import flock as _flock
from os import close as _close  # by name: patching puts others in their place
from os import open as _open
from os import pread as _pread
from pathlib import Path

from greenscope.errors import GreenscopeError
from greenscope.trace.events import Kind
from greenscope.trace.ring_layout import END_OF_TIME, EVENT, HEADER_SIZE, MAGIC, MAX_BURST, read_bytes, read_field

__all__ = ["FoundRing", "rings_in", "rings_of"]

_NAMED = 8  # processes that a message names


@dataclass(frozen=True, slots=True)
class FoundRing:
    """A ring that there is. Times are nanoseconds since the epoch."""

    path: Path
    pid: int
    hub: int
    thread_name: str
    argv: tuple[str, ...]
    state: str
    """``live``, ``ended``, ``died``, or ``snapshot`` (of a ring that was living then)."""
    start_wall_ns: int
    seen_wall_ns: int
    """When it was last written to, as far as that can be told."""
    size_bytes: int
    """What it takes of the disk."""
    boot_id: str
    process_start: int
    """Ticks from the boot to the process's start; 0: not known."""
    snapshot_ns: int
    """When this copy was taken (CLOCK_MONOTONIC); 0: it is a ring itself."""

    @property
    def process(self) -> tuple[int, str, int]:
        """Equal for the rings of one process, and for no others."""
        return self.pid, self.boot_id, self.process_start

    @property
    def command(self) -> str:
        """The process's command line, as a shell would take it; on one line, and nothing but printable characters."""
        return "".join(c if c.isprintable() else " " for c in shlex.join(self.argv))


def rings_in(directory: Path) -> list[FoundRing]:
    """All rings of a directory, the oldest first; none if there is no such directory."""
    return sorted(_found(directory), key=lambda ring: (ring.start_wall_ns, ring.path.name))


def rings_of(directory: Path, pid: int) -> list[FoundRing]:
    """The rings of one process, that of its first hub first.

    Args:
        directory: where rings are.
        pid: the process's number.

    Raises:
        GreenscopeError: it has none there; the message says who has.
    """
    rings = rings_in(directory)
    mine = [ring for ring in rings if ring.pid == pid and not ring.snapshot_ns]
    if not mine:
        raise GreenscopeError(f"process {pid} has no ring in {directory}; {_who(rings)}")
    living = [ring for ring in mine if ring.state == "live"]
    if living:
        return sorted(living, key=lambda ring: ring.hub)
    newest = max(mine, key=lambda ring: ring.start_wall_ns)
    mine = [ring for ring in mine if ring.process == newest.process]
    # Where that is not known: every process has a first hub, and the later ones began after it.
    first = max((ring.start_wall_ns for ring in mine if ring.hub == 1), default=0)
    return sorted((ring for ring in mine if ring.start_wall_ns >= first), key=lambda ring: ring.hub)


def _who(rings: list[FoundRing]) -> str:
    for state, verb in (("live", "runs"), ("died", "died"), ("ended", "ended")):
        commands = {ring.pid: ring.command for ring in reversed(rings) if ring.state == state}
        if commands:
            named = [f"{pid} ({command[:60]})" for pid, command in list(commands.items())[:_NAMED]]
            more = f" and {len(commands) - _NAMED} more" if len(commands) > _NAMED else ""
            return f"what {verb} there: {', '.join(named)}{more}"
    return "no process has one there; GREENSCOPE_DIR names another directory"


def _found(directory: Path) -> Iterator[FoundRing]:
    for path in directory.glob("*.gsr"):
        with suppress(OSError):
            # Not blocking: a FIFO without a writer would be waited for.
            fd = _open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                status = os.fstat(fd)
                header = _pread(fd, HEADER_SIZE, 0) if stat.S_ISREG(status.st_mode) else b""
                if len(header) == HEADER_SIZE and read_bytes(header, "magic") == MAGIC:
                    yield _described(path, fd, status, header)
            finally:
                _close(fd)


def _described(path: Path, fd: int, status: os.stat_result, header: bytes) -> FoundRing:
    def text(name: str) -> str:
        return read_bytes(header, name).rstrip(b"\0").decode("utf-8", "replace")

    return FoundRing(
        path=path,
        pid=read_field(header, "pid"),
        hub=read_field(header, "hub"),
        thread_name=text("thread_name"),
        argv=tuple(text("argv").split("\0")),
        state=_state(fd, header),
        start_wall_ns=read_field(header, "start_wall_ns"),
        seen_wall_ns=max(status.st_mtime_ns, read_field(header, "end_wall_ns"), _last_event_wall_ns(fd, header)),
        size_bytes=status.st_blocks * 512,
        boot_id=read_bytes(header, "boot_id").hex(),
        process_start=read_field(header, "process_start"),
        snapshot_ns=read_field(header, "snapshot_ns"),
    )


def _state(fd: int, header: bytes) -> str:
    if read_field(header, "closed"):
        return "ended"
    if read_field(header, "snapshot_ns"):
        return "died" if read_field(header, "end_monotonic_ns") else "snapshot"
    try:
        _flock(fd, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return "live"
    return "died"


def _last_event_wall_ns(fd: int, header: bytes) -> int:
    """When the last event was: a mapped file's own time may be that of its making, however long it was written to."""
    head, capacity = read_field(header, "head"), read_field(header, "event_capacity")
    if capacity == 0:
        return 0
    with suppress(OSError, OverflowError, struct.error):  # the numbers of a damaged file lead nowhere
        for number in range(head - 1, max(head - 1 - MAX_BURST, -1), -1):
            data = _pread(fd, EVENT.size, read_field(header, "event_offset") + number % capacity * EVENT.size)
            time_ns, _, kind, *_ = EVENT.unpack(data)
            if kind != Kind.TEXT:
                since = time_ns - read_field(header, "start_monotonic_ns")
                return read_field(header, "start_wall_ns") + since if time_ns < END_OF_TIME else 0
    return 0
