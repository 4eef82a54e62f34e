"""Reads a ring, live or left behind, without a lock and without the writer's help.

``read_batch`` gives what is new as columns, for whoever reads millions; ``read`` gives the same as
values. What was lost is never passed over in silence: it is counted where it was. The watchdog's
events are a ring of their own in the file, since each ring has one writer; here they are put among
the hub's, by their time. An id that leads nowhere reads as "?": the file may be anybody's.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from greenscope.trace.events import FOR_ONE
from greenscope.trace.record_cursor import RecordCursor
from greenscope.trace.records import EVENT_DTYPE, Batch, Event, Gap, GreenletSlot, Site
from greenscope.trace.ring_header import RingInfo
from greenscope.trace.ring_layout import FLAG_NUMBERED, PEER_BYTES, SITE, SLOT, STATES
from greenscope.trace.ring_source import RingSource

__all__ = ["RingInfo", "RingReader"]

_STATE_NAMES = {number: name for name, number in STATES.items()}
_LONGEST_STRING = 4096
_DEEPEST_STACK = 256  # sites of a damaged file may call each other in a circle
_WATCH_LIMIT = 1 << 12
_COUNTERS = (
    "string_used", "site_count", "slot_used", "strings_lost", "sites_lost", "slots_lost", "space_lost", "detail",
    "watch_head",
)  # fmt: skip


class RingReader:
    """Follows one ring from its oldest event on.

    Args:
        path: a ``.gsr`` file.

    Raises:
        RingFormatError: it is not one, or one that this version cannot read; any method raises it for a file
            that is cut short meanwhile.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._source = RingSource(path)
        self.info: RingInfo = self._source.info
        self._cursor = RecordCursor(self._source, self._source.events)
        self._watch = RecordCursor(self._source, self._source.watch) if self._source.fixed("watch_capacity") else None
        self._watched: list[Event] = []  # read, and later than the hub's events that were
        self._latest = 0  # the latest time of the hub's events that were read
        self._strings: dict[int, str] = {}
        self._string_bytes = 0
        self._sites: dict[int, Site] = {}

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    # -- events ---------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        """How many records were ever written."""
        return self._source.field("head")

    @property
    def watched_ns(self) -> int:
        """The threshold of the process's watchdog, which comes to a ring a moment after it began; 0: there is none."""
        return self._source.field("stall_ns")

    @property
    def position(self) -> int:
        """How many of them were read or lost."""
        return self._cursor.position

    @property
    def oldest(self) -> int:
        """Number of the oldest record that is there, and so how many were overwritten."""
        return self._source.events.oldest(*self._source.extent(self._source.events))

    @property
    def lost(self) -> int:
        """How many of them nobody will see."""
        return self._cursor.lost

    @property
    def watch_lost(self) -> int:
        """How many records of the watchdog nobody will see."""
        return self._watch.lost if self._watch is not None else 0

    def skip_to(self, position: int) -> None:
        """Go on at this record, if it is ahead; those before it are neither read nor counted as lost.

        Args:
            position: number of the record to read next; beyond ``head`` is at ``head``.
        """
        self._cursor.position = max(self._cursor.position, min(position, self.head))

    def read_batch(self, limit: int = 1 << 16) -> Batch:
        """What is new, in columns; an empty batch when nothing is.

        Args:
            limit: at most this many of the hub's events, and those of the watchdog among them.
        """
        batch = self._cursor.take(limit)
        if self._watch is None:
            return batch
        # The watchdog's are read after the hub's, so that none is missing among them.
        while True:
            new = self._watch.take(_WATCH_LIMIT)
            self._watched.extend(_values(new))
            if self._watch.caught_up or len(self._watched) >= _WATCH_LIMIT:
                break
        return self._among(batch)

    def read(self, limit: int = 1 << 16) -> list[Event | Gap]:
        """What is new, as values; an empty list when nothing is.

        Args:
            limit: as of :meth:`read_batch`.
        """
        batch = self.read_batch(limit)
        events: list[Event | Gap] = [Gap(batch.lost)] if batch.lost else []
        events.extend(_values(batch))
        return events

    def _among(self, batch: Batch) -> Batch:
        """Put the watchdog's events among the hub's: each before the first that is later than it.

        One that is later than all of them waits for the next batch, unless there is no next one yet.
        """
        latest = self._latest
        self._latest = max(latest, int(batch.events["time_ns"].max(initial=0)))
        if not self._watched:
            return batch
        times = np.maximum.accumulate(np.maximum(batch.events["time_ns"], np.uint64(latest)))
        watched = np.array([event[:7] for event in self._watched], EVENT_DTYPE)
        places = np.maximum.accumulate(np.searchsorted(times, watched["time_ns"], side="right"))
        due = len(watched) if self._cursor.caught_up else int(np.searchsorted(places, len(times)))
        places = places[:due]
        keys = np.array(list(batch.texts), np.intp)
        shifted = (keys + np.searchsorted(places, keys, side="right")).tolist()
        texts = dict(zip(shifted, batch.texts.values(), strict=True))
        for number, (place, event) in enumerate(zip(places.tolist(), self._watched, strict=False)):
            if event.text:
                texts[place + number] = event.text
        del self._watched[:due]
        return Batch(batch.lost, np.insert(batch.events, places, watched[:due]), texts)

    # -- what the events' numbers mean ----------------------------------------------------------

    def string(self, number: int) -> str:
        """An interned text, the first 4096 bytes of it; "" for 0, "?" for a number that leads nowhere."""
        if number == 0:
            return ""
        found = self._strings.get(number)
        if found is None:
            used = min(self._source.field("string_used"), self._source.fixed("string_size"))
            if number + 4 > used:
                return "?"
            at = self._source.fixed("string_offset") + number
            (length,) = struct.unpack("<I", self._source.read(at, 4))
            # Strings of a damaged file may overlap, and come to far more than the section.
            if number + 4 + length > used or self._string_bytes + length > used:
                return "?"
            self._string_bytes += length
            text = self._source.read(at + 4, min(length, _LONGEST_STRING))
            found = self._strings[number] = text.decode("utf-8", "replace")
        return found

    def site(self, number: int) -> Site | None:
        """A call site; None for 0, which is "unknown", and for a number that leads nowhere."""
        found = self._sites.get(number)
        if found is None:
            source = self._source
            if not 0 < number < min(source.field("site_count"), source.fixed("site_capacity")):
                return None
            data = source.read(source.fixed("site_offset") + number * SITE.size, SITE.size)
            file, function, line, caller = SITE.unpack(data)
            found = self._sites[number] = Site(self.string(file), line, self.string(function), caller)
        return found

    def stack(self, number: int) -> list[Site]:
        """A call site and its callers, as far as they are known, the innermost first; at most 256."""
        frames: list[Site] = []
        while len(frames) < _DEEPEST_STACK and (site := self.site(number)) is not None:
            frames.append(site)
            number = site.caller
        return frames

    def greenlets(self) -> list[GreenletSlot]:
        """The greenlet table as it is now: every living greenlet, however long ago its events were lost."""
        return [self._greenlet(slot) for slot in self._source.slots()]

    def _greenlet(self, slot: bytes) -> GreenletSlot:
        (_, name, greenlet, since, resource, fd_plus_1, deadline, run_ns, switches, site, state, reason, flags,
         peer_length, parent, spawn_site, spawn_reason, origin, peer) = SLOT.unpack(slot)  # fmt: skip
        for_one = state == STATES["waiting"] and reason in FOR_ONE
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
            fd=fd_plus_1 - 1 if fd_plus_1 and not for_one else None,
            peer=peer[: min(peer_length, PEER_BYTES)].decode("utf-8", "replace"),
            deadline_ns=deadline,
            site=site,
            spawn_site=spawn_site,
            run_ns=run_ns,
            switches=switches,
            awaits=fd_plus_1 if for_one else 0,
            origin=origin,
        )

    # -- the writer -----------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        """How much of each section is used, how much did not fit, and the level of detail."""
        return {name: self._source.field(name) for name in _COUNTERS}

    def state(self) -> str:
        """``live``; ``ended``, if the writer said goodbye; ``died``, if it was killed or crashed.

        A snapshot says what was so when it was taken, but for one of a living ring: that is a ``snapshot``.
        """
        return self._source.state()

    def end_ns(self) -> int | None:
        """When the writer ended (CLOCK_MONOTONIC), or its snapshot was taken, as far as the file says; else None."""
        return self._source.end_ns()


def _values(batch: Batch) -> list[Event]:
    events = [Event(*record) for record in batch.events.tolist()]
    for number, text in batch.texts.items():
        events[number] = events[number]._replace(text=text)
    return events
