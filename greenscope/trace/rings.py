"""The rings in a directory: whose each is, and whether its writer lives.

Only headers are read, four kilobytes a ring, so that thousands are listed at once. What is no ring, or
is gone by the time it is looked at, is passed over: the directory belongs to many processes. Numbers
of processes are reused; among the rings of one number, those of the living process are meant, or else
those of the one that began last.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greenscope.errors import GreenscopeError
from greenscope.trace.ring_file import is_locked
from greenscope.trace.ring_layout import HEADER_SIZE, MAGIC, read_bytes, read_field

__all__ = ["FoundRing", "rings_in", "rings_of"]

_NAMED = 8  # processes that a message names


@dataclass(frozen=True, slots=True)
class FoundRing:
    """A ring that there is. ``state`` is ``live``, ``ended`` or ``died``; ``start_wall_ns`` is since the epoch."""

    path: Path
    pid: int
    hub: int
    state: str
    start_wall_ns: int
    argv: tuple[str, ...]

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
    mine = [ring for ring in rings if ring.pid == pid]
    if not mine:
        raise GreenscopeError(f"process {pid} has no ring in {directory}; {_who(rings)}")
    living = [ring for ring in mine if ring.state == "live"]
    if living:
        return sorted(living, key=lambda ring: ring.hub)
    # Every process has a first hub, and the later ones began after it.
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
        try:
            with path.open("rb") as file:
                header = file.read(HEADER_SIZE)
            if len(header) < HEADER_SIZE or read_bytes(header, "magic") != MAGIC:
                continue
            locked = is_locked(path)
        except OSError:
            continue
        argv = read_bytes(header, "argv").rstrip(b"\0").decode("utf-8", "replace").split("\0")
        yield FoundRing(
            path=path,
            pid=read_field(header, "pid"),
            hub=read_field(header, "hub"),
            state="ended" if read_field(header, "closed") else "live" if locked else "died",
            start_wall_ns=read_field(header, "start_wall_ns"),
            argv=tuple(argv),
        )
