"""What a program left in the trace: each wait with the descriptor, the peer and the line of code it was for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from greenscope.trace.events import NO_FD, Kind, Wait, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Gap

IO = {Wait.READ: "READ", Wait.WRITE: "WRITE"}


@dataclass(frozen=True, slots=True)
class Park:
    """A greenlet waited for a descriptor."""

    greenlet: int
    reason: str
    fd: int
    peer: str
    watched: int
    """The descriptor that the watcher was made for."""
    file: str
    function: str


def waits_of(directory: Path, process: int) -> list[Park]:
    """Every wait for a descriptor in a process, from all of its rings; none of the events may be lost."""
    found: list[Park] = []
    paths = sorted(directory.glob(f"{process}-*.gsr"))
    assert paths, f"process {process} left no ring in {directory}"
    for path in paths:
        reader = RingReader(path)
        try:
            found += _waits(reader)
        finally:
            reader.close()
    return found


def _waits(reader: RingReader) -> list[Park]:
    watchers: dict[int, tuple[int, str]] = {}
    parks = []
    while events := reader.read():
        for event in events:
            assert not isinstance(event, Gap), f"{event.lost} events were overwritten: the ring is too small"
            if event.kind == Kind.WATCHER_OPEN:
                resource, fd = unpack(event.arg)
                watchers[resource] = (-1 if fd == NO_FD else fd, event.text)
            elif event.kind == Kind.GREENLET_PARK and event.reason in IO:
                watched, peer = watchers[unpack(event.arg)[0]]
                site = reader.site(event.site)
                file, function = (site.file, site.function) if site else ("", "")
                parks.append(Park(event.greenlet, IO[Wait(event.reason)], event.aux - 1, peer, watched, file, function))
    return parks


def standstill(directory: Path, process: int) -> str:
    """Where the greenlets of a process are now, a line for each place: for the message when it hangs."""
    places: Counter[str] = Counter()
    for path in sorted(directory.glob(f"{process}-*.gsr")):
        reader = RingReader(path)
        for row in reader.greenlets():
            site = reader.site(row.site)
            where = f"{site.file}:{site.line} {site.function}" if site else "?"
            places[f"{row.state} {Wait(row.reason).name} {row.peer} at {where}"] += 1
        reader.close()
    return "\n".join(f"{count:5} {place}" for place, count in places.most_common())
