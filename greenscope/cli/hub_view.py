"""One hub as it is at this moment, or was at its end: its table, what it does itself, what was lost.

A look takes no lock, leaves nothing behind and needs no help: the process may be blocked, stopped or dead.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from greenscope.trace.analysis.table import HubState, Row, hub_state, rows, stalled_in
from greenscope.trace.reader import RingInfo, RingReader
from greenscope.trace.records import Event, GreenletSlot, Site

__all__ = ["HubView", "look", "newest"]

# A busy hub asks the kernel every millisecond: its last poll is among the last of so many events, or of so many.
_NEWEST = (1 << 10, 1 << 16)
_TRIES = 10


@dataclass(slots=True)
class HubView:
    """What ``look`` saw.

    Args:
        state: ``live``, ``ended`` or ``died``; ``snapshot``, if that is of a living hub.
        now_ns: when it looked, or the snapshot was taken; of a hub that ended, when it did, or else its last
            event (CLOCK_MONOTONIC).
        end_known: whether that is its end, and not only its last event.
        hub: what the hub itself does; None if the ring does not say.
        rows: its living greenlets, sorted by state.
        chosen: those of them to be shown, and in which order.
        stalled_in: where the watchdog saw who has kept the hub from its poll for too long, innermost frame first.
        unlisted: greenlets that found the table full; some of them may have ended since.
    """

    info: RingInfo
    state: str
    now_ns: int
    end_known: bool
    hub: HubState | None
    rows: list[Row]
    chosen: list[Row]
    stalled_in: tuple[Site, ...]
    unlisted: int

    @property
    def now_wall_ns(self) -> int:
        """``now_ns`` by the wall clock, since the epoch."""
        return self.info.start_wall_ns + self.now_ns - self.info.start_monotonic_ns


def look(path: Path) -> HubView:
    """Look at a hub.

    Args:
        path: its ring.

    Raises:
        RingFormatError: the file is not a ring.
        OSError: it cannot be read.
    """
    with closing(RingReader(path)) as reader:
        state = reader.state()
        slots = _table(reader)
        events = newest(path)
        hub = hub_state(events)
        if state == "live":
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        else:
            last = [*(event.time_ns for event in events[-1:]), *(slot.since_ns for slot in slots)]
            now = max(reader.end_ns() or reader.info.start_monotonic_ns, *last, 0)
        table = rows(slots, reader.site, now)
        return HubView(
            info=reader.info,
            state=state,
            now_ns=now,
            end_known=reader.end_ns() is not None,
            hub=hub,
            rows=table,
            chosen=table,
            stalled_in=stalled_in(events) if hub is None or not hub.polling else (),
            unlisted=reader.counters()["slots_lost"],
        )


def _table(reader: RingReader) -> list[GreenletSlot]:
    """The table, if possible as of one moment: each row is, but a hub may switch between two rows."""
    for _ in range(_TRIES):
        slots = reader.greenlets()
        if sum(slot.state == "running" for slot in slots) < 2:
            break
    return slots


def newest(path: Path) -> list[Event]:
    """The newest events, so many that the hub's last poll is among them, if it is in the ring at all."""
    events: list[Event] = []
    for count in _NEWEST:
        with closing(RingReader(path)) as reader:
            reader.skip_to(reader.head - count)
            events = [event for event in reader.read(2 * count) if isinstance(event, Event)]
        if hub_state(events) is not None:
            break
    return events
